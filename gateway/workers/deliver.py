"""Sending deliveries: at once when this process wrote them, from the database when it is their time.

Each delivery in hand is one task that waits for its endpoint's turn, sends, and records. An endpoint has its own turns
and its own room, so a slow one fills its room and nothing else. What finds no room, or waits longer than its lease,
stays in the database, where it is claimed again: nothing here needs to be remembered.
Events of one object may arrive out of order; their `sequence` tells.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
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
    result_of,
    signed_headers,
    undeliverable,
    verdict,
)
from gateway.logs import get
from gateway.metrics import DELIVERIES, DELIVERY_SECONDS
from gateway.ports import OverloadedError

SENDS_PER_ENDPOINT = 16
ROOM_PER_ENDPOINT = 512
"""Deliveries of one endpoint in hand: waiting, being sent, or being recorded."""
ROOM = 16_384
"""The same over all endpoints."""
CLAIM_BATCH = 128
"""How many are claimed at once; an endpoint with less room than this is left out of the claim."""
CLAIMS_PER_TICK = 32
"""Claims for one merchant in one tick, so that one merchant's backlog does not hold up the next merchant."""
LEASE_NEEDED = timedelta(seconds=15)
"""A send begins only with this much left: the longest send, and the time to record it."""
CLOSE_WITHIN_S = 12.0

log = get(__name__)

DELIVERED, RETRIED, DIED, STOPPED = (DELIVERIES.labels(result) for result in ("delivered", "retry", "dead", "stopped"))
COUNTED = {Delivered: DELIVERED, RetryAt: RETRIED, Dead: DIED, StopEndpoint: STOPPED}


class Deliveries(Protocol):
    """The books of deliveries (implemented by `gateway.storage.writing.deliveries`)."""

    async def merchants_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, full: Collection[UUID] = ()
    ) -> list[DueDelivery]: ...

    async def settle(self, result: DeliveryResult) -> bool: ...


class Sender(Protocol):
    """The way out (implemented by `gateway.workers.egress`)."""

    async def send(self, url: str, headers: dict[str, str], body: bytes, *, allow_private: bool) -> Reply: ...


class _Lane:
    """One endpoint's turns and room."""

    __slots__ = ("in_hand", "turns")

    def __init__(self) -> None:
        self.in_hand = 0
        self.turns = asyncio.Semaphore(SENDS_PER_ENDPOINT)


class Deliverer:
    """Sends what is due. `clock` tells aware times, `jitter` gives values in [0, 1).

    `stop_endpoint(merchant_id, endpoint_id, reason)` writes into the catalogue that an endpoint answered 410.
    """

    def __init__(
        self,
        store: Deliveries,
        egress: Sender,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        stop_endpoint: Callable[[UUID, UUID, str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._egress = egress
        self._catalogue = catalogue
        self._clock = clock
        self._jitter = jitter
        self._stop_endpoint = stop_endpoint
        self._lanes: dict[UUID, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def in_hand(self) -> int:
        """How many deliveries wait, are being sent, or are being recorded."""
        return len(self._tasks)

    def hand_over(self, due: Sequence[DueDelivery]) -> None:
        """Take the deliveries that there is room for, of those this process holds the lease of.

        The others need nothing: they are claimed when their lease runs out.
        """
        for delivery in due:
            self._take(delivery)

    async def tick(self) -> int:
        """Claim and begin to send what is due, of every merchant; how many were begun."""
        merchants = await self._store.merchants_due(self._catalogue().merchants.keys(), self._clock())
        taken = 0
        for merchant_id in merchants:
            try:
                taken += await self._claim(merchant_id)
            except Exception:
                # One merchant's shard being away must not hold up the others; the next tick tries again.
                log.exception("deliveries not claimed", merchant_id=str(merchant_id))
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

    def _take(self, due: DueDelivery) -> bool:
        lane = self._lanes.get(due.endpoint_id) or self._lanes.setdefault(due.endpoint_id, _Lane())
        if self._closing or lane.in_hand >= ROOM_PER_ENDPOINT or len(self._tasks) >= ROOM:
            self._forget(due.endpoint_id, lane)
            return False
        lane.in_hand += 1
        task = asyncio.create_task(self._deliver(due, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _forget(self, endpoint_id: UUID, lane: _Lane) -> None:
        if lane.in_hand == 0:
            self._lanes.pop(endpoint_id, None)

    async def _claim(self, merchant_id: UUID) -> int:
        taken = 0
        for _ in range(CLAIMS_PER_TICK):
            if self._closing or ROOM - len(self._tasks) < CLAIM_BATCH:
                break
            now = self._clock()
            full = [key for key, lane in self._lanes.items() if ROOM_PER_ENDPOINT - lane.in_hand < CLAIM_BATCH]
            due = await self._store.claim(merchant_id, now, CLAIM_BATCH, now + LEASE, full)
            taken += sum(self._take(delivery) for delivery in due)
            if len(due) < CLAIM_BATCH:
                break
        return taken

    async def _deliver(self, due: DueDelivery, lane: _Lane) -> None:
        try:
            async with lane.turns:
                result = await self._try(due)
            # Recorded outside the turn: what a flush takes is not the endpoint's to wait for.
            if result is not None:
                await self._store.settle(result)
        except OverloadedError:
            log.warning("delivery not recorded, its lease runs out", event_id=str(due.event_id))
        except Exception:
            log.exception("delivery failed here, its lease runs out", event_id=str(due.event_id))
        finally:
            lane.in_hand -= 1
            self._forget(due.endpoint_id, lane)

    async def _try(self, due: DueDelivery) -> DeliveryResult | None:
        """Send once, if it is still ours to send; None: it is not, somebody will claim it."""
        if self._closing or due.lease_until is None or due.lease_until - self._clock() < LEASE_NEEDED:
            return None
        endpoint = self._endpoint(due)
        if endpoint is None:
            # Endpoints are never deleted, so this snapshot is older than the endpoint: the lease brings the event back.
            return None
        if endpoint.stopped:
            DIED.inc()
            return undeliverable(due, "the endpoint is stopped")
        began = time.perf_counter()
        reply = await self._send(endpoint, due)
        DELIVERY_SECONDS.observe(time.perf_counter() - began)
        now = self._clock()
        decided = verdict(reply, due.tries + 1, now, self._jitter())
        COUNTED[type(decided)].inc()
        if isinstance(decided, StopEndpoint):
            # Before the delivery is recorded: if this fails, the lease brings the delivery, and the 410, again.
            await self._stop_endpoint(due.merchant_id, due.endpoint_id, "it answered 410")
        return result_of(due, reply, decided, now)

    async def _send(self, endpoint: Endpoint, due: DueDelivery) -> Reply:
        try:
            headers = signed_headers(endpoint.secrets, due.event_id, self._clock(), due.body)
        except SecretError as error:
            return NoAnswer(f"nothing was sent: {error}")
        return await self._egress.send(endpoint.url, headers, due.body, allow_private=endpoint.allow_private)

    def _endpoint(self, due: DueDelivery) -> Endpoint | None:
        endpoints = self._catalogue().endpoints.get(due.merchant_id, ())
        return next((endpoint for endpoint in endpoints if endpoint.endpoint_id == due.endpoint_id), None)
