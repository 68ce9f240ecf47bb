"""Days and differences for people: listing them, resolving and re-opening, closing days. Never on the hot path."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.differences import Difference, DifferenceFilter, DifferenceState, Standing, Theirs, ours_of
from gateway.domain.reconciled import Class, DayNotClosableError, Word
from gateway.storage.server.database import Database

__all__ = ["DifferenceStore", "difference_of"]

FIRST: Final = UUID(int=0)
EXPORT_PAGE: Final = 1_000
BULK_WITHIN_S: Final = 60
"""So long may resolving a whole class of a day take."""
_WANTED: Final = """d.merchant_id = $1 AND ($2::text IS NULL OR d.account = $2) AND ($3::date IS NULL OR d.day = $3)
    AND ($4::text IS NULL OR d.class = $4) AND ($5::text IS NULL OR d.state = $5)
    AND ($6::uuid IS NULL OR d.object_id = $6)"""
LIST: Final = f"""
SELECT d.*, (SELECT a.anomaly_id FROM anomalies a WHERE a.merchant_id = $1 AND a.object_id = d.object_id
    AND a.resolved_at IS NULL ORDER BY a.anomaly_id LIMIT 1) AS anomaly_id
FROM differences d WHERE {_WANTED} AND d.difference_id > $7 ORDER BY d.difference_id LIMIT $8
"""
RESOLVE: Final = """
UPDATE differences SET state = 'resolved', resolved_at = $3, resolved_by = $4, note = $5, history = history || $6::jsonb
WHERE merchant_id = $1 AND difference_id = ANY($2::uuid[]) AND state = 'open' AND class <> 'suspense'
RETURNING difference_id
"""
REOPEN: Final = """
UPDATE differences SET state = 'open', resolved_at = NULL, resolved_by = NULL, note = NULL,
    history = history || $3::jsonb
WHERE merchant_id = $1 AND difference_id = ANY($2::uuid[]) AND state = 'resolved' AND resolved_by <> 'statement'
AND NOT EXISTS (SELECT FROM reconciled_days r WHERE r.merchant_id = $1 AND r.account = differences.account
    AND r.day = differences.day AND r.closed_at IS NOT NULL)
RETURNING difference_id
"""
RESOLVE_DAY: Final = """
UPDATE differences SET state = 'resolved', resolved_at = $5, resolved_by = $6, note = $7, history = history || $8::jsonb
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND class = $4 AND state = 'open' AND class <> 'suspense'
"""
STANDING: Final = """
SELECT difference_id, state, class, resolved_by FROM differences
WHERE merchant_id = $1 AND difference_id = ANY($2::uuid[])
"""
# Whoever closes the day waits, and then finds what was opened.
HOLD_DAYS_OF: Final = """
SELECT closed_at FROM reconciled_days r WHERE merchant_id = $1 AND (account, day) IN (
    SELECT account, day FROM differences WHERE merchant_id = $1 AND difference_id = ANY($2::uuid[])
) ORDER BY account, day FOR SHARE
"""
HOLD_DAY: Final = """
SELECT FROM reconciled_days WHERE merchant_id = $1 AND account = $2 AND day = $3 FOR UPDATE
"""
# Closed in order: what is open before it may still change it.
OPEN_BEFORE: Final = """
SELECT day FROM reconciled_days WHERE merchant_id = $1 AND account = $2 AND day < $3 AND closed_at IS NULL
ORDER BY day LIMIT 1
"""
CLOSE: Final = """
UPDATE reconciled_days SET closed_at = $4, closed_by = $5
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND closed_at IS NULL RETURNING day
"""
UNSETTLED: Final = """
SELECT count(*) FROM differences WHERE merchant_id = $1 AND account = $2 AND day = $3 AND state = 'open'
AND class <> 'suspense'
"""


@dataclass(frozen=True, slots=True)
class DifferenceStore:
    """What reconciliation found, for operators."""

    database: Database

    async def differences(self, merchant_id: UUID, wanted: DifferenceFilter) -> list[Difference]:
        """A page of differences."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(LIST, merchant_id, *_asked(wanted), wanted.after or FIRST, wanted.limit)
        return [difference_of(row) for row in rows]

    async def every(self, merchant_id: UUID, wanted: DifferenceFilter) -> AsyncIterator[Difference]:
        """All of them, a page in memory at a time."""
        wanted = replace(wanted, limit=EXPORT_PAGE)
        while page := await self.differences(merchant_id, wanted):
            for each in page:
                yield each
            wanted = replace(wanted, after=page[-1].difference_id)

    async def resolve(
        self, merchant_id: UUID, differences: Sequence[UUID], by: str, note: str, at: datetime
    ) -> list[UUID]:
        """Resolve what is open of these, in one transaction; suspense resolves itself. Answers with what was."""
        entry = orjson.dumps([{"at": at, "by": by, "did": "resolved", "note": note}]).decode()
        async with self.database.connection() as connection:
            rows = await connection.fetch(RESOLVE, merchant_id, list(differences), at, by, note, entry)
        return [row[0] for row in rows]

    async def resolve_day(
        self, merchant_id: UUID, account: str, day: date, kind: Class, by: str, note: str, at: datetime
    ) -> int:
        """Resolve all that is open of one class on one day; answers with how many were."""
        entry = orjson.dumps([{"at": at, "by": by, "did": "resolved", "note": note}]).decode()
        async with self.database.long_transaction(BULK_WITHIN_S) as connection:
            done = await connection.execute(
                RESOLVE_DAY, merchant_id, account, day, kind, at, by, note, entry, timeout=BULK_WITHIN_S
            )
        return int(done.rpartition(" ")[2])

    async def standing(self, merchant_id: UUID, differences: Sequence[UUID]) -> dict[UUID, Standing]:
        """How these stand now; those that are not there are absent."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(STANDING, merchant_id, list(differences))
        return {row[0]: Standing(DifferenceState(row[1]), Class(row[2]), row[3] == "statement") for row in rows}

    async def reopen(
        self, merchant_id: UUID, differences: Sequence[UUID], by: str, note: str, at: datetime
    ) -> list[UUID]:
        """Open again what people had resolved of these, unless their day is closed."""
        entry = orjson.dumps([{"at": at, "by": by, "did": "reopened", "note": note}]).decode()
        async with self.database.transaction() as connection:
            await connection.fetch(HOLD_DAYS_OF, merchant_id, list(differences))
            rows = await connection.fetch(REOPEN, merchant_id, list(differences), entry)
        return [row[0] for row in rows]

    async def close(self, merchant_id: UUID, account: str, day: date, by: str, at: datetime) -> bool:
        """Lock a day. False: there is no such day, or it is closed. Raises DayNotClosableError."""
        place = (merchant_id, account, day)
        async with self.database.transaction() as connection:
            await connection.fetch(HOLD_DAY, *place)
            before = await connection.fetchval(OPEN_BEFORE, *place)
            if before is not None:
                raise DayNotClosableError(f"{before} is before it, and open: days are closed in order")
            if left := await connection.fetchval(UNSETTLED, *place):
                raise DayNotClosableError(f"{left} of its differences are open: resolve them first")
            return bool(await connection.fetch(CLOSE, *place, at, by))


def _asked(wanted: DifferenceFilter) -> tuple[Any, ...]:
    return wanted.account, wanted.day, wanted.kind, wanted.state, wanted.object_id


def difference_of(row: Any) -> Difference:
    """Of a row of `differences`, with the open anomaly of its object."""
    theirs = ours = None
    if row["ordinal"] is not None:
        theirs = Theirs(
            row["line"], row["kind"], row["amount"], row["paid"], row["fee"], row["transaction_no"], row["done_at"]
        )
    if row["object_id"] is not None:
        state = (row["our_amount"], row["our_state"], row["our_fee"], row["our_done_at"])
        ours = ours_of(row["verb"], row["object_id"], *state)
    return Difference(
        row["difference_id"],
        row["account"],
        row["day"],
        Class(row["class"]),
        DifferenceState(row["state"]),
        row["number"],
        theirs,
        ours,
        Word(row["word"]) if row["word"] else None,
        row["told_at"],
        Class(row["became"]) if row["became"] else None,
        row["became_on"],
        row["found_at"],
        row["resolved_at"],
        row["resolved_by"],
        row["note"],
        tuple(orjson.loads(row["history"])),
        row["anomaly_id"],
    )
