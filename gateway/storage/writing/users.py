"""Users: their rows are the lock of everything that changes a user's payments, cards and usage.

Every flush takes this lock first, in the same order, so flushes of any kind wait for each other and never deadlock.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from asyncpg import LockNotAvailableError

from gateway.ports import OverloadedError
from gateway.storage.server.database import Connection, Database

T = TypeVar("T")
R = TypeVar("R")

BUSY_RETRY_AFTER_S = 1
LEFT_OUT_S = 1.0
"""How long a user who was found busy is left out without being looked at again."""
MOST_REMEMBERED = 1000
"""Users who never come again need not be remembered."""

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


class BusyUsers:
    """Users whose rows somebody holds. Whoever flushes leaves them out, so that nobody else waits for them.

    The first flush that meets a held row waits for the lock's limit. From then on that user is refused at once for a
    moment, and afterwards looked at, waiting for nobody, until the row is free. Without that each flush would wait
    again, and a merchant would be as slow as its slowest row. A process has one of these for all its flushes: what one
    kind has met the others leave out.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._looked_at: dict[tuple[UUID, str], float] = {}
        """When each was last seen to be busy."""

    async def without(
        self,
        items: list[T],
        user_of: Callable[[T], tuple[UUID, str]],
        flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
    ) -> Sequence[R | Exception]:
        """Flush the items of one merchant but those of users that are busy: they are refused as an overload."""
        busy = await self._still_busy({user_of(item) for item in items}) if self._looked_at else frozenset()
        free = [item for item in items if user_of(item) not in busy] if busy else items
        try:
            done = await flush(free) if free else ()
        except LockNotAvailableError:
            # Halving the batch would find the locked ones, too, but each half would wait for the lock's limit again.
            found = await self._look({user_of(item) for item in free})
            if not found:
                raise
            busy |= found
            free = [item for item in free if user_of(item) not in found]
            done = await flush(free) if free else ()
        if not busy:
            return done
        results, refused = iter(done), OverloadedError(BUSY_RETRY_AFTER_S)
        return [refused if user_of(item) in busy else next(results) for item in items]

    async def _still_busy(self, users: set[tuple[UUID, str]]) -> frozenset[tuple[UUID, str]]:
        """Which of them were busy a moment ago, or were before and are found to be so now."""
        known = {user: seen for user in users if (seen := self._looked_at.get(user)) is not None}
        if not known:
            return frozenset()
        now = self._clock()
        fresh = {user for user, seen in known.items() if now - seen < LEFT_OUT_S}
        return frozenset(fresh) | await self._look(known.keys() - fresh)

    async def _look(self, users: Set[tuple[UUID, str]]) -> frozenset[tuple[UUID, str]]:
        """Which of these somebody holds just now; remembered, and the others forgotten."""
        if not users:
            return frozenset()
        (merchant_id,) = {merchant for merchant, _ in users}
        held = await busy_users(self._database, merchant_id, (user for _, user in users))
        now = self._clock()
        if len(self._looked_at) > MOST_REMEMBERED:
            self._looked_at = {user: seen for user, seen in self._looked_at.items() if now - seen < LEFT_OUT_S}
        for user in users:
            if user[1] in held:
                self._looked_at[user] = now
            else:
                self._looked_at.pop(user, None)
        return frozenset((merchant_id, user) for user in held)
