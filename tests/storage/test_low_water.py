"""What is due is found at the same cost however much is done already, also while an old snapshot keeps what was done.

Cost is counted in pages that a statement looks at. Not tested here: leases and order (test_deliveries, test_opening).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.storage.server.database import Connection, Database
from gateway.storage.writing import claims, deliveries, with_work
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.storage.writing.low_water import BEGINNING, LOOK_BELOW_EVERY
from tests.databases import database_on
from tests.keys import new_keys
from tests.storage.delivery_rows import MERCHANT, OTHER_MERCHANT, delivery, event
from tests.storage.gateway_process import Process
from tests.unit.domain import samples

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
MANY = 6_000
LARGE = ("deliveries", "payments")
WANTED = {UUID(int=1): 10, MERCHANT: 10}
"""Endpoints."""
DONE = """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT $1, gen_random_uuid(), 'shop', 'payment.succeeded', 'payment', $1, n, '', 1, $2 FROM generate_series(1, $3) n;
"""
DELIVERIES = """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at)
SELECT $1, event_id, $1, 'pending', 0, $2::timestamptz - make_interval(secs => 600.0 * sequence / $3) FROM events
"""
DELIVERED = "UPDATE deliveries SET status = 'delivered', due_at = NULL, delivered_at = $2 WHERE merchant_id = $1"

ASKED_AGAIN_AND_AGAIN = """
DO $$ BEGIN
    FOR n IN 1..50 LOOP UPDATE payments SET due_at = due_at + interval '72 seconds'; END LOOP;
END $$
"""
"""Until an hour later."""


def later(**duration: float) -> datetime:
    return NOW + timedelta(**duration)


@asynccontextmanager
async def old_snapshot(engine: AsyncEngine) -> AsyncIterator[None]:
    """Somebody looked at the database once, and does not end."""
    async with engine.begin() as connection:
        for table in LARGE:
            await connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(text("SELECT count(*) FROM deliveries"))
        yield


async def analyzed(connection: Connection) -> None:
    """The planner knows the tables as they stand, and only so: what an emptied table held before says nothing."""
    for table in LARGE:
        await connection.execute(f"ANALYZE {table}")


async def many_were_delivered(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(DONE, MERCHANT, NOW, MANY)
        await connection.execute(DELIVERIES, MERCHANT, NOW - timedelta(minutes=1), float(MANY))
        await connection.execute(DELIVERED, MERCHANT, NOW)
        await analyzed(connection)


async def pages(database: Database, sql: str, *values: Any) -> int:
    """How many pages a statement looks at."""
    async with database.connection() as connection:
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *values)
    (plan,) = orjson.loads(told)
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


async def test_claims_cost_the_same_after_many_deliveries_that_an_old_snapshot_keeps(own_engine: AsyncEngine) -> None:
    # A database of its own: pages are counted, and what others left would change the plan.
    engine, database = own_engine, database_on(own_engine)
    store = DeliveryStore(database)
    rest: tuple[Any, ...] = (NOW, later(seconds=30), [MERCHANT], [64])
    before = await pages(database, deliveries.CLAIM, MERCHANT, *rest, BEGINNING)
    async with old_snapshot(engine):
        await many_were_delivered(database)
        walked = await pages(database, deliveries.CLAIM, MERCHANT, *rest, BEGINNING)
        assert walked > 20 * before
        assert await store.merchants_due([MERCHANT], NOW) == []
        since = store._marks.of(MERCHANT)
        assert 5 * await pages(database, deliveries.CLAIM, MERCHANT, *rest, since) < walked
        assert 5 * await pages(database, with_work.statement(deliveries.WITH_WORK, 1), NOW, since, MERCHANT) < walked
        assert 2 * await pages(database, deliveries.OLDEST_DUE, MERCHANT, since) < walked


async def test_what_an_old_snapshot_keeps_hides_nothing_that_is_due(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    async with old_snapshot(engine):
        await many_were_delivered(database_on(engine))
        assert await store.merchants_due([MERCHANT], NOW) == []
        await event(engine, 1, NOW, OTHER_MERCHANT)
        await event(engine, MANY + 1, NOW)
        await delivery(engine, MANY + 1, 1, due_at=NOW)
        assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW) == [MERCHANT]
        assert len(await store.claim(MERCHANT, NOW, WANTED, later(seconds=30))) == 1


async def test_what_somebody_has_in_hand_keeps_the_mark_below_it(engine: AsyncEngine) -> None:
    store, dead = DeliveryStore(database_on(engine)), DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, due_at=NOW)
    assert len(await dead.claim(MERCHANT, NOW, WANTED, later(minutes=3))) == 1
    for second in range(0, 180, 4):
        assert await store.merchants_due([MERCHANT], later(seconds=second)) == []
    assert await store.merchants_due([MERCHANT], later(minutes=3)) == [MERCHANT]
    assert len(await store.claim(MERCHANT, later(minutes=3), WANTED, later(minutes=4))) == 1


async def test_what_was_committed_late_is_found_by_the_look_below_the_mark(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    assert await store.claim(MERCHANT, NOW, WANTED, later(seconds=30)) == []
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, due_at=NOW - timedelta(minutes=5))
    assert await store.merchants_due([MERCHANT], NOW) == [], "it lies below the mark"
    assert await store.merchants_due([MERCHANT], NOW + LOOK_BELOW_EVERY) == [MERCHANT]
    assert len(await store.claim(MERCHANT, NOW + LOOK_BELOW_EVERY, WANTED, later(minutes=3))) == 1


async def test_a_clock_that_steps_back_forgets_the_mark(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    assert await store.claim(MERCHANT, later(hours=1), WANTED, later(hours=2)) == []
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, due_at=NOW)
    assert len(await store.claim(MERCHANT, NOW, WANTED, later(seconds=30))) == 1


async def test_one_merchants_backlog_does_not_lower_the_mark_of_the_others(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW, OTHER_MERCHANT)
    await delivery(engine, 1, 1, OTHER_MERCHANT, due_at=NOW - timedelta(hours=1), lease_until=later(hours=1))
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW) == []
    groups = {tuple(group): since for group, since in store._marks.groups([MERCHANT, OTHER_MERCHANT], NOW)}
    assert groups == {
        (MERCHANT,): NOW - timedelta(seconds=5),
        (OTHER_MERCHANT,): NOW - timedelta(hours=1),
    }


async def test_a_delivery_that_is_sent_again_is_due_at_once(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, status="dead", due_at=None)
    assert await store.claim(MERCHANT, NOW, WANTED, later(seconds=30)) == []
    await store.redeliver(MERCHANT, UUID(int=1), NOW)
    assert await store.merchants_due([MERCHANT], NOW) == [MERCHANT]
    assert len(await store.claim(MERCHANT, NOW, WANTED, later(seconds=30))) == 1


async def test_claims_of_follow_ups_cost_the_same_after_many_looks_that_an_old_snapshot_keeps(
    engine: AsyncEngine,
) -> None:
    process = Process(engine, new_keys(), samples.catalogue((samples.channel("up"),), (samples.rule("up"),)))
    merchant_id, database = samples.MERCHANT_ID, process.database
    opened = await process.opened(*(samples.order(f"o{n}", user_id=f"u{n}") for n in range(60)))
    now = later(hours=1)
    rest: tuple[Any, ...] = (merchant_id, now, later(hours=2), ["up"], [64])
    async with old_snapshot(engine):
        async with database.connection() as connection:
            await connection.execute(ASKED_AGAIN_AND_AGAIN)
            await analyzed(connection)
        walked = await pages(database, claims.CLAIM_PAYMENTS, *rest, BEGINNING)
        assert await process.due.merchants_with_work([merchant_id], now) == []
        since = process.due.marks.of(merchant_id)
        assert 5 * await pages(database, claims.CLAIM_PAYMENTS, *rest, since) < walked
        assert 5 * await pages(database, with_work.statement(claims.WITH_WORK, 1), now, since, merchant_id) < walked
        assert 5 * await pages(database, claims.DUE_CHANNELS, merchant_id, now, since, ["up"]) < walked
        assert 5 * await pages(database, claims.OLDEST_DUE, merchant_id, since) < walked
        at = later(hours=2)
        assert await process.due.merchants_with_work([merchant_id], at) == [merchant_id]
        assert len(await process.due.claim(merchant_id, at, 100, later(hours=3))) == len(opened)
