"""The outbox: events and their deliveries, written in the same statement as the change that they tell."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from prometheus_client import Counter as Counted

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Event
from gateway.domain.payments import Payment
from gateway.domain.waits import Wait
from gateway.flows.notify import LEASE, DueDelivery
from gateway.metrics import EVENTS, LATE_WORD_SECONDS, PAYMENTS_ENDED, UNKNOWN_SECONDS
from gateway.storage.tables import deliveries, events
from gateway.storage.writing.statement import Write

HandOver = Callable[[list[DueDelivery]], None]
"""Takes deliveries that have just been committed, to send them without asking the database again."""


def deliveries_of(told: Iterable[Event], catalogue: Catalogue, now: datetime) -> list[DueDelivery]:
    """One delivery for each endpoint that wants each event, leased to the process that writes it, or held."""
    lease = now + LEASE
    return [
        DueDelivery(
            event.merchant_id,
            event.event_id,
            endpoint.endpoint_id,
            0,
            event.body,
            None if endpoint.stopped else lease,
            endpoint.stopped,
        )
        for event in told
        for endpoint in catalogue.endpoints_for(event.merchant_id, event.app, event.type)
    ]


def count_events(told: Iterable[Event]) -> None:
    """Count events that were committed."""
    for event in told:
        EVENTS.labels(event.type).inc()


def count_ended(catalogue: Catalogue, ended: Iterable[Payment]) -> None:
    """Count payments whose end was committed."""
    for payment in ended:
        code = payment.failure.code if payment.failure else ""
        merchant = catalogue.code_of(payment.merchant_id)
        _ended(merchant, payment.channel or "", payment.scene, payment.status, code).inc()


def count_waits(waits: Iterable[Wait]) -> None:
    """Count how long words took that were committed."""
    for wait in waits:
        (LATE_WORD_SECONDS if wait.is_late else UNKNOWN_SECONDS).labels(wait.verb, wait.what).observe(wait.seconds)


@cache
def _ended(*labels: str) -> Counted:
    """Each label is of the catalogue or of a short list, so these are few."""
    return PAYMENTS_ENDED.labels(*labels)


def write_events(
    write: Write,
    told: Sequence[Event],
    due: list[DueDelivery],
    *,
    leased: bool,
    only: str | None = None,
    of_orders: Mapping[UUID, UUID] | None = None,
) -> None:
    """Insert events and their deliveries; with `only`, where that part returned the object as `of_order`.

    `of_orders`: by event, whose order that is where the event is about another object.

    `leased`: this process delivers them itself, at once; otherwise any worker may take them.
    """
    counts = Counter(delivery.event_id for delivery in due)
    created_at = {event.event_id: event.created_at for event in told}
    write.insert(
        events,
        [
            {
                "of_order": (of_orders or {}).get(event.event_id, event.object_id),
                "event_id": event.event_id,
                "app": event.app,
                "type": event.type,
                "object": event.object,
                "object_id": event.object_id,
                "sequence": event.sequence,
                "body": event.body,
                "deliveries": counts[event.event_id],
                "created_at": event.created_at,
            }
            for event in told
        ],
        only=(only, "of_order") if only else None,
        returning="RETURNING event_id",
    )
    write.insert(
        deliveries,
        [
            {
                "event_id": delivery.event_id,
                "endpoint_id": delivery.endpoint_id,
                "status": "held" if delivery.held else "pending",
                "tries": 0,
                "due_at": None if delivery.held else created_at[delivery.event_id],
                "lease_until": delivery.lease_until if leased else None,
            }
            for delivery in due
        ],
        only=("new_events", "event_id"),
    )
