"""Old snapshots: transactions left open, whose snapshots keep all that was changed or deleted since from being cleared.

Everything grows slower for everybody meanwhile: tables, indexes, and each look at what is due. Only sessions of this
database count, transactions that were prepared, and replication slots. What sessions of other database users do is seen
only by members of `pg_read_all_stats`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.alerts import AlertKind

__all__ = ["OLD_AFTER", "Snapshot", "SnapshotStore", "held_snapshots"]

OLD_AFTER = timedelta(minutes=5)
"""A transaction of ours ends within seconds; a report or a dump should read a replica."""

HELD = """
SELECT 'session' AS kind, pid::text AS name, application_name AS application, state,
    greatest(clock_timestamp() - xact_start, interval '0') AS age
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND backend_type <> 'autovacuum worker'
UNION ALL
SELECT 'prepared transaction', gid, '', 'prepared', greatest(clock_timestamp() - prepared, interval '0')
FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'replication slot', slot_name, coalesce(plugin, ''), 'not used', NULL
FROM pg_replication_slots WHERE xmin IS NOT NULL AND NOT active
ORDER BY age DESC NULLS LAST
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What holds a snapshot, and for how long. `name`: of a session its pid; `age` None: nobody knows."""

    kind: str
    name: str
    application: str
    state: str | None
    age: timedelta | None

    @property
    def is_old(self) -> bool:
        """Whether somebody should look at it."""
        return self.age is None or self.age >= OLD_AFTER

    def __str__(self) -> str:
        who = f"{self.kind} {self.name}" + (f" ({self.application})" if self.application else "")
        state = f", {self.state}," if self.state else ""
        since = f" for {int(self.age.total_seconds())} s" if self.age is not None else ""
        return f"{who}{state} holds an old snapshot{since}: all looks grow slower until it ends"


async def held_snapshots(connection: AsyncConnection) -> list[Snapshot]:
    """All that is held now but by this connection, the oldest first."""
    return [Snapshot(**row) for row in (await connection.execute(text(HELD))).mappings()]


@dataclass(frozen=True, slots=True)
class SnapshotStore:
    """Reads them for whoever watches."""

    engine: AsyncEngine

    async def held(self) -> Sequence[Snapshot]:
        """All that is held now, the oldest first."""
        async with self.engine.connect() as connection:
            return await held_snapshots(connection)

    async def standing(self, now: datetime) -> dict[AlertKind, dict[str, dict[str, Any]]]:
        """The old ones as alerts tell them: by what holds each, its application and state, and since when."""
        old = {f"{each.kind} {each.name}": _told(each, now) for each in await self.held() if each.is_old}
        return {AlertKind.OLD_SNAPSHOT: old}


def _told(each: Snapshot, now: datetime) -> dict[str, Any]:
    told = {"found": 1, "application": each.application, "state": each.state}
    return told if each.age is None else {**told, "since": (now - each.age).isoformat(timespec="seconds")}
