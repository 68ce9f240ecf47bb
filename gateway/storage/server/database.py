"""The hot path's connections: a pool of asyncpg's own, spoken to directly.

A transaction of three statements costs 0.6 ms of CPU through SQLAlchemy's engine and 0.1 ms here (docs/adr/0010). The
tables, their names and types are SQLAlchemy's all the same, and so is everything that is not on the hot path.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from gateway.storage.server.connect import Connect
from gateway.storage.server.engine import (
    CACHED_STATEMENTS,
    POOL_NAME,
    STATEMENT_TIMEOUT_MS,
    WAIT_FOR_CONNECTION_S,
    command_timeout_s,
    server_settings,
)

__all__ = ["Connection", "Database"]

IDLE_CONNECTION_S = 300.0
CLOSE_WITHIN_S = 5.0

Connection = Any
"""An asyncpg connection (of a pool), which has no types of its own."""


class Database:
    """Connections to one database, opened when first used. Must be closed."""

    def __init__(self, url: str, pool_size: int, *, application_name: str = POOL_NAME) -> None:
        self._connect = Connect(url)
        self._pool_size = pool_size
        self._application_name = application_name
        self._pool: Any = None
        self._closed = False
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is a transaction of its own."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=WAIT_FOR_CONNECTION_S) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed at the end, rolled back by an exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close every connection; those that are busy are given a bounded time. Nothing opens it again."""
        self._closed = True
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), CLOSE_WITHIN_S)
            except TimeoutError:
                self._pool.terminate()

    async def _open(self) -> Any:
        async with self._opening:
            if self._closed:
                raise asyncpg.InterfaceError("the database is closed")
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    connect=self._connect,
                    min_size=0,
                    max_size=self._pool_size,
                    max_inactive_connection_lifetime=IDLE_CONNECTION_S,
                    reset=_leave_as_it_is,
                    command_timeout=command_timeout_s(STATEMENT_TIMEOUT_MS),
                    statement_cache_size=CACHED_STATEMENTS,
                    server_settings=server_settings(self._application_name, STATEMENT_TIMEOUT_MS),
                )
            return self._pool


async def _leave_as_it_is(_: Connection) -> None:
    """Nothing here changes a session's state, so there is nothing to reset, and no round trip for it."""
