"""The database's clock: the one that every process has in common."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from gateway.storage.server.database import Database

__all__ = ["read_clock"]

READ_WITHIN_S = 5.0
_READ = "SELECT clock_timestamp()"

T = TypeVar("T")


async def read_clock(database: Database, ours: Callable[[], T]) -> tuple[T, datetime, T]:
    """What our clock reads just before asking, what the database's reads, and ours just after hearing it.

    The wait for a connection is not of it.
    """
    async with database.connection() as connection:
        asked = ours()
        theirs: datetime = await connection.fetchval(_READ, timeout=READ_WITHIN_S)
        return asked, theirs, ours()
