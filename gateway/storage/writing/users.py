"""Users: their rows are the lock of everything that changes a user's payments, cards and usage.

Every flush takes this lock first, in the same order, so flushes of any kind wait for each other and never deadlock.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from asyncpg import LockNotAvailableError

from gateway.ports import OverloadedError
from gateway.storage.server.database import Connection, Database

T = TypeVar("T")
R = TypeVar("R")

BUSY_RETRY_AFTER_S = 1

# WHERE false: the rows that are there already are locked and not written again.
LOCK_USERS = """
INSERT INTO users (merchant_id, user_id, created_at)
SELECT $1::uuid, asked.user_id, $3::timestamptz FROM unnest($2::text[]) AS asked (user_id)
ON CONFLICT (merchant_id, user_id) DO UPDATE SET created_at = excluded.created_at WHERE false
"""


# Of those that are there, the ones that somebody holds: a row is skipped because it is locked, or not skipped.
BUSY_USERS = """
WITH free AS (
    SELECT user_id FROM users WHERE merchant_id = $1::uuid AND user_id = ANY($2::text[])
    ORDER BY user_id FOR UPDATE SKIP LOCKED
)
SELECT user_id FROM users WHERE merchant_id = $1::uuid AND user_id = ANY($2::text[])
AND user_id NOT IN (SELECT user_id FROM free)
"""


async def busy_users(database: Database, merchant_id: UUID, user_ids: Iterable[str]) -> set[str]:
    """Which of these users somebody else has locked just now. Waits for nobody."""
    async with database.transaction() as connection:
        return {row[0] for row in await connection.fetch(BUSY_USERS, merchant_id, sorted(set(user_ids)))}


async def lock_users(connection: Connection, merchant_id: UUID, user_ids: Iterable[str], now: datetime) -> None:
    """Insert the users that are missing and lock all of them, in key order, until the transaction ends.

    Read what depends on the lock in a *later* statement: this one's snapshot is older than the end of its wait.
    """
    await connection.execute(LOCK_USERS, merchant_id, sorted(set(user_ids)), now)


async def without_the_busy(
    database: Database,
    items: list[T],
    user_of: Callable[[T], tuple[UUID, str]],
    flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
) -> Sequence[R | Exception]:
    """Flush the items of one merchant. If a user stays locked, flush the others and refuse that user's items.

    Halving the batch would find the locked ones, too, but each half would wait for the lock's limit again.
    """
    try:
        return await flush(items)
    except LockNotAvailableError:
        merchant_id = user_of(items[0])[0]
        busy = await busy_users(database, merchant_id, (user_of(item)[1] for item in items))
        free = [item for item in items if user_of(item)[1] not in busy]
        if not busy:
            raise
        done = iter(await flush(free)) if free else iter(())
        refused = OverloadedError(BUSY_RETRY_AFTER_S)
        return [refused if user_of(item)[1] in busy else next(done) for item in items]
