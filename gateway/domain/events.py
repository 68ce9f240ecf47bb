"""Events: what is told to apps and merchants, once per state change, byte-identical on every delivery.

And the deliveries of events to endpoints, as they stand in the books.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.domain.statuses import Status


class EventType(StrEnum):
    """Types of events that this gateway sends today."""

    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_REQUIRES_ACTION = "payment.requires_action"
    PAYMENT_CLOSED = "payment.closed"
    PAYMENT_ANOMALY = "payment.anomaly"
    AUTHENTICATION_SUCCEEDED = "authentication.succeeded"
    AUTHENTICATION_FAILED = "authentication.failed"
    AUTHENTICATION_REQUIRES_ACTION = "authentication.requires_action"
    AUTHENTICATION_CLOSED = "authentication.closed"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    REFUND_RETURNED = "refund.returned"
    REFUND_ANOMALY = "refund.anomaly"
    ROUTE_ANOMALY = "route.anomaly"
    CHECKOUT_SUCCEEDED = "checkout.succeeded"
    CHECKOUT_EXPIRED = "checkout.expired"
    CHECKOUT_CANCELED = "checkout.canceled"
    CHECKOUT_ANOMALY = "checkout.anomaly"
    PAYOUT_SUCCEEDED = "payout.succeeded"
    PAYOUT_FAILED = "payout.failed"
    PAYOUT_RETURNED = "payout.returned"
    PAYOUT_ANOMALY = "payout.anomaly"
    CHANNEL_DEGRADED = "channel.degraded"
    CHANNEL_RESTORED = "channel.restored"
    ALERT_RAISED = "alert.raised"
    ALERT_CLEARED = "alert.cleared"
    RECONCILIATION_FINISHED = "reconciliation.finished"
    RECONCILIATION_DIFFERENCE_FOUND = "reconciliation.difference_found"


EVENTS_OF: Mapping[ObjectKind, Mapping[Status, EventType]] = {
    ObjectKind.PAYMENT: {
        Status.SUCCEEDED: EventType.PAYMENT_SUCCEEDED,
        Status.FAILED: EventType.PAYMENT_FAILED,
        Status.REQUIRES_ACTION: EventType.PAYMENT_REQUIRES_ACTION,
        Status.CLOSED: EventType.PAYMENT_CLOSED,
    },
    ObjectKind.REFUND: {
        Status.SUCCEEDED: EventType.REFUND_SUCCEEDED,
        Status.FAILED: EventType.REFUND_FAILED,
        Status.RETURNED: EventType.REFUND_RETURNED,
    },
    # Only of those that an app asked for by themselves: of one inside a payment, the payment is told.
    ObjectKind.AUTHENTICATION: {
        Status.SUCCEEDED: EventType.AUTHENTICATION_SUCCEEDED,
        Status.FAILED: EventType.AUTHENTICATION_FAILED,
        Status.REQUIRES_ACTION: EventType.AUTHENTICATION_REQUIRES_ACTION,
        Status.CLOSED: EventType.AUTHENTICATION_CLOSED,
    },
    # Its app says itself how it ended.
    ObjectKind.ROUTE: {},
    ObjectKind.CHECKOUT: {
        Status.SUCCEEDED: EventType.CHECKOUT_SUCCEEDED,
        Status.EXPIRED: EventType.CHECKOUT_EXPIRED,
        Status.CANCELED: EventType.CHECKOUT_CANCELED,
    },
    ObjectKind.PAYOUT: {
        Status.SUCCEEDED: EventType.PAYOUT_SUCCEEDED,
        Status.FAILED: EventType.PAYOUT_FAILED,
        Status.RETURNED: EventType.PAYOUT_RETURNED,
    },
    # Told by who watches it: it has no status.
    ObjectKind.CHANNEL: {},
    # Its days are told, and what differs on them.
    ObjectKind.ACCOUNT: {},
    # Told when it is raised, and when it is over.
    ObjectKind.ALERT: {},
}
"""Which change of status of which object is told. `processing` is not: the HTTP answer said it."""

ANOMALY_OF: Mapping[ObjectKind, EventType] = {
    ObjectKind.PAYMENT: EventType.PAYMENT_ANOMALY,
    ObjectKind.REFUND: EventType.REFUND_ANOMALY,
    ObjectKind.ROUTE: EventType.ROUTE_ANOMALY,
    ObjectKind.CHECKOUT: EventType.CHECKOUT_ANOMALY,
    ObjectKind.PAYOUT: EventType.PAYOUT_ANOMALY,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an object. `body` is what every delivery sends, byte for byte."""

    event_id: UUID
    merchant_id: UUID
    app: str | None
    type: EventType
    object: ObjectKind
    object_id: UUID
    sequence: int
    created_at: datetime
    body: bytes = field(repr=False)


class DeliveryStatus(StrEnum):
    """Where the delivery of one event to one endpoint stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    HELD = "held"
    """Its endpoint is stopped: it waits, for as long as that takes, and then has its whole schedule before it."""
    DISCARDED = "discarded"
    """It was held, and an operator said that it is not to be sent."""


@dataclass(frozen=True, slots=True)
class Redelivered:
    """What became of sending an event again: to how many endpoints it goes now, and at how many it is held.

    When no endpoint of the event `runs` nothing was changed. One that was for no endpoint counts as running.
    """

    deliveries: int
    held: int
    runs: bool = True


@dataclass(frozen=True, slots=True)
class EndpointBacklog:
    """What has not reached an endpoint: deliveries that wait for their next try, are held, or were given up."""

    pending: int = 0
    held: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """How an event reached one endpoint, or did not yet. `due_at`: the next try; None: there is none."""

    endpoint_id: UUID
    status: DeliveryStatus
    tries: int
    due_at: datetime | None
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was written, with what became of its deliveries."""

    event_id: UUID
    type: str
    object: ObjectKind
    object_id: UUID
    sequence: int
    created_at: datetime
    body: bytes = field(repr=False)
    deliveries: tuple[RecordedDelivery, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up: what it was about and how its last try ended."""

    event_id: UUID
    endpoint_id: UUID
    endpoint_code: str | None
    """Its code in the catalogue; None when it is not there."""
    app: str | None
    type: str
    object: ObjectKind
    object_id: UUID
    sequence: int
    created_at: datetime
    tries: int
    last_status: int | None
    last_error: str | None
