"""Deliveries: one row per event and endpoint, claimed by leases and recorded many at once.

pending → delivered (2xx) | dead (no tries left) | held (its endpoint is stopped; `held` says what comes then);
any → pending or held again by an operator's word.
Each statement is a transaction of its own. Rows are locked in key order, whoever locks them, so nobody deadlocks.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from gateway.domain.events import DeadLetter, DeliveryStatus, RecordedDelivery, Redelivered
from gateway.domain.ids import ObjectKind
from gateway.flows.notify import DeliveryResult, DueDelivery
from gateway.metrics import FLUSH_SECONDS, FLUSH_SIZE
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.batching import Batcher
from gateway.storage.writing.low_water import LowWater
from gateway.storage.writing.with_work import merchants_with_work

RESULTS_PER_FLUSH = 256
RESULTS_WAITING_MAX = 16_384
DEAD_LETTERS_READ_MAX = 201
"""The API's longest page, and the one more that tells whether there is a next."""

WITH_WORK = (
    """deliveries WHERE merchant_id = {merchant} AND status = 'pending' AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at""",
)
# What is done is left out: see `low_water`.
OLDEST_DUE = """
SELECT due_at FROM deliveries WHERE merchant_id = $1 AND status = 'pending' AND due_at >= $2 ORDER BY due_at LIMIT 1
"""

# Each endpoint by its own index: what waits for one that is slow is not looked at when others are claimed.
CLAIM = """
WITH due AS (
    SELECT d.event_id, d.endpoint_id, $3::timestamptz AS lease_until
    FROM unnest($4::uuid[], $5::integer[]) AS r (endpoint_id, room) CROSS JOIN LATERAL (
        SELECT event_id, endpoint_id FROM deliveries
        WHERE merchant_id = $1 AND endpoint_id = r.endpoint_id AND status = 'pending' AND due_at <= $2 AND due_at >= $6
            AND (lease_until IS NULL OR lease_until <= $2)
        ORDER BY due_at LIMIT r.room
        FOR UPDATE SKIP LOCKED
    ) AS d
)
UPDATE deliveries d SET lease_until = due.lease_until
FROM due JOIN events e ON e.merchant_id = $1 AND e.event_id = due.event_id
WHERE d.merchant_id = $1 AND d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
RETURNING d.event_id, d.endpoint_id, d.tries, d.lease_until, e.body
"""

# A row is the sender's as long as it has the tries and the lease that the sender took it with: a second worker changes
# the lease, and so does a redelivery. A row that somebody holds is left out, for the others' results must not wait
# for it: it is sent again when its lease ends.
RECORD = """
WITH told AS MATERIALIZED (
    SELECT * FROM unnest(
        $2::uuid[], $3::uuid[], $4::smallint[], $5::timestamptz[], $6::text[], $7::smallint[], $8::timestamptz[],
        $9::timestamptz[], $10::smallint[], $11::text[]
    ) AS v (
        event_id, endpoint_id, held_tries, held_until, status, tries, due_at, delivered_at, last_status, last_error
    )
),
held AS MATERIALIZED (
    SELECT d.event_id, d.endpoint_id FROM deliveries d
    JOIN told t ON d.event_id = t.event_id AND d.endpoint_id = t.endpoint_id
    WHERE d.merchant_id = $1 AND d.status = 'pending' AND d.tries = t.held_tries AND d.lease_until = t.held_until
    ORDER BY d.event_id, d.endpoint_id
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d
SET status = t.status, tries = t.tries, due_at = t.due_at, delivered_at = t.delivered_at, lease_until = NULL,
    last_status = t.last_status, last_error = t.last_error
FROM told t JOIN held h ON h.event_id = t.event_id AND h.endpoint_id = t.endpoint_id
WHERE d.merchant_id = $1 AND d.event_id = t.event_id AND d.endpoint_id = t.endpoint_id
    AND d.status = 'pending' AND d.tries = t.held_tries AND d.lease_until = t.held_until
RETURNING d.event_id, d.endpoint_id
"""

# The last status and error stay: they tell what the tries before came to. Where no endpoint runs nothing changes, and
# what was for one that left the catalogue stays as it is.
REDELIVER = """
WITH again AS (
    SELECT d.event_id, d.endpoint_id, $3::timestamptz AS asked_at, p.stopped_at IS NULL AS runs FROM deliveries d
    LEFT JOIN endpoints p ON p.merchant_id = $1 AND p.endpoint_id = d.endpoint_id
    WHERE d.merchant_id = $1 AND d.event_id = $2 AND (p.stopped_at IS NULL OR p.removed_at IS NULL)
    ORDER BY d.event_id, d.endpoint_id
    FOR UPDATE OF d
)
UPDATE deliveries d
SET status = CASE WHEN again.runs THEN 'pending' ELSE 'held' END, tries = 0,
    due_at = CASE WHEN again.runs THEN again.asked_at END, lease_until = NULL, delivered_at = NULL
FROM again
WHERE d.merchant_id = $1 AND d.event_id = again.event_id AND d.endpoint_id = again.endpoint_id
    AND EXISTS (SELECT 1 FROM again WHERE runs)
RETURNING d.status
"""
# With one row of nulls for an event that was for no endpoint.
DELIVERIES_OF_EVENT = """
SELECT d.status FROM events e LEFT JOIN deliveries d ON d.merchant_id = $1 AND d.event_id = e.event_id
WHERE e.merchant_id = $1 AND e.event_id = $2
"""

DEAD_LETTERS = """
SELECT d.event_id, d.endpoint_id, p.code AS endpoint_code, e.app, e.type, e.object, e.object_id, e.sequence,
    e.created_at, d.tries, d.last_status, d.last_error
FROM deliveries d JOIN events e ON e.merchant_id = $1 AND e.event_id = d.event_id
LEFT JOIN endpoints p ON p.merchant_id = $1 AND p.endpoint_id = d.endpoint_id
WHERE d.merchant_id = $1 AND d.status = 'dead'
    AND ($2::uuid IS NULL OR (d.event_id, d.endpoint_id) < ($2::uuid, $3::uuid))
ORDER BY d.event_id DESC, d.endpoint_id DESC
LIMIT $4
"""


class DeliveryStore:
    """The books of deliveries. Whoever writes events writes their delivery rows in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks = LowWater(OLDEST_DUE)
        self._batchers: dict[UUID, Batcher[DeliveryResult, bool]] = {}

    async def merchants_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a delivery due that nobody holds."""
        found: list[UUID] = []
        async with self._database.connection() as connection:
            await self._marks.look(connection, merchants, now)
            for group, since in self._marks.groups(merchants, now):
                found += await merchants_with_work(connection, WITH_WORK, group, now, since)
        return found

    async def claim(
        self, merchant_id: UUID, now: datetime, rooms: Mapping[UUID, int], lease_until: datetime
    ) -> list[DueDelivery]:
        """Take due deliveries, the longest due first, and keep others off them until `lease_until`.

        `rooms`: the endpoints whose deliveries are wanted, and how many of each at most.
        """
        async with self._database.connection() as connection:
            await self._marks.look(connection, [merchant_id], now)
            since, wanted = self._marks.of(merchant_id), list(rooms.values())
            rows = await connection.fetch(CLAIM, merchant_id, now, lease_until, list(rooms), wanted, since)
            return [
                DueDelivery(merchant_id, event_id, endpoint_id, tries, body, held_until)
                for event_id, endpoint_id, tries, held_until, body in rows
            ]

    async def record(self, merchant_id: UUID, results: Sequence[DeliveryResult]) -> list[bool]:
        """Write results of one merchant; for each, whether the delivery was still the sender's to write."""
        if not results:
            return []
        columns = [list(column) for column in zip(*map(_row, results), strict=True)]
        async with self._database.connection() as connection:
            rows = await connection.fetch(RECORD, merchant_id, *columns)
            written = {(row["event_id"], row["endpoint_id"]) for row in rows}
        return [(result.due.event_id, result.due.endpoint_id) in written for result in results]

    async def settle(self, result: DeliveryResult) -> bool:
        """Write one result together with whatever else of its merchant is waiting. Raises OverloadedError."""
        merchant_id = result.due.merchant_id
        batcher = self._batchers.get(merchant_id)
        if batcher is None:

            async def flush(results: list[DeliveryResult]) -> list[bool]:
                FLUSH_SIZE.labels("deliveries").observe(len(results))
                with FLUSH_SECONDS.labels("deliveries").time():
                    return await self.record(merchant_id, results)

            batcher = Batcher(flush, max_batch=RESULTS_PER_FLUSH, max_waiting=RESULTS_WAITING_MAX)
            self._batchers[merchant_id] = batcher
        return await batcher.submit(result)

    async def drain(self) -> None:
        """Wait until every result handed to `settle` has been written; before the database is closed."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()

    async def redeliver(self, merchant_id: UUID, event_id: UUID, now: datetime) -> Redelivered | None:
        """Make every delivery of an event due now with all its tries before it; None: no such event.

        At endpoints that are stopped it is held. It creates none: an event that was for no endpoint has none.
        """
        async with self._database.connection() as connection:
            return await redeliver(connection, merchant_id, event_id, now)

    async def dead_letters(
        self, merchant_id: UUID, limit: int = 50, before: tuple[UUID, UUID] | None = None
    ) -> list[DeadLetter]:
        """What was given up, newest first. `before` is the last (event, endpoint) of the page before."""
        event_id, endpoint_id = before or (None, None)
        limit = min(limit, DEAD_LETTERS_READ_MAX)
        async with self._database.connection() as connection:
            rows = await connection.fetch(DEAD_LETTERS, merchant_id, event_id, endpoint_id, limit)
            return [DeadLetter(**{**row, "object": ObjectKind(row["object"])}) for row in rows]


async def redeliver(connection: Connection, merchant_id: UUID, event_id: UUID, now: datetime) -> Redelivered | None:
    """Send an event again, as `DeliveryStore.redeliver`."""
    again = [row["status"] for row in await connection.fetch(REDELIVER, merchant_id, event_id, now)]
    found = [row["status"] for row in await connection.fetch(DELIVERIES_OF_EVENT, merchant_id, event_id)]
    if not found:
        return None
    runs = bool(again) or found == [None]
    return Redelivered(again.count(DeliveryStatus.PENDING), found.count(DeliveryStatus.HELD), runs)


def _row(result: DeliveryResult) -> tuple[object, ...]:
    due = result.due
    return (
        due.event_id,
        due.endpoint_id,
        due.tries,
        due.lease_until,
        result.status,
        result.tries,
        result.due_at,
        result.delivered_at,
        result.last_status,
        result.last_error,
    )


def recorded_delivery(row: Row[Any]) -> RecordedDelivery:
    """The delivery of a row of `deliveries`."""
    return RecordedDelivery(
        endpoint_id=row.endpoint_id,
        status=DeliveryStatus(row.status),
        tries=row.tries,
        due_at=row.due_at,
        last_status=row.last_status,
        last_error=row.last_error,
        delivered_at=row.delivered_at,
    )
