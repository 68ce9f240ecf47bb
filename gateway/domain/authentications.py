"""An authentication (鉴权) of a card on an account, as a value; and what the end of its intent means for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.checkouts import CheckoutRef
from gateway.domain.codes import Asked, ClosedReason
from gateway.domain.failures import CODE_REFUSALS, MEANINGS, Blame, Failure, FailureCode, failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, IntentState
from gateway.domain.outcomes import CodeOutcome, CodeSent, Declined, Unknown
from gateway.domain.statuses import FINAL, Status, move

__all__ = ["Authentication", "after_hearing", "after_sms", "asked_anew", "closed", "submitted"]


@dataclass(frozen=True, slots=True)
class Authentication:
    """The authentication of one card on one account, silently or by a code. `fee` in fen.

    Payments that need it wait for it. One that an app asked for by itself has `app` and `merchant_order_no`, and is
    told by events of its own.
    """

    merchant_id: UUID
    authentication_id: UUID
    payment_id: UUID | None
    """The payment that started it, or whose payer is asked for the code; None: an app asked for it by itself."""
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
    intent: Intent | None
    """The newest that binds the card; None: the payer has not typed a code yet."""
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    asked: Asked | None = None
    """The code that the payer is asked for; None: it is silent."""
    until_at: datetime | None = None
    """Until when the payer may type it."""
    closed_reason: ClosedReason | None = None
    app: str | None = None
    merchant_order_no: str | None = None
    card_masked: str = ""
    sequence: int = 0
    """How many events it has had."""
    expires_in_s: int | None = None
    customer_present: bool = True
    """Whether somebody can type a code, as the app says; of one that a payment needs, the payment says so."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    checkout: CheckoutRef | None = None
    """The checkout that it is a try of."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in FINAL

    @property
    def was_sent(self) -> bool:
        """Whether it costs its fee: the PSP had it, or may have had it."""
        return self.intent is not None and self.intent.state not in {IntentState.NOT_SENT, IntentState.NOT_RECEIVED}

    @property
    def is_told(self) -> bool:
        """Whether it has events of its own."""
        return self.merchant_order_no is not None

    @property
    def has_code_in_the_air(self) -> bool:
        """Whether something was sent to bind the card, a code say, that has had no final answer."""
        return self.intent is not None and self.intent.is_open

    def is_own_of(self, payment_id: UUID) -> bool:
        """Whether this payment started it."""
        return self.payment_id == payment_id


def after_hearing(
    authentication: Authentication, heard: Heard, verified_elsewhere: bool, now: datetime
) -> Authentication:
    """What was heard of its intent, as it is for the authentication.

    `verified_elsewhere`: another account has verified this card, so a refusal is this channel's fault. A silent one
    that needs a code fails here: whether the payer is asked instead is the caller's (`asked_anew`).
    """
    intent = heard.intent
    if intent is authentication.intent and not heard.moves_due:
        return authentication
    due_at = heard.due_at if heard.moves_due else authentication.due_at
    if authentication.is_final or intent.is_open:
        return replace(authentication, intent=intent, due_at=due_at)
    if intent.state is IntentState.DONE:
        return _finished(authentication, Status.SUCCEEDED, now, intent=intent, due_at=due_at)
    why, asked = heard.failure, authentication.asked
    if asked is not None and why is not None and why.code in CODE_REFUSALS and not asked.expired:
        asked = asked.refused(why.code)
        if not asked.is_over(why.code):
            return _waits_for_payer(replace(authentication, intent=intent), asked)
        return _finished(authentication, Status.FAILED, now, intent=intent, due_at=due_at, failure=why, asked=asked)
    refused = intent.state is IntentState.DECLINED
    why = _rejected(why, verified_elsewhere) if refused else why
    contradicts = refused and verified_elsewhere
    return _finished(
        authentication, Status.FAILED, now, intent=intent, due_at=due_at, failure=why, contradicts=contradicts
    )


def asked_anew(authentication: Authentication, now: datetime, due_at: datetime) -> Authentication:
    """The authentication for which one more SMS is asked for now."""
    assert authentication.asked is not None
    return replace(authentication, asked=authentication.asked.another(now), due_at=due_at)


def submitted(authentication: Authentication, intent: Intent, due_at: datetime) -> Authentication:
    """The authentication for which a code is submitted now."""
    assert authentication.asked is not None
    assert not authentication.has_code_in_the_air, "one code at a time"
    asked = replace(authentication.asked, submitted=intent.ordinal)
    return replace(authentication, intent=intent, asked=asked, due_at=due_at)


def after_sms(
    authentication: Authentication, ordinal: int, outcome: CodeOutcome, now: datetime, verified_elsewhere: bool = False
) -> Authentication:
    """What the PSP said of the SMS to sign with. Perhaps it was sent: then the payer waits for it.

    `verified_elsewhere` as of `after_hearing`: many look at the card before they send the SMS.
    """
    asked = authentication.asked
    if authentication.is_final or asked is None or not asked.sending or asked.sms != ordinal:
        return authentication
    asked = replace(asked, sending=False)
    if isinstance(outcome, CodeSent | Unknown) or authentication.status is Status.REQUIRES_ACTION:
        return _waits_for_payer(authentication, asked)
    contradicts = False
    if isinstance(outcome, Declined):
        why, contradicts = _rejected(_said(outcome), verified_elsewhere), verified_elsewhere
    else:
        blame = Blame.PLATFORM if outcome.ours else Blame.CHANNEL
        why = failure(FailureCode.CHANNEL_UNAVAILABLE, blame=blame, channel_message=outcome.reason)
    return _finished(authentication, Status.FAILED, now, asked=asked, due_at=None, failure=why, contradicts=contradicts)


def closed(authentication: Authentication, reason: ClosedReason, now: datetime) -> Authentication:
    """The authentication that was given up: no money was asked for, so no question is needed."""
    return _finished(authentication, Status.CLOSED, now, closed_reason=reason, due_at=None)


def _waits_for_payer(authentication: Authentication, asked: Asked) -> Authentication:
    until_at = asked.waits_until(authentication.created_at, authentication.expires_in_s)
    after = replace(authentication, asked=asked, due_at=until_at, until_at=until_at)
    if authentication.status is Status.REQUIRES_ACTION:
        return after
    return _told(after, Status.REQUIRES_ACTION)


def _finished(authentication: Authentication, status: Status, now: datetime, **known: Any) -> Authentication:
    return _told(replace(authentication, until_at=None, finished_at=now, **known), status)


def _told(authentication: Authentication, status: Status) -> Authentication:
    status = move(ObjectKind.AUTHENTICATION, authentication.status, status)
    return replace(authentication, status=status, sequence=authentication.sequence + authentication.is_told)


def _said(outcome: Declined) -> Failure:
    return failure(outcome.code, channel_code=outcome.channel_code, channel_message=outcome.channel_message)


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
