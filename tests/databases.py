"""Databases of tests, and pools of the hot path beside their engines: one for each engine, closed with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.database import Database
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.tables import metadata

POOL_SIZE = 8
EMPTY = "SET session_replication_role = replica; " + "; ".join(
    f"DELETE FROM {table}" for table in metadata.tables if table != "schema_versions"
)
"""Empties a database, whatever points at whatever: with this role foreign keys are not looked at."""

_numbers = count(1)

_opened: dict[AsyncEngine, Database] = {}


def database_on(engine: AsyncEngine) -> Database:
    """The hot path's database on the same server and database as an engine."""
    if engine not in _opened:
        _opened[engine] = Database(engine.url.render_as_string(hide_password=False), POOL_SIZE)
    return _opened[engine]


async def close(engine: AsyncEngine) -> None:
    """Close an engine and what was opened beside it."""
    if (database := _opened.pop(engine, None)) is not None:
        await database.close()
    await engine.dispose()


def named(url: str, database: str) -> str:
    """The address of another database of the same server."""
    return url.replace("@/sluice?", f"@/{database}?")


async def administer(postgres: EmbeddedPostgres, sql: str) -> None:
    """Run what concerns whole databases."""
    connection = await asyncpg.connect(named(postgres.dsn, "postgres"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def copy_of(postgres: EmbeddedPostgres, template: str, name: str) -> str:
    """A new database like the template: its address."""
    await administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return named(postgres.url, name)


@asynccontextmanager
async def own_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[AsyncEngine]:
    """A pool on a new database, which is dropped afterwards."""
    name = f"own_{next(_numbers)}"
    engine = create_engine(await copy_of(postgres, template, name), POOL_SIZE, application_name="test")
    yield engine
    await close(engine)
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")
