"""Nobody is charged twice, and no payment is lost: whatever many callers at once and a failing PSP do.

Not here: callbacks that lie (`test_callbacks`), a gateway that is killed (`test_crash`).
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from uuid_utils.compat import uuid7

from gateway.domain.cards import CardElements
from gateway.domain.catalogue_content import key_hash_of
from gateway.domain.ids import PAYMENT, show
from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.flows.opening import Opening
from gateway.run.supervising import free_port
from tests.e2e.business import App, Shown, path_of
from tests.e2e.merchants import only
from tests.e2e.processes import Crowd
from tests.e2e.waiting import until
from tests.e2e.world import World

COPIES = 1000
LONG_AGO = timedelta(seconds=60)
"""Longer than anybody waits for an answer: whoever recorded the intent is taken for dead."""


async def charged_once(world: World, app: App, payment: Shown) -> None:
    """The provider got the order once, and the app was told once that it succeeded."""
    theirs = await world.at_the_psp(payment)
    assert theirs is not None
    assert (theirs["submissions"], theirs["state"], theirs["amount"]) == (1, "succeeded", payment["amount"])
    [event] = await app.told(payment["id"])
    assert event["type"] == "payment.succeeded"


# Many at once


async def test_a_thousand_copies_at_two_gateways_make_one_attempt(
    crowd: Crowd,
) -> None:
    world = crowd.world
    order = world.order(world.dear())
    headers = {"Authorization": f"Bearer {world.app.key}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def send(copy: int) -> tuple[int, Shown]:
            url = crowd.addresses[copy % 2] + path_of(order)
            async with session.post(url, json=order) as answer:
                return answer.status, await answer.json(content_type=None)

        answers = await asyncio.gather(*(send(copy) for copy in range(COPIES)))
    assert Counter(status for status, _ in answers) == {201: 1, 200: COPIES - 1}
    [payment_id] = {body["id"] for _, body in answers}
    payment = await world.app.final(payment_id)
    await charged_once(world, world.app, payment)
    found = await world.app.get(f"/v1/payments?merchant_order_no={order['merchant_order_no']}")
    assert [one["id"] for one in found["data"]] == [payment_id]


async def test_fifty_payments_of_a_user_at_two_gateways_never_exceed_the_daily_limit(
    crowd: Crowd,
) -> None:
    world = crowd.world
    amount, room = 10_000, 10
    app = await world.merchant(only("allinpay", daily_limit=room * amount))
    apps = [await world.knows(app.at(address)) for address in crowd.addresses]
    user, card = world.user(), world.card()
    orders = [world.order(amount, user_id=user, card=card) for _ in range(50)]
    taken = await asyncio.gather(*(apps[number % 2].pay(order) for number, order in enumerate(orders)))
    payments = [await app.final(payment["id"]) for payment in taken]
    outcomes = Counter((p["failure"] or {"code": "succeeded"})["code"] for p in payments)
    assert outcomes == {"succeeded": room, "daily_limit_exceeded": 50 - room}
    theirs = [await world.transactions("allinpay", p["channel_order_no"]) for p in payments if p["channel_order_no"]]
    assert sum(len(orders) for orders in theirs) == room


# The PSP did it, and its answer is lost


UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("reset_after", {}),
    ("error_after", {"status": 502}),
    ("garbage", {"body": "html"}),
    ("garbage", {"body": "truncated"}),
    ("garbage", {"body": "empty"}),
    ("garbage", {"body": "wrong_charset"}),
    ("wrong_signature", {}),
]


@pytest.mark.parametrize(("fault", "how"), UNREADABLE)
async def test_work_without_a_readable_answer_is_found_by_polling(
    world: World, fault: str, how: dict[str, Any]
) -> None:
    orders = {"allinpay": world.order(world.cheap()), "unionpay": world.order(world.dear())}
    for provider, order in orders.items():
        await world.fault(provider, fault, order["amount"], **how)
    await world.fault("unionpay", "lose_callback", orders["unionpay"]["amount"])
    taken = await asyncio.gather(*(world.app.pay(order) for order in orders.values()))
    assert [payment["status"] for payment in taken] == ["processing", "processing"]
    for payment in taken:
        final = await world.app.final(payment["id"])
        assert final["status"] == "succeeded"
        sources = [entry["source"] for entry in await world.app.said(payment["id"], "channel_said")]
        assert "poll" in sources
        assert "callback" not in sources
        await charged_once(world, world.app, final)


async def test_an_answer_that_takes_too_long_is_found_by_polling(world: World) -> None:
    app = await world.merchant(only("allinpay"), allinpay={"answer_timeout_s": 0.5})
    order = world.order()
    await world.fault("allinpay", "delay", order["amount"], seconds=2)
    payment = await app.pay(order)
    assert payment["status"] == "processing"
    final = await app.final(payment["id"])
    assert final["status"] == "succeeded"
    await charged_once(world, app, final)


async def test_polling_goes_on_over_queries_that_fail(world: World) -> None:
    app = await world.merchant(only("allinpay"), allinpay={"poll_gaps_s": (0.1,)})
    order = world.order()
    await world.fault("allinpay", "reset_after", order["amount"])
    for fault, how in UNREADABLE:
        await world.fault("allinpay", fault, order["amount"], times=1, match={"operation": "query"}, **how)
    payment = await app.pay_to_the_end(order)
    assert payment["status"] == "succeeded"
    said = [entry["says"] for entry in await app.said(payment["id"], "channel_said")]
    assert said[-1] == "succeeded"
    assert said.count("unknown") > 1
    await charged_once(world, app, payment)


async def test_a_final_state_that_comes_late_is_waited_for(world: World) -> None:
    for amount, status in ((980_001, "succeeded"), (980_003, "failed")):
        payment = await world.app.pay(world.order(amount))
        assert payment["status"] == "processing"
        assert (await world.app.final(payment["id"]))["status"] == status


async def test_a_client_that_goes_away_cancels_nothing(world: World) -> None:
    order = world.order()
    await world.fault("allinpay", "delay", order["amount"], seconds=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await world.app.pay(order)

    async def paid() -> Shown | None:
        found = await world.app.get(f"/v1/payments?merchant_order_no={order['merchant_order_no']}&status=succeeded")
        return found["data"][0] if found["data"] else None

    payment = await until(paid, "payment of a client that went away")
    assert [entry["source"] for entry in await world.app.said(payment["id"], "channel_said")] == ["answer"]
    await charged_once(world, world.app, payment)


# Nothing arrived


@pytest.mark.parametrize(("fault", "provider"), [("reset_before", "allinpay"), ("error_before", "unionpay")])
async def test_an_order_that_the_psp_never_had_fails_by_the_not_found_rule_alone(
    world: World, fault: str, provider: str
) -> None:
    order = world.order(world.cheap() if provider == "allinpay" else world.dear())
    await world.fault(provider, fault, order["amount"])
    payment = await world.app.pay(order)
    assert payment["status"] == "processing"
    final = await world.app.final(payment["id"])
    assert (final["failure"]["code"], final["failure"]["blame"]) == ("channel_unavailable", "channel")
    assert await world.at_the_psp(final) is None
    said = [entry["says"] for entry in await world.app.said(final["id"], "channel_said")]
    assert said.count("not_found") >= 3
    assert [event["type"] for event in await world.app.told(final["id"])] == ["payment.failed"]


async def test_a_psp_that_is_down_fails_the_payment_and_the_next_one_goes_elsewhere(world: World) -> None:
    app = await world.merchant(allinpay={"url": f"http://127.0.0.1:{free_port()}/aipg"})
    user, card = world.user(), world.card()
    first = await app.pay(world.order(world.cheap(), user_id=user, card=card))
    assert (first["status"], first["channel"]) == ("failed", "allinpay")
    assert (first["failure"]["code"], first["failure"]["advice"]) == ("channel_unavailable", "retry_now")
    second = await app.pay_to_the_end(world.order(world.cheap(), user_id=user, card=card))
    assert (second["status"], second["channel"]) == ("succeeded", "unionpay")
    decision = await app.get(f"/v1/payments/{second['id']}/decision")
    assert decision["chosen_by_step"] == 9


async def test_an_intent_whose_sender_died_before_sending_fails_by_the_not_found_rule(world: World) -> None:
    payment = await recorded_and_never_sent(world, world.cheap())
    assert payment.channel == "allinpay"
    final = await world.app.final(show(PAYMENT, payment.payment_id))
    assert (final["status"], final["failure"]["code"]) == ("failed", "channel_unavailable")
    assert await world.at_the_psp(final) is None


async def test_a_silent_authentication_whose_sender_died_charges_nothing(world: World) -> None:
    payment = await recorded_and_never_sent(world, world.dear())
    assert payment.channel == "unionpay"
    final = await world.app.final(show(PAYMENT, payment.payment_id))
    assert (final["status"], final["failure"]["code"]) == ("failed", "authentication_unknown")
    assert await world.at_the_psp(final) is None


async def recorded_and_never_sent(world: World, amount: int) -> Payment:
    """A payment whose intent was committed by a process that died then, a while ago."""
    assert world.system is not None
    catalogue = world.system.watch.current
    key = catalogue.keys[key_hash_of(world.app.key)]
    asked = world.order(amount)
    order = Order(
        merchant_id=key.merchant_id,
        app=key.app,
        merchant_order_no=asked["merchant_order_no"],
        kind=Kind.WITHHOLD,
        scene=Scene.WITHHOLD,
        user_id=asked["user_id"],
        amount=amount,
        currency="CNY",
        bank="ICBC",
        bank_by_bin="ICBC",
        card=CardElements(**asked["card"]),
        card_id=None,
        customer_present=False,
        description=None,
        metadata={},
        return_url=None,
        expires_in_s=None,
        body=b"{}",
    )
    opening = Opening(order, uuid7(), uuid7(), uuid7(), uuid7(), uuid7(), datetime.now(UTC) - LONG_AGO)
    opened = await world.system.books.open(opening)
    return opened.payment


async def test_a_success_after_the_proof_of_failure_is_an_anomaly_and_changes_no_state(world: World) -> None:
    # The rule of the tests is far too short for this PSP: it answers nothing, then "not found", and calls back later.
    order = world.order(world.dear())
    await world.fault("unionpay", "reset_after", order["amount"])
    await world.fault("unionpay", "not_found", order["amount"], seconds=60)
    await world.fault("unionpay", "delay_callback", order["amount"], seconds=4)
    failed = await world.app.pay_to_the_end(order)
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "channel_unavailable")

    failure, anomaly = await world.app.told(failed["id"], 2)
    assert (failure["type"], failure["sequence"]) == ("payment.failed", 1)
    assert (anomaly["type"], anomaly["sequence"]) == ("payment.anomaly", 2)
    assert anomaly["body"]["anomaly"]["kind"] == "late_success"
    now = await world.app.payment(failed["id"])
    number = now["channel_transaction_no"]
    assert number
    assert now == failed | {"fee": failed["expected_fee"], "channel_transaction_no": number}  # the money moved
    assert [entry["kind"] for entry in await world.app.said(failed["id"], "anomaly_found")] == ["late_success"]
    # The money has moved, so the user's day counts it.
    [usage] = await world.sql("SELECT reserved, succeeded FROM channel_usage WHERE user_id = $1", failed["user_id"])
    assert (usage["reserved"], usage["succeeded"]) == (0, failed["amount"])


# Authentication


async def test_a_lost_answer_to_an_authentication_is_asked_about_and_the_payment_goes_on(world: World) -> None:
    opened = await world.openings()
    await world.fault("unionpay", "reset_after", times=1, match={"operation": "authenticate"})
    payment = await world.app.pay_to_the_end(world.order(world.dear()))
    assert payment["status"] == "succeeded"
    assert await world.openings() == opened + 1
    await charged_once(world, world.app, payment)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("reset_before", "authenticate"), None),
        (("error_after", "authenticate"), ("garbage", "query_authentication")),
    ],
)
async def test_an_authentication_that_nobody_can_tell_of_charges_nothing(
    world: World, first: tuple[str, str], then: tuple[str, str] | None
) -> None:
    for fault, operation in filter(None, (first, then)):
        await world.fault("unionpay", fault, times=1, match={"operation": operation})
    payment = await world.app.pay_to_the_end(world.order(world.dear()))
    failure = payment["failure"]
    assert (failure["code"], failure["blame"]) == ("authentication_unknown", "channel")
    assert await world.at_the_psp(payment) is None


async def test_an_authentication_that_is_refused_charges_nothing(world: World) -> None:
    payment = await world.app.pay(world.order(world.dear(), card=world.card(tail="0066")))
    failure = payment["failure"]
    assert (failure["code"], failure["blame"], failure["channel_code"]) == ("authentication_rejected", "payer", "66")
    assert await world.at_the_psp(payment) is None
