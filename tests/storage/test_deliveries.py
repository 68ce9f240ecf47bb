"""The rows of deliveries on a real server: claims, leases, guarded results, dead letters, sending again.

Not tested here: who writes the rows (with the change that they tell), and what a Citus cluster makes of the statements.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.events import DeliveryStatus, Redelivered
from gateway.domain.ids import ObjectKind
from gateway.flows.notify import (
    LEASE,
    TRIES_MAX,
    Answer,
    DeliveryResult,
    DueDelivery,
    NoAnswer,
    Reply,
    on_hold,
    result_of,
    verdict,
)
from gateway.storage.writing.deliveries import DeliveryStore
from tests.databases import database_on
from tests.storage.delivery_rows import BODY, MERCHANT, OTHER_MERCHANT, PAYMENT, delivery, endpoint, event, read_row

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
UNTIL = NOW + LEASE
SECOND = timedelta(seconds=1)
WITHIN_S = 60.0
EVERY = {UUID(int=number): 10 for number in range(1, 9)}
"""Room for every endpoint of these tests."""


async def one_due(engine: AsyncEngine, *, tries: int = 0) -> DeliveryStore:
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, due_at=NOW, tries=tries)
    return DeliveryStore(database_on(engine))


async def claim(store: DeliveryStore, now: datetime = NOW) -> list[DueDelivery]:
    return await store.claim(MERCHANT, now, EVERY, now + LEASE)


def after(reply: Reply, due: DueDelivery, now: datetime = NOW) -> DeliveryResult:
    return result_of(due, reply, verdict(reply, due.tries + 1, now, 0.0), now)


# --- claims ---


async def test_a_claim_tells_all_that_sending_needs(engine: AsyncEngine) -> None:
    store = await one_due(engine, tries=3)
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW) == [MERCHANT]
    assert await claim(store) == [DueDelivery(MERCHANT, UUID(int=1), UUID(int=1), 3, BODY, UNTIL)]


async def test_what_is_not_due_not_pending_or_leased_is_not_claimed(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    await delivery(engine, 1, 1, due_at=NOW + SECOND)
    await delivery(engine, 1, 2, due_at=NOW, lease_until=NOW + SECOND)
    await delivery(engine, 1, 3, status="dead", due_at=None)
    await delivery(engine, 1, 4, status="delivered", due_at=None, delivered_at=NOW)
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW) == []
    assert await claim(store) == []


async def test_a_lease_that_ran_out_frees_the_delivery(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    assert len(await claim(store)) == 1
    assert await claim(store, UNTIL - SECOND) == []
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], UNTIL - SECOND) == []
    assert len(await claim(store, UNTIL)) == 1


async def test_the_longest_due_come_first_and_no_more_than_asked_for(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    for number in range(1, 6):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, due_at=NOW - number * SECOND)
    taken = await store.claim(MERCHANT, NOW, {UUID(int=1): 2}, UNTIL)
    assert {due.event_id.int for due in taken} == {4, 5}


async def test_endpoints_without_room_are_left_out(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    for endpoint_no in (1, 2, 3):
        await delivery(engine, 1, endpoint_no, due_at=NOW)
    taken = await store.claim(MERCHANT, NOW, {UUID(int=2): 10}, UNTIL)
    assert [due.endpoint_id.int for due in taken] == [2]


async def test_a_claim_is_of_one_merchant(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    await event(engine, 1, NOW, OTHER_MERCHANT)
    await delivery(engine, 1, 1, OTHER_MERCHANT, due_at=NOW)
    assert set(await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW)) == {MERCHANT, OTHER_MERCHANT}
    assert [due.merchant_id for due in await claim(store)] == [MERCHANT]
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW) == [OTHER_MERCHANT]


async def test_workers_that_claim_at_once_never_get_the_same_delivery(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    for number in range(1, 61):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, due_at=NOW)
    claims = await asyncio.gather(*(store.claim(MERCHANT, NOW, {UUID(int=1): 10}, UNTIL) for _ in range(8)))
    taken = [due.event_id for claimed in claims for due in claimed]
    assert len(taken) == len(set(taken))
    taken += [due.event_id for due in await store.claim(MERCHANT, NOW, {UUID(int=1): 60}, UNTIL)]
    assert sorted(event_id.int for event_id in taken) == list(range(1, 61))


async def test_a_row_that_somebody_is_claiming_is_passed_over_without_waiting(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    async with engine.begin() as other:
        await other.execute(text("SELECT 1 FROM deliveries FOR UPDATE"))
        assert await asyncio.wait_for(claim(store), WITHIN_S) == []
    assert len(await claim(store)) == 1


# --- results ---


async def test_results_of_every_kind_are_written_at_once(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    for endpoint_no, tries in ((1, 0), (2, 1), (3, TRIES_MAX - 1), (4, 5)):
        await delivery(engine, 1, endpoint_no, due_at=NOW, tries=tries)
    due = {claimed.endpoint_id.int: claimed for claimed in await claim(store)}
    results = [
        after(Answer(200), due[1]),
        after(NoAnswer("no answer within 10 s"), due[2]),
        after(Answer(500), due[3]),
        on_hold(due[4], "the endpoint is stopped"),
    ]
    assert await store.record(MERCHANT, results) == [True] * 4
    rows = [await read_row(engine, 1, endpoint_no) for endpoint_no in (1, 2, 3, 4)]
    assert [(r.status, r.tries, r.due_at, r.delivered_at, r.last_status, r.last_error) for r in rows] == [
        ("delivered", 1, None, NOW, 200, None),
        ("pending", 2, NOW + 30 * SECOND, None, None, "no answer within 10 s"),
        ("dead", TRIES_MAX, None, None, 500, "answered 500"),
        ("held", 5, None, None, None, "the endpoint is stopped"),
    ]
    assert {row.lease_until for row in rows} == {None}


async def test_results_submitted_one_by_one_are_all_written(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    for number in range(1, 41):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, due_at=NOW)
    due = await store.claim(MERCHANT, NOW, {UUID(int=1): 60}, UNTIL)
    told = await asyncio.gather(*(store.settle(after(Answer(200), claimed)) for claimed in due))
    assert told == [True] * 40
    await store.drain()
    assert await store.merchants_due([MERCHANT, OTHER_MERCHANT], NOW + timedelta(days=9)) == []


async def test_a_result_after_the_lease_went_to_another_is_stale(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    [slow] = await claim(store)
    [quick] = await claim(store, UNTIL)
    assert await store.record(MERCHANT, [after(Answer(500), slow)]) == [False]
    assert await store.record(MERCHANT, [after(Answer(200), quick, UNTIL)]) == [True]
    assert await store.record(MERCHANT, [after(Answer(500), slow)]) == [False]
    row = await read_row(engine, 1, 1)
    assert (row.status, row.tries, row.delivered_at) == ("delivered", 1, UNTIL)


async def test_a_result_recorded_twice_counts_once(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    [due] = await claim(store)
    result = after(Answer(500), due)
    assert await store.record(MERCHANT, [result]) == [True]
    assert await store.record(MERCHANT, [result]) == [False]
    assert (await read_row(engine, 1, 1)).tries == 1


async def test_a_stale_result_does_not_take_the_others_along(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    await delivery(engine, 1, 2, due_at=NOW)
    due = await claim(store)
    stale = replace(due[0], lease_until=UNTIL - SECOND)
    assert await store.record(MERCHANT, [after(Answer(200), stale), after(Answer(200), due[1])]) == [False, True]


async def test_a_row_that_somebody_holds_keeps_no_other_result(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    await delivery(engine, 1, 2, due_at=NOW)
    due = {claimed.endpoint_id.int: claimed for claimed in await claim(store)}
    async with engine.begin() as other:
        await other.execute(
            text("SELECT 1 FROM deliveries WHERE endpoint_id = :held FOR UPDATE"), {"held": UUID(int=1)}
        )
        results = [store.settle(after(Answer(200), due[number])) for number in (1, 2)]
        assert await asyncio.wait_for(asyncio.gather(*results), WITHIN_S) == [False, True]
    assert [(await read_row(engine, 1, number)).status for number in (1, 2)] == ["pending", "delivered"]
    assert [again.endpoint_id.int for again in await claim(store, UNTIL)] == [1]


async def test_flushes_that_overlap_do_not_deadlock(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    for number in range(1, 31):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, due_at=NOW)
        await delivery(engine, number, 2, due_at=NOW)
    due = await store.claim(MERCHANT, NOW, dict.fromkeys(EVERY, 100), UNTIL)
    results = [after(Answer(200), claimed) for claimed in due]
    flushes = [store.record(MERCHANT, results), store.record(MERCHANT, results[::-1])]
    flushes_and_redeliveries = [*flushes, *(store.redeliver(MERCHANT, UUID(int=n), NOW) for n in range(1, 31))]
    await asyncio.wait_for(asyncio.gather(*flushes_and_redeliveries), WITHIN_S)


async def test_nothing_to_record_is_nothing(engine: AsyncEngine) -> None:
    assert await DeliveryStore(database_on(engine)).record(MERCHANT, []) == []


# --- sending again ---


async def test_redelivery_makes_every_delivery_of_the_event_due_and_no_other(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    for number in (1, 2):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, status="dead", tries=TRIES_MAX, due_at=None, last_error="answered 500")
    await delivery(engine, 1, 2, status="delivered", tries=1, due_at=None, delivered_at=NOW)
    await delivery(engine, 1, 3, tries=4, due_at=NOW + timedelta(hours=8))
    later = NOW + timedelta(hours=1)
    assert await store.redeliver(MERCHANT, UUID(int=1), later) == Redelivered(3, 0)
    taken = await claim(store, later)
    assert {(due.event_id.int, due.endpoint_id.int, due.tries) for due in taken} == {(1, 1, 0), (1, 2, 0), (1, 3, 0)}
    assert (await read_row(engine, 1, 1)).last_error == "answered 500"
    assert (await read_row(engine, 2, 1)).status == "dead"


async def test_a_redelivery_goes_to_the_endpoints_that_run_and_is_held_at_those_that_are_stopped(
    engine: AsyncEngine,
) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    await endpoint(engine, 1)
    await endpoint(engine, 2, stopped_at=NOW, stopped_because="it answered 410")
    await endpoint(engine, 3, stopped_at=NOW, stopped_because="not in the catalogue file", removed_at=NOW)
    for number in (1, 2, 3):
        await delivery(engine, 1, number, status="delivered", tries=3, due_at=None, delivered_at=NOW)
    assert await store.redeliver(MERCHANT, UUID(int=1), NOW) == Redelivered(1, 1)
    rows = [await read_row(engine, 1, number) for number in (1, 2, 3)]
    assert [(row.status, row.tries) for row in rows] == [("pending", 0), ("held", 0), ("delivered", 3)]


async def test_where_no_endpoint_runs_nothing_is_changed_and_what_is_held_is_counted(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    for number in (1, 2):
        await endpoint(engine, number, stopped_at=NOW)
    await delivery(engine, 1, 1, status="held", tries=2, due_at=None)
    await delivery(engine, 1, 2, status="dead", tries=13, due_at=None)
    assert await store.redeliver(MERCHANT, UUID(int=1), NOW) == Redelivered(0, 1, runs=False)
    rows = [await read_row(engine, 1, number) for number in (1, 2)]
    assert [(row.status, row.tries) for row in rows] == [("held", 2), ("dead", 13)]


async def test_redelivery_creates_no_delivery(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, NOW)
    assert await store.redeliver(MERCHANT, UUID(int=1), NOW) == Redelivered(0, 0)
    assert await store.redeliver(OTHER_MERCHANT, UUID(int=1), NOW) is None
    assert await store.redeliver(MERCHANT, UUID(int=2), NOW) is None
    assert await claim(store) == []


async def test_a_redelivery_while_a_send_is_under_way_is_not_lost(engine: AsyncEngine) -> None:
    store = await one_due(engine)
    [running] = await claim(store)
    assert await store.redeliver(MERCHANT, UUID(int=1), NOW) == Redelivered(1, 0)
    assert await store.record(MERCHANT, [after(Answer(200), running)]) == [False]
    assert len(await claim(store)) == 1


# --- dead letters ---


async def test_dead_letters_are_listed_newest_first_page_by_page(engine: AsyncEngine) -> None:
    store = DeliveryStore(database_on(engine))
    dead: dict[str, Any] = {
        "status": "dead",
        "tries": TRIES_MAX,
        "due_at": None,
        "last_status": 500,
        "last_error": "answered 500",
    }
    for number in (1, 2, 3):
        await event(engine, number, NOW)
        await delivery(engine, number, 1, **dead)
    await delivery(engine, 3, 2, due_at=NOW)
    first = await store.dead_letters(MERCHANT, limit=2)
    assert [(letter.event_id.int, letter.endpoint_id.int) for letter in first] == [(3, 1), (2, 1)]
    letter = first[0]
    assert (letter.app, letter.type, letter.sequence) == ("shop", "payment.succeeded", 3)
    assert (letter.object, letter.object_id) == (ObjectKind.PAYMENT, PAYMENT)
    assert (letter.tries, letter.last_status, letter.last_error) == (TRIES_MAX, 500, "answered 500")
    rest = await store.dead_letters(MERCHANT, limit=2, before=(first[-1].event_id, first[-1].endpoint_id))
    assert [letter.event_id.int for letter in rest] == [1]
    assert await store.dead_letters(OTHER_MERCHANT) == []


async def test_a_dead_letter_that_is_sent_again_is_none_any_more(engine: AsyncEngine) -> None:
    store = await one_due(engine, tries=TRIES_MAX - 1)
    [due] = await claim(store)
    await store.record(MERCHANT, [after(Answer(500), due)])
    assert [letter.tries for letter in await store.dead_letters(MERCHANT)] == [TRIES_MAX]
    await store.redeliver(MERCHANT, UUID(int=1), NOW)
    assert await store.dead_letters(MERCHANT) == []
    [again] = await claim(store)
    assert after(Answer(500), again).status is DeliveryStatus.PENDING
