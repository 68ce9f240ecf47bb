"""A refund (退款), as a value; and what the end of its intent means for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gateway.domain.failures import Failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, IntentState
from gateway.domain.outcomes import AnyOutcome, ReturnReason
from gateway.domain.scenes import Scene
from gateway.domain.statuses import FINAL, Status, move
from gateway.domain.terms import Watch
from gateway.domain.watching import looked, watched_at

__all__ = ["Refund", "after_hearing"]


@dataclass(frozen=True, slots=True)
class Refund:
    """Money back to the payer, whole or in part, on the channel that took it. Amounts in fen."""

    merchant_id: UUID
    refund_id: UUID
    app: str
    merchant_order_no: str
    payment_id: UUID
    user_id: str
    scene: Scene
    """That of the payment."""
    amount: int
    currency: str
    status: Status
    reason: str | None
    failure: Failure | None
    returned: ReturnReason | None
    intent: Intent
    due_at: datetime | None
    sequence: int
    """How many events the refund has had."""
    created_at: datetime
    finished_at: datetime | None
    business_day: date
    metadata: Mapping[str, Any]
    anomaly_id: UUID | None = None
    """The anomaly that proves that the money moved which it gives back; None: the payment says so itself."""
    second: str | None = None
    """The PSP's number of the second transaction that it gives back; None: the payment's own."""
    fee_returned: int | None = None
    """What the PSP gives back of its fee, as it said when it took the refund on or did it; None: it did not say."""
    original_transaction_no: str | None = None
    """The PSP's own number of the payment."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected, but for a return."""
        return self.status in FINAL

    @property
    def takes(self) -> bool:
        """Whether its amount counts against what the payment has left: it is in flight, or the money went back."""
        return self.status in {Status.PROCESSING, Status.SUCCEEDED} or self.intent.late_success


def after_hearing(
    refund: Refund, heard: Heard, now: datetime, watch: Watch | None = None, asked: AnyOutcome | None = None
) -> tuple[Refund, ...]:
    """What was heard of its intent, as it is for the refund: the states that it enters, in turn.

    A return that is heard first passes through success. Nothing new: the refund alone, its status as before.
    `watch`: for how long what succeeded may come back. `asked`: what a question was answered with, if it was one.
    """
    intent = heard.intent
    if intent.state is IntentState.DONE and refund.is_final and asked is not None and refund.due_at is not None:
        intent, due_at = looked(intent, asked, watch, now)
        return (replace(refund, intent=intent, due_at=due_at),)
    if intent is refund.intent and not heard.moves_due:
        return (refund,)
    fee_returned = heard.fee_returned if refund.fee_returned is None else refund.fee_returned
    due_at = heard.due_at if heard.moves_due else refund.due_at
    after = replace(refund, intent=intent, due_at=due_at, fee_returned=fee_returned)
    match intent.state:
        case IntentState.OPEN:
            return (after,)
        case IntentState.DONE if not refund.is_final:
            done = _moved(after, Status.SUCCEEDED, now)
            return (done if watch is None else replace(done, due_at=watched_at(watch, now)),)
        case IntentState.RETURNED if refund.status is not Status.RETURNED:
            done = after if refund.status is Status.SUCCEEDED else _moved(after, Status.SUCCEEDED, now)
            back = replace(_moved(done, Status.RETURNED, now), returned=heard.returned)
            return (back,) if done is after else (done, back)
        case IntentState.DONE | IntentState.RETURNED:
            return (after,)
        case _ if refund.is_final:
            return (after,)
        case _:
            return (replace(_moved(after, Status.FAILED, now), failure=heard.failure),)


def _moved(refund: Refund, status: Status, now: datetime) -> Refund:
    after = move(ObjectKind.REFUND, refund.status, status)
    return replace(refund, status=after, finished_at=refund.finished_at or now, sequence=refund.sequence + 1)
