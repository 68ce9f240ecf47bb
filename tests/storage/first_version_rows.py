"""Cards as the first version wrote them: sealed by a key of the ring, with a fingerprint that nobody asks for now."""

from datetime import datetime
from uuid import UUID, uuid4

from gateway.domain.cards import CardElements, mask_card_no
from gateway.storage.keys import KeyRing
from gateway.storage.keys.boxes import CardBox
from tests.keys import key
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, NOW

INSERT_CARD = """
INSERT INTO cards (merchant_id, card_id, user_id, fingerprint, key_version, elements, masked, bank, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'ICBC', $8)
"""
INSERT_AGREEMENT = """
INSERT INTO agreements (merchant_id, card_id, account, agreement_no, key_version, status, verified_at, voided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def first_version_card(
    process: Process,
    typed: CardElements,
    *,
    user_id: str = "u1",
    number: int = 1,
    live: dict[str, str] | None = None,
    void: dict[str, str] | None = None,
    created_at: datetime = NOW,
) -> UUID:
    """A card of a user under key `number` of the tests, with agreements (account → number)."""
    ring, card_id = KeyRing.parse(f"{number}:{key(number)}"), uuid4()
    box = CardBox(ring, MERCHANT_ID, card_id, None)
    async with process.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO users (merchant_id, user_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            MERCHANT_ID,
            user_id,
            NOW,
        )
        await connection.execute(
            INSERT_CARD,
            MERCHANT_ID,
            card_id,
            user_id,
            card_id.bytes,
            number,
            box.seal_elements(typed),
            mask_card_no(typed.card_no),
            created_at,
        )
        for status, agreements in (("active", live or {}), ("void", void or {})):
            for account, agreement_no in agreements.items():
                sealed = box.seal_agreement(account, agreement_no)
                voided_at = NOW if status == "void" else None
                values = (MERCHANT_ID, card_id, account, sealed, number, status, NOW, voided_at)
                await connection.execute(INSERT_AGREEMENT, *values)
    return card_id
