"""A payment and its attempt, as values; and the payment object that apps read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gateway.domain.cards import Card
from gateway.domain.failures import MEANINGS, Failure
from gateway.domain.ids import CARD, PAYMENT, channel_order_no, show
from gateway.domain.scenes import Kind, Scene


class Status(StrEnum):
    """Where a payment stands; which may follow which is in `transitions`."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CLOSED = "closed"
    RETURNED = "returned"


class Stage(StrEnum):
    """What an attempt is doing at its PSP."""

    AUTHENTICATING = "authenticating"  # the card is being bound; nothing may be charged
    PAYING = "paying"  # the intent to pay is recorded; it is sent at most once


class DueKind(StrEnum):
    """The one next thing that is due on a payment that is not final."""

    POLL = "poll"  # ask the PSP
    EXPIRE = "expire"  # the user did not act


@dataclass(frozen=True, slots=True)
class Due:
    """When the next thing is due."""

    kind: DueKind
    at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """The submission of a payment to one channel."""

    attempt_id: UUID
    channel: str
    account: str
    stage: Stage
    authentication_id: UUID | None
    submitted_at: datetime
    """When the current stage's intent was recorded: the time that the PSP was, or will be, told."""
    polls: int = 0
    """Queries made in the current stage."""
    acknowledged: bool = False
    """The PSP has said that it knows the order: from then on "not found" proves nothing."""
    not_found: int = 0
    not_found_since: datetime | None = None
    channel_transaction_no: str | None = None
    channel_finished_at: datetime | None = None
    late_success: bool = False


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
    fee: int | None
    failure: Failure | None
    attempt: Attempt | None
    due: Due | None
    sequence: int
    """How many events the payment has had."""
    created_at: datetime
    finished_at: datetime | None
    business_day: date
    description: str | None
    metadata: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected (a payout may still be returned)."""
        return self.status in FINAL


FINAL: frozenset[Status] = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CLOSED, Status.RETURNED})


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def payment_object(payment: Payment, language: str = "en") -> dict[str, Any]:
    """The payment object as apps read it; `language` (`en` or `zh`) is that of the failure's message."""
    attempt, card, failure = payment.attempt, payment.card, payment.failure
    return {
        "id": show(PAYMENT, payment.payment_id),
        "object": "payment",
        "kind": payment.kind,
        "merchant_order_no": payment.merchant_order_no,
        "app": payment.app,
        "scene": payment.scene,
        "user_id": payment.user_id,
        "bank": payment.bank,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.status,
        "channel": payment.channel,
        "channel_order_no": channel_order_no(attempt.attempt_id) if attempt else None,
        "channel_transaction_no": attempt.channel_transaction_no if attempt else None,
        "card": {"id": show(CARD, card.card_id), "masked": card.masked, "bank": card.bank} if card else None,
        "fee": payment.fee,
        "failure": failure_object(failure, language) if failure else None,
        "next_action": None,
        "description": payment.description,
        "created_at": timestamp(payment.created_at),
        "finished_at": timestamp(payment.finished_at),
        "channel_finished_at": timestamp(attempt.channel_finished_at) if attempt else None,
        "business_day": payment.business_day.isoformat(),
        "metadata": payment.metadata,
    }


def failure_object(failure: Failure, language: str) -> dict[str, str | None]:
    """A failure as apps read it."""
    meaning = MEANINGS[failure.code]
    return {
        "code": failure.code,
        "blame": failure.blame,
        "message": meaning.zh if language == "zh" else meaning.en,
        "advice": meaning.advice,
        "channel_code": failure.channel_code,
        "channel_message": failure.channel_message,
    }
