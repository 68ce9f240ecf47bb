"""Migrations against a real server. Not tested here: that data survives them (test_first_version)."""

import asyncio

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server import migrate
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import (
    MigrationsPendingError,
    applied,
    differences,
    head,
    is_current,
    require_current,
    upgrade,
)
from gateway.storage.tables import metadata


@pytest.fixture
async def engine(own_engine: AsyncEngine) -> AsyncEngine:
    """These tests change what schema the database says it has."""
    return own_engine


@pytest.fixture
def database_url(own_engine: AsyncEngine) -> str:
    return own_engine.url.render_as_string(hide_password=False)


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
    done = await asyncio.gather(*(upgrade(empty_database_url) for _ in range(4)))
    assert sorted(str(upgraded.before) for upgraded in done) == sorted(["None", head(), head(), head()])
    assert await differences(empty_database_url) == []


async def test_a_database_of_a_newer_program_is_left_alone(engine: AsyncEngine, database_url: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationsPendingError, match="newer"):
        await upgrade(database_url)
    with pytest.raises(MigrationsPendingError, match="newer"):
        await require_current(engine)


async def _pretend(engine: AsyncEngine, revision: str, tolerates: str) -> None:
    """A newer program has migrated the database."""
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        await connection.execute(
            text("INSERT INTO schema_versions VALUES (:revision, :tolerates, '2026-11-25 00:00+00')"),
            {"revision": revision, "tolerates": tolerates},
        )


async def test_a_program_goes_on_on_a_newer_schema_that_tolerates_it(engine: AsyncEngine) -> None:
    await _pretend(engine, "9999", head())
    assert await is_current(engine)
    await require_current(engine)


async def test_a_program_ends_on_a_newer_schema_that_does_not_tolerate_it(engine: AsyncEngine) -> None:
    await _pretend(engine, "9999", "9998")
    assert not await is_current(engine)
    with pytest.raises(MigrationsPendingError, match="newer"):
        await require_current(engine)


async def test_a_program_does_not_run_on_an_older_schema(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert not await is_current(engine)


async def test_every_migration_says_what_it_tolerates(engine: AsyncEngine) -> None:
    tolerated = migrate._tolerated()
    in_their_order = ScriptDirectory.from_config(migrate._config()).walk_revisions()
    assert list(tolerated) == [script.revision for script in in_their_order]
    assert all(oldest <= revision and oldest in tolerated for revision, oldest in tolerated.items())
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT revision, tolerates FROM schema_versions"))).all()
    # The first version's schema has no such table.
    assert dict(map(tuple, rows)) == {revision: oldest for revision, oldest in tolerated.items() if revision > "0001"}


async def test_a_locked_table_makes_a_migration_wait_its_turn_and_nobody_behind_it(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_WITHIN_MS", 50)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.05)
    await to_first(empty_database_url)
    holder = create_engine(empty_database_url, 2, application_name="a report")
    waited = asyncio.Event()
    async with holder.connect() as connection:
        await connection.execute(text("LOCK TABLE alembic_version IN SHARE MODE"))
        upgrading = asyncio.create_task(upgrade(empty_database_url, lambda _: waited.set()))
        await asyncio.wait_for(waited.wait(), 60)
        async with holder.connect() as other:
            await other.execute(text("SET statement_timeout = 5000"))
            await other.execute(text("SELECT 1 FROM alembic_version"))
        await connection.rollback()
        await upgrading
    assert await applied(holder) == head()
    await holder.dispose()


async def test_a_table_that_stays_locked_ends_the_upgrade_with_a_cure(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_WITHIN_MS", 20)
    monkeypatch.setattr(migrate, "PAUSE_S", 0.0)
    monkeypatch.setattr(migrate, "LOCK_TRIES", 3)
    await to_first(empty_database_url)
    holder = create_engine(empty_database_url, 1, application_name="a report")
    async with holder.connect() as connection:
        await connection.execute(text("LOCK TABLE alembic_version IN SHARE MODE"))
        with pytest.raises(MigrationsPendingError, match="a report"):
            await upgrade(empty_database_url)
    await upgrade(empty_database_url)
    assert await differences(empty_database_url) == []
    await holder.dispose()


async def test_an_upgrade_that_does_not_roll_is_refused_while_processes_run(empty_database_url: str) -> None:
    await to_first(empty_database_url)
    running = create_engine(empty_database_url, 1)
    async with running.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(MigrationsPendingError, match="stop every"):
            await upgrade(empty_database_url)
    await running.dispose()
    assert (await upgrade(empty_database_url)).before == "0001"


async def to_first(url: str) -> None:
    """The schema of the first version."""
    async with migrate._alone(url) as connection:
        await migrate._run(connection, lambda found: command.upgrade(migrate._config(found), "0001"))
