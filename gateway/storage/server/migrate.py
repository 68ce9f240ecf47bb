"""Migrations (Alembic): upgrading, and telling which programs may run on a database.

Two versions can run: every migration says `tolerates`, the oldest revision whose programs still run on the schema that
it leaves. It stands in the table `schema_versions`, where an older program, which does not know the migration, reads
it. Each migration is a transaction of its own; it waits for a table's lock a bounded time and then tries again, so
that it never holds up the payments that queue behind it. Indexes are built concurrently (`storage.server.ddl`).

Write a new one with `python -m gateway.storage.server.migrate "what changes"`: it compares a migrated scratch database
with the tables.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.database_url import with_driver
from gateway.storage.server.bounds import refuse_pooler
from gateway.storage.server.connect import Connect
from gateway.storage.server.engine import POOL_NAME
from gateway.storage.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.migration import MigrationContext

__all__ = [
    "MigrationsPendingError",
    "Upgraded",
    "applied",
    "differences",
    "head",
    "is_current",
    "require_current",
    "upgrade",
]

T = TypeVar("T")
Tell = Callable[[str], None]

FOLDER = Path(__file__).parent / "migrations"
LOCK_KEY = 0x51_75_1C_E0
"""Advisory lock of a migrating program, so that processes started together migrate one after the other."""
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(:key)"
LOOK_EVERY_S = 0.2
"""Between two looks whether another program's migration is over."""
LOCK_WITHIN_MS = 2_000
"""How long a migration waits for a table: whoever wants the table after it waits as long."""
LOCK_TRIES = 30
SETTINGS = {
    "lock_timeout": str(LOCK_WITHIN_MS),
    "statement_timeout": "0",  # the role may have one, and building an index takes what it takes
    "application_name": "sluice migrate",
    "timezone": "UTC",
}
PAUSE_S = 1.0
LOCK_NOT_AVAILABLE = "55P03"

WHAT_A_MIGRATION_SAYS = re.compile(r"""^(revision|tolerates) = ['"](\w+)['"]$""", re.MULTILINE)

HAS_REVISIONS = "SELECT to_regclass('alembic_version')::text"
READ_REVISION = "SELECT version_num FROM alembic_version"
READ_TOLERATED = "SELECT tolerates FROM schema_versions WHERE revision = :revision"
READ_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name"
READ_HOLDERS = """
SELECT pid, application_name, now() - xact_start AS since FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start LIMIT 5
"""


class MigrationsPendingError(Exception):
    """The database's schema is not the program's, or cannot become it now. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did: the revision before it (None: empty) and after it."""

    before: str | None
    after: str


# Alembic is imported by what migrates: whoever serves only looks at revisions, and starts sooner without it.


def _config(connection: sa.Connection | None = None, tell: Tell = lambda _: None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["tell"] = tell
    return config


@cache
def _tolerated() -> dict[str, str]:
    """Every revision of this program, the newest first, with the oldest that it tolerates."""
    files = sorted(FOLDER.glob("versions/[0-9]*.py"), reverse=True)
    said = [dict(WHAT_A_MIGRATION_SAYS.findall(file.read_text(encoding="utf-8"))) for file in files]
    return {one["revision"]: one["tolerates"] for one in said}


def head() -> str:
    """The newest revision this program knows."""
    return next(iter(_tolerated()))


def _revision(connection: sa.Connection) -> str | None:
    if connection.scalar(sa.text(HAS_REVISIONS)) is None:
        return None
    found: str | None = connection.scalar(sa.text(READ_REVISION))
    return found


async def applied(engine: AsyncEngine) -> str | None:
    """The revision of the database, or None when it is empty."""
    async with engine.connect() as connection:
        return await connection.run_sync(_revision)


async def is_current(engine: AsyncEngine) -> bool:
    """Whether this program may run on the database: its revision is ours, or a newer one that tolerates us.

    It is asked again and again, also beside payments.
    """
    async with engine.connect() as connection:
        if await connection.scalar(sa.text(HAS_REVISIONS)) is None:
            return False
        found: str | None = await connection.scalar(sa.text(READ_REVISION))
        known = await asyncio.to_thread(_tolerated)  # the first time it reads every migration
        if found in known:
            return found == head()  # else older than this program, which needs what comes after it
        return await connection.scalar(sa.text(READ_TOLERATED), {"revision": found}) in known


def _tolerates_us(connection: sa.Connection, found: str) -> bool:
    if found in _tolerated():
        return False  # older than this program, which needs what comes after it
    tolerated = connection.execute(sa.text(READ_TOLERATED), {"revision": found}).scalar_one_or_none()
    return tolerated in _tolerated()


async def require_current(engine: AsyncEngine) -> None:
    """Raises MigrationsPendingError unless this program may run on the database."""
    found = await applied(engine)
    if found == head():
        return
    if found is None or found in _tolerated():
        at = found or "no revision"
        raise MigrationsPendingError(f"migrations pending: the database is at {at}, not {head()}: run `sluice migrate`")
    async with engine.connect() as connection:
        if not await connection.run_sync(_tolerates_us, found):
            raise MigrationsPendingError(_newer(found))


async def upgrade(url: str, tell: Tell = lambda _: None, *, force: bool = False) -> Upgraded:
    """Bring the database to the newest revision, one migration after the other; done again, it goes on where it ended.

    Raises MigrationsPendingError when a newer program has migrated it already, when a migration does not tolerate the
    processes that run on it (`force` goes on all the same), and when a table stays locked by others.
    """
    from alembic import command

    async with _alone(url) as connection:
        before = await _run(connection, _revision)
        if before == head():
            return Upgraded(before, before)
        if before is not None and before not in _tolerated():
            raise MigrationsPendingError(_newer(before))
        if before is not None and not force:
            await _require_tolerant(connection, before)
        tried = 0
        while True:
            try:
                await _run(connection, lambda connection: command.upgrade(_config(connection, tell), "head"))
            except DBAPIError as error:
                tried += 1
                if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                    raise
                if tried == LOCK_TRIES:
                    raise MigrationsPendingError(await _locked(connection)) from None
                tell(f"a table is locked by others, trying again ({tried} of {LOCK_TRIES})")
                await asyncio.sleep(PAUSE_S)
            else:
                return Upgraded(before, head())


async def _require_tolerant(connection: AsyncConnection, before: str) -> None:
    """Refuse to take the schema away from under running processes of the version before."""
    pending = list(_tolerated())[: list(_tolerated()).index(before)]
    if all(_tolerated()[revision] <= before for revision in pending):
        return
    running = (await connection.execute(sa.text(READ_RUNNING), {"name": POOL_NAME})).scalar_one()
    await connection.rollback()
    if running:
        raise MigrationsPendingError(
            f"this upgrade (from {before} to {head()}) does not run beside the version before it, and {running} "
            "connections of running sluice processes are open: stop every `sluice serve` and `sluice worker`, migrate, "
            "then start the new version (or `sluice migrate --force`, if these are not processes of the version before)"
        )


async def _locked(connection: AsyncConnection) -> str:
    rows = (await connection.execute(sa.text(READ_HOLDERS))).all()
    await connection.rollback()
    held = "; ".join(f"pid {row.pid} ({row.application_name or 'no name'}) for {row.since}" for row in rows)
    return (
        f"a table stayed locked by others {LOCK_TRIES} times. Nothing is half done: end what holds it and run `sluice "
        f"migrate` again. Transactions that are open now: {held or 'none'}"
    )


async def differences(url: str) -> list[Any]:
    """What Alembic would change in the database to make it like `gateway.storage.tables`; empty when they agree."""
    from alembic.autogenerate import compare_metadata

    async with _alone(url) as connection:
        return await _run(connection, lambda connection: compare_metadata(_comparison(connection), metadata))


def _comparison(connection: sa.Connection) -> "MigrationContext":
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"compare_type": True})


def _newer(found: str) -> str:
    return f"the database is at revision {found}, which this sluice ({head()}) does not know: run the newer sluice"


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection for migrations, while no other program migrates: another connection's transaction holds the lock."""
    creator = Connect(url).for_engine(server_settings=SETTINGS, statement_cache_size=0)
    engine = create_async_engine(with_driver(url), poolclass=NullPool, connect_args={"async_creator_fn": creator})
    try:
        await refuse_pooler(engine)
        async with engine.connect() as guard, engine.connect() as connection:
            while not (await guard.execute(sa.text(TRY_LOCK), {"key": LOCK_KEY})).scalar_one():
                # Asked for again and again: an index that is built concurrently by the program that has the lock waits
                # for every transaction with a snapshot, so for each that waits for the lock.
                await guard.rollback()
                await asyncio.sleep(LOOK_EVERY_S)
            # It needs no snapshot, and ends that of the statement before it.
            await guard.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection
    finally:
        await engine.dispose()


async def _run(connection: AsyncConnection, work: Callable[[sa.Connection], T]) -> T:
    """Work that begins and ends its own transactions."""
    try:
        return await connection.run_sync(work)
    finally:
        await connection.rollback()


def _write(message: str) -> None:
    from gateway.storage.server.embedded import EmbeddedPostgres

    number = f"{len(sorted(FOLDER.glob('versions/[0-9]*.py'))) + 1:04}"
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder), durable=False) as server:
            asyncio.run(_revise(server.url, message, number))


async def _revise(url: str, message: str, number: str) -> None:
    from alembic import command

    await upgrade(url)
    async with _alone(url) as connection:
        await _run(
            connection,
            lambda connection: command.revision(_config(connection), message, autogenerate=True, rev_id=number),
        )
    for path in FOLDER.glob(f"versions/{number}_*.py"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.strip().startswith("# ###")))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _write(sys.argv[1])
    else:
        sys.exit(__doc__)
