"""Events of no app: of channels, accounts, alerts. Written with what they tell, for any worker to deliver.

What has a code and no id counts its events in a row that is locked until they are there: no number is missing, whoever
tells.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import Event
from gateway.domain.ids import ObjectKind
from gateway.metrics import EVENTS
from gateway.storage.server.database import Connection

__all__ = ["count_told", "next_sequences", "write_events"]

NEXT: Final = """
INSERT INTO event_counters (merchant_id, object, code, sequence) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, object, code) DO UPDATE SET sequence = event_counters.sequence + excluded.sequence
RETURNING sequence
"""
WRITE: Final = """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, e.event_id, NULL, $2, e.object, e.object_id, e.sequence, e.body, $3, e.created_at
FROM unnest($4::uuid[], $5::text[], $6::uuid[], $7::integer[], $8::bytea[], $9::timestamptz[])
    AS e (event_id, object, object_id, sequence, body, created_at)
"""
DELIVER: Final = """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at)
SELECT $1, e.event_id, n.endpoint_id, CASE WHEN n.held THEN 'held' ELSE 'pending' END, 0,
    CASE WHEN n.held THEN NULL ELSE e.created_at END
FROM unnest($2::uuid[], $3::timestamptz[]) AS e (event_id, created_at)
CROSS JOIN unnest($4::uuid[], $5::boolean[]) AS n (endpoint_id, held)
"""


async def next_sequences(
    connection: Connection, merchant_id: UUID, kind: ObjectKind, code: str, count: int = 1
) -> range:
    """The numbers of the next events of what has a code and no id. In the transaction that writes them, late in it:
    who else tells of the same waits."""
    last = int(await connection.fetchval(NEXT, merchant_id, kind.value, code, count))
    return range(last - count + 1, last + 1)


async def write_events(
    connection: Connection,
    told: Sequence[Event],
    catalogue: Catalogue,
    within_s: float | None = None,
    but: str | None = None,
) -> None:
    """Events of one merchant and no app, each with a delivery to each endpoint that wants it: two statements for each
    type, however many there are. Each has `within_s`; None: as the pool has it. `but`: the code of an
    endpoint that they are not for."""
    for event_type in dict.fromkeys(event.type for event in told):
        events = [event for event in told if event.type is event_type]
        merchant_id, ids, at = events[0].merchant_id, [e.event_id for e in events], [e.created_at for e in events]
        wanting = catalogue.endpoints_for(merchant_id, None, event_type)
        endpoints = [endpoint for endpoint in wanting if but is None or endpoint.code != but]
        await connection.execute(
            WRITE, merchant_id, event_type.value, len(endpoints), ids, [e.object.value for e in events],
            [e.object_id for e in events], [e.sequence for e in events], [e.body for e in events], at,
            timeout=within_s,
        )  # fmt: skip
        if endpoints:
            wanted = [e.endpoint_id for e in endpoints], [e.stopped for e in endpoints]
            await connection.execute(DELIVER, merchant_id, ids, at, *wanted, timeout=within_s)


def count_told(told: Sequence[Event]) -> None:
    """Count events that were committed."""
    for event in told:
        EVENTS.labels(event.type).inc()
