"""Anomalies as operators see and resolve them; `gateway.storage.writing.recording` writes them.

Open ones stand in an index of their own, so that they are found among however many were resolved.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly, Resolution
from gateway.domain.ids import ObjectKind
from gateway.storage.server.database import Connection, Database

__all__ = ["AnomalyStore", "lock_anomalies", "recorded_anomaly"]

ANOMALIES_READ_MAX = 201
"""The API's longest page, and the one more that tells whether there is a next."""

ANOMALY_COLUMNS = (
    "anomaly_id, object, object_id, kind, detail, source, found_at, payment_id, transaction_no, resolved_at,"
    " resolved_by, note, resolution, refund_id, correction_id"
)
_PAGE = """
    AND ($2::uuid IS NULL OR anomaly_id < $2::uuid)
ORDER BY anomaly_id DESC
LIMIT $3
"""
# Two statements, not one with a parameter: only a condition in the text can use the index of open ones.
OPEN = f"SELECT {ANOMALY_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND resolved_at IS NULL {_PAGE}"
RESOLVED = f"SELECT {ANOMALY_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND resolved_at IS NOT NULL {_PAGE}"

RESOLVE = f"""
UPDATE anomalies SET resolved_at = $3, resolved_by = $4, note = $5
WHERE merchant_id = $1 AND anomaly_id = $2 AND resolved_at IS NULL
RETURNING {ANOMALY_COLUMNS}
"""
READ = f"SELECT {ANOMALY_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND anomaly_id = $2"
LOCK = f"""
SELECT {ANOMALY_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND anomaly_id = ANY($2::uuid[])
ORDER BY anomaly_id FOR UPDATE
"""


class AnomalyStore:
    """The anomalies of merchants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def anomalies(
        self, merchant_id: UUID, limit: int, before: UUID | None = None, *, resolved: bool = False
    ) -> list[RecordedAnomaly]:
        """Those that are open, or those that were resolved, newest first. `before`: the last of the page before."""
        statement = RESOLVED if resolved else OPEN
        async with self._database.connection() as connection:
            rows = await connection.fetch(statement, merchant_id, before, min(limit, ANOMALIES_READ_MAX))
            return [recorded_anomaly(row) for row in rows]

    async def anomaly(self, merchant_id: UUID, anomaly_id: UUID) -> RecordedAnomaly | None:
        """One of them as it is now."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(READ, merchant_id, anomaly_id)
        return recorded_anomaly(row) if row is not None else None

    async def resolve(
        self, merchant_id: UUID, anomaly_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAnomaly | None:
        """Explain it; None: no such anomaly. Raises AnomalyResolvedError."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(RESOLVE, merchant_id, anomaly_id, now, by, note)
            if row is not None:
                return recorded_anomaly(row)
            # None is ever deleted, so what is there and was not updated was resolved.
            if await connection.fetchrow(READ, merchant_id, anomaly_id) is None:
                return None
        raise AnomalyResolvedError


async def lock_anomalies(connection: Connection, merchant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, RecordedAnomaly]:
    """Some anomalies by id, held: nobody resolves them meanwhile. Whoever locks payments, too, does it before."""
    rows = await connection.fetch(LOCK, merchant_id, list(ids))
    return {row["anomaly_id"]: recorded_anomaly(row) for row in rows}


def recorded_anomaly(row: Mapping[str, Any]) -> RecordedAnomaly:
    """The anomaly of a row. One that was resolved without saying how was explained."""
    resolution = row["resolution"] or (Resolution.EXPLAINED if row["resolved_at"] is not None else None)
    how = Resolution(resolution) if resolution is not None else None
    return RecordedAnomaly(**{**row, "object": ObjectKind(row["object"]), "resolution": how})
