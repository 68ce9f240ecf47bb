"""The server that is measured: the embedded one, or one that is given, in databases of its own."""

from typing import Final, Protocol
from uuid import uuid4

from gateway.database_url import where, with_database, without_driver
from gateway.storage.server.connect import Connect

__all__ = ["GivenServer", "Server", "drop_all", "named", "new_database"]

RUN: Final = f"sluice_bench_{uuid4().hex[:12]}"
"""What the names of this run's databases begin with."""


class Server(Protocol):
    """A server to make databases on. Its CPU is counted where `pid` tells its process."""

    @property
    def url(self) -> str: ...

    @property
    def pid(self) -> int | None: ...


class GivenServer:
    """A server that runs already, on this machine or another."""

    pid = None

    def __init__(self, url: str) -> None:
        """Raises DatabaseUrlError."""
        where(url)
        self.url = url


def named(server: Server, database: str) -> str:
    """The address of a database of this run, as asyncpg and pgbench take it."""
    return without_driver(with_database(server.url, f"{RUN}_{database}"))


async def new_database(server: Server, name: str) -> None:
    """Make an empty database."""
    connection = await Connect(server.url)()
    try:
        await connection.execute(f"CREATE DATABASE {RUN}_{name}")
    finally:
        await connection.close()


async def drop_all(server: Server) -> None:
    """Drop every database of this run, and no other."""
    connection = await Connect(server.url)()
    try:
        for row in await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", f"{RUN}_"):
            await connection.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
    finally:
        await connection.close()
