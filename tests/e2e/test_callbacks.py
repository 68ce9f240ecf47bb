"""Callbacks that are true, repeated, late, forged, altered, of another amount or of somebody else.

Notices are written here with the keys of the sandbox's UnionPay, as the protocol notes say. Not here: unreadable
answers (`test_money_is_safe`).
"""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.e2e.business import Answer, App, Shown
from tests.e2e.merchants import only, with_spare
from tests.e2e.world import World
from tests.sandbox.merchants import Fields, digest, private_key

STAYS_OPEN_S = 600


class UnionPayPen:
    """Writes notices as UnionPay, or as whoever has the keys that it is given."""

    def __init__(self, keys: Path, owner: str = "psp") -> None:
        folder = keys / "unionpay"
        self._key = private_key(folder / f"{owner}.key.pem")
        self._certificate = (folder / f"{owner}.cert.pem").read_text()

    def signed(self, fields: Fields) -> Fields:
        """The fields with certificate and signature."""
        fields = {**fields, "signPubKeyCert": self._certificate}
        signature = self._key.sign(digest(fields), padding.PKCS1v15(), hashes.SHA256())
        return {**fields, "signature": base64.b64encode(signature).decode()}


@pytest.fixture
def psp(psp_keys: Path) -> UnionPayPen:
    return UnionPayPen(psp_keys)


async def paid_and_open(world: World, app: App) -> Shown:
    """A payment at UnionPay that stays open as far as anybody but us tells."""
    order = world.order(world.dear())
    await world.fault("unionpay", "late_final", order["amount"], seconds=STAYS_OPEN_S)
    await world.fault("unionpay", "lose_callback", order["amount"])
    payment = await app.pay(order)
    assert payment["status"] == "processing"
    return payment


async def notice_of(world: World, payment: Shown, **changed: Any) -> Fields:
    """What UnionPay would tell of the payment's success."""
    theirs = await world.at_the_psp(payment)
    assert theirs is not None
    account = world.merchants["demo"].accounts[0]
    fields = {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "01",
        "txnType": "11",
        "txnSubType": "00",
        "bizType": "000501",
        "accessType": "0",
        "merId": account.settings["mer_id"],
        "orderId": payment["channel_order_no"],
        "txnTime": theirs["txn_time"],
        "txnAmt": str(payment["amount"]),
        "settleAmt": str(payment["amount"]),
        "currencyCode": "156",
        "queryId": theirs["transaction_no"],
        "respCode": "00",
        "respMsg": "成功",
    }
    return fields | changed


async def send(world: World, app: App, fields: Fields | bytes, account: str = "unionpay_main") -> Answer:
    """Send a notice to the address of an account of the app's merchant."""
    code = account if "." in account else f"{await world.code_of(app)}.{account}"
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
    return await world.call("POST", f"{app.gateway}/callbacks/{code}", body, headers)


async def test_a_true_callback_ends_the_payment_and_its_copies_change_nothing(world: World, psp: UnionPayPen) -> None:
    app = await world.merchant()
    payment = await paid_and_open(world, app)
    notice = psp.signed(await notice_of(world, payment))
    answer = await send(world, app, notice)
    # The payment is final before UnionPay is told that it was heard.
    assert (answer.status, answer.raw) == (200, b"ok")
    final = await app.payment(payment["id"])
    assert (final["status"], final["channel_transaction_no"]) == ("succeeded", notice["queryId"])
    for _ in range(3):
        assert (await send(world, app, notice)).status == 200
    assert await app.payment(payment["id"]) == final
    assert [event["type"] for event in await app.told(payment["id"])] == ["payment.succeeded"]


async def test_callbacks_that_are_not_this_psps_word_are_rejected(
    world: World, psp: UnionPayPen, psp_keys: Path
) -> None:
    app = await world.merchant()
    payment = await paid_and_open(world, app)
    fields = await notice_of(world, payment)
    notice = psp.signed(fields)
    byte = urlencode(notice).encode()
    wrong: dict[str, Fields | bytes] = {
        "altered": {**notice, "txnAmt": str(payment["amount"] - 1)},
        "altered by a byte": byte.replace(b"respCode=00", b"respCode=01"),
        "unsigned": fields,
        "signature of another text": {**notice, "signature": psp.signed({**fields, "respMsg": "?"})["signature"]},
        "signed by a merchant": UnionPayPen(psp_keys, "merchant").signed(fields),
        "another merchant number": psp.signed({**fields, "merId": "777290058110048"}),
        "no such order": psp.signed({**fields, "orderId": "0" * 32}),
        "not our number": psp.signed({**fields, "orderId": "order-1"}),
        "no payment": psp.signed({**fields, "txnType": "79"}),
        "an answer to a query": psp.signed({**fields, "origRespCode": "00"}),
        "empty": b"",
        "no form": b"\xff\xfe\x00{}",
    }
    for why, body in wrong.items():
        answer = await send(world, app, body)
        assert (answer.status, answer.raw) == (400, b"rejected"), why
    assert (await app.payment(payment["id"]))["status"] == "processing"
    assert await app.events(payment["id"]) == []
    said = [entry["source"] for entry in await app.said(payment["id"], "channel_said")]
    assert "callback" not in said


async def test_a_callback_at_another_account_is_rejected(world: World, psp: UnionPayPen) -> None:
    app = await world.merchant(with_spare)
    payment = await paid_and_open(world, app)
    assert payment["channel"] == "spare"
    notice = psp.signed(await notice_of(world, payment))
    # All merchants of the tests have the same number at the sandbox, so its signature alone does not tell.
    assert (await send(world, app, notice, "other.unionpay_main")).status == 400
    assert (await send(world, app, notice, "demo.unionpay_main")).status == 400
    assert (await send(world, app, notice, "allinpay_main")).status == 404
    assert (await send(world, app, notice, "unionpay_main")).status == 400
    for unknown in ("nobody.unionpay_main", "unionpay_main.demo", "demo"):
        answer = await send(world, app, notice, unknown)
        assert answer.status == 404
    assert (await app.payment(payment["id"]))["status"] == "processing"
    assert (await send(world, app, notice, "unionpay_spare")).status == 200
    assert (await app.payment(payment["id"]))["status"] == "succeeded"


async def test_another_amount_is_an_anomaly_and_the_payment_stays_open(world: World, psp: UnionPayPen) -> None:
    app = await world.merchant()
    payment = await paid_and_open(world, app)
    wrong = psp.signed(await notice_of(world, payment, txnAmt=str(payment["amount"] + 1)))
    for _ in range(2):
        assert (await send(world, app, wrong)).status == 200
    [event] = await app.told(payment["id"])
    assert (event["type"], event["sequence"]) == ("payment.anomaly", 1)
    assert event["body"]["anomaly"]["kind"] == "amount_mismatch"
    assert event["body"]["data"]["status"] == "processing"
    assert (await app.payment(payment["id"]))["status"] == "processing"
    # The true word ends it all the same.
    assert (await send(world, app, psp.signed(await notice_of(world, payment)))).status == 200
    events = await app.told(payment["id"], 2)
    assert [(e["type"], e["sequence"]) for e in events] == [("payment.anomaly", 1), ("payment.succeeded", 2)]


async def test_a_failure_after_success_is_an_anomaly_and_changes_no_state(world: World, psp: UnionPayPen) -> None:
    app = await world.merchant()
    payment = await app.pay_to_the_end(world.order(world.dear()))
    assert payment["status"] == "succeeded"
    late = psp.signed(await notice_of(world, payment, respCode="64"))
    assert (await send(world, app, late)).status == 200
    _, anomaly = await app.told(payment["id"], 2)
    assert anomaly["body"]["anomaly"]["kind"] == "late_failure"
    assert await app.payment(payment["id"]) == payment


async def test_a_success_after_failure_is_an_anomaly_and_changes_no_state(world: World, psp: UnionPayPen) -> None:
    app = await world.merchant()
    payment = await app.pay_to_the_end(world.order(world.dear(), card=world.card(tail="0064")))
    assert payment["status"] == "failed"
    late = psp.signed(await notice_of(world, payment))
    for _ in range(2):
        assert (await send(world, app, late)).status == 200
    events = await app.told(payment["id"], 2)
    assert [event["type"] for event in events] == ["payment.failed", "payment.anomaly"]
    assert await app.payment(payment["id"]) == payment | {"fee": payment["expected_fee"]}  # the money moved


@pytest.mark.parametrize("fault", ["forge_callback", "corrupt_callback", "lose_callback", "delay_callback"])
async def test_what_callbacks_do_not_tell_is_found_by_polling(world: World, fault: str) -> None:
    order = world.order(world.dear())
    await world.fault("unionpay", fault, order["amount"], **({"seconds": 2} if fault == "delay_callback" else {}))
    payment = await world.app.pay_to_the_end(order)
    assert payment["status"] == "succeeded"
    said = [entry["source"] for entry in await world.app.said(payment["id"], "channel_said")]
    assert said[-1] == "poll"
    assert [event["type"] for event in await world.app.told(payment["id"])] == ["payment.succeeded"]


async def test_many_copies_of_a_callback_at_once_end_it_once(world: World) -> None:
    order = world.order(world.dear())
    await world.fault("unionpay", "duplicate_callback", order["amount"], copies=20)
    payment = await world.app.pay_to_the_end(order)
    again = await world.control("POST", "unionpay/callbacks", {"order_no": payment["channel_order_no"], "count": 5})
    assert again["statuses"] == [200] * 5
    assert [event["type"] for event in await world.app.told(payment["id"])] == ["payment.succeeded"]
    assert await world.app.payment(payment["id"]) == payment


async def test_the_sandboxs_own_wrong_amount_is_an_anomaly(world: World) -> None:
    app = await world.merchant(only("unionpay"), unionpay={"poll_gaps_s": (1.0,)})
    order = world.order(world.dear())
    await world.fault("unionpay", "wrong_amount_callback", order["amount"])
    payment = await app.pay_to_the_end(order)
    assert payment["status"] == "succeeded"
    events = await app.told(payment["id"], 2)
    assert {event["type"] for event in events} == {"payment.anomaly", "payment.succeeded"}
