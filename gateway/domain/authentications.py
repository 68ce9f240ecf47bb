"""An authentication (鉴权) of a card on an account, as a value; and what the end of its intent means for it."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from gateway.domain.failures import MEANINGS, Blame, Failure, FailureCode, failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, IntentState
from gateway.domain.statuses import FINAL, Status, move

__all__ = ["Authentication", "after_hearing"]


@dataclass(frozen=True, slots=True)
class Authentication:
    """The silent authentication of one card on one account. Payments that need it wait for it. `fee` in fen."""

    merchant_id: UUID
    authentication_id: UUID
    payment_id: UUID | None
    """The payment that started it."""
    user_id: str
    card_id: UUID
    bank: str
    channel: str
    account: str
    status: Status
    fee: int
    failure: Failure | None
    contradicts: bool
    """Refused here though another account had verified the card."""
    intent: Intent
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in FINAL

    @property
    def was_sent(self) -> bool:
        """Whether it costs its fee: the PSP had it, or may have had it."""
        return self.intent.state not in {IntentState.NOT_SENT, IntentState.NOT_RECEIVED}

    def is_own_of(self, payment_id: UUID) -> bool:
        """Whether this payment started it."""
        return self.payment_id == payment_id


def after_hearing(
    authentication: Authentication, heard: Heard, verified_elsewhere: bool, now: datetime
) -> Authentication:
    """What was heard of its intent, as it is for the authentication.

    `verified_elsewhere`: another account has verified this card, so a refusal is this channel's fault.
    """
    intent = heard.intent
    if intent is authentication.intent and not heard.moves_due:
        return authentication
    due_at = heard.due_at if heard.moves_due else authentication.due_at
    after = replace(authentication, intent=intent, due_at=due_at)
    if authentication.is_final or intent.is_open:
        return after
    if intent.state is IntentState.DONE:
        status = move(ObjectKind.AUTHENTICATION, authentication.status, Status.SUCCEEDED)
        return replace(after, status=status, finished_at=now)
    refused = intent.state is IntentState.DECLINED
    why = _rejected(heard.failure, verified_elsewhere) if refused else heard.failure
    status = move(ObjectKind.AUTHENTICATION, authentication.status, Status.FAILED)
    return replace(after, status=status, failure=why, contradicts=refused and verified_elsewhere, finished_at=now)


def _rejected(said: Failure | None, verified_elsewhere: bool) -> Failure:
    """The card is good where another account says so, or where it was the channel that could not do it."""
    assert said is not None
    theirs = verified_elsewhere or said.blame is not Blame.PAYER or MEANINGS[said.code].blame is not Blame.PAYER
    return failure(
        FailureCode.AUTHENTICATION_REJECTED,
        blame=Blame.CHANNEL if theirs else Blame.PAYER,
        channel_code=said.channel_code,
        channel_message=said.channel_message,
    )
