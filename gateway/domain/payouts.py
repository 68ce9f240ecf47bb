"""A payout (代付), as a value: what holds it, and what words, people and our clock mean for it. Pure.

held for app        + released            → its intent is recorded and sent
held for window     + the window opens    → the same
held for suspicion  + confirmed           → another intent on the same order says that it is right
held for app, or suspicion, + refused, or its time is over → failed: nobody confirmed it
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from gateway.domain.failures import Failure, FailureCode, failure
from gateway.domain.hearing import Heard, Source
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent, IntentState, Verb
from gateway.domain.outcomes import AnyOutcome, Processing, ReturnReason, Suspicion
from gateway.domain.payees import PayeeType
from gateway.domain.statuses import FINAL, Status, move
from gateway.domain.terms import Terms, Watch
from gateway.domain.watching import looked, watched_at

__all__ = [
    "HELD_FOR_AT_MOST",
    "Hold",
    "Part",
    "Payout",
    "PayoutFilter",
    "ShownPayee",
    "after_hearing",
    "begun",
    "confirmed",
    "not_confirmed",
]

HELD_FOR_AT_MOST: Final = timedelta(days=7)
"""How long a payout waits for its app, or for a person who says that a suspicion is wrong."""


class Hold(StrEnum):
    """What a payout waits for before the PSP pays it."""

    APP = "app"  # for its settles, and to be released
    SUSPICION = "suspicion"  # the PSP holds it until somebody says that it is right
    WINDOW = "window"  # for the time of day in which its channel may send it


@dataclass(frozen=True, slots=True)
class ShownPayee:
    """Whom a payout goes to, as it may be shown."""

    type: PayeeType
    masked: str
    """Of the account's number: its first six and last four digits."""
    bank: str


@dataclass(frozen=True, slots=True)
class Part:
    """What of a payment a payout pays on, in fen."""

    payment_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class Payout:
    """Money out, to an account of somebody. Amounts in fen."""

    merchant_id: UUID
    payout_id: UUID
    app: str
    merchant_order_no: str
    channel: str
    account: str
    payee: ShownPayee
    amount: int
    currency: str
    purpose: str
    status: Status
    held_for: Hold | None
    suspicion: Suspicion | None
    """What its PSP holds it for."""
    expected_fee: int | None
    """By the channel's rule; None: it has none."""
    fee: int | None
    """What the PSP is owed: None until the money is known to have moved."""
    failure: Failure | None
    returned: ReturnReason | None
    intent: Intent | None
    """The newest; None: nothing of it was ever sent."""
    due_at: datetime | None
    until_at: datetime | None
    """When its hold ends by our clock."""
    parts: int
    """How many payments it settles, in part or whole."""
    settles: int
    """Their sum."""
    sequence: int
    """How many events it has had."""
    created_at: datetime
    finished_at: datetime | None
    business_day: date
    """Of its first intent; of its opening, while there is none."""
    metadata: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected, but for a return."""
        return self.status in FINAL

    @property
    def takes(self) -> bool:
        """Whether its parts count against what their payments have left: it is to be paid, or the money is out."""
        late = self.intent is not None and self.intent.late_success
        return self.status in {Status.PROCESSING, Status.SUCCEEDED} or late

    @property
    def uses(self) -> int:
        """What of the channel's day it takes: nothing before something of it was sent."""
        return self.amount if self.takes and self.intent is not None else 0

    @property
    def is_complete(self) -> bool:
        """Whether it may be sent: it settles nothing, or its parts are its whole amount."""
        return self.settles in (0, self.amount)


@dataclass(frozen=True, slots=True)
class PayoutFilter:
    """A search of payouts, newest first. `before` is the last id of the page before."""

    payout_id: UUID | None = None
    merchant_order_no: str | None = None
    status: Status | None = None
    held_for: Hold | None = None
    channel: str | None = None
    before: UUID | None = None
    limit: int = 50


def begun(payout: Payout, intent_id: UUID, terms: Terms, now: datetime, day: date) -> Payout:
    """The payout with its intent, which whoever drew `intent_id` sends. `day`: the business day of now."""
    intent = Intent(
        intent_id=intent_id,
        object_id=payout.payout_id,
        verb=Verb.PAYOUT,
        ordinal=1,
        channel=payout.channel,
        account=payout.account,
        number=number_of(payout.payout_id),
        told_at=now,
        recorded_at=now,
        amount=payout.amount,
    )
    return replace(payout, intent=intent, held_for=None, until_at=None, due_at=terms.unanswered(now), business_day=day)


def confirmed(payout: Payout, intent_id: UUID, terms: Terms, now: datetime) -> tuple[Payout, Intent]:
    """The payout with the intent that says that it is right, and the one before, which took nothing and is over."""
    before = payout.intent
    assert before is not None, "what is held for a suspicion was sent"
    again = Intent(
        intent_id=intent_id,
        object_id=payout.payout_id,
        verb=Verb.PAYOUT,
        ordinal=before.ordinal + 1,
        channel=before.channel,
        account=before.account,
        number=before.number,
        told_at=before.told_at,
        recorded_at=now,
        amount=before.amount,
        channel_transaction_no=before.channel_transaction_no,
        acknowledged=True,  # the PSP holds it
    )
    over = replace(before, state=IntentState.DECLINED, ended_at=now)
    due_at = terms.unanswered(now)
    return replace(payout, intent=again, held_for=None, suspicion=None, until_at=None, due_at=due_at), over


def not_confirmed(payout: Payout, now: datetime, why: Failure | None = None, look_at: datetime | None = None) -> Payout:
    """The payout that is held, given up. `why`: another reason. `look_at`: when its PSP is asked whether it paid.

    What the PSP holds it may pay all the same: somebody confirms it there, or an earlier confirmation of ours was late.
    """
    intent = payout.intent
    if intent is not None and intent.is_open:
        intent = replace(intent, state=IntentState.DECLINED, ended_at=now)
    return replace(
        _moved(replace(payout, intent=intent, due_at=look_at if intent is not None else None), Status.FAILED, now),
        failure=why or failure(FailureCode.NOT_CONFIRMED),
    )


def after_hearing(
    payout: Payout, heard: Heard, source: Source, said: AnyOutcome, terms: Terms, now: datetime
) -> tuple[Payout, ...]:
    """What was heard of its intent, as it is for the payout: the states that it enters, in turn.

    A return that is heard first passes through success. Nothing new: the payout alone, its status as before.
    """
    intent = heard.intent
    after = replace(payout, intent=intent, due_at=heard.due_at if heard.moves_due else payout.due_at)
    match intent.state:
        case IntentState.OPEN:
            return (_held(after, source, said, now),)
        case IntentState.DONE if not payout.is_final:
            return (_watched(_moved(after, Status.SUCCEEDED, now), terms.watch, now),)
        case IntentState.RETURNED if payout.status is not Status.RETURNED:
            done = after if payout.status is Status.SUCCEEDED else _moved(after, Status.SUCCEEDED, now)
            back = replace(_moved(done, Status.RETURNED, now), returned=heard.returned)
            return (back,) if done is after else (done, back)
        case IntentState.DONE if source is Source.POLL and payout.due_at is not None:
            return (_looked(after, said, terms.watch, now),)
        case IntentState.DONE | IntentState.RETURNED:
            return (after,)
        case _ if payout.is_final:
            # Failed, and done after all: then the PSP is owed its fee.
            return (replace(after, fee=after.expected_fee if intent.late_success else after.fee),)
        case _:
            return (replace(_moved(after, Status.FAILED, now), failure=heard.failure),)


def _held(payout: Payout, source: Source, said: AnyOutcome, now: datetime) -> Payout:
    """Whether its PSP holds it. After it was confirmed only an answer says so again: a notice may be of before."""
    if not isinstance(said, Processing):
        return payout
    assert payout.intent is not None
    if said.suspicion is None:
        free = payout.held_for is Hold.SUSPICION and source is not Source.OPERATOR
        return replace(payout, held_for=None, suspicion=None, until_at=None) if free else payout
    if payout.intent.ordinal > 1 and source not in {Source.ANSWER, Source.POLL}:
        return payout
    # That it is held may be heard again by a question that does not say why.
    why = payout.suspicion if said.suspicion is Suspicion.UNSAID and payout.suspicion else said.suspicion
    until_at = payout.until_at or now + HELD_FOR_AT_MOST
    return replace(payout, held_for=Hold.SUSPICION, suspicion=why, until_at=until_at)


def _watched(payout: Payout, watch: Watch | None, now: datetime) -> Payout:
    """What was paid may come back: it is asked about for as long as its provider gives payouts back."""
    return replace(payout, due_at=watched_at(watch, now))


def _looked(payout: Payout, said: AnyOutcome, watch: Watch | None, now: datetime) -> Payout:
    """Asked after its success, and told nothing new: the next question, not those that were missed."""
    assert payout.intent is not None
    intent, due_at = looked(payout.intent, said, watch, now)
    return replace(payout, intent=intent, due_at=due_at)


def _moved(payout: Payout, status: Status, now: datetime) -> Payout:
    after = move(ObjectKind.PAYOUT, payout.status, status)
    return replace(
        payout,
        status=after,
        held_for=None,
        suspicion=None,
        until_at=None,
        fee=payout.expected_fee if after is Status.SUCCEEDED else payout.fee,
        finished_at=payout.finished_at or now,
        sequence=payout.sequence + 1,
    )
