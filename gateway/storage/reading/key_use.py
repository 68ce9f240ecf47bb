"""Which key is still used for what: what must be so before a key of the ring may leave it. Looks at whole tables."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.keys import DecryptionError, KeyRingError, Keys
from gateway.storage.keys.ring import version_of

__all__ = ["KeyUse", "key_use", "require_order_key"]

READING_WITHIN_MS = 600_000
TRIED_CARDS = 5

# Each gives the beginning of a blob, or a number, with how many there are.
_OF_CARDS = """
SELECT substr(coalesce(data_key, elements), 1, 2) AS begins, count(*) AS found FROM cards
WHERE erased_at IS NULL GROUP BY 1
"""
_OF_PAYOUTS = "SELECT substr(data_key, 1, 2) AS begins, count(*) AS found FROM payouts GROUP BY 1"
_OF_AGREEMENTS = """
SELECT key_version AS number, count(*) AS found FROM agreements
WHERE key_version > 0 AND agreement_no IS NOT NULL GROUP BY 1
"""
_OF_SECRETS = """
SELECT substr(secrets, 1, 2) AS begins, count(*) AS found
FROM (SELECT secrets FROM accounts UNION ALL SELECT secrets FROM endpoints) AS kept GROUP BY 1
"""
_OF_ORDERS = "SELECT hash_version AS number, count(*) AS found FROM orders WHERE hash_version > 0 GROUP BY 1"
_SOME_CARDS = """
SELECT merchant_id, card_id, data_key, elements, number_print FROM cards WHERE print IS NOT NULL LIMIT :tried
"""


@dataclass(slots=True)
class KeyUse:
    """What is under one key of the ring."""

    cards: int = 0
    agreements: int = 0
    """Numbers that the key sealed itself, as the first version did."""
    secrets: int = 0
    """Of accounts and endpoints."""
    payouts: int = 0
    """Whose payees are under it."""
    order_hashes: int = 0
    """Of the first version. They are compared while the key is there, and need not keep it."""

    @property
    def needed(self) -> bool:
        """Whether something could not be read without the key."""
        return bool(self.cards or self.agreements or self.secrets or self.payouts)


async def key_use(engine: AsyncEngine) -> dict[int, KeyUse]:
    """By the number of the key; keys that nothing is under are absent."""
    use: dict[int, KeyUse] = defaultdict(KeyUse)
    async with engine.connect() as connection:
        await connection.execute(text(f"SET LOCAL statement_timeout = {READING_WITHIN_MS}"))
        for number, found in await _counted(connection, _OF_CARDS):
            use[number].cards = found
        for number, found in await _counted(connection, _OF_PAYOUTS):
            use[number].payouts = found
        for number, found in await _counted(connection, _OF_AGREEMENTS):
            use[number].agreements = found
        for number, found in await _counted(connection, _OF_SECRETS):
            use[number].secrets = found
        for number, found in await _counted(connection, _OF_ORDERS):
            use[number].order_hashes = found
        await connection.rollback()
    return dict(use)


async def _counted(connection: AsyncConnection, sql: str) -> list[tuple[int, int]]:
    rows = (await connection.execute(text(sql))).mappings()
    return [(row["number"] if "number" in row else version_of(row["begins"]), row["found"]) for row in rows]


async def require_order_key(engine: AsyncEngine, keys: Keys) -> None:
    """Raises KeyRingError when cards of this database were written with another order key.

    With it they would not be found again, and every order that is repeated would be a conflict.
    """
    async with engine.connect() as connection:
        rows = (await connection.execute(text(_SOME_CARDS), {"tried": TRIED_CARDS})).all()
    for merchant_id, card_id, data_key, elements, number_print in rows:
        try:
            card = keys.box(merchant_id, card_id, data_key).open_elements(elements)
        except DecryptionError:
            continue  # a key is missing here: that is told where such a card is needed
        if keys.order.prints(merchant_id, card).number == number_print:
            return
        raise KeyRingError(
            "SLUICE_ORDER_KEY: this is not the order key that this database was written with, and it never changes: "
            "set the one that every other process has (outside production it is order.key in the data folder)"
        )
