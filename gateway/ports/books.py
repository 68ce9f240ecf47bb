"""The books as the flows and the API see them; `gateway.storage` implements them.

CardNotFoundError         the card that a new order names is not a card of its user
OrderConflictError        the order number was used before with other content
OverloadedError           too much is waiting, or the database is away
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.cards import Card, CardElements
from gateway.domain.events import RecordedEvent
from gateway.domain.ids import ObjectKind
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment, Status
from gateway.domain.timeline import Happening
from gateway.domain.transitions import Source
from router.facts import ChannelFacts

__all__ = [
    "AuthenticationObservation",
    "CardNotFoundError",
    "Observation",
    "OpenResult",
    "OrderConflictError",
    "OverloadedError",
    "PaymentFilter",
    "PaymentKey",
    "PaymentObservation",
    "Reading",
    "Recorded",
    "Recording",
    "StoredCard",
    "UserFacts",
]


@dataclass(frozen=True, slots=True)
class OpenResult:
    """The payment that an order opened: new, or the one that was there before (`replayed`), as it is now.

    `agreement_no` is what the one who submits a new payment needs beside it.
    """

    payment: Payment
    replayed: bool
    agreement_no: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PaymentKey:
    """Whose payment it is: what an observation of it must name."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str


@dataclass(frozen=True, slots=True)
class PaymentObservation:
    """What a PSP said of a payment. What it causes has ids that are made from `observation_id`."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str
    source: Source
    outcome: Outcome
    at: datetime
    observation_id: UUID


@dataclass(frozen=True, slots=True)
class AuthenticationObservation:
    """What a PSP said of the authentication that goes before a payment."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str
    source: Source
    outcome: AuthenticationOutcome
    at: datetime
    observation_id: UUID


Observation = PaymentObservation | AuthenticationObservation


@dataclass(frozen=True, slots=True)
class Recorded:
    """The payment after an observation. `submit`: that recorded the intent to pay, so its bearer must send it now."""

    payment: Payment
    submit: bool


class Recording(Protocol):
    """Where observations go. Returns after the commit."""

    async def record(self, observation: Observation) -> Recorded: ...


class CardNotFoundError(Exception):
    """The card that a new order names is not, or no longer, a card of its user."""


class OrderConflictError(Exception):
    """The order number was used before with other content."""


class OverloadedError(Exception):
    """Too much is waiting, or the database is away. `retry_after_s` tells when to come back, with the same order.

    Where too much waited nothing was recorded; where the database went away, the same order finds out.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"overloaded, retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card of a user with its elements decrypted."""

    card: Card
    elements: CardElements


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """A search of an app's payments, newest first. `before` is the last id of the page before."""

    merchant_order_no: str | None = None
    user_id: str | None = None
    status: Status | None = None
    channel: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


class Reading(Protocol):
    """What the API reads. Everything is of one merchant and one app: another's object is None (404)."""

    async def payment(self, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None: ...

    async def payments(self, merchant_id: UUID, app: str, wanted: PaymentFilter) -> list[Payment]: ...

    async def decision(self, merchant_id: UUID, app: str, payment_id: UUID) -> dict[str, Any] | None:
        """The stored decision record (`router.record`), or None when there is no such payment."""
        ...

    async def timeline(self, merchant_id: UUID, app: str, payment_id: UUID) -> list[Happening] | None:
        """Everything that happened to a payment, oldest first."""
        ...

    async def events(
        self,
        merchant_id: UUID,
        app: str,
        *,
        of: tuple[ObjectKind, UUID] | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> list[RecordedEvent]:
        """Events of the app (`of`: of one object), newest first, each with the state of its deliveries."""
        ...

    async def redeliver(self, merchant_id: UUID, app: str, event_id: UUID, now: datetime) -> int | None:
        """Make every delivery of an event due now, whatever its state; how many, or None: no such event."""
        ...

    async def facts(
        self, merchant_id: UUID, user_id: str, card: CardElements | None, card_id: UUID | None, now: datetime
    ) -> "UserFacts":
        """What the router knows of a user now; locks nothing."""
        ...


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What is known of a user before routing: facts per channel, agreements per account (number by account code)."""

    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    agreements: Mapping[str, str] = field(default_factory=dict, repr=False)
    verified_by: frozenset[str] = frozenset()
    """Providers that have ever verified the card."""
