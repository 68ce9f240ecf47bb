"""The mock bank's pages: what a payer reads, presses and is sent back with, whoever the provider behind them is.

Not tested here: what a provider makes of a choice, and a real browser.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from sandbox.faults import FAULTS, FaultRefusedError, Faults, Occasion
from sandbox.pages import Bill, Choice, Desk, Ending, WayBack
from tests.browsing import Browser, Page

NASTY = "\"><img src=x onerror=alert(1)></title></script><b>'&amp;"
BILL = Bill("模拟支付 Mock pay", "工商银行 ICBC", "示例商户", "order-1", 123_456_789, "三月还款")


@dataclass
class OneOrder:
    """A clerk with one order, who remembers what payers chose."""

    bill: Bill = BILL
    way_back: WayBack | None = None
    chosen: list[Choice] = field(default_factory=list)

    def stands(self, order_no: str) -> Bill | Ending | None:
        if order_no != self.bill.order_no:
            return None
        return Ending("已支付 Paid", self.way_back) if "pay" in self.chosen else self.bill

    def occasion(self, order_no: str) -> Occasion:
        return Occasion("pay", order_no, amount=self.bill.amount)

    def choose(self, order_no: str, choice: Choice) -> Ending:
        self.chosen.append(choice)
        if choice == "insufficient":
            return Ending("余额不足 Not enough money", may_try_again=True)
        return Ending("已支付 Paid" if choice == "pay" else "已取消 Cancelled", self.way_back)


@dataclass
class Place:
    """A desk that is open, and a browser in front of it."""

    address: str
    browser: Browser
    clerk: OneOrder
    faults: Faults
    returned: list[tuple[str, str, bytes]]

    async def page(self, order_no: str = "order-1") -> Page:
        return await self.browser.open(f"{self.address}/open/{order_no}")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    clerk, faults = OneOrder(), Faults(frozenset(FAULTS), lambda code: True)
    desk, returned = Desk("mock", clerk, faults), list[tuple[str, str, bytes]]()

    async def came_back(request: web.Request) -> web.Response:
        returned.append((request.method, request.rel_url.raw_query_string, await request.read()))
        return web.Response(text="the merchant's page")

    async def opened(request: web.Request) -> web.Response:
        return desk.open(request.match_info["order_no"])

    app = web.Application()
    app.add_routes([*desk.routes(), web.get("/open/{order_no}", opened), web.route("*", "/back", came_back)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Place(f"http://127.0.0.1:{runner.addresses[0][1]}", Browser(session), clerk, faults, returned)
    await runner.cleanup()


async def test_a_payer_reads_whose_page_it_is_and_what_is_paid_to_whom(place: Place) -> None:
    page = await place.page()
    for text in ("模拟支付 Mock pay", "工商银行 ICBC", "示例商户", "order-1", "¥ 1,234,567.89", "三月还款"):
        assert text in page.text
    assert page.buttons() == ["pay", "cancel", "insufficient"]
    assert b"<script" not in page.content


async def test_one_order_has_one_page_however_often_it_is_opened(place: Place) -> None:
    first, second = await place.page(), await place.page()
    assert first.url == second.url
    assert len(first.url.rsplit("/", 1)[1]) >= 22
    assert (await place.browser.open(first.url)).content == first.content


async def test_a_page_that_nobody_opened_is_not_there(place: Place) -> None:
    assert (await place.browser.open(f"{place.address}/mock/pages/guessed")).status == 404
    assert (await place.browser.submit(f"{place.address}/mock/pages/guessed", {"choice": "pay"})).status == 404
    assert (await place.page("another")).status == 404
    assert not place.clerk.chosen


@pytest.mark.parametrize("choice", ["pay", "cancel"])
async def test_a_payer_goes_back_with_the_fields_of_the_bank_in_its_charset(place: Place, choice: Choice) -> None:
    fields = {"名": "还款 <&\"'>", "hmac": "ab+c/=="}
    place.clerk.way_back = WayBack(f"{place.address}/back?o=1", fields, "POST", "gbk")
    ending = await place.browser.press(await place.page(), choice)
    assert (ending.status, place.clerk.chosen) == (200, [choice])
    arrived = await place.browser.press(ending, "back")
    assert arrived.text == "the merchant's page"
    named = "名".encode("gbk")
    said = b"%%%02X%%%02X=%%BB%%B9%%BF%%EE+%%3C%%26%%22%%27%%3E&hmac=ab%%2Bc%%2F%%3D%%3D" % tuple(named)
    assert place.returned == [("POST", "o=1", said)]


async def test_a_way_back_by_get_has_its_fields_in_the_address(place: Place) -> None:
    place.clerk.way_back = WayBack(f"{place.address}/back", {"r1_Code": "1"})
    await place.browser.press(await place.browser.press(await place.page(), "pay"), "back")
    assert place.returned == [("GET", "r1_Code=1", b"")]


async def test_who_has_not_enough_money_may_try_again_on_the_same_page(place: Place) -> None:
    page = await place.page()
    ending = await place.browser.press(page, "insufficient")
    assert "余额不足" in ending.text
    assert ending.links() == [page.url]
    assert ending.buttons() == []
    assert "已支付" in (await place.browser.press(await place.browser.open(ending.links()[0]), "pay")).text


async def test_what_is_paid_shows_that_and_the_way_back_again(place: Place) -> None:
    place.clerk.way_back = WayBack(f"{place.address}/back")
    page = await place.page()
    await place.browser.press(page, "pay")
    again = await place.browser.open(page.url)
    assert ("已支付" in again.text, again.buttons()) == (True, ["back"])


async def test_without_a_way_back_there_is_only_the_tab_to_close(place: Place) -> None:
    ending = await place.browser.press(await place.page(), "pay")
    assert ending.buttons() == []
    assert "close this tab" in ending.text


async def test_a_choice_that_is_none_of_the_buttons_changes_nothing(place: Place) -> None:
    page = await place.page()
    for choice in ({}, {"choice": ""}, {"choice": "refund"}):
        assert (await place.browser.submit(page.url, choice)).status == 422
    assert not place.clerk.chosen


async def test_whatever_stands_in_a_text_is_shown_as_text(place: Place) -> None:
    place.clerk.bill = Bill(NASTY, NASTY, NASTY, "order-1", 1, NASTY)
    place.clerk.way_back = WayBack(f"{place.address}/back", {NASTY: NASTY}, "POST")
    page = await place.page()
    ending = await place.browser.press(page, "pay")
    for shown in (page, ending):
        assert not {*shown.root.iter("img"), *shown.root.iter("b"), *shown.root.iter("script")}
    assert page.text.count(" ".join(NASTY.split())) == 5  # in the title, too
    await place.browser.press(ending, "back")
    assert place.returned[0][2].count(b"%3Cimg+src%3Dx") == 2


async def test_no_script_may_run_on_a_page_and_nobody_keeps_one(place: Place) -> None:
    url = (await place.page()).url
    async with place.browser.session.get(url) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_faults_of_paying_happen_to_the_payer(place: Place) -> None:
    page = await place.page()
    place.faults.add({"fault": "error_before", "times": 1})
    assert ((await place.browser.press(page, "pay")).status, place.clerk.chosen) == (502, [])
    place.faults.add({"fault": "reset_after", "times": 1})
    with pytest.raises(aiohttp.ClientError):
        await place.browser.press(page, "pay")
    assert place.clerk.chosen == ["pay"]


def test_only_providers_with_pages_know_the_faults_of_pages() -> None:
    without = Faults(frozenset({"decline"}), lambda code: True)
    with pytest.raises(FaultRefusedError, match="no such message"):
        without.add({"fault": "lose_return"})
