"""What stands and waits for a person now, as alerts tell it: each found by an index of its own, off the hot path."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.storage.server.database import Database

__all__ = ["STUCK_AFTER", "StandingStore"]

STUCK_AFTER: Final = timedelta(hours=1)
"""A payment that nobody knows the end of for so long is stuck; one that waits for its payer has its own end."""
COUNTED_MAX: Final = 10_000
"""Of each thing: more of them are no other alert."""

# $1 merchant, $2 now, $3 when what is open now was opened at the latest.
LOOKS: Final[dict[AlertKind, str]] = {
    AlertKind.STUCK_PAYMENTS: f"""
        SELECT channel AS about, count(*) AS found, min(created_at) AS since FROM (
            SELECT channel, created_at FROM payments WHERE merchant_id = $1 AND due_at IS NOT NULL
            AND status = 'processing' AND created_at < $3 LIMIT {COUNTED_MAX}
        ) p WHERE $2::timestamptz IS NOT NULL GROUP BY channel""",
    AlertKind.DEAD_LETTERS: f"""
        SELECT coalesce(e.code, d.endpoint_id::text) AS about, d.found, NULL::timestamptz AS since FROM (
            SELECT endpoint_id, count(*) AS found FROM (
                SELECT endpoint_id FROM deliveries WHERE merchant_id = $1 AND status = 'dead' LIMIT {COUNTED_MAX}
            ) f GROUP BY endpoint_id
        ) d LEFT JOIN endpoints e ON e.merchant_id = $1 AND e.endpoint_id = d.endpoint_id
        WHERE $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL""",
    AlertKind.HELD_EVENTS: f"""
        SELECT coalesce(e.code, e.endpoint_id::text) AS about, h.found, e.stopped_at AS since FROM endpoints e
        CROSS JOIN LATERAL (SELECT count(*) AS found FROM (
            SELECT FROM deliveries d WHERE d.merchant_id = $1 AND d.endpoint_id = e.endpoint_id
            AND d.status = 'held' LIMIT {COUNTED_MAX}) f) h
        WHERE e.merchant_id = $1 AND e.stopped_at IS NOT NULL AND e.removed_at IS NULL AND h.found > 0
        AND $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL""",
    AlertKind.ANOMALIES_OPEN: """
        SELECT kind AS about, count(*) AS found, min(found_at) AS since FROM anomalies
        WHERE merchant_id = $1 AND resolved_at IS NULL AND $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL
        GROUP BY kind""",
    AlertKind.DIFFERENCES_OPEN: """
        SELECT account AS about, count(*) AS found, min(found_at) AS since FROM differences
        WHERE merchant_id = $1 AND state = 'open' AND class <> 'suspense' AND $2::timestamptz IS NOT NULL
        AND $3::timestamptz IS NOT NULL GROUP BY account""",
    AlertKind.STATEMENT_LATE: """
        SELECT account AS about, count(*) AS found, min(began_at) AS since FROM statement_errands
        WHERE merchant_id = $1 AND due_at IS NOT NULL AND told_late AND $2::timestamptz IS NOT NULL
        AND $3::timestamptz IS NOT NULL GROUP BY account""",
    AlertKind.BALANCE_LOW: """
        SELECT account AS about, 1::bigint AS found, stated_at AS since FROM balances
        WHERE merchant_id = $1 AND told_low AND $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL""",
    AlertKind.BALANCE_SILENT: """
        SELECT account AS about, 1::bigint AS found, since_at AS since FROM balances
        WHERE merchant_id = $1 AND told_silent AND $2::timestamptz IS NOT NULL AND $3::timestamptz IS NOT NULL""",
}


@dataclass(frozen=True, slots=True)
class StandingStore:
    """Looks at what stands."""

    database: Database

    async def standing(self, merchant_id: UUID, now: datetime) -> dict[AlertKind, dict[str, dict[str, Any]]]:
        """By kind, about what: how many there are, and since when (absent: not known)."""
        found: dict[AlertKind, dict[str, dict[str, Any]]] = {}
        async with self.database.connection() as connection:
            for kind, look in LOOKS.items():
                rows = await connection.fetch(look, merchant_id, now, now - STUCK_AFTER)
                found[kind] = {row["about"]: _numbers(row["found"], row["since"]) for row in rows}
        return found


def _numbers(found: int, since: datetime | None) -> dict[str, Any]:
    return {"found": found} if since is None else {"found": found, "since": since.isoformat()}
