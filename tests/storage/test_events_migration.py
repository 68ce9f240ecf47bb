"""Events that named their object by a text name it by kind and UUID: migrations 0006 to 0008, on real databases.

Not tested here: that other data of the first version survives, and migrations in general (test_migrations.py).
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only
from uuid_utils.compat import uuid7

from gateway.domain.ids import EVENT, ObjectKind, read, read_object, show_object
from gateway.objects.events import event_object
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.reader import Reader
from gateway.storage.server import ddl
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import applied, differences, head, upgrade
from tests.databases import close, database_on
from tests.keys import ORDER_KEY
from tests.storage.test_migrations import to_first

HERE = Path(__file__).parent
FIRST = json.loads((HERE / "first_version.json").read_text("utf-8"))
NOW = datetime(2026, 11, 26, tzinfo=UTC)
MERCHANT = UUID(int=0xA)
MANY, BATCH = 50_000, 5_000

LEFT = "SELECT count(*) FROM events WHERE object_id IS NULL"
WRITE = """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
VALUES ($1, $2, 'shop', 'payment.failed', 'payment', $3, 1, '{}', 0, $4)
"""

Batches = Callable[[Connection], Iterator[int]]


class InterruptedInTheMiddleError(Exception):
    """The operator has lost patience."""


@pytest.fixture
async def sql(empty_database_url: str) -> AsyncIterator[Any]:
    """A connection to a database with the first version's schema."""
    await to_first(empty_database_url)
    connection = await asyncpg.connect(empty_database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


def after_each_batch(monkeypatch: pytest.MonkeyPatch, look: Callable[[int], None]) -> None:
    """Call `look` with the number of rows done, after each batch of a migration."""
    in_batches = ddl.in_batches

    def watched(what: str, batches: Batches) -> None:
        def looked_at(connection: Connection) -> Iterator[int]:
            done = 0
            for rows in batches(connection):
                done += rows
                look(done)
                yield rows

        in_batches(what, looked_at)

    monkeypatch.setattr(ddl, "in_batches", watched)


async def test_the_first_versions_events_are_found_and_sent_again_after_an_interrupted_upgrade(
    sql: Any, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql.execute((HERE / "first_version.sql").read_text("utf-8"))
    before = await sql.fetch("SELECT merchant_id, event_id, app, object_id, body FROM events ORDER BY event_id")
    assert len(before) == len(FIRST["events"])

    def interrupt(done: int) -> None:
        if done >= len(before) // 2:
            raise InterruptedInTheMiddleError

    with monkeypatch.context() as patched:
        patched.setattr(ddl, "BATCH_ROWS", 7)
        after_each_batch(patched, interrupt)
        with pytest.raises(InterruptedInTheMiddleError):
            await upgrade(empty_database_url, force=True)
    assert 0 < await sql.fetchval(LEFT) < len(before)

    await upgrade(empty_database_url, force=True)
    assert await differences(empty_database_url) == []
    after = await sql.fetch("SELECT event_id, object, object_id, body FROM events ORDER BY event_id")
    named = [show_object(ObjectKind(row["object"]), row["object_id"]) for row in after]
    assert named == [row["object_id"] for row in before]
    assert [(row["event_id"], row["body"]) for row in after] == [(row["event_id"], row["body"]) for row in before]

    # One endpoint of that version had answered 410, and what was for it died of that; other dead letters stay dead.
    dead = "SELECT code, status, count(*) FROM deliveries JOIN endpoints USING (merchant_id, endpoint_id)"
    dead += " WHERE status IN ('dead', 'held') GROUP BY code, status ORDER BY code"
    assert [tuple(row) for row in await sql.fetch(dead)] == [("gone", "held", 2), ("shop", "dead", 1)]

    engine = create_engine(empty_database_url, 2)
    reader = Reader(
        engine, database_on(engine), Keys.parse(FIRST["card_keys"], None, ORDER_KEY), ZoneInfo("Asia/Shanghai")
    )
    for row in before:
        if row["app"] is None:
            continue
        owner = (row["merchant_id"], row["app"])
        of = read_object(row["object_id"])
        found = (await reader.events(*owner, of=of, event_type=None, before=None, limit=50)).page
        shown = {read(EVENT, event["id"]): event for event in map(event_object, found)}
        assert shown[row["event_id"]]["object_id"] == row["object_id"]
        again = await reader.redeliver(*owner, row["event_id"], NOW)
        assert again is not None
        assert again.deliveries + again.held == len(shown[row["event_id"]]["deliveries"])
    assert not [wrong for wrong in await examine(engine, NOW) if " events" in wrong or "no event" in wrong]
    await close(engine)


async def test_many_events_are_converted_in_batches_that_commit_while_others_are_written(
    sql: Any, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [uuid7() for _ in range(MANY)]
    columns = ("merchant_id", "event_id", "app", "type", "object_id", "sequence", "body", "deliveries", "created_at")
    rows = [
        (MERCHANT, uuid7(), "shop", "payment.failed", show_object(ObjectKind.PAYMENT, one), 1, b"{}", 0, NOW)
        for one in objects
    ]
    await sql.copy_records_to_table("events", records=rows, columns=columns)
    written: list[UUID] = []
    seen: list[tuple[int, int]] = []

    async def write_meanwhile(done: int) -> None:
        # By a connection of its own, so it sees what is committed, and would wait for what is locked.
        await sql.execute("SET statement_timeout = 5000")
        seen.append((done, MANY - await sql.fetchval(LEFT)))
        written.append(uuid7())
        await sql.execute(WRITE, MERCHANT, uuid7(), written[-1], NOW)
        await sql.execute("UPDATE events SET deliveries = 1 WHERE event_id = $1", rows[done - 1][1])

    monkeypatch.setattr(ddl, "BATCH_ROWS", BATCH)
    after_each_batch(monkeypatch, lambda done: await_only(write_meanwhile(done)))
    told: list[str] = []
    await upgrade(empty_database_url, told.append, force=True)
    assert seen == [(done, done) for done in range(BATCH, MANY + 1, BATCH)]
    assert f"events: {MANY} rows" in told
    assert await differences(empty_database_url) == []
    found = await sql.fetch("SELECT object, object_id FROM events")
    assert {row["object"] for row in found} == {"payment"}
    assert sorted(row["object_id"] for row in found) == sorted([*objects, *written])


async def test_an_upgrade_that_ended_before_its_last_step_goes_on_from_there(
    sql: Any, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql.execute((HERE / "first_version.sql").read_text("utf-8"))

    def interrupt(constraint: str, table: str) -> None:
        raise InterruptedInTheMiddleError(constraint, table)

    with monkeypatch.context() as patched:
        patched.setattr(ddl, "validate", interrupt)
        with pytest.raises(InterruptedInTheMiddleError):
            await upgrade(empty_database_url, force=True)
    # The new index is built by now, and the old constraint still stands.
    await upgrade(empty_database_url, force=True)
    assert await differences(empty_database_url) == []
    engine = create_engine(empty_database_url, 1)
    assert await applied(engine) == head()
    await engine.dispose()
