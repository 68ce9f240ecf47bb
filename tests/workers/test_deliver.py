"""The deliverer over real sockets on loopback: turns, room, leases, stops, and shutting down.

Most tests keep the books in memory, to say exactly what was recorded; the last ones use PostgreSQL.
Not tested here: claims and guards (tests/storage), verdicts (tests/unit), and addresses (test_egress).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine
from standardwebhooks import Webhook

from gateway.domain.catalogue import Catalogue, Endpoint, Merchant
from gateway.domain.events import DeliveryStatus
from gateway.flows.notify import LEASE, SCHEDULE, DeliveryResult, DueDelivery, new_secret
from gateway.ports import OverloadedError
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.workers import deliver, lanes
from gateway.workers.deliver import Deliverer
from gateway.workers.egress import Egress
from tests.databases import database_on
from tests.storage.delivery_rows import BODY, MERCHANT, OTHER_MERCHANT, delivery, event, read_row
from tests.workers.receiver import Receiver, answering, receiving

SECRET, OLD_SECRET = new_secret(bytes(32)), new_secret(bytes([1]) * 32)
DEAD, DELIVERED, PENDING = DeliveryStatus.DEAD, DeliveryStatus.DELIVERED, DeliveryStatus.PENDING
HELD = DeliveryStatus.HELD
WITHIN_S = 10.0


class Clock:
    """The wall clock, which receivers compare with theirs, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Books:
    """What is due, and every result in the order of recording."""

    due: dict[UUID, list[DueDelivery]] = field(default_factory=dict)
    results: list[DeliveryResult] = field(default_factory=list)
    claims: list[dict[UUID, int]] = field(default_factory=list)
    fault: Exception | None = None
    recorded: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def merchants_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return [merchant for merchant, due in self.due.items() if due]

    async def claim(
        self, merchant_id: UUID, now: datetime, rooms: Mapping[UUID, int], lease_until: datetime
    ) -> list[DueDelivery]:
        if merchant_id == BROKEN:
            raise ConnectionError("this merchant's shard is away")
        self.claims.append(dict(rooms))
        left = Counter(rooms)
        taken: list[DueDelivery] = []
        rest: list[DueDelivery] = []
        for due in self.due[merchant_id]:
            (taken if left[due.endpoint_id] > 0 else rest).append(due)
            left[due.endpoint_id] -= 1
        self.due[merchant_id] = rest
        return [replace(delivery, lease_until=lease_until) for delivery in taken]

    async def settle(self, result: DeliveryResult) -> bool:
        if self.fault:
            raise self.fault
        self.results.append(result)
        self.recorded.release()
        return True

    async def wait_for(self, results: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            for _ in range(results):
                await self.recorded.acquire()

    def states(self) -> list[tuple[DeliveryStatus, int, str | None]]:
        return [(result.status, result.tries, result.last_error) for result in self.results]


BROKEN = UUID(int=13)


class Scene:
    """A deliverer with its endpoints, books and clock."""

    def __init__(self, egress: Egress) -> None:
        self.books = Books()
        self.clock = Clock()
        self.catalogue = Catalogue(1)
        self.stops: list[UUID] = []
        self.stale = False
        """Whether what an endpoint says of itself is too old to stop it."""
        self.deliverer = Deliverer(
            self.books, egress, lambda: self.catalogue, self.clock, lambda: 0.0, self.endpoint_gone
        )

    async def endpoint_gone(self, endpoint: Endpoint, sent_at: datetime) -> bool:
        self.stops.append(endpoint.endpoint_id)
        return not self.stale

    def endpoints(self, *endpoints: Endpoint) -> None:
        self.catalogue = Catalogue(self.catalogue.version + 1, endpoints=endpoints)

    def due(self, endpoint_id: int = 1, event_no: int = 1, tries: int = 0) -> DueDelivery:
        lease = self.clock() + LEASE
        return DueDelivery(MERCHANT, UUID(int=event_no), UUID(int=endpoint_id), tries, BODY, lease)

    async def deliverer_sends(self, *due: DueDelivery) -> None:
        """One after the other, while others may hang."""
        for one in due:
            self.deliverer.hand_over([one])
            await self.books.wait_for(1)

    async def delivered(self, *due: DueDelivery) -> None:
        self.deliverer.hand_over(due)
        await asyncio.wait_for(self.deliverer.idle(), WITHIN_S)


def endpoint(number: int, url: str, *, stopped: bool = False, secrets: tuple[str, ...] = (SECRET,)) -> Endpoint:
    return Endpoint(MERCHANT, UUID(int=number), "shop", url, None, True, stopped, secrets)


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress()
    yield egress
    await egress.close()


@pytest.fixture
async def scene(egress: Egress) -> AsyncIterator[Scene]:
    scene = Scene(egress)
    yield scene
    await scene.deliverer.close(within_s=0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


class Hanging:
    """Answers nobody until it is released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)
        self.at_once = self.most_at_once = 0

    async def __call__(self, _: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.arrived.release()
        await self.released.wait()
        self.at_once -= 1
        return web.Response()


@contextlib.asynccontextmanager
async def hanging() -> AsyncIterator[tuple[Hanging, Receiver]]:
    handler = Hanging()
    async with receiving(handler) as receiver:
        yield handler, receiver
        handler.released.set()


# --- one delivery ---


async def test_what_is_handed_over_is_sent_at_once_signed_and_recorded(scene: Scene, receiver: Receiver) -> None:
    scene.endpoints(endpoint(1, receiver.url()))
    await scene.delivered(scene.due())
    [seen] = receiver.seen
    assert Webhook(SECRET).verify(seen.body, seen.headers) is not None
    assert seen.body == BODY
    [result] = scene.books.results
    assert (result.status, result.tries, result.last_status) == (DELIVERED, 1, 200)


async def test_while_secrets_are_rotated_either_one_verifies(scene: Scene, receiver: Receiver) -> None:
    scene.endpoints(endpoint(1, receiver.url(), secrets=(SECRET, OLD_SECRET)))
    await scene.delivered(scene.due())
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(receiver.seen[0].body, receiver.seen[0].headers)


@pytest.mark.parametrize(
    ("status", "tries", "expected"),
    [
        (302, 0, (PENDING, 1, "answered 302")),
        (500, 3, (PENDING, 4, "answered 500")),
        (500, 12, (DEAD, 13, "answered 500")),
        (410, 0, (HELD, 1, "answered 410: the endpoint is stopped")),
    ],
)
async def test_a_failure_is_recorded_with_its_next_try_or_none(
    scene: Scene, status: int, tries: int, expected: tuple[DeliveryStatus, int, str]
) -> None:
    async with receiving(answering(status)) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(scene.due(tries=tries))
    assert scene.books.states() == [expected]
    assert bool(scene.stops) == (status == 410)


async def test_retry_after_moves_the_next_try(scene: Scene) -> None:
    async with receiving(answering(503, **{"Retry-After": "900"})) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        before = scene.clock()
        await scene.delivered(scene.due())
    due_at = scene.books.results[0].due_at
    assert due_at is not None
    assert timedelta(seconds=900) <= due_at - before < timedelta(seconds=910)


async def test_410_stops_the_endpoint_before_the_delivery_is_recorded(scene: Scene) -> None:
    async def broken(endpoint: Endpoint, sent_at: datetime) -> bool:
        raise ConnectionError("the catalogue is away")

    async with receiving(answering(410)) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(scene.due())
        assert scene.stops == [UUID(int=1)]
        scene.deliverer._endpoint_gone = broken
        await scene.delivered(scene.due(event_no=2))
    assert len(scene.books.results) == 1


async def test_an_endpoint_that_is_stopped_gets_nothing_and_what_was_for_it_is_held(
    scene: Scene, receiver: Receiver
) -> None:
    scene.endpoints(endpoint(1, receiver.url(), stopped=True))
    await scene.delivered(scene.due(tries=2))
    assert receiver.seen == []
    assert scene.books.states() == [(HELD, 2, "the endpoint is stopped")]


async def test_a_410_of_what_was_sent_before_the_endpoint_changed_is_a_failure_like_others(scene: Scene) -> None:
    scene.stale = True
    async with receiving(answering(410)) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(scene.due())
    assert scene.books.states() == [(PENDING, 1, "answered 410")]


async def test_one_410_holds_all_that_is_in_hand_without_asking_again(scene: Scene) -> None:
    async with receiving(answering(410)) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(*(scene.due(event_no=number) for number in range(100)))
        assert len(receiver.seen) <= lanes.SENDS_PER_ENDPOINT
    assert scene.stops == [UUID(int=1)]
    assert [status for status, _, _ in scene.books.states()] == [HELD] * 100


async def test_a_snapshot_that_came_while_a_410_was_written_down_is_believed(scene: Scene) -> None:
    """The endpoint was stopped by it and started again, all before this process looked."""

    async def stop_and_start(endpoint: Endpoint, sent_at: datetime) -> bool:
        scene.endpoints(endpoint)
        return True

    async with receiving(answering(410, 200)) as receiver, hanging() as (slow, slow_receiver):
        scene.deliverer._endpoint_gone = stop_and_start
        scene.endpoints(endpoint(1, slow_receiver.url()))
        scene.deliverer.hand_over([scene.due()])
        await asyncio.wait_for(slow.arrived.acquire(), WITHIN_S)
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.deliverer_sends(scene.due(event_no=2), scene.due(event_no=3))
        slow.released.set()
        await asyncio.wait_for(scene.deliverer.idle(), WITHIN_S)
    assert sorted(status for status, _, _ in scene.books.states()) == [DELIVERED, DELIVERED, HELD]


async def test_what_was_held_in_hand_before_a_start_is_sent_after_it(scene: Scene) -> None:
    async with receiving(answering(410, 200)) as receiver:
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(scene.due())
        scene.endpoints(endpoint(1, receiver.url()))
        await scene.delivered(scene.due(event_no=2))
    assert [status for status, _, _ in scene.books.states()] == [HELD, DELIVERED]


async def test_what_is_written_for_a_stopped_endpoint_is_not_taken_in_hand(scene: Scene, receiver: Receiver) -> None:
    scene.endpoints(endpoint(1, receiver.url()))
    await scene.delivered(replace(scene.due(), held=True, lease_until=None))
    assert (receiver.seen, scene.books.results) == ([], [])


async def test_a_delivery_to_an_endpoint_that_this_snapshot_does_not_know_yet_is_left_to_its_lease(
    scene: Scene,
) -> None:
    await scene.delivered(scene.due(tries=2))
    assert scene.books.states() == []


@pytest.mark.parametrize("secrets", [(), ("whsec_short",)])
async def test_nothing_is_sent_unsigned(scene: Scene, receiver: Receiver, secrets: tuple[str, ...]) -> None:
    scene.endpoints(endpoint(1, receiver.url(), secrets=secrets))
    await scene.delivered(scene.due())
    assert receiver.seen == []
    [(status, tries, error)] = scene.books.states()
    assert (status, tries) == (PENDING, 1)
    assert error is not None
    assert error.startswith("nothing was sent: ")


async def test_a_delivery_whose_lease_ran_out_while_it_waited_is_left_to_others(
    scene: Scene, receiver: Receiver
) -> None:
    scene.endpoints(endpoint(1, receiver.url()))
    late = scene.due()
    scene.clock.ahead = LEASE - timedelta(seconds=1)
    await scene.delivered(late, replace(scene.due(event_no=2), lease_until=None))
    assert (receiver.seen, scene.books.results) == ([], [])


@pytest.mark.parametrize("fault", [OverloadedError(1), ConnectionError("the database is away")])
async def test_a_result_that_cannot_be_recorded_harms_nothing_else(
    scene: Scene, receiver: Receiver, fault: Exception
) -> None:
    scene.endpoints(endpoint(1, receiver.url()))
    scene.books.fault = fault
    await scene.delivered(scene.due())
    scene.books.fault = None
    await scene.delivered(scene.due(event_no=2))
    assert len(scene.books.results) == 1
    assert scene.deliverer.in_hand == 0


# --- many endpoints ---


async def test_an_endpoint_that_hangs_delays_no_other(scene: Scene, receiver: Receiver) -> None:
    async with hanging() as (slow, slow_receiver):
        scene.endpoints(endpoint(1, slow_receiver.url()), endpoint(2, receiver.url()))
        scene.deliverer.hand_over([scene.due(1, number) for number in range(100)])
        scene.deliverer.hand_over([scene.due(2, number) for number in range(100)])
        await scene.books.wait_for(100)
        assert {result.due.endpoint_id for result in scene.books.results} == {UUID(int=2)}
        assert slow.most_at_once <= lanes.SENDS_PER_ENDPOINT
        slow.released.set()
        await asyncio.wait_for(scene.deliverer.idle(), WITHIN_S)
    assert len(scene.books.results) == 200
    assert slow.most_at_once == lanes.SENDS_PER_ENDPOINT


async def test_what_finds_no_room_is_left_to_its_lease(scene: Scene) -> None:
    async with hanging() as (slow, receiver):
        scene.endpoints(endpoint(1, receiver.url()))
        scene.deliverer.hand_over([scene.due(1, number) for number in range(lanes.ROOM_PER_ENDPOINT + 50)])
        assert scene.deliverer.in_hand == lanes.ROOM_PER_ENDPOINT
        slow.released.set()
        await asyncio.wait_for(scene.deliverer.idle(), WITHIN_S)
    assert len(scene.books.results) == lanes.ROOM_PER_ENDPOINT
    assert len(scene.deliverer._lanes) == 0


async def test_a_backlog_of_an_endpoint_that_hangs_does_not_stand_before_others(
    scene: Scene, receiver: Receiver
) -> None:
    async with hanging() as (slow, slow_receiver):
        scene.endpoints(endpoint(1, slow_receiver.url()), endpoint(2, receiver.url()))
        backlog = [scene.due(1, number) for number in range(2000)]
        scene.books.due = {MERCHANT: [*backlog, scene.due(2)]}
        await scene.deliverer.tick()
        await scene.books.wait_for(1)
        assert len(scene.books.due[MERCHANT]) > 1000
        for _ in range(5):
            await scene.deliverer.tick()
        assert scene.books.claims[-1] == {UUID(int=2): deliver.CLAIMED_PER_TICK // 2}
        assert len(scene.books.due[MERCHANT]) == 2000 - lanes.ROOM_PER_ENDPOINT
        await scene.deliverer.close(within_s=0)
        slow.released.set()


async def test_merchants_share_what_is_claimed_and_so_do_the_endpoints_of_each(
    scene: Scene, receiver: Receiver
) -> None:
    many = [endpoint(number, receiver.url()) for number in range(10, 14)]
    one = replace(endpoint(1, receiver.url()), merchant_id=OTHER_MERCHANT)
    scene.endpoints(*many, one)
    scene.books.due = {
        MERCHANT: [scene.due(each.endpoint_id.int, number) for each in many for number in range(600)],
        OTHER_MERCHANT: [replace(scene.due(1, number), merchant_id=OTHER_MERCHANT) for number in range(600)],
    }
    await scene.deliverer.tick()
    half = deliver.CLAIMED_PER_TICK // 2
    asked = {endpoint_id.int: room for rooms in scene.books.claims for endpoint_id, room in rooms.items()}
    assert asked == {1: half, **dict.fromkeys(range(10, 14), half // 4)}
    await asyncio.wait_for(scene.deliverer.idle(), WITHIN_S)


async def test_a_merchant_whose_claim_fails_does_not_hold_up_the_next(scene: Scene, receiver: Receiver) -> None:
    scene.endpoints(endpoint(1, receiver.url()))
    scene.books.due = {BROKEN: [scene.due()], MERCHANT: [scene.due()]}
    scene.catalogue.endpoints[BROKEN] = [endpoint(2, receiver.url())]
    assert await scene.deliverer.tick() == 1
    await asyncio.wait_for(scene.deliverer.idle(), WITHIN_S)
    assert scene.books.states() == [(DELIVERED, 1, None)]


# --- shutting down ---


async def test_closing_lets_running_sends_end_and_leaves_the_waiting_to_their_leases(scene: Scene) -> None:
    async with hanging() as (slow, receiver):
        scene.endpoints(endpoint(1, receiver.url()))
        scene.deliverer.hand_over([scene.due(1, number) for number in range(40)])
        for _ in range(lanes.SENDS_PER_ENDPOINT):
            await asyncio.wait_for(slow.arrived.acquire(), WITHIN_S)
        closing = asyncio.create_task(scene.deliverer.close())
        await asyncio.sleep(0)
        scene.deliverer.hand_over([scene.due(1, 99)])
        scene.books.due = {MERCHANT: [scene.due(1, 98)]}
        assert await scene.deliverer.tick() == 0
        slow.released.set()
        await asyncio.wait_for(closing, WITHIN_S)
        assert len(receiver.seen) == lanes.SENDS_PER_ENDPOINT
    assert [result.status for result in scene.books.results] == [DELIVERED] * lanes.SENDS_PER_ENDPOINT


async def test_closing_does_not_wait_for_ever(scene: Scene) -> None:
    async with hanging() as (slow, receiver):
        scene.endpoints(endpoint(1, receiver.url()))
        scene.deliverer.hand_over([scene.due()])
        await asyncio.wait_for(slow.arrived.acquire(), WITHIN_S)
        await asyncio.wait_for(scene.deliverer.close(within_s=0.01), WITHIN_S)
    assert scene.deliverer.in_hand == 0
    assert scene.books.results == []


# --- with PostgreSQL ---


async def test_failures_and_then_success_send_the_same_bytes_under_the_same_id(
    engine: AsyncEngine, egress: Egress
) -> None:
    clock = Clock()
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, clock())
    await delivery(engine, 1, 1, due_at=clock())
    async with receiving(answering(500, 503, 200)) as receiver:
        catalogue = Catalogue(1, (Merchant(MERCHANT, "m", "M"),), endpoints=(endpoint(1, receiver.url()),))
        deliverer = Deliverer(store, egress, lambda: catalogue, clock, lambda: 0.0, Scene(egress).endpoint_gone)
        assert await deliverer.tick() == 1
        await asyncio.wait_for(deliverer.idle(), WITHIN_S)
        assert await deliverer.tick() == 0  # not before its time
        for wait in SCHEDULE[:2]:
            clock.ahead += wait
            assert await deliverer.tick() == 1
            await asyncio.wait_for(deliverer.idle(), WITHIN_S)
        clock.ahead += timedelta(days=2)
        assert await deliverer.tick() == 0
    assert {seen.body for seen in receiver.seen} == {BODY}
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    row = await read_row(engine, 1, 1)
    assert (row.status, row.tries, row.last_status, row.last_error) == ("delivered", 3, 200, None)


async def test_a_worker_that_was_too_slow_does_not_overwrite_the_one_after_it(
    engine: AsyncEngine, egress: Egress
) -> None:
    clock = Clock()
    store = DeliveryStore(database_on(engine))
    await event(engine, 1, clock())
    await delivery(engine, 1, 1, due_at=clock())
    async with hanging() as (slow, receiver):
        catalogue = Catalogue(1, (Merchant(MERCHANT, "m", "M"),), endpoints=(endpoint(1, receiver.url()),))
        deliverer = Deliverer(store, egress, lambda: catalogue, clock, lambda: 0.0, Scene(egress).endpoint_gone)
        await deliverer.tick()
        await asyncio.wait_for(slow.arrived.acquire(), WITHIN_S)
        later = clock() + LEASE
        [taken_over] = await store.claim(MERCHANT, later, {UUID(int=1): 10}, later + LEASE)
        slow.released.set()
        await asyncio.wait_for(deliverer.idle(), WITHIN_S)
    row = await read_row(engine, 1, 1)
    assert (row.status, row.tries, row.lease_until) == ("pending", 0, taken_over.lease_until)
