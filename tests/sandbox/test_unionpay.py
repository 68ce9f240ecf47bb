"""UnionPay's mock over a socket: openings, charges, queries, notifications, refusals, magic.

Does not test the faults (test_faults.py) nor that the real UnionPay behaves so: that is what the protocol notes say.
"""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding

from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Mailbox, Sandbox, braces, public_key

SETTLEMENT = {"settleAmt", "settleCurrencyCode", "settleDate", "traceNo", "traceTime"}


async def test_an_opened_card_is_charged_by_its_token_and_notified_with_a_signature(
    sandbox: Sandbox, mailbox: Mailbox
) -> None:
    merchant = sandbox.unionpay
    token, order_no = await merchant.open(), merchant.number()
    answer = await merchant.send(merchant.consuming(order_no, token, 1234, mailbox.url) | {"reqReserved": "备注"})
    assert (answer["respCode"], answer["orderId"]) == ("00", order_no)
    [notice] = await mailbox.wait_for(1)
    merchant.believe(notice)
    assert {k: notice[k] for k in ("respCode", "orderId", "txnAmt", "queryId", "reqReserved")} == {
        "respCode": "00",
        "orderId": order_no,
        "txnAmt": "1234",
        "queryId": answer["queryId"],
        "reqReserved": "备注",
    }
    shown = await sandbox.final("unionpay", order_no)
    assert (shown["kind"], shown["state"], shown["amount"], shown["card"]) == (
        "consume",
        "succeeded",
        1234,
        "622202******7890",
    )


async def test_a_withhold_is_accepted_then_processing_then_succeeded(start: Start, mailbox: Mailbox) -> None:
    sandbox = await start(processing_delay_s=0.2)
    merchant = sandbox.unionpay
    await merchant.open()
    order_no = merchant.number()
    assert (await merchant.send(merchant.withholding(order_no, back_url=mailbox.url)))["respCode"] == "00"
    open_order = await merchant.query(order_no)
    assert (open_order["respCode"], open_order["origRespCode"]) == ("00", "05")
    await mailbox.wait_for(1)
    final = await merchant.query(order_no)
    assert (final["respCode"], final["origRespCode"], final["txnAmt"]) == ("00", "00", "1000")


async def test_only_notifications_and_queries_of_finished_orders_state_the_settlement(
    start: Start, mailbox: Mailbox
) -> None:
    sandbox = await start(processing_delay_s=0.2)
    merchant = sandbox.unionpay
    await merchant.open()
    order_no = merchant.number()
    accepted = await merchant.send(merchant.withholding(order_no, back_url=mailbox.url))
    still_open = await merchant.query(order_no)
    [notice] = await mailbox.wait_for(1)
    finished = await merchant.query(order_no)
    duplicate = await merchant.send(merchant.withholding(order_no, back_url=mailbox.url))
    for without in (accepted, still_open, duplicate):
        assert not SETTLEMENT & set(without)
    stated = {name: notice[name] for name in SETTLEMENT}
    assert stated == {name: finished[name] for name in SETTLEMENT}
    assert (stated["settleAmt"], stated["settleCurrencyCode"]) == ("1000", "156")
    lengths = {"settleDate": 4, "traceNo": 6, "traceTime": 10}
    assert {name: len(stated[name]) for name in lengths} == lengths
    assert "".join(stated[name] for name in lengths).isdecimal()


async def test_an_order_sent_twice_is_worked_once_and_counted_twice(sandbox: Sandbox, mailbox: Mailbox) -> None:
    merchant = sandbox.unionpay
    await merchant.open()
    order_no = merchant.number()
    await merchant.send(merchant.withholding(order_no, back_url=mailbox.url))
    again = await merchant.send(merchant.withholding(order_no, 999, back_url=mailbox.url))
    assert again["respCode"] == "12"
    shown = await sandbox.final("unionpay", order_no)
    assert (shown["submissions"], shown["amount"]) == (2, 1000)


async def test_a_query_needs_the_right_number_and_the_right_time(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    await merchant.open()
    order_no = merchant.number()
    await merchant.send(merchant.withholding(order_no))
    assert (await merchant.query(merchant.number()))["respCode"] == "34"
    assert (await merchant.query(order_no, txnTime="20260301120001"))["respCode"] == "34"


async def test_a_token_dies_with_its_deletion(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    token = await merchant.open()
    deletion = merchant.fields(
        "74/01/000902", merchant.number(), tokenPayData=braces(token=token, trId=merchant.account["tr_id"])
    )
    assert (await merchant.send(deletion))["respCode"] == "00"
    assert (await merchant.send(merchant.consuming(merchant.number(), token)))["respCode"] == "80"
    assert (await merchant.send(merchant.withholding(merchant.number())))["respCode"] == "72"


async def test_a_token_nobody_gave_is_not_enrolled(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    assert (await merchant.send(merchant.consuming(merchant.number(), "6200000000000000000")))["respCode"] == "72"


async def test_an_opening_can_be_asked_for_by_its_order(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    order_no = merchant.number()
    opened = await merchant.send(merchant.opening(order_no))
    asked = await merchant.send(merchant.fields("78/02/000902", order_no))
    assert asked["tokenPayData"] == opened["tokenPayData"]
    assert (await merchant.send(merchant.fields("78/02/000902", merchant.number())))["respCode"] == "34"


async def test_encrypted_card_and_phone_are_understood(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    key = public_key(merchant.encrypt.public_bytes(Encoding.PEM))

    def sealed(text: str) -> str:
        return base64.b64encode(key.encrypt(text.encode(), padding.PKCS1v15())).decode()

    customer = braces(
        certifTp="01", certifId="110101199003070011", customerNm="张三", encryptedInfo=sealed("phoneNo=13800001111")
    )
    opening = merchant.opening(merchant.number()) | {
        "accNo": sealed(CARD),
        "encryptCertId": merchant.account["encrypt_cert_id"],
        "customerInfo": base64.b64encode(customer.encode()).decode(),
    }
    assert (await merchant.send(opening))["respCode"] == "00"


async def test_gbk_is_spoken_when_asked(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    answer = await merchant.send(merchant.fields("78/02/000902", merchant.number()) | {"encoding": "GBK"})
    assert answer["respMsg"].startswith("查无此交易")


async def test_a_wrong_signature_is_refused_and_leaves_no_trace(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    order_no = merchant.number()
    signed = merchant.signed(merchant.opening(order_no)) | {"accNo": "6222021234567891"}
    _, body = await merchant.post("backTransReq.do", signed)
    assert b"respCode=11" in body
    assert await sandbox.order("unionpay", order_no) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"certId": "1"}, "11"),
        ({"merId": "100000000000000"}, "31"),
        ({"txnType": "12", "bizType": "000501"}, "32"),
        ({"orderId": "with-dash-1"}, "10"),
        ({"txnAmt": "0"}, "10"),
        ({"txnAmt": "1.00"}, "10"),
        ({"currencyCode": "840"}, "10"),
        ({"txnTime": "20261301000000"}, "10"),
        ({"backUrl": ""}, "13"),
        ({"accNo": ""}, "13"),
        ({"customerInfo": "not base64"}, "10"),
    ],
)
async def test_a_bad_field_is_refused_with_its_code(sandbox: Sandbox, changed: dict[str, str], code: str) -> None:
    merchant = sandbox.unionpay
    fields = {k: v for k, v in (merchant.withholding(merchant.number()) | changed).items() if v}
    assert (await merchant.send(fields))["respCode"] == code


async def test_every_element_of_the_holder_must_be_there_to_open(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    poor = merchant.opening(merchant.number()) | {
        "customerInfo": base64.b64encode(braces(phoneNo="13800001111").encode()).decode()
    }
    assert (await merchant.send(poor))["respCode"] == "13"


async def test_magic_tail_fails_the_payment_after_it_was_accepted(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    card, order_no = "6222021234560064", merchant.number()
    await merchant.open(card)
    assert (await merchant.send(merchant.withholding(order_no, card=card)))["respCode"] == "00"
    shown = await sandbox.final("unionpay", order_no)
    assert (shown["state"], shown["code"]) == ("failed", "64")
    assert (await merchant.query(order_no))["origRespCode"] == "64"


async def test_magic_tail_of_an_identity_code_refuses_the_opening(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    order_no = merchant.number()
    assert (await merchant.send(merchant.opening(order_no, "6222021234560066")))["respCode"] == "66"
    assert (await sandbox.final("unionpay", order_no))["state"] == "failed"


@pytest.mark.parametrize("tail", ["0043", "0012", "0074"])
async def test_a_tail_that_is_no_final_code_is_an_ordinary_card(sandbox: Sandbox, tail: str) -> None:
    merchant = sandbox.unionpay
    card, order_no = f"622202123456{tail}", merchant.number()
    await merchant.open(card)
    await merchant.send(merchant.withholding(order_no, card=card))
    assert (await sandbox.final("unionpay", order_no))["state"] == "succeeded"


async def test_sms_tail_opens_with_the_code_that_was_sent(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    card, order_no = "6222021234560071", merchant.number()
    assert (await merchant.send(merchant.opening(order_no, card)))["respCode"] == "71"
    ask = merchant.opening_sms(order_no, card)
    assert (await merchant.send(ask))["respCode"] == "00"
    _, shown = await sandbox.control("GET", "unionpay/sms?phone=13800001111")
    [sms] = shown["sms"]
    assert (sms["purpose"], sms["provider"], sms["order_no"]) == ("sign", "unionpay", order_no)
    wrong = "000000" if sms["code"] != "000000" else "111111"
    assert (await merchant.send(merchant.opening(order_no, card, smsCode=wrong)))["respCode"] == "71"
    assert (await merchant.send(merchant.opening(order_no, card, smsCode=sms["code"])))["respCode"] == "00"


@pytest.mark.parametrize(
    ("amount", "answered", "state"),
    [
        (990064, "64", "failed"),
        (990005, "05", "succeeded"),
        (990012, "12", "succeeded"),
        (990070, "70", "succeeded"),
        (980003, "00", "failed"),
    ],
)
async def test_magic_amount_chooses_the_answer(sandbox: Sandbox, amount: int, answered: str, state: str) -> None:
    merchant = sandbox.unionpay
    await merchant.open()
    order_no = merchant.number()
    assert (await merchant.send(merchant.withholding(order_no, amount)))["respCode"] == answered
    assert (await sandbox.final("unionpay", order_no))["state"] == state


async def test_a_notification_is_sent_again_until_it_is_taken(sandbox: Sandbox, mailbox: Mailbox) -> None:
    merchant = sandbox.unionpay
    await merchant.open()
    mailbox.statuses = [500, 404]
    await merchant.send(merchant.withholding(merchant.number(), back_url=mailbox.url))
    first, second, third = await mailbox.wait_for(3)
    assert first == second == third


async def test_a_notification_nobody_takes_is_sent_five_times(start: Start, mailbox: Mailbox) -> None:
    sandbox = await start(callback_time_scale=0.0)
    merchant = sandbox.unionpay
    await merchant.open()
    mailbox.statuses = [500] * 9
    order_no = merchant.number()
    await merchant.send(merchant.withholding(order_no, back_url=mailbox.url))
    await mailbox.wait_for(5)
    status, _ = await sandbox.control("POST", "unionpay/callbacks", {"order_no": order_no})
    assert (status, len(await mailbox.wait_for(6))) == (200, 6)


@pytest.mark.parametrize(("notified", "count"), [(False, 1), (True, 2)])
async def test_failures_are_notified_only_if_the_sandbox_is_told_so(
    start: Start, mailbox: Mailbox, notified: bool, count: int
) -> None:
    sandbox = await start(notify_failures=notified)
    merchant = sandbox.unionpay
    for card in ("6222021234560064", CARD):
        await merchant.open(card)
        order_no = merchant.number()
        await merchant.send(merchant.withholding(order_no, card=card, back_url=mailbox.url))
        await sandbox.final("unionpay", order_no)
    arrived = await mailbox.wait_for(count)
    assert [notice["respCode"] for notice in arrived] == ["64", "00"][-count:]
