"""Payout rules: which payouts a channel carries, and when the next window opens, by tables and minute by minute.

Not tested here: what a file or a call may say of them (tests/unit/test_payout_rules_in_files, tests/storage).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalogue import Catalogue
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import (
    Day,
    PayoutRefusal,
    PayoutRule,
    PayoutWindow,
    PayoutWindowError,
    in_order,
    opens_at,
    overlap,
    why_not,
    windows_from_json,
    windows_to_json,
)
from router.fees import FixedFee
from tests.examples import examples
from tests.unit.domain.samples import MERCHANT_ID

ZONE = ZoneInfo("Asia/Shanghai")
WEEKDAYS = tuple(Day)[:5]
OFFICE = PayoutWindow("08:30", "17:00", WEEKDAYS)
RULE = PayoutRule(MERCHANT_ID, "tl", PayeeType.PERSONAL, "*", True, FixedFee(100), 500, 800)
"""At most 5.00 each and 8.00 a day."""


def local(text: str, zone: ZoneInfo = ZONE) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


# Thursday is the 5th of March 2026.
NOON = local("2026-03-05 12:00")


@pytest.mark.parametrize(
    ("changed", "amount", "used_today", "now", "expected"),
    [
        ({}, 500, 300, "2026-03-05 12:00", None),
        ({}, 501, 0, "2026-03-05 12:00", "single_limit_exceeded"),
        ({}, 500, 301, "2026-03-05 12:00", "daily_limit_exceeded"),
        ({"single_limit": None}, 801, 0, "2026-03-05 12:00", "daily_limit_exceeded"),
        ({"single_limit": None, "daily_limit": None}, 10**12, 10**15, "2026-03-05 12:00", None),
        ({"enabled": False}, 501, 900, "2026-03-05 20:00", "rule_disabled"),
        # Windows: the first and the last second, the weekend, the end of the day.
        ({"windows": (OFFICE,)}, 1, 0, "2026-03-05 08:29:59", "window_closed"),
        ({"windows": (OFFICE,)}, 1, 0, "2026-03-05 08:30", None),
        ({"windows": (OFFICE,)}, 1, 0, "2026-03-05 16:59:59", None),
        ({"windows": (OFFICE,)}, 1, 0, "2026-03-05 17:00", "window_closed"),
        ({"windows": (OFFICE,)}, 1, 0, "2026-03-07 12:00", "window_closed"),
        ({"windows": (OFFICE, PayoutWindow("12:00", "24:00", (Day.SAT,)))}, 1, 0, "2026-03-07 23:59:59", None),
        # No waiting makes it smaller; a window that opens tomorrow opens on a new day.
        ({"windows": (OFFICE,)}, 501, 0, "2026-03-07 12:00", "single_limit_exceeded"),
        ({"windows": (OFFICE,), "single_limit": None}, 801, 0, "2026-03-07 12:00", "daily_limit_exceeded"),
        ({"windows": (OFFICE,)}, 500, 800, "2026-03-07 12:00", "window_closed"),
    ],
)
def test_a_payout_is_carried_or_told_why_not(
    changed: dict[str, Any], amount: int, used_today: int, now: str, expected: str | None
) -> None:
    told = why_not(replace(RULE, **changed), amount, used_today, local(now).astimezone(UTC), ZONE)
    assert told == expected


def test_without_a_rule_nothing_is_carried() -> None:
    assert why_not(None, 1, 0, NOON, ZONE) is PayoutRefusal.NO_RULE


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-05 00:00", "2026-03-05 08:30"),
        ("2026-03-05 08:29:59.999999", "2026-03-05 08:30"),
        ("2026-03-05 12:00:00.000001", "2026-03-05 12:00:00.000001"),
        ("2026-03-05 17:00", "2026-03-06 08:30"),
        ("2026-03-06 17:00", "2026-03-09 08:30"),  # over the weekend
        ("2026-12-31 18:00", "2027-01-01 08:30"),
        ("2028-02-28 23:00", "2028-02-29 08:30"),
    ],
)
def test_the_next_window_opens(now: str, expected: str) -> None:
    assert opens_at(replace(RULE, windows=(OFFICE,)), local(now).astimezone(UTC), ZONE) == local(expected)


def test_a_rule_without_windows_is_open_always() -> None:
    assert opens_at(RULE, NOON, ZONE) == NOON


def test_windows_go_by_the_clock_of_the_zone() -> None:
    rule = replace(RULE, windows=(PayoutWindow("08:00", "09:00", (Day.FRI,)),))
    at = local("2026-03-06 08:15")  # 00:15 in London, and still Thursday in New York
    assert why_not(rule, 1, 0, at, ZONE) is None
    assert opens_at(rule, at, ZoneInfo("Europe/London")) == local("2026-03-06 16:00")
    assert opens_at(rule, at, ZoneInfo("America/New_York")) == local("2026-03-06 21:00")


@pytest.mark.parametrize(
    ("zone", "window", "now", "expected"),
    [
        # Clocks put forward from 02:00 to 03:00: into the middle of a window, over one, and at midnight.
        ("Europe/Berlin", ("02:15", "04:00"), "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", ("02:15", "02:45"), "2026-03-29T00:00:00Z", "2026-03-30T00:15:00Z"),
        ("Europe/Berlin", ("02:15", "02:45", Day.SUN), "2026-03-23T00:00:00Z", "2026-04-05T00:15:00Z"),
        ("Africa/Cairo", ("00:30", "01:30"), "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z"),
        # A change of clocks in the middle of a window that opens before it, on the day after.
        ("Europe/Berlin", ("01:00", "04:00", Day.SUN), "2026-03-28T11:00:00Z", "2026-03-29T00:00:00Z"),
        # And back, from 03:00 to 02:00: a window of that hour opens twice.
        ("Europe/Berlin", ("02:00", "02:30"), "2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z"),
        ("Europe/Berlin", ("02:00", "02:30"), "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
        ("Europe/Berlin", ("02:10", "02:30"), "2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z"),
        # A Friday that was none.
        ("Pacific/Apia", ("10:00", "11:00", Day.FRI), "2011-12-25T00:00:00Z", "2012-01-05T20:00:00Z"),
    ],
)
def test_where_clocks_are_changed_a_window_opens_when_the_wall_shows_it(
    zone: str, window: tuple[str, str, Day], now: str, expected: str
) -> None:
    opens, closes, *days = window
    rule = replace(RULE, windows=(PayoutWindow(opens, closes, tuple(days) or tuple(Day)),))
    told = opens_at(rule, datetime.fromisoformat(now), ZoneInfo(zone))
    assert told == datetime.fromisoformat(expected)


@st.composite
def windows(draw: st.DrawFn) -> PayoutWindow:
    opens = draw(st.integers(0, 24 * 60 - 1))
    closes = draw(st.integers(opens + 1, 24 * 60))
    days = draw(st.sets(st.sampled_from(Day), min_size=1))
    return PayoutWindow(_clock(opens), _clock(closes), tuple(day for day in Day if day in days))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


CHANGES = (
    ("Asia/Shanghai", "2026-03-05T00:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),  # by half an hour
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),  # at midnight
    ("America/Havana", "2026-11-01T05:00:00Z"),  # back to midnight
)
"""Zones, and when their clocks are changed."""


@given(st.lists(windows(), min_size=1, max_size=3), st.sampled_from(CHANGES), st.integers(-9 * 1440, 1440))
@examples(20)
def test_the_next_window_opens_at_the_first_minute_at_which_a_payout_is_carried(
    several: list[PayoutWindow], change: tuple[str, str], minutes: int
) -> None:
    zone, rule = ZoneInfo(change[0]), replace(RULE, windows=tuple(several))
    now = datetime.fromisoformat(change[1]) + timedelta(minutes=minutes)
    each_minute = (now + timedelta(minutes=passed) for passed in range(15 * 1440))
    first = next(at for at in each_minute if why_not(rule, 1, 0, at, zone) is None)
    assert opens_at(rule, now, zone) == first


# --- what a window may be ---


@pytest.mark.parametrize(
    ("opens", "closes", "days", "field"),
    [
        ("17:00", "08:30", WEEKDAYS, "closes"),
        ("22:00", "02:00", WEEKDAYS, "closes"),
        ("08:30", "08:30", WEEKDAYS, "closes"),
        ("24:00", "24:00", WEEKDAYS, "closes"),
        ("8:30", "17:00", WEEKDAYS, "opens"),
        ("08:60", "17:00", WEEKDAYS, "opens"),
        ("08:30", "24:01", WEEKDAYS, "closes"),
        ("08:30", "17:00\n", WEEKDAYS, "closes"),
        ("08:30", "١٧:٠٠", WEEKDAYS, "closes"),
        ("08:30", "17:00", (), "days"),
        ("08:30", "17:00", (Day.MON, Day.MON), "days"),
        ("08:30", "17:00", (Day.TUE, Day.MON), "days"),
    ],
)
def test_a_window_that_cannot_be_is_refused(opens: str, closes: str, days: tuple[Day, ...], field: str) -> None:
    with pytest.raises(PayoutWindowError) as caught:
        PayoutWindow(opens, closes, days)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([OFFICE], None),
        ([PayoutWindow("08:30", "12:00"), PayoutWindow("12:00", "17:00")], None),
        ([OFFICE, PayoutWindow("09:00", "10:00", (Day.SAT, Day.SUN))], None),
        ([OFFICE, OFFICE], (1, 0, Day.MON)),
        ([PayoutWindow("01:00", "02:00"), OFFICE, PayoutWindow("16:59", "24:00", (Day.FRI, Day.SAT))], (2, 1, Day.FRI)),
    ],
)
def test_windows_that_are_open_at_once_are_found(
    several: list[PayoutWindow], expected: tuple[int, int, Day] | None
) -> None:
    assert overlap(several) == expected


@given(st.lists(windows(), max_size=4), st.randoms())
@examples(15)
def test_windows_are_kept_in_one_order_and_read_as_they_were_written(several: list[PayoutWindow], order: Any) -> None:
    ordered = in_order(several)
    order.shuffle(several)
    assert in_order(several) == ordered == windows_from_json(windows_to_json(ordered))


# --- which rule ---


def test_a_banks_own_rule_comes_before_that_of_every_bank_also_to_say_no() -> None:
    corporate = replace(RULE, payee=PayeeType.CORPORATE, bank="ICBC")
    own = replace(RULE, bank="ABC", enabled=False)
    catalogue = Catalogue(1, payout_rules=(RULE, corporate, own))

    def rule(payee: PayeeType, bank: str, channel: str = "tl") -> PayoutRule | None:
        return catalogue.payout_rule(MERCHANT_ID, channel, payee, bank)

    assert rule(PayeeType.PERSONAL, "ICBC") == rule(PayeeType.PERSONAL, "CMB") == RULE
    assert rule(PayeeType.PERSONAL, "ABC") == own
    assert rule(PayeeType.CORPORATE, "ICBC") == corporate
    assert rule(PayeeType.CORPORATE, "ABC") is None
    assert rule(PayeeType.PERSONAL, "ICBC", "up") is None
    assert catalogue.payout_rules_of(MERCHANT_ID, "tl") == [RULE, corporate, own]
    assert catalogue.payout_rules_of(MERCHANT_ID, "up") == []
