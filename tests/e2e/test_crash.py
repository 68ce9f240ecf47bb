"""kill -9 of a gateway under load: nobody is charged twice, nothing is lost, everybody is told, the books are equal.

Clients do what the API tells them to: what was not answered is sent again with the same number. Only the leases of the
dead process are cut short by hand (they last a minute); every other time passes as it does in production.
Not here: a machine that loses its power (the tests' database is not durable).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.domain.ids import PAYMENT, show
from tests.e2e.business import App, Shown, path_of
from tests.e2e.conftest import NewDatabase
from tests.e2e.processes import GatewayProcess, gateway_processes
from tests.e2e.waiting import until
from tests.e2e.world import PROVIDERS, QUICK_TERMS, World, new_world

ORDERS = 240
AT_ONCE = 40
KILL_AFTER = (50, 150)
"""Kills come when so many orders were answered."""
BOOKS_WITHIN_S = 60.0
TRY_AGAIN_S = 0.05
MAX_TRIES = 600
WHEN_NEVER_SENT = {"channel_unavailable", "authentication_unknown"}


@pytest.fixture
async def fragile(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[tuple[World, GatewayProcess]]:
    """A world whose only workers are those of one gateway process."""
    terms = {**QUICK_TERMS, "answer_timeout_s": 2.0}
    async with (
        new_world(await new_database(), psp_keys, terms, workers=False) as world,
        gateway_processes(world, 1) as [process],
    ):
        yield world, process


class Load:
    """Orders that are sent until they are answered, and the kills between them."""

    def __init__(self, world: World, process: GatewayProcess) -> None:
        self._world, self._process = world, process
        self._app = world.app.at(process.address)
        self._room = asyncio.Semaphore(AT_ONCE)
        self.answered: dict[str, str] = {}
        """Order number → payment."""
        self.sent_again = 0

    async def run(self, orders: list[Shown]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kill())
            for order in orders:
                tasks.create_task(self._send(order))

    async def _send(self, order: Shown) -> None:
        async with self._room:
            for _ in range(MAX_TRIES):
                try:
                    answer = await self._app.call("POST", path_of(order), order)
                except aiohttp.ClientError:
                    self.sent_again += 1
                    await asyncio.sleep(TRY_AGAIN_S)
                    continue
                assert answer.status in (200, 201), answer.raw
                self.answered[order["merchant_order_no"]] = answer.body["id"]
                return
        raise AssertionError("the gateway never answered")

    async def _kill(self) -> None:
        for count in KILL_AFTER:

            async def so_many(count: int = count) -> bool | None:
                return len(self.answered) >= count or None

            await until(so_many, f"{count} answers", BOOKS_WITHIN_S)
            self._process.kill()
            await self._world.sql("UPDATE payments SET lease_until = lease_until - interval '1 hour'")
            await self._world.sql("UPDATE deliveries SET lease_until = lease_until - interval '1 hour'")
            self._process.start()


async def test_a_gateway_that_is_killed_under_load_charges_nobody_twice_and_loses_nothing(
    fragile: tuple[World, GatewayProcess],
) -> None:
    world, process = fragile
    orders = [world.order(world.cheap() if number % 2 else world.dear()) for number in range(ORDERS)]
    load = Load(world, process)
    await load.run(orders)
    assert len(load.answered) == ORDERS
    assert load.sent_again > 0

    payments = await all_final(world.app)
    assert {p["merchant_order_no"]: p["id"] for p in payments} == load.answered
    await never_twice_and_nothing_unknown(world, payments)
    await told_once_and_booked_once(world, payments)
    assert await world.differences(payments) == []
    assert world.system is not None
    assert await world.system.doctor() == []


async def all_final(app: App) -> list[Shown]:
    async def look() -> bool | None:
        return (await app.get("/v1/payments?status=processing&limit=1"))["data"] == [] or None

    await until(look, "end of all payments", BOOKS_WITHIN_S)
    return await app.all_payments()


async def never_twice_and_nothing_unknown(world: World, payments: list[Shown]) -> None:
    rows = [row for provider in PROVIDERS for row in await world.transactions(provider)]
    assert {row["submissions"] for row in rows} == {1}
    theirs = {row["order_no"]: row["state"] for row in rows if row["kind"] != "open_card"}
    ours = {payment["channel_order_no"]: payment for payment in payments}
    assert theirs.keys() <= ours.keys()
    for number, payment in ours.items():
        if number in theirs:
            assert (theirs[number], payment["status"]) == ("succeeded", "succeeded")
        else:
            assert payment["failure"]["code"] in WHEN_NEVER_SENT


async def told_once_and_booked_once(world: World, payments: list[Shown]) -> None:
    async def look() -> bool | None:
        [waiting] = await world.sql("SELECT count(*) FROM deliveries WHERE status <> 'delivered'")
        return waiting["count"] == 0 or None

    await until(look, "delivery of all events", BOOKS_WITHIN_S)
    events = await world.sql("SELECT object_id, type, sequence FROM events")
    assert Counter((show(PAYMENT, row["object_id"]), row["type"], row["sequence"]) for row in events) == Counter(
        (payment["id"], f"payment.{payment['status']}", 1) for payment in payments
    )
    told = (await world.call("GET", f"{world.receiver.address}/bookings")).body
    assert told["rejected"] == 0
    booked = {one["payment_id"]: (one["status"], one["sequence"]) for one in told["bookings"]}
    assert booked == {payment["id"]: (payment["status"], 1) for payment in payments}
    assert all(one["deliveries"] >= 1 for one in told["bookings"])
