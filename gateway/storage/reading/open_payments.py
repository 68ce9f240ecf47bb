"""How many payments are open, and since when: by channel, for metrics. Bounded, whatever lies in the tables."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["LOOKED_AT_MAX", "OpenPayments", "open_payments"]

LOOKED_AT_MAX = 10_000
"""Of one merchant, those that are due first. Beyond it the numbers are too small, and no less alarming."""

# What is open has something due (a constraint says so), so the index of what is due has all of it and little else.
OPEN_PAYMENTS = """
SELECT channel, count(*) AS number, min(created_at) AS oldest FROM (
    SELECT channel, status, created_at FROM payments
    WHERE merchant_id = :merchant_id AND (due_at IS NOT NULL OR until_at IS NOT NULL)
    ORDER BY least(due_at, until_at) LIMIT :most
) AS due
WHERE status IN ('processing', 'requires_action') GROUP BY channel
"""


class OpenPayments(NamedTuple):
    """The open payments of one channel."""

    number: int
    oldest: datetime


async def open_payments(engine: AsyncEngine, merchant_id: UUID) -> dict[str, OpenPayments]:
    """Channel → its open payments; channels without any are absent."""
    values = {"merchant_id": merchant_id, "most": LOOKED_AT_MAX}
    async with engine.connect() as connection:
        rows = await connection.execute(text(OPEN_PAYMENTS), values)
        return {row.channel: OpenPayments(row.number, row.oldest) for row in rows}
