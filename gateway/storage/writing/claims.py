"""The SQL of claiming what is due, by channel: one that has no room costs nothing, however much of it is due.

Which channels have something due is found by hopping over the index from one channel to the next; of each the oldest
are taken, as many as it has room for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

__all__ = ["CLAIM_AUTHENTICATIONS", "CLAIM_PAYMENTS", "CLAIM_REFUNDS", "DUE_CHANNELS", "MERCHANTS_WITH_WORK", "shares"]

# `IS NOT NULL` beside `<=` tells the planner how few rows have something due: without it a plan for any values takes it
# for a third of the table, and reads that from its start.
MERCHANTS_WITH_WORK = """
SELECT m FROM unnest($1::uuid[]) AS m WHERE EXISTS (
    SELECT 1 FROM payments WHERE merchant_id = m AND (due_at IS NOT NULL OR until_at IS NOT NULL)
    AND least(due_at, until_at) <= $2 AND (lease_until IS NULL OR lease_until <= $2)
) OR EXISTS (
    SELECT 1 FROM authentications WHERE merchant_id = m AND due_at IS NOT NULL AND due_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
) OR EXISTS (
    SELECT 1 FROM refunds WHERE merchant_id = m AND due_at IS NOT NULL AND due_at <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
)
"""

_DUE: Final = {
    "payments": ("channel", "(due_at IS NOT NULL OR until_at IS NOT NULL)", "least(due_at, until_at)"),
    "authentications": ("channel", "due_at IS NOT NULL", "due_at"),
    "refunds": ("coalesce(channel, '')", "due_at IS NOT NULL", "due_at"),
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
    return f"""SELECT '{table}', c.channel FROM {table}_channels c WHERE EXISTS (
    SELECT 1 FROM {table} WHERE merchant_id = $1 AND {channel} = c.channel AND {stands} AND {due} <= $2
    AND (lease_until IS NULL OR lease_until <= $2)
)"""


def _claim(table: str, key: str) -> str:
    channel, stands, due = _DUE[table]
    return f"""
WITH due AS (
    SELECT oldest.{key}, $3::timestamptz AS lease_until
    FROM unnest($4::text[], $5::bigint[]) AS asked (channel, room) CROSS JOIN LATERAL (
        SELECT {key} FROM {table} WHERE merchant_id = $1 AND {channel} = asked.channel AND {stands} AND {due} <= $2
        AND (lease_until IS NULL OR lease_until <= $2)
        ORDER BY {due} LIMIT asked.room FOR UPDATE SKIP LOCKED
    ) oldest
)
UPDATE {table} t SET lease_until = due.lease_until FROM due
WHERE t.merchant_id = $1 AND t.{key} = due.{key} RETURNING t.{key}
"""


DUE_CHANNELS = (
    "\nWITH RECURSIVE "
    + ", ".join(_channels(table) for table in _DUE)
    + "\n"
    + "\nUNION ALL\n".join(_has_due(table) for table in _DUE)
    + "\n"
)
CLAIM_PAYMENTS = _claim("payments", "payment_id")
CLAIM_AUTHENTICATIONS = _claim("authentications", "authentication_id")
CLAIM_REFUNDS = _claim("refunds", "refund_id")


def shares(channels: Sequence[str], most: int, room: Callable[[str], int]) -> Mapping[str, int]:
    """How many may be taken of each channel, `most` over all: evenly, and what one has no room for is the others'."""
    taken = {}
    for place, channel in enumerate(by_room := sorted(channels, key=room)):
        taken[channel] = max(0, min(room(channel), math.ceil(most / (len(by_room) - place))))
        most -= taken[channel]
    return {channel: count for channel, count in taken.items() if count}
