"""Which days a demonstration has touched, by the PSP's end of the day and by our own. Pure."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Final

from gateway.domain.reconciled import NEAR_CUT
from gateway.domain.statements import PSP_ZONE, day_of, ends_at

__all__ = ["days_to_run", "is_near_a_cut"]

MARGIN: Final = NEAR_CUT + timedelta(minutes=5)
DAY: Final = timedelta(days=1)
MIDNIGHT: Final = time(0)


def days_to_run(day_cut: time, since: datetime, now: datetime) -> list[date]:
    """The PSP's days to hold against their statements, the oldest first.

    In the hour before midnight a PSP may have begun its next day: ours of that hour is held by the day before, and
    matched by the one that has begun. So ours is run, too, if it is any of theirs so far.
    """
    touched = {day_of(moment, cut) for moment in (since, now) for cut in (day_cut, MIDNIGHT)}
    assert since.tzinfo is not None
    assert now.tzinfo is not None
    return sorted(day for day in touched if ends_at(day - DAY, day_cut) <= now.astimezone(PSP_ZONE))


def is_near_a_cut(cuts: Collection[time], now: datetime) -> bool:
    """Whether a day with one of these ends, or ours, ends or has begun so near that one side waits for the other."""
    for cut in {*cuts, MIDNIGHT}:
        day = day_of(now, cut)
        if ends_at(day, cut) - now < MARGIN or now - ends_at(day - DAY, cut) < MARGIN:
            return True
    return False
