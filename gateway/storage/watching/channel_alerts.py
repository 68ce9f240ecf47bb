"""What is told of channels: the alert, and with it, in one transaction, the event to the endpoints that want it.

Events of a channel are numbered without a gap, whoever tells them: their counter is a row that is locked until the
event is there. Whoever comes second changes no alert, and so tells nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.alerts import AlertKind, Severity
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Event, EventType
from gateway.domain.ids import ObjectKind
from gateway.domain.rates import Change, Counted
from gateway.metrics import EVENTS
from gateway.objects.channel_health import channel_event
from gateway.storage.server.database import Connection, Database
from gateway.storage.watching.alerts import CLEAR, RAISE

__all__ = ["ChannelAlertStore", "next_sequence", "write_event"]

NEXT: Final = """
INSERT INTO event_counters (merchant_id, object, code, sequence) VALUES ($1, $2, $3, 1)
ON CONFLICT (merchant_id, object, code) DO UPDATE SET sequence = event_counters.sequence + excluded.sequence
RETURNING sequence
"""
EVENT: Final = """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
VALUES ($1, $2, NULL, $3, $4, $5, $6, $7, $8, $9)
"""
DELIVERIES: Final = """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at)
SELECT $1, $2, e.endpoint_id, CASE WHEN e.held THEN 'held' ELSE 'pending' END, 0,
    CASE WHEN e.held THEN NULL ELSE $5::timestamptz END
FROM unnest($3::uuid[], $4::boolean[]) AS e (endpoint_id, held)
"""
KIND: Final = AlertKind.CHANNEL_DEGRADED


@dataclass(frozen=True, slots=True)
class ChannelAlertStore:
    """Implements `watch.channels.Telling`."""

    database: Database
    catalogue: Callable[[], Catalogue]
    new_id: Callable[[], UUID]

    async def change(
        self, merchant_id: UUID, what: Counted, change: Change, shown: Mapping[str, Any], now: datetime
    ) -> bool:
        """Tell that it is degraded, or well again; whether that is new."""
        async with self.database.transaction() as connection:
            if change is Change.DEGRADED:
                kind = EventType.CHANNEL_DEGRADED
                told = await self._raise(connection, merchant_id, what, shown, now)
            else:
                kind = EventType.CHANNEL_RESTORED
                told = bool(await connection.fetch(CLEAR, merchant_id, KIND.value, str(what), now))
            if not told:
                return False
            sequence = await next_sequence(connection, merchant_id, ObjectKind.CHANNEL, what.channel)
            event = channel_event(merchant_id, what.channel, kind, sequence, self.new_id(), now, shown)
            await write_event(connection, event, self.catalogue())
        EVENTS.labels(event.type).inc()
        return True

    async def _raise(
        self, connection: Connection, merchant_id: UUID, what: Counted, shown: Mapping[str, Any], now: datetime
    ) -> bool:
        alert_id, detail = self.new_id(), orjson.dumps(dict(shown)).decode()
        place = (merchant_id, alert_id, KIND.value, str(what))
        return bool(await connection.fetchval(RAISE, *place, Severity.CRITICAL.value, detail, now) == alert_id)


async def next_sequence(connection: Connection, merchant_id: UUID, kind: ObjectKind, code: str) -> int:
    """The number of the next event of what has a code and no id. In a transaction that writes it."""
    return int(await connection.fetchval(NEXT, merchant_id, kind.value, code))


async def write_event(connection: Connection, event: Event, catalogue: Catalogue) -> None:
    """An event of no app, with a delivery to each endpoint that wants it, for any worker to take."""
    endpoints = catalogue.endpoints_for(event.merchant_id, event.app, event.type)
    await connection.execute(
        EVENT, event.merchant_id, event.event_id, event.type.value, event.object.value, event.object_id,
        event.sequence, event.body, len(endpoints), event.created_at,
    )  # fmt: skip
    ids, held = [each.endpoint_id for each in endpoints], [each.stopped for each in endpoints]
    await connection.execute(DELIVERIES, event.merchant_id, event.event_id, ids, held, event.created_at)
