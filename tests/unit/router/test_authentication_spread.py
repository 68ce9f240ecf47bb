"""What it costs to authenticate a new card: compared where a merchant spreads it, counted in every report.

Not tested here: that step 6 is right whatever is drawn (test_against_naive).
"""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from router import (
    ChannelFacts,
    Decision,
    FixedFee,
    PercentFee,
    decide,
    explain,
    from_record,
    replay,
    to_answer,
    to_record,
)
from router.fees import compared_fee
from tests.unit.router.cases import request, rule

ALLINPAY = replace(rule("allinpay"), fee=PercentFee(Decimal("0.002"), min=20))
UNIONPAY = rule("unionpay", fee=100, authentication_fee=100)
BOUND = {"unionpay": ChannelFacts(bound=True)}


def routed(spread: int | None, facts: dict[str, ChannelFacts] | None = None, amount: int = 60_000) -> Decision:
    return decide(request(amount, authentication_spread=spread), [ALLINPAY, UNIONPAY], facts or {}, 1)


def compared(decision: Decision) -> dict[str, tuple[object, ...]]:
    seen = to_answer(decision)["candidates"]
    assert isinstance(seen, list)
    return {one["channel"]: (one["fee"], one["authentication_share"], one["compared"]) for one in seen}


def test_without_it_payment_fees_alone_are_compared_and_what_a_new_card_costs_is_still_reported() -> None:
    decision = routed(None)
    assert decision.chosen == "unionpay"
    assert compared(decision) == {"allinpay": (120, 0, 120), "unionpay": (100, 0, 100)}
    # 1.00 and 1.00 to open the card, against 1.20: it did not save 20, it cost 80 more.
    assert decision.saved_against_next == to_record(decision)["saved_against_next"] == -80
    assert "authenticating the card, 1.00 yuan, is not compared" in explain(decision)[-2]


def test_a_card_that_is_bound_there_costs_no_authentication() -> None:
    for spread in (None, 1):
        decision = routed(spread, BOUND)
        assert (decision.chosen, decision.saved_against_next) == ("unionpay", 20)
        assert compared(decision)["unionpay"] == (100, 0, 100)


@pytest.mark.parametrize(
    ("spread", "chosen", "share", "told", "saved"),
    [(1, "allinpay", 100, 200, 80), (4, "allinpay", 25, 125, 80), (5, "unionpay", 20, 120, -80),
     (6, "unionpay", "50/3", 117, -80), (1000, "unionpay", "1/10", 100, -80)],
)  # fmt: skip
def test_it_is_spread_over_so_many_payments(spread: int, chosen: str, share: object, told: int, saved: int) -> None:
    # With 5 both compare 120: the larger priority, else the code decides; here priority does.
    decision = decide(
        request(60_000, authentication_spread=spread),
        [ALLINPAY, rule("unionpay", fee=100, authentication_fee=100, priority=1)],
        {},
        1,
    )
    assert decision.chosen == chosen
    assert compared(decision)["unionpay"] == (100, share, told)
    assert decision.saved_against_next == saved
    assert (told == 100) is ("1/" not in explain(decision)[-2])


def test_fee_and_share_are_added_exactly_and_rounded_once() -> None:
    percent = PercentFee(Decimal("0.001"))
    # 0.4 and 1/10: 0.5 is 1, though 0.4 alone is 0.
    assert compared_fee(percent, 400, 1, 10) == 1
    assert compared_fee(percent, 390, 1, 10) == 0
    # The share comes after the bounds.
    assert compared_fee(PercentFee(Decimal("0.001"), min=20), 400, 1, 2) == 21
    assert compared_fee(PercentFee(Decimal("0.001"), max=20), 400_000, 99, 2) == 70
    assert compared_fee(FixedFee(100), 1, 1, 3) == 100


@pytest.mark.parametrize("spread", [None, 3])
@pytest.mark.parametrize("facts", [{}, BOUND], ids=["new", "bound"])
def test_its_record_is_read_and_replayed(spread: int | None, facts: dict[str, ChannelFacts]) -> None:
    decision = routed(spread, facts)
    record = json.loads(json.dumps(to_record(decision)))
    assert from_record(record) == replay(record) == decision
    assert to_answer(from_record(record)) == to_answer(decision)


def test_a_record_of_before_it_is_read_and_replayed() -> None:
    record = json.loads(json.dumps(to_record(decide(request(60_000), [ALLINPAY, rule("unionpay", fee=100)], {}, 1))))
    assert "compared" not in json.dumps(record)
    assert "authentication" not in json.dumps(record)
    assert compared(replay(record)) == {"allinpay": (120, 0, 120), "unionpay": (100, 0, 100)}
    assert replay(record).saved_against_next == 20


@pytest.mark.parametrize("spread", [0, -1])
def test_nothing_is_spread_over_no_payments(spread: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        request(authentication_spread=spread)
