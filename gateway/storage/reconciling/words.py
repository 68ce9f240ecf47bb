"""What days' comparisons have to tell our books, until it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.domain.intents import Verb
from gateway.domain.reconciled import Word
from gateway.flows.statement_words import Untold
from gateway.storage.server.database import Database

__all__ = ["UntoldStore"]

FIRST: Final = UUID(int=0)
UNTOLD: Final = """
SELECT difference_id, verb, object_id, word, account, day, amount, transaction_no, done_at FROM differences
WHERE merchant_id = $1 AND word IS NOT NULL AND told_at IS NULL AND difference_id > $2 AND state <> 'superseded'
ORDER BY difference_id LIMIT $3
"""
TOLD: Final = "UPDATE differences SET told_at = $3 WHERE merchant_id = $1 AND difference_id = ANY($2::uuid[])"


@dataclass(frozen=True, slots=True)
class UntoldStore:
    """Implements `flows.statement_words.UntoldWords`."""

    database: Database

    async def untold(self, merchant_id: UUID, after: UUID | None, limit: int) -> Sequence[Untold]:
        """A page of them, by their ids, after one."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(UNTOLD, merchant_id, after or FIRST, limit)
        return [Untold(row[0], merchant_id, Verb(row[1]), row[2], Word(row[3]), *list(row)[4:]) for row in rows]

    async def told(self, merchant_id: UUID, differences: Sequence[UUID], at: datetime) -> None:
        """They need not be told again."""
        async with self.database.connection() as connection:
            await connection.execute(TOLD, merchant_id, list(differences), at)
