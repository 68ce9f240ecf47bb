"""A new card is opened once, however many of its payments come at once: one authentication, which the others wait for.

Not here: the waiting itself, statement by statement (tests/storage), and who dies when (`test_seams`).
"""

import asyncio
from collections import Counter

import pytest

from tests.e2e.business import App, Shown
from tests.e2e.merchants import only
from tests.e2e.processes import Crowd, gateway_processes
from tests.e2e.waiting import until
from tests.e2e.world import World

AT_ONCE = 5


def orders_of_one_card(world: World, count: int = AT_ONCE) -> list[Shown]:
    # Digits of its own at the end: by them the sandbox tells whose opening it was.
    user, card = world.user(), world.card(f"{7000 + world.number() % 1000}")
    return [world.order(world.dear(), user_id=user, card=card) for _ in range(count)]


async def openings_of(world: World, orders: list[Shown]) -> list[Shown]:
    tail = orders[0]["card"]["card_no"][-4:]
    masked = orders[0]["card"]["card_no"][:6]
    rows = await world.transactions("unionpay")
    return [r for r in rows if r["kind"] == "open_card" and r["card"].startswith(masked) and r["card"].endswith(tail)]


async def pay_at_once(apps: list[App], orders: list[Shown]) -> list[Shown]:
    taken = await asyncio.gather(*(apps[each % len(apps)].pay(order) for each, order in enumerate(orders)))
    return await asyncio.gather(*(apps[0].final(payment["id"]) for payment in taken))


async def slow_opening(world: World, orders: list[Shown], seconds: float = 1.0) -> None:
    match = {"operation": "authenticate", "card_tail": orders[0]["card"]["card_no"][-4:]}
    await world.fault("unionpay", "delay", match=match, seconds=seconds)


async def test_five_payments_of_a_new_card_open_it_once(world: World) -> None:
    orders = orders_of_one_card(world)
    await slow_opening(world, orders, 0.5)
    payments = await pay_at_once([world.app], orders)
    assert {(payment["status"], payment["channel"]) for payment in payments} == {("succeeded", "unionpay")}
    [opening] = await openings_of(world, orders)
    assert opening["submissions"] == 1
    for payment in payments:
        theirs = await world.at_the_psp(payment)
        assert theirs is not None
        assert (theirs["submissions"], theirs["state"]) == (1, "succeeded")
    # The fee stands on the one that sent it.
    assert sorted(payment["authentication_fee"] or 0 for payment in payments)[:-1] == [0] * (AT_ONCE - 1)
    assert sum(payment["authentication_fee"] or 0 for payment in payments) > 0


async def test_five_payments_of_a_new_card_at_two_gateways_open_it_once(crowd: Crowd) -> None:
    world = crowd.world
    orders = orders_of_one_card(world)
    await slow_opening(world, orders)
    payments = await pay_at_once([world.app.at(address) for address in crowd.addresses], orders)
    assert {payment["status"] for payment in payments} == {"succeeded"}
    assert len(await openings_of(world, orders)) == 1


async def test_when_the_one_that_opens_is_killed_the_card_is_still_opened_once_and_all_are_paid(world: World) -> None:
    app = await world.merchant(only("unionpay"), unionpay={"answer_timeout_s": 1.0})
    orders = orders_of_one_card(world)
    await slow_opening(world, orders, 2.0)
    async with gateway_processes(world, 1) as [starter]:
        sent = [asyncio.create_task(app.at(starter.address).call("POST", "/v1/withholds", orders[0]))]

        async def begun() -> bool | None:
            return bool(await openings_of(world, orders)) or None

        await until(begun, "the opening at the PSP")
        waiting = await asyncio.gather(*(app.pay(order) for order in orders[1:]))
        starter.kill()
        await asyncio.gather(*sent, return_exceptions=True)
        # What the dead one had begun is taken up when it is due: that is cut short by hand.
        masked = f"{orders[0]['card']['card_no'][:6]}%{orders[0]['card']['card_no'][-4:]}"
        of_the_card = "SELECT card_id FROM cards WHERE masked LIKE $1"
        for table in ("authentications", "payments"):
            await world.sql(
                f"UPDATE {table} SET due_at = due_at - interval '1 minute', lease_until = NULL "
                f"WHERE due_at IS NOT NULL AND card_id IN ({of_the_card})",
                masked,
            )
        found = (await app.get(f"/v1/payments?merchant_order_no={orders[0]['merchant_order_no']}"))["data"]
        payments = [await app.final(payment["id"], 60.0) for payment in [*found, *waiting]]
    assert Counter(payment["status"] for payment in payments) == {"succeeded": AT_ONCE}
    [opening] = await openings_of(world, orders)
    assert opening["submissions"] == 1


@pytest.mark.parametrize(("fault", "code", "blame"), [("decline", "authentication_rejected", "payer")])
async def test_if_it_is_refused_all_of_them_fail_as_refused_and_nothing_is_charged(
    world: World, fault: str, code: str, blame: str
) -> None:
    app = await world.merchant(only("unionpay"))
    orders = orders_of_one_card(world)
    await slow_opening(world, orders, 0.5)
    match = {"operation": "authenticate", "card_tail": orders[0]["card"]["card_no"][-4:]}
    await world.fault("unionpay", fault, match=match, code="66")
    payments = await pay_at_once([app], orders)
    assert {(p["status"], p["failure"]["code"], p["failure"]["blame"]) for p in payments} == {("failed", code, blame)}
    assert await world.differences(payments) == []


async def test_if_its_result_is_unknown_all_of_them_fail_with_authentication_unknown(world: World) -> None:
    app = await world.merchant(only("unionpay"))
    orders = orders_of_one_card(world)
    await slow_opening(world, orders, 0.5)
    tail = orders[0]["card"]["card_no"][-4:]
    await world.fault("unionpay", "reset_before", match={"operation": "authenticate", "card_tail": tail})
    payments = await pay_at_once([app], orders)
    assert {p["failure"]["code"] for p in payments} == {"authentication_unknown"}
    assert {p["authentication_fee"] is not None for p in payments} == {True, False}
