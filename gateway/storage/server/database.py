"""The hot path's connections: a pool of asyncpg's own, spoken to directly.

A transaction of three statements costs 0.6 ms of CPU through SQLAlchemy's engine and 0.1 ms here (docs/adr/0010). The
tables, their names and types are SQLAlchemy's all the same, and so is everything that is not on the hot path.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from gateway.metrics import CONNECTION_WAIT_SECONDS
from gateway.refused_rows import forget_row
from gateway.storage.server.connect import Connect
from gateway.storage.server.engine import (
    CACHED_STATEMENTS,
    POOL_NAME,
    command_timeout_s,
    server_settings,
)
from gateway.storage.server.sessions import end_when_silent
from gateway.storage.server.troubles import condemns

__all__ = ["Connection", "Database"]

IDLE_CONNECTION_S = 300.0
CLOSE_WITHIN_S = 5.0
HOT_STATEMENT_TIMEOUT_MS = 4_000
"""Money waits for these statements: a server that says nothing is given up within seconds, and another one is found."""
HOT_IDLE_IN_TRANSACTION_MS = 5_000
HOT_TRANSACTION_MS = 20_000
"""A process that stands still (SIGSTOP, a machine that is paused) in a transaction holds rows no longer than this. The
second one is for one that stopped in the middle of a statement; PostgreSQL has it from 17 on."""
HAS_TRANSACTION_TIMEOUT = (17,)
HOT_CONNECT_WITHIN_S = 4.0
HOT_WAIT_FOR_CONNECTION_S = 6.0

Connection = Any
"""An asyncpg connection (of a pool), which has no types of its own."""


def _tell_nobody() -> None:
    """The default of `lost`."""


class Database:
    """Connections to one database, opened when first used. Must be closed.

    `lost` is called when one of them turned out to be dead, for those who have others to the same server.
    """

    def __init__(
        self,
        url: str,
        pool_size: int,
        *,
        application_name: str = POOL_NAME,
        statement_timeout_ms: int = HOT_STATEMENT_TIMEOUT_MS,
        lost: Callable[[], None] = _tell_nobody,
    ) -> None:
        self._connect = Connect(url, HOT_CONNECT_WITHIN_S)
        self._pool_size = pool_size
        self._application_name = application_name
        self._statement_timeout_ms = statement_timeout_ms
        self._lost = lost
        self._waited = CONNECTION_WAIT_SECONDS.labels(application_name)
        self._pool: Any = None
        self._closed = False
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement is a transaction of its own."""
        pool = self._pool or await self._open()
        asked_s = time.perf_counter()
        async with pool.acquire(timeout=HOT_WAIT_FOR_CONNECTION_S) as connection:
            self._waited.observe(time.perf_counter() - asked_s)
            try:
                yield connection
            except asyncio.CancelledError:
                _terminate(connection)  # giving it back would wait for an answer that may never come
                raise
            except Exception as error:
                forget_row(error)
                if condemns(error):
                    await self._end(pool, connection)
                raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed at the end, rolled back by an exception."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except Exception as error:
                if not condemns(error):  # a dead connection would not answer to ROLLBACK, either
                    await transaction.rollback()
                raise
            await transaction.commit()

    @asynccontextmanager
    async def long_transaction(self, within_s: int) -> AsyncIterator[Connection]:
        """A transaction for work that nobody waits for: each of its statements, and each pause between two, has so many
        seconds. Who asks for more than the pool's own limit must say so (`timeout`), too."""
        async with self.transaction() as connection:
            limits = {"statement_timeout": within_s, "idle_in_transaction_session_timeout": within_s}
            if connection.get_server_version() >= HAS_TRANSACTION_TIMEOUT:
                limits["transaction_timeout"] = 0
            await connection.execute(";".join(f"SET LOCAL {name} = '{limit}s'" for name, limit in limits.items()))
            yield connection

    async def _end(self, pool: Any, connection: Connection) -> None:
        """End a connection that is of no use any more, and all that are idle: the next try must not take one of them.

        Those that others use now are ended when they give them back.
        """
        _terminate(connection)  # closing it in good order would wait for its answer
        for holder in pool._holders:
            if holder.is_idle():
                holder.terminate()
        await pool.expire_connections()
        self._lost()

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
                    init=_bound,
                    command_timeout=command_timeout_s(self._statement_timeout_ms),
                    statement_cache_size=CACHED_STATEMENTS,
                    server_settings=server_settings(
                        self._application_name, self._statement_timeout_ms, HOT_IDLE_IN_TRANSACTION_MS
                    ),
                )
            return self._pool


def _terminate(connection: Connection) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):  # the server ended it first: it is not the pool's any more
        connection.terminate()


async def _leave_as_it_is(_: Connection) -> None:
    """Nothing here changes a session's state, so there is nothing to reset, and no round trip for it."""


async def _bound(connection: Connection) -> None:
    """Bound a new connection by what is no startup parameter everywhere."""
    end_when_silent(connection)
    if connection.get_server_version() >= HAS_TRANSACTION_TIMEOUT:
        await connection.execute(f"SET transaction_timeout = {HOT_TRANSACTION_MS}")
