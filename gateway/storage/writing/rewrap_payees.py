"""Rewrap payouts: the key of each under the ring's primary. What it seals stays as it is.

A key is changed only where it is still the one that was read, so whoever else rewraps does no harm.
"""

from collections import Counter
from typing import Protocol
from uuid import UUID

from gateway.logs import get
from gateway.storage.keys import DecryptionError, Keys, PayeeBox, UnknownKeyError
from gateway.storage.keys.ring import VERSION_BYTES
from gateway.storage.server.database import Database
from gateway.storage.tables import payouts
from gateway.storage.writing.statement import Row, Write

__all__ = ["RewrapPayees"]

BATCH = 500
READING_WITHIN_S = 600

NEXT = """
SELECT payout_id, data_key FROM payouts WHERE merchant_id = $1 AND substr(data_key, 1, 2) <> $2 AND payout_id > $3
ORDER BY payout_id LIMIT $4
"""

log = get(__name__)


class Done(Protocol):
    """Where it is counted what was done, and what was left out."""

    payouts: int
    missing: Counter[int]


class RewrapPayees:
    """Rewraps the payouts of a merchant, batch by batch."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database, self._ring = database, keys.ring
        self._primary = keys.ring.primary.to_bytes(VERSION_BYTES, "big")

    async def all(self, merchant_id: UUID, done: Done) -> None:
        """Rewrap all of them; those whose key is not in the ring are counted as missing."""
        after = UUID(int=0)
        while True:
            async with self._database.long_transaction(READING_WITHIN_S) as connection:
                values = (merchant_id, self._primary, after, BATCH)
                found = await connection.fetch(NEXT, *values, timeout=READING_WITHIN_S)
                rows = [row for one in found if (row := self._row(merchant_id, one[0], one[1], done)) is not None]
                write = Write(merchant_id)
                changes = "data_key = v.data_key"
                write.update(payouts, rows, by=["payout_id"], changes=changes, when="t.data_key = v.payee")
                await write.run(connection, "SELECT 1")
            done.payouts += len(rows)
            if len(found) < BATCH:
                return
            after = found[-1][0]

    def _row(self, merchant_id: UUID, payout_id: UUID, wrapped: bytes, done: Done) -> Row | None:
        try:
            data_key = PayeeBox.rewrapped(self._ring, merchant_id, payout_id, wrapped)
        except UnknownKeyError as error:
            done.missing[error.number] += 1
            return None
        except DecryptionError:
            log.error("a payout's key does not open though its key is in the ring", payout_id=str(payout_id))
            return None
        # Under the name of another column of that type: what the key was when it was read.
        return {"payout_id": payout_id, "data_key": data_key, "payee": bytes(wrapped)}
