"""Low-water marks: where claims begin to look for what is due.

What is done leaves its place in an index of what is due, and as long as somebody holds an old snapshot PostgreSQL keeps
those places: each claim would walk over all of them. So each process remembers, for each merchant, how far everything
is done, and begins there.

A mark stands below the oldest that is still to do, whoever has it in hand, and some seconds below now: what was due
before its commit is found. What comes to lie below it all the same (it took long to commit, or a clock was off) is
found by a look below the mark every ten seconds.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gateway.storage.server.database import Connection

__all__ = ["BEGINNING", "LowWater"]

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Below everything that is due."""
BELOW_NOW = timedelta(seconds=5)
"""How far below now a mark stays. Commits take less, and clocks are not that far apart."""
LOOK_EVERY = timedelta(seconds=5)
LOOK_BELOW_EVERY = timedelta(seconds=10)
BEHIND = timedelta(minutes=1)
"""A mark this old has work below it that waits; it is not to make the looks at other merchants longer."""
LOOKS_AT_ONCE = 100
"""Merchants whose marks are moved in one call. The others' stay where they are: that forgets nothing."""


@dataclass(slots=True)
class _Mark:
    at: datetime
    looked_at: datetime
    looked_below_at: datetime


class LowWater:
    """One process's marks, by merchant. `oldest` reads when the oldest not done is due: of merchant $1, from $2 on."""

    def __init__(self, oldest: str) -> None:
        self._oldest = oldest
        self._marks: dict[UUID, _Mark] = {}

    def of(self, merchant_id: UUID) -> datetime:
        """Where to begin: nothing is to be done that was due before."""
        mark = self._marks.get(merchant_id)
        return mark.at if mark else BEGINNING

    def groups(self, merchants: Collection[UUID], now: datetime) -> Iterator[tuple[list[UUID], datetime]]:
        """All of these merchants in one or two groups, each with where to begin."""
        behind = [merchant_id for merchant_id in merchants if self.of(merchant_id) < now - BEHIND]
        others = [merchant_id for merchant_id in merchants if self.of(merchant_id) >= now - BEHIND]
        for group in (others, behind):
            if group:
                yield group, min(map(self.of, group))

    async def look(self, connection: Connection, merchants: Collection[UUID], now: datetime) -> None:
        """Move the marks of these merchants, where that was not done lately."""
        stale = [merchant_id for merchant_id in merchants if self._is_stale(merchant_id, now)]
        for merchant_id in stale[:LOOKS_AT_ONCE]:
            mark = self._marks.get(merchant_id)
            below = mark is None or not timedelta() <= now - mark.looked_below_at < LOOK_BELOW_EVERY
            begin = BEGINNING if mark is None or below else mark.at
            rows = await connection.fetch(self._oldest, merchant_id, begin)
            oldest = rows[0][0] if rows else None
            at = now - BELOW_NOW if oldest is None else min(oldest, now - BELOW_NOW)
            looked_below_at = now if mark is None or below else mark.looked_below_at
            self._marks[merchant_id] = _Mark(at, now, looked_below_at)

    def _is_stale(self, merchant_id: UUID, now: datetime) -> bool:
        mark = self._marks.get(merchant_id)
        return mark is None or not timedelta() <= now - mark.looked_at < LOOK_EVERY
