"""Clients that keep to the API under load while something is done to the gateways, and what must hold afterwards.

What was not answered, or answered 503, is sent again with the same number.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import aiohttp

from gateway.domain.ids import ObjectKind, show_object
from tests.e2e.business import FINAL, Answer, App, Shown, path_of
from tests.e2e.waiting import until
from tests.e2e.world import PROVIDERS, World

AT_ONCE = 30
A_CARD_EVERY, CARDS_AT_ONCE = 10, 3
"""Every so many orders, so many of one new card come together."""
REFUND_EVERY = 4
BOOKS_WITHIN_S = 120.0
TRY_AGAIN_AFTER_S, LONGEST_BETWEEN_TRIES_S = 0.05, 0.5
MAX_TRIES = 300
PAYING = (*PROVIDERS, "baofoo", "cpcn", "lianlian")
"""Whom payments go to, and payouts."""
BOTH_SIDES = {("succeeded", "succeeded"), ("returned", "returned")}
STATES_OF = {"returned": ["succeeded", "returned"]}
"""What came back had been paid."""
BUSY, CONFLICT = 503, 409
WHEN_NEVER_SENT = {"channel_unavailable", "authentication_unknown"}


class Load:
    """Orders that are sent until they are answered, over these gateways in turns."""

    def __init__(self, world: World, addresses: Sequence[str]) -> None:
        self._world = world
        self._apps = [world.app.at(address) for address in addresses]
        self._room = asyncio.Semaphore(AT_ONCE)
        self.answered: dict[str, str] = {}
        """Order number → payment."""
        self.refunded: dict[str, str] = {}
        """Order number → refund."""
        self.sent_again = 0

    async def run(self, orders: list[Shown], trouble: Callable[[], Awaitable[None]]) -> None:
        """Send all of them while the trouble goes on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_awaited(trouble))
            for number, order in enumerate(orders):
                tasks.create_task(self._pay(order, number))

    async def so_many_answered(self, count: int) -> None:
        """Wait until so many orders are answered."""

        async def look() -> bool | None:
            return len(self.answered) >= count or None

        await until(look, f"{count} answers", BOOKS_WITHIN_S)

    async def _pay(self, order: Shown, number: int) -> None:
        async with self._room:
            payment = await self._send(path_of(order), order, number)
            self.answered[order["merchant_order_no"]] = payment["id"]
            await self._follow(payment, number)

    async def _follow(self, payment: Shown, number: int) -> None:
        """What is done about a payment afterwards."""
        if number % REFUND_EVERY == 0 and payment["channel"] == "unionpay":
            await self._give_back(payment, number)

    async def _give_back(self, payment: Shown, number: int) -> None:
        """A part of it, once it is paid."""
        if (await self._end_of(payment, number))["status"] == "succeeded":
            order = {"merchant_order_no": f"back-{payment['id']}", "payment": payment["id"], "amount": 100}
            if refund := await self._send_if_it_fits("/v1/refunds", order, number):
                self.refunded[order["merchant_order_no"]] = refund["id"]

    async def _end_of(self, payment: Shown, number: int) -> Shown:
        async def look() -> Shown | None:
            try:
                now = await self._apps[number % len(self._apps)].payment(payment["id"])
            except (aiohttp.ClientError, TimeoutError):
                return None
            return now if now["status"] in FINAL else None

        return await until(look, f"end of {payment['id']}", BOOKS_WITHIN_S)

    async def _send(self, path: str, order: Shown, number: int) -> Shown:
        """Send until it is answered, always with the same number, each time over the next gateway."""
        answer = await self._sent(path, order, number)
        assert answer.status in (200, 201), answer.raw
        return dict(answer.body)

    async def _send_if_it_fits(self, path: str, order: Shown, number: int) -> Shown | None:
        """The same; None where less is left of a payment."""
        answer = await self._sent(path, order, number)
        if answer.status == CONFLICT and answer.body["code"] == "amount_exceeds_rest":
            return None
        assert answer.status in (200, 201), answer.raw
        return dict(answer.body)

    async def _sent(self, path: str, order: Shown, number: int) -> Answer:
        for turn in range(MAX_TRIES):
            try:
                answer = await self._apps[(number + turn) % len(self._apps)].call("POST", path, order)
            except (aiohttp.ClientError, TimeoutError):
                answer = None
            if answer is not None and answer.status != BUSY:
                return answer
            self.sent_again += 1
            # All of them at once, again and again, would keep the processor from what starts.
            await asyncio.sleep(min(TRY_AGAIN_AFTER_S * (turn + 1), LONGEST_BETWEEN_TRIES_S))
        raise AssertionError("the gateway never answered")


async def _awaited(trouble: Callable[[], Awaitable[None]]) -> None:
    await trouble()


async def cut_leases_short(world: World) -> None:
    """As if the minute of a lease had passed; rows that somebody holds are left alone."""
    for table in ("payments", "authentications", "refunds", "payouts", "return_lists", "deliveries"):
        await world.sql(
            f"UPDATE {table} SET lease_until = lease_until - interval '1 hour' WHERE ctid = ANY(ARRAY("
            f"SELECT ctid FROM {table} WHERE lease_until IS NOT NULL FOR UPDATE SKIP LOCKED))"
        )


async def all_is_well(world: World, load: Load, orders: int, payouts: Sequence[Shown] = ()) -> None:
    """Nothing twice, nothing lost, everybody told, the books equal; the doctor finds nothing."""
    assert len(load.answered) == orders
    await all_final(world.app)
    refunds = [await world.app.refunded(refund_id, within_s=BOOKS_WITHIN_S) for refund_id in load.refunded.values()]
    payments = await world.app.all_payments()
    assert {p["merchant_order_no"]: p["id"] for p in payments} == load.answered
    await never_twice_and_nothing_unknown(world, [*payments, *refunds, *payouts])
    await told_once_and_booked_once(world, [*payments, *refunds, *payouts])
    assert await world.differences(payments) == []
    given_back = {refund["payment"]: refund["amount"] for refund in refunds if refund["status"] == "succeeded"}
    assert {p["id"]: p["refunded"] for p in payments if p["refunded"]} == given_back
    assert world.system is not None
    assert await world.system.doctor() == []


def orders_of(world: World, count: int) -> list[Shown]:
    """Orders for both providers; now and then several of one new card together."""
    orders: list[Shown] = []
    while len(orders) < count:
        if len(orders) % A_CARD_EVERY == 0:
            user, card = world.user(), world.card()
            orders += [world.order(world.dear(), user_id=user, card=card) for _ in range(CARDS_AT_ONCE)]
        orders.append(world.order(world.cheap() if len(orders) % 2 else world.dear()))
    return orders[:count]


async def all_final(app: App) -> None:
    async def look() -> bool | None:
        return (await app.get("/v1/payments?status=processing&limit=1"))["data"] == [] or None

    await until(look, "end of all payments", BOOKS_WITHIN_S)


async def never_twice_and_nothing_unknown(world: World, objects: list[Shown]) -> None:
    rows = [row for provider in PAYING for row in await world.transactions(provider)]
    assert {row["submissions"] for row in rows} == {1}
    theirs = {row["order_no"]: row["state"] for row in rows if row["kind"] != "open_card"}
    ours = {each["channel_order_no"] or each["id"]: each for each in objects}
    assert theirs.keys() <= ours.keys()
    for number, each in ours.items():
        if each["failure"] and each["failure"]["code"] == "not_confirmed":
            assert theirs.get(number) in {None, "processing"}  # never sent, or held by the company
        elif number in theirs:
            assert (theirs[number], each["status"]) in BOTH_SIDES
        else:
            assert each["failure"]["code"] in WHEN_NEVER_SENT


async def told_once_and_booked_once(world: World, objects: list[Shown]) -> None:
    async def look() -> bool | None:
        [waiting] = await world.sql("SELECT count(*) FROM deliveries WHERE status <> 'delivered'")
        return waiting["count"] == 0 or None

    await until(look, "delivery of all events", BOOKS_WITHIN_S)
    # What watches tell of a channel or an account meanwhile is of no object of these.
    of_money = (
        "SELECT object, object_id, type, sequence FROM events WHERE object NOT IN ('alert', 'channel', 'account')"
    )
    events = await world.sql(of_money)
    told = Counter(
        (show_object(ObjectKind(row["object"]), row["object_id"]), row["type"], row["sequence"]) for row in events
    )
    entered = [
        (each, state) for each in objects for state in enumerate(STATES_OF.get(each["status"], [each["status"]]), 1)
    ]
    assert told == Counter((each["id"], f"{each['object']}.{state}", place) for each, (place, state) in entered)
    books = (await world.call("GET", f"{world.receiver.address}/bookings")).body
    assert books["rejected"] == 0
    booked = {one["payment_id"]: (one["status"], one["sequence"]) for one in books["bookings"]}
    assert booked == {each["id"]: (each["status"], len(STATES_OF.get(each["status"], [""]))) for each in objects}
    assert all(one["deliveries"] >= 1 for one in books["bookings"])
