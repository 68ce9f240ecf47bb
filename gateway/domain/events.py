"""Events: what is told to apps and merchants, once per state change, byte-identical on every delivery."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from gateway.domain.ids import EVENT, PAYMENT, show
from gateway.domain.payments import Payment, Status, payment_object, timestamp
from gateway.domain.transitions import Anomaly


class EventType(StrEnum):
    """Types of events that this gateway sends today."""

    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_REQUIRES_ACTION = "payment.requires_action"
    PAYMENT_CLOSED = "payment.closed"
    PAYMENT_ANOMALY = "payment.anomaly"


EVENT_OF_STATUS: dict[Status, EventType] = {
    Status.SUCCEEDED: EventType.PAYMENT_SUCCEEDED,
    Status.FAILED: EventType.PAYMENT_FAILED,
    Status.REQUIRES_ACTION: EventType.PAYMENT_REQUIRES_ACTION,
    Status.CLOSED: EventType.PAYMENT_CLOSED,
}
"""Which change of status is told. `processing` is not: the HTTP answer said it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an object. `body` is what every delivery sends, byte for byte."""

    event_id: UUID
    merchant_id: UUID
    app: str | None
    type: EventType
    object_id: str
    sequence: int
    created_at: datetime
    body: bytes


def payment_event(
    payment: Payment,
    event_type: EventType,
    sequence: int,
    event_id: UUID,
    now: datetime,
    anomaly: Anomaly | None = None,
) -> Event:
    """The event of a payment as it is now. An anomaly stands beside the object, which it does not change."""
    body: dict[str, Any] = {
        "id": show(EVENT, event_id),
        "type": event_type,
        "sequence": sequence,
        "created_at": timestamp(now),
        "data": payment_object(payment),
    }
    if anomaly is not None:
        body["anomaly"] = {"kind": anomaly.kind, "detail": anomaly.detail}
    object_id = show(PAYMENT, payment.payment_id)
    return Event(event_id, payment.merchant_id, payment.app, event_type, object_id, sequence, now, orjson.dumps(body))
