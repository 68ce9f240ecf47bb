"""A payment, as a value; and what the ends of its intents mean for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card
from gateway.domain.failures import Blame, Failure, FailureCode, advised_for, failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, IntentState
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import FINAL, Status, move

__all__ = [
    "FINAL",
    "Payment",
    "Status",
    "after_authentication",
    "after_hearing",
    "authenticating",
    "begun",
    "in_line",
    "never_sent",
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

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in FINAL

    @property
    def waits_for_authentication(self) -> bool:
        """Whether it has sent nothing, since its card is being authenticated."""
        return self.status is Status.PROCESSING and self.attempt is None and self.authentication_id is not None

    @property
    def waits_for_place(self) -> bool:
        """Whether nothing of it was sent, since its channel had no place: it stands in line until `until_at`."""
        return self.status is Status.PROCESSING and self.attempt is None and self.authentication_id is None


def begun(payment: Payment, attempt: Intent, due_at: datetime) -> Payment:
    """The payment whose intent to pay is recorded now."""
    assert payment.attempt is None, "one intent to pay; another only after the one before took nothing"
    return replace(payment, attempt=attempt, due_at=due_at, until_at=None)


def in_line(payment: Payment, until_at: datetime) -> Payment:
    """The payment that finds no place on its channel: nothing of it is sent yet, and nothing from `until_at` on."""
    return replace(payment, attempt=None, authentication_id=None, due_at=None, until_at=until_at)


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
    if attempt.is_open:
        return replace(payment, **heard_of)
    if attempt.state is IntentState.DONE:
        return _finished(payment, Status.SUCCEEDED, None, now, fee=payment.expected_fee, **heard_of)
    if payment.status is Status.REQUIRES_ACTION and attempt.state is IntentState.NOT_RECEIVED:
        # The user's time and its grace are over, and the PSP has nothing on record.
        return _finished(payment, Status.CLOSED, None, now, **heard_of)
    return _finished(payment, Status.FAILED, heard.failure, now, **heard_of)


def after_authentication(payment: Payment, authentication: Authentication, now: datetime) -> Payment:
    """What the end of the authentication means for a payment that waits for it.

    Bound: it is due now, for its intent to pay. Else it fails as the authentication did, and nothing was charged.
    """
    if not payment.waits_for_authentication or not authentication.is_final:
        return payment
    if authentication.is_own_of(payment.payment_id) and authentication.was_sent:
        payment = replace(payment, authentication_fee=authentication.fee)
    if authentication.status is Status.SUCCEEDED:
        return replace(payment, due_at=now)
    why = authentication.failure or failure(FailureCode.AUTHENTICATION_UNKNOWN)
    return _finished(payment, Status.FAILED, why, now, due_at=None)


def _finished(payment: Payment, status: Status, why: Failure | None, now: datetime, **heard_of: Any) -> Payment:
    """The payment at its end, which is told: that is one more event. Copied once: it is a wide value."""
    return replace(
        payment,
        status=move(ObjectKind.PAYMENT, payment.status, status),
        failure=advised_for(why, payment.kind) if why else None,
        until_at=None,
        finished_at=now,
        sequence=payment.sequence + 1,
        **heard_of,
    )
