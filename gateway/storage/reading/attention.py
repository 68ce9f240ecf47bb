"""What is sound in the books and waits for a person all the same, as `sluice doctor` tells it, and where to go.

Each is found by an index of its own, so it costs nothing however much lies in the tables.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.storage.reading.snapshots import held_snapshots

__all__ = ["needs_a_person"]

COUNTED_MAX = 100_000
"""Held deliveries are counted so far."""


@dataclass(frozen=True, slots=True)
class _Notice:
    """A query for what waits, counted, and the sentence for one of its rows."""

    sql: str
    sentence: str


_NOTICES = (
    _Notice(
        """
        SELECT coalesce(m.code, d.merchant_id::text) AS merchant, coalesce(p.code, d.endpoint_id::text) AS endpoint,
            count(*) AS found
        FROM deliveries d
        LEFT JOIN merchants m ON m.merchant_id = d.merchant_id
        LEFT JOIN endpoints p ON p.merchant_id = d.merchant_id AND p.endpoint_id = d.endpoint_id
        WHERE d.status = 'dead' GROUP BY 1, 2 ORDER BY 1, 2
        """,
        "dead letters: {found} to endpoint {endpoint} of {merchant} (GET /v1/admin/merchants/{merchant}/dead_letters)",
    ),
    _Notice(
        f"""
        SELECT coalesce(m.code, p.merchant_id::text) AS merchant, p.code AS endpoint, p.stopped_at AS since,
            p.stopped_because AS because, waiting.found AS held
        FROM endpoints p
        LEFT JOIN merchants m ON m.merchant_id = p.merchant_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS found FROM (
                SELECT 1 FROM deliveries d WHERE d.merchant_id = p.merchant_id AND d.endpoint_id = p.endpoint_id
                AND d.status = 'held' LIMIT {COUNTED_MAX}
            ) AS first
        ) AS waiting
        WHERE p.stopped_at IS NOT NULL AND p.removed_at IS NULL ORDER BY 1, 2
        """,
        "stopped endpoint: {endpoint} of {merchant} since {since} ({because}), held for it: {held}"
        " (POST /v1/admin/merchants/{merchant}/endpoints/{endpoint}/start)",
    ),
    _Notice(
        """
        SELECT coalesce(m.code, a.merchant_id::text) AS merchant, a.kind, count(*) AS found, min(a.found_at) AS since
        FROM anomalies a LEFT JOIN merchants m ON m.merchant_id = a.merchant_id
        WHERE a.resolved_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2
        """,
        "open anomalies: {found} of kind {kind} of {merchant}, the oldest of {since}"
        " (GET /v1/admin/merchants/{merchant}/anomalies)",
    ),
    _Notice(
        """
        SELECT m.code AS merchant, open.found, open.since
        FROM merchants m CROSS JOIN LATERAL (
            SELECT count(*) AS found, min(b.proposed_at) AS since FROM block_proposals b
            WHERE b.merchant_id = m.merchant_id AND b.state = 'proposed'
        ) AS open
        WHERE open.found > 0 ORDER BY 1
        """,
        "proposals for the block list: {found} of {merchant}, the oldest of {since}"
        " (GET /v1/admin/merchants/{merchant}/block_proposals)",
    ),
    _Notice(
        """
        SELECT coalesce(m.code, p.merchant_id::text) AS merchant, count(*) AS found, min(p.until_at) AS until
        FROM payouts p LEFT JOIN merchants m ON m.merchant_id = p.merchant_id
        WHERE p.held_for IS NOT NULL AND p.held_for = 'suspicion' GROUP BY 1 ORDER BY 1
        """,
        "payouts that their payment companies suspect: {found} of {merchant}, the first fails at {until}"
        " (GET /v1/admin/merchants/{merchant}/payouts?held_for=suspicion)",
    ),
)


async def needs_a_person(connection: AsyncConnection) -> list[str]:
    """One sentence each."""
    told: list[str] = []
    for notice in _NOTICES:
        rows = (await connection.execute(text(notice.sql))).mappings()
        told += [notice.sentence.format(**{name: _shown(value) for name, value in row.items()}) for row in rows]
    return told + [str(snapshot) for snapshot in await held_snapshots(connection) if snapshot.is_old]


def _shown(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC") if isinstance(value, datetime) else value
