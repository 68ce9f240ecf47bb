"""The first payments, end to end: by Allinpay (synchronous), by UnionPay (silent authentication, callback), by token.

Not here: what goes wrong (`test_money_is_safe`), requests that are refused (`test_bad_input`).
"""

import orjson
from standardwebhooks import Webhook

from tests.e2e.business import App
from tests.e2e.world import World


async def test_a_withhold_by_allinpay_is_final_in_the_first_answer(world: World) -> None:
    order = world.order(world.cheap())
    payment = await world.app.pay(order)
    assert (payment["status"], payment["channel"], payment["failure"]) == ("succeeded", "allinpay", None)
    assert payment["fee"] == max(20, (order["amount"] * 2 + 500) // 1000)
    assert payment["amount"] == order["amount"]
    assert payment["card"]["bank"] == "ICBC"
    theirs = await world.at_the_psp(payment)
    assert theirs is not None
    assert (theirs["state"], theirs["amount"], theirs["submissions"]) == ("succeeded", order["amount"], 1)


async def test_a_withhold_by_unionpay_opens_the_card_once_and_ends_by_callback(world: World) -> None:
    opened = await world.openings()
    card, user = world.card(), world.user()
    first = await world.app.pay(world.order(world.dear(), card=card, user_id=user))
    assert (first["channel"], first["expected_fee"]) == ("unionpay", 100)
    first = await world.app.final(first["id"])
    assert first["status"] == "succeeded"
    assert first["channel_transaction_no"]
    assert await world.openings() == opened + 1
    assert [entry["status"] for entry in await world.app.said(first["id"], "authentication_finished")] == ["succeeded"]

    second = await world.app.pay_to_the_end(world.order(world.dear(), card=card, user_id=user))
    assert (second["status"], second["channel"]) == ("succeeded", "unionpay")
    assert second["card"]["id"] == first["card"]["id"]
    assert await world.app.said(second["id"], "authentication_started") == []
    assert await world.openings() == opened + 1


async def test_a_callback_tells_the_end_before_any_poll(world: World) -> None:
    app = await world.merchant(unionpay={"poll_gaps_s": (30.0,)})
    payment = await app.pay_to_the_end(world.order(world.dear()))
    assert payment["status"] == "succeeded"
    told = [(entry["source"], entry["says"]) for entry in await app.said(payment["id"], "channel_said")]
    assert told == [("answer", "authentication_authenticated"), ("answer", "processing"), ("callback", "succeeded")]


async def test_a_quick_charge_consumes_with_the_token(world: World) -> None:
    card, user = world.card(), world.user()
    charge = {"scene": "quick_charge", "card": card, "user_id": user}
    first = await world.app.pay_to_the_end(world.order(20_000, **charge))
    assert (first["status"], first["channel"], first["kind"]) == ("succeeded", "unionpay", "charge")
    theirs = await world.at_the_psp(first)
    assert theirs is not None
    assert theirs["kind"] == "consume"

    opened = await world.openings()
    named = world.order(20_000, scene="quick_charge", user_id=user, card=None, card_id=first["card"]["id"])
    second = await world.app.pay_to_the_end(named)
    assert (second["status"], second["card"]) == ("succeeded", first["card"])
    assert await world.openings() == opened


async def test_the_final_state_is_told_once_signed_and_booked_once(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order(world.dear()))
    [event] = await world.app.told(payment["id"])
    assert (event["type"], event["sequence"], event["object_id"]) == ("payment.succeeded", 1, payment["id"])
    [delivery] = world.receiver.of(event["id"])
    verified = Webhook(world.receiver.secret).verify(delivery.body, dict(delivery.headers))
    assert verified == event["body"] == orjson.loads(delivery.body)
    assert verified["data"] == payment
    booked = await world.call("GET", f"{world.receiver.address}/bookings/{payment['id']}")
    assert (booked.body["status"], booked.body["sequence"], booked.body["deliveries"]) == ("succeeded", 1, 1)


async def test_an_event_that_is_sent_again_is_the_same_to_the_byte(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order())
    [event] = await world.app.told(payment["id"])
    answer = await world.app.call("POST", f"/v1/events/{event['id']}/redeliver")
    assert (answer.status, answer.body) == (202, {"deliveries": 1, "held": 0})
    await world.app.told(payment["id"])
    first, second = world.receiver.of(event["id"])
    assert first.body == second.body
    booked = await world.call("GET", f"{world.receiver.address}/bookings/{payment['id']}")
    assert (booked.body["sequence"], booked.body["deliveries"]) == (1, 2)


async def test_a_failure_is_told_with_who_is_to_blame(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order(world.dear(), card=world.card(tail="0064")))
    assert payment["status"] == "failed"
    failure = payment["failure"]
    assert (failure["code"], failure["blame"], failure["advice"]) == ("insufficient_balance", "payer", "retry_later")
    assert failure["channel_code"] == "64"
    [event] = await world.app.told(payment["id"])
    assert (event["type"], event["body"]["data"]) == ("payment.failed", payment)
    chinese = await world.app.call("GET", f"/v1/payments/{payment['id']}", **{"Accept-Language": "zh-CN"})
    assert chinese.body["failure"]["message"] != failure["message"]


async def test_a_refusal_of_the_router_is_a_recorded_payment(world: World) -> None:
    order = world.order(5_000_001)
    payment = await world.app.pay(order)
    assert (payment["status"], payment["channel"], payment["channel_order_no"]) == ("failed", None, None)
    assert (payment["failure"]["code"], payment["failure"]["blame"]) == ("single_limit_exceeded", "platform")
    [event] = await world.app.told(payment["id"])
    assert event["type"] == "payment.failed"
    decision = await world.app.get(f"/v1/payments/{payment['id']}/decision")
    assert (decision["refusal"], decision["max_single_limit"]) == ("single_limit_exceeded", 5_000_000)


async def test_the_decision_and_the_timeline_say_what_happened(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order(world.dear()))
    decision = await world.app.get(f"/v1/payments/{payment['id']}/decision")
    assert (decision["chosen"], decision["chosen_by_step"]) == ("unionpay", 7)
    assert [candidate["channel"] for candidate in sorted(decision["candidates"], key=lambda c: c["rank"])] == [
        "unionpay",
        "allinpay",
    ]
    assert decision["explanation"]
    await world.app.told(payment["id"])
    timeline = await world.app.get(f"/v1/payments/{payment['id']}/timeline")
    happened = [entry["what"] for entry in timeline["data"]]
    in_order = ["payment_taken", "routed", "authentication_started", "authentication_finished", "submitted"]
    assert happened[:5] == in_order
    assert {"channel_said", "payment_finished", "event_written", "delivery_delivered"} <= set(happened)


async def test_payments_are_found_by_what_is_known_of_them(world: World) -> None:
    user = world.user()
    made = [await world.app.pay_to_the_end(world.order(world.cheap(), user_id=user)) for _ in range(3)]
    ids = [payment["id"] for payment in reversed(made)]
    by_user = await world.app.get(f"/v1/payments?user_id={user}")
    assert [payment["id"] for payment in by_user["data"]] == ids
    by_number = await world.app.get(f"/v1/payments?merchant_order_no={made[0]['merchant_order_no']}")
    assert by_number["data"] == [made[0]]
    first_page = await world.app.get(f"/v1/payments?user_id={user}&limit=2&status=succeeded&channel=allinpay")
    second_page = await world.app.get(f"/v1/payments?user_id={user}&limit=2&after={first_page['next']}")
    assert [payment["id"] for payment in first_page["data"] + second_page["data"]] == ids
    assert second_page["next"] is None
    assert (await world.app.get(f"/v1/payments?user_id={user}&status=failed"))["data"] == []


async def test_a_dry_run_says_what_the_payment_then_does_and_records_nothing(world: World) -> None:
    order = world.order(world.dear())
    before = await world.rows()
    question = {name: order[name] for name in ("user_id", "scene", "amount", "card")}
    asked = await world.app.call("POST", "/v1/routes", question)
    assert (asked.status, asked.body["chosen"]) == (200, "unionpay")
    assert await world.rows() == before
    payment = await world.app.pay(order)
    decision = await world.app.get(f"/v1/payments/{payment['id']}/decision")
    assert {name: decision[name] for name in asked.body} == asked.body


async def test_the_same_order_again_answers_the_same_payment(world: World) -> None:
    order = world.order(world.dear())
    payment = await world.app.pay_to_the_end(order)
    again = await world.app.call("POST", "/v1/withholds", order)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.body == payment
    other = await world.app.call("POST", "/v1/withholds", order | {"amount": order["amount"] + 1})
    assert (other.status, other.body["code"]) == (409, "order_conflict")
    theirs = await world.at_the_psp(payment)
    assert theirs is not None
    assert theirs["submissions"] == 1


async def test_an_app_sees_nothing_of_other_apps_and_merchants(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order())
    [event] = await world.app.told(payment["id"])
    keys = ("sk_test_sluice_demo_wallet", "sk_test_sluice_other")
    strangers = [App(world, world.gateway, key) for key in keys]
    for stranger in strangers:
        for path in ("", "/decision", "/timeline"):
            answer = await stranger.call("GET", f"/v1/payments/{payment['id']}{path}")
            assert (answer.status, answer.body["code"]) == (404, "not_found")
        assert (await stranger.call("GET", f"/v1/events/{event['id']}")).status == 404
        assert (await stranger.call("POST", f"/v1/events/{event['id']}/redeliver")).status == 404
        assert (await stranger.get(f"/v1/payments?user_id={payment['user_id']}"))["data"] == []
    # The order number is the app's own: the same one is another order elsewhere.
    own = world.order(20_000, bank="ICBC") | {"merchant_order_no": payment["merchant_order_no"]}
    assert (await strangers[0].pay(own))["id"] != payment["id"]


async def test_a_bank_that_differs_from_that_of_the_card_number_wins_and_is_noted(world: World) -> None:
    payment = await world.app.pay_to_the_end(world.order(world.cheap(), bank="ABC"))
    assert payment["bank"] == "ABC"
    decision = await world.app.get(f"/v1/payments/{payment['id']}/decision")
    assert "ICBC" in decision["record"]["notes"][0]
