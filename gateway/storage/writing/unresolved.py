"""The oldest attempt of a user on a channel that has no result yet.

Read only for merchants whose router counts such an attempt as failed (`unresolved_counts_after_s`). The day on which a
user's oldest open payment began is told by usage; their payments are looked at from that day on, and no older ones.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from gateway.storage.server.database import Connection
from gateway.storage.writing.making_good import begins_with

__all__ = ["READ_OPEN_SINCE", "READ_UNRESOLVED", "read_unresolved"]

READ_OPEN_SINCE = """
SELECT user_id, min(business_day) FROM channel_usage
WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND reserved > 0 GROUP BY user_id
"""
# What waits for the payer (requires_action) is not the channel's fault.
READ_UNRESOLVED = """
SELECT p.user_id, p.channel, min(i.recorded_at)
FROM unnest($2::text[], $3::uuid[]) AS since (user_id, first_id)
JOIN payments p ON p.merchant_id = $1 AND p.user_id = since.user_id AND p.payment_id >= since.first_id
JOIN intents i ON i.merchant_id = $1 AND i.object_id = p.payment_id AND i.verb = 'pay' AND i.state = 'open'
WHERE p.status = 'processing' GROUP BY p.user_id, p.channel
"""

_BEFORE_THE_DAY: Final = timedelta(hours=15)
"""A day begins before midnight UTC somewhere; and a payment has its id a moment before its day is known."""


async def read_unresolved(
    connection: Connection, merchant_id: UUID, users: Collection[str]
) -> Mapping[tuple[str, str], datetime]:
    """(user, channel) → since when the oldest attempt without a result is recorded; of those who have one."""
    days: dict[str, date] = dict(await connection.fetch(READ_OPEN_SINCE, merchant_id, list(users)))
    if not days:
        return {}
    firsts = [begins_with(datetime.combine(day, time(), UTC) - _BEFORE_THE_DAY) for day in days.values()]
    found = await connection.fetch(READ_UNRESOLVED, merchant_id, list(days), firsts)
    return {(user_id, channel): since for user_id, channel, since in found}
