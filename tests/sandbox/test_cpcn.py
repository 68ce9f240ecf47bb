"""CPCN's mock over a socket: bindings, SMS, quick payments, withholds with notices, refunds, refusals, magic.

Does not test that the real CPCN behaves so: that is what the protocol notes say.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from sandbox import sms
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Mailbox, Sandbox, private_key, public_key

Leaves = dict[str, str]
PHONE = "13800001111"
NAME = "张三"
ID_NO = "110101199003070011"
TAKEN = base64.b64encode(b"<Response><Head><Code>2000</Code></Head></Response>").decode()


def leaves_of(text: bytes) -> Leaves:
    root = etree.fromstring(text)
    return {str(leaf.tag): leaf.text or "" for part in root for leaf in part}


class CpcnMerchant:
    """Signs as the institution whose keys the sandbox wrote."""

    def __init__(self, sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession) -> None:
        self.address = f"{sandbox.address}/cpcn/Gateway/InterfaceII"
        self.sandbox, self.session = sandbox, session
        folder = keys / "cpcn"
        self.account = json.loads((folder / "account.json").read_text())
        self.key = private_key(folder / "merchant.key.pem")
        self.psp_key = public_key((folder / "psp.cert.pem").read_bytes())
        self.numbers = 0

    def number(self) -> str:
        self.numbers += 1
        return f"cpcn{id(self):x}{self.numbers:06d}"

    def text(self, tx: str, body: Mapping[str, str], **head: str) -> bytes:
        whole = {"InstitutionID": self.account["institution_id"], "TxCode": tx, **head}
        parts = [f"<{name}>{value}</{name}>" for name, value in whole.items()]
        inner = [f"<{name}>{value}</{name}>" for name, value in body.items()]
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><Request version="2.0"><Head>{"".join(parts)}</Head>'
            f"<Body>{''.join(inner)}</Body></Request>"
        ).encode()

    def signature(self, text: bytes) -> str:
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA1()).hex()

    async def post(self, fields: Mapping[str, str]) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.session.post(self.address, data=urlencode(fields), headers=headers) as answer:
            assert answer.status == 200
            return await answer.read()

    def believe(self, message: str, signature: str) -> Leaves:
        text = base64.b64decode(message).strip()
        self.psp_key.verify(bytes.fromhex(signature), text, padding.PKCS1v15(), hashes.SHA1())
        return leaves_of(text)

    async def send(self, tx: str, body: Mapping[str, str], **head: str) -> Leaves:
        """Sign, send, verify: the answer's leaves."""
        text = self.text(tx, body, **head)
        raw = await self.post({"message": base64.b64encode(text).decode(), "signature": self.signature(text)})
        message, _, signature = raw.decode().partition(",")
        return self.believe(message, signature)

    def card(self, number: str, card: str = CARD) -> Leaves:
        elements = {"AccountName": NAME, "AccountNumber": card, "IdentificationType": "0", "PhoneNumber": PHONE}
        return {
            "TxSNBinding": number,
            "BankID": "102",
            **elements,
            "IdentificationNumber": ID_NO,
            "CardType": "10",
        }

    async def bound(self, card: str = CARD) -> str:
        number = self.number()
        assert (await self.send("2501", self.card(number, card)))["Status"] == "30"
        return number

    def quick(self, number: str, binding: str, amount: int = 1000) -> Leaves:
        return {"PaymentNo": number, "Amount": str(amount), "TxSNBinding": binding, "SettlementFlag": "0001"}

    def withholding(self, amount: int = 1000, card: str = CARD) -> Leaves:
        account = {"BankID": "102", "AccountType": "11", "AccountName": NAME, "AccountNumber": card}
        return {"Amount": str(amount), **account, "SettlementFlag": "0001", "PhoneNumber": PHONE}

    async def codes(self) -> list[dict[str, Any]]:
        _, told = await self.sandbox.control("GET", f"cpcn/sms?phone={PHONE}")
        return list(told["sms"])

    async def listen(self, url: str) -> None:
        assert (await self.sandbox.control("POST", "cpcn/notice_url", {"url": url}))[0] == 200


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession) -> CpcnMerchant:
    return CpcnMerchant(sandbox, keys, session)


# Quick payments and bindings


async def test_a_quick_payment_is_answered_when_it_is_done_and_states_no_amount(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    paid = await merchant.send("2511", merchant.quick(number, await merchant.bound()))
    assert (paid["Code"], paid["PaymentNo"], paid["Status"], paid["ResponseCode"]) == ("2000", number, "20", "00")
    asked = await merchant.send("2512", {"PaymentNo": number})
    assert asked == paid
    assert "Amount" not in asked
    shown = await merchant.sandbox.order("cpcn", number)
    assert shown is not None
    assert (shown["kind"], shown["amount"], shown["card"]) == ("consume", 1000, "622202******7890")


async def test_a_number_is_used_once(merchant: CpcnMerchant) -> None:
    binding, number = await merchant.bound(), merchant.number()
    await merchant.send("2511", merchant.quick(number, binding))
    assert (await merchant.send("2511", merchant.quick(number, binding)))["Code"] == "30251107"
    assert (await merchant.send("2501", merchant.card(binding)))["Code"] == "30250123"
    assert (await merchant.send("2531", merchant.card(binding)))["Code"] == "30250123"
    shown = await merchant.sandbox.order("cpcn", number)
    assert shown is not None
    assert shown["submissions"] == 2


async def test_an_answer_ends_with_a_blank_that_is_not_signed(merchant: CpcnMerchant) -> None:
    text = merchant.text("2512", {"PaymentNo": merchant.number()})
    raw = await merchant.post({"message": base64.b64encode(text).decode(), "signature": merchant.signature(text)})
    assert base64.b64decode(raw.partition(b",")[0]).endswith(b">\n")


async def test_what_was_not_asked_for_is_not_found(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    assert (await merchant.send("2502", {"TxSNBinding": number}))["Code"] == "30250205"
    assert (await merchant.send("2512", {"PaymentNo": number}))["Code"] == "30251202"
    assert (await merchant.send("2522", {"TxSN": number}))["Code"] == "30252202"
    assert (await merchant.send("2020", {}, TxSN=number))["Code"] == "240005"


async def test_a_question_of_one_product_finds_nothing_of_another(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    await merchant.send("2011", merchant.withholding(), TxSN=number)
    assert (await merchant.send("2512", {"PaymentNo": number}))["Code"] == "30251202"
    assert (await merchant.send("2502", {"TxSNBinding": number}))["Code"] == "30250205"


@pytest.mark.parametrize(("tail", "code"), [("6082", "82"), ("6071", "71"), ("6057", "57")])
async def test_a_binding_is_refused_by_its_magic_tail_and_is_told_so_when_asked(
    merchant: CpcnMerchant, tail: str, code: str
) -> None:
    number = merchant.number()
    refused = await merchant.send("2501", merchant.card(number, f"622202123456{tail}"))
    assert (refused["Status"], refused["ResponseCode"]) == ("20", code)
    assert await merchant.send("2502", {"TxSNBinding": number}) == refused


@pytest.mark.parametrize(
    ("tail", "amount", "code"), [("6051", 1000, "51"), ("7890", 996_014, "14"), ("6099", 1000, "00")]
)
async def test_a_magic_tail_or_amount_chooses_the_banks_code_if_it_is_in_the_table(
    merchant: CpcnMerchant, tail: str, amount: int, code: str
) -> None:
    binding = await merchant.bound(f"622202123456{tail}")
    told = await merchant.send("2511", merchant.quick(merchant.number(), binding, amount))
    assert (told["Status"], told["ResponseCode"]) == ("20" if code == "00" else "30", code)


@pytest.mark.parametrize(("amount", "last"), [(980_001, "20"), (980_003, "30")])
async def test_a_payment_can_be_open_first_and_final_later(merchant: CpcnMerchant, amount: int, last: str) -> None:
    number = merchant.number()
    first = await merchant.send("2511", merchant.quick(number, await merchant.bound(), amount))
    assert first["Status"] == "10"
    await merchant.sandbox.final("cpcn", number)
    assert (await merchant.send("2512", {"PaymentNo": number}))["Status"] == last


async def test_a_binding_that_was_given_up_pays_nothing(merchant: CpcnMerchant) -> None:
    binding = await merchant.bound()
    unbinding = {"TxSNUnBinding": merchant.number(), "TxSNBinding": binding}
    assert (await merchant.send("2503", unbinding))["Status"] == "20"
    assert (await merchant.send("2503", unbinding))["Code"] == "30250205"
    assert (await merchant.send("2502", {"TxSNBinding": binding}))["Status"] == "40"
    for tx in ("2511", "2541"):
        assert (await merchant.send(tx, merchant.quick(merchant.number(), binding)))["Code"] == "30251109"
        assert (await merchant.send(tx, merchant.quick(merchant.number(), "nobody")))["Code"] == "30251108"


# SMS


async def test_a_card_is_bound_by_the_code_of_its_sms(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    assert await merchant.send("2531", merchant.card(number)) == {"Code": "2000", "Message": "OK."}
    assert (await merchant.send("2502", {"TxSNBinding": number}))["Status"] == "10"
    [told] = await merchant.codes()
    assert told["purpose"] == "sign"
    wrong = f"{(int(told['code']) + 1) % 1_000_000:06d}"
    refused = await merchant.send("2532", {"TxSNBinding": number, "SMSValidationCode": wrong})
    assert (refused["VerifyStatus"], refused["Status"]) == ("30", "")
    right = {"TxSNBinding": number, "SMSValidationCode": told["code"]}
    signed = await merchant.send("2532", right)
    assert (signed["VerifyStatus"], signed["Status"]) == ("40", "30")
    assert (await merchant.send("2532", right))["Code"] == "2008"
    assert (await merchant.send("2532", {**right, "TxSNBinding": merchant.number()}))["Code"] == "30250205"


async def test_a_payment_waits_for_its_code_and_is_not_in_the_books_before(
    merchant: CpcnMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, binding = merchant.number(), await merchant.bound()
    for _ in range(2):
        assert (await merchant.send("2541", merchant.quick(number, binding)))["Code"] == "2000"
    assert (await merchant.send("2541", merchant.quick(number, binding, 1001)))["Code"] == "30251107"
    assert (await merchant.send("2511", merchant.quick(number, binding)))["Code"] == "30251107"
    assert (await merchant.send("2512", {"PaymentNo": number}))["Status"] == "10"
    assert await merchant.sandbox.order("cpcn", number) is None

    async def confirmed() -> dict[str, str]:
        assert (await merchant.send("2541", merchant.quick(number, binding)))["Code"] == "2000"
        return {"PaymentNo": number, "SMSValidationCode": (await merchant.codes())[-1]["code"]}

    with monkeypatch.context() as later:
        later.setattr(sms, "SMS_VALID_S", -1.0)
        assert (await merchant.send("2542", await confirmed()))["VerifyStatus"] == "20"
    right = await confirmed()
    paid = await merchant.send("2542", right)
    assert (paid["VerifyStatus"], paid["Status"], paid["PaymentNo"]) == ("40", "20", number)
    assert (await merchant.send("2542", right))["Code"] == "2008"


# Withholds


async def test_a_withhold_is_accepted_finished_and_notified_until_it_is_taken(
    merchant: CpcnMerchant, mailbox: Mailbox
) -> None:
    await merchant.listen(mailbox.url)  # which answers 200, and not as CPCN wants it
    number = merchant.number()
    accepted = await merchant.send("2011", merchant.withholding(1234), TxSN=number)
    assert (accepted["Status"], accepted["TxSN"]) == ("20", number)
    assert (await merchant.sandbox.final("cpcn", number))["state"] == "succeeded"
    assert (await merchant.send("2020", {}, TxSN=number))["Status"] == "30"
    notices = await mailbox.wait_for(5)
    told = merchant.believe(**notices[0])
    head = {"TxCode": "2018", "InstitutionID": merchant.account["institution_id"], "TxSN": number}
    assert head.items() <= told.items()
    assert (told["Amount"], told["Status"]) == ("1234", "30")
    assert all(notice == notices[0] for notice in notices)


async def test_a_failed_withhold_is_notified_once_when_that_is_taken(merchant: CpcnMerchant, mailbox: Mailbox) -> None:
    async def take(request: web.Request) -> web.Response:
        await Mailbox.take(mailbox, request)
        return web.Response(text=TAKEN)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await merchant.listen(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    number = merchant.number()
    await merchant.send("2011", merchant.withholding(card="6222021234566051"), TxSN=number)
    [notice] = await mailbox.wait_for(1)
    assert merchant.believe(**notice)["Status"] == "40"
    status, sent = await merchant.sandbox.control("POST", "cpcn/callbacks", {"order_no": number})
    assert (status, sent["statuses"], len(mailbox.arrived)) == (200, [200], 2)
    await runner.cleanup()


async def test_without_an_address_nothing_is_notified(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    await merchant.send("2011", merchant.withholding(), TxSN=number)
    await merchant.sandbox.final("cpcn", number)
    assert (await merchant.sandbox.control("POST", "cpcn/callbacks", {"order_no": number}))[0] == 422
    for body in ({"url": "ftp://x"}, {"url": 1}, {}):
        assert (await merchant.sandbox.control("POST", "cpcn/notice_url", body))[0] == 422
    assert (await merchant.sandbox.control("POST", "unionpay/notice_url", {"url": "http://127.0.0.1:1"}))[0] == 422


# Refunds


async def test_a_payment_is_given_back_once(merchant: CpcnMerchant) -> None:
    payment, refund = merchant.number(), merchant.number()
    body = {"TxSN": refund, "PaymentNo": payment, "Amount": "400"}
    assert (await merchant.send("2521", body))["Code"] == "30252106"
    await merchant.send("2511", merchant.quick(payment, await merchant.bound()))
    assert (await merchant.send("2521", {**body, "Amount": "1001"}))["Code"] == "30252109"
    assert await merchant.send("2521", body) == {"Code": "2000", "Message": "OK."}
    assert (await merchant.send("2521", body))["Code"] == "30252110"
    await merchant.sandbox.final("cpcn", refund)
    told = await merchant.send("2522", {"TxSN": refund})
    assert (told["Status"], told["Amount"], told["PaymentNo"]) == ("40", "400", payment)
    assert (await merchant.send("2521", {**body, "TxSN": merchant.number()}))["Code"] == "30252108"


async def test_a_magic_amount_fails_a_refund_in_the_end_and_a_withhold_is_given_back_too(
    merchant: CpcnMerchant,
) -> None:
    payment = merchant.number()
    await merchant.send("2011", merchant.withholding(997_000), TxSN=payment)
    await merchant.sandbox.final("cpcn", payment)
    told = []
    for amount in ("996051", "400"):
        refund = merchant.number()
        body = {"TxSN": refund, "PaymentNo": payment, "Amount": amount}
        assert (await merchant.send("2521", body))["Code"] == "2000"
        await merchant.sandbox.final("cpcn", refund)
        told.append((await merchant.send("2522", {"TxSN": refund}))["Status"])
    assert told == ["20", "40"]


# Refusals


async def test_what_is_not_signed_or_not_readable_is_refused_and_leaves_no_trace(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    text = merchant.text("2011", merchant.withholding(), TxSN=number)
    message, signature = base64.b64encode(text).decode(), merchant.signature(text)
    other = base64.b64encode(text.replace(b"1000", b"1001")).decode()
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><Request/>'
    for fields, code in (
        ({"message": other, "signature": signature}, "2002"),
        ({"message": message, "signature": "zz"}, "2002"),
        ({"message": message}, "240001"),
        ({}, "240001"),
        ({"message": "§", "signature": signature}, "2003"),
        ({"message": base64.b64encode(bomb).decode(), "signature": merchant.signature(bomb)}, "2003"),
        ({"message": base64.b64encode(b"<x/>").decode(), "signature": merchant.signature(b"<x/>")}, "2004"),
    ):
        told, _, sign = (await merchant.post(fields)).decode().partition(",")
        assert merchant.believe(told, sign)["Code"] == code, fields
    assert (await merchant.send("9999", {}))["Code"] == "2006"
    assert (await merchant.send("2012", {}, InstitutionID="1"))["Code"] == "240003"
    assert await merchant.sandbox.order("cpcn", number) is None


@pytest.mark.parametrize(
    ("tx", "name", "code"),
    [
        ("2501", "AccountName", "30250108"),
        ("2531", "PhoneNumber", "30250121"),
        ("2501", "CardType", "30250115"),
        ("2511", "SettlementFlag", "30251105"),
        ("2541", "Amount", "30251102"),
        ("2011", "AccountNumber", "260006"),
        ("2011", "BankID", "260001"),
    ],
)
async def test_a_missing_element_is_refused_by_its_code(merchant: CpcnMerchant, tx: str, name: str, code: str) -> None:
    number = merchant.number()
    body = merchant.card(number) if tx in {"2501", "2531"} else merchant.quick(number, "b")
    body = merchant.withholding() if tx == "2011" else body
    assert (await merchant.send(tx, {**body, name: ""}, TxSN=number))["Code"] == code


async def test_a_fault_may_refuse_in_the_head_or_close_the_house(merchant: CpcnMerchant) -> None:
    number = merchant.number()
    await merchant.sandbox.fault("cpcn", "decline", code="2007", times=1)
    assert (await merchant.send("2011", merchant.withholding(), TxSN=number))["Code"] == "2007"
    fault = await merchant.sandbox.fault("cpcn", "maintenance")
    assert (await merchant.send("2011", merchant.withholding(), TxSN=number))["Code"] == "2001"
    await merchant.sandbox.control("DELETE", f"cpcn/faults/{fault}")
    assert await merchant.sandbox.order("cpcn", number) is None


# What stays


async def test_bindings_their_phones_and_the_address_for_notices_survive_a_restart_and_no_file_tells_them(
    start: Start, keys: Path, session: aiohttp.ClientSession, tmp_path: Path, mailbox: Mailbox
) -> None:
    before = await start(data_dir=tmp_path)
    merchant = CpcnMerchant(before, keys, session)
    await merchant.listen(mailbox.url)
    kept, gone = await merchant.bound(), await merchant.bound()
    await merchant.send("2503", {"TxSNUnBinding": merchant.number(), "TxSNBinding": gone})
    await before.stop()
    written = (tmp_path / "cpcn.jsonl").read_bytes()
    for secret in (CARD, NAME, PHONE, ID_NO):
        assert secret.encode() not in written
        assert json.dumps(secret).strip('"').encode() not in written

    after = CpcnMerchant(await start(data_dir=tmp_path), keys, session)
    assert (await after.send("2502", {"TxSNBinding": kept}))["Status"] == "30"
    assert (await after.send("2502", {"TxSNBinding": gone}))["Status"] == "40"
    await after.send("2541", after.quick(after.number(), kept))
    assert [told["purpose"] for told in await after.codes()] == ["pay"]
    await after.sandbox.control("POST", "reset")
    assert (await after.send("2502", {"TxSNBinding": kept}))["Code"] == "30250205"
    await after.send("2011", after.withholding(), TxSN="afterreset1")
    assert after.believe(**(await mailbox.wait_for(1))[0])["TxSN"] == "afterreset1"
