"""The beats of the processes that share this database: one row for each, written again and again by itself alone."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.storage.server.database import Database

__all__ = ["ProcessBeats"]

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Rows of processes that died are kept as long: whatever clocks say, they are dead."""

BEAT = """
INSERT INTO processes (process_id, beat_at) VALUES ($1, $2)
ON CONFLICT (process_id) DO UPDATE SET beat_at = excluded.beat_at
"""
READ = "SELECT process_id, beat_at FROM processes"
END = "DELETE FROM processes WHERE process_id = $1 OR beat_at < $2"


class ProcessBeats:
    """Implements `gateway.run.live.Beats`. `clock` is each process's own; nobody compares it with another's."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    async def beat(self, process_id: UUID) -> Mapping[UUID, datetime]:
        """Write a beat; the last one of every process."""
        async with self._database.connection() as connection:
            await connection.execute(BEAT, process_id, self._clock())
            return {row[0]: row[1] for row in await connection.fetch(READ)}

    async def end(self, process_id: UUID) -> None:
        """This process is no more; and those that died long ago are forgotten."""
        async with self._database.connection() as connection:
            await connection.execute(END, process_id, self._clock() - FORGOTTEN_AFTER)
