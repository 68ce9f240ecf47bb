"""One embedded PostgreSQL per test process, and a fresh database per test, cloned from a migrated template."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade
from tests import databases

TEMPLATE = "template_sluice"
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


def _named(url: str, database: str) -> str:
    return url.replace("@/sluice?", f"@/{database}?")


async def _administer(postgres: EmbeddedPostgres, sql: str) -> None:
    connection = await asyncpg.connect(_named(postgres.dsn, "postgres"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with every migration applied."""
    await _administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    await upgrade(_named(postgres.url, TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    name = f"empty_{next(_numbers)}"
    await _administer(postgres, f"CREATE DATABASE {name}")
    yield _named(postgres.url, name)
    await _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own, for `create_engine` (and for `asyncpg` without the `+asyncpg`)."""
    name = f"test_{next(_numbers)}"
    await _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield _named(postgres.url, name)
    await _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool on the test's own database."""
    engine = create_engine(database_url, POOL_SIZE, application_name="test")
    yield engine
    await databases.close(engine)
