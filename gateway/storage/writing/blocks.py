"""Which of many payers a merchant's block list names: one read for a flush, and none where the list is empty.

What an empty list is, the catalogue knows (`Catalogue.blocks`); entries themselves are read here by their prints, so
that a list may be long.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from gateway.domain.blocks import BlockKind
from gateway.domain.cards import CardElements
from gateway.domain.one_form import one_form
from gateway.storage.keys import OrderKey
from gateway.storage.server.database import Connection

__all__ = ["READ_BLOCKS", "Payer", "read_blocks"]

K = TypeVar("K")

Payer = tuple[str, CardElements | None]
"""A user, and the card that is typed or named."""

READ_BLOCKS = """
SELECT b.kind, b.print FROM unnest($2::text[], $3::bytea[]) AS asked (kind, print)
JOIN blocks b ON b.merchant_id = $1 AND b.kind = asked.kind AND b.print = asked.print
WHERE b.expires_at IS NULL OR b.expires_at > $4
"""


async def read_blocks(
    connection: Connection,
    keys: OrderKey,
    merchant_id: UUID,
    kinds: Collection[BlockKind],
    payers: Mapping[K, Payer],
    now: datetime,
) -> dict[K, tuple[BlockKind, ...]]:
    """Those who are blocked, and by which kinds of entries. `kinds`: those of the list; without any nothing is read."""
    if not kinds:
        return {}
    prints = {key: _prints(keys, merchant_id, kinds, *payer) for key, payer in payers.items()}
    asked = sorted({each for of_payer in prints.values() for each in of_payer.items()})
    rows = await connection.fetch(
        READ_BLOCKS, merchant_id, [kind for kind, _ in asked], [printed for _, printed in asked], now
    )
    blocked = {(kind, bytes(printed)) for kind, printed in rows}
    if not blocked:
        return {}
    found = {
        key: tuple(kind for kind, printed in of.items() if (kind, printed) in blocked) for key, of in prints.items()
    }
    return {key: by for key, by in found.items() if by}


def _prints(
    keys: OrderKey, merchant_id: UUID, kinds: Collection[BlockKind], user_id: str, card: CardElements | None
) -> dict[BlockKind, bytes]:
    found: dict[BlockKind, bytes] = {}
    if BlockKind.USER in kinds:
        found[BlockKind.USER] = keys.print_of_user(merchant_id, user_id)
    if card is None:
        return found
    card = one_form(card)  # cards of the first version stand as they were typed
    if BlockKind.CARD_NO in kinds:
        found[BlockKind.CARD_NO] = keys.print_of_number(merchant_id, card.card_no)
    if BlockKind.ID_NO in kinds:
        found[BlockKind.ID_NO] = keys.print_of_id(merchant_id, card.id_type, card.id_no)
    if BlockKind.PHONE in kinds:
        found[BlockKind.PHONE] = keys.print_of_phone(merchant_id, card.phone)
    return found
