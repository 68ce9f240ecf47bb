"""Migrations against a real server. Not tested here: that data survives one (there is only the first)."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import MigrationsPendingError, applied, differences, head, require_current, upgrade
from gateway.storage.tables import metadata


async def test_a_migrated_database_is_what_the_tables_say(database_url: str) -> None:
    assert await differences(database_url) == []


async def test_constraints_and_indexes_are_those_of_the_tables_word_by_word(
    engine: AsyncEngine, empty_database_url: str
) -> None:
    fresh = create_engine(empty_database_url, 2)
    async with fresh.begin() as connection:
        await connection.run_sync(metadata.create_all)
    assert await _written(engine) == await _written(fresh)
    await fresh.dispose()


async def _written(engine: AsyncEngine) -> set[tuple[str, str]]:
    constraints = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text <> :own"
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> :own"
    async with engine.connect() as connection:
        rows = (await connection.execute(text(f"{constraints} UNION ALL {indexes}"), {"own": "alembic_version"})).all()
    return {(name, definition) for name, definition in rows if not name.startswith("pg_")}


async def test_a_migrated_database_is_current(engine: AsyncEngine) -> None:
    assert await applied(engine) == head()
    await require_current(engine)


async def test_an_empty_database_has_migrations_pending(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url, 2)
    with pytest.raises(MigrationsPendingError, match="sluice migrate"):
        await require_current(engine)
    await engine.dispose()


async def test_processes_that_migrate_at_once_do_it_once(empty_database_url: str) -> None:
    before = await asyncio.gather(*(upgrade(empty_database_url) for _ in range(4)))
    assert sorted(before, key=str) == sorted([None, head(), head(), head()], key=str)
    assert await differences(empty_database_url) == []


async def test_a_database_of_a_newer_program_is_left_alone(engine: AsyncEngine, database_url: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationsPendingError, match="newer"):
        await upgrade(database_url)
    with pytest.raises(MigrationsPendingError, match="newer"):
        await require_current(engine)
