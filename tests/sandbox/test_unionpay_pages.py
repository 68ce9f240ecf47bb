"""The UnionPay mock's gateway by itself: forms that open no page, and what outlives a restart.

The merchant signs by its own code (`merchants`). Not tested here: paying, notices and faults
(tests/adapters/test_unionpay_page_on_sandbox.py).
"""

from pathlib import Path

import pytest

from tests.browsing import Browser, Page
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import Fields, Sandbox

NUMBER = "order0001"
FORM = {
    "txnAmt": "1230",
    "currencyCode": "156",
    "frontUrl": "https://pay.example.com/return/m1.acc_1",
    "backUrl": "http://127.0.0.1:9/callbacks",
    "payTimeout": "20990101000000",
    "riskRateInfo": "{commodityName=三月还款}",
}


async def brought(sandbox: Sandbox, kind: str = "01/01/000201", **changed: str) -> Page:
    """What a browser shows that brought this form."""
    merchant = sandbox.unionpay
    fields = {name: value for name, value in {**merchant.fields(kind, NUMBER), **FORM, **changed}.items() if value}
    return await Browser(sandbox.session).submit(f"{merchant.address}frontTransReq.do", merchant.signed(fields))


async def asked(sandbox: Sandbox, business: str = "000201") -> Fields:
    merchant = sandbox.unionpay
    return await merchant.send(merchant.fields(f"00/00/{business}", NUMBER), "queryTrans.do")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"kind": "01/01/000202"}, "(32"),
        ({"kind": "01/01/000902"}, "(32"),
        ({"merId": "777290058110099"}, "(31)"),
        ({"certId": "1"}, "(11)"),
        ({"txnAmt": "0"}, "(10 txnAmt)"),
        ({"txnAmt": "12.30"}, "(10 txnAmt)"),
        ({"currencyCode": "840"}, "(10 currencyCode)"),
        ({"frontUrl": ""}, "(13 frontUrl)"),
        ({"backUrl": "pay.example.com"}, "(10 backUrl)"),
        ({"channelType": "09"}, "(10 channelType)"),
        ({"orderId": "order_0001"}, "(10 orderId)"),
        ({"payTimeout": "20991301000000"}, "(10 payTimeout)"),
        ({"payTimeout": "20200101000000"}, "(69 payTimeout)"),
        ({"issInsCode": "NOBANK"}, "(10 issInsCode)"),
        ({"riskRateInfo": "{commodityName=a&b}"}, "(10 riskRateInfo)"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
async def test_what_unionpay_would_not_take_opens_no_page(shared: Sandbox, changed: dict[str, str], why: str) -> None:
    page = await brought(shared, **changed)
    assert (why in page.text, page.buttons()) == (True, [])
    assert (await asked(shared))["respCode"] == "34"


@pytest.fixture(scope="module")
async def shared(start_shared: Start) -> Sandbox:
    return await start_shared()


async def test_without_a_bank_or_an_end_any_card_may_pay_at_any_time(sandbox: Sandbox) -> None:
    assert "Any UnionPay card" in (await brought(sandbox, payTimeout="")).text
    assert (await asked(sandbox))["origRespCode"] == "05"
    assert {(await asked(sandbox, business))["respCode"] for business in ("000000", "000902")} == {"34"}
    assert "农业银行" in (await brought(sandbox, orderId="order0002", issInsCode="ABC")).text


async def test_the_number_of_a_card_payment_opens_no_page(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    await merchant.open()
    assert (await merchant.send(merchant.withholding(NUMBER)))["respCode"] == "00"
    assert "(12)" in (await brought(sandbox)).text
    assert (await asked(sandbox))["respCode"] == "34"


async def test_orders_outlive_a_restart_whether_they_wait_or_the_bank_works_on_them(
    start: Start, tmp_path: Path
) -> None:
    first = await start(data_dir=tmp_path)
    page = await brought(first)
    await Browser(first.session).press(page, "insufficient")
    working = await brought(first, orderId="order0002")
    await first.fault("unionpay", "late_final", seconds=0.1)
    await Browser(first.session).press(working, "pay")
    await first.stop()
    second = await start(data_dir=tmp_path)
    assert (await second.final("unionpay", "order0002"))["code"] == "00"
    assert (await asked(second))["origRespCode"] == "64"
    again = await brought(second)
    assert (again.url.rsplit("/", 1)[1] != page.url.rsplit("/", 1)[1], "pay" in again.buttons()) == (True, True)
    await Browser(second.session).press(again, "pay")
    assert (await asked(second))["origRespCode"] == "00"
