"""Allinpay's mock over a socket: collects, queries with the 1002 window, refusals, magic.

Does not test the faults (test_faults.py) nor that the real Allinpay behaves so: that is what the protocol notes say.
"""

import pytest

from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Sandbox, codes


async def test_a_collect_is_final_at_once_and_found_by_query(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    assert await merchant.collect(order_no, 1234) == ["0000", "0000"]
    text = await merchant.query_text(order_no)
    assert codes(text) == ["0000", "0000"]
    assert f"<BATCHID>{order_no}</BATCHID>" in text
    assert "<AMOUNT>1234</AMOUNT>" in text
    shown = await sandbox.order("allinpay", order_no)
    assert shown is not None
    assert (shown["kind"], shown["state"], shown["card"]) == ("collect", "succeeded", "622202******7890")


async def test_a_name_outside_gb2312_is_read(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    text = await merchant.send(merchant.collecting(merchant.number(), name="朱镕喆"))
    assert codes(text) == ["0000", "0000"]


async def test_a_new_order_is_not_found_for_a_short_while(start: Start) -> None:
    sandbox = await start(not_visible_s=60.0)
    merchant = sandbox.allinpay
    order_no = merchant.number()
    await merchant.collect(order_no)
    assert await merchant.query(order_no) == ["1002"]
    assert await merchant.query(merchant.number()) == ["1002"]


async def test_an_order_sent_twice_is_worked_once_and_counted_twice(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    await merchant.collect(order_no)
    assert await merchant.collect(order_no, 999) == ["3051"]
    shown = await sandbox.order("allinpay", order_no)
    assert shown is not None
    assert (shown["submissions"], shown["amount"]) == (2, 1000)


@pytest.mark.parametrize(("amount", "code"), [(980001, "0000"), (980003, "3008")])
async def test_an_order_can_be_processing_first_and_final_later(sandbox: Sandbox, amount: int, code: str) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    assert await merchant.collect(order_no, amount) == ["2000"]
    assert await merchant.query(order_no) == ["2000"]
    await sandbox.final("allinpay", order_no)
    assert await merchant.query(order_no) == ["0000", code]


@pytest.mark.parametrize(
    ("card", "amount", "code"),
    [("6222021234563008", 1000, "3008"), (CARD, 993013, "3013"), ("6222021234563003", 1000, "0000")],
)
async def test_magic_tail_and_amount_choose_the_code_if_it_is_in_the_table(
    sandbox: Sandbox, card: str, amount: int, code: str
) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    assert await merchant.collect(order_no, amount, card=card) == ["0000", code]
    assert await merchant.query(order_no) == ["0000", code]


async def test_a_wrong_signature_is_refused_and_leaves_no_trace(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    raw = merchant.signed(merchant.collecting(order_no))
    _, answer = await merchant.post(raw.replace(b"<AMOUNT>1000<", b"<AMOUNT>1001<"))
    assert codes(merchant.believe(answer)) == ["3058"]
    assert await sandbox.order("allinpay", order_no) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<AMOUNT>1000</AMOUNT>", ""),
        ("<AMOUNT>1000<", "<AMOUNT>-1<"),
        ("<DATA_TYPE>2<", "<DATA_TYPE>1<"),
        ("<TRX_CODE>100011<", "<TRX_CODE>100013<"),
        ("<CURRENCY>CNY<", "<CURRENCY>USD<"),
        (CARD, "none"),
    ],
)
async def test_wrong_content_is_refused_before_any_work(sandbox: Sandbox, old: str, new: str) -> None:
    merchant = sandbox.allinpay
    order_no = merchant.number()
    package = merchant.collecting(order_no).replace(old.encode("gbk"), new.encode("gbk"))
    assert codes(await merchant.send(package)) == ["1000"]
    assert await sandbox.order("allinpay", order_no) is None


async def test_a_wrong_password_is_refused(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    package = merchant.package("200004", merchant.number(), "<QTRANSREQ/>", USER_PASS="guessed")
    assert codes(await merchant.send(package)) == ["1000"]


@pytest.mark.parametrize(
    "raw", [b"", b"<AIPG>", b"<AIPG><INFO/></AIPG>", b'<!DOCTYPE x SYSTEM "file:///"><AIPG/>', b"\xff"]
)
async def test_what_cannot_be_read_is_refused_as_such(sandbox: Sandbox, raw: bytes) -> None:
    merchant = sandbox.allinpay
    _, answer = await merchant.post(raw)
    assert codes(merchant.believe(answer)) == ["1001"]
