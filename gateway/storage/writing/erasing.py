"""Erase a person's card: its key, elements, prints and agreement numbers go; money and the masked number stay."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.ids import ObjectKind, show_object
from gateway.ports import CardNotFoundError
from gateway.storage.server.database import Database
from gateway.storage.writing.users import lock_users

__all__ = ["CardInUseError", "Erased", "erase_card"]

FIND = "SELECT user_id FROM cards WHERE merchant_id = $1 AND card_id = $2"
# The card, the one it is the same as, and every other that is the same: they are one person's.
ALIKE = """
SELECT c.card_id, c.erased_at FROM cards c WHERE c.merchant_id = $1 AND (c.card_id = (
    SELECT coalesce(same_as, card_id) FROM cards WHERE merchant_id = $1 AND card_id = $2
) OR c.same_as = (
    SELECT coalesce(same_as, card_id) FROM cards WHERE merchant_id = $1 AND card_id = $2
)) ORDER BY c.card_id
"""
# Open, or watched: its PSP may still have to be asked about the card.
OPEN_OBJECTS = """
SELECT kind, object_id FROM (
    SELECT 'payment' AS kind, payment_id AS object_id FROM payments
    WHERE merchant_id = $1 AND user_id = $2 AND card_id = ANY($3::uuid[])
        AND (status IN ('processing', 'requires_action') OR due_at IS NOT NULL)
    UNION ALL
    SELECT 'authentication', authentication_id FROM authentications
    WHERE merchant_id = $1 AND card_id = ANY($3::uuid[]) AND due_at IS NOT NULL
) AS in_hand ORDER BY kind DESC, object_id LIMIT 1
"""
PERHAPS_ALIKE = """
SELECT c.card_id FROM cards c JOIN cards me ON me.merchant_id = $1 AND me.card_id = $3
WHERE c.merchant_id = $1 AND c.user_id = $2 AND c.masked = me.masked AND c.fingerprint IS NOT NULL ORDER BY c.card_id
"""
DROP_NUMBERS = """
UPDATE agreements SET agreement_no = NULL, status = 'void', voided_at = coalesce(voided_at, v.at)
FROM (SELECT $3::timestamptz AS at) AS v WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])
"""
DROP_CARDS = """
UPDATE cards SET data_key = NULL, elements = NULL, print = NULL, number_print = NULL, phone_print = NULL,
    id_print = NULL, fingerprint = NULL, key_version = NULL, erased_at = v.at
FROM (SELECT $3::timestamptz AS at) AS v WHERE merchant_id = $1 AND card_id = ANY($2::uuid[]) AND erased_at IS NULL
"""


class CardInUseError(Exception):
    """A payment or an authentication of the card is open or watched: its PSP may still have to be asked about it."""

    def __init__(self, kind: ObjectKind, object_id: UUID) -> None:
        self.shown = show_object(kind, object_id)
        super().__init__(self.shown)


@dataclass(frozen=True, slots=True)
class Erased:
    """The rows that were erased now. `perhaps`: rows of the user, with the same masked number, not rewritten yet."""

    cards: tuple[UUID, ...]
    perhaps: tuple[UUID, ...]


async def erase_card(database: Database, merchant_id: UUID, card_id: UUID, now: datetime) -> Erased:
    """Erase a card and those that are the same one. No key is needed. Raises CardNotFoundError, CardInUseError."""
    async with database.transaction() as connection:
        found = await connection.fetch(FIND, merchant_id, card_id)
        if not found:
            raise CardNotFoundError
        user_id = found[0][0]
        await lock_users(connection, merchant_id, [user_id], now)
        alike = await connection.fetch(ALIKE, merchant_id, card_id)
        ids = [row[0] for row in alike]
        open_ones = await connection.fetch(OPEN_OBJECTS, merchant_id, user_id, ids)
        if open_ones:
            raise CardInUseError(ObjectKind(open_ones[0][0]), open_ones[0][1])
        await connection.execute(DROP_NUMBERS, merchant_id, ids, now)
        await connection.execute(DROP_CARDS, merchant_id, ids, now)
        perhaps = await connection.fetch(PERHAPS_ALIKE, merchant_id, user_id, card_id)
    return Erased(tuple(row[0] for row in alike if row[1] is None), tuple(row[0] for row in perhaps))
