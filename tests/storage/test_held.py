"""What is held for stopped endpoints, in a real PostgreSQL: held, released in order of creation, or discarded.

Two stores stand for two processes. Not tested here: the calls of operators (test_admin_books.py), and who stops and
starts an endpoint (test_endpoints.py).
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue, Endpoint, Merchant
from gateway.domain.events import EndpointBacklog
from gateway.flows.notify import LEASE, Answer, result_of, verdict
from gateway.metrics import DELIVERIES_HELD, ENDPOINTS_STOPPED
from gateway.storage.tables import deliveries, events
from gateway.storage.writing import held as held_module
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.storage.writing.held import HeldStore
from gateway.workers import hold as hold_module
from gateway.workers.hold import Holder
from tests.databases import database_on
from tests.storage.delivery_rows import (
    BODY,
    MERCHANT,
    OTHER_MERCHANT,
    PAYMENT,
    change_endpoint,
    delivery,
    endpoint,
    event,
    read_row,
    states,
)

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ONE = UUID(int=1)
HELD: dict[str, Any] = {"status": "held", "due_at": None}
WITHIN_S = 60.0


async def many(engine: AsyncEngine, numbers: Collection[int], endpoint_no: int, **columns: object) -> None:
    """Events with these numbers, each with a delivery to the endpoint."""
    told = {"app": "shop", "type": "payment.succeeded", "object": "payment", "object_id": PAYMENT, "body": BODY}
    to = {"status": "pending", "tries": 0, "due_at": NOW, "lease_until": None} | columns
    of = {"merchant_id": MERCHANT}
    async with engine.begin() as connection:
        await connection.execute(
            insert(events),
            [of | told | {"event_id": UUID(int=n), "sequence": n, "deliveries": 1, "created_at": NOW} for n in numbers],
        )
        await connection.execute(
            insert(deliveries),
            [of | to | {"event_id": UUID(int=n), "endpoint_id": UUID(int=endpoint_no)} for n in numbers],
        )


async def due_order(engine: AsyncEngine, endpoint_no: int) -> list[int]:
    """The events that are due at an endpoint, in the order of their turns."""
    wanted = "SELECT event_id FROM deliveries WHERE endpoint_id = :endpoint AND status = 'pending' ORDER BY due_at"
    async with engine.connect() as connection:
        rows = await connection.execute(text(wanted), {"endpoint": UUID(int=endpoint_no)})
        return [row.event_id.int for row in rows]


def catalogue_of(*endpoints: tuple[int, bool], version: int = 1) -> Catalogue:
    """What a process knows: (number, whether it is stopped) of each endpoint."""
    known = tuple(
        Endpoint(
            MERCHANT, UUID(int=number), None, "https://h/", None, False, is_stopped, ("whsec_x",), code=f"e{number}"
        )
        for number, is_stopped in endpoints
    )
    return Catalogue(version, (Merchant(MERCHANT, "m", "M"),), endpoints=known)


class Process:
    """The holder of one process, and what that process knows of the endpoints."""

    def __init__(self, engine: AsyncEngine, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.now = NOW
        self.store = HeldStore(database_on(engine))
        self.holder = Holder(self.store, lambda: self.catalogue, lambda: self.now)

    async def until_nothing_is_left(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await self.holder.tick():
                self.now += SECOND


# --- one step ---


async def test_what_was_held_is_due_in_order_of_creation_with_its_whole_schedule(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, [3, 1, 2, 5, 4], 1, **HELD, last_status=410)
    assert await store.release(MERCHANT, ONE, NOW, 3) == 3
    assert await store.release(MERCHANT, ONE, NOW + SECOND, 3) == 2
    assert await due_order(engine, 1) == [1, 2, 3, 4, 5]
    row = await read_row(engine, 5, 1)
    assert (row.tries, row.lease_until, row.last_status) == (0, None, 410)
    assert row.due_at - NOW < 2 * SECOND


async def test_tries_are_counted_anew(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, [1], 1, **HELD | {"tries": 12})
    await store.release(MERCHANT, ONE, NOW, 10)
    assert (await read_row(engine, 1, 1)).tries == 0


async def test_processes_that_release_at_once_keep_the_order_and_release_each_once(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, range(1, 401), 1, **HELD)
    released = 0
    while released < 400:
        clocks = (NOW, NOW + SECOND, NOW - SECOND, NOW)
        released += sum(await asyncio.gather(*(store.release(MERCHANT, ONE, now, 50) for now in clocks)))
    assert released == 400
    assert await due_order(engine, 1) == list(range(1, 401))


async def test_nothing_is_released_at_an_endpoint_that_is_stopped_by_then(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1, stopped_at=NOW)
    await many(engine, [1], 1, **HELD)
    assert await store.release(MERCHANT, ONE, NOW, 10) == 0
    assert await states(engine, 1) == {1: "held"}


async def test_nothing_is_held_at_an_endpoint_that_runs_by_then(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, [1], 1)
    assert await store.hold(MERCHANT, ONE, NOW, 10) == 0
    assert await states(engine, 1) == {1: "pending"}


async def test_what_waits_for_a_later_try_is_held_and_what_is_being_sent_is_not(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1, stopped_at=NOW)
    await many(engine, [1], 1, tries=9, due_at=NOW + timedelta(hours=8))
    await many(engine, [2], 1, lease_until=NOW + LEASE)
    await many(engine, [3], 1, lease_until=NOW)
    assert await store.hold(MERCHANT, ONE, NOW, 10) == 2
    assert await states(engine, 1) == {1: "held", 2: "pending", 3: "held"}
    assert await store.misplaced(MERCHANT, NOW) == {}
    assert await store.misplaced(MERCHANT, NOW + LEASE) == {ONE: False}


async def test_a_result_that_comes_after_the_hold_and_the_release_changes_nothing(engine: AsyncEngine) -> None:
    store, sender = HeldStore(database_on(engine)), DeliveryStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, [1], 1)
    [slow] = await sender.claim(MERCHANT, NOW, {ONE: 10}, NOW + LEASE)
    later = NOW + LEASE
    await change_endpoint(engine, 1, stopped_at=later)
    assert await store.hold(MERCHANT, ONE, later, 10) == 1
    late = result_of(slow, Answer(500), verdict(Answer(500), 1, later, 0.0), later)
    assert await sender.record(MERCHANT, [late]) == [False]
    await change_endpoint(engine, 1, stopped_at=None)
    assert await store.release(MERCHANT, ONE, later, 10) == 1
    assert await sender.record(MERCHANT, [late]) == [False]
    assert (await read_row(engine, 1, 1)).tries == 0


async def test_discarding_takes_the_oldest_and_says_who_wanted_it(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1, stopped_at=NOW)
    await many(engine, [1, 2, 3], 1, **HELD)
    assert await store.discard(MERCHANT, ONE, "discarded by li: old", 2) == 2
    assert await states(engine, 1) == {1: "discarded", 2: "discarded", 3: "held"}
    assert (await read_row(engine, 1, 1)).last_error == "discarded by li: old"


async def test_what_is_discarded_and_released_at_once_is_one_of_both(engine: AsyncEngine) -> None:
    store = HeldStore(database_on(engine))
    await endpoint(engine, 1)
    await many(engine, range(1, 301), 1, **HELD)

    async def again_and_again(discard: bool) -> int:
        done = 0
        for _ in range(40):
            done += await (
                store.discard(MERCHANT, ONE, "old", 20) if discard else store.release(MERCHANT, ONE, NOW, 20)
            )
        return done

    async with asyncio.timeout(WITHIN_S):
        discarded, released = await asyncio.gather(again_and_again(True), again_and_again(False))
    assert discarded + released == 300
    found = list((await states(engine, 1)).values())
    assert (found.count("discarded"), found.count("pending")) == (discarded, released)


async def test_a_backlog_is_counted_by_endpoint(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HeldStore(database_on(engine))
    await many(engine, [1, 2, 3], 1, **HELD)
    await many(engine, [4], 1)
    await many(engine, [5], 2, status="dead", due_at=None)
    assert await store.backlogs(MERCHANT) == {
        ONE: EndpointBacklog(pending=1, held=3),
        UUID(int=2): EndpointBacklog(dead=1),
    }
    assert await store.held(MERCHANT, [ONE, UUID(int=2)]) == {ONE: 3}
    monkeypatch.setattr(held_module, "COUNTED_MAX", 2)
    assert await store.held(MERCHANT, [ONE]) == {ONE: 2}
    assert await store.held(OTHER_MERCHANT, [ONE]) == {}


# --- the work of processes ---


async def test_what_a_process_wrote_just_after_another_one_stopped_the_endpoint_is_held(engine: AsyncEngine) -> None:
    await endpoint(engine, 1, stopped_at=NOW)
    await many(engine, range(1, 4), 1)
    process = Process(engine, catalogue_of((1, False)))
    await process.until_nothing_is_left()
    assert await states(engine, 1) == dict.fromkeys((1, 2, 3), "held")


async def test_what_a_process_wrote_just_after_another_one_started_the_endpoint_is_due(engine: AsyncEngine) -> None:
    await endpoint(engine, 1)
    await many(engine, range(1, 4), 1, **HELD)
    process = Process(engine, catalogue_of((1, True)))
    await process.until_nothing_is_left()
    assert await due_order(engine, 1) == [1, 2, 3]


async def test_much_is_released_in_small_steps_and_in_order_by_several_processes(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold_module, "BATCH", 50)
    await endpoint(engine, 1)
    await many(engine, range(1, 1001), 1, **HELD)
    processes = [Process(engine, catalogue_of((1, False))) for _ in range(3)]
    ticks = 0
    async with asyncio.timeout(WITHIN_S):
        while len(await due_order(engine, 1)) < 1000:
            moved = await asyncio.gather(*(process.holder.tick() for process in processes))
            assert max(moved) <= hold_module.BATCHES_PER_TICK * 50
            ticks += 1
            for process in processes:
                process.now = NOW + ticks * SECOND
    assert await due_order(engine, 1) == list(range(1, 1001))


async def test_an_endpoint_with_little_held_does_not_wait_for_one_with_much(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold_module, "BATCH", 10)
    await endpoint(engine, 1)
    await endpoint(engine, 2)
    await many(engine, range(1, 201), 1, **HELD)
    await many(engine, range(1001, 1004), 2, **HELD)
    process = Process(engine, catalogue_of((1, False), (2, False)))
    await process.holder.tick()
    assert await due_order(engine, 2) == [1001, 1002, 1003]
    assert await due_order(engine, 1) == list(range(1, 11))


async def test_a_merchant_that_cannot_be_reached_does_not_hold_up_the_others(engine: AsyncEngine) -> None:
    await endpoint(engine, 1)
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, **HELD)
    process = Process(engine, catalogue_of((1, False)))
    first = Endpoint(UUID(int=2), UUID(int=9), None, "https://h/", None, False, False, (), code="e9")
    process.catalogue = Catalogue(
        2,
        (Merchant(UUID(int=2), "a", "A"), Merchant(MERCHANT, "m", "M")),
        endpoints=(first, *process.catalogue.endpoints[MERCHANT]),
    )
    real = process.store

    class Shards:
        hold, release, held = real.hold, real.release, real.held

        async def misplaced(self, merchant_id: UUID, now: datetime) -> dict[UUID, bool]:
            if merchant_id != MERCHANT:
                raise ConnectionError("this merchant's shard is away")
            return await real.misplaced(merchant_id, now)

    process.holder._store = Shards()
    with pytest.raises(ConnectionError):
        await process.holder.tick()
    assert await process.holder.tick() == 1


async def test_a_stopped_endpoint_and_what_is_held_for_it_are_shown_as_metrics(engine: AsyncEngine) -> None:
    await endpoint(engine, 1, stopped_at=NOW)
    await many(engine, range(1, 4), 1)
    process = Process(engine, catalogue_of((1, False)))
    await process.holder.tick()
    process.catalogue = catalogue_of((1, True), version=2)
    process.now = NOW + hold_module.COUNTED_EVERY
    await process.holder.tick()
    assert metric(ENDPOINTS_STOPPED) == 1
    assert metric(DELIVERIES_HELD) == 3

    await change_endpoint(engine, 1, stopped_at=None)
    process.catalogue = catalogue_of((1, False), version=3)
    await process.until_nothing_is_left()
    process.now += hold_module.COUNTED_EVERY
    await process.holder.tick()
    assert metric(ENDPOINTS_STOPPED) == 0
    assert metric(DELIVERIES_HELD) == 0


def metric(gauge: Any) -> float:
    return float(gauge.labels("m", "e1")._value.get())
