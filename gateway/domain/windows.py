"""When a maintenance window is open: once, or again and again by the clock on the wall of the business zone. Pure."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["LONGEST", "Repeats", "is_open", "why_not"]


class Repeats(StrEnum):
    """How a window comes again after its first time, for ever, until it is removed."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    """On the same day of the month; in a month without that day, on its last one."""


LONGEST: Final[Mapping[Repeats, timedelta]] = MappingProxyType(
    {Repeats.DAILY: timedelta(days=1), Repeats.WEEKLY: timedelta(days=7), Repeats.MONTHLY: timedelta(days=28)}
)
"""A window that repeats is shorter than this: it has ended when it begins again."""
_DAYS: Final = {Repeats.DAILY: 1, Repeats.WEEKLY: 7}


def why_not(starts_at: datetime, ends_at: datetime, repeats: Repeats | None) -> str | None:
    """What is wrong with the end of a window; None: nothing."""
    if starts_at >= ends_at:
        return "must be after starts_at"
    if repeats is not None and ends_at - starts_at >= LONGEST[repeats]:
        return f"must be less than {LONGEST[repeats].days * 24} hours after starts_at, since it repeats {repeats}"
    return None


def is_open(starts_at: datetime, ends_at: datetime, repeats: Repeats | None, zone: ZoneInfo, now: datetime) -> bool:
    """Whether a window is open: from its start until before its end, the first time at `starts_at`.

    One that repeats keeps the times that its first start and end have on the wall in `zone`.
    """
    if repeats is None or now < starts_at:
        return starts_at <= now < ends_at
    first, end, at = (moment.astimezone(zone).replace(tzinfo=None) for moment in (starts_at, ends_at, now))
    if repeats is Repeats.MONTHLY:
        return any(begins <= at < begins + (end - first) for begins in _of_months(first, at))
    since = (at - first) % timedelta(days=_DAYS[repeats])
    return since < end - first


def _of_months(first: datetime, at: datetime) -> list[datetime]:
    """When a monthly window begins in the month of `at`, and in the one before, from which it may last."""
    this = at.year * 12 + at.month - 1
    return [begins for month in (this - 1, this) if (begins := _in_month(first, month)) >= first]


def _in_month(first: datetime, month: int) -> datetime:
    year, index = divmod(month, 12)
    last_day = monthrange(year, index + 1)[1]
    return first.replace(year=year, month=index + 1, day=min(first.day, last_day))
