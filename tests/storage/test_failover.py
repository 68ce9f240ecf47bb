"""The database's address points at another server: open connections fall silent, and new ones work.

Counted, not timed: how many of the dead connections anybody still spoke to. Not here: a server that ends in good order
or is killed (tests/e2e/test_database_crash), and what kinds of errors there are (tests/unit/test_database_away).
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest
from asyncpg import ReadOnlySQLTransactionError
from sqlalchemy import text

from gateway.ports import OpenResult
from gateway.storage.server.database import Database
from gateway.storage.server.engine import ANSWER_MARGIN_S, create_engine
from gateway.storage.server.sessions import end_idle
from tests.keys import new_keys
from tests.silent_proxy import SilentProxy, silent_proxy
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import catalogue, channel, opening, order, rule

CONNECTIONS = 6
ORDERS = 40
TIMEOUT_MS = 1_500
SILENCE_S = TIMEOUT_MS / 1000 + ANSWER_MARGIN_S
"""How long a connection may say nothing until it is given up."""


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def database(proxy: SilentProxy, database_url: str) -> AsyncIterator[Database]:
    database = Database(proxy.url(database_url), CONNECTIONS, statement_timeout_ms=TIMEOUT_MS)
    await all_open(database)
    assert proxy.opened == CONNECTIONS
    yield database
    await database.close()


async def all_open(database: Database) -> None:
    """Have every connection of the pool open and idle."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = await stack.enter_async_context(database.connection())
            await connection.fetch("SELECT 1")


async def test_orders_go_on_after_one_silence_and_nobody_is_refused(
    proxy: SilentProxy, database: Database, engine: object
) -> None:
    process = Process(engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))  # type: ignore[arg-type]
    process.witnessed_by(lambda _: database)
    await process.books.open(opening(order("before")))
    proxy.fall_silent()
    began = time.perf_counter()
    results = await asyncio.gather(
        *(process.books.open(opening(order(f"after-{n}", user_id=f"u{n}"))) for n in range(ORDERS))
    )
    took = time.perf_counter() - began
    assert all(isinstance(result, OpenResult) and not result.replayed for result in results)
    assert await process.count("payments") == ORDERS + 1
    # Only what was in use was found out to be dead the hard way: one flush, on one connection.
    assert len(proxy.asked) == 1
    # One silence is waited for once: not again for ROLLBACK, for giving the connection back, or for the next one.
    assert took < CONNECTIONS / 2 * SILENCE_S


async def test_many_that_use_the_pool_at_once_wait_for_one_silence_each(proxy: SilentProxy, database: Database) -> None:
    async def asks() -> int:
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                async with database.transaction() as connection:
                    return int(await connection.fetchval("SELECT 7"))
        raise AssertionError("the second try met a dead connection")

    proxy.fall_silent()
    began = time.perf_counter()
    assert await asyncio.gather(*(asks() for _ in range(CONNECTIONS * 3))) == [7] * CONNECTIONS * 3
    assert time.perf_counter() - began < CONNECTIONS * SILENCE_S


async def test_a_read_after_the_first_one_meets_no_dead_connection(proxy: SilentProxy, database_url: str) -> None:
    reads = create_engine(proxy.url(database_url), CONNECTIONS, statement_timeout_ms=TIMEOUT_MS)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(CONNECTIONS):
                await (await stack.enter_async_context(reads.connect())).execute(text("SELECT 1"))
        proxy.fall_silent()
        began = time.perf_counter()
        with pytest.raises(TimeoutError):
            async with reads.connect() as connection:
                await connection.execute(text("SELECT 1"))
        for _ in range(CONNECTIONS):
            async with reads.connect() as connection:
                assert await connection.scalar(text("SELECT 7")) == 7
        assert len(proxy.asked) == 1
        assert time.perf_counter() - began < CONNECTIONS / 2 * SILENCE_S
    finally:
        await reads.dispose()


async def test_what_money_finds_dead_the_readers_do_not_try(proxy: SilentProxy, database_url: str) -> None:
    reads = create_engine(proxy.url(database_url), 1, statement_timeout_ms=TIMEOUT_MS)
    database = Database(proxy.url(database_url), 1, statement_timeout_ms=TIMEOUT_MS, lost=lambda: end_idle(reads))
    try:
        async with reads.connect() as connection, database.connection() as other:
            await connection.execute(text("SELECT 1"))
            await other.fetch("SELECT 1")
        proxy.fall_silent()
        with pytest.raises(TimeoutError):
            async with database.connection() as other:
                await other.fetch("SELECT 1")
        async with reads.connect() as connection:
            assert await connection.scalar(text("SELECT 7")) == 7
        assert len(proxy.asked) == 1
    finally:
        await database.close()
        await reads.dispose()


async def test_a_server_that_only_reads_is_left_and_so_are_its_other_sessions(database: Database) -> None:
    async with database.connection() as connection:
        first = await connection.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(ReadOnlySQLTransactionError):
        async with database.connection() as connection:
            await connection.execute("BEGIN READ ONLY; CREATE TABLE never (a int)")
    pids = set()
    for _ in range(CONNECTIONS):
        async with database.connection() as connection:
            pids.add(await connection.fetchval("SELECT pg_backend_pid()"))
    assert first not in pids


async def test_the_system_looks_after_every_connection_over_tcp(proxy: SilentProxy, database_url: str) -> None:
    reads, hot = create_engine(proxy.url(database_url), 1), Database(proxy.url(database_url), 1)
    try:
        async with reads.connect() as connection, hot.connection() as other:
            driver = (await connection.get_raw_connection()).driver_connection
            for transport in (driver._transport, other._transport):  # type: ignore[union-attr]
                found = transport.get_extra_info("socket")
                assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
    finally:
        await hot.close()
        await reads.dispose()
