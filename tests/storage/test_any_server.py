"""An address with several hosts, and limits of waits on whatever it leads to.

On real sockets: a host that is away, one that takes everything and says nothing, one that takes no writes. Not tested
here: how the address is read (tests/unit/test_database_url), poolers (tests/storage/test_pooler).
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks import server as benchmark
from gateway.database_url import with_database, with_driver
from gateway.storage.server.bounds import BOUNDS, PoolerError, refuse_pooler, require_bounds
from gateway.storage.server.connect import Connect
from gateway.storage.server.database import Database
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import _alone, differences
from tests.databases import ADMINISTRATION, Server, administer, connected, drop, named, new_database, url_name

READ = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
NOBODY = 1
OURS = [("4s", "1s"), ("15s", "1s")]
"""Limits of the hot path and of engines."""
"""A port on which nobody listens."""


def socket_folder(url: str) -> str:
    folder = parse_qs(url.partition("?")[2]).get("host", [""])[0]
    if not folder:
        pytest.skip("needs the embedded server's own socket")
    return folder


def behind(url: str, port: int) -> str:
    """The same database, at a host before which another one stands, on a port of this machine."""
    return f"{url.partition('?')[0]}?host=127.0.0.1,{socket_folder(url)}&port={port},5432"


@contextmanager
def silent() -> Iterator[int]:
    """The port of a host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def read_bounds(url: str) -> list[tuple[str, ...]]:
    """What a connection of each kind is told, by the pool of the hot path and by an engine."""
    database, engine = Database(url, 1), create_engine(url, 1)
    try:
        async with database.connection() as connection, engine.connect() as other:
            return [tuple(await connection.fetchrow(READ)), tuple((await other.execute(text(READ))).one())]
    finally:
        await database.close()
        await engine.dispose()


async def test_the_second_host_is_taken_when_the_first_is_away(database_url: str) -> None:
    assert await read_bounds(behind(database_url, NOBODY)) == OURS
    assert await differences(behind(database_url, NOBODY)) == []


async def test_a_host_that_says_nothing_does_not_hide_the_next_and_is_not_asked_first_again(database_url: str) -> None:
    with silent() as port:
        connect = Connect(behind(database_url, port), within_s=1.0)
        first = await connect()
        waited = asyncio.get_running_loop().time()
        for _ in range(5):
            await (await connect()).close()
        assert asyncio.get_running_loop().time() - waited < 2.0  # five times half a second, were it asked again
        await first.close()


async def test_a_host_that_takes_no_writes_is_passed_over(postgres: Server) -> None:
    url = await new_database(postgres, "standby")
    await administer(postgres, f'ALTER DATABASE "{url_name(url)}" SET default_transaction_read_only = on')
    with pytest.raises(ConnectionError, match="none of its hosts takes writes"):
        await Connect(behind(url, NOBODY))()
    writable = await Connect(f"{behind(url, NOBODY)}&target_session_attrs=any")()
    await writable.close()
    await drop(postgres, url)


async def test_the_url_cannot_take_our_limits_away(database_url: str) -> None:
    loose = f"{database_url}{'&' if '?' in database_url else '?'}statement_timeout=0&options=-c%20lock_timeout%3D0"
    assert await read_bounds(loose) == OURS


async def test_a_wrong_database_is_told_at_once_and_not_asked_of_the_next_host(database_url: str) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await Connect(with_database(database_url, "nowhere"))()


@pytest.fixture
async def unbound(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections that were told nothing, as those that a pooler keeps."""
    creator = Connect(database_url).for_engine(server_settings=dict.fromkeys(BOUNDS, "0"))
    engine = create_async_engine(
        with_driver(database_url), poolclass=NullPool, connect_args={"async_creator_fn": creator}
    )
    yield engine
    await engine.dispose()


async def test_connections_whose_waits_have_no_end_are_refused_with_the_cure(unbound: AsyncEngine) -> None:
    with pytest.raises(PoolerError) as refused:
        await require_bounds(unbound)
    said = str(refused.value)
    assert "without our statement_timeout, lock_timeout, idle_in_transaction_session_timeout" in said
    assert "SET statement_timeout = '15s'; ALTER ROLE" in said
    assert "SET lock_timeout = '1s'" in said
    assert "RECONNECT (docs/operations.md, behind a pooler)" in said


async def test_our_own_connections_have_their_limits_and_no_pooler(engine: AsyncEngine) -> None:
    await require_bounds(engine)
    await refuse_pooler(engine)


async def test_a_migration_is_not_cut_by_a_limit_of_its_role(empty_database_url: str, postgres: Server) -> None:
    """The cure for poolers gives the role limits; building an index takes what it takes."""
    await administer(postgres, f"ALTER DATABASE \"{url_name(empty_database_url)}\" SET statement_timeout = '7s'")
    async with _alone(empty_database_url) as connection:
        assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "0"


async def test_a_benchmark_on_a_given_server_drops_its_own_databases_and_no_others(postgres: Server) -> None:
    server = benchmark.GivenServer(named(postgres.url, ADMINISTRATION))
    kept = await new_database(postgres, "kept")
    await benchmark.new_database(server, "one")
    connection = await connected(benchmark.named(server, "one"))
    assert str(await connection.fetchval("SELECT current_database()")).startswith("sluice_bench_")
    await connection.close()
    await benchmark.drop_all(server)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await connected(benchmark.named(server, "one"))
    await (await connected(kept)).close()
    await drop(postgres, kept)


def test_the_cure_that_is_told_is_the_one_that_is_written_down() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("### Behind a pooler")[2].partition("\n##")[0]
    for word in ("ignore_startup_parameters", "max_prepared_statements = 200", "ALTER ROLE", "RECONNECT"):
        assert word in section
