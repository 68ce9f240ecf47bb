"""Anomalies as operators see and resolve them; `gateway.storage.writing.recording` writes them.

Open ones stand in an index of their own, so that they are found among however many were resolved.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly
from gateway.domain.ids import ObjectKind
from gateway.storage.server.database import Database

__all__ = ["AnomalyStore"]

ANOMALIES_READ_MAX = 201
"""The API's longest page, and the one more that tells whether there is a next."""

_COLUMNS = "anomaly_id, object, object_id, kind, detail, source, found_at, resolved_at, resolved_by, note"
_PAGE = """
    AND ($2::uuid IS NULL OR anomaly_id < $2::uuid)
ORDER BY anomaly_id DESC
LIMIT $3
"""
# Two statements, not one with a parameter: only a condition in the text can use the index of open ones.
OPEN = f"SELECT {_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND resolved_at IS NULL {_PAGE}"
RESOLVED = f"SELECT {_COLUMNS} FROM anomalies WHERE merchant_id = $1 AND resolved_at IS NOT NULL {_PAGE}"

RESOLVE = f"""
UPDATE anomalies SET resolved_at = $3, resolved_by = $4, note = $5
WHERE merchant_id = $1 AND anomaly_id = $2 AND resolved_at IS NULL
RETURNING {_COLUMNS}
"""
EXISTS = "SELECT 1 FROM anomalies WHERE merchant_id = $1 AND anomaly_id = $2"


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
            return [_recorded(row) for row in rows]

    async def resolve(
        self, merchant_id: UUID, anomaly_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAnomaly | None:
        """Note what an operator made of it; None: no such anomaly. Raises AnomalyResolvedError."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(RESOLVE, merchant_id, anomaly_id, now, by, note)
            if row is not None:
                return _recorded(row)
            # None is ever deleted or opened again, so what is there and was not updated is resolved.
            if await connection.fetchval(EXISTS, merchant_id, anomaly_id) is None:
                return None
        raise AnomalyResolvedError


def _recorded(row: Mapping[str, Any]) -> RecordedAnomaly:
    return RecordedAnomaly(**{**row, "object": ObjectKind(row["object"])})
