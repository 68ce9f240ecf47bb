"""Refunds end to end at UnionPay: parts, what is left, lost answers, notices, and nothing sent twice.

Not here: what kills a process between two lines (`test_seams`), refunds that come back
(test_refunds_at_yeepay_lianlian_jd).
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.e2e.business import App, Shown
from tests.e2e.processes import Crowd
from tests.e2e.test_money_is_safe import UNREADABLE
from tests.e2e.waiting import until
from tests.e2e.world import World

PAID = 100_000


@pytest.fixture
async def paid(world: World) -> Shown:
    """A payment that UnionPay took."""
    payment = await world.app.pay_to_the_end(world.order(world.dear()))
    assert (payment["status"], payment["channel"]) == ("succeeded", "unionpay")
    return payment


async def theirs(world: World, refund: Shown) -> list[Shown]:
    """What UnionPay did under the refund's number."""
    return await world.transactions("unionpay", refund["channel_order_no"])


async def left(app: App, payment: Shown) -> int:
    """What of a payment has not gone back."""
    now = await app.payment(payment["id"])
    return int(now["amount"] - now["refunded"] - now["settled"])


async def test_a_refund_goes_back_on_the_channel_that_took_the_money_and_is_told_once(
    world: World, paid: Shown
) -> None:
    answer = await world.app.refund(paid, 400, reason="多收", metadata={"case": 7})
    assert answer.status == 201, answer.raw
    taken = answer.body
    assert (taken["object"], taken["payment"], taken["channel"], taken["amount"]) == (
        "refund", paid["id"], "unionpay", 400,
    )  # fmt: skip
    assert (await world.app.payment(paid["id"]))["refunded"] == 400
    done = await world.app.refunded(taken["id"])
    assert (done["status"], done["failure"], done["reason"], done["metadata"]) == (
        "succeeded",
        None,
        "多收",
        {"case": 7},
    )
    assert done["channel_transaction_no"]
    [event] = await world.app.told(done["id"])
    assert (event["type"], event["sequence"], event["body"]["data"]) == ("refund.succeeded", 1, done)
    [row] = await theirs(world, done)
    assert (row["kind"], row["amount"], row["state"], row["submissions"]) == ("refund", 400, "succeeded", 1)
    assert row["original"] == paid["channel_order_no"]
    told = [entry["what"] for entry in (await world.app.get(f"/v1/payments/{paid['id']}/timeline"))["data"]]
    assert "refund_asked" in told
    assert [event["type"] for event in await world.app.events(paid["id"])] == ["payment.succeeded"]


async def test_the_same_refund_again_is_the_same_refund_and_other_content_is_a_conflict(
    world: World, paid: Shown
) -> None:
    number = f"refund-{world.number()}"
    first = await world.app.refund(paid, 300, merchant_order_no=number)
    again = await world.app.refund(paid, 300, merchant_order_no=number)
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 200, "true")
    assert again.body["id"] == first.body["id"]
    for change in ({"amount": 301}, {"reason": "other"}):
        order = {"merchant_order_no": number, "payment": paid["id"], "amount": 300} | change
        answer = await world.app.call("POST", "/v1/refunds", order)
        assert (answer.status, answer.body["code"]) == (409, "order_conflict")
    # One space of numbers for every kind of order.
    answer = await world.app.refund(paid, 300, merchant_order_no=paid["merchant_order_no"])
    assert (answer.status, answer.body["code"]) == (409, "order_conflict")
    answer = await world.app.call("POST", "/v1/withholds", world.order(merchant_order_no=number))
    assert (answer.status, answer.body["code"]) == (409, "order_conflict")
    done = await world.app.refunded(first.body["id"])
    assert len(await theirs(world, done)) == 1


async def test_parts_never_exceed_the_payment_and_a_refused_number_is_not_burnt(world: World, paid: Shown) -> None:
    most = paid["amount"] - 1
    assert (await world.app.refund(paid, most)).status == 201
    number = f"refund-{world.number()}"
    answer = await world.app.refund(paid, 2, merchant_order_no=number)
    assert (answer.status, answer.body["code"], answer.body["left"]) == (409, "amount_exceeds_rest", 1)
    assert (await world.app.refund(paid, 1, merchant_order_no=number)).status == 201
    assert await left(world.app, paid) == 0


@pytest.mark.parametrize("amount", [0, -1, 1.5, "100", None, True, 10**18])
async def test_an_amount_that_is_none_is_refused_and_nothing_is_sent(world: World, paid: Shown, amount: Any) -> None:
    answer = await world.app.refund(paid, amount)
    assert (answer.status, [error["field"] for error in answer.body["errors"]]) == (422, ["amount"])
    assert await left(world.app, paid) == paid["amount"]


async def test_only_what_was_paid_can_go_back(world: World) -> None:
    failed = await world.app.pay_to_the_end(world.order(world.dear(), card=world.card(tail="0064")))
    answer = await world.app.refund(failed, 1)
    assert (answer.status, answer.body["code"]) == (409, "payment_not_succeeded")
    paid = await world.app.pay_to_the_end(world.order(world.cheap()))
    other = await world.merchant()
    answer = await other.refund(paid, 1)
    assert (answer.status, [error["field"] for error in answer.body["errors"]]) == (422, ["payment"])


async def test_a_refund_of_another_app_is_not_there(world: World, paid: Shown) -> None:
    taken = (await world.app.refund(paid, 100)).body
    other = await world.merchant()
    assert (await other.call("GET", f"/v1/refunds/{taken['id']}")).status == 404


async def test_a_refund_that_fails_frees_its_sum(world: World, paid: Shown) -> None:
    await world.fault("unionpay", "decline", 777, code="60", when="final", match={"operation": "refund"})
    taken = (await world.app.refund(paid, 777)).body
    failed = await world.app.refunded(taken["id"])
    assert (failed["status"], failed["failure"]["channel_code"]) == ("failed", "60")
    [event] = await world.app.told(failed["id"])
    assert event["type"] == "refund.failed"
    assert await left(world.app, paid) == paid["amount"]
    assert (await world.app.refund(paid, paid["amount"])).status == 201


@pytest.mark.parametrize(("fault", "how"), UNREADABLE)
async def test_a_refund_whose_answer_is_lost_stays_taken_and_is_found_by_asking(
    world: World, paid: Shown, fault: str, how: dict[str, Any]
) -> None:
    amount = 1000 + world.number()
    await world.fault("unionpay", fault, amount, match={"operation": "refund"}, **how)
    await world.fault("unionpay", "lose_callback", amount)
    answer = await world.app.refund(paid, amount)
    assert (answer.status, answer.body["status"]) == (201, "processing")
    # While nobody knows, the sum is taken.
    over = await world.app.refund(paid, paid["amount"] - amount + 1)
    assert (over.status, over.body["left"]) == (409, paid["amount"] - amount)
    done = await world.app.refunded(answer.body["id"])
    assert done["status"] == "succeeded"
    [row] = await theirs(world, done)
    assert (row["submissions"], row["amount"]) == (1, amount)
    assert len(await world.app.told(done["id"])) == 1


async def test_fifty_parts_at_two_gateways_never_exceed_the_payment(crowd: Crowd) -> None:
    world, parts, part = crowd.world, 50, 3000
    payment = await world.app.pay_to_the_end(world.order(PAID))
    apps = [world.app.at(address) for address in crowd.addresses]
    answers = await asyncio.gather(*(apps[each % 2].refund(payment, part) for each in range(parts)))
    room = PAID // part
    assert Counter(answer.status for answer in answers) == {201: room, 409: parts - room}
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"amount_exceeds_rest"}
    done = await asyncio.gather(*(world.app.refunded(answer.body["id"]) for answer in answers if answer.status == 201))
    assert {refund["status"] for refund in done} == {"succeeded"}
    rows = [row for row in await world.transactions("unionpay") if row["original"] == payment["channel_order_no"]]
    assert [(row["amount"], row["submissions"]) for row in rows] == [(part, 1)] * room
    assert await left(world.app, payment) == PAID - room * part


async def test_two_that_together_are_too_much_at_two_gateways_are_one(crowd: Crowd) -> None:
    world = crowd.world
    apps = [world.app.at(address) for address in crowd.addresses]
    for _ in range(10):
        payment = await world.app.pay_to_the_end(world.order(10_000, scene="quick_charge"))
        answers = await asyncio.gather(*(app.refund(payment, 6000) for app in apps))
        assert sorted(answer.status for answer in answers) == [201, 409]


async def test_a_refund_notice_ends_the_refund_and_leaves_the_payment_alone(world: World) -> None:
    app = await world.merchant(unionpay={"poll_gaps_s": (30.0,)})
    payment = await app.pay_to_the_end(world.order(world.dear()))
    taken = (await app.refund(payment, 500)).body
    done = await app.refunded(taken["id"])
    assert done["status"] == "succeeded"
    sources = await world.sql(
        "SELECT o.source FROM observations o JOIN intents i ON i.object_id = o.object_id AND i.verb = o.verb "
        "WHERE i.number = $1 ORDER BY o.observed_at", done["channel_order_no"],
    )  # fmt: skip
    assert [row["source"] for row in sources] == ["answer", "callback"]
    assert await app.payment(payment["id"]) == payment | {"refunded": 500}


async def test_a_refund_that_nobody_asked_for_here_is_kept_and_acknowledged(world: World, paid: Shown) -> None:
    """Made by hand at the PSP: its notice names a number that is not ours."""
    taken = (await world.app.refund(paid, 321)).body
    done = await world.app.refunded(taken["id"])
    # The same notice, about an order that is not in the books any more.
    merchant = "(SELECT merchant_id FROM intents WHERE number = $1)"
    await world.sql(f"UPDATE intents SET number = 'x' || number WHERE number = $1 AND merchant_id = {merchant}",
                    done["channel_order_no"])  # fmt: skip
    try:
        answered = await world.control("POST", "unionpay/callbacks", {"order_no": done["channel_order_no"]})
        assert answered["statuses"] == [200], answered

        async def kept() -> list[Any] | None:
            return await world.sql("SELECT verb, says, amount FROM strays WHERE number = $1", done["channel_order_no"])

        [row] = await until(kept, "the stray word")
        assert (row["verb"], row["says"], row["amount"]) == ("refund", "succeeded", 321)
    finally:
        await world.sql("UPDATE intents SET number = substr(number, 2) WHERE number = 'x' || $1",
                        done["channel_order_no"])  # fmt: skip


async def test_a_refund_that_stays_unknown_is_ended_by_the_payment_companys_written_word(
    world: World, paid: Shown
) -> None:
    code = await world.code_of(world.app)
    amount = 2000 + world.number()
    await world.fault("unionpay", "late_final", amount, match={"operation": "refund"}, seconds=60)
    taken = (await world.app.refund(paid, amount)).body
    said = {"object_id": taken["id"], "by": "王芳", "note": "邮件 2026-03-05，附回单"}

    async def record(**word: Any) -> Any:
        return await world.admin("POST", f"/merchants/{code}/observations", said | word)

    assert (await record(says="succeeded")).status == 422  # without the amount
    assert (await record(says="succeeded", amount=amount, note=" ")).status == 422
    answer = await record(says="succeeded", amount=amount, channel_transaction_no="20260305-1")
    assert (answer.status, answer.body["status"], answer.body["channel_transaction_no"]) == (
        200, "succeeded", "20260305-1",
    )  # fmt: skip
    back = await record(says="returned", return_reason="payee_account_abnormal")
    assert (back.body["status"], back.body["returned"]) == ("returned", "payee_account_abnormal")
    assert await left(world.app, paid) == paid["amount"]
    assert [event["type"] for event in await world.app.told(taken["id"], 2)] == ["refund.succeeded", "refund.returned"]
    rows = await world.sql("SELECT note FROM observations WHERE source = 'operator' ORDER BY observed_at")
    assert [row["note"] for row in rows[-2:]] == ["王芳: 邮件 2026-03-05，附回单"] * 2
    assert (await record(says="declined", failure_code="channel_refused", object_id=paid["id"])).status == 200
    assert [event["type"] for event in await world.app.told(paid["id"], 2)][-1] == "payment.anomaly"
    # Whose payment has an open anomaly that is not about the refund, nothing more goes back.
    refused = await world.app.refund(paid, 1)
    assert (refused.status, refused.body["code"]) == (409, "payment_has_anomaly")
