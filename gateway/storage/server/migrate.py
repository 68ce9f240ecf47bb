"""Migrations (Alembic): upgrading, and telling whether a database is up to date.

Write a new one with `python -m gateway.storage.server.migrate "what changes"`: it compares a migrated scratch database
with the tables. While nothing is released, `python -m gateway.storage.server.migrate --first` writes 0001 anew.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.storage.server.engine import with_driver
from gateway.storage.tables import metadata

__all__ = ["MigrationsPendingError", "applied", "differences", "head", "require_current", "upgrade"]

T = TypeVar("T")

FOLDER = Path(__file__).parent / "migrations"
LOCK_KEY = 0x51_75_1C_E0
"""Advisory lock of a migrating transaction, so that processes started together migrate one after the other."""
FIRST = "first_payment"


class MigrationsPendingError(Exception):
    """The database's schema is not the program's. The message says what to do."""


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision this program knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def applied(engine: AsyncEngine) -> str | None:
    """The revision of the database, or None when it is empty."""
    async with engine.connect() as connection:
        return await connection.run_sync(_revision)


async def require_current(engine: AsyncEngine) -> None:
    """Raises MigrationsPendingError unless the database is at the program's revision."""
    found = await applied(engine)
    if found == head():
        return
    if found is None or _knows(found):
        at = found or "no revision"
        raise MigrationsPendingError(f"migrations pending: the database is at {at}, not {head()}: run `sluice migrate`")
    raise MigrationsPendingError(_newer(found))


async def upgrade(url: str) -> str | None:
    """Bring the database to the newest revision, in one transaction; what it was at before.

    Raises MigrationsPendingError when a newer program has migrated it already.
    """
    return await _on_connection(url, _upgrade)


def _upgrade(connection: sa.Connection) -> str | None:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    before = _revision(connection)
    if before is not None and not _knows(before):
        raise MigrationsPendingError(_newer(before))
    command.upgrade(_config(connection), "head")
    return before


async def differences(url: str) -> list[Any]:
    """What Alembic would change in the database to make it like `gateway.storage.tables`; empty when they agree."""
    return await _on_connection(url, lambda connection: compare_metadata(_comparison(connection), metadata))


def _comparison(connection: sa.Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"compare_type": True})


def _knows(revision: str) -> bool:
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _newer(found: str) -> str:
    return f"the database is at revision {found}, which this sluice ({head()}) does not know: run the newer sluice"


async def _on_connection(url: str, work: Callable[[sa.Connection], T]) -> T:
    engine = create_async_engine(with_driver(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _write(message: str, first: bool) -> None:
    from gateway.storage.server.embedded import EmbeddedPostgres

    known = sorted(FOLDER.glob("versions/[0-9]*.py"))
    if first:
        for path in known:
            path.unlink()
        known = []
    number = f"{len(known) + 1:04}"
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        Path(folder).chmod(0o711)
        with EmbeddedPostgres(Path(folder), durable=False) as server:
            asyncio.run(_revise(server.url, message, number))


async def _revise(url: str, message: str, number: str) -> None:
    def revise(connection: sa.Connection) -> None:
        if number != "0001":
            _upgrade(connection)
        command.revision(_config(connection), message, autogenerate=True, rev_id=number)

    await _on_connection(url, revise)
    for path in FOLDER.glob(f"versions/{number}_*.py"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.strip().startswith("# ###")))


if __name__ == "__main__":
    if sys.argv[1:] == ["--first"]:
        _write(FIRST, first=True)
    elif len(sys.argv) == 2:
        _write(sys.argv[1], first=False)
    else:
        sys.exit(__doc__)
