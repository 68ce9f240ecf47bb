"""What payouts need beside their flushes: what of them is sealed, and what is due by our clock."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from gateway.domain.payees import Payee
from gateway.domain.payouts import Payout
from gateway.storage.keys import DecryptionError, Keys, PayeeBox, stand_back
from gateway.storage.server.database import Database
from gateway.storage.writing.low_water import BEGINNING
from gateway.storage.writing.payouts import payouts_by_id
from gateway.storage.writing.with_work import merchants_with_work

__all__ = ["CLAIM_HELD", "CLAIM_LISTS", "PayoutStore"]

READ_PAYEE = "SELECT payee, data_key FROM payouts WHERE merchant_id = $1 AND payout_id = $2"
READ_CONTINUATION = """
SELECT i.continuation, p.data_key FROM intents i JOIN payouts p ON p.merchant_id = $1 AND p.payout_id = i.object_id
WHERE i.merchant_id = $1 AND i.object_id = $2 AND i.verb = 'payout' AND i.continuation IS NOT NULL
ORDER BY i.ordinal DESC LIMIT 1
"""
WITH_HELD = (
    """payouts WHERE merchant_id = {merchant} AND until_at <= $1 AND until_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1)""",
)
CLAIM_HELD = """
WITH late AS (
    SELECT payout_id, $3::timestamptz AS lease_until FROM payouts WHERE merchant_id = $1 AND until_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
    ORDER BY until_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE payouts t SET lease_until = late.lease_until FROM late
WHERE t.merchant_id = $1 AND t.payout_id = late.payout_id RETURNING t.payout_id
"""
WITH_LISTS = (
    """return_lists WHERE merchant_id = {merchant} AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1)""",
)
CLAIM_LISTS = """
WITH late AS (
    SELECT account, day, $3::timestamptz AS lease_until FROM return_lists WHERE merchant_id = $1 AND due_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE return_lists t SET lease_until = late.lease_until FROM late
WHERE t.merchant_id = $1 AND t.account = late.account AND t.day = late.day RETURNING t.account, t.day, t.channel
"""
LISTED = """
UPDATE return_lists SET due_at = NULL, lease_until = NULL WHERE merchant_id = $1 AND account = $2 AND day = $3
"""


@dataclass(frozen=True, slots=True)
class PayoutStore:
    """Reads payouts and what of them is sealed, and claims what is due by our clock."""

    database: Database
    keys: Keys

    async def payout(self, merchant_id: UUID, payout_id: UUID) -> Payout | None:
        """A payout as it is now, whoever's app it is."""
        async with self.database.connection() as connection:
            return (await payouts_by_id(connection, merchant_id, [payout_id])).get(payout_id)

    async def payee(self, merchant_id: UUID, payout_id: UUID) -> Payee:
        """Whom a payout goes to. Raises OverloadedError where this process lacks the key."""
        async with self.database.connection() as connection:
            payee, data_key = (await connection.fetch(READ_PAYEE, merchant_id, payout_id))[0]
        try:
            return PayeeBox.of(self.keys.ring, merchant_id, payout_id, data_key).open(payee)
        except DecryptionError as error:
            raise stand_back(error) from None

    async def payout_continuation(self, merchant_id: UUID, payout_id: UUID) -> str | None:
        """What a payout is confirmed with, where its PSP suspects it. Raises OverloadedError as `payee`."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(READ_CONTINUATION, merchant_id, payout_id)
        if not rows:
            return None
        try:
            return PayeeBox.of(self.keys.ring, merchant_id, payout_id, rows[0][1]).open_continuation(rows[0][0])
        except DecryptionError as error:
            raise stand_back(error) from None

    # What is due

    async def merchants_with_held(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a payout whose hold is over by our clock."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_HELD, merchants, now, BEGINNING)

    async def claim_held(self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int) -> list[UUID]:
        """Take some until `lease_until`, the oldest first."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(CLAIM_HELD, merchant_id, now, lease_until, limit)
        return [row[0] for row in rows]

    async def merchants_with_lists(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a list of returned payouts to be fetched."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_LISTS, merchants, now, BEGINNING)

    async def claim_lists(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[str, date, str]]:
        """Take some until `lease_until`, the oldest first: account, day, channel."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(CLAIM_LISTS, merchant_id, now, lease_until, limit)
        return [(row[0], row[1], row[2]) for row in rows]

    async def listed(self, merchant_id: UUID, account: str, day: date) -> None:
        """A list was fetched and recorded: it is not asked for again."""
        async with self.database.connection() as connection:
            await connection.execute(LISTED, merchant_id, account, day)
