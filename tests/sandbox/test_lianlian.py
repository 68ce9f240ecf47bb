"""LianLian's mock over a socket: binding, paying at once and by SMS, questions, notices, refusals, a restart.

Does not test the faults (test_faults.py, and the adapter on the sandbox) nor that the real LianLian behaves so.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature

from tests.sandbox.conftest import Start, _serve
from tests.sandbox.lianlian_merchant import PHONE, LianLianMerchant, Thanks
from tests.sandbox.merchants import CARD, Sandbox


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession) -> LianLianMerchant:
    return LianLianMerchant(sandbox.address, keys, session)


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Thanks, str]]:
    thanks, app = Thanks(), web.Application()
    app.router.add_post("/callbacks", thanks.take)
    runner, address = await _serve(app)
    yield thanks, f"{address}/callbacks"
    await runner.cleanup()


async def test_a_bound_card_pays_at_once_and_is_found_by_a_question(
    sandbox: Sandbox, merchant: LianLianMerchant
) -> None:
    number, agreement = merchant.number(), await merchant.bind()
    paid = await merchant.prepay(number, no_agree=agreement)
    assert (paid["ret_code"], paid["money_order"], paid["no_order"]) == ("0000", "12.34", number)
    asked = await merchant.query(number, query_version="1.1")
    assert (asked["result_pay"], asked["oid_paybill"], asked["memo"]) == ("SUCCESS", paid["oid_paybill"], "")
    shown = await sandbox.order("lianlian", number)
    assert shown is not None
    assert (shown["kind"], shown["amount"], shown["card"]) == ("consume", 1234, "622202******7890")


async def test_a_card_without_an_agreement_pays_by_sms_and_is_bound_then(merchant: LianLianMerchant) -> None:
    number = merchant.number()
    waiting = await merchant.prepay(number)
    assert waiting["ret_code"] == "8888"
    sms = await merchant.sms()
    assert (sms["phone"], sms["purpose"]) == (PHONE, "pay")
    assert (await merchant.query(number))["result_pay"] == "WAITING"
    paid = await merchant.pay(number, waiting["token"], sms["code"])
    assert (paid["ret_code"], (await merchant.query(number))["result_pay"]) == ("0000", "SUCCESS")
    assert (await merchant.prepay(merchant.number(), no_agree=paid["no_agree"]))["ret_code"] == "0000"


async def test_a_token_is_of_one_order_and_one_amount_and_is_used_once(merchant: LianLianMerchant) -> None:
    number, other = merchant.number(), merchant.number()
    token, _ = (await merchant.prepay(number))["token"], await merchant.prepay(other)
    code = (await merchant.sms())["code"]
    assert (await merchant.pay(other, token, code))["ret_code"] == "1000"
    token, code = (await merchant.prepay(number))["token"], (await merchant.sms())["code"]
    assert (await merchant.pay(number, token, code, "12.35"))["ret_code"] == "7017"
    assert (await merchant.pay(number, token, code))["ret_code"] == "0000"
    assert (await merchant.pay(number, token, code))["ret_code"] == "2007"


async def test_an_order_is_paid_once_whatever_is_sent_under_its_number(merchant: LianLianMerchant) -> None:
    number, agreement = merchant.number(), await merchant.bind()
    await merchant.prepay(number, no_agree=agreement)
    assert (await merchant.prepay(number, no_agree=agreement))["ret_code"] == "2007"
    assert (await merchant.prepay(number, "99.99", no_agree=agreement))["ret_code"] == "2007"
    refused = merchant.number()
    assert (await merchant.prepay(refused, "99600.01", no_agree=agreement))["ret_code"] == "0000"
    magic = merchant.number()
    assert (await merchant.prepay(magic, "9960.01", no_agree=agreement))["ret_code"] == "6001"
    assert (await merchant.prepay(magic, "9960.01", no_agree=agreement))["ret_code"] == "1002"
    asked = await merchant.query(magic, query_version="1.1")
    assert (asked["result_pay"], asked["memo"]) == ("FAILURE", "卡余额不足")


async def test_an_order_that_waits_for_a_code_lapses(merchant: LianLianMerchant) -> None:
    number = merchant.number()
    fields = merchant.paying(number) | {"valid_order": "0"}
    token = (await merchant.send("mpayapi/v1/bankcardprepay", fields))["token"]
    assert (await merchant.query(number))["result_pay"] == "CLOSED"
    assert (await merchant.pay(number, token, (await merchant.sms())["code"]))["ret_code"] != "0000"


@pytest.mark.parametrize(("money", "code"), [("9800.01", "0000"), ("9800.03", "6001")])
async def test_an_order_can_be_processing_first_and_final_later(
    sandbox: Sandbox, merchant: LianLianMerchant, money: str, code: str
) -> None:
    number, agreement = merchant.number(), await merchant.bind()
    assert (await merchant.prepay(number, money, no_agree=agreement))["ret_code"] == "2008"
    assert (await merchant.query(number))["result_pay"] == "PROCESSING"
    assert (await sandbox.final("lianlian", number))["code"] == code


async def test_a_bound_card_keeps_its_agreement_until_it_is_given_up(merchant: LianLianMerchant) -> None:
    agreement = await merchant.bind()
    assert await merchant.bind() == agreement
    assert await merchant.bind("6222021234560000") != agreement
    assert [(await merchant.unbind(agreement))["ret_code"] for _ in range(2)] == ["0000", "3003"]
    assert (await merchant.prepay(merchant.number(), no_agree=agreement))["ret_code"] == "3003"
    assert await merchant.bind() != agreement


async def test_a_wrong_signature_and_what_cannot_be_opened_leave_no_trace(
    sandbox: Sandbox, merchant: LianLianMerchant
) -> None:
    number, path = merchant.number(), "mpayapi/v1/bankcardprepay"
    signed = merchant.signed(merchant.paying(number))
    altered = merchant.sealed(signed | {"money_order": "12.35"})
    sealed = merchant.sealed(signed)
    pieces = sealed["pay_load"].split("$")
    forged = "$".join([*pieces[:4], pieces[4][::-1], pieces[5]])
    for sent, code in (
        (altered, "1001"),
        (sealed | {"pay_load": forged}, "4007"),
        (sealed | {"pay_load": "lianpay1_0_1$x"}, "4007"),
        (sealed | {"oid_partner": "2" * 18}, "3001"),
        (signed, "4007"),
        ([], "1012"),
    ):
        assert (await merchant.post(path, sent))["ret_code"] == code
    assert await sandbox.order("lianlian", number) is None


@pytest.mark.parametrize(
    "change",
    [
        {"money_order": "12.3"},
        {"money_order": "0.00"},
        {"id_type": "2"},
        {"user_id": "u" * 33},
        {"risk_item": ""},
        {"name_goods": "长" * 41},
        {"notify_url": "ftp://x"},
        {"bind_mob": "1"},
        {"dt_order": "today"},
    ],
)
async def test_wrong_content_is_refused_before_any_work(
    sandbox: Sandbox, merchant: LianLianMerchant, change: dict[str, str]
) -> None:
    number = merchant.number()
    answer = await merchant.send("mpayapi/v1/bankcardprepay", merchant.paying(number) | change)
    assert answer["ret_code"] == "1004"
    assert await sandbox.order("lianlian", number) is None


async def test_a_notice_is_sent_until_it_is_thanked_for(merchant: LianLianMerchant, inbox: tuple[Thanks, str]) -> None:
    thanks, url = inbox
    thanks.texts = ["ok", '{"ret_code": "9999"}', "[]"]
    number, agreement = merchant.number(), await merchant.bind()
    paid = await merchant.prepay(number, url=url, no_agree=agreement)
    notices = await thanks.wait_for(4)
    assert all(notice == notices[0] for notice in notices)
    assert (notices[0]["no_order"], notices[0]["oid_paybill"]) == (number, paid["oid_paybill"])
    assert (notices[0]["result_pay"], notices[0]["money_order"]) == ("SUCCESS", "12.34")
    assert not {"ret_code", "ret_msg"} & notices[0].keys()
    merchant.believe(notices[0])


@pytest.mark.parametrize("fault", ["corrupt_callback", "forge_callback"])
async def test_a_notice_can_be_altered_or_forged(
    sandbox: Sandbox, merchant: LianLianMerchant, inbox: tuple[Thanks, str], fault: str
) -> None:
    thanks, url = inbox
    await sandbox.fault("lianlian", fault)
    await merchant.prepay(merchant.number(), url=url, no_agree=await merchant.bind())
    [notice] = await thanks.wait_for(1)
    with pytest.raises(InvalidSignature):
        merchant.believe(notice)


async def test_only_what_was_paid_is_notified(
    sandbox: Sandbox, merchant: LianLianMerchant, inbox: tuple[Thanks, str]
) -> None:
    _, url = inbox
    number, agreement = merchant.number(), await merchant.bind()
    await merchant.prepay(number, "9960.01", url=url, no_agree=agreement)
    status, answer = await sandbox.control("POST", "lianlian/callbacks", {"order_no": number})
    assert status == 422
    assert "nothing is notified" in answer["error"]


async def test_agreements_and_waiting_orders_are_found_again_and_no_file_holds_a_person(
    start: Start, keys: Path, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    before = await start(data_dir=tmp_path)
    merchant = LianLianMerchant(before.address, keys, session)
    agreement, gone, waiting = await merchant.bind(), await merchant.bind("6222021234560000"), merchant.number()
    await merchant.unbind(gone)
    token = (await merchant.prepay(waiting))["token"]
    code = (await merchant.sms())["code"]
    await before.stop()

    after = await start(data_dir=tmp_path)
    merchant = LianLianMerchant(after.address, keys, session)
    assert (await merchant.prepay(merchant.number() + "a", no_agree=agreement))["ret_code"] == "0000"
    assert (await merchant.prepay(merchant.number() + "b", no_agree=gone))["ret_code"] == "3003"
    assert (await merchant.query(waiting))["result_pay"] == "WAITING"
    # Tokens and codes are in memory only: after a restart the payer needs another SMS.
    assert (await merchant.pay(waiting, token, code))["ret_code"] == "1000"
    again = await merchant.prepay(waiting)
    assert (await merchant.pay(waiting, again["token"], (await merchant.sms())["code"]))["ret_code"] == "0000"
    await after.stop()
    written = (tmp_path / "lianlian.jsonl").read_bytes()
    assert b"622202******7890" in written
    for secret in (CARD, "张三", PHONE, "110101199003070011"):
        assert secret.encode() not in written
        assert json.dumps(secret).strip('"').encode() not in written


async def test_a_reset_forgets_agreements_and_orders(sandbox: Sandbox, merchant: LianLianMerchant) -> None:
    agreement = await merchant.bind()
    await sandbox.control("POST", "reset")
    assert (await merchant.prepay(merchant.number(), no_agree=agreement))["ret_code"] == "3003"
