"""Errands for statements: which day of an account is to be fetched, and when it is asked for. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from gateway.domain.statements import PSP_ZONE, StatementRules, day_of, ends_at

__all__ = ["LATE_AFTER", "Errand", "Newest", "again_at", "asked_from", "newest"]

LATE_AFTER: Final = timedelta(hours=3)
"""So long after it should be there a statement that stays away is told of."""
SOON: Final = timedelta(minutes=10)
SELDOM: Final = timedelta(hours=1)
SOON_FOR: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Errand:
    """One day of one account whose statement is to be fetched."""

    merchant_id: UUID
    account: str
    day: date
    tries: int
    told_late: bool


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest day of an account that is over: since when it and ours of that date are, and when its statement is
    asked for first."""

    day: date
    over_at: datetime
    due_at: datetime


def newest(rules: StatementRules, now: datetime) -> Newest:
    """Of the PSP's days."""
    day = day_of(now, rules.day_cut) - timedelta(days=1)
    ours = datetime.combine(day + timedelta(days=1), time(0), PSP_ZONE)
    return Newest(day, max(ends_at(day, rules.day_cut), ours), asked_from(rules, day))


def asked_from(rules: StatementRules, day: date) -> datetime:
    """When its statement is asked for first: the next morning, in the PSP's zone."""
    return datetime.combine(day + timedelta(days=1), rules.ready_at, PSP_ZONE)


def again_at(rules: StatementRules, day: date, now: datetime) -> datetime:
    """When one that was not ready, or could not be had or read, is asked for again: every ten minutes, later hourly."""
    return now + (SOON if now - asked_from(rules, day) < SOON_FOR else SELDOM)
