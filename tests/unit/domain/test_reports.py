"""The arithmetic of reports and bills, by tables: rates, what a choice saved, sums, months.

Not here: what the database sums (tests/storage/test_reports.py).
"""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.reports import (
    COUNTED,
    MAX_DAYS,
    Bill,
    BillLine,
    By,
    Charge,
    Days,
    Figures,
    ReportError,
    Saving,
    month_of,
    read_by,
    saving,
    total_of,
)
from router.decide import decide
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.fees import FixedFee
from tests.examples import examples
from tests.unit.domain.samples import NOW

FAILED = LastAttempt("failed", "channel", NOW)
PAYERS = LastAttempt("failed", "payer", NOW)


@pytest.mark.parametrize(
    ("succeeded", "failed", "by_channel", "raw", "of_channel"),
    [
        (0, 0, 0, None, None),
        (0, 3, 0, Fraction(0), None),  # payers had no money: nothing is known of the channel
        (3, 0, 0, Fraction(1), Fraction(1)),
        (6, 4, 2, Fraction(6, 10), Fraction(6, 8)),
        (0, 4, 4, Fraction(0), Fraction(0)),
    ],
)
def test_a_rate_is_of_what_ended_and_of_nothing_there_is_none(
    succeeded: int, failed: int, by_channel: int, raw: Fraction | None, of_channel: Fraction | None
) -> None:
    figures = Figures(attempts=20, succeeded=succeeded, failed=failed, failed_by_channel=by_channel, closed=5, open=5)
    assert (figures.success_rate, figures.channel_success_rate) == (raw, of_channel)


@pytest.mark.parametrize(
    ("fees", "lasts", "bound", "expected"),
    [
        ({"a": 50}, {}, (), Saving()),  # there was no other
        ({"a": 50, "b": 80}, {}, (), Saving(saved=30)),
        ({"a": 50, "b": 50}, {}, (), Saving()),
        ({"a": 50, "b": 80, "c": 90}, {}, (), Saving(saved=30)),
        ({"a": 50, "b": 80}, {"a": FAILED}, (), Saving(kept=True, kept_cost=30)),
        ({"a": 50, "b": 80}, {"a": PAYERS}, (), Saving(saved=30)),
        ({"a": 50, "b": 80}, {"a": FAILED, "b": FAILED}, (), Saving(saved=30)),  # step 9, and the best all the same
        ({"a": 50, "b": 50}, {"a": FAILED}, (), Saving(kept=True)),
        ({"a": 50, "b": 80}, {}, ("b",), Saving(saved=-70)),  # a new card is bound at the cheapest
        ({"a": 50, "b": 80}, {"a": FAILED}, ("b",), Saving(kept=True, kept_cost=-70)),
    ],
)
def test_what_a_choice_saved_or_cost_counts_the_authentication(
    fees: dict[str, int], lasts: dict[str, LastAttempt], bound: tuple[str, ...], expected: Saving
) -> None:
    offers = [Candidate(code, "w", "ICBC", FixedFee(fee), authentication_fee=100) for code, fee in fees.items()]
    facts = {code: ChannelFacts(last_attempt=lasts.get(code), bound=code in bound) for code in fees}
    assert saving(decide(RouteRequest("u", "w", "ICBC", 1000, NOW), offers, facts, 1)) == expected


def test_a_refusal_saves_nothing() -> None:
    assert saving(decide(RouteRequest("u", "w", "ICBC", 1000, NOW), [], {}, 1)) == Saving()


@given(st.lists(st.builds(Figures, **dict.fromkeys(COUNTED, st.integers(-5, 5)), p50_ms=st.just(1)), max_size=5))
@examples(30)
def test_a_sum_of_rows_has_every_sum_and_no_times(rows: list[Figures]) -> None:
    total = total_of(rows)
    assert all(getattr(total, name) == sum(getattr(row, name) for row in rows) for name in COUNTED)
    assert (total.p50_ms, total.p99_ms) == (None, None)


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("", ()),
        ("day", (By.DAY,)),
        ("day, channel", (By.DAY, By.CHANNEL)),
        ("scene,bank,month", (By.SCENE, By.BANK, By.MONTH)),
    ],
)
def test_what_rows_are_apart_by_is_read_in_its_order(text: str, by: tuple[By, ...]) -> None:
    assert read_by(text) == by


@pytest.mark.parametrize(
    ("text", "said"),
    [("day,day", "twice"), ("week", "must be some of day, month, channel, bank, scene"), ("Day", "some")],
)
def test_what_rows_cannot_be_apart_by_is_refused(text: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        read_by(text)


def test_a_month_has_its_days_and_a_report_an_end() -> None:
    assert month_of(2028, 2) == Days(date(2028, 2, 1), date(2028, 2, 29))
    for year, month in ((2026, 13), (2026, 0), (0, 1), (10_000, 1)):
        with pytest.raises(ReportError, match="no month"):
            month_of(year, month)
    Days(date(2026, 1, 1), date(2026, 12, 31))
    with pytest.raises(ReportError, match=f"{MAX_DAYS} days"):
        Days(date(2026, 1, 1), date(2027, 1, 2))
    with pytest.raises(ReportError, match="before 2026-01-02"):
        Days(date(2026, 1, 2), date(2026, 1, 1))


def test_a_bill_is_held_against_what_its_psp_invoices() -> None:
    lines = [
        BillLine(Charge.PAYMENT, "withhold", "ICBC", 3, 900, 60),
        BillLine(Charge.REFUND, "withhold", "ICBC", 1, 300, -20),
    ]
    days = month_of(2026, 3)
    assert Bill("tl", days, lines, 0).fee == 40
    assert [Bill("tl", days, lines, 0, invoiced).apart for invoiced in (None, 40, 45, 0)] == [None, 0, 5, -40]
