"""Payers who were charged for payments that we called failed: found, shown, given back, or taken as paid and settled.

Not here: what runs at once on the books (tests/storage), how a contradiction is found (test_money_is_safe).
"""

from typing import Any

import pytest

from gateway.domain.catalogue import AuthenticationMode
from tests.e2e.business import App, Shown
from tests.e2e.signers import Signer, merchant_with
from tests.e2e.waiting import until
from tests.e2e.world import World

NOTE = {"note": "UnionPay says that it was paid", "by": "li"}


@pytest.fixture(scope="module")
async def app(world: World) -> App:
    """A merchant whose payments go to UnionPay; at Allinpay it pays out."""
    unionpay = Signer("unionpay", "unionpay", AuthenticationMode.SILENT, 10)
    return await merchant_with(world, unionpay, Signer("allinpay", "allinpay", AuthenticationMode.NONE, 20))


async def charged(world: World, app: App) -> Shown:
    """A payment that failed by a rule that is far too short for this PSP, which calls it paid later."""
    order = world.order(world.dear())
    await world.fault("unionpay", "reset_after", order["amount"])
    await world.fault("unionpay", "not_found", order["amount"], seconds=60)
    await world.fault("unionpay", "delay_callback", order["amount"], seconds=3)
    failed = await app.pay_to_the_end(order)
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "channel_unavailable")
    return failed


async def anomaly_of(world: World, app: App, payment: Shown) -> tuple[str, Shown]:
    """Where operators find the anomaly of a payment, and what they see of it."""
    at = f"/merchants/{await world.code_of(app)}/anomalies"

    async def look() -> Shown | None:
        found = (await world.admin("GET", at)).body["data"]
        return next((each for each in found if each["payment"] == payment["id"]), None)

    shown = await until(look, f"the anomaly of {payment['id']}")
    return f"{at}/{shown['id']}/resolve", shown


async def resolved(world: World, path: str, **how: Any) -> Shown:
    answer = await world.admin("POST", path, NOTE | how)
    assert answer.status == 200, answer.raw
    return dict(answer.body)


async def test_who_was_charged_for_a_failed_payment_gets_the_money_back(world: World, app: App) -> None:
    failed = await charged(world, app)
    _, told = await app.told(failed["id"], 2)
    path, shown = await anomaly_of(world, app, failed)
    assert (shown["kind"], told["body"]["anomaly"]["id"]) == ("late_success", shown["id"])
    plain = await app.refund(failed, failed["amount"])
    assert (plain.status, plain.body["code"]) == (409, "payment_has_anomaly")
    word = await resolved(world, path, resolution="refunded")
    assert (word["resolution"], word["resolved_by"], word["correction"]) == ("refunded", "li", None)
    refund = await app.refunded(word["refund"])
    assert (refund["status"], refund["amount"], refund["anomaly"]) == ("succeeded", failed["amount"], shown["id"])
    assert refund["merchant_order_no"] == f"{failed['merchant_order_no']}~r"
    [event] = await app.told(refund["id"])
    assert event["type"] == "refund.succeeded"
    [row] = await world.transactions("unionpay", refund["channel_order_no"])
    assert (row["amount"], row["original"], row["submissions"]) == (failed["amount"], failed["channel_order_no"], 1)
    again = await world.admin("POST", path, NOTE | {"resolution": "taken_as_paid"})
    assert (again.status, again.body["code"]) == (409, "already_resolved")
    now = await app.payment(failed["id"])
    assert (now["status"], now["refunded"]) == ("failed", failed["amount"])


async def test_what_was_charged_is_taken_as_paid_told_settled_and_refunded(world: World, app: App) -> None:
    failed = await charged(world, app)
    path, shown = await anomaly_of(world, app, failed)
    word = await resolved(world, path, resolution="taken_as_paid")
    assert (word["resolution"], word["refund"]) == ("taken_as_paid", None)
    [event] = await app.told(word["correction"])
    paid = event["body"]["data"]
    assert (event["type"], paid["status"], paid["corrects"]) == ("payment.succeeded", "succeeded", failed["id"])
    assert paid["merchant_order_no"] == f"{failed['merchant_order_no']}~c"
    assert paid == await app.payment(paid["id"])
    assert (await app.payment(failed["id"]))["status"] == "failed"
    assert (await app.get(f"/v1/payments/{paid['id']}/decision"))["chosen"] == "unionpay"
    whole = paid["amount"]
    payout = {
        "merchant_order_no": f"payout-{world.number()}",
        "channel": "allinpay",
        "amount": whole - 100,
        "currency": "CNY",
        "account": {"type": "personal", "account_no": "6222021001112222335", "name": "张三", "bank": "ICBC"},
        "purpose": "还款",
        "settles": [{"payment": paid["id"], "amount": whole - 100}],
    }
    settled = await app.call("POST", "/v1/payouts", payout)
    assert settled.status == 201, settled.raw
    over = await app.refund(paid, 101)
    assert (over.status, over.body["code"], over.body["left"]) == (409, "amount_exceeds_rest", 100)
    refund = await app.refunded((await app.refund(paid, 100)).body["id"])
    assert refund["status"] == "succeeded"
    [row] = await world.transactions("unionpay", refund["channel_order_no"])
    assert row["original"] == failed["channel_order_no"]
    now = await app.payment(paid["id"])
    assert (now["refunded"], now["settled"]) == (100, whole - 100)
    other = await app.refund(failed, 1, anomaly=shown["id"])
    assert (other.status, other.body["code"]) == (409, "already_resolved")


async def test_a_bad_word_about_an_anomaly_is_refused_with_its_field(world: World, app: App) -> None:
    failed = await charged(world, app)
    path, shown = await anomaly_of(world, app, failed)
    for bad, field in (
        ({"resolution": "forgotten"}, "resolution"),
        ({"resolution": None}, "resolution"),
        ({"resolution": "refunded", "amount": 0}, "amount"),
        ({"resolution": "explained", "amount": 5}, "amount"),
        ({"resolution": "taken_as_paid", "amount": 5}, "amount"),
    ):
        answer = await world.admin("POST", path, NOTE | bad)
        assert (answer.status, [each["field"] for each in answer.body["errors"]]) == (422, [field]), answer.raw
    over = await world.admin("POST", path, NOTE | {"resolution": "refunded", "amount": failed["amount"] + 1})
    assert (over.status, over.body["code"], over.body["left"]) == (409, "amount_exceeds_rest", failed["amount"])
    nobody = path.replace(shown["id"], "ano_01m8artgp3eexa092xst6mp5gy")
    assert (await world.admin("POST", nobody, NOTE | {"resolution": "refunded"})).status == 404
    foreign = await app.pay_to_the_end(world.order(world.dear()))
    not_its = await app.refund(foreign, 1, anomaly=shown["id"])
    assert (not_its.status, [each["field"] for each in not_its.body["errors"]]) == (422, ["anomaly"])
    assert (await resolved(world, path))["resolution"] == "explained"
