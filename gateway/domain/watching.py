"""Watching what succeeded and may still come back (退票): when it is asked about next. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.intents import Intent
from gateway.domain.outcomes import AnyOutcome, NotSent
from gateway.domain.terms import Watch

__all__ = ["ASK_AGAIN", "looked", "watched_at"]

ASK_AGAIN: Final = timedelta(minutes=10)
"""When what is watched is asked about that could not be asked."""
PUT_OFF_AT_MOST: Final = timedelta(days=30)
"""For so long after its time: who cannot be asked by then is asked no more."""


def watched_at(watch: Watch | None, succeeded_at: datetime) -> datetime | None:
    """When it is asked about for the first time; None: its provider gives nothing back, or tells it otherwise."""
    return watch.next_at(succeeded_at, 0) if watch is not None else None


def looked(intent: Intent, said: AnyOutcome, watch: Watch | None, now: datetime) -> tuple[Intent, datetime | None]:
    """The intent after a question that told nothing new, and when the next one is: not those that were missed."""
    assert intent.ended_at is not None
    if isinstance(said, NotSent):
        over_at = None if watch is None else intent.ended_at + timedelta(seconds=watch.for_s) + PUT_OFF_AT_MOST
        return intent, now + ASK_AGAIN if over_at is not None and now < over_at else None
    looks, due_at = intent.looks + 1, None
    while watch is not None and (due_at := watch.next_at(intent.ended_at, looks)) is not None and due_at <= now:
        looks += 1
    return replace(intent, looks=looks), due_at
