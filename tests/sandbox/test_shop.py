"""The sample business system's shop: whom it sends to the cashier with what, and what it says of an order.

The cashier is a stand-in that keeps the contract of checkouts. Not tested here: how the pages look (`test_sites.py`),
and how its receiver verifies (`test_business_system.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientTimeout, web
from standardwebhooks import Webhook

from sandbox.business import gateway
from sandbox.business.app import build_app
from sandbox.business.gateway import Access
from sandbox.business.orders import INSTALMENTS, read_amount, read_user
from tests.browsing import Browser, Page
from tests.sandbox.cashier import KEY, Cashier
from tests.sandbox.serving import serving

SECRET = "whsec_" + "c2x1aWNlIHRlc3Qgc2VjcmV0IGZvciB0ZXN0cyE="
NASTY = "\"><img src=x onerror=alert(1)></title></script><b>'&amp;"


@dataclass
class Shop:
    """A shop that is open, a payer's browser in front of it, and the cashier behind."""

    address: str
    cashier: Cashier
    browser: Browser
    sequences: dict[str, int] = field(default_factory=dict)

    async def home(self) -> Page:
        return await self.browser.open(self.address)

    async def presses(self, button: str, page: Page | None = None, **typed: str) -> Page:
        """A button of the first page, with what was typed into its form."""
        page = page or await self.home()
        action, fields = form_of(page, button)
        return await self.browser.submit(self.address + action, {**fields, **typed})

    async def order(self, order_no: str, query: str = "") -> Page:
        return await self.browser.open(f"{self.address}/orders/{order_no}{query}")

    async def told(self, kind: str, order_no: str, *, object_id: str = "", amount: int | None = 10_000) -> None:
        """A notification, as the gateway sends it."""
        name, status = kind.split(".")
        object_id = object_id or f"{name}_{order_no}"
        sequence = self.sequences[object_id] = self.sequences.get(object_id, 0) + 1
        data = {"id": object_id, "merchant_order_no": order_no, "status": status, "amount": amount}
        body = json.dumps({"id": "evt", "type": kind, "sequence": sequence, "data": data})
        at = datetime.now(UTC)
        headers = {
            "webhook-id": "msg",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("msg", at, body),
        }
        async with self.browser.session.post(f"{self.address}/notifications", data=body, headers=headers) as answer:
            assert answer.status == 200

    @property
    def numbers(self) -> list[str]:
        """The order numbers that the cashier was asked for, in order."""
        return [asked["merchant_order_no"] for asked in self.cashier.asked]


def form_of(page: Page, button: str) -> tuple[str, dict[str, str]]:
    form = next(each for each in page.root.get_element_by_id(button).iterancestors("form"))
    return form.get("action", ""), {each.get("name", ""): each.get("value", "") for each in form.iter("input")}


def is_live(page: Page) -> bool:
    return page.root.get_element_by_id("live").get("data-live") is not None


def heading(page: Page) -> str:
    return str(next(page.root.iter("h1")).text_content())


Open = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def open_shop(session: aiohttp.ClientSession) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        cashier = Cashier()
        cashier.address = await stack.enter_async_context(serving(cashier.app()))

        async def open_one(data_dir: Path | None = None, *, key: str = KEY) -> Shop:
            app = build_app(SECRET, data_dir, access=Access(cashier.address, key), tell=lambda _: None)
            return Shop(await stack.enter_async_context(serving(app)), cashier, Browser(session))

        yield open_one


@pytest.fixture
async def shop(open_shop: Open) -> Shop:
    return await open_shop()


async def test_who_recharges_is_sent_to_the_cashier_with_the_order(shop: Shop) -> None:
    page = await shop.presses("recharge", amount="1,234.50", user="lisi")
    [asked] = shop.cashier.asked
    number = asked["merchant_order_no"]
    assert asked == {
        "merchant_order_no": number,
        "user_id": "lisi",
        "purpose": "pay",
        "amount": 123_450,
        "currency": "CNY",
        "description": "账户充值",
        "return_url": f"{shop.address}/orders/{number}",
    }
    assert "~" not in number
    assert page.url.startswith(f"{shop.cashier.address}/checkout/")


async def test_who_signs_a_card_is_sent_without_an_amount(shop: Shop) -> None:
    await shop.presses("sign", sign_user="lisi")
    [asked] = shop.cashier.asked
    assert (asked["purpose"], asked["user_id"]) == ("sign", "lisi")
    assert not {"amount", "currency", "methods"} & set(asked)


async def test_a_form_sent_twice_is_one_order_and_with_another_amount_another(shop: Shop) -> None:
    page = await shop.home()
    await asyncio.gather(*(shop.presses("recharge", page) for _ in range(5)))
    await shop.presses("recharge", page, amount="100.01")
    assert len(shop.cashier.orders) == 2
    await shop.presses("recharge")
    assert len(shop.cashier.orders) == 3


async def test_when_the_answer_is_lost_pressing_again_is_the_same_order(shop: Shop) -> None:
    shop.cashier.is_silent()
    trouble = await shop.presses("recharge")
    assert (trouble.status, heading(trouble)) == (503, "收银台暂时没有回应")
    assert shop.numbers[0] in trouble.text
    arrived = await shop.browser.press(trouble, "go-on")
    assert "/checkout/" in arrived.url
    assert shop.cashier.asked[0] == shop.cashier.asked[1]


async def test_a_cashier_that_does_not_answer_in_time_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/checkouts", hangs)
    monkeypatch.setattr(gateway, "TIMEOUT", ClientTimeout(total=0.05))
    async with serving(app) as address:
        shop_app = build_app(SECRET, access=Access(address, KEY), tell=lambda _: None)
        async with serving(shop_app) as there:
            trouble = await Shop(there, shop.cashier, shop.browser).presses("recharge")
    assert (trouble.status, heading(trouble)) == (503, "收银台暂时没有回应")


async def test_a_busy_cashier_says_when_to_press_again(shop: Shop) -> None:
    shop.cashier.fails(503, headers={"Retry-After": "7"}, detail="busy")
    trouble = await shop.presses("recharge")
    assert (trouble.status, heading(trouble)) == (503, "收银台正忙")
    assert "请 7 秒后再按一次" in trouble.text
    assert "/checkout/" in (await shop.browser.press(trouble, "go-on")).url
    assert len(shop.cashier.orders) == 1


@pytest.mark.parametrize(
    ("status", "answered", "says", "may_go_on"),
    [
        (409, 409, "这个订单号已用于另一笔订单", False),
        (422, 422, "支付网关没有接受这笔订单", False),
        (400, 422, "支付网关没有接受这笔订单", False),
        (401, 503, "支付网关不认这把密钥", True),
        (404, 503, "这个网关没有收银台", True),
        (429, 503, "收银台正忙", True),
        (302, 503, "收银台暂时没有回应", True),
        (500, 503, "收银台暂时没有回应", True),
        (200, 503, "收银台暂时没有回应", True),
    ],
)
async def test_each_refusal_is_said_and_shown_as_text(
    shop: Shop, status: int, answered: int, says: str, may_go_on: bool
) -> None:
    shop.cashier.fails(status, headers={"Location": "/"}, detail=NASTY, url="javascript:alert(1)")
    trouble = await shop.presses("recharge")
    assert (trouble.status, heading(trouble)) == (answered, says)
    assert ("go-on" in trouble.buttons()) is may_go_on
    assert " ".join(NASTY.split()) in trouble.text or status in {200, 302}
    assert not {*trouble.root.iter("img"), *trouble.root.iter("b")}
    assert len(trouble.root.xpath("//script")) == 1  # its own


async def test_an_answer_that_is_no_json_is_no_page(shop: Shop) -> None:
    for text in ("", "<html>", "[]", '{"url": 7}', '{"url": "//elsewhere.test/"}', "null"):
        shop.cashier.answers.append(web.Response(text=text, status=201))
        assert (await shop.presses("recharge")).status == 503


async def test_a_cashier_at_another_place_is_reached_by_a_link(shop: Shop) -> None:
    shop.cashier.base = "http://pay.shop.test"
    page = await shop.presses("recharge")
    assert (page.status, heading(page)) == (200, "前往收银台")
    assert any(link.startswith("http://pay.shop.test/checkout/") for link in page.links())


async def test_coming_back_says_nothing_and_the_notification_all(shop: Shop) -> None:
    await shop.presses("recharge")
    [number] = shop.numbers
    for query in ("", "?payment=pay_1", "?payment=pay_1&status=succeeded", f"?checkout=co_{number}"):
        page = await shop.order(number, query)
        assert (heading(page), is_live(page)) == ("处理中", True)
        assert page.url in page.links(), "without script a link looks again"
    await shop.told("payment.succeeded", f"{number}~1")
    assert heading(await shop.order(number)) == "处理中"
    await shop.told("checkout.succeeded", number)
    page = await shop.order(number, "?payment=pay_1")
    assert (heading(page), is_live(page)) == ("已入账", False)


async def test_a_signed_card_is_said_to_be_signed(shop: Shop) -> None:
    await shop.presses("sign")
    [number] = shop.numbers
    await shop.told("checkout.succeeded", number, amount=None)
    assert heading(await shop.order(number)) == "签约成功"


async def test_a_failed_try_leaves_the_order_open_and_the_same(shop: Shop) -> None:
    await shop.presses("repay-1")
    [number] = shop.numbers
    await shop.told("payment.failed", f"{number}~1")
    page = await shop.order(number)
    assert (heading(page), is_live(page)) == ("这次没有成功", True)
    assert "/checkout/" in (await shop.browser.press(page, "go-on")).url
    assert "/checkout/" in (await shop.presses("repay-1")).url
    assert len(shop.cashier.orders) == 1
    # The next try is on its way, and the word of the first one comes late.
    await shop.told("payment.requires_action", f"{number}~10")
    await shop.told("payment.failed", f"{number}~9")
    assert heading(await shop.order(number)) == "处理中"


async def test_an_instalment_is_paid_once_and_shows_it_when_that_was_notified(shop: Shop) -> None:
    page = await shop.home()
    await asyncio.gather(*(shop.presses("repay-2", page) for _ in range(5)))
    assert len(shop.cashier.orders) == 1
    [number] = shop.cashier.orders
    assert "repay-2" in (await shop.home()).buttons()
    await shop.told("checkout.succeeded", number)
    after = await shop.home()
    assert ("已还" in after.text, [name for name in after.buttons() if "repay" in name]) == (
        True,
        ["repay-1", "repay-3"],
    )
    before = len(shop.cashier.asked)
    stale = await shop.presses("repay-2", page)
    assert (heading(stale), stale.url) == ("已入账", f"{shop.address}/orders/{number}")
    assert len(shop.cashier.asked) == before


@pytest.mark.parametrize("ended", ["expired", "canceled"])
async def test_an_instalment_whose_order_is_over_is_repaid_by_another(shop: Shop, ended: str) -> None:
    await shop.presses("repay-1")
    [number] = shop.numbers
    await shop.told(f"checkout.{ended}", number)
    page = await shop.order(number)
    assert (is_live(page), "go-on" in page.buttons()) == (False, False)
    await shop.presses("repay-1")
    assert len(set(shop.numbers)) == 2


async def test_an_instalment_whose_order_was_refused_is_repaid_by_another(shop: Shop) -> None:
    shop.cashier.fails(422, detail="return_url is not on a host of this app")
    await shop.presses("repay-1")
    assert "/checkout/" in (await shop.presses("repay-1")).url
    assert len(set(shop.numbers)) == 2


async def test_who_has_repaid_all_may_borrow_again_once(shop: Shop) -> None:
    for place in range(1, len(INSTALMENTS) + 1):
        assert "borrow" not in (await shop.home()).buttons()
        await shop.presses(f"repay-{place}")
        await shop.told("checkout.succeeded", shop.numbers[-1])
    assert [asked["amount"] for asked in shop.cashier.asked] == [*INSTALMENTS]
    repaid = await shop.home()
    for _ in range(2):
        again = await shop.presses("borrow", repaid)
    assert "借款 2 ·" in again.text
    assert {"repay-1", "repay-2", "repay-3"} <= set(again.buttons())


async def test_orders_and_what_is_paid_survive_a_restart(open_shop: Open, tmp_path: Path) -> None:
    shop = await open_shop(tmp_path)
    page = await shop.home()
    await shop.presses("repay-1", page)
    await shop.presses("repay-2", page)
    paid, open_ = shop.numbers
    shop.cashier.fails(422)
    await shop.presses("recharge", page)
    await shop.told("checkout.succeeded", paid)
    again = await open_shop(tmp_path)
    assert heading(await again.order(paid)) == "已入账"
    assert (await again.order(shop.numbers[2])).status == 404
    await again.presses("repay-2")
    assert again.numbers[-1] == open_
    # What payers pay by is theirs alone.
    kept = (tmp_path / "orders.jsonl").read_text()
    assert "/checkout/" not in kept
    assert KEY not in kept


async def test_programs_get_bookings_as_json_and_browsers_a_page(shop: Shop) -> None:
    await shop.presses("recharge")
    [number] = shop.numbers
    await shop.told("payment.succeeded", f"{number}~1", object_id="pay_1")
    await shop.told("checkout.succeeded", number, object_id="co_1")
    get, url = shop.browser.session.get, f"{shop.address}/bookings"
    for accepted in ("*/*", "application/json", ""):
        async with get(url, headers={"Accept": accepted}) as answer:
            booked = await answer.json()
            assert [booking["payment_id"] for booking in booked["bookings"]] == ["pay_1"]
    async with get(url, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}) as answer:
        page = Page(url, answer.status, await answer.read())
        assert answer.content_type == "text/html"
        assert "Accept" in answer.headers["Vary"]
    for text in (number, f"{number}~1", "账户充值", "100.00", "已入账", "收银台订单"):
        assert text in page.text
    async with get(f"{url}/co_1") as answer:
        assert await answer.json() == {
            "checkout_id": "co_1",
            "merchant_order_no": number,
            "status": "succeeded",
            "amount": 10_000,
            "sequence": 1,
            "deliveries": 1,
        }


@pytest.mark.parametrize("path", ["recharge", "sign", "repay", "borrow", "orders/{number}"])
async def test_forms_of_other_sites_are_not_taken(shop: Shop, path: str) -> None:
    await shop.presses("recharge")
    home, number = await shop.home(), shop.numbers[0]
    ticket = form_of(home, "repay-1" if path == "repay" else "recharge")[1]["ticket"]
    fields = {"ticket": ticket, "amount": "1", "user": "u", "sign_user": "u"}
    url, post = f"{shop.address}/{path.format(number=number)}", shop.browser.session.post
    for changed in ({"ticket": ""}, {"ticket": f"{ticket}x"}, {"ticket": f"x{ticket}"}, {"ticket": "ü.é"}):
        assert (await shop.browser.submit(url, {**fields, **changed})).status == 403
    for headers in (
        {"Origin": "http://evil.test"},
        {"Origin": shop.address.replace("http:", "https:")},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "null"},
    ):
        async with post(url, data=fields, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 403
    for content_type in ("application/json", "application/x-www-form-urlencoded; charset=none", "multipart/form-data"):
        async with post(url, data=b"ticket=%FF", headers={"Content-Type": content_type}) as answer:
            assert answer.status == 403
    assert len(shop.cashier.asked) == 1


@pytest.mark.parametrize("headers", [{"Origin": "null"}, {"Sec-Fetch-Site": "same-origin"}, {}])
async def test_forms_of_our_own_are_taken_whatever_a_browser_tells_of_itself(
    shop: Shop, headers: dict[str, str]
) -> None:
    _, fields = form_of(await shop.home(), "recharge")
    async with shop.browser.session.post(f"{shop.address}/recharge", data=fields, headers=headers) as answer:
        assert "/checkout/" in str(answer.url)


async def test_a_ticket_of_one_order_does_not_open_another(shop: Shop) -> None:
    await shop.presses("recharge")
    await shop.presses("recharge")
    one, other = shop.numbers
    _, fields = form_of(await shop.order(one), "go-on")
    assert (await shop.browser.submit(f"{shop.address}/orders/{other}", fields)).status == 404
    assert len(shop.cashier.asked) == 2


async def test_what_is_wrong_is_shown_beside_what_was_typed_as_text(shop: Shop) -> None:
    page = await shop.presses("recharge", amount=NASTY, user="lisi")
    assert page.status == 422
    assert form_of(page, "recharge")[1]["amount"] == NASTY
    assert form_of(page, "recharge")[1]["user"] == "lisi"
    amount = page.root.get_element_by_id("amount")
    assert amount.get("aria-invalid") == "true"
    assert "0.01" in page.root.get_element_by_id(amount.get("aria-describedby")).text_content()
    assert page.root.get_element_by_id("user").get("aria-invalid") is None
    assert not {*page.root.iter("img"), *page.root.iter("b")}
    assert (await shop.presses("sign", sign_user="")).status == 422
    assert not shop.cashier.asked
    # The page stands at no address of its own: what is live is asked for at the first page's.
    assert page.root.get_element_by_id("live").get("data-live") == "/"
    assert "/checkout/" in (await shop.presses("recharge", page, amount="1")).url


@pytest.mark.parametrize(
    ("typed", "fen"),
    [
        ("1", 100),
        ("0.01", 1),
        ("1.5", 150),
        (" ¥1,000.50 ", 100_050),
        ("１２．３４", 1_234),
        ("20元", 2_000),
        ("10000000", 10_000_000_00),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, fen: int) -> None:
    assert read_amount(typed) == fen


@pytest.mark.parametrize(
    "typed", ["", "0", "0.00", "-1", "1.001", "1e3", "abc", "10000000.01", "٣", "1.", ".5", "9" * 400, "½"]
)
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        read_amount(typed)


@pytest.mark.parametrize("typed", ["", " ", "张三", "a b", "a" * 33, "a/b", "a~1", "<b>"])
def test_what_is_no_user_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        read_user(typed)


async def test_without_a_gateway_the_shop_says_how_to_start_it(session: aiohttp.ClientSession) -> None:
    async with serving(build_app(SECRET, tell=lambda _: None)) as address:
        browser = Browser(session)
        page = await browser.open(address)
        assert (page.status, page.buttons()) == (200, [])
        assert "--gateway" in page.text
        assert "SLUICE_RECEIVER_KEY" in page.text
        assert (await browser.submit(f"{address}/recharge", {"ticket": "x"})).status == 403


async def test_an_order_that_nobody_made_is_not_there(shop: Shop) -> None:
    page = await shop.order("CZNOBODYS")
    assert (page.status, heading(page)) == (404, "没有这个订单")


async def test_the_cashiers_key_stands_on_no_page(shop: Shop) -> None:
    pages = [await shop.home(), await shop.presses("recharge"), await shop.order(shop.numbers[0])]
    shop.cashier.fails(401)
    pages.append(await shop.presses("recharge"))
    assert not [page.url for page in pages if KEY.encode() in page.content]
