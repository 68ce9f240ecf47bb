"""Which days a demonstration holds against statements, also in the hour before midnight. Not here: the runs."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from gateway.run.demo.days import days_to_run, is_near_a_cut

MIDNIGHT, UNIONPAY, ALLINPAY, LATE = time(0), time(23), time(23, 50), time(0, 30)
FIFTH, SIXTH = date(2026, 3, 5), date(2026, 3, 6)


def at(clock: str, day: int = 5) -> datetime:
    return datetime.combine(date(2026, 3, day), time.fromisoformat(clock), ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("cut", "since", "now", "days"),
    [
        (MIDNIGHT, at("12:00"), at("12:05"), [FIFTH]),
        (UNIONPAY, at("12:00"), at("12:05"), [FIFTH]),
        (UNIONPAY, at("22:58"), at("23:02"), [FIFTH, SIXTH]),
        (UNIONPAY, at("23:20"), at("23:25"), [FIFTH, SIXTH]),
        (ALLINPAY, at("23:48"), at("23:52"), [FIFTH, SIXTH]),
        (MIDNIGHT, at("23:58"), at("00:02", 6), [FIFTH, SIXTH]),
        (UNIONPAY, at("23:58"), at("00:02", 6), [FIFTH, SIXTH]),
        (UNIONPAY, at("00:02", 6), at("00:05", 6), [SIXTH]),
        (LATE, at("00:10", 6), at("00:20", 6), [FIFTH]),
        (LATE, at("00:28", 6), at("00:32", 6), [FIFTH, SIXTH]),
    ],
)
def test_the_days_that_a_demonstration_touches(cut: time, since: datetime, now: datetime, days: list[date]) -> None:
    assert days_to_run(cut, since, now) == days


@pytest.mark.parametrize(
    ("now", "is_near"),
    [
        (at("12:00"), False),
        (at("22:24"), False),
        (at("22:26"), True),
        (at("23:20"), True),
        (at("23:59"), True),
        (at("00:34", 6), True),
        (at("00:36", 6), False),
    ],
)
def test_near_a_cut_one_side_waits_for_the_other(now: datetime, is_near: bool) -> None:
    assert is_near_a_cut([UNIONPAY, ALLINPAY], now) is is_near
