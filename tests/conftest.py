"""One embedded PostgreSQL per test process, and a fresh database per test, cloned from a migrated template."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade
from tests.databases import EMPTY, administer, close, copy_of, named, own_database

TEMPLATE, SHARED = "template_sluice", "shared"
LEFT_OVER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'
"""
POOL_SIZE = 8
_numbers = count(1)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A temporary folder that any system user can pass, for embedded servers (pytest's own are closed, and long)."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(short_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The server that this test process owns; nothing in it is durable."""
    with EmbeddedPostgres(short_folder / "pg", durable=False, tell=lambda _: None) as server:
        yield server


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with every migration applied."""
    await administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    await upgrade(named(postgres.url, TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    name = f"empty_{next(_numbers)}"
    await administer(postgres, f"CREATE DATABASE {name}")
    yield named(postgres.url, name)
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


async def _end_others(connection: Any) -> None:
    """End transactions that a test left behind: they would hold up the next one."""
    await connection.execute(LEFT_OVER)


@pytest.fixture(scope="session")
async def shared_url(postgres: EmbeddedPostgres, template: str) -> str:
    """The database that the tests of one process share, one after the other."""
    return await copy_of(postgres, template, SHARED)


@pytest.fixture(scope="session")
async def shared_engine(shared_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool on the shared database, warm from the second test on."""
    engine = create_engine(shared_url, POOL_SIZE, application_name="test")
    yield engine
    await close(engine)


@pytest.fixture
async def database_url(shared_url: str) -> str:
    """A migrated, empty database, for `create_engine` (and for `asyncpg` without the `+asyncpg`).

    Emptied before each test: that takes 3 ms, a database of its own would take 100.
    """
    connection = await asyncpg.connect(shared_url.replace("+asyncpg", ""))
    try:
        await _end_others(connection)
        await connection.execute(EMPTY)
    finally:
        await connection.close()
    return shared_url


@pytest.fixture
async def engine(database_url: str, shared_engine: AsyncEngine) -> AsyncEngine:
    """A pool on the empty database."""
    return shared_engine


@pytest.fixture
async def own_engine(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[AsyncEngine]:
    """A pool on a database of the test's own, whose schema it may change."""
    async with own_database(postgres, template) as engine:
        yield engine
