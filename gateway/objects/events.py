"""How an event is shown: the body that its deliveries send, and the event with its deliveries as the API lists it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import Checkout
from gateway.domain.events import DeadLetter, Event, EventType, RecordedDelivery, RecordedEvent
from gateway.domain.hearing import Anomaly
from gateway.domain.ids import ANOMALY, ENDPOINT, EVENT, PAYMENT, ObjectKind, show, show_object
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.refunds import Refund
from gateway.objects.authentications import authentication_object
from gateway.objects.checkouts import checkout_object
from gateway.objects.payments import payment_object
from gateway.objects.payouts import payout_object
from gateway.objects.refunds import refund_object
from gateway.objects.routes import route_object
from gateway.objects.times import timestamp

__all__ = ["checkout_event", "dead_letter_object", "event_object", "event_of", "merchant_event"]


Told = Payment | Refund | Authentication | RecordedRoute | Payout
"""What has events, but for checkouts: those are told with their tries."""


def event_of(
    about: Told,
    event_type: EventType,
    event_id: UUID,
    now: datetime,
    anomaly: Anomaly | None = None,
) -> Event:
    """The event of an object as it is now, numbered by it. An anomaly stands beside the object, which it does not
    change."""
    kind, object_id, shown = _about(about)
    return _event(about, kind, object_id, shown, event_type, event_id, now, anomaly)


def checkout_event(
    checkout: Checkout,
    tries: Sequence[Payment | Authentication],
    event_type: EventType,
    event_id: UUID,
    now: datetime,
    anomaly: Anomaly | None = None,
) -> Event:
    """The event of a checkout as it is now, with its tries."""
    shown = checkout_object(checkout, tries)
    return _event(checkout, ObjectKind.CHECKOUT, checkout.checkout_id, shown, event_type, event_id, now, anomaly)


def _event(
    about: Told | Checkout,
    kind: ObjectKind,
    object_id: UUID,
    shown: dict[str, Any],
    event_type: EventType,
    event_id: UUID,
    now: datetime,
    anomaly: Anomaly | None,
) -> Event:
    body: dict[str, Any] = {
        "id": show(EVENT, event_id),
        "type": event_type,
        "sequence": about.sequence,
        "created_at": timestamp(now),
        "data": shown,
    }
    if anomaly is not None:
        # The event that tells of an anomaly has its id.
        body["anomaly"] = {"id": show(ANOMALY, event_id), "kind": anomaly.kind, "detail": anomaly.detail}
        if anomaly.payment_id is not None:
            body["anomaly"]["payment"] = show(PAYMENT, anomaly.payment_id)
    return Event(
        event_id=event_id,
        merchant_id=about.merchant_id,
        app=about.app,
        type=event_type,
        object=kind,
        object_id=object_id,
        sequence=about.sequence,
        created_at=now,
        body=orjson.dumps(body),
    )


def merchant_event(
    merchant_id: UUID,
    event_type: EventType,
    kind: ObjectKind,
    object_id: UUID,
    sequence: int,
    event_id: UUID,
    now: datetime,
    shown: Mapping[str, Any],
) -> Event:
    """An event of no app, for the merchant's own endpoints: of a channel, an account."""
    body = {
        "id": show(EVENT, event_id),
        "type": event_type,
        "sequence": sequence,
        "created_at": timestamp(now),
        "data": dict(shown),
    }
    return Event(event_id, merchant_id, None, event_type, kind, object_id, sequence, now, orjson.dumps(body))


def _about(
    about: Told,
) -> tuple[ObjectKind, UUID, dict[str, Any]]:
    if isinstance(about, Payment):
        return ObjectKind.PAYMENT, about.payment_id, payment_object(about)
    if isinstance(about, Authentication):
        return ObjectKind.AUTHENTICATION, about.authentication_id, authentication_object(about)
    if isinstance(about, RecordedRoute):
        return ObjectKind.ROUTE, about.route_id, route_object(about)
    if isinstance(about, Payout):
        return ObjectKind.PAYOUT, about.payout_id, payout_object(about)
    return ObjectKind.REFUND, about.refund_id, refund_object(about)


def event_object(event: RecordedEvent) -> dict[str, Any]:
    """An event with how it reached each endpoint."""
    return {
        "id": show(EVENT, event.event_id),
        "object": "event",
        "type": event.type,
        "object_id": show_object(event.object, event.object_id),
        "sequence": event.sequence,
        "created_at": timestamp(event.created_at),
        "body": orjson.loads(event.body),
        "deliveries": [_delivery(delivery) for delivery in event.deliveries],
    }


def _delivery(delivery: RecordedDelivery) -> dict[str, Any]:
    return {
        "endpoint": show(ENDPOINT, delivery.endpoint_id),
        "status": delivery.status,
        "tries": delivery.tries,
        "due_at": timestamp(delivery.due_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "delivered_at": timestamp(delivery.delivered_at),
    }


def dead_letter_object(letter: DeadLetter) -> dict[str, Any]:
    """A delivery that was given up."""
    return {
        "object": "dead_letter",
        "event": show(EVENT, letter.event_id),
        "endpoint": show(ENDPOINT, letter.endpoint_id),
        "endpoint_code": letter.endpoint_code,
        "app": letter.app,
        "type": letter.type,
        "object_id": show_object(letter.object, letter.object_id),
        "sequence": letter.sequence,
        "created_at": timestamp(letter.created_at),
        "tries": letter.tries,
        "last_status": letter.last_status,
        "last_error": letter.last_error,
    }
