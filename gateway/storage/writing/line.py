"""The line: withholds that were recorded without a place on their channel. Claimed by channel, the oldest first.

A claim is a lease and no more: whoever sends one records its intent under its user's lock, where the state is looked at
again. Claims wait for nobody, and take no more of a channel than there are places for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.domain.payments import Payment
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.low_water import BEGINNING
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.with_work import merchants_with_work

__all__ = ["CLAIM_LINE", "CLAIM_TOO_LATE", "PUT_BACK", "WITH_LINE", "LineStore"]

BELOW_OLDEST: Final = timedelta(minutes=1)
"""How far below the oldest that was found a claim begins: what was recorded before may have been committed later."""
LOOK_BELOW_EVERY: Final = timedelta(seconds=10)

# In the words of the index: what is processing and has no due stands in line, and nothing else.
_IN_LINE = "status = 'processing' AND due_at IS NULL"

WITH_LINE = (
    f"""payments WHERE merchant_id = {{merchant}} AND {_IN_LINE} AND created_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1)""",
)
CLAIM_LINE = f"""
WITH oldest AS (
    SELECT found.payment_id, $3::timestamptz AS lease_until
    FROM unnest($4::text[], $5::bigint[], $6::timestamptz[]) AS asked (channel, room, since) CROSS JOIN LATERAL (
        SELECT payment_id FROM payments WHERE merchant_id = $1 AND channel = asked.channel AND {_IN_LINE}
        AND created_at >= asked.since AND (lease_until IS NULL OR lease_until <= $2)
        ORDER BY created_at, payment_id LIMIT asked.room FOR UPDATE SKIP LOCKED
    ) found
)
UPDATE payments t SET lease_until = oldest.lease_until FROM oldest
WHERE t.merchant_id = $1 AND t.payment_id = oldest.payment_id RETURNING t.payment_id
"""
CLAIM_TOO_LATE = f"""
WITH late AS (
    SELECT payment_id, $3::timestamptz AS lease_until FROM payments WHERE merchant_id = $1 AND {_IN_LINE}
    AND until_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
    ORDER BY until_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE payments t SET lease_until = late.lease_until FROM late
WHERE t.merchant_id = $1 AND t.payment_id = late.payment_id RETURNING t.payment_id
"""
PUT_BACK = f"""
UPDATE payments SET lease_until = NULL
WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[]) AND lease_until = $3 AND {_IN_LINE}
"""


@dataclass(slots=True)
class _Mark:
    """Where claims of a channel begin: while somebody has an old snapshot the index keeps what is done."""

    at: datetime
    looked_below_at: datetime


@dataclass(frozen=True, slots=True)
class LineStore:
    """Claims withholds that stand in line."""

    database: Database
    _marks: dict[tuple[UUID, str], _Mark] = field(default_factory=dict, init=False)

    async def merchants_with_line(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have somebody in line whom nobody has in hand."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_LINE, merchants, now, BEGINNING)

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, room: Mapping[str, int]
    ) -> list[Payment]:
        """Take the oldest of each channel, as many as `room` says, until `lease_until`; the oldest first."""
        if not room:
            return []
        since = [self._since(merchant_id, channel, now) for channel in room]
        asked = (lease_until, list(room), list(room.values()), since)
        async with self.database.transaction() as connection:
            claimed = await _taken(connection, merchant_id, CLAIM_LINE, now, *asked)
        for channel in room:
            oldest = min((each.created_at for each in claimed if each.channel == channel), default=now)
            self._marks[merchant_id, channel].at = oldest - BELOW_OLDEST
        return claimed

    async def claim_too_late(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[Payment]:
        """Take those that are not to be sent any more, whatever their channel: up to `limit`."""
        async with self.database.transaction() as connection:
            return await _taken(connection, merchant_id, CLAIM_TOO_LATE, now, lease_until, limit)

    async def put_back(self, merchant_id: UUID, payments: Collection[UUID], lease_until: datetime) -> None:
        """End the lease of some that are not sent now after all."""
        async with self.database.connection() as connection:
            await connection.execute(PUT_BACK, merchant_id, list(payments), lease_until)

    def _since(self, merchant_id: UUID, channel: str, now: datetime) -> datetime:
        mark = self._marks.get((merchant_id, channel))
        if mark is None or not timedelta() <= now - mark.looked_below_at < LOOK_BELOW_EVERY:
            self._marks[merchant_id, channel] = _Mark(BEGINNING, now)
            return BEGINNING
        return mark.at


async def _taken(connection: Connection, merchant_id: UUID, claim: str, *values: object) -> list[Payment]:
    ids = [row[0] for row in await connection.fetch(claim, merchant_id, *values)]
    found = await payments_by_id(connection, merchant_id, ids) if ids else []
    return sorted(found, key=lambda payment: (payment.created_at, payment.payment_id))
