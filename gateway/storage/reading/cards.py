"""Cards as apps see them: those of a user with a live agreement or a succeeded payment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.ports import ShownCard
from gateway.storage.server.database import Database

__all__ = ["CardReader"]

# One that was given up and used again since is there again.
_SHOWN = """
SELECT c.card_id, c.user_id, c.masked, c.bank, c.created_at, array(
    SELECT a.account FROM agreements a
    WHERE a.merchant_id = $1 AND a.card_id = c.card_id AND a.status = 'active' ORDER BY a.account
) AS accounts
FROM cards c
WHERE c.merchant_id = $1 AND {which} AND c.same_as IS NULL AND c.erased_at IS NULL AND (
    EXISTS (SELECT FROM agreements a WHERE a.merchant_id = $1 AND a.card_id = c.card_id AND a.status = 'active'
        AND (c.hidden_at IS NULL OR a.verified_at > c.hidden_at))
    OR EXISTS (SELECT FROM payments p WHERE p.merchant_id = $1 AND p.user_id = c.user_id AND p.card_id = c.card_id
        AND p.status = 'succeeded' AND (c.hidden_at IS NULL OR p.created_at > c.hidden_at))
)
ORDER BY c.created_at DESC, c.card_id
"""
# One that is not erased has a print, or the first version's fingerprint: both are indexed by user.
OF_USER = _SHOWN.format(which="c.user_id = $2 AND (c.print IS NOT NULL OR c.fingerprint IS NOT NULL)") + "LIMIT $3"
ONE = _SHOWN.format(which="c.card_id = $2")


@dataclass(frozen=True, slots=True)
class CardReader:
    """Reads cards."""

    database: Database

    async def of_user(self, merchant_id: UUID, user_id: str, limit: int) -> list[ShownCard]:
        """A user's cards, newest first."""
        async with self.database.connection() as connection:
            return [_card(row) for row in await connection.fetch(OF_USER, merchant_id, user_id, limit)]

    async def one(self, merchant_id: UUID, card_id: UUID) -> ShownCard | None:
        """A card, or None: there is none, or it was given up."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(ONE, merchant_id, card_id)
        return _card(rows[0]) if rows else None


def _card(row: tuple[UUID, str, str, str, datetime, list[str]]) -> ShownCard:
    return ShownCard(row[0], row[1], row[2], row[3], row[4], tuple(row[5]))
