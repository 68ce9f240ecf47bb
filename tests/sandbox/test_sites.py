"""What all pages of the shop and of the sandbox have in common: languages, policy, looks, and the part that is live.

Where there is a Chromium they are looked at in it; with SLUICE_SCREENSHOTS=FOLDER pictures of them are written there.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright

from sandbox.app import SandboxConfig
from sandbox.app import build_app as build_sandbox
from sandbox.business.app import build_app
from sandbox.business.gateway import Access
from tests.browsing import Browser
from tests.pages.chromium import ARGUMENTS, MISSING, NEEDED, found, payer, screenshots_at
from tests.sandbox.cashier import KEY, Cashier
from tests.sandbox.serving import serving
from tests.sandbox.test_shop import SECRET, Shop

ENGLISH: Final = {"Accept-Language": "en-GB,en;q=0.9,zh;q=0.1"}
HTML: Final = {"Accept": "text/html"}
SMALLEST, PHONE, DESK = 320, 390, 1280
CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


class Town:
    """A shop with its cashier, and the mock companies."""

    def __init__(self, shop: Shop, sandbox: str) -> None:
        self.shop, self.sandbox = shop, sandbox

    def pages(self, order_no: str) -> dict[str, str]:
        """Where each page is, by its name."""
        shop, sandbox = self.shop.address, self.sandbox
        return {
            "shop": f"{shop}/",
            "shop-order": f"{shop}/orders/{order_no}",
            "shop-bookings": f"{shop}/bookings",
            "shop-unknown": f"{shop}/orders/none",
            "mock-index": f"{sandbox}/",
            "mock-sms": f"{sandbox}/_sandbox/sms",
            "mock-books": f"{sandbox}/_sandbox/books",
        }


@pytest.fixture(scope="module")
async def town(keys: Path) -> AsyncIterator[Town]:
    cashier = Cashier()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=HTML))
        cashier.address = await stack.enter_async_context(serving(cashier.app()))
        sandbox = await stack.enter_async_context(serving(build_sandbox(SandboxConfig(keys_dir=keys))))
        app = build_app(
            SECRET, access=Access(cashier.address, KEY), inbox=f"{sandbox}/_sandbox/sms", tell=lambda _: None
        )
        yield Town(Shop(await stack.enter_async_context(serving(app)), cashier, Browser(session)), sandbox)


@pytest.fixture(scope="module")
async def order_no(town: Town) -> str:
    """An order that is open, beside others in every state."""
    shop = town.shop
    for kind in ("payment.failed", "checkout.succeeded", "checkout.expired", "checkout.anomaly"):
        await shop.presses("recharge", amount="9999999.99", user="w" * 32)
        await shop.told(kind, shop.numbers[-1] + ("~1" if kind.startswith("payment") else ""), amount=999_999_999)
    await shop.presses("recharge", amount="9999999.99")
    return shop.numbers[-1]


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    program = found()
    if program is None and os.environ.get(NEEDED):
        pytest.fail(MISSING)
    if program is None:
        pytest.skip(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh-CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-US,en;q=0.9", "en"),
        ("fr,en;q=0.5,zh;q=0.4", "en"),
        ("zh;q=0.5,en;q=0.9", "en"),
        ("fr", "zh-CN"),
        ("en;q=high,", "zh-CN"),
        ("EN-us", "en"),
    ],
)
async def test_a_page_speaks_the_language_that_the_browser_prefers(town: Town, accepted: str, language: str) -> None:
    async with town.shop.browser.session.get(town.shop.address, headers={"Accept-Language": accepted}) as answer:
        assert f'<html lang="{language}">' in await answer.text()


async def test_a_language_that_was_chosen_stays_on_the_way(town: Town) -> None:
    shop = town.shop
    page = await shop.browser.open(f"{shop.address}/?lang=en")
    own = [link for link in page.links() if link.startswith(shop.address)]
    assert own
    assert all("lang=" in link for link in own)
    await shop.presses("sign", page)
    asked = shop.cashier.asked[-1]
    assert asked["return_url"].endswith("?lang=en")
    assert asked["description"] == "Sign a card for repayments"
    assert "In progress" in (await shop.browser.open(asked["return_url"])).text


async def test_english_pages_have_no_chinese_but_names(town: Town, order_no: str) -> None:
    for name, url in town.pages(order_no).items():
        async with town.shop.browser.session.get(url, headers=ENGLISH) as answer:
            text = re.sub(r'<[^>]*lang="zh-CN"[^>]*>[^<]*|账户充值', "", await answer.text())
        assert not CHINESE.findall(text), name


async def test_pages_load_and_post_to_their_own_site_alone(town: Town, order_no: str) -> None:
    for name, url in town.pages(order_no).items():
        async with town.shop.browser.session.get(url) as answer:
            policy, text = answer.headers["Content-Security-Policy"], await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "same-origin"
        targets = policy.partition("form-action ")[2].split()
        assert targets == ["'self'", *([town.shop.cashier.address] if "shop" in name else [])]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"<style|style=|<script(?! src=\"/)| on[a-z]+=|src=\"(?!/)", text), name


async def scrolls_sideways(tab: Tab) -> bool:
    return bool(await tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


async def test_pages_fit_and_serve_everybody(town: Town, order_no: str, chromium: Chromium) -> None:
    """Each in one language and scheme, which change from page to page; in all of them where pictures are wanted."""
    every = [(language, scheme) for language in ("zh-CN", "en") for scheme in ("light", "dark")]
    folder = screenshots_at()
    for turn, (language, scheme) in enumerate(every):
        async with payer(chromium, locale=language, color_scheme=scheme, bypass_csp=True) as one:
            for place, (name, url) in enumerate(town.pages(order_no).items()):
                if name == "shop-unknown" or (folder is None and place % len(every) != turn):
                    continue
                await one.goes(url)
                for width in (DESK, PHONE, SMALLEST):
                    await one.page.set_viewport_size({"width": width, "height": 844})
                    assert not await scrolls_sideways(one.page), (name, width)
                    if folder is not None:
                        path = folder / f"{name}-{language}-{scheme}-{width}.png"
                        await one.page.screenshot(path=path, full_page=True)
                looked = await Axe().run(one.page)
                assert looked.violations_count == 0, looked.generate_report()


async def test_a_payer_goes_to_the_cashier_and_back_and_sees_the_notification_come(
    town: Town, chromium: Chromium
) -> None:
    shop = town.shop
    async with payer(chromium) as one:
        await one.goes(shop.address)
        await one.page.locator("#repay-1").click()
        await one.is_at(f"{shop.cashier.address}/checkout/*")
        await one.page.locator("#back").click()
        await one.is_at(f"{shop.address}/orders/*")
        heading = one.page.locator("h1")
        assert await heading.inner_text() == "处理中"
        documents = len(one.sent)
        await shop.told("checkout.succeeded", shop.numbers[-1])
        await one.page.locator("h1", has_text="已入账").wait_for()
        assert len(one.sent) == documents, "it came without loading the page again"
        assert await one.page.locator("[data-live]").count() == 0
