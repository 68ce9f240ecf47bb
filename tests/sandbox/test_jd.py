"""The JD mock over a socket: the SMS before each payment, the payment with its code, questions, notices.

Its merchant writes and reads the protocol by its own code. Does not test that the real platform behaves so: lives and
numbers of codes, notices and lengths are not public. The faults that all mocks share: test_faults.py.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from lxml import etree

from sandbox import sms
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Mailbox, Sandbox

PHONE = "13800001111"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
Told = dict[str, str]


@dataclass
class JdMerchant:
    """Signs as the merchant whose keys the sandbox wrote, and believes what is signed with them."""

    sandbox: Sandbox
    account: dict[str, str]
    numbers: list[int] = field(default_factory=lambda: [0])

    def number(self) -> str:
        self.numbers[0] += 1
        return f"jd{id(self):x}{self.numbers[0]:04d}"

    def cipher(self) -> Cipher[modes.ECB]:
        return Cipher(TripleDES(base64.b64decode(self.account["des_key"])[:8] * 3), modes.ECB())

    def sign(self, data: str) -> str:
        account = self.account
        text = f"1.0.0{account['merchant']}{account['terminal']}{data}{account['md5_key']}"
        return hashlib.md5(text.encode()).hexdigest()

    def form(self, inside: str, **changed: str) -> dict[str, str]:
        text = f"{HEAD}<DATA>{inside}</DATA>".encode()
        pad = 8 - len(text) % 8
        encryptor = self.cipher().encryptor()
        data = base64.b64encode(encryptor.update(text + bytes([pad]) * pad) + encryptor.finalize()).decode()
        parts = {
            "VERSION": "1.0.0",
            "MERCHANT": self.account["merchant"],
            "TERMINAL": self.account["terminal"],
            "DATA": data,
            "SIGN": self.sign(data),
        }
        xml = "".join(f"<{name}>{value}</{name}>" for name, value in (parts | changed).items())
        req = base64.b64encode(f"{HEAD}<CHINABANK>{xml}</CHINABANK>".encode()).decode()
        return {"charset": "UTF-8", "req": req}

    async def post(self, form: dict[str, str]) -> str:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.sandbox.address}/jd/express.htm"
        async with self.sandbox.session.post(url, data=urlencode(form), headers=headers) as answer:
            assert answer.status == 200
            return await answer.text()

    def believe(self, text: str) -> Told:
        """TRADE and RETURN of a signed letter."""
        root = etree.fromstring(base64.b64decode(text.removeprefix("resp="), validate=True))
        data = str(root.findtext("DATA"))
        assert root.findtext("SIGN") == self.sign(data)
        decryptor = self.cipher().decryptor()
        inside = decryptor.update(base64.b64decode(data)) + decryptor.finalize()
        parsed = etree.fromstring(inside[: -inside[-1]])
        return {str(leaf.tag): leaf.text or "" for node in parsed for leaf in node}

    async def send(self, inside: str) -> Told:
        return self.believe(await self.post(self.form(inside)))

    async def wish(self, number: str, amount: int = 1000, card: str = CARD) -> Told:
        return await self.send(card_of(card) + trade("V", number, amount))

    async def pay(self, number: str, code: str, amount: int = 1000, card: str = CARD, notice: str = "") -> Told:
        more = f"<DATE>20260301</DATE><TIME>120000</TIME><NOTICE>{notice}</NOTICE><NOTE/><CODE>{code}</CODE>"
        return await self.send(card_of(card) + trade("S", number, amount, more))

    async def ask(self, number: str) -> Told:
        return await self.send(f"<TRADE><TYPE>Q</TYPE><ID>{number}</ID></TRADE>")

    async def codes(self) -> list[str]:
        """Every SMS code of a payment that was sent to the phone."""
        _, shown = await self.sandbox.control("GET", f"jd/sms?phone={PHONE}")
        assert {sent["purpose"] for sent in shown["sms"]} <= {"pay"}
        return [sent["code"] for sent in shown["sms"]]

    async def paid(self, number: str, amount: int = 1000, card: str = CARD, notice: str = "") -> Told:
        """Ask for the code, and pay with it."""
        assert (await self.wish(number, amount, card))["CODE"] == "0000"
        return await self.pay(number, (await self.codes())[-1], amount, card, notice)


def card_of(number: str, **changed: str) -> str:
    leaves = {"BANK": "ICBC", "TYPE": "D", "NO": number, "EXP": "", "CVV2": "", "NAME": "张三", "IDTYPE": "I"}
    leaves |= {"IDNO": "110101199003070011", "PHONE": PHONE, **changed}
    return f"<CARD>{''.join(f'<{name}>{value}</{name}>' for name, value in leaves.items())}</CARD>"


def trade(kind: str, number: str, amount: int | str, more: str = "") -> str:
    return f"<TRADE><TYPE>{kind}</TYPE><ID>{number}</ID><AMOUNT>{amount}</AMOUNT><CURRENCY>CNY</CURRENCY>{more}</TRADE>"


def merchant_of(sandbox: Sandbox, keys: Path) -> JdMerchant:
    return JdMerchant(sandbox, json.loads((keys / "jd" / "account.json").read_text()))


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path) -> JdMerchant:
    return merchant_of(sandbox, keys)


async def test_a_payment_needs_the_code_that_was_sent_for_it_and_is_answered_at_once(merchant: JdMerchant) -> None:
    number = merchant.number()
    assert (await merchant.pay(number, "123456"))["CODE"] == "EES0044"
    told = await merchant.paid(number, 4321)
    assert (told["CODE"], told["STATUS"], told["ID"], told["AMOUNT"]) == ("0000", "0", number, "4321")
    shown = await merchant.sandbox.order("jd", number)
    assert shown is not None
    assert (shown["kind"], shown["state"], shown["amount"], shown["submissions"]) == ("consume", "succeeded", 4321, 1)
    assert (shown["card"], shown["txn_time"]) == ("622202******7890", "20260301120000")
    asked = await merchant.ask(number)
    assert (asked["CODE"], asked["STATUS"], asked["AMOUNT"]) == ("0000", "0", "4321")


async def test_a_wrong_code_pays_nothing_and_the_right_one_still_does(merchant: JdMerchant) -> None:
    number = merchant.number()
    await merchant.wish(number)
    [code] = await merchant.codes()
    told = await merchant.pay(number, "000000" if code != "000000" else "111111")
    assert (told["CODE"], told["STATUS"]) == ("EES0027", "0")  # a status beside a refusal says nothing
    assert await merchant.sandbox.order("jd", number) is None
    assert (await merchant.ask(number))["CODE"] == "EES0037"
    assert (await merchant.pay(number, code))["CODE"] == "0000"


async def test_after_another_sms_only_its_code_is_right(merchant: JdMerchant) -> None:
    number = merchant.number()
    first, second = "", ""
    while first == second:  # one in a million
        for _ in range(2):
            assert (await merchant.wish(number))["CODE"] == "0000"
        *_, first, second = await merchant.codes()
    assert (await merchant.pay(number, first))["CODE"] == "EES0027"
    assert (await merchant.pay(number, second))["CODE"] == "0000"


async def test_a_code_expires(merchant: JdMerchant, monkeypatch: pytest.MonkeyPatch) -> None:
    number = merchant.number()
    monkeypatch.setattr(sms, "SMS_VALID_S", -1.0)
    await merchant.wish(number)
    assert (await merchant.pay(number, (await merchant.codes())[-1]))["CODE"] == "EES0035"


@pytest.mark.parametrize(("amount", "card"), [(1001, CARD), (1000, "6222021234567891")])
async def test_the_payment_is_of_the_card_and_amount_that_the_code_was_asked_for(
    merchant: JdMerchant, amount: int, card: str
) -> None:
    number = merchant.number()
    await merchant.wish(number)
    assert (await merchant.pay(number, (await merchant.codes())[-1], amount, card))["CODE"] == "EEN0021"


async def test_a_number_that_was_paid_is_paid_once(merchant: JdMerchant) -> None:
    number = merchant.number()
    await merchant.paid(number)
    assert (await merchant.pay(number, (await merchant.codes())[-1]))["CODE"] == "EEN0015"
    told = await merchant.wish(number)
    assert (told["CODE"], told["ID"]) == ("EEN0015", "")
    shown = await merchant.sandbox.order("jd", number)
    assert shown is not None
    assert shown["submissions"] == 3


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SIGN": "0" * 32}, "EES0007"),
        ({"MERCHANT": "1"}, "EES0004"),
        ({"TERMINAL": "2"}, "EES0005"),
        ({"VERSION": "2.0.0"}, "EES0007"),
    ],
)
async def test_a_letter_that_is_not_the_merchants_is_refused_without_a_signature(
    merchant: JdMerchant, changed: dict[str, str], code: str
) -> None:
    assert await merchant.post(merchant.form("<TRADE/>", **changed)) == f"resp={code}"


async def test_what_cannot_be_read_is_refused_by_its_layer(merchant: JdMerchant) -> None:
    whole = merchant.form("<TRADE/>")
    assert await merchant.post({**whole, "charset": "GBK"}) == "resp=EES0002"
    assert await merchant.post({**whole, "req": "%"}) == "resp=EES0001"
    assert await merchant.post({**whole, "req": base64.b64encode(b"<CHINABANK").decode()}) == "resp=EES0001"
    data = base64.b64encode(b"not of this key!").decode()
    assert await merchant.post(merchant.form("", DATA=data, SIGN=merchant.sign(data))) == "resp=EES0009"
    assert await merchant.post(merchant.form("<TRADE>")) == "resp=EES0006"


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (trade("E", "1", 1), "EES0019"),
        (trade("R", "1", 1), "EES0002"),
        (card_of(CARD) + trade("V", "no-number", 1), "EES0002"),
        (card_of(CARD) + trade("V", "n" * 33, 1), "EES0002"),
        (card_of(CARD) + trade("V", "n", "0"), "EES0002"),
        (card_of(CARD) + trade("V", "n", "1.00"), "EES0002"),
        (card_of(CARD, NAME="") + trade("V", "n", 1), "EES0002"),
        (card_of(CARD, TYPE="C") + trade("V", "n", 1), "EES0002"),
        (card_of("62220212") + trade("V", "n", 1), "EEB0030"),
    ],
)
async def test_a_bad_field_is_refused_with_its_code(merchant: JdMerchant, inside: str, code: str) -> None:
    assert (await merchant.send(inside))["CODE"] == code
    assert await merchant.codes() == []


@pytest.mark.parametrize(("amount", "card"), [(994_014, CARD), (1000, "6222021234564014")])
async def test_magic_refuses_the_payment_for_want_of_balance(merchant: JdMerchant, amount: int, card: str) -> None:
    number = merchant.number()
    told = await merchant.paid(number, amount, card)
    assert (told["CODE"], told["STATUS"]) == ("EEB0014", "0")
    asked = await merchant.ask(number)
    assert (asked["CODE"], asked["STATUS"]) == ("0000", "7")


@pytest.mark.parametrize(
    ("code", "when", "answer", "final"),
    [
        ("0001", "sync", ("0001", "0"), "0"),
        ("EEE0003", "sync", ("EEE0003", "0"), "0"),
        ("0000/7", "sync", ("0000", "7"), "7"),
        ("EEB0012", "final", ("0000", "6"), "7"),
    ],
)
async def test_a_decline_is_told_at_once_in_the_end_or_left_open(
    merchant: JdMerchant, code: str, when: str, answer: tuple[str, str], final: str
) -> None:
    number = merchant.number()
    await merchant.wish(number)
    await merchant.sandbox.fault("jd", "decline", code=code, when=when, match={"operation": "pay"})
    told = await merchant.pay(number, (await merchant.codes())[-1])
    assert (told["CODE"], told["STATUS"]) == answer
    await merchant.sandbox.final("jd", number)
    assert (await merchant.ask(number))["STATUS"] == final


async def test_a_sending_can_be_refused_and_maintenance_refuses_everything(merchant: JdMerchant) -> None:
    await merchant.sandbox.fault("jd", "decline", code="EES0031", times=1, match={"operation": "send_code"})
    assert (await merchant.wish(merchant.number()))["CODE"] == "EES0031"
    await merchant.sandbox.fault("jd", "maintenance")
    assert (await merchant.wish(merchant.number()))["CODE"] == "EEB0036"
    assert (await merchant.ask(merchant.number()))["CODE"] == "EEB0036"
    assert await merchant.codes() == []


async def test_a_success_is_noticed_until_it_is_taken(merchant: JdMerchant, mailbox: Mailbox) -> None:
    mailbox.statuses = [500, 404]
    number = merchant.number()
    await merchant.paid(number, notice=mailbox.url)
    first, second, third = await mailbox.wait_for(3)
    assert first == second == third
    told = merchant.believe(first["resp"])
    assert (told["TYPE"], told["ID"], told["AMOUNT"], told["CODE"], told["STATUS"]) == (
        "S",
        number,
        "1000",
        "0000",
        "0",
    )
    status, _ = await merchant.sandbox.control("POST", "jd/callbacks", {"order_no": number})
    assert (status, len(await mailbox.wait_for(4))) == (200, 4)


@pytest.mark.parametrize(("notified", "states"), [(False, ["0"]), (True, ["0", "7"])])
async def test_failures_are_noticed_only_if_the_sandbox_is_told_so(
    start: Start, keys: Path, mailbox: Mailbox, notified: bool, states: list[str]
) -> None:
    sandbox = await start(notify_failures=notified)
    merchant = merchant_of(sandbox, keys)
    await sandbox.fault("jd", "decline", code="EEB0012", when="final", times=1, match={"operation": "pay"})
    for _ in range(2):
        number = merchant.number()
        await merchant.paid(number, notice=mailbox.url)
        await sandbox.final("jd", number)
    arrived = await mailbox.wait_for(len(states))
    assert sorted(merchant.believe(notice["resp"])["STATUS"] for notice in arrived) == states


async def test_orders_outlive_a_restart_codes_do_not_and_no_file_holds_a_card(
    start: Start, keys: Path, tmp_path: Path
) -> None:
    before = await start(data_dir=tmp_path)
    merchant = merchant_of(before, keys)
    number, open_number = merchant.number(), merchant.number()
    await merchant.paid(number)
    await merchant.wish(open_number)
    code = (await merchant.codes())[-1]
    await before.stop()
    written = (tmp_path / "jd.jsonl").read_bytes()
    assert b"622202******7890" in written
    for secret in (CARD, "张三", PHONE, "110101199003070011", code):
        assert secret.encode() not in written
        assert json.dumps(secret).strip('"').encode() not in written

    after: Any = await start(data_dir=tmp_path)
    merchant.sandbox = after
    assert (await merchant.ask(number))["STATUS"] == "0"
    assert (await merchant.pay(open_number, code))["CODE"] == "EES0044"
