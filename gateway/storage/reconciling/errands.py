"""Which statements are to be fetched, and by whom just now. Never on the hot path."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.domain.errands import Errand, Newest
from gateway.storage.server.database import Database

__all__ = ["ErrandStore"]

CATCH_UP_DAYS: Final = 31
"""As many days are fetched that no process was there for."""

# An account that nothing had been sent by has no statement worth asking for. One that has begun to be compared goes on
# day by day from there; else it begins with the newest day. What was loaded before a day's end ($6: of the newest) does
# not count.
KEEP: Final = f"""
WITH whole AS (
    SELECT s.account, s.day FROM statements s
    JOIN unnest($2::text[], $3::date[], $4::timestamptz[], $6::timestamptz[]) AS w (account, day, due_at, over_at)
        ON w.account = s.account
    WHERE s.merchant_id = $1 AND s.replaced_at IS NULL AND s.day <= w.day AND s.day >= w.day - {CATCH_UP_DAYS}
    AND s.loaded_at >= w.over_at + (s.day - w.day) * interval '1 day'
)
INSERT INTO statement_errands (merchant_id, account, day, due_at, tries, told_late, began_at)
SELECT $1::uuid, w.account, d.day::date, w.due_at + (d.day::date - w.day) * interval '1 day', 0, false, $5::timestamptz
FROM unnest($2::text[], $3::date[], $4::timestamptz[]) AS w (account, day, due_at)
CROSS JOIN LATERAL (
    SELECT max(r.day) + 1 AS since FROM whole r WHERE r.account = w.account AND r.day < w.day
) k
CROSS JOIN LATERAL generate_series(coalesce(k.since, w.day)::timestamp, w.day::timestamp, interval '1 day') AS d (day)
WHERE EXISTS (SELECT FROM intents i WHERE i.merchant_id = $1 AND i.account = w.account
    AND i.recorded_at < w.day::timestamp AT TIME ZONE 'Asia/Shanghai' + interval '1 day')
AND NOT EXISTS (SELECT FROM whole r WHERE r.account = w.account AND r.day = d.day::date)
ON CONFLICT (merchant_id, account, day) DO NOTHING
"""
USED: Final = """
SELECT a.account FROM unnest($2::text[]) AS a (account)
WHERE EXISTS (SELECT FROM intents i WHERE i.merchant_id = $1 AND i.account = a.account)
"""
CLAIM: Final = """
WITH due AS (
    SELECT account, day, $3::timestamptz AS lease_until FROM statement_errands
    WHERE merchant_id = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
    ORDER BY day, due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE statement_errands e SET lease_until = due.lease_until, tries = e.tries + 1 FROM due
WHERE e.merchant_id = $1 AND e.account = due.account AND e.day = due.day
RETURNING e.account, e.day, e.tries, e.told_late
"""
PUT_OFF: Final = """
UPDATE statement_errands SET due_at = $4, lease_until = NULL, reason = $5, told_late = $6
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND done_at IS NULL
"""
GIVEN_UP: Final = """
UPDATE statement_errands SET due_at = NULL, lease_until = NULL, reason = $4, done_at = $5
WHERE merchant_id = $1 AND account = $2 AND day = $3 AND done_at IS NULL
"""
LATE: Final = """
SELECT account, count(*) FROM statement_errands
WHERE merchant_id = $1 AND due_at IS NOT NULL AND told_late GROUP BY account
"""


@dataclass(frozen=True, slots=True)
class ErrandStore:
    """Implements `workers.statements.Errands`."""

    database: Database

    async def keep(self, merchant_id: UUID, wanted: Mapping[str, Newest], now: datetime) -> None:
        """Have these accounts' days fetched: the newest that is over, and those before it that are missing."""
        accounts = sorted(wanted)
        days, due, over = ([getattr(wanted[each], name) for each in accounts] for name in ("day", "due_at", "over_at"))
        async with self.database.connection() as connection:
            await connection.execute(KEEP, merchant_id, accounts, days, due, now, over)

    async def used(self, merchant_id: UUID, accounts: Collection[str]) -> set[str]:
        """Those of these accounts that something was ever sent by."""
        async with self.database.connection() as connection:
            return {row[0] for row in await connection.fetch(USED, merchant_id, list(accounts))}

    async def claim(self, merchant_id: UUID, now: datetime, lease: timedelta) -> Errand | None:
        """Take the oldest day that is due; None: there is none."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(CLAIM, merchant_id, now, now + lease)
        return None if row is None else Errand(merchant_id, *row)

    async def put_off(self, errand: Errand, due_at: datetime, reason: str, *, told_late: bool) -> None:
        """It brought nothing: once more, later."""
        place = (errand.merchant_id, errand.account, errand.day)
        async with self.database.connection() as connection:
            await connection.execute(PUT_OFF, *place, due_at, reason, told_late)

    async def give_up(self, errand: Errand, reason: str, now: datetime) -> None:
        """A person has taken it in hand."""
        async with self.database.connection() as connection:
            await connection.execute(GIVEN_UP, errand.merchant_id, errand.account, errand.day, reason, now)

    async def late(self, merchant_id: UUID) -> dict[str, int]:
        """How many statements of each account stay away."""
        async with self.database.connection() as connection:
            return {row[0]: row[1] for row in await connection.fetch(LATE, merchant_id)}
