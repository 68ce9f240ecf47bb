"""A payment, as a value; and what the ends of its intents mean for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card
from gateway.domain.checkouts import CheckoutRef
from gateway.domain.codes import EXPIRES_IN_S, Asked, ClosedReason, Purpose
from gateway.domain.failures import CODE_REFUSALS, Blame, Failure, FailureCode, as_told, failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, IntentState
from gateway.domain.outcomes import CodeOutcome, CodeSent, Declined, NotSent, Unknown
from gateway.domain.scenes import CUSTODY_SCENES, Kind, Scene
from gateway.domain.statuses import FINAL, Status, move

__all__ = [
    "FINAL",
    "Payment",
    "Status",
    "after_authentication",
    "after_hearing",
    "after_sms",
    "asked_anew",
    "authenticating",
    "begun",
    "closed",
    "closed_as_not_found",
    "failed",
    "in_line",
    "never_sent",
    "on_a_page",
    "sms_refusal",
]


@dataclass(frozen=True, slots=True)
class Payment:
    """What the business asked for, and what became of it. Amounts and fees in fen."""

    merchant_id: UUID
    payment_id: UUID
    app: str
    merchant_order_no: str
    kind: Kind
    scene: Scene
    user_id: str
    bank: str
    amount: int
    currency: str
    status: Status
    card: Card | None
    channel: str | None
    account: str | None
    channel_order_no: str | None
    """The number of the order to pay at the PSP, chosen at opening. Its intent takes it when it is recorded."""
    authentication_id: UUID | None
    """The authentication that it needs first: its own, or that of another payment that it waits for."""
    expected_fee: int | None
    """What the router counted with."""
    fee: int | None
    """What the PSP is owed: None until the money is known to have moved."""
    authentication_fee: int | None
    """What the authentication costs that this payment started; None: it started none, or none was sent."""
    failure: Failure | None
    attempt: Intent | None
    """The intent that moves its money; None: nothing has been sent."""
    due_at: datetime | None
    """When the PSP is asked next, or what waits is looked at."""
    until_at: datetime | None
    """When a wait ends by our own clock."""
    sequence: int
    """How many events the payment has had."""
    created_at: datetime
    finished_at: datetime | None
    business_day: date
    description: str | None
    metadata: Mapping[str, Any]
    refunded: int = 0
    settled: int = 0
    customer_present: bool = False
    expires_in_s: int | None = None
    asked: Asked | None = None
    """The code that the payer is asked for, or will be: to sign the card, or to pay."""
    closed_reason: ClosedReason | None = None
    custody_user_no: str | None = None
    """The payer's number at the custody bank, where it is not `user_id`."""
    psp_code: str | None = None
    """Custody: whom the bank charges through, as the bank calls them: what the channel said when it was chosen."""
    checkout: CheckoutRef | None = None
    """The checkout that it is a try of."""
    corrects: UUID | None = None
    """The payment whose money it takes as paid, by an operator's word: `attempt` is that one's."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in FINAL

    @property
    def was_paid_late(self) -> bool:
        """Whether it ended without its money, and its PSP called it paid afterwards."""
        if self.attempt is not None:
            return self.attempt.late_success
        return self.is_final and self.asked is not None and self.asked.called_paid

    @property
    def waits_for_authentication(self) -> bool:
        """Whether it has sent nothing, since its card is being authenticated."""
        if self.is_final or self.attempt is not None or self.authentication_id is None:
            return False
        return self.asked is None or self.asked.purpose is Purpose.SIGN or self.asked.sms == 0

    @property
    def custody_number(self) -> str | None:
        """The payer's number at the custody bank; None: no custody bank has to do with it."""
        return (self.custody_user_no or self.user_id) if self.scene in CUSTODY_SCENES else None

    @property
    def is_on_a_page(self) -> bool:
        """Whether its payer pays it on a page of the PSP's, or was to."""
        return self.asked is not None and self.asked.purpose is Purpose.REDIRECT

    @property
    def expires_at(self) -> datetime | None:
        """Until when its payer may pay it on the PSP's page; None: that is not how it is paid."""
        if not self.is_on_a_page:
            return None
        return self.created_at + timedelta(seconds=self.expires_in_s or EXPIRES_IN_S)

    @property
    def has_code_in_the_air(self) -> bool:
        """Whether a code was submitted, or an order sent, that has had no final answer."""
        return self.attempt is not None and self.attempt.is_open

    @property
    def order_may_be_paid(self) -> bool:
        """Whether the PSP was sent an order that it may pay though nobody typed a code: closing it needs a question."""
        return self.attempt is not None and self.asked is not None and self.asked.by_pay

    @property
    def waits_for_proof(self) -> bool:
        """Whether its payer's time is over, and nothing but that its PSP may pay the order keeps it open."""
        expired = self.status is Status.REQUIRES_ACTION and self.asked is not None and self.asked.expired
        return expired and self.order_may_be_paid and not self.has_code_in_the_air

    @property
    def waits_for_place(self) -> bool:
        """Whether nothing of it was sent, since its channel had no place: it stands in line until `until_at`."""
        sent = self.attempt is not None or self.authentication_id is not None or self.asked is not None
        return self.status is Status.PROCESSING and not sent


def begun(payment: Payment, attempt: Intent, due_at: datetime) -> Payment:
    """The payment whose intent to pay is recorded now. A code is on its way with it, or none is needed."""
    before = payment.attempt
    assert before is None or before.state in _TOOK_NOTHING, "one intent to pay; another only after it took nothing"
    asked = payment.asked
    if asked is not None and asked.purpose is Purpose.PAY:
        asked = replace(asked, submitted=attempt.ordinal)
    until_at = payment.until_at if payment.status is Status.REQUIRES_ACTION else None
    return replace(payment, attempt=attempt, due_at=due_at, until_at=until_at, asked=asked)


def on_a_page(payment: Payment, asked: Asked, attempt: Intent, due_at: datetime) -> Payment:
    """The payment that its payer is to pay on the PSP's page: their browser carries its intent out. That is told."""
    assert payment.status is Status.PROCESSING, "it begins so"
    after = replace(
        payment,
        status=move(ObjectKind.PAYMENT, None, Status.REQUIRES_ACTION),
        sequence=payment.sequence + 1,
        asked=asked,
        attempt=attempt,
        due_at=due_at,
    )
    return replace(after, until_at=after.expires_at)


_TOOK_NOTHING = frozenset({IntentState.DECLINED, IntentState.NOT_SENT})


def asked_anew(payment: Payment, now: datetime, due_at: datetime) -> Payment:
    """The payment for which one more SMS is asked for now; until the answer is known somebody looks after it."""
    assert payment.asked is not None
    return replace(payment, asked=payment.asked.another(now), due_at=due_at)


def after_sms(payment: Payment, ordinal: int, outcome: CodeOutcome, now: datetime) -> Payment:
    """What the PSP said of the SMS for a code to pay with. Perhaps it was sent: then the payer waits for it."""
    asked = payment.asked
    if payment.is_final or asked is None or not asked.sending or asked.sms != ordinal:
        return payment
    asked = replace(asked, sending=False)
    if isinstance(outcome, CodeSent | Unknown):
        return _waits_for_payer(payment, asked)
    if payment.status is Status.REQUIRES_ACTION:  # the SMS before may still do
        return _waits_for_payer(payment, asked)
    return _finished(payment, Status.FAILED, sms_refusal(outcome), now, asked=asked, due_at=None)


def sms_refusal(outcome: Declined | NotSent) -> Failure:
    """Why no SMS was sent, where that ends it."""
    if isinstance(outcome, NotSent):
        blame = Blame.PLATFORM if outcome.ours else Blame.CHANNEL
        return failure(FailureCode.CHANNEL_UNAVAILABLE, blame=blame, channel_message=outcome.reason)
    return failure(outcome.code, channel_code=outcome.channel_code, channel_message=outcome.channel_message)


def failed(payment: Payment, why: Failure, now: datetime) -> Payment:
    """The payment that cannot go on; nothing of it was sent to be paid."""
    return _finished(payment, Status.FAILED, why, now, due_at=None)


def closed(payment: Payment, reason: ClosedReason, now: datetime) -> Payment:
    """The payment that was given up: nothing can be paid any more."""
    return _finished(payment, Status.CLOSED, None, now, closed_reason=reason, due_at=None)


def closed_as_not_found(payment: Payment, reason: ClosedReason, now: datetime, look_at: datetime | None) -> Payment:
    """The same where all that proves it is that the PSP does not find the order; so it is asked again, at `look_at`."""
    assert payment.attempt is not None
    attempt = replace(payment.attempt, state=IntentState.NOT_RECEIVED, ended_at=now)
    return _finished(payment, Status.CLOSED, None, now, closed_reason=reason, due_at=look_at, attempt=attempt)


def _waits_for_payer(payment: Payment, asked: Asked, **heard_of: Any) -> Payment:
    """The payment that waits for a code. Its entry into this state is told; another SMS for the same is not."""
    known: dict[str, Any] = {
        "asked": asked,
        "due_at": None,
        "until_at": asked.waits_until(payment.created_at, payment.expires_in_s),
        **heard_of,
    }
    if payment.status is Status.REQUIRES_ACTION:
        return replace(payment, **known)
    status = move(ObjectKind.PAYMENT, payment.status, Status.REQUIRES_ACTION)
    return replace(payment, status=status, sequence=payment.sequence + 1, **known)


def in_line(payment: Payment, until_at: datetime) -> Payment:
    """The payment that finds no place on its channel: nothing of it is sent yet, and nothing from `until_at` on."""
    return replace(payment, attempt=None, authentication_id=None, asked=None, due_at=None, until_at=until_at)


def authenticating(payment: Payment, authentication_id: UUID, due_at: datetime) -> Payment:
    """The payment that needs an authentication first: one that it starts, or one that is in flight."""
    return replace(payment, authentication_id=authentication_id, due_at=due_at, until_at=None)


def never_sent(payment: Payment, now: datetime) -> Payment:
    """The payment that stood in line for a place until it was too late. That is nobody's doing but ours."""
    assert payment.waits_for_place, "something of it was sent"
    return _finished(payment, Status.FAILED, failure(FailureCode.CHANNEL_UNAVAILABLE, blame=Blame.PLATFORM), now)


def after_hearing(payment: Payment, heard: Heard, now: datetime) -> Payment:
    """What was heard of its intent to pay, as it is for the payment. Nothing new: the very same payment."""
    attempt = heard.intent
    if attempt is payment.attempt and not heard.moves_due:
        return payment
    heard_of: dict[str, Any] = {"attempt": attempt, "due_at": heard.due_at if heard.moves_due else payment.due_at}
    if payment.is_final:
        late = attempt.late_success and payment.fee is None
        return replace(payment, fee=payment.expected_fee if late else payment.fee, **heard_of)
    if attempt.is_open and payment.asked is not None and payment.is_on_a_page:
        if payment.until_at is not None and payment.until_at <= now:  # its time is over: now only the PSP's word counts
            heard_of |= {"until_at": None, "asked": replace(payment.asked, expired=True)}
        return replace(payment, **heard_of)
    if attempt.is_open:
        # An answer that was no final one ends the payer's part: from now on the PSP is asked.
        if payment.status is Status.REQUIRES_ACTION and heard.moves_due and payment.asked is not None:
            heard_of |= {"status": move(ObjectKind.PAYMENT, payment.status, Status.PROCESSING), "until_at": None}
        return replace(payment, **heard_of)
    if attempt.late_success:  # it took nothing as far as was known, and the payment went on: nothing ended wrongly
        heard_of["attempt"] = replace(attempt, state=IntentState.DONE, late_success=False)
    if attempt.state is IntentState.DONE or attempt.late_success:
        return _finished(payment, Status.SUCCEEDED, None, now, fee=payment.expected_fee, **heard_of)
    if heard.closed is not None:
        reason, asked = heard.closed, payment.asked
        if reason is not ClosedReason.EXPIRED and asked is not None and asked.ask_again_at is not None:
            reason = ClosedReason.BY_PAYER if asked.by_payer else ClosedReason.BY_APP  # somebody here wished so
        return _finished(payment, Status.CLOSED, None, now, closed_reason=reason, **heard_of)
    if payment.asked is not None and payment.asked.purpose is Purpose.PAY:
        return _code_refused(payment, payment.asked, heard, now, heard_of)
    if payment.status is Status.REQUIRES_ACTION and attempt.state is IntentState.NOT_RECEIVED:
        # The user's time and its grace are over, and the PSP has nothing on record.
        return _finished(payment, Status.CLOSED, None, now, closed_reason=ClosedReason.EXPIRED, **heard_of)
    return _finished(payment, Status.FAILED, heard.failure, now, **heard_of)


def _code_refused(payment: Payment, asked: Asked, heard: Heard, now: datetime, heard_of: dict[str, Any]) -> Payment:
    """What was asked to pay took nothing: the payer is asked for a code, or for another one, or it is over."""
    if heard.sms_needed is not None and asked.by_pay:
        if heard.sms_needed.sent and not asked.sending and asked.resends_left == 0:  # by itself, once too often
            return _finished(payment, Status.FAILED, failure(FailureCode.SMS_CODE_EXPIRED), now, **heard_of)
        sent = asked.arrived(now) if heard.sms_needed.sent else replace(asked, sending=False)
        return _waits_for_payer(payment, sent, attempt=heard.intent)
    why = heard.failure
    if asked.expired:  # nobody waits any more: now it is known that nothing was paid
        return _finished(payment, Status.CLOSED, None, now, closed_reason=ClosedReason.EXPIRED, **heard_of)
    if asked.sending:
        asked = replace(asked, sending=False)
        if heard.intent.state is IntentState.NOT_SENT and payment.status is Status.REQUIRES_ACTION:
            return _waits_for_payer(payment, asked, attempt=heard.intent)  # the SMS before may still do
    if why is None or why.code not in CODE_REFUSALS:
        return _finished(payment, Status.FAILED, why, now, **heard_of)
    asked = asked.refused(why.code)
    if asked.is_over(why.code):
        return _finished(payment, Status.FAILED, why, now, **heard_of, asked=asked)
    return _waits_for_payer(payment, asked, attempt=heard.intent)


def after_authentication(payment: Payment, authentication: Authentication, now: datetime) -> Payment:
    """What the end of the authentication means for a payment that waits for it.

    Bound: it is due now, for its intent to pay. A code is asked for: its starter waits for the payer. Else it ends as
    the authentication did, and nothing was charged.
    """
    if not payment.waits_for_authentication:
        return payment
    is_own = authentication.is_own_of(payment.payment_id)
    asks = authentication.status is Status.REQUIRES_ACTION and authentication.asked is not None
    if not authentication.is_final and not (is_own and asks):
        return payment
    if is_own and authentication.was_sent:
        payment = replace(payment, authentication_fee=authentication.fee)
    if not authentication.is_final:
        return _waits_to_sign(payment, authentication)
    if authentication.status is Status.SUCCEEDED:
        return _is_bound(payment, authentication, now)
    asked = _as_signed(payment, authentication)
    if authentication.status is Status.CLOSED and payment.status is Status.REQUIRES_ACTION:
        reason = authentication.closed_reason or ClosedReason.EXPIRED
        return _finished(payment, Status.CLOSED, None, now, closed_reason=reason, asked=asked, due_at=None)
    why = authentication.failure or failure(FailureCode.AUTHENTICATION_UNKNOWN)
    return _finished(payment, Status.FAILED, why, now, asked=asked, due_at=None)


def _as_signed(payment: Payment, authentication: Authentication) -> Asked | None:
    """What the payer was asked for, as the authentication has it."""
    asked, before = authentication.asked, payment.asked
    if asked is None or not authentication.is_own_of(payment.payment_id):
        return before
    if before is None:  # nothing but a word that it was paid can have been told of it so far
        return replace(asked, called_paid=payment.sequence > 0)
    pays = before.then_pays or before.purpose is Purpose.PAY
    return replace(asked, then_pays=pays, by_pay=before.by_pay, called_paid=before.called_paid)


def _waits_to_sign(payment: Payment, authentication: Authentication) -> Payment:
    asked = _as_signed(payment, authentication)
    assert asked is not None, "an authentication that requires action has asked for a code"
    after = _waits_for_payer(payment, asked)
    return payment if after == payment else after


def _is_bound(payment: Payment, authentication: Authentication, now: datetime) -> Payment:
    asked = _as_signed(payment, authentication)
    if asked is not None and asked.then_pays:
        assert payment.channel_order_no is not None
        asked = replace(
            asked, purpose=Purpose.PAY, then_pays=False, number=payment.channel_order_no, told_at=now,
            sms=0, sms_at=None, sending=False, submitted=0, codes_before=0, order_ended=False,
        )  # fmt: skip
    status = payment.status
    if status is Status.REQUIRES_ACTION:
        status = move(ObjectKind.PAYMENT, status, Status.PROCESSING)
    return replace(payment, status=status, asked=asked, until_at=None, due_at=now)


def _finished(payment: Payment, status: Status, why: Failure | None, now: datetime, **heard_of: Any) -> Payment:
    """The payment at its end, which is told: that is one more event. Copied once: it is a wide value."""
    return replace(
        payment,
        status=move(ObjectKind.PAYMENT, payment.status, status),
        failure=as_told(why, payment.kind, payment.scene) if why else None,
        until_at=None,
        finished_at=now,
        sequence=payment.sequence + 1,
        **heard_of,
    )
