"""Behind PgBouncer in transaction mode everything works with the same limits of waits, or it is refused with the cure.

On a real PgBouncer: the one of `SLUICE_TEST_PGBOUNCER`, else the one that is installed; without one all of it is
skipped, and what needs prepared statements there is skipped on one older than 1.21.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.outcomes import Succeeded
from gateway.domain.statuses import Status
from gateway.lifeline import tied
from gateway.ports import OverloadedError
from gateway.run.commands import diagnose
from gateway.run.serving import serve
from gateway.run.supervising import free_port
from gateway.settings import Settings
from gateway.storage.server.bounds import PoolerError, require_bounds
from gateway.storage.server.connect import Connect
from gateway.storage.server.data_folder import server_account
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade
from tests.databases import RUN, Server, administer, close, own_url, url_name
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import catalogue, channel, opening, order, rule

PROGRAM = os.environ.get("SLUICE_TEST_PGBOUNCER") or shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer: apt-get install pgbouncer")
ROLE = f"{RUN}_pooled"
IGNORE = "ignore_startup_parameters = statement_timeout, lock_timeout, idle_in_transaction_session_timeout, jit\n"
PREPARED = "max_prepared_statements = 200\n"
CURE = "; ".join(
    f"ALTER ROLE {ROLE} SET {name}"
    for name in ("statement_timeout = '15s'", "lock_timeout = '1s'", "idle_in_transaction_session_timeout = '30s'")
)
LOOKS = 200
SETTINGS = """
[databases]
* = host={host} port={port} user={role}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
"""


def version() -> tuple[int, int]:
    told = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    assert found
    return int(found[1]), int(found[2])


@pytest.fixture(scope="module")
async def direct(postgres: Server, template: str) -> AsyncIterator[str]:
    """The address of a database at the server itself, and a role of our own for the pooler."""
    await administer(postgres, f"CREATE ROLE {ROLE} SUPERUSER LOGIN")
    async with own_url(postgres, template) as url:
        yield url
    await administer(postgres, f"DROP ROLE {ROLE}")


@asynccontextmanager
async def pgbouncer(direct: str, folder: Path, settings: str) -> AsyncIterator[str]:
    """The address of the same database behind a pooler that is up."""
    host = parse_qs(direct.partition("?")[2]).get("host", [""])[0]
    if not host:
        pytest.skip("needs the embedded server's own socket")
    port, account = free_port(), server_account()
    account.own(folder)
    file = folder / "pgbouncer.ini"
    file.write_text(SETTINGS.format(host=host, port=5432, role=ROLE, listen=port) + settings)
    file.chmod(0o644)
    words = tied([str(PROGRAM), str(file)], sign=signal.SIGTERM, uid=account.uid, gid=account.gid)
    with (folder / "log").open("wb") as log:
        program = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: ASYNC220 -- it returns at once
    try:
        await is_up(port)
        yield f"postgresql://{ROLE}@127.0.0.1:{port}/{url_name(direct)}?sslmode=disable"
    finally:
        program.terminate()
        program.wait()


async def is_up(port: int) -> None:
    for _ in range(LOOKS):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("PgBouncer did not start")


@asynccontextmanager
async def pooled(direct: str, folder: Path, settings: str) -> AsyncIterator[AsyncEngine]:
    """Connections through a pooler."""
    async with pgbouncer(direct, folder, settings) as url:
        engine = create_engine(url, 4)
        yield engine
        await close(engine)


@pytest.fixture
def folder(short_folder: Path, request: pytest.FixtureRequest) -> Path:
    return short_folder / re.sub(r"\W", "", request.node.name)[-40:]


@pytest.fixture
async def cured(postgres: Server, direct: str) -> AsyncIterator[None]:
    """The role has the limits."""
    await administer(postgres, CURE)
    yield
    await administer(postgres, f"ALTER ROLE {ROLE} RESET ALL")


async def test_one_that_refuses_what_sessions_are_told_is_named_with_the_cure(direct: str, folder: Path) -> None:
    async with pooled(direct, folder, "") as engine:
        with pytest.raises(PoolerError, match="ignore_startup_parameters = statement_timeout, lock_timeout, idle_in"):
            await require_bounds(engine)


async def test_one_that_forgets_what_sessions_are_told_is_refused_with_the_cure(direct: str, folder: Path) -> None:
    async with pooled(direct, folder, IGNORE) as engine:
        with pytest.raises(PoolerError, match=f"ALTER ROLE {ROLE} SET statement_timeout = '15s'"):
            await require_bounds(engine)


async def test_neither_a_command_nor_a_process_starts_without_limits_of_waits(direct: str, folder: Path) -> None:
    async with pgbouncer(direct, folder, IGNORE) as url:
        with pytest.raises(PoolerError, match="RECONNECT"):
            await diagnose(url)
        with pytest.raises(PoolerError, match="RECONNECT"):
            await serve(Settings(database_url=url), workers=False, reuse_port=False)


async def test_one_that_loses_prepared_statements_is_refused(direct: str, folder: Path, cured: None) -> None:
    without = "max_prepared_statements = 0\n" if version() >= (1, 21) else ""
    async with pooled(direct, folder, IGNORE + without) as engine:
        with pytest.raises(PoolerError, match=r"PgBouncer 1\.21 or newer with max_prepared_statements = 200"):
            await require_bounds(engine)


async def test_a_migration_wants_the_server_itself(direct: str, folder: Path, cured: None) -> None:
    async with pgbouncer(direct, folder, IGNORE) as url:
        with pytest.raises(PoolerError, match="with the address of the server itself"):
            await upgrade(url)


@pytest.mark.skipif(PROGRAM is not None and version() < (1, 21), reason="needs PgBouncer 1.21 or newer")
async def test_after_the_cure_payments_are_opened_and_heard_with_the_same_limits(
    direct: str, folder: Path, cured: None
) -> None:
    async with pooled(direct, folder, IGNORE + PREPARED) as engine:
        await require_bounds(engine)
        process = Process(engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))
        # More at once than the pooler has sessions: each statement may find itself on another one.
        opened = await asyncio.gather(*(process.open_one(user_id=f"u{n}") for n in range(24)))
        await asyncio.gather(*(process.heard(one, Succeeded(one.amount, f"theirs-{one.payment_id}")) for one in opened))
        assert {(await process.read(one)).status for one in opened} == {Status.SUCCEEDED}
        assert await process.due.merchants_with_work([opened[0].merchant_id], process.now) == []
        holder = await Connect(direct)()
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM users WHERE user_id = 'u1' FOR UPDATE")
            held, free = await process.opening.flush(
                [opening(order("held", user_id="u1")), opening(order("free", user_id="u2"))]
            )
        await holder.close()
        assert isinstance(held, OverloadedError)  # its wait was cut: the limit holds
        assert not isinstance(free, OverloadedError)
