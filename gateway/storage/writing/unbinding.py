"""Cards that users give up: hidden at once, while PSPs that have agreements with them are told until they say so."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.unbinding import Unbinding
from gateway.ports import CardInUseError
from gateway.storage.server.database import Database
from gateway.storage.writing.users import lock_users
from gateway.storage.writing.with_work import merchants_with_work

__all__ = ["UnbindingStore"]

FIND_CARD = """
SELECT c.card_id, c.user_id FROM cards asked
JOIN cards c ON c.merchant_id = $1 AND c.card_id = coalesce(asked.same_as, asked.card_id)
WHERE asked.merchant_id = $1 AND asked.card_id = $2 AND c.erased_at IS NULL
"""
IN_USE = """
SELECT 1 FROM payments WHERE merchant_id = $1 AND user_id = $2 AND card_id = ANY($3::uuid[])
    AND status IN ('processing', 'requires_action')
UNION ALL
SELECT 1 FROM authentications WHERE merchant_id = $1 AND card_id = ANY($3::uuid[])
    AND status IN ('processing', 'requires_action')
LIMIT 1
"""
SAME_CARDS = """
SELECT card_id FROM cards WHERE merchant_id = $1 AND (card_id = $2 OR same_as = $2)
"""
GIVE_UP = """
UPDATE agreements SET status = 'unbinding' WHERE merchant_id = $1 AND card_id = $2 AND status = 'active'
RETURNING account
"""
TELL = """
INSERT INTO unbindings (merchant_id, card_id, account, channel, tries, asked_at, due_at)
SELECT $1::uuid, $2::uuid, told.account, told.channel, 0, $3::timestamptz, $3::timestamptz
FROM unnest($4::text[], $5::text[]) AS told (account, channel)
ON CONFLICT (merchant_id, card_id, account) DO UPDATE SET channel = excluded.channel, tries = excluded.tries,
    asked_at = excluded.asked_at, due_at = excluded.due_at, lease_until = excluded.lease_until, ended = excluded.ended
"""
HIDE = "UPDATE cards SET hidden_at = $3 WHERE merchant_id = $1 AND card_id = $2"

WITH_WORK = (
    """unbindings WHERE merchant_id = {merchant} AND due_at IS NOT NULL AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at""",
)
LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
CLAIM = """
WITH due AS (
    SELECT card_id, account FROM unbindings WHERE merchant_id = $1 AND due_at IS NOT NULL AND due_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2) ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE unbindings u SET lease_until = $4 FROM due
WHERE u.merchant_id = $1 AND u.card_id = due.card_id AND u.account = due.account
RETURNING u.card_id, u.account, u.channel, u.tries, u.asked_at
"""
READ_CARDS = """
SELECT c.card_id, c.user_id, c.bank, a.account, a.status FROM cards c
JOIN agreements a ON a.merchant_id = $1 AND a.card_id = c.card_id
WHERE c.merchant_id = $1 AND c.card_id = ANY($2::uuid[])
"""
# One that was bound anew meanwhile is not the one that was given up.
VOID = """
UPDATE agreements SET status = 'void', voided_at = $4
WHERE merchant_id = $1 AND card_id = $2 AND account = $3 AND status = 'unbinding'
"""
# Only of the wish that was claimed: the card may have been bound anew and given up again meanwhile.
END = """
UPDATE unbindings SET ended = $5, due_at = NULL, lease_until = NULL
WHERE merchant_id = $1 AND card_id = $2 AND account = $3 AND asked_at = $4 AND ended IS NULL
RETURNING account
"""
LATER = """
UPDATE unbindings SET tries = tries + 1, due_at = $5, lease_until = NULL
WHERE merchant_id = $1 AND card_id = $2 AND account = $3 AND asked_at = $4 AND ended IS NULL
"""


@dataclass(frozen=True, slots=True)
class UnbindingStore:
    """Gives cards up, and claims what PSPs are to be told of it."""

    database: Database
    catalogue: Callable[[], Catalogue]

    async def give_up(self, merchant_id: UUID, card_id: UUID, now: datetime) -> bool:
        """Hide a card and have its agreements ended; False: there is no such card. Raises CardInUseError."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(FIND_CARD, merchant_id, card_id)
            if not rows:
                return False
            found_id, user_id = rows[0]
            await lock_users(connection, merchant_id, [user_id], now)
            alike = [row[0] for row in await connection.fetch(SAME_CARDS, merchant_id, found_id)]
            if await connection.fetch(IN_USE, merchant_id, user_id, alike):
                raise CardInUseError
            accounts = [row[0] for row in await connection.fetch(GIVE_UP, merchant_id, found_id)]
            channels = [self._channel_of(merchant_id, account) for account in accounts]
            if accounts:
                await connection.execute(TELL, merchant_id, found_id, now, accounts, channels)
            await connection.execute(HIDE, merchant_id, found_id, now)
        return True

    def _channel_of(self, merchant_id: UUID, account: str) -> str:
        channels = self.catalogue().channels.values()
        return next((c.code for c in channels if c.merchant_id == merchant_id and c.account == account), account)

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a PSP to tell now."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_WORK, merchants, now, LONG_AGO)

    async def claim(self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime) -> list[Unbinding]:
        """Take up to `limit` of them until `lease_until`."""
        async with self.database.transaction() as connection:
            claimed = await connection.fetch(CLAIM, merchant_id, now, limit, lease_until)
            known = {
                (row["card_id"], row["account"]): row
                for row in await connection.fetch(READ_CARDS, merchant_id, [row["card_id"] for row in claimed])
            }
        return [
            Unbinding(
                merchant_id,
                row["card_id"],
                card["user_id"],
                card["bank"],
                row["account"],
                row["channel"],
                row["tries"],
                row["asked_at"],
                still=card["status"] == "unbinding",
            )
            for row in claimed
            if (card := known.get((row["card_id"], row["account"]))) is not None
        ]

    async def end(self, unbinding: Unbinding, ended: str, now: datetime) -> None:
        """The PSP has said so, or is told no more: the agreement is void."""
        key = (unbinding.merchant_id, unbinding.card_id, unbinding.account)
        async with self.database.transaction() as connection:
            if await connection.fetch(END, *key, unbinding.asked_at, ended):
                await connection.execute(VOID, *key, now)

    async def later(self, unbinding: Unbinding, due_at: datetime) -> None:
        """It is not known yet: told again then."""
        key = (unbinding.merchant_id, unbinding.card_id, unbinding.account)
        async with self.database.transaction() as connection:
            await connection.execute(LATER, *key, unbinding.asked_at, due_at)
