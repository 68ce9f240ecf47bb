"""What waits for a person, by merchant, in numbers: each by an index of its own and bounded, whatever lies there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.domain.reconciled import Class
from gateway.storage.server.database import Database

__all__ = ["COUNTED_MAX", "QUERIES", "AttentionStore"]

STUCK_AFTER: Final = timedelta(minutes=30)
COUNTED_MAX: Final = 10_000
READ_WITHIN_S: Final = 3.0

_A_PERSONS: Final = ", ".join(f"'{each.value}'" for each in Class if each.needs_person)


def _deliveries(status: str) -> str:
    return f"""
SELECT coalesce(p.code, d.endpoint_id::text) AS about, count(*) AS found FROM (
    SELECT endpoint_id FROM deliveries WHERE merchant_id = $1 AND status = '{status}' LIMIT {COUNTED_MAX}
) AS d LEFT JOIN endpoints p ON p.merchant_id = $1 AND p.endpoint_id = d.endpoint_id GROUP BY 1
"""


STUCK: Final = f"""
SELECT channel AS about, count(*) AS found, min(created_at) AS since FROM (
    SELECT channel, status, created_at FROM payments
    WHERE merchant_id = $1 AND (due_at IS NOT NULL OR until_at IS NOT NULL)
    ORDER BY least(due_at, until_at) LIMIT {COUNTED_MAX}
) AS due WHERE status = 'processing' AND created_at < $2 GROUP BY channel
"""
QUERIES: Final[Mapping[AlertKind, str]] = {
    AlertKind.STUCK_PAYMENTS: STUCK,
    AlertKind.DEAD_LETTERS: _deliveries("dead"),
    AlertKind.HELD_EVENTS: _deliveries("held"),
    AlertKind.ANOMALIES_OPEN: f"""
SELECT kind AS about, count(*) AS found, min(found_at) AS since FROM (
    SELECT kind, found_at FROM anomalies WHERE merchant_id = $1 AND resolved_at IS NULL
    ORDER BY anomaly_id LIMIT {COUNTED_MAX}
) AS first GROUP BY kind
""",
    AlertKind.DIFFERENCES_OPEN: f"""
SELECT account AS about, count(*) AS found, min(found_at) AS since FROM (
    SELECT account, class, found_at FROM differences WHERE merchant_id = $1 AND state = 'open'
    ORDER BY difference_id LIMIT {COUNTED_MAX}
) AS first WHERE class IN ({_A_PERSONS}) GROUP BY account
""",
    AlertKind.STATEMENT_LATE: """
SELECT account AS about, count(*) AS found, min(began_at) AS since FROM statement_errands
WHERE merchant_id = $1 AND due_at IS NOT NULL AND told_late GROUP BY account
""",
    AlertKind.BALANCE_LOW: """
SELECT account AS about, 1 AS found, stated_at AS since FROM balances WHERE merchant_id = $1 AND told_low
""",
    AlertKind.BALANCE_SILENT: """
SELECT account AS about, 1 AS found, coalesce(stated_at, since_at) AS since FROM balances
WHERE merchant_id = $1 AND told_silent
""",
}


@dataclass(frozen=True, slots=True)
class AttentionStore:
    """Implements `watch.attention.Attention`."""

    database: Database

    async def waiting(self, merchant_id: UUID, kind: AlertKind, now: datetime) -> dict[str, dict[str, Any]]:
        """What there is of a kind now: what it is about → how many (counted so far), and since when."""
        values = (merchant_id, now - STUCK_AFTER) if kind is AlertKind.STUCK_PAYMENTS else (merchant_id,)
        async with self.database.connection() as connection:
            rows = await connection.fetch(QUERIES[kind], *values, timeout=READ_WITHIN_S)
        return {row["about"]: _numbers(row) for row in rows}


def _numbers(row: Any) -> dict[str, Any]:
    since = row.get("since")
    return {"found": row["found"]} | ({} if since is None else {"since": since.isoformat()})
