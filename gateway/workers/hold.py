"""Holding what is for stopped endpoints, and releasing it when they run again: a few rows at a time, in turns.

Nothing is remembered: each merchant is looked at again and again, and first when an endpoint of it stopped or started.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.logs import get
from gateway.metrics import DELIVERIES_HELD, ENDPOINTS_STOPPED

MERCHANTS_PER_TICK = 8
BATCH = 500
BATCHES_PER_TICK = 2
"""So a process moves up to 2,000 in a second: no slower than they can be sent, and others do not feel it."""
COUNTED_EVERY = timedelta(seconds=30)

log = get(__name__)


class Held(Protocol):
    """The books of what is held (implemented by `gateway.storage.writing.held`)."""

    async def misplaced(self, merchant_id: UUID, now: datetime) -> dict[UUID, bool]: ...

    async def hold(self, merchant_id: UUID, endpoint_id: UUID, now: datetime, limit: int) -> int: ...

    async def release(self, merchant_id: UUID, endpoint_id: UUID, now: datetime, limit: int) -> int: ...

    async def held(self, merchant_id: UUID, endpoints: Sequence[UUID]) -> dict[UUID, int]: ...


class Holder:
    """Puts right what is held at endpoints that run, or pending at those that are stopped, and counts what is held."""

    def __init__(self, store: Held, catalogue: Callable[[], Catalogue], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._version: int | None = None
        self._stopped: dict[tuple[UUID, UUID], Endpoint] = {}
        self._merchants: deque[UUID] = deque()
        self._work: dict[tuple[UUID, UUID], bool] = {}
        """Merchant and endpoint → whether to release (it runs) or to hold; those that waited longest first."""
        self._counted_at: datetime | None = None
        self._with_held: set[UUID] = set()

    async def tick(self) -> int:
        """Move a bounded number of deliveries; how many."""
        catalogue, now = self._catalogue(), self._clock()
        self._note_changes(catalogue)
        # Where something fails the tick ends, and the next one goes on behind it: one merchant's shard being away does
        # not hold up the others.
        for _ in range(min(MERCHANTS_PER_TICK, self._round(catalogue))):
            merchant_id = self._merchants.popleft()
            for endpoint_id, runs in (await self._store.misplaced(merchant_id, now)).items():
                self._work[merchant_id, endpoint_id] = runs
        moved = 0
        for _ in range(min(BATCHES_PER_TICK, len(self._work))):
            moved += await self._move()
        if self._counted_at is None or now - self._counted_at >= COUNTED_EVERY:
            self._counted_at = now
            await self._count(catalogue)
        return moved

    async def _move(self) -> int:
        (merchant_id, endpoint_id), runs = next(iter(self._work.items()))
        del self._work[merchant_id, endpoint_id]
        step = self._store.release if runs else self._store.hold
        moved = await step(merchant_id, endpoint_id, self._clock(), BATCH)
        if moved == BATCH:
            self._work[merchant_id, endpoint_id] = runs
        return moved

    def _note_changes(self, catalogue: Catalogue) -> None:
        """Whoever stopped or started is looked at first."""
        if catalogue.version == self._version:
            return
        stopped = {(e.merchant_id, e.endpoint_id): e for e in _endpoints(catalogue) if e.stopped}
        changed = {merchant_id for merchant_id, _ in stopped.keys() ^ self._stopped.keys()}
        self._merchants = deque(sorted(changed)) + deque(m for m in self._merchants if m not in changed)
        for endpoint in (*self._stopped.values(), *stopped.values()):
            now_stopped = (endpoint.merchant_id, endpoint.endpoint_id) in stopped and not endpoint.removed
            ENDPOINTS_STOPPED.labels(*_labels(catalogue, endpoint)).set(int(now_stopped))
        self._version, self._stopped = catalogue.version, stopped

    def _round(self, catalogue: Catalogue) -> int:
        """How many merchants are left to look at; when none is, all of them are again."""
        if not self._merchants:
            self._merchants.extend(merchant_id for merchant_id, found in catalogue.endpoints.items() if found)
        return len(self._merchants)

    async def _count(self, catalogue: Catalogue) -> None:
        """Of endpoints that are stopped, and of those that have just started until nothing is held there any more."""
        of_merchant: dict[UUID, list[Endpoint]] = {}
        for endpoint in _endpoints(catalogue):
            if endpoint.stopped or endpoint.endpoint_id in self._with_held:
                of_merchant.setdefault(endpoint.merchant_id, []).append(endpoint)
        self._with_held = set()
        for merchant_id, endpoints in of_merchant.items():
            with _told(merchant_id):
                held = await self._store.held(merchant_id, [endpoint.endpoint_id for endpoint in endpoints])
                self._with_held |= held.keys()
                for endpoint in endpoints:
                    DELIVERIES_HELD.labels(*_labels(catalogue, endpoint)).set(held.get(endpoint.endpoint_id, 0))


@contextlib.contextmanager
def _told(merchant_id: UUID) -> Iterator[None]:
    """One merchant's shard being away must not keep the others uncounted."""
    try:
        yield
    except Exception:
        log.exception("held notifications not counted", merchant_id=str(merchant_id))


def _endpoints(catalogue: Catalogue) -> Iterable[Endpoint]:
    return (endpoint for found in catalogue.endpoints.values() for endpoint in found)


def _labels(catalogue: Catalogue, endpoint: Endpoint) -> tuple[str, str]:
    return catalogue.merchants[endpoint.merchant_id].code, endpoint.code
