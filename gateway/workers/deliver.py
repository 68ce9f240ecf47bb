"""Sending deliveries: at once when this process wrote them, from the database when it is their time.

Each delivery in hand is one task that waits for its endpoint's turn, sends, and records. An endpoint has its own turns
and its own room, so a slow one fills its room and nothing else. What finds no room, or waits longer than its lease,
stays in the database, where it is claimed again: nothing here needs to be remembered. What is claimed is shared by
turns: each merchant, and each of its endpoints, gets some before one with a backlog gets more.
Events of one object may arrive out of order; their `sequence` tells.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.flows.notify import (
    LEASE,
    Dead,
    Delivered,
    DeliveryResult,
    DueDelivery,
    NoAnswer,
    Reply,
    RetryAt,
    SecretError,
    StopEndpoint,
    on_hold,
    result_of,
    signed_headers,
    verdict,
)
from gateway.logs import get
from gateway.metrics import DELIVERIES, DELIVERY_SECONDS
from gateway.ports import OverloadedError
from gateway.workers.lanes import Lane, Lanes

CLAIMED_PER_TICK = 512
"""Deliveries that are claimed in one tick, over all merchants."""
CLAIMED_PER_TICK_AT_LEAST = 64
FRESH_COUNTS = 2
"""Each delivery that is handed over makes room for so many fewer: a backlog is worked off beside payments."""
ROUNDS = 4
"""Of sharing them out: what some do not need goes to those who need more."""
LEASE_NEEDED = timedelta(seconds=15)
"""A send begins only with this much left: the longest send, and the time to record it."""
CLOSE_WITHIN_S = 12.0

log = get(__name__)

DELIVERED, RETRIED, DIED, STOPPED = (DELIVERIES.labels(result) for result in ("delivered", "retry", "dead", "stopped"))
HELD = DELIVERIES.labels("held")
COUNTED = {Delivered: DELIVERED, RetryAt: RETRIED, Dead: DIED, StopEndpoint: STOPPED}


class Deliveries(Protocol):
    """The books of deliveries (implemented by `gateway.storage.writing.deliveries`)."""

    async def merchants_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, rooms: Mapping[UUID, int], lease_until: datetime
    ) -> list[DueDelivery]: ...

    async def settle(self, result: DeliveryResult) -> bool: ...


class Sender(Protocol):
    """The way out (implemented by `gateway.workers.egress`)."""

    async def send(self, url: str, headers: dict[str, str], body: bytes, *, allow_private: bool) -> Reply: ...


EndpointGone = Callable[[Endpoint, datetime], Awaitable[bool]]
"""Writes into the catalogue that an endpoint answered 410 to what was sent then; whether it is stopped now."""


class Deliverer:
    """Sends what is due. `clock` tells aware times, `jitter` gives values in [0, 1)."""

    def __init__(
        self,
        store: Deliveries,
        egress: Sender,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        endpoint_gone: EndpointGone,
    ) -> None:
        self._store = store
        self._egress = egress
        self._catalogue = catalogue
        self._clock = clock
        self._jitter = jitter
        self._endpoint_gone = endpoint_gone
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._turn = 0
        self._fresh = 0

    @property
    def in_hand(self) -> int:
        """How many deliveries wait, are being sent, or are being recorded."""
        return len(self._tasks)

    def hand_over(self, due: Sequence[DueDelivery]) -> None:
        """Take the deliveries that there is room for, of those this process holds the lease of.

        The others need nothing: they are claimed when their lease runs out. What is held is not sent.
        """
        for delivery in due:
            if delivery.held:
                continue
            self._fresh += 1
            if self._lanes.has_room(delivery.merchant_id, delivery.endpoint_id):
                self._take(delivery)

    async def tick(self) -> int:
        """Claim and begin to send what is due, of every merchant; how many were begun."""
        catalogue = self._catalogue()
        merchants = await self._store.merchants_due(catalogue.merchants.keys(), self._clock())
        left = max(CLAIMED_PER_TICK_AT_LEAST, CLAIMED_PER_TICK - FRESH_COUNTS * self._fresh)
        self._fresh, taken = 0, 0
        self._turn += 1
        hungry = {merchant_id: _running(catalogue, merchant_id) for merchant_id in _by_turns(merchants, self._turn)}
        for _ in range(ROUNDS):
            hungry = {merchant_id: wanting for merchant_id, wanting in hungry.items() if wanting}
            if left <= 0 or not hungry:
                break
            share = left // len(hungry)
            for merchant_id, wanting in hungry.items():
                each = max(1, share // len(wanting))
                rooms = self._lanes.rooms(merchant_id, _by_turns(wanting, self._turn), each)
                got = await self._claim(merchant_id, rooms)
                hungry[merchant_id] = [endpoint_id for endpoint_id, room in rooms.items() if got[endpoint_id] >= room]
                taken += got.total()
                left -= got.total()
        return taken

    async def idle(self) -> None:
        """Wait until nothing is in hand."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Take nothing more, let running sends end within this time, and leave the rest to their leases."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, due: DueDelivery) -> None:
        if self._closing:
            return
        lane = self._lanes.enter(due.merchant_id, due.endpoint_id)
        task = asyncio.create_task(self._deliver(due, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _claim(self, merchant_id: UUID, rooms: Mapping[UUID, int]) -> Counter[UUID]:
        """Claim for one merchant and begin to send; how many of each endpoint."""
        if not rooms or self._closing:
            return Counter()
        now = self._clock()
        try:
            due = await self._store.claim(merchant_id, now, rooms, now + LEASE)
        except Exception:
            # One merchant's shard being away must not hold up the others; the next tick tries again.
            log.exception("deliveries not claimed", merchant_id=str(merchant_id))
            return Counter()
        for delivery in due:
            self._take(delivery)
        return Counter(delivery.endpoint_id for delivery in due)

    async def _deliver(self, due: DueDelivery, lane: Lane) -> None:
        try:
            async with lane.turns:
                if lane.unanswered:
                    async with lane.few_turns:
                        result = await self._try(due, lane)
                else:
                    result = await self._try(due, lane)
            # Recorded outside the turn: what a flush takes is not the endpoint's to wait for.
            if result is not None:
                await self._store.settle(result)
        except OverloadedError:
            log.warning("delivery not recorded, its lease runs out", event_id=str(due.event_id))
        except Exception:
            log.exception("delivery failed here, its lease runs out", event_id=str(due.event_id))
        finally:
            self._lanes.leave(due.merchant_id, due.endpoint_id, lane)

    async def _try(self, due: DueDelivery, lane: Lane) -> DeliveryResult | None:
        """Send once, if it is still ours to send; None: it is not, somebody will claim it."""
        if self._closing or due.lease_until is None or due.lease_until - self._clock() < LEASE_NEEDED:
            return None
        catalogue = self._catalogue()
        endpoint = _endpoint(catalogue, due)
        if endpoint is None:
            # Endpoints are never deleted, so this snapshot is older than the endpoint: the lease brings the event back.
            return None
        if endpoint.stopped or lane.gone_in == catalogue.version:
            HELD.inc()
            return on_hold(due, "the endpoint is stopped")
        began, sent_at = time.perf_counter(), self._clock()
        reply = await self._send(endpoint, due)
        DELIVERY_SECONDS.observe(time.perf_counter() - began)
        lane.unanswered = isinstance(reply, NoAnswer)
        now = self._clock()
        decided = verdict(reply, due.tries + 1, now, self._jitter())
        # Before the delivery is recorded: if this fails, the lease brings the delivery, and the 410, again.
        if isinstance(decided, StopEndpoint) and not await self._stop(endpoint, sent_at, lane, catalogue.version):
            decided = verdict(reply, due.tries + 1, now, self._jitter(), stale=True)
        COUNTED[type(decided)].inc()
        return result_of(due, reply, decided, now)

    async def _stop(self, endpoint: Endpoint, sent_at: datetime, lane: Lane, version: int) -> bool:
        """Stop an endpoint that answered 410; whether it is stopped: not if that is not what it says of itself now.

        `version`: of the catalogue, as it was when this was sent.
        """
        async with lane.stopping:
            if lane.gone_in != version:
                if not await self._endpoint_gone(endpoint, sent_at):
                    return False
                lane.gone_in = version
        return True

    async def _send(self, endpoint: Endpoint, due: DueDelivery) -> Reply:
        try:
            headers = signed_headers(endpoint.secrets, due.event_id, self._clock(), due.body)
        except SecretError as error:
            return NoAnswer(f"nothing was sent: {error}")
        return await self._egress.send(endpoint.url, headers, due.body, allow_private=endpoint.allow_private)


def _endpoint(catalogue: Catalogue, due: DueDelivery) -> Endpoint | None:
    endpoints = catalogue.endpoints.get(due.merchant_id, ())
    return next((endpoint for endpoint in endpoints if endpoint.endpoint_id == due.endpoint_id), None)


def _running(catalogue: Catalogue, merchant_id: UUID) -> list[UUID]:
    return [endpoint.endpoint_id for endpoint in catalogue.endpoints.get(merchant_id, ()) if not endpoint.stopped]


def _by_turns(of: Sequence[UUID], turn: int) -> list[UUID]:
    """The same with another one first each time."""
    first = turn % len(of) if of else 0
    return [*of[first:], *of[:first]]
