"""The SQL of claiming what is due, by channel: one that has no room costs nothing, however much of it is due.

Which channels have something due is one look into the index for each; of those the oldest are taken, as many as there
is room for.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.storage.server.database import Connection

__all__ = [
    "CLAIM_AUTHENTICATIONS",
    "CLAIM_PAYMENTS",
    "CLAIM_PAYOUTS",
    "CLAIM_REFUNDS",
    "DUE_CHANNELS",
    "NO_CHANNEL",
    "OLDEST_DUE",
    "OPEN_CHANNELS",
    "WITH_WORK",
    "KnownChannels",
    "shares",
]

# `IS NOT NULL` beside `<=` tells the planner how few rows have something due: without it a plan for any values takes it
# for a third of the table, and reads that from its start. `>=` leaves out what is done: see `low_water`.
WITH_WORK = (
    """payments WHERE merchant_id = {merchant} AND (due_at IS NOT NULL OR until_at IS NOT NULL)
    AND least(due_at, until_at) <= $1 AND least(due_at, until_at) >= $2 AND (lease_until IS NULL OR lease_until <= $1)
    ORDER BY least(due_at, until_at)""",
    """authentications WHERE merchant_id = {merchant} AND due_at IS NOT NULL AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at""",
    """refunds WHERE merchant_id = {merchant} AND due_at IS NOT NULL AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at""",
    """payouts WHERE merchant_id = {merchant} AND due_at IS NOT NULL AND due_at <= $1 AND due_at >= $2
    AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at""",
)
OLDEST_DUE = """
SELECT least(
    (SELECT least(due_at, until_at) FROM payments
     WHERE merchant_id = $1 AND (due_at IS NOT NULL OR until_at IS NOT NULL) AND least(due_at, until_at) >= $2
     ORDER BY least(due_at, until_at) LIMIT 1),
    (SELECT due_at FROM authentications WHERE merchant_id = $1 AND due_at IS NOT NULL AND due_at >= $2
     ORDER BY due_at LIMIT 1),
    (SELECT due_at FROM refunds WHERE merchant_id = $1 AND due_at IS NOT NULL AND due_at >= $2
     ORDER BY due_at LIMIT 1),
    (SELECT due_at FROM payouts WHERE merchant_id = $1 AND due_at IS NOT NULL AND due_at >= $2
     ORDER BY due_at LIMIT 1)
)
"""

NO_CHANNEL: Final = ""
"""The channel of refunds that do not name theirs: old ones."""

HOP_EVERY: Final = timedelta(seconds=30)

_DUE: Final = {
    "payments": ("channel", "(due_at IS NOT NULL OR until_at IS NOT NULL)", "least(due_at, until_at)"),
    "authentications": ("channel", "due_at IS NOT NULL", "due_at"),
    "refunds": ("coalesce(channel, '')", "due_at IS NOT NULL", "due_at"),
    "payouts": ("channel", "due_at IS NOT NULL", "due_at"),
}
"""By table: its channel (old refunds do not name it), which rows stand in its index, and when they are due."""


def _channels(table: str) -> str:
    channel, stands, _ = _DUE[table]
    return f"""{table}_channels AS (
    (SELECT {channel} AS channel FROM {table} WHERE merchant_id = $1 AND {stands} ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT following.channel FROM {table}_channels c CROSS JOIN LATERAL (
        SELECT {channel} AS channel FROM {table} WHERE merchant_id = $1 AND {stands} AND {channel} > c.channel
        ORDER BY 1 LIMIT 1
    ) following
)"""


def _has_due(table: str) -> str:
    channel, stands, due = _DUE[table]
    return f"""SELECT '{table}', asked.channel FROM unnest($4::text[]) AS asked (channel) WHERE EXISTS (
    SELECT 1 FROM {table} WHERE merchant_id = $1 AND {channel} = asked.channel AND {stands} AND {due} <= $2
    AND {due} >= $3 AND (lease_until IS NULL OR lease_until <= $2)
)"""


def _claim(table: str, key: str) -> str:
    channel, stands, due = _DUE[table]
    return f"""
WITH due AS (
    SELECT oldest.{key}, $3::timestamptz AS lease_until
    FROM unnest($4::text[], $5::bigint[]) AS asked (channel, room) CROSS JOIN LATERAL (
        SELECT {key} FROM {table} WHERE merchant_id = $1 AND {channel} = asked.channel AND {stands} AND {due} <= $2
        AND {due} >= $6 AND (lease_until IS NULL OR lease_until <= $2)
        ORDER BY {due} LIMIT asked.room FOR UPDATE SKIP LOCKED
    ) oldest
)
UPDATE {table} t SET lease_until = due.lease_until FROM due
WHERE t.merchant_id = $1 AND t.{key} = due.{key} RETURNING t.{key}
"""


OPEN_CHANNELS = (
    "\nWITH RECURSIVE "
    + ", ".join(map(_channels, _DUE))
    + "\n"
    + "\nUNION\n".join(f"SELECT channel FROM {table}_channels" for table in _DUE)
    + "\n"
)
DUE_CHANNELS = "\n" + "\nUNION ALL\n".join(map(_has_due, _DUE)) + "\n"
CLAIM_PAYMENTS = _claim("payments", "payment_id")
CLAIM_AUTHENTICATIONS = _claim("authentications", "authentication_id")
CLAIM_REFUNDS = _claim("refunds", "refund_id")
CLAIM_PAYOUTS = _claim("payouts", "payout_id")


class KnownChannels:
    """The channels that a merchant's open objects may be of: those of the catalogue, and what stands in the index.

    The index is hopped over from one channel to the next, and only now and then: while somebody holds an old snapshot
    each hop walks over what is done. `of` tells a merchant's channels in force.
    """

    def __init__(self, of: Callable[[UUID], Collection[str]]) -> None:
        self._of = of
        self._found: dict[UUID, tuple[datetime, frozenset[str]]] = {}

    async def look(self, connection: Connection, merchant_id: UUID, now: datetime) -> list[str]:
        """All of them, with that of refunds that name none."""
        looked_at, found = self._found.get(merchant_id, (None, frozenset()))
        if looked_at is None or not timedelta() <= now - looked_at < HOP_EVERY:
            found = frozenset(row[0] for row in await connection.fetch(OPEN_CHANNELS, merchant_id))
            self._found[merchant_id] = now, found
        return sorted({NO_CHANNEL, *found, *self._of(merchant_id)})


def shares(channels: Sequence[str], most: int, room: Callable[[str], int]) -> Mapping[str, int]:
    """How many may be taken of each channel, `most` over all: evenly, and what one has no room for is the others'."""
    taken = {}
    for place, channel in enumerate(by_room := sorted(channels, key=room)):
        taken[channel] = max(0, min(room(channel), math.ceil(most / (len(by_room) - place))))
        most -= taken[channel]
    return {channel: count for channel, count in taken.items() if count}
