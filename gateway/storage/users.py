"""Users: their rows are the lock of everything that changes a user's payments, cards and usage.

Every flush takes this lock first, in the same order, so flushes of any kind wait for each other and never deadlock.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from gateway.storage.database import Connection

# WHERE false: the rows that are there already are locked and not written again.
LOCK_USERS = """
INSERT INTO users (merchant_id, user_id, created_at)
SELECT $1::uuid, asked.user_id, $3::timestamptz FROM unnest($2::text[]) AS asked (user_id)
ON CONFLICT (merchant_id, user_id) DO UPDATE SET created_at = excluded.created_at WHERE false
"""


async def lock_users(connection: Connection, merchant_id: UUID, user_ids: Iterable[str], now: datetime) -> None:
    """Insert the users that are missing and lock all of them, in key order, until the transaction ends.

    Read what depends on the lock in a *later* statement: this one's snapshot is older than the end of its wait.
    """
    await connection.execute(LOCK_USERS, merchant_id, sorted(set(user_ids)), now)
