"""Prices that begin on a day: which one a payment, a payout or an authentication costs, to the edge of the day.

Not here: catalogue files and the admin calls (test_prices_in_files, tests/storage).
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import (
    MAX_PRICES,
    Price,
    PriceError,
    amounts_from_json,
    amounts_to_json,
    fees_from_json,
    fees_to_json,
    in_force,
    in_order,
)
from gateway.domain.scenes import Scene
from gateway.flows.payout_acts import RuleAnswer, RuleQuestion
from gateway.flows.payout_rules import rules_in_force
from gateway.flows.route import Payer, candidates_for
from router.fees import FixedFee
from tests.examples import examples
from tests.unit.domain.samples import BANK, MERCHANT_ID, ZONE, catalogue, channel, rule
from tests.unit.router.strategies import fees

APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)
LATER = (Price(APRIL, FixedFee(40)), Price(MAY, FixedFee(30)))
BEFORE_APRIL = datetime(2026, 3, 31, 15, 59, 59, 999_999, tzinfo=UTC)
"""The last moment of March in Shanghai."""
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("now", "fee"),
    [
        (BEFORE_APRIL, 50),
        (BEFORE_APRIL + timedelta(microseconds=1), 40),
        (datetime(2026, 4, 30, 15, 59, 59, tzinfo=UTC), 40),
        (datetime(2026, 4, 30, 16, tzinfo=UTC), 30),
        (datetime(2030, 1, 1, tzinfo=UTC), 30),
    ],
)
def test_the_router_counts_with_the_fee_of_the_business_day(now: datetime, fee: int) -> None:
    place = catalogue((channel("tl"),), (rule("tl", fee=50, fees=LATER),))
    (candidate,) = candidates_for(place, MERCHANT_ID, Scene.WITHHOLD, BANK, Payer(), now)
    assert candidate.fee == FixedFee(fee)


def test_an_authentication_costs_what_it_costs_on_its_day() -> None:
    tl = channel("tl", AuthenticationMode.SILENT, authentication_fee=100, authentication_fees=(Price(APRIL, 70),))
    place = catalogue((tl,), (rule("tl"),))
    costs = [
        candidates_for(place, MERCHANT_ID, Scene.WITHHOLD, BANK, Payer(), at)[0].authentication_fee
        for at in (BEFORE_APRIL, BEFORE_APRIL + timedelta(microseconds=1))
    ]
    assert costs == [100, 70]


def test_a_payout_costs_what_it_costs_when_it_is_sent() -> None:
    of = PayoutRule(MERCHANT_ID, "tl", PayeeType.PERSONAL, "*", True, FixedFee(50), fees=LATER)
    place = catalogue((channel("tl"),), (), payout_rules=(of,))
    ask = rules_in_force(lambda: place, ZONE)

    def answer(now: datetime) -> RuleAnswer:
        return ask(RuleQuestion(MERCHANT_ID, "tl", PayeeType.PERSONAL, BANK, 1_000, 0, now))

    assert answer(BEFORE_APRIL).expected_fee == 50
    assert answer(BEFORE_APRIL + timedelta(microseconds=1)).expected_fee == 40


@given(st.integers(), st.dictionaries(DAYS, st.integers(), max_size=8), DAYS)
@examples(100)
def test_the_last_price_that_has_begun_is_in_force(first: int, later: dict[date, int], day: date) -> None:
    begun = [begins for begins in later if begins <= day]
    prices = in_order(Price(begins, fee) for begins, fee in later.items())
    assert in_force(first, prices, day) == (later[max(begun)] if begun else first)


def test_two_prices_of_one_day_are_refused() -> None:
    with pytest.raises(PriceError, match="has two prices from 2026-04-01 on"):
        in_order([Price(APRIL, 1), Price(MAY, 2), Price(APRIL, 1)])
    with pytest.raises(PriceError, match=f"more than {MAX_PRICES}"):
        in_order(Price(APRIL + timedelta(days=number), 1) for number in range(MAX_PRICES + 1))


@given(st.dictionaries(DAYS, fees(), max_size=4), st.dictionaries(DAYS, st.integers(0, 10**9), max_size=4))
@examples(30)
def test_prices_are_read_as_they_were_written(of_rules: dict[date, object], amounts: dict[date, int]) -> None:
    prices = in_order(Price(day, fee) for day, fee in of_rules.items())
    assert fees_from_json(fees_to_json(prices)) == prices  # type: ignore[arg-type]
    of_channels = in_order(Price(day, fee) for day, fee in amounts.items())
    assert amounts_from_json(amounts_to_json(of_channels)) == of_channels
    assert (fees_from_json(None), amounts_from_json(None)) == ((), ())
