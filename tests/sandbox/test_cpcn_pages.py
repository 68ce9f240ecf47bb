"""CPCN's mock by itself, its pages: what it refuses, what outlives a restart, and faults that it does not know.

Not tested here: paying, notices and faults (tests/adapters/test_cpcn_page_on_sandbox.py).
"""

import base64
from pathlib import Path

import aiohttp
import pytest

from tests.browsing import Browser, Page
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import Mailbox, Sandbox
from tests.sandbox.test_cpcn import TAKEN, CpcnMerchant

ORDER = {
    "PaymentNo": "order0001",
    "Amount": "1230",
    "SettlementFlag": "0001",
    "Remark": "三月还款",
    "NotificationURL": "https://pay.example.com/return/m1.acc_1",
    "BankID": "102",
    "AccountType": "11",
}


async def brings(merchant: CpcnMerchant, tx: str = "1111", **changed: str) -> Page:
    """What a browser sees that brings the institution's form."""
    text = merchant.text(tx, {**ORDER, **changed})
    fields = {"message": base64.b64encode(text).decode(), "signature": merchant.signature(text)}
    return await Browser(merchant.session).submit(merchant.address.removesuffix("I"), fields)


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession) -> CpcnMerchant:
    return CpcnMerchant(sandbox, keys, session)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Amount": "0"}, "2016"),
        ({"Amount": "12.30"}, "2016"),
        ({"PaymentNo": "short"}, "2016"),
        ({"PaymentNo": "x" * 51}, "2016"),
        ({"SettlementFlag": ""}, "2016"),
        ({"NotificationURL": ""}, "2016"),
        ({"NotificationURL": "ftp://pay.example.com"}, "2016"),
        ({"BankID": ""}, "2016"),
        ({"BankID": "317"}, "2016"),
        ({"AccountType": "01"}, "2016"),
        ({"CardType": "10"}, "2016"),
        ({"tx": "2511"}, "2006"),
    ],
    ids=lambda part: "=".join(*part.items()) if isinstance(part, dict) else "",
)
async def test_what_cpcn_would_not_take_opens_no_page(
    merchant: CpcnMerchant, changed: dict[str, str], code: str
) -> None:
    page = await brings(merchant, **changed)
    assert (f"({code})" in page.text, page.buttons()) == (True, [])
    assert (await merchant.send("1120", {"PaymentNo": ORDER["PaymentNo"]}))["Code"] == "240005"


async def test_a_form_of_the_browsers_is_no_call_of_servers_and_the_question_is_none_of_browsers(
    merchant: CpcnMerchant,
) -> None:
    assert (await merchant.send("1111", ORDER))["Code"] == "2006"
    assert "(2006)" in (await brings(merchant, "1120")).text


async def test_a_question_about_a_page_tells_all_that_is_known_and_knows_no_others(
    merchant: CpcnMerchant,
) -> None:
    await brings(merchant)
    told = await merchant.send("1120", {"PaymentNo": "order0001"})
    assert (told["Status"], told["Amount"], told["Remark"]) == ("10", "1230", "三月还款")
    assert "BankNotificationTime" not in told
    number = merchant.number()
    await merchant.send("2011", merchant.withholding(), TxSN=number)
    assert (await merchant.send("1120", {"PaymentNo": number}))["Code"] == "240005"
    assert (await merchant.send("2512", {"PaymentNo": "order0001"}))["Code"] == "30251202"


async def test_an_order_of_a_page_waits_through_a_restart_and_is_paid_on_a_new_page(
    start: Start, keys: Path, session: aiohttp.ClientSession, tmp_path: Path, mailbox: Mailbox
) -> None:
    mailbox.text = TAKEN
    first = await start(data_dir=tmp_path)
    before = CpcnMerchant(first, keys, session)
    await before.listen(mailbox.url)
    page = await brings(before)
    await first.stop()
    after = CpcnMerchant(await start(data_dir=tmp_path), keys, session)
    assert (await after.send("1120", {"PaymentNo": "order0001"}))["Status"] == "10"
    again = await brings(after)
    assert again.url.rsplit("/", 1)[1] != page.url.rsplit("/", 1)[1]
    await Browser(session).press(again, "pay")
    told = after.believe(**(await mailbox.wait_for(1))[0])
    assert (told["TxCode"], told["PaymentNo"], told["Amount"], told["Status"]) == ("1118", "order0001", "1230", "20")
    assert "TxSN" not in told


async def test_nothing_is_closed_here_so_nothing_can_be_paid_that_is(merchant: CpcnMerchant) -> None:
    status, _ = await merchant.sandbox.control("POST", "cpcn/faults", {"fault": "pay_closed"})
    assert status == 422
    await merchant.sandbox.fault("cpcn", "lose_return")


async def test_what_was_paid_is_given_back_in_parts_and_told_as_a_refund(
    merchant: CpcnMerchant, mailbox: Mailbox
) -> None:
    mailbox.text = TAKEN
    await merchant.sandbox.control("POST", "cpcn/notice_url", {"url": mailbox.url})
    first, body = merchant.number(), {"PaymentNo": "order0001", "Amount": "1000", "Remark": "", "RefundType": ""}
    assert (await merchant.send("1133", {"SerialNumber": first, **body}))["Code"] == "240005"
    page = await brings(merchant)
    assert (await merchant.send("1133", {"SerialNumber": first, **body}))["Code"] == "2016"
    await Browser(merchant.session).press(page, "pay")
    assert await merchant.send("1133", {"SerialNumber": first, **body}) == {"Code": "2000", "Message": "OK."}
    assert (await merchant.send("1133", {"SerialNumber": first, **body}))["Code"] == "2008"
    await merchant.sandbox.final("cpcn", first)
    asked = await merchant.send("1132", {"SerialNumber": first})
    assert (asked["Status"], asked["Amount"], asked["PaymentNo"]) == ("40", "1000", "order0001")
    assert (await merchant.send("2522", {"TxSN": first}))["Code"] == "30252202"
    assert (await merchant.send("1132", {"SerialNumber": merchant.number()}))["Code"] == "240020"
    more = merchant.number()
    told = [
        (await merchant.send("1133", {"SerialNumber": more, **body, "Amount": amount}))["Code"]
        for amount in ("231", "230")
    ]
    assert told == ["2016", "2000"]
    assert (await merchant.send("1120", {"PaymentNo": "order0001"}))["RefundAmount"] == "1230"
    notices = await mailbox.wait_for(3)
    heads = [base64.b64decode(each["message"]).decode().partition("</TxCode>")[0][-4:] for each in notices]
    assert sorted(heads) == ["1118", "1138", "1138"]
