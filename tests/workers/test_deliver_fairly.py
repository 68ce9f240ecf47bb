"""What is slow or has much to catch up with delays only itself: real rows, real sockets, one process.

Not tested here: how long anything takes. What is counted is how much of the others' comes through in as many ticks.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue, Endpoint, Merchant
from gateway.flows.notify import DueDelivery, new_secret
from gateway.storage.writing.deliveries import DeliveryStore
from gateway.workers.deliver import Deliverer
from gateway.workers.egress import Egress
from tests.databases import database_on
from tests.storage.delivery_rows import MERCHANT, OTHER_MERCHANT
from tests.workers.receiver import Receiver, receiving

BACKLOG = 20_000
TICKS, DUE_PER_TICK = 10, 10
BUSY, DRIPS, QUIET, NEIGHBOUR = (UUID(int=number) for number in range(1, 5))
WITHIN_S = 60.0
FILL = (
    """
INSERT INTO events (merchant_id, event_id, app, type, object, object_id, sequence, body, deliveries, created_at)
SELECT :merchant, lpad(to_hex(n), 32, '0')::uuid, 'shop', 'payment.succeeded', 'payment', :endpoint, n, '{}', 1, :now
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n""",
    """
INSERT INTO deliveries (merchant_id, event_id, endpoint_id, status, tries, due_at)
SELECT :merchant, lpad(to_hex(n), 32, '0')::uuid, :endpoint, 'pending', 1, :now
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n""",
)


def now() -> datetime:
    return datetime.now(UTC)


class Books:
    """The rows, and numbers for new events."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.last = 0

    async def due(self, merchant_id: UUID, endpoint_id: UUID, count: int) -> None:
        """Deliveries that are due now, each for an event of its own."""
        first, self.last = self.last + 1, self.last + count
        values = {
            "merchant": merchant_id,
            "endpoint": endpoint_id,
            "first": first,
            "last": self.last,
            "now": now(),
        }
        async with self.engine.begin() as connection:
            # As these rows are, nothing needs to look after their keys.
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in FILL:
                await connection.execute(text(statement), values)


class CountedClaims(DeliveryStore):
    """Counts what was claimed for each endpoint."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(database_on(engine))
        self.claimed: Counter[UUID] = Counter()

    async def claim(
        self, merchant_id: UUID, now: datetime, rooms: Mapping[UUID, int], lease_until: datetime
    ) -> list[DueDelivery]:
        due = await super().claim(merchant_id, now, rooms, lease_until)
        self.claimed.update(delivery.endpoint_id for delivery in due)
        return due


async def arrived(receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(receiver.seen) < count:  # noqa: ASYNC110 -- a receiver tells nobody
            await asyncio.sleep(0.05)


async def drip(request: web.Request) -> web.StreamResponse:
    """A body that comes byte by byte, and does not end while somebody reads it."""
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b"x")
        await asyncio.sleep(0.2)
    return response


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress()
    yield egress
    await egress.close()


def known(of: dict[UUID, tuple[UUID, Receiver]]) -> Catalogue:
    secrets = (new_secret(bytes(32)),)
    return Catalogue(
        1,
        (Merchant(MERCHANT, "m", "M"), Merchant(OTHER_MERCHANT, "o", "O")),
        endpoints=tuple(
            Endpoint(merchant_id, endpoint_id, None, receiver.url(), None, True, False, secrets)
            for endpoint_id, (merchant_id, receiver) in of.items()
        ),
    )


async def test_beside_one_that_drips_and_one_with_a_backlog_others_get_what_is_due_as_if_alone(
    engine: AsyncEngine, egress: Egress
) -> None:
    books = Books(engine)
    async with receiving() as busy, receiving(drip) as slow, receiving() as quiet, receiving() as neighbour:
        catalogue = known(
            {
                BUSY: (MERCHANT, busy),
                DRIPS: (MERCHANT, slow),
                NEIGHBOUR: (MERCHANT, neighbour),
                QUIET: (OTHER_MERCHANT, quiet),
            }
        )
        await books.due(MERCHANT, BUSY, BACKLOG)
        await books.due(MERCHANT, DRIPS, 1_000)
        async with engine.connect() as connection:
            await connection.execute(text("ANALYZE deliveries"))
        store = CountedClaims(engine)
        deliverer = Deliverer(store, egress, lambda: catalogue, now, lambda: 0.0, nobody_is_gone)
        for tick in range(1, TICKS + 1):
            for endpoint_id, merchant_id in ((QUIET, OTHER_MERCHANT), (NEIGHBOUR, MERCHANT)):
                await books.due(merchant_id, endpoint_id, DUE_PER_TICK)
            await deliverer.tick()
            assert min(store.claimed[QUIET], store.claimed[NEIGHBOUR]) >= 0.9 * tick * DUE_PER_TICK
        await arrived(quiet, TICKS * DUE_PER_TICK * 9 // 10)
        await arrived(neighbour, TICKS * DUE_PER_TICK * 9 // 10)
        # The backlog goes on meanwhile, and so does the one that drips.
        assert (len(busy.seen) > 0, len(slow.seen) > 0) == (True, True)
        await deliverer.close(within_s=0)
        await egress.close()
        await store.drain()


async def nobody_is_gone(endpoint: Endpoint, sent_at: datetime) -> bool:
    return False
