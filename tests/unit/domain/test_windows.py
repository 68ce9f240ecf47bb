"""When a maintenance window is open: by tables, and against every time at which it begins, written out.

Not tested here: what a window stops (tests/unit/domain/test_values.py), where it is kept (tests/storage).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.windows import LONGEST, Repeats, is_open, why_not

ZONE = ZoneInfo("Asia/Shanghai")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("repeats", "starts_at", "ends_at", "now", "open_"),
    [
        (None, "2026-03-01 02:00", "2026-03-01 04:00", "2026-03-01 02:00", True),
        (None, "2026-03-01 02:00", "2026-03-01 04:00", "2026-03-01 04:00", False),
        (None, "2026-03-01 02:00", "2026-03-01 04:00", "2026-03-02 03:00", False),
        (None, "2026-03-01 02:00", "2026-04-30 04:00", "2026-04-01 03:00", True),
        # Every day, across midnight.
        ("daily", "2026-03-01 23:30", "2026-03-02 00:30", "2026-03-01 00:10", False),
        ("daily", "2026-03-01 23:30", "2026-03-02 00:30", "2026-03-01 23:29", False),
        ("daily", "2026-03-01 23:30", "2026-03-02 00:30", "2026-03-08 23:30", True),
        ("daily", "2026-03-01 23:30", "2026-03-02 00:30", "2026-03-09 00:29", True),
        ("daily", "2026-03-01 23:30", "2026-03-02 00:30", "2026-03-09 00:30", False),
        # Every week: Sunday into Monday.
        ("weekly", "2026-03-01 23:00", "2026-03-02 01:00", "2027-01-03 23:00", True),
        ("weekly", "2026-03-01 23:00", "2026-03-02 01:00", "2027-01-04 00:59", True),
        ("weekly", "2026-03-01 23:00", "2026-03-02 01:00", "2027-01-05 00:30", False),
        ("weekly", "2026-03-01 23:00", "2026-03-02 01:00", "2026-02-22 23:30", False),
        # Every month: on the 31st, so on the last day of shorter ones, and into the next.
        ("monthly", "2026-01-31 23:00", "2026-02-01 02:00", "2026-02-28 23:00", True),
        ("monthly", "2026-01-31 23:00", "2026-02-01 02:00", "2026-03-01 01:59", True),
        ("monthly", "2026-01-31 23:00", "2026-02-01 02:00", "2026-03-01 02:00", False),
        ("monthly", "2026-01-31 23:00", "2026-02-01 02:00", "2026-03-30 23:30", False),
        ("monthly", "2026-01-31 23:00", "2026-02-01 02:00", "2026-04-30 23:30", True),
        ("monthly", "2026-01-30 01:00", "2026-01-30 02:00", "2028-02-29 01:30", True),
        ("monthly", "2026-01-29 01:00", "2026-01-29 02:00", "2027-02-28 01:30", True),
        ("monthly", "2026-01-29 01:00", "2026-01-29 02:00", "2027-03-28 01:30", False),
        ("monthly", "2026-12-31 23:00", "2027-01-01 01:00", "2028-01-01 00:30", True),
        ("monthly", "2026-12-31 23:00", "2027-01-01 01:00", "2026-12-01 00:30", False),
    ],
)
def test_a_window_is_open(repeats: str | None, starts_at: str, ends_at: str, now: str, open_: bool) -> None:
    again = Repeats(repeats) if repeats else None
    asked = (local(starts_at).astimezone(UTC), local(ends_at).astimezone(UTC), again, ZONE, local(now).astimezone(UTC))
    assert is_open(*asked) is open_


def begins_at(first: datetime, repeats: Repeats) -> Iterator[datetime]:
    """Every time at which a window begins."""
    if repeats is not Repeats.MONTHLY:
        days = {Repeats.DAILY: 1, Repeats.WEEKLY: 7}[repeats]
        yield from (first + timedelta(days=days * number) for number in count())
    for number in count():
        day, month = first.day, first.month - 1 + number
        while True:
            try:
                yield first.replace(year=first.year + month // 12, month=month % 12 + 1, day=day)
                break
            except ValueError:  # a month that is shorter
                day -= 1


MINUTES = 3 * 366 * 24 * 60
MOMENTS = st.integers(0, MINUTES).map(lambda minutes: local("2026-01-01 00:00") + timedelta(minutes=minutes))


@given(MOMENTS, MOMENTS, st.sampled_from(Repeats), st.integers(1, 27 * 86_400))
def test_a_window_that_repeats_is_open_from_each_beginning_for_its_length(
    starts_at: datetime, now: datetime, repeats: Repeats, length_s: int
) -> None:
    length = min(timedelta(seconds=length_s), LONGEST[repeats] - timedelta(seconds=1))
    expected = False
    for begins in begins_at(starts_at, repeats):
        if begins > now:
            break
        expected = expected or now < begins + length
    assert is_open(starts_at, starts_at + length, repeats, ZONE, now) is expected


@given(MOMENTS, st.sampled_from(Repeats), st.integers(1, 86_399))
def test_the_first_time_of_a_window_is_open_whether_it_repeats_or_not(
    starts_at: datetime, repeats: Repeats, length_s: int
) -> None:
    ends_at = starts_at + timedelta(seconds=length_s)
    for now in (starts_at, ends_at - timedelta(seconds=1)):
        assert is_open(starts_at, ends_at, repeats, ZONE, now)
    for now in (starts_at - timedelta(seconds=1), ends_at):
        assert is_open(starts_at, ends_at, None, ZONE, now) is False


@pytest.mark.parametrize("repeats", Repeats)
def test_a_window_that_repeats_ends_before_it_begins_again(repeats: Repeats) -> None:
    starts_at = local("2026-01-31 00:00")
    assert why_not(starts_at, starts_at + LONGEST[repeats] - timedelta(seconds=1), repeats) is None
    assert "since it repeats" in str(why_not(starts_at, starts_at + LONGEST[repeats], repeats))
    assert why_not(starts_at, starts_at, repeats) == "must be after starts_at"
    assert why_not(starts_at, starts_at + timedelta(days=365), None) is None
