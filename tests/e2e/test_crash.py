"""kill -9 of a gateway under load: nobody is charged twice, nothing is lost, everybody is told, the books are equal.

Payments of both providers, several of one new card at once, and refunds of what was paid. `make hunt` kills more often.

Clients do what the API tells them to: what was not answered is sent again with the same number. Only the leases of the
dead process are cut short by hand (they last a minute); every other time passes as it does in production.
Not here: a machine that loses its power (the tests' database is not durable).
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.domain.ids import ObjectKind, show_object
from tests.e2e.business import FINAL, App, Shown, path_of
from tests.e2e.conftest import NewDatabase
from tests.e2e.processes import GatewayProcess, gateway_processes
from tests.e2e.waiting import until
from tests.e2e.world import PROVIDERS, QUICK_TERMS, World, new_world

KILLS = int(os.environ.get("SLUICE_HUNT_KILLS", "2"))
AT_ONCE = 30
KILL_EVERY = 80
"""Orders that are answered between two kills."""
ORDERS = KILL_EVERY * (KILLS + 1)
A_CARD_EVERY, CARDS_AT_ONCE = 10, 3
"""Every so many orders, so many of one new card come together."""
REFUND_EVERY = 4
BOOKS_WITHIN_S = 120.0
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
        self.refunded: dict[str, str] = {}
        """Order number → refund."""
        self.sent_again = 0

    async def run(self, orders: list[Shown]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kill())
            for number, order in enumerate(orders):
                tasks.create_task(self._pay(order, and_back=number % REFUND_EVERY == 0))

    async def _pay(self, order: Shown, *, and_back: bool) -> None:
        async with self._room:
            payment = await self._send(path_of(order), order)
            self.answered[order["merchant_order_no"]] = payment["id"]
            if and_back and payment["channel"] == "unionpay":
                await self._give_back(payment)

    async def _give_back(self, payment: Shown) -> None:
        """A part of it, once it is paid."""

        async def look() -> Shown | None:
            try:
                now = await self._app.payment(payment["id"])
            except aiohttp.ClientError:
                return None
            return now if now["status"] in FINAL else None

        if (await until(look, f"end of {payment['id']}", BOOKS_WITHIN_S))["status"] == "succeeded":
            order = {"merchant_order_no": f"back-{payment['id']}", "payment": payment["id"], "amount": 100}
            self.refunded[order["merchant_order_no"]] = (await self._send("/v1/refunds", order))["id"]

    async def _send(self, path: str, order: Shown) -> Shown:
        """Send until it is answered, always with the same number."""
        for _ in range(MAX_TRIES):
            try:
                answer = await self._app.call("POST", path, order)
            except aiohttp.ClientError:
                self.sent_again += 1
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            assert answer.status in (200, 201), answer.raw
            return dict(answer.body)
        raise AssertionError("the gateway never answered")

    async def _kill(self) -> None:
        for count in (KILL_EVERY // 2 + KILL_EVERY * kill for kill in range(KILLS)):

            async def so_many(count: int = count) -> bool | None:
                return len(self.answered) >= count or None

            await until(so_many, f"{count} answers", BOOKS_WITHIN_S)
            self._process.kill()
            for table in ("payments", "authentications", "refunds", "deliveries"):
                await self._world.sql(f"UPDATE {table} SET lease_until = lease_until - interval '1 hour'")
            self._process.start()


async def test_a_gateway_that_is_killed_under_load_charges_nobody_twice_and_loses_nothing(
    fragile: tuple[World, GatewayProcess],
) -> None:
    world, process = fragile
    load = Load(world, process)
    await load.run(orders_of(world))
    assert len(load.answered) == ORDERS
    assert load.sent_again > 0
    assert load.refunded

    payments = await all_final(world.app)
    refunds = [await world.app.refunded(refund_id, within_s=BOOKS_WITHIN_S) for refund_id in load.refunded.values()]
    assert {p["merchant_order_no"]: p["id"] for p in payments} == load.answered
    await never_twice_and_nothing_unknown(world, [*payments, *refunds])
    await told_once_and_booked_once(world, [*payments, *refunds])
    assert await world.differences(payments) == []
    given_back = {refund["payment"]: refund["amount"] for refund in refunds if refund["status"] == "succeeded"}
    assert {p["id"]: p["refunded"] for p in payments if p["refunded"]} == given_back
    assert world.system is not None
    assert await world.system.doctor() == []


def orders_of(world: World) -> list[Shown]:
    """Orders for both providers; now and then several of one new card together."""
    orders: list[Shown] = []
    while len(orders) < ORDERS:
        if len(orders) % A_CARD_EVERY == 0:
            user, card = world.user(), world.card()
            orders += [world.order(world.dear(), user_id=user, card=card) for _ in range(CARDS_AT_ONCE)]
        orders.append(world.order(world.cheap() if len(orders) % 2 else world.dear()))
    return orders[:ORDERS]


async def all_final(app: App) -> list[Shown]:
    async def look() -> bool | None:
        return (await app.get("/v1/payments?status=processing&limit=1"))["data"] == [] or None

    await until(look, "end of all payments", BOOKS_WITHIN_S)
    return await app.all_payments()


async def never_twice_and_nothing_unknown(world: World, objects: list[Shown]) -> None:
    rows = [row for provider in PROVIDERS for row in await world.transactions(provider)]
    assert {row["submissions"] for row in rows} == {1}
    theirs = {row["order_no"]: row["state"] for row in rows if row["kind"] != "open_card"}
    ours = {each["channel_order_no"]: each for each in objects}
    assert theirs.keys() <= ours.keys()
    for number, each in ours.items():
        if number in theirs:
            assert (theirs[number], each["status"]) == ("succeeded", "succeeded")
        else:
            assert each["failure"]["code"] in WHEN_NEVER_SENT


async def told_once_and_booked_once(world: World, objects: list[Shown]) -> None:
    async def look() -> bool | None:
        [waiting] = await world.sql("SELECT count(*) FROM deliveries WHERE status <> 'delivered'")
        return waiting["count"] == 0 or None

    await until(look, "delivery of all events", BOOKS_WITHIN_S)
    events = await world.sql("SELECT object, object_id, type, sequence FROM events")
    told = Counter(
        (show_object(ObjectKind(row["object"]), row["object_id"]), row["type"], row["sequence"]) for row in events
    )
    assert told == Counter((each["id"], f"{each['object']}.{each['status']}", 1) for each in objects)
    books = (await world.call("GET", f"{world.receiver.address}/bookings")).body
    assert books["rejected"] == 0
    booked = {one["payment_id"]: (one["status"], one["sequence"]) for one in books["bookings"]}
    assert booked == {each["id"]: (each["status"], 1) for each in objects}
    assert all(one["deliveries"] >= 1 for one in books["bookings"])
