"""A process that stands still in the middle of a transaction holds its rows for some seconds, and then nothing more.

Not tested here: a whole gateway that stands still under load (tests/e2e/test_frozen), silent servers (test_failover).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server import database as database_module
from gateway.storage.server.database import Database
from gateway.storage.server.troubles import Trouble, trouble_of

HOLD = "SELECT 1 FROM users WHERE user_id = 'held' FOR UPDATE"
LIMIT_MS = 300
WITHIN_S = 15.0
ENDED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg says of a session that the server ended, by how far the news has come."""


@pytest.fixture
async def still(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A process's own pool, with limits of parts of a second instead of seconds."""
    monkeypatch.setattr(database_module, "HOT_IDLE_IN_TRANSACTION_MS", LIMIT_MS)
    monkeypatch.setattr(database_module, "HOT_TRANSACTION_MS", 2 * LIMIT_MS)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO users VALUES (gen_random_uuid(), 'held', now())"))
    database = Database(engine.url.render_as_string(hide_password=False), 2)
    yield database
    await database.close()


async def stands_still(still: Database, engine: AsyncEngine) -> None:
    """Hold the row, do nothing while somebody else waits for it, and go on."""
    async with still.transaction() as connection:
        await connection.execute(HOLD)
        assert await can_lock(engine) < WITHIN_S
        await connection.execute(HOLD)


async def can_lock(engine: AsyncEngine) -> float:
    """How many seconds it took to get the row."""
    began = time.monotonic()
    async with engine.begin() as connection:
        for limit in ("lock_timeout", "statement_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = '20s'"))
        await connection.execute(text(HOLD))
    return time.monotonic() - began


async def test_one_that_stands_still_between_two_statements_lets_go(engine: AsyncEngine, still: Database) -> None:
    with pytest.raises(ENDED) as ended:
        await stands_still(still, engine)
    assert trouble_of(ended.value) is Trouble.AWAY
    async with still.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_one_that_stands_still_in_the_middle_of_a_statement_lets_go(engine: AsyncEngine, still: Database) -> None:
    """It has said what it will ask, and never asks: for PostgreSQL the statement goes on, and no limit of it counts."""
    connection: Any
    async with still.connection() as connection:
        if connection.get_server_version() < database_module.HAS_TRANSACTION_TIMEOUT:
            pytest.skip("PostgreSQL has transaction_timeout from 17 on")
        await connection.execute("BEGIN")
        await connection.execute(HOLD)
        parse_without_end = b"P" + (4 + 1 + 9 + 2).to_bytes(4, "big") + b"\0SELECT 1\0" + b"\0\0"
        connection._transport.write(parse_without_end)
        await asyncio.sleep(0)
        assert await can_lock(engine) < WITHIN_S
        with contextlib.suppress(asyncpg.InterfaceError):  # it is gone already, perhaps
            connection.terminate()


async def test_long_work_has_limits_of_its_own(still: Database) -> None:
    async with still.long_transaction(30) as connection:
        await connection.execute("SELECT pg_sleep(0.4)")
        await asyncio.sleep(3 * LIMIT_MS / 1000)
        assert await connection.fetchval("SELECT 1") == 1
