"""A payment and its attempt, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from gateway.domain.cards import Card
from gateway.domain.failures import Failure
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
