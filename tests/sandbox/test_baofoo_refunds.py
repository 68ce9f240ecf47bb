"""Refunds at Baofoo's mock over a socket (331/09, 331/10): taken on, made later, notified, never more than is left.

Does not test that the real Baofoo behaves so: which code refuses a refund is not public.
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from tests.sandbox.baofoo_merchant import BaofooMerchant
from tests.sandbox.merchants import Mailbox, Sandbox

BLOCK = 100
"""Public code has blocks of more than one length."""


def written(content: object, key: rsa.RSAPrivateKey) -> str:
    """JSON in base64 under a private key, block by block: PKCS #1, block type 1, without any hash."""
    text = base64.b64encode(json.dumps(content).encode())
    blocks = (text[at : at + BLOCK] for at in range(0, len(text), BLOCK))
    return b"".join(key.sign(block, padding.PKCS1v15(), NoDigestInfo()) for block in blocks).hex()


def read(hexadecimal: str, key: rsa.RSAPublicKey) -> dict[str, Any]:
    numbers, size, raw, text = key.public_numbers(), key.key_size // 8, bytes.fromhex(hexadecimal), b""
    for at in range(0, len(raw), size):
        padded = pow(int.from_bytes(raw[at : at + size]), numbers.e, numbers.n).to_bytes(size)
        assert padded[:2] == b"\x00\x01"
        text += padded[2:].partition(b"\x00")[2]
    told: dict[str, Any] = json.loads(base64.b64decode(text, validate=True))
    return told


class Refunder(BaofooMerchant):
    """The same merchant, giving back."""

    async def paid(self, amount: int = 1000) -> str:
        number = self.number()
        assert (await self.pay(await self.bind(), number, amount))["biz_resp_code"] == "0000"
        return number

    async def call(self, sub_type: str, content: dict[str, str], **head: str) -> str:
        whole = {**self.account, "txn_sub_type": sub_type, "trans_serial_no": f"serial{self.number()[-6:]}", **content}
        form = {
            "version": "4.0.0.0", **self.account, "txn_type": "331", "txn_sub_type": sub_type, "data_type": "json",
            "data_content": written(whole, self.key), **head,
        }  # fmt: skip
        url = f"{self.sandbox.address}/baofoo/cutpayment/api/backTransRequest"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.session.post(url, data=urlencode(form), headers=headers) as answer:
            assert answer.status == 200
            return await answer.text()

    async def refund(self, number: str, original: str, amount: int = 400, **more: str) -> dict[str, Any]:
        told = {
            "refund_type": "8", "trans_id": original, "refund_order_no": number, "refund_reason": "多收",
            "refund_amt": str(amount), "refund_time": "20260301120000", **more,
        }  # fmt: skip
        return read(await self.call("09", told), self.psp_key)

    async def asked(self, number: str) -> dict[str, Any]:
        return read(await self.call("10", {"refund_order_no": number}), self.psp_key)


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path) -> Refunder:
    return Refunder(sandbox, keys)


async def test_a_refund_is_taken_on_made_later_and_notified_until_the_answer_is_ok(
    merchant: Refunder, mailbox: Mailbox
) -> None:
    mailbox.text = "OK "  # not exactly
    paid, number = await merchant.paid(), merchant.number()
    answer = await merchant.refund(number, paid, notice_url=mailbox.url)
    assert (answer["resp_code"], answer["resp_msg"], answer["refund_order_no"]) == ("0000", "退款交易已受理", number)
    assert (await merchant.asked(number))["resp_code"] in ("BF00115", "0000")
    shown = await merchant.sandbox.final("baofoo", number)
    told = (shown["kind"], shown["state"], shown["amount"], shown["original"], shown["card"])
    assert told == ("refund", "succeeded", 400, paid, "622202******7890")
    asked = await merchant.asked(number)
    assert (asked["resp_code"], asked["refund_amt"]) == ("0000", "400")
    first, second = (await mailbox.wait_for(2))[:2]
    assert first == second
    assert first.keys() == {"data_content"}
    notice = read(first["data_content"], merchant.psp_key)
    assert notice == {
        **{name: merchant.account[name] for name in ("member_id", "terminal_id")},
        "refund_order_no": number,
        "refund_business_no": answer["refund_business_no"],
        "refund_amt": "400",
        "resp_code": "0000",
        "resp_msg": "交易成功",
    }


async def test_parts_never_exceed_the_payment_and_one_that_fails_days_later_leaves_its_sum(merchant: Refunder) -> None:
    paid, failing = await merchant.paid(), merchant.number()
    told = [(await merchant.refund(merchant.number(), paid, amount))["resp_code"] for amount in (600, 401)]
    assert told == ["0000", "BF00111"]
    match = {"operation": "refund", "order_no": failing}
    await merchant.sandbox.fault("baofoo", "decline", code="BF00140", when="final", match=match)
    await merchant.refund(failing, paid, 400)
    assert (await merchant.sandbox.final("baofoo", failing))["state"] == "failed"
    asked = await merchant.asked(failing)
    assert (asked["resp_code"], asked["refund_amt"]) == ("BF00140", "")
    told = [(await merchant.refund(merchant.number(), paid, amount))["resp_code"] for amount in (400, 1)]
    assert told == ["0000", "BF00111"]


async def test_a_refund_sent_twice_is_worked_once_and_a_serial_is_never_taken_again(merchant: Refunder) -> None:
    paid, number = await merchant.paid(), merchant.number()
    told = [(await merchant.refund(number, paid))["resp_code"] for _ in range(2)]
    assert told == ["0000", "BF00126"]
    assert (await merchant.sandbox.final("baofoo", number))["submissions"] == 2
    told = [
        (await merchant.refund(merchant.number(), paid, 1, trans_serial_no="serial00"))["resp_code"] for _ in range(2)
    ]
    assert told == ["0000", "BF00190"]


async def test_a_magic_amount_refuses_a_refund_or_leaves_open_whether_it_was_taken_on(merchant: Refunder) -> None:
    paid = await merchant.paid(5_000_000)
    for amount, answer, state in ((995_103, "BF00103", "failed"), (995_112, "BF00112", "succeeded")):
        number = merchant.number()
        assert (await merchant.refund(number, paid, amount))["resp_code"] == answer
        assert (await merchant.sandbox.final("baofoo", number))["state"] == state


@pytest.mark.parametrize("kind", ["none", "failed", "a refund", "paid otherwise"])
async def test_only_a_payment_by_protocol_pay_that_succeeded_is_given_back(merchant: Refunder, kind: str) -> None:
    original, number = merchant.number(), merchant.number()
    product = "1" if kind == "paid otherwise" else "8"
    if kind == "failed":
        await merchant.pay(await merchant.bind(), original, 995_103)
    if kind == "a refund":
        await merchant.refund(original, await merchant.paid())
    if kind == "paid otherwise":
        original = await merchant.paid()
    assert (await merchant.refund(number, original, 100, refund_type=product))["resp_code"] == "BF00111"
    assert await merchant.sandbox.order("baofoo", number) is None
    assert (await merchant.asked(number))["resp_code"] == "BF00128"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"refund_reason": ""}, "BF00120"),
        ({"trans_serial_no": ""}, "BF00120"),
        ({"refund_amt": "0"}, "BF00121"),
        ({"refund_amt": "1.5"}, "BF00121"),
        ({"refund_time": "2026-03-01 12:00:00"}, "BF00121"),
        ({"trans_serial_no": "x" * 51}, "BF00121"),
    ],
)
async def test_a_refund_that_is_not_written_well_is_refused(
    merchant: Refunder, more: dict[str, str], code: str
) -> None:
    number = merchant.number()
    answer = await merchant.refund(number, await merchant.paid(), 400, **more)
    assert (answer["resp_code"], answer["refund_order_no"]) == (code, number)


async def test_what_cannot_be_opened_or_is_anothers_is_answered_in_plain_text(merchant: Refunder) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    content = {"refund_order_no": merchant.number()}
    for head in (
        {"data_content": written({**merchant.account, "txn_sub_type": "10"}, stranger)},
        {"data_content": "zz"},
        {"member_id": "1"},
        {"terminal_id": "1"},
        {"txn_type": "0431"},
        {"txn_sub_type": "09"},
        {"data_type": "xml"},
        {"version": "4.0.0.1"},
    ):
        assert "不正确" in await merchant.call("10", content, **head), head
