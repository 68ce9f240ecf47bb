"""Databases of tests, and pools of the hot path beside their engines: one for each engine, closed with it.

The server is the embedded one, or the one of `SLUICE_TEST_DATABASE_URL`. Names of databases begin with a word that each
test process draws for itself, so that on a given server no others are touched; all of them are dropped at the end.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NoReturn, Protocol
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.database_url import one_per_host, with_database
from gateway.storage.server.connect import Connect
from gateway.storage.server.database import Database
from gateway.storage.server.engine import create_engine
from gateway.storage.tables import metadata

POOL_SIZE = 8
VARIABLE = "SLUICE_TEST_DATABASE_URL"
RUN = f"sluice_test_{uuid4().hex[:12]}"
"""What the names of this process's databases begin with."""
ADMINISTRATION = "postgres"
"""The database from which others are made."""
TABLES = [table for table in metadata.tables if table != "schema_versions"]
"""All that a test may write to."""
WRITTEN = f"SELECT ARRAY[{', '.join(f'EXISTS (SELECT FROM {table})' for table in TABLES)}]"
"""Which of them have rows."""
LEFT_OVER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'
"""
REPLICA = "SET session_replication_role = replica"
"""With this role foreign keys are not looked at: tables are emptied in any order."""

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


class Emptying:
    """Empties a database, over one connection: a new one would take ten times as long to learn of all tables.

    On that connection foreign keys are not looked at: rows stand alone.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def connection(self) -> Any:
        """The connection; another one where a test ended it, or left it in the middle of something."""
        if self._connection is not None and self._connection.is_in_transaction():
            await self._connection.close()
        if self._connection is None or self._connection.is_closed():
            self._connection = await connected(self._url)
            await self._connection.execute(REPLICA)
        return self._connection

    async def empty(self) -> None:
        """End transactions that a test left behind, which would hold up the next one, and delete all rows."""
        connection = await self.connection()
        await connection.fetch(LEFT_OVER)
        written = await connection.fetchval(WRITTEN)
        if any(written):
            deletes = [f"DELETE FROM {table}" for table, has_rows in zip(TABLES, written, strict=True) if has_rows]
            await connection.execute("; ".join(deletes))

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class Server(Protocol):
    """A server that tests may make databases on."""

    @property
    def url(self) -> str: ...


class GivenServer:
    """The server of `SLUICE_TEST_DATABASE_URL`. A test that wants its files or its process is skipped."""

    def __init__(self, url: str) -> None:
        one_per_host(url)
        self.url = url

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"needs the embedded server's own {name}: run it without {VARIABLE}")


def named(url: str, database: str) -> str:
    """The address of another database of the same server."""
    return with_database(url, database)


def url_name(url: str) -> str:
    """The name of the database of an address."""
    return url.partition("?")[0].rpartition("/")[2]


async def connected(url: str) -> Any:
    """A connection of asyncpg without our limits of waits."""
    return await Connect(url)()


async def administer(server: Server, sql: str) -> None:
    """Run what concerns whole databases."""
    connection = await connected(named(server.url, ADMINISTRATION))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def new_database(server: Server, name: str) -> str:
    """A new empty database: its address."""
    await administer(server, f"CREATE DATABASE {RUN}_{name} TEMPLATE template0")
    return named(server.url, f"{RUN}_{name}")


async def copy_of(server: Server, template: str, name: str) -> str:
    """A new database like the template: its address."""
    await administer(server, f"CREATE DATABASE {RUN}_{name} TEMPLATE {template} STRATEGY FILE_COPY")
    return named(server.url, f"{RUN}_{name}")


async def drop(server: Server, url: str) -> None:
    """Drop a database that was made here, whoever still uses it."""
    assert url_name(url).startswith(RUN), "not a database of this process"
    await administer(server, f"DROP DATABASE {url_name(url)} WITH (FORCE)")


async def drop_all(server: Server) -> None:
    """Drop every database that this process made."""
    connection = await connected(named(server.url, ADMINISTRATION))
    try:
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{RUN}_"):
            await connection.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
    finally:
        await connection.close()


@asynccontextmanager
async def own_url(server: Server, template: str) -> AsyncIterator[str]:
    """The address of a new database, which is dropped afterwards."""
    url = await copy_of(server, template, f"own_{next(_numbers)}")
    yield url
    await drop(server, url)


@asynccontextmanager
async def own_database(server: Server, template: str) -> AsyncIterator[AsyncEngine]:
    """A pool on a new database, which is dropped afterwards."""
    async with own_url(server, template) as url:
        engine = create_engine(url, POOL_SIZE, application_name="test")
        yield engine
        await close(engine)
