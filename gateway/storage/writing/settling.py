"""What payouts take: of a channel's day, whose row is their lock, and of the payments that they pay on.

Whoever changes a payout locks the row of its channel and day, then the payments that it settles, in order of id.
Refunds lock their user, then the payment: nobody who holds a payment waits for a day or a user, so no two wait for each
other. `outflows_rest_check` holds what is left, whatever else runs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from gateway.domain.payouts import Part, Payout
from gateway.storage.server.database import Connection
from gateway.storage.tables import outflows, payout_days, settles
from gateway.storage.writing.statement import Row, Write

__all__ = [
    "Day",
    "add_parts",
    "change_days",
    "days_of",
    "lock_days",
    "lock_payments",
    "settled_by",
    "take_again",
    "take_nothing",
    "used_of",
]

Day = tuple[str, date]
"""A channel and a business day."""

# WHERE false: the rows that are there already are locked and not written again.
LOCK_DAYS = """
INSERT INTO payout_days (merchant_id, channel, business_day, used)
SELECT $1::uuid, asked.channel, asked.business_day, 0
FROM unnest($2::text[], $3::date[]) AS asked (channel, business_day)
ON CONFLICT (merchant_id, channel, business_day) DO UPDATE SET used = excluded.used WHERE false
"""
READ_DAYS_OF = (
    "SELECT DISTINCT channel, business_day FROM payouts WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[])"
)
READ_USED = """
SELECT d.channel, d.business_day, d.used FROM unnest($2::text[], $3::date[]) AS asked (channel, business_day)
JOIN payout_days d ON d.merchant_id = $1 AND d.channel = asked.channel AND d.business_day = asked.business_day
"""
LOCK_PAYMENTS = """
SELECT payment_id FROM payments WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[]) ORDER BY payment_id FOR UPDATE
"""
READ_SETTLED = "SELECT DISTINCT payment_id FROM settles WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[])"

# One payment may be settled by several of the payouts that take nothing any more.
FREE_OUTFLOWS = """
UPDATE outflows t SET settled = t.settled - v.counted
FROM (
    SELECT payment_id, sum(counted)::bigint AS counted FROM settles
    WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[]) AND counted > 0 GROUP BY payment_id
) v
WHERE t.merchant_id = $1 AND t.payment_id = v.payment_id
"""
FREE_PARTS = "UPDATE settles SET counted = 0 WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[]) AND counted > 0"
# What is left of each payment may have been taken meanwhile: no more than that is counted again.
TAKE_PARTS = """
UPDATE settles t SET counted = least(t.amount, o.amount - o.refunded - o.settled)
FROM outflows o
WHERE t.merchant_id = $1 AND t.payout_id = $2 AND t.counted = 0 AND o.merchant_id = $1 AND o.payment_id = t.payment_id
"""
TAKE_OUTFLOWS = """
UPDATE outflows t SET settled = t.settled + v.counted FROM settles v
WHERE v.merchant_id = $1 AND v.payout_id = $2 AND t.merchant_id = $1 AND t.payment_id = v.payment_id
"""


async def days_of(connection: Connection, merchant_id: UUID, payout_ids: Collection[UUID]) -> set[Day]:
    """The channels and days of payouts, whose rows are to be locked. A payout that was not sent may move to another."""
    rows = await connection.fetch(READ_DAYS_OF, merchant_id, list(payout_ids)) if payout_ids else ()
    return {(row[0], row[1]) for row in rows}


async def lock_days(connection: Connection, merchant_id: UUID, days: Iterable[Day]) -> None:
    """Lock the rows of days, those that are new, too. Read what depends on it in a later statement."""
    in_turn = sorted(days)
    await connection.execute(LOCK_DAYS, merchant_id, [day[0] for day in in_turn], [day[1] for day in in_turn])


async def used_of(connection: Connection, merchant_id: UUID, days: Collection[Day]) -> dict[Day, int]:
    """What payouts take of days, in fen."""
    asked = list(days)
    rows = await connection.fetch(READ_USED, merchant_id, [day[0] for day in asked], [day[1] for day in asked])
    return {(row[0], row[1]): row[2] for row in rows}


async def settled_by(connection: Connection, merchant_id: UUID, payout_ids: Collection[UUID]) -> set[UUID]:
    """The payments that these payouts settle."""
    rows = await connection.fetch(READ_SETTLED, merchant_id, list(payout_ids)) if payout_ids else ()
    return {row[0] for row in rows}


async def lock_payments(connection: Connection, merchant_id: UUID, payment_ids: Iterable[UUID]) -> None:
    """Lock payments, in order of id."""
    if ids := sorted(set(payment_ids)):
        await connection.fetch(LOCK_PAYMENTS, merchant_id, ids)


async def take_nothing(connection: Connection, merchant_id: UUID, payout_ids: Sequence[UUID]) -> None:
    """The parts of payouts that failed or came back are free. Their payments are locked."""
    if payout_ids:
        await connection.execute(FREE_OUTFLOWS, merchant_id, list(payout_ids))
        await connection.execute(FREE_PARTS, merchant_id, list(payout_ids))


async def take_again(connection: Connection, merchant_id: UUID, payout_id: UUID) -> None:
    """A payout that failed was done after all: its parts take what is left of their payments. Those are locked."""
    await connection.execute(TAKE_PARTS, merchant_id, payout_id)
    await connection.execute(TAKE_OUTFLOWS, merchant_id, payout_id)


def add_parts(write: Write, added: Sequence[tuple[Payout, Part]], amounts: Mapping[UUID, int]) -> None:
    """Write new parts of payouts, and count them as money that leaves. `amounts`: of the payments."""
    rows: list[Row] = [
        {"payout_id": of.payout_id, "payment_id": part.payment_id, "amount": part.amount, "counted": part.amount}
        for of, part in added
    ]
    write.insert(settles, rows)
    taken: dict[UUID, int] = {}
    for _, part in added:
        taken[part.payment_id] = taken.get(part.payment_id, 0) + part.amount
    leaving: list[Row] = [
        {"payment_id": key, "amount": amounts[key], "refunded": 0, "settled": taken[key], "excess": 0}
        for key in sorted(taken)
    ]
    more = "ON CONFLICT (merchant_id, payment_id) DO UPDATE SET settled = outflows.settled + excluded.settled"
    write.insert(outflows, leaving, conflict=more)


def change_days(write: Write, used: Mapping[Day, int]) -> None:
    """Write by how much more, or less, payouts take of days; their rows are locked."""
    rows: list[Row] = [
        {"channel": channel, "business_day": day, "used": fen} for (channel, day), fen in sorted(used.items()) if fen
    ]
    write.update(payout_days, rows, by=["channel", "business_day"], changes="used = t.used + v.used")
