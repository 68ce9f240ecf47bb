"""Refunds at the mocks of LianLian, YeePay and JD over a socket: bounded by the payment, done once, told, come back.

Merchants sign by their own code. Does not test that the real companies behave so: a number that is used again, and all
of JD's answers, are the sandbox's own. UnionPay's: test_unionpay_refunds.py.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.browsing import Browser
from tests.sandbox.conftest import _serve
from tests.sandbox.lianlian_merchant import LianLianMerchant, Thanks
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_jd import JdMerchant
from tests.sandbox.test_yeepay import Merchant as YeePayMerchant

Told = dict[str, str]
NOWHERE = "http://127.0.0.1:9/callbacks"
PAID = 1000
DAY = "20260301120000"


@dataclass
class Shop(ABC):
    """A merchant who has payments and gives them back. Answers are its provider's word for: taken, done, and so on."""

    sandbox: Sandbox
    keys: Path
    numbers: list[str] = field(default_factory=list)
    provider = ""
    TAKEN = TOO_MUCH = NO_SUCH_PAYMENT = NOT_PAID = USED = OPEN = DONE = FAILED = ABSENT = FAILS = ""

    def number(self) -> str:
        self.numbers.append(f"back{id(self):x}{len(self.numbers):04d}"[-32:])
        return self.numbers[-1]

    @abstractmethod
    async def paid(self) -> str:
        """A payment of PAID, as refunds name it."""

    @abstractmethod
    async def waiting(self) -> str:
        """A payment that is not done, as refunds name it."""

    @abstractmethod
    async def refund(self, payment: str, amount: int, number: str | None = None, url: str = NOWHERE) -> str:
        """The code that a refund is answered with."""

    @abstractmethod
    async def asked(self, payment: str, number: str) -> str:
        """How it stands, or why nothing is told."""

    async def row(self, number: str) -> dict[str, Any] | None:
        return await self.sandbox.order(self.provider, number)

    async def final(self, number: str) -> dict[str, Any]:
        return await self.sandbox.final(self.provider, number)


class AtLianLian(Shop):
    provider = "lianlian"
    TAKEN, TOO_MUCH, NO_SUCH_PAYMENT, NOT_PAID, USED = "0000/0", "5007", "5002", "5008", "1002"
    OPEN, DONE, FAILED, ABSENT, FAILS = "1", "2", "3", "8901", "5005"

    def merchant(self) -> LianLianMerchant:
        return LianLianMerchant(self.sandbox.address, self.keys, self.sandbox.session)

    async def paid(self) -> str:
        merchant, number = self.merchant(), self.number()
        assert (await merchant.prepay(number, "10.00", no_agree=await merchant.bind()))["ret_code"] == "0000"
        return number

    async def waiting(self) -> str:
        number = self.number()
        assert (await self.merchant().prepay(number, "10.00"))["ret_code"] == "8888"
        return number

    async def refund(self, payment: str, amount: int, number: str | None = None, url: str = NOWHERE) -> str:
        itself = {"no_refund": number or self.number(), "dt_refund": DAY, "notify_url": url}
        money = {"money_refund": f"{amount // 100}.{amount % 100:02}", "no_order": payment, "dt_order": DAY}
        told = await self.merchant().send("traderapi/refund.htm", itself | money)
        return f"0000/{told['sta_refund']}" if told["ret_code"] == "0000" else told["ret_code"]

    async def asked(self, payment: str, number: str) -> str:
        told = await self.merchant().send("queryapi/refundquery.htm", {"no_refund": number, "dt_refund": DAY})
        return told["sta_refund"] if told["ret_code"] == "0000" else told["ret_code"]


class AtYeePay(Shop):
    provider = "yeepay"
    TAKEN, TOO_MUCH, NO_SUCH_PAYMENT, NOT_PAID, USED = "1", "10", "32", "526", "51"
    OPEN, DONE, FAILED, ABSENT, FAILS = "1", "2", "3", "-3", "18"
    RETURNED = "4"

    def merchant(self) -> YeePayMerchant:
        return YeePayMerchant(self.sandbox, self.keys)

    async def opened(self, choice: str = "pay") -> str:
        number, merchant = self.number(), self.merchant()
        browser = Browser(self.sandbox.session)
        page = await merchant.buys(p2_Order=number, p3_Amt="10.00")
        await browser.press(page, choice)
        return (await merchant.asks(number))["r2_TrxId"]

    async def paid(self) -> str:
        return await self.opened()

    async def waiting(self) -> str:
        await self.sandbox.fault("yeepay", "late_final", seconds=60, times=1)
        return await self.opened()

    async def told(self, where: str, fields: Told) -> Told:
        merchant = self.merchant()
        async with self.sandbox.session.post(f"{merchant.base}/{where}", data=merchant.signed(fields)) as answer:
            lines = (await answer.text(encoding="gbk")).splitlines()
        return dict(line.split("=", 1) for line in lines)

    async def answer(self, payment: str, amount: int, number: str | None = None) -> Told:
        money = {"p3_Amt": f"{amount // 100}.{amount % 100:02}", "p4_Cur": "CNY", "p5_Desc": ""}
        itself = {"p0_Cmd": "RefundOrd", "p2_Order": number or self.number(), "pb_TrxId": payment}
        return await self.told("command", itself | money)

    async def refund(self, payment: str, amount: int, number: str | None = None, url: str = NOWHERE) -> str:
        return (await self.answer(payment, amount, number))["r1_Code"]

    async def asked(self, payment: str, number: str) -> str:
        told = await self.told("node", {"p0_Cmd": "RefundResults", "p2_Order": number, "pb_TrxId": payment})
        assert (told["r1_Code"], told["refundStatus"], told["r4_Order"]) in {("1", "1", number), ("-3", "", "")}
        return told["refundFrpStatus"] or told["r1_Code"]


class AtJd(Shop):
    provider = "jd"
    TAKEN, TOO_MUCH, NO_SUCH_PAYMENT, NOT_PAID, USED = "0000/6", "EEN0008", "EES0037", "EEN0019", "EES0032"
    OPEN, DONE, FAILED, ABSENT, FAILS = "0000/6", "0000/0", "0000/7", "EES0037", "EEB0004"

    def merchant(self) -> JdMerchant:
        return JdMerchant(self.sandbox, json.loads((self.keys / "jd" / "account.json").read_text()))

    async def paid(self) -> str:
        number = self.number()
        assert (await self.merchant().paid(number, PAID))["STATUS"] == "0"
        return number

    async def waiting(self) -> str:
        await self.sandbox.fault("jd", "late_final", seconds=60, times=1)
        number = self.number()
        assert (await self.merchant().paid(number, PAID))["STATUS"] == "6"
        return number

    async def refund(self, payment: str, amount: int, number: str | None = None, url: str = NOWHERE) -> str:
        leaves = {"TYPE": "R", "ID": number or self.number(), "OID": payment, "AMOUNT": str(amount), "CURRENCY": "CNY"}
        leaves |= {"DATE": DAY[:8], "TIME": DAY[8:], "NOTICE": url, "NOTE": ""}
        inside = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
        return state_of(await self.merchant().send(f"<TRADE>{inside}</TRADE>"))

    async def asked(self, payment: str, number: str) -> str:
        return state_of(await self.merchant().ask(number))


def state_of(told: Told) -> str:
    return f"0000/{told['STATUS']}" if told["CODE"] == "0000" else told["CODE"]


@pytest.fixture(params=[AtLianLian, AtYeePay, AtJd], ids=lambda shop: shop.provider)
def shop(request: pytest.FixtureRequest, sandbox: Sandbox, keys: Path) -> Shop:
    made: Shop = request.param(sandbox, keys)
    return made


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Thanks, str]]:
    thanks, app = Thanks(), web.Application()
    app.router.add_post("/callbacks", thanks.take)
    runner, address = await _serve(app)
    yield thanks, f"{address}/callbacks"
    await runner.cleanup()


async def test_a_refund_is_taken_on_and_done_later(shop: Shop) -> None:
    payment, number = await shop.paid(), shop.number()
    assert await shop.refund(payment, 400, number) == shop.TAKEN
    row = await shop.final(number)
    assert (row["kind"], row["state"], row["amount"], row["submissions"]) == ("refund", "succeeded", 400, 1)
    assert await shop.asked(payment, number) == shop.DONE
    original = await shop.row(row["original"])
    assert original is not None
    assert (original["state"], original["amount"]) == ("succeeded", PAID)


async def test_parts_never_exceed_the_payment(shop: Shop) -> None:
    payment = await shop.paid()
    told = [await shop.refund(payment, amount) for amount in (600, 401, 400, 1)]
    assert told == [shop.TAKEN, shop.TOO_MUCH, shop.TAKEN, shop.TOO_MUCH]


async def test_what_is_not_there_or_not_paid_is_not_given_back(shop: Shop) -> None:
    assert await shop.refund("7" * 16, 1) == shop.NO_SUCH_PAYMENT
    assert await shop.refund(await shop.waiting(), 1) == shop.NOT_PAID


async def test_a_number_is_worked_once(shop: Shop) -> None:
    payment, number = await shop.paid(), shop.number()
    assert await shop.refund(payment, 400, number) == shop.TAKEN
    assert await shop.refund(payment, 300, number) not in {shop.TAKEN, shop.DONE}
    row = await shop.final(number)
    assert (row["amount"], row["submissions"]) == (400, 2)
    assert await shop.refund(payment, 600) == shop.TAKEN


async def test_one_that_is_refused_or_fails_later_leaves_its_sum_to_the_next(shop: Shop) -> None:
    payment, failing = await shop.paid(), shop.number()
    match = {"operation": "refund"}
    await shop.sandbox.fault(shop.provider, "decline", code=shop.FAILS, match=match, times=1)
    assert await shop.refund(payment, PAID) == shop.FAILS
    await shop.sandbox.fault(shop.provider, "decline", code=shop.FAILS, when="final", match=match, times=1)
    assert await shop.refund(payment, PAID, failing) == shop.TAKEN
    assert (await shop.final(failing))["state"] == "failed"
    assert await shop.asked(payment, failing) == shop.FAILED
    assert await shop.refund(payment, PAID) == shop.TAKEN


async def test_it_is_found_by_its_own_number_alone_once_it_can_be_found(shop: Shop) -> None:
    payment, number = await shop.paid(), shop.number()
    assert await shop.asked(payment, number) == shop.ABSENT
    await shop.sandbox.fault(shop.provider, "not_found", seconds=60, match={"operation": "refund"}, times=1)
    await shop.refund(payment, 400, number)
    assert await shop.asked(payment, number) == shop.ABSENT
    row = await shop.final(number)
    assert row["state"] == "succeeded"


async def test_a_refund_cannot_be_given_back(shop: Shop) -> None:
    payment, number = await shop.paid(), shop.number()
    await shop.refund(payment, 400, number)
    row = await shop.final(number)
    told = await shop.refund(row["transaction_no"] or number, 1)
    assert told == shop.NO_SUCH_PAYMENT


@pytest.mark.parametrize("at", [AtLianLian, AtJd])
async def test_what_was_done_is_notified_as_a_refund(
    at: type[Shop], sandbox: Sandbox, keys: Path, inbox: tuple[Thanks, str]
) -> None:
    shop, (thanks, url) = at(sandbox, keys), inbox
    if isinstance(shop, AtJd):
        return await jd_notifies(shop)
    payment, number = await shop.paid(), shop.number()
    await shop.refund(payment, 400, number, url)
    [notice] = await thanks.wait_for(1)
    AtLianLian(sandbox, keys).merchant().believe(notice)
    assert (notice["no_refund"], notice["money_refund"], notice["sta_refund"]) == (number, "4.00", "2")
    assert not {"no_order", "result_pay"} & notice.keys()
    return None


async def jd_notifies(shop: AtJd) -> None:
    arrived: list[str] = []

    async def take(request: web.Request) -> web.Response:
        arrived.append((await request.post())["resp"])  # type: ignore[arg-type]
        return web.Response()

    app = web.Application()
    app.router.add_post("/callbacks", take)
    runner, address = await _serve(app)
    number = shop.number()
    await shop.refund(await shop.paid(), 400, number, f"{address}/callbacks")
    await shop.final(number)
    status, sent = await shop.sandbox.control("POST", "jd/callbacks", {"order_no": number})
    assert (status, sent["statuses"]) == (200, [200])
    told = shop.merchant().believe(arrived[-1])
    assert (told["TYPE"], told["ID"], told["AMOUNT"], told["STATUS"]) == ("R", number, "400", "0")
    await runner.cleanup()


async def test_yeepays_bank_returns_one_that_was_paid_out_and_its_sum_is_free_again(
    sandbox: Sandbox, keys: Path
) -> None:
    shop = AtYeePay(sandbox, keys)
    payment, number = await shop.paid(), shop.number()
    told = await shop.answer(payment, PAID, number)
    assert (told["r1_Code"], told["r4_Order"], told["rf_fee"]) == ("1", number, "0.02")
    status, _ = await sandbox.control("POST", "yeepay/returns", {"order_no": number})
    assert status == 422  # not paid out so far
    await shop.final(number)
    status, row = await sandbox.control("POST", "yeepay/returns", {"order_no": number})
    assert (status, row["state"], row["kind"]) == (200, "returned", "refund")
    assert await shop.asked(payment, number) == AtYeePay.RETURNED
    assert (await sandbox.control("POST", "yeepay/returns", {"order_no": number}))[0] == 422
    assert await shop.refund(payment, PAID) == shop.TAKEN


@pytest.mark.parametrize("at", [AtLianLian, AtJd])
async def test_where_the_protocol_tells_of_no_return_there_is_none(
    at: type[Shop], sandbox: Sandbox, keys: Path
) -> None:
    shop = at(sandbox, keys)
    payment, number = await shop.paid(), shop.number()
    await shop.refund(payment, PAID, number)
    await shop.final(number)
    status, _ = await sandbox.control("POST", f"{shop.provider}/returns", {"order_no": number})
    assert status == 422


async def test_what_yeepay_tells_of_an_order_counts_what_went_back(sandbox: Sandbox, keys: Path) -> None:
    shop = AtYeePay(sandbox, keys)
    payment, number = await shop.paid(), shop.numbers[-1]
    for amount in (100, 250):
        await shop.refund(payment, amount)
    told = await shop.merchant().asks(number)
    assert (told["rc_RefundCount"], told["rd_RefundAmt"], told["rz_RefundAmount"]) == ("2", "3.50", "2.50")
    assert (told["rw_RefundRequestID"], told["rb_PayStatus"]) == (shop.numbers[-1], "SUCCESS")
    # A refund is no order: it is neither asked about, cancelled nor opened as one.
    assert (await shop.merchant().asks(shop.numbers[-1]))["r1_Code"] == "50"


async def test_a_question_about_a_refund_of_another_payment_finds_nothing(sandbox: Sandbox, keys: Path) -> None:
    shop = AtYeePay(sandbox, keys)
    payment, number = await shop.paid(), shop.number()
    await shop.refund(payment, 100, number)
    assert await shop.asked(await shop.paid(), number) == shop.ABSENT


async def test_lianlian_gives_back_by_its_own_number_of_the_payment_too(
    sandbox: Sandbox, keys: Path, session: aiohttp.ClientSession
) -> None:
    shop = AtLianLian(sandbox, keys)
    row = await shop.row(await shop.paid())
    assert row is not None
    itself = {"no_refund": shop.number(), "dt_refund": DAY, "money_refund": "10.00", "notify_url": NOWHERE}
    told = await shop.merchant().send("traderapi/refund.htm", itself | {"oid_paybill": row["transaction_no"]})
    assert told["ret_code"] == "0000"
    for change in ({"money_refund": "0.001"}, {"dt_refund": "1"}, {"notify_url": ""}):
        said = itself | {"no_refund": shop.number(), "oid_paybill": row["transaction_no"]} | change
        assert (await shop.merchant().send("traderapi/refund.htm", said))["ret_code"] == "1004"
