"""What is held for stopped endpoints: put there, released in order of creation when they run, or discarded.

An event is written with what its process knows of the endpoint, which may be a moment old. So what stands wrong (held
at an endpoint that runs, pending at one that is stopped) is found from the rows and put right, by every process and
whatever happened before; the catalogue's table says which endpoints run.
Each statement takes a bounded number of rows and is a transaction of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.domain.events import EndpointBacklog
from gateway.metrics import DELIVERIES
from gateway.storage.server.database import Database

__all__ = ["HeldStore"]

CLOCKS_DIFFER = timedelta(seconds=5)
COUNTED_MAX = 100_000
"""What is counted again and again is counted so far: nobody waits longer for more."""

DISCARDED = DELIVERIES.labels("discarded")

MISPLACED = """
SELECT p.endpoint_id, p.stopped_at IS NULL AS runs FROM endpoints p CROSS JOIN LATERAL (
    SELECT 1 FROM deliveries d
    WHERE d.merchant_id = $1 AND d.endpoint_id = p.endpoint_id AND d.status = 'held' LIMIT 1
) AS held WHERE p.merchant_id = $1 AND p.stopped_at IS NULL
UNION ALL
SELECT p.endpoint_id, false FROM endpoints p CROSS JOIN LATERAL (
    SELECT 1 FROM deliveries d
    WHERE d.merchant_id = $1 AND d.endpoint_id = p.endpoint_id AND d.status = 'pending'
        AND (d.lease_until IS NULL OR d.lease_until <= $2) LIMIT 1
) AS pending WHERE p.merchant_id = $1 AND p.stopped_at IS NOT NULL
"""

# What is being sent is its sender's, who holds it afterwards if need be.
HOLD = """
WITH pending AS (
    SELECT event_id, endpoint_id FROM deliveries
    WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'pending' AND (lease_until IS NULL OR lease_until <= $3)
        AND EXISTS (SELECT 1 FROM endpoints p
            WHERE p.merchant_id = $1 AND p.endpoint_id = $2 AND p.stopped_at IS NOT NULL)
    ORDER BY due_at LIMIT $4
    FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET status = 'held', due_at = NULL, lease_until = NULL
FROM pending WHERE d.merchant_id = $1 AND d.event_id = pending.event_id AND d.endpoint_id = pending.endpoint_id
RETURNING d.event_id
"""

# Whoever has the first one releases, so that two processes do not mix the order. A microsecond apart keeps it, and so
# does beginning after what was released before, by another process with a clock that is a little ahead.
RELEASE = """
WITH first AS MATERIALIZED (
    SELECT event_id FROM deliveries
    WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'held' AND event_id = (
        SELECT event_id FROM deliveries
        WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'held' ORDER BY event_id LIMIT 1
    )
    FOR UPDATE SKIP LOCKED
),
held AS MATERIALIZED (
    SELECT event_id, endpoint_id FROM deliveries
    WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'held' AND EXISTS (SELECT 1 FROM first)
        AND EXISTS (SELECT 1 FROM endpoints p
            WHERE p.merchant_id = $1 AND p.endpoint_id = $2 AND p.stopped_at IS NULL)
    ORDER BY event_id LIMIT $4
    FOR UPDATE
),
last AS (
    SELECT greatest($3::timestamptz, max(due_at)) AS due_at FROM deliveries
    WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'pending' AND due_at < $5
),
due AS (
    SELECT event_id, endpoint_id,
        last.due_at + row_number() OVER (ORDER BY event_id) * interval '1 microsecond' AS due_at FROM held, last
)
UPDATE deliveries d SET status = 'pending', tries = 0, due_at = due.due_at, lease_until = NULL
FROM due WHERE d.merchant_id = $1 AND d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
RETURNING d.event_id
"""

DISCARD = """
WITH held AS (
    SELECT event_id, endpoint_id, $3::text AS reason FROM deliveries
    WHERE merchant_id = $1 AND endpoint_id = $2 AND status = 'held'
    ORDER BY event_id LIMIT $4
    FOR UPDATE
)
UPDATE deliveries d SET status = 'discarded', last_error = held.reason
FROM held WHERE d.merchant_id = $1 AND d.event_id = held.event_id AND d.endpoint_id = held.endpoint_id
RETURNING d.event_id
"""

# The states are written out, since an index of some rows is not found by a parameter.
BACKLOGS = {
    status: f"SELECT endpoint_id, count(*) AS found FROM deliveries"
    f" WHERE merchant_id = $1 AND status = '{status}' GROUP BY endpoint_id"
    for status in ("pending", "held", "dead")
}
HELD = """
SELECT e.endpoint_id, held.found AS held FROM unnest($2::uuid[]) AS e (endpoint_id) CROSS JOIN LATERAL (
    SELECT count(*) AS found FROM (
        SELECT 1 FROM deliveries
        WHERE merchant_id = $1 AND endpoint_id = e.endpoint_id AND status = 'held' LIMIT $3
    ) AS first
) AS held WHERE held.found > 0
"""


@dataclass(frozen=True, slots=True)
class HeldStore:
    """Moves deliveries between `pending` and `held` as their endpoints stop and start."""

    database: Database

    async def misplaced(self, merchant_id: UUID, now: datetime) -> dict[UUID, bool]:
        """The merchant's endpoints with something to put right → whether the endpoint runs."""
        async with self.database.connection() as connection:
            return {row["endpoint_id"]: row["runs"] for row in await connection.fetch(MISPLACED, merchant_id, now)}

    async def hold(self, merchant_id: UUID, endpoint_id: UUID, now: datetime, limit: int) -> int:
        """Hold what is pending at an endpoint that is stopped; how many."""
        return await self._moved(HOLD, merchant_id, endpoint_id, now, limit)

    async def release(self, merchant_id: UUID, endpoint_id: UUID, now: datetime, limit: int) -> int:
        """Make what was held at an endpoint that runs due now, the oldest events first; how many.

        0 also when another process is at it.
        """
        return await self._moved(RELEASE, merchant_id, endpoint_id, now, limit, now + CLOCKS_DIFFER)

    async def discard(self, merchant_id: UUID, endpoint_id: UUID, reason: str, limit: int) -> int:
        """Give up what is held at an endpoint, the oldest first; how many."""
        discarded = await self._moved(DISCARD, merchant_id, endpoint_id, reason, limit)
        DISCARDED.inc(discarded)
        return discarded

    async def held(self, merchant_id: UUID, endpoints: Sequence[UUID]) -> dict[UUID, int]:
        """How many are held at each of these endpoints, counted up to `COUNTED_MAX`; one with none is not there."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(HELD, merchant_id, list(endpoints), COUNTED_MAX)
            return {row["endpoint_id"]: row["held"] for row in rows}

    async def backlogs(self, merchant_id: UUID) -> dict[UUID, EndpointBacklog]:
        """What has not reached each of a merchant's endpoints; one that everything reached is not there."""
        found: dict[UUID, dict[str, int]] = {}
        async with self.database.connection() as connection:
            for status, statement in BACKLOGS.items():
                for row in await connection.fetch(statement, merchant_id):
                    found.setdefault(row["endpoint_id"], {})[status] = row["found"]
        return {endpoint_id: EndpointBacklog(**counts) for endpoint_id, counts in found.items()}

    async def _moved(self, statement: str, *values: object) -> int:
        async with self.database.connection() as connection:
            return len(await connection.fetch(statement, *values))
