"""How long it took until the end of what was sent was known, and until a late word came. Pure."""

from datetime import datetime
from typing import NamedTuple

from gateway.domain.hearing import Heard, Source
from gateway.domain.intents import Intent, IntentState
from gateway.domain.outcomes import AnyOutcome, Closed, Declined, NotFound, Returned, SmsNeeded

__all__ = ["Wait", "wait_of"]

_ENDED_WITHOUT_A_WORD = frozenset({IntentState.NOT_RECEIVED, IntentState.UNKNOWN})
_REFUSALS = (Declined, SmsNeeded, Closed)


class Wait(NamedTuple):
    """What was waited for, and how long."""

    verb: str
    what: str
    """Until its end: by what it was told (poll, callback, operator). After it: `done` or `refused`."""
    seconds: float
    is_late: bool
    """Whether it had ended before, without the PSP's word."""


def wait_of(before: Intent, source: Source, outcome: AnyOutcome, did: Heard, now: datetime) -> Wait | None:
    """The wait that this word ended; None: it ended none, or it is the answer to what was sent."""
    after = did.intent
    if before.is_open:
        if after.is_open or source is Source.ANSWER:
            return None
        return Wait(before.verb, source, max(0.0, (now - before.recorded_at).total_seconds()), is_late=False)
    if before.ended_at is None or not did.moves_due:
        return None
    waited_s = max(0.0, (now - before.ended_at).total_seconds())
    if after.late_success and not before.late_success:
        return Wait(before.verb, "done", waited_s, is_late=True)
    if before.state not in _ENDED_WITHOUT_A_WORD:
        return None
    if isinstance(outcome, Returned) or did.agreement_no is not None:
        return Wait(before.verb, "done", waited_s, is_late=True)
    is_refusal = isinstance(outcome, _REFUSALS) or (isinstance(outcome, NotFound) and source is Source.OPERATOR)
    return Wait(before.verb, "refused", waited_s, is_late=True) if is_refusal else None
