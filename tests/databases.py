"""Pools of the hot path beside the engines of tests: one for each engine, closed with it."""

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.database import Database

POOL_SIZE = 8

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
