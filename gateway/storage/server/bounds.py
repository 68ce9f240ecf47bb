"""Whether the limits of waits are in force on what an address leads to, and what to do where a pooler drops them.

Every session of ours is told its limits when it starts. A pooler (PgBouncer, ...) has sessions of its own with the
server: it refuses what it is told, or takes it and forgets it. Then the limits must be the role's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.storage.server.engine import IDLE_IN_TRANSACTION_TIMEOUT_MS, LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

__all__ = ["PoolerError", "refuse_pooler", "require_bounds"]

BOUNDS = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
}
"""Milliseconds; 0 on a server means no limit."""
READ_BOUNDS = "SELECT pg_backend_pid() AS pid, quote_ident(current_user) AS who, " + ", ".join(
    f"current_setting('{name}')::interval AS {name}" for name in BOUNDS
)
READ_PID = "SELECT pg_backend_pid()"
REFUSED = "unsupported startup parameter"
MIXED_UP = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
MIXED_UP_STATES = {error.sqlstate for error in MIXED_UP}
TO_IGNORE = ", ".join((*BOUNDS, "jit"))
PROBE = "sluice_probe"
PROBES = 3
"""A pooler gives its least idle session to the next one who asks; on a busy one it may take more than one look."""
MOVED_WITHIN_S = 1.0
SEE = "(docs/operations.md, behind a pooler)"

LOSES_PREPARED = (
    "the pooler of SLUICE_DATABASE_URL loses prepared statements. Use PgBouncer 1.21 or newer with "
    f"max_prepared_statements = 200, or pool_mode = session {SEE}"
)


class PoolerError(Exception):
    """Something between us and the server takes away what is relied on. The message says what to do."""


async def require_bounds(engine: AsyncEngine) -> None:
    """Refuse an address on whose connections waits have no end, or prepared statements get lost. Raises PoolerError.

    One statement where no pooler is.
    """
    with _cure():
        async with engine.connect() as connection:
            found = (await connection.execute(text(READ_BOUNDS))).one()
            await connection.rollback()
            told = {name: getattr(found, name).total_seconds() * 1000 for name in BOUNDS}
            if loose := [name for name, most in BOUNDS.items() if not 0 < told[name] <= most]:
                raise PoolerError(_give_to_role(found.who, loose))
            if await _is_pooled(connection, found.pid):
                async with engine.connect() as second:
                    await _require_prepared(await _raw(connection), await _raw(second))


async def refuse_pooler(engine: AsyncEngine) -> None:
    """Refuse what is not the server itself, for work that needs a session of its own. Raises PoolerError."""
    try:
        with _cure():
            async with engine.connect() as connection:
                pid = (await connection.execute(text(READ_PID))).scalar_one()
                await connection.rollback()
                pooled = await _is_pooled(connection, pid)
    except PoolerError:
        pooled = True
    if pooled:
        raise PoolerError(
            "SLUICE_DATABASE_URL leads to a pooler, and a migration needs a session of its own: run this command with "
            f"the address of the server itself {SEE}"
        )


@contextmanager
def _cure() -> Iterator[None]:
    """Say what to do where a pooler refuses what our sessions are told, or loses their statements."""
    try:
        yield
    except (DBAPIError, asyncpg.PostgresError) as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        if REFUSED in str(said):
            raise PoolerError(
                "the pooler of SLUICE_DATABASE_URL refuses what our sessions are told. Set in its pgbouncer.ini: "
                f"ignore_startup_parameters = {TO_IGNORE}; and give the limits to the role {SEE}"
            ) from None
        if getattr(said, "sqlstate", None) in MIXED_UP_STATES:
            raise PoolerError(LOSES_PREPARED) from None
        raise


def _give_to_role(who: str, loose: list[str]) -> str:
    cure = "; ".join(f"ALTER ROLE {who} SET {name} = '{BOUNDS[name] // 1000}s'" for name in loose)
    return (
        f"connections of SLUICE_DATABASE_URL are without our {', '.join(loose)}: a pooler keeps them from the server. "
        f"Run on the server: {cure}; and in the pooler's console: RECONNECT {SEE}"
    )


async def _raw(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


async def _is_pooled(connection: AsyncConnection, pid: int) -> bool:
    """Whether the process that answered is not the one that said hello."""
    return bool((await _raw(connection)).get_server_pid() != pid)


async def _require_prepared(one: Any, other: Any) -> None:
    """Look whether a prepared statement is found again on another session, and is not another client's.

    The other client holds the session on which it was prepared, and prepares one of the same name there.
    """
    asked, same_name = await one.prepare("SELECT 1", name=PROBE), None
    await asked.fetchval()  # only now the pooler takes the session back
    for _ in range(PROBES):
        async with other.transaction():
            same_name = same_name or await other.prepare("SELECT 2", name=PROBE)
            await same_name.fetchval()
            answer = asyncio.create_task(asked.fetchval())
            await asyncio.wait({answer}, timeout=MOVED_WITHIN_S)
        if await answer != 1:  # where there is one session only, it comes when the other gives that back
            raise PoolerError(LOSES_PREPARED)
