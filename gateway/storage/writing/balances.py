"""What accounts have: which are asked, who asks, what they said, and what was told of it. Never on the hot path."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.balances import Balance, Failure, LastTry, last_try
from gateway.domain.outcomes import BalanceOutcome, BalanceStated
from gateway.storage.server.database import Database
from gateway.storage.writing.low_water import BEGINNING
from gateway.storage.writing.with_work import merchants_with_work

__all__ = ["BalanceStore"]

# Two processes may have different catalogues for a second: the one that knows an account puts it back.
KEEP = """
INSERT INTO balances (merchant_id, account, since_at, told_low, told_silent, due_at)
SELECT $1::uuid, wanted.account, $3::timestamptz, false, false, $3::timestamptz
FROM unnest($2::text[]) AS wanted (account)
ON CONFLICT (merchant_id, account) DO NOTHING
"""
FORGET = "DELETE FROM balances WHERE merchant_id = $1 AND NOT (account = ANY($2::text[]))"
WITH_DUE = (
    """balances WHERE merchant_id = {merchant} AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1)""",
)
CLAIM = """
WITH due AS (
    SELECT account, $3::timestamptz AS lease_until FROM balances WHERE merchant_id = $1 AND due_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2) AND account = ANY($5::text[])
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE balances b SET lease_until = due.lease_until FROM due
WHERE b.merchant_id = $1 AND b.account = due.account RETURNING b.account
"""
TAKE = """
UPDATE balances SET lease_until = $5 WHERE merchant_id = $1 AND account = $2
AND (lease_until IS NULL OR lease_until <= $3) AND (asked_at IS NULL OR asked_at <= $4) RETURNING account
"""
# An answer that comes after a newer one says nothing any more.
STATED = """
UPDATE balances SET for_payouts = $5, for_refunds = $6, total = $7, stated_at = $3, asked_at = $3, failed = NULL,
    reason = NULL, channel_code = $8, due_at = $4, lease_until = NULL
WHERE merchant_id = $1 AND account = $2 AND (asked_at IS NULL OR asked_at <= $3)
"""
FAILED = """
UPDATE balances SET asked_at = $3, failed = $5, reason = $6, channel_code = $7, due_at = $4, lease_until = NULL
WHERE merchant_id = $1 AND account = $2 AND (asked_at IS NULL OR asked_at <= $3)
"""
READ = "SELECT * FROM balances WHERE merchant_id = $1 ORDER BY account"
# Whoever changes it tells it.
TOLD = """
UPDATE balances SET told_low = $5, told_silent = $6 WHERE merchant_id = $1 AND account = $2
AND told_low = $3 AND told_silent = $4 RETURNING account
"""


@dataclass(frozen=True, slots=True)
class BalanceStore:
    """The balances of all accounts that are asked."""

    database: Database

    async def keep(self, merchant_id: UUID, accounts: Collection[str], now: datetime) -> None:
        """Ask these accounts of a merchant, new ones at once, and forget its others."""
        async with self.database.transaction() as connection:
            await connection.execute(KEEP, merchant_id, sorted(accounts), now)
            await connection.execute(FORGET, merchant_id, sorted(accounts))

    async def merchants_with_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have an account to be asked."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_DUE, merchants, now, BEGINNING)

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int, accounts: Collection[str]
    ) -> list[str]:
        """Take some of these accounts until `lease_until`, those that wait longest first."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(CLAIM, merchant_id, now, lease_until, limit, sorted(accounts))
        return [row[0] for row in rows]

    async def take(
        self, merchant_id: UUID, account: str, now: datetime, asked_before: datetime, lease_until: datetime
    ) -> bool:
        """Take one account until `lease_until`; False: it is in hand, or was asked after `asked_before`."""
        async with self.database.transaction() as connection:
            await connection.execute(KEEP, merchant_id, [account], now)
            return bool(await connection.fetch(TAKE, merchant_id, account, now, asked_before, lease_until))

    async def heard(
        self, merchant_id: UUID, account: str, outcome: BalanceOutcome, asked_at: datetime, due_at: datetime
    ) -> None:
        """Keep what was said to a question that was asked then. What failed leaves the statement before as it is."""
        place = (merchant_id, account, asked_at, due_at)
        failed = last_try(outcome)
        async with self.database.connection() as connection:
            if isinstance(outcome, BalanceStated):
                amounts = (outcome.for_payouts, outcome.for_refunds, outcome.total)
                await connection.execute(STATED, *place, *amounts, outcome.channel_code)
            elif failed is not None:
                await connection.execute(FAILED, *place, failed.failed.value, failed.reason, failed.channel_code)

    async def balances(self, merchant_id: UUID) -> list[Balance]:
        """Every account of a merchant that is asked, as it is known now."""
        async with self.database.connection() as connection:
            return [_balance(row) for row in await connection.fetch(READ, merchant_id)]

    async def told(self, merchant_id: UUID, balance: Balance, *, low: bool, silent: bool) -> bool:
        """What is said of it from now on; False: another process has just said something, so this one does not."""
        before = (balance.told_low, balance.told_silent)
        async with self.database.connection() as connection:
            return bool(await connection.fetch(TOLD, merchant_id, balance.account, *before, low, silent))


def _balance(row: Any) -> Balance:
    stated, failed = None, None
    if row["stated_at"] is not None:
        code = None if row["failed"] else row["channel_code"]
        stated = BalanceStated(row["for_payouts"], row["for_refunds"], row["total"], code)
    if row["failed"] is not None:
        failed = LastTry(Failure(row["failed"]), row["reason"], row["channel_code"])
    return Balance(
        row["account"],
        row["since_at"],
        stated,
        row["stated_at"],
        row["asked_at"],
        failed,
        row["told_low"],
        row["told_silent"],
    )
