"""Days for people: their sums, the statements that were loaded for them, and those that are not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.reconciled import (
    Class,
    DayFilter,
    MissingDay,
    OpenSums,
    ReconciledDay,
    StatementVersion,
    Totals,
)
from gateway.storage.server.database import Connection, Database

__all__ = ["DayStore", "open_of"]

MAX_MISSING: Final = 200
DAYS: Final = """
SELECT r.*, s.version FROM reconciled_days r JOIN statements s ON s.merchant_id = $1 AND s.statement_id = r.statement_id
WHERE r.merchant_id = $1 AND ($2::text IS NULL OR r.account = $2) AND r.day >= $3 AND r.day <= $4
AND ($5::date IS NULL OR r.day < $5 OR (r.day = $5 AND r.account > $6::text))
ORDER BY r.day DESC, r.account LIMIT $7
"""
VERSIONS: Final = """
SELECT statement_id, version, sha256, files, lines, amount, loaded_at, loaded_by, note, replaced_at FROM statements
WHERE merchant_id = $1 AND account = $2 AND day = $3 ORDER BY version DESC
"""
OPEN: Final = """
SELECT account, day, class, count(*) AS count, coalesce(sum(amount), 0)::bigint AS theirs,
    coalesce(sum(our_amount), 0)::bigint AS ours
FROM differences
WHERE merchant_id = $1 AND state = 'open' AND (account, day) IN (SELECT * FROM unnest($2::text[], $3::date[]))
GROUP BY account, day, class
"""
MISSING: Final = f"""
SELECT account, day, due_at, tries, reason, told_late FROM statement_errands
WHERE merchant_id = $1 AND ($2::text IS NULL OR account = $2) AND done_at IS NULL
ORDER BY day DESC, account LIMIT {MAX_MISSING}
"""
Place = tuple[str, date]


@dataclass(frozen=True, slots=True)
class DayStore:
    """Reads what reconciliation keeps of days."""

    database: Database

    async def days(self, merchant_id: UUID, wanted: DayFilter) -> list[ReconciledDay]:
        """A page of days, the newest first."""
        after = wanted.after or (None, None)
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                DAYS, merchant_id, wanted.account, wanted.since, wanted.until, *after, wanted.limit
            )
        return [_day(row) for row in rows]

    async def day(self, merchant_id: UUID, account: str, day: date) -> ReconciledDay | None:
        """One day; None: it was not compared."""
        found = await self.days(merchant_id, DayFilter(account, day, day, limit=1))
        return found[0] if found else None

    async def versions(self, merchant_id: UUID, account: str, day: date) -> list[StatementVersion]:
        """The statements of a day, the newest first: what was replaced is kept."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(VERSIONS, merchant_id, account, day)
        return [StatementVersion(**{**row, "files": tuple(orjson.loads(row["files"]))}) for row in rows]

    async def open(self, merchant_id: UUID, places: Sequence[Place]) -> dict[Place, dict[Class, OpenSums]]:
        """What is open of these days, by class; days without any are absent."""
        async with self.database.connection() as connection:
            return await open_of(connection, merchant_id, places)

    async def missing(self, merchant_id: UUID, account: str | None = None) -> list[MissingDay]:
        """Days whose statements are asked for and are not there, the newest first."""
        async with self.database.connection() as connection:
            return [MissingDay(*row) for row in await connection.fetch(MISSING, merchant_id, account)]


async def open_of(
    connection: Connection, merchant_id: UUID, places: Sequence[Place], within_s: float | None = None
) -> dict[Place, dict[Class, OpenSums]]:
    """What is open of some days, by class, as it stands in this connection's transaction. `within_s` None: as the pool
    has it."""
    if not places:
        return {}
    accounts, days = zip(*places, strict=True)
    found: dict[Place, dict[Class, OpenSums]] = {}
    for row in await connection.fetch(OPEN, merchant_id, accounts, days, timeout=within_s):
        sums = OpenSums(row["count"], row["theirs"], row["ours"])
        found.setdefault((row["account"], row["day"]), {})[Class(row["class"])] = sums
    return found


def _day(row: Any) -> ReconciledDay:
    return ReconciledDay(
        row["account"], row["day"], row["statement_id"], row["version"], Totals.from_json(orjson.loads(row["totals"])),
        row["balanced"], row["ran_at"], row["ran_by"], row["closed_at"], row["closed_by"], is_new=False,
    )  # fmt: skip
