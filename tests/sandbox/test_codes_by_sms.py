"""Codes by SMS at the mocks: the inbox, what a code stands for, agreements, magic cards and faults for them.

Not tested here: what the adapters make of it (tests/adapters/test_codes_on_sandbox.py).
"""

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from sandbox.sms import SMS_VALID_S, SmsLog
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, PHONE, Sandbox, codes


def agrmno_in(text: str) -> str:
    [number] = re.findall(r"<AGRMNO>(\d+)</AGRMNO>", text)
    return str(number)


async def signed(sandbox: Sandbox, card: str = CARD, phone: str = PHONE) -> str:
    """The agreement of a card that was just signed at Allinpay."""
    merchant, sms_of = sandbox.allinpay, sandbox.allinpay.number()
    assert codes(await merchant.send(merchant.signing_sms(sms_of, card, phone))) == ["0000", "0000"]
    return agrmno_in(await merchant.send(merchant.signing(sms_of, (await sandbox.inbox(phone))[-1]["code"])))


async def test_one_inbox_has_the_sms_of_all_providers_in_order_and_says_whose_they_are(sandbox: Sandbox) -> None:
    bank, tlt = sandbox.unionpay, sandbox.allinpay
    opening, signing, charge = bank.number(), tlt.number(), bank.number()
    await bank.send(bank.opening_sms(opening))
    await tlt.send(tlt.signing_sms(signing))
    await bank.send(bank.consuming_sms(charge, await bank.open()))
    arrived = await sandbox.inbox()
    assert [(sms["provider"], sms["purpose"], sms["order_no"]) for sms in arrived] == [
        ("unionpay", "sign", opening),
        ("allinpay", "sign", signing),
        ("unionpay", "pay", charge),
    ]
    assert await sandbox.inbox(path="unionpay/sms") == [arrived[0], arrived[2]]
    assert await sandbox.inbox(phone="13900000000") == []
    _, later = await sandbox.control("GET", f"sms?since={quote(arrived[1]['sent_at'])}")
    assert arrived[0] not in later["sms"]
    assert later["sms"][-1] == arrived[2]
    status, _ = await sandbox.control("GET", "sms?since=yesterday")
    assert status == 422


@pytest.mark.parametrize("change", [{"txnTime": "20260301120001"}, {"txnAmt": "1001"}])
async def test_a_unionpay_code_stands_for_the_number_time_and_amount_of_its_sms(
    sandbox: Sandbox, change: dict[str, str]
) -> None:
    merchant, order_no = sandbox.unionpay, sandbox.unionpay.number()
    token = await merchant.open()
    await merchant.send(merchant.consuming_sms(order_no, token))
    typed = {"customerInfo": merchant.customer(smsCode=(await sandbox.inbox())[-1]["code"])}
    charge = merchant.consuming(order_no, token) | typed
    assert (await merchant.send(charge | change))["respCode"] == "71"
    assert (await merchant.send(charge))["respCode"] == "00"


async def test_an_issuer_that_sends_no_sms_says_so(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    assert (await merchant.send(merchant.opening_sms(merchant.number(), "6222021234560079")))["respCode"] == "79"
    assert await sandbox.inbox() == []


async def test_a_silent_opening_may_turn_out_to_need_a_code(sandbox: Sandbox) -> None:
    merchant, card, order_no = sandbox.unionpay, "6222021234569801", sandbox.unionpay.number()
    assert (await merchant.send(merchant.opening(order_no, card)))["respCode"] == "71"
    await merchant.send(merchant.opening_sms(order_no, card))
    code = (await sandbox.inbox())[-1]["code"]
    assert (await merchant.send(merchant.opening(order_no, card, smsCode=code)))["respCode"] == "00"


async def test_an_allinpay_card_is_signed_with_its_code_and_paid_by_its_agreement(sandbox: Sandbox) -> None:
    merchant, order_no = sandbox.allinpay, sandbox.allinpay.number()
    agrmno = await signed(sandbox)
    assert agrmno == await signed(sandbox)
    assert codes(await merchant.send(merchant.paying(order_no, agrmno, 1234))) == ["0000", "0000"]
    assert await merchant.query(order_no) == ["0000", "0000"]
    order = await sandbox.order("allinpay", order_no)
    assert order is not None
    assert (order["kind"], order["amount"], order["state"]) == ("pay", 1234, "succeeded")
    assert codes(await merchant.send(merchant.paying(order_no, agrmno, 1234))) == ["3051"]


async def test_an_allinpay_code_belongs_to_the_310001_that_the_signing_names(sandbox: Sandbox) -> None:
    merchant, first, second = sandbox.allinpay, sandbox.allinpay.number(), sandbox.allinpay.number()
    await merchant.send(merchant.signing_sms(first))
    await merchant.send(merchant.signing_sms(second))
    assert codes(await merchant.send(merchant.signing_sms(second))) == ["3051"]
    code = (await sandbox.inbox())[-1]["code"]
    wrong = "000000" if code != "000000" else "111111"
    for tried in (merchant.signing(second, wrong), merchant.signing("nothing", code)):
        assert codes(await merchant.send(tried)) == ["0000", "3999"]
    assert codes(await merchant.send(merchant.signing(second, code))) == ["0000", "0000"]


async def test_an_agreement_that_is_wrong_or_given_up_pays_nothing(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    agrmno = await signed(sandbox)
    for wrong in (merchant.paying("w1", "1" * 18), merchant.paying("w2", agrmno, card="6222021234567891")):
        assert codes(await merchant.send(wrong)) == ["0000", "3045"]
    assert codes(await merchant.send(merchant.giving_up(agrmno))) == ["0000", "0000"]
    assert codes(await merchant.send(merchant.giving_up(agrmno))) == ["0000", "3047"]
    assert codes(await merchant.send(merchant.paying("w3", agrmno))) == ["0000", "3047"]
    assert await sandbox.order("allinpay", "w3") is None


async def test_agreements_survive_a_restart_and_card_numbers_are_in_no_file(start: Start, tmp_path: Path) -> None:
    first = await start(data_dir=tmp_path)
    agrmno = await signed(first)
    await first.stop()
    merchant = (await start(data_dir=tmp_path)).allinpay
    assert codes(await merchant.send(merchant.paying("after1", agrmno))) == ["0000", "0000"]
    written = (tmp_path / "allinpay.jsonl").read_text()
    assert agrmno in written
    assert CARD not in written
    assert PHONE not in written


@pytest.mark.parametrize("tail", ["3031", "3004", "9812"])
async def test_a_card_may_be_refused_before_any_sms(sandbox: Sandbox, tail: str) -> None:
    merchant = sandbox.allinpay
    said = codes(await merchant.send(merchant.signing_sms("s1", f"622202123456{tail}")))
    assert said == ["0000", tail if tail != "9812" else "3031"]
    assert await sandbox.inbox() == []


async def test_a_code_that_is_never_delivered_is_in_no_inbox(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    assert (await merchant.send(merchant.opening_sms(merchant.number(), "6222021234569803")))["respCode"] == "00"
    await sandbox.fault("unionpay", "lose_sms", times=1)
    assert (await merchant.send(merchant.opening_sms(merchant.number())))["respCode"] == "00"
    assert await sandbox.inbox() == []


async def test_a_code_may_be_too_old_by_a_fault_or_every_other_time_by_its_card(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    await sandbox.fault("unionpay", "expire_code", times=1)
    for card, answers in ((CARD, ["69", "00"]), ("6222021234569802", ["69", "00"])):
        order_no = merchant.number()
        for answer in answers:
            await merchant.send(merchant.opening_sms(order_no, card))
            code = (await sandbox.inbox())[-1]["code"]
            assert (await merchant.send(merchant.opening(order_no, card, smsCode=code)))["respCode"] == answer


@pytest.mark.parametrize("provider", ["unionpay", "allinpay"])
async def test_a_wish_for_an_sms_can_be_declined_or_lose_its_answer(sandbox: Sandbox, provider: str) -> None:
    code = {"unionpay": "37", "allinpay": "3015"}[provider]
    await sandbox.fault(provider, "decline", code=code, times=1, match={"operation": "send_code"})
    bank, tlt = sandbox.unionpay, sandbox.allinpay
    if provider == "unionpay":
        assert (await bank.send(bank.opening_sms(bank.number())))["respCode"] == code
    else:
        assert codes(await tlt.send(tlt.signing_sms(tlt.number()))) == ["0000", code]
    assert await sandbox.inbox() == []


async def test_two_phones_bind_a_card_and_a_third_does_not(sandbox: Sandbox) -> None:
    merchant, card = sandbox.unionpay, "6222021234569804"
    reserved, other, third = "13800009804", "13900009804", "13700009804"
    states = {}
    for phone in (reserved, other):
        opened = await merchant.send(merchant.opening(merchant.number(), card, phoneNo=phone))
        assert opened["respCode"] == "00"
        withhold = merchant.withholding(merchant.number(), card=card) | {
            "customerInfo": merchant.customer(phoneNo=phone)
        }
        await merchant.send(withhold)
        order = await sandbox.final("unionpay", withhold["orderId"])
        states[phone] = (order["state"], order["code"])
    assert states == {reserved: ("succeeded", "00"), other: ("failed", "66")}
    refused = await merchant.send(merchant.opening(merchant.number(), card, phoneNo=third))
    assert refused["respCode"] == "66"


def test_a_code_is_right_for_five_minutes() -> None:
    now = [1000.0]
    log = SmsLog("x", clock=lambda: now[0])
    log.send("1", "sign", "o")
    [sms] = log.to("1")
    now[0] += SMS_VALID_S - 1
    assert log.check("o", "sign", sms.code) == "right"
    assert log.check("o", "pay", sms.code) == "wrong"
    now[0] += 1
    assert log.check("o", "sign", sms.code) == "expired"
