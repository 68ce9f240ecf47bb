"""How the pages of a checkout look and read, in every state: at each width, light and dark, in both languages.

They are drawn of made-up checkouts: nothing is paid here (test_cashier). With SLUICE_SCREENSHOTS=FOLDER pictures of all
of them are written there.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from typing import Any, Final, cast

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from gateway.api.application import build_app
from gateway.flows.cashier import Shown
from tests.api.cashiers import STATES, TOKEN, FakeCashier, checkout, in_state, of, offers
from tests.api.fakes import FakeGateway
from tests.e2e.world import served
from tests.pages.chromium import Payer, payer, screenshots_at
from tests.pages.test_looks import LANGUAGES, LONG, MARKUP, SCHEMES, SMALLEST, WIDTHS, picture, scrolls_sideways

WECHAT: Final = "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Chrome/126.0 Mobile MicroMessenger/8.0.49"
ALIKE: Final = frozenset(
    {
        "code that signs", "code is being sent", "code is used up", "waiting for a card", "card added", "card refused",
        "given up", "too late", "canceled", "paid late, and tried again",
        "failed: insufficient_balance", "failed: custody_not_bound",
    }
)  # fmt: skip
"""Built as another one is, with other words: they are looked at where pictures are wanted."""
FAILURES: Final = ("channel_unavailable", "insufficient_balance", "single_limit_exceeded", "custody_not_bound")
LOOKED_AT: Final = [
    *(state for state in STATES if not state.startswith("failed: ")),
    *(f"failed: {code}" for code in FAILURES),
    "long",
    "nothing to pay with",
    "wrong form",
    "new card",
    "bank in an app",
    "choose in an app",
    "back from the bank",
    "unknown",
]


LOOKED_AT_NOW: Final = [name for name in LOOKED_AT if screenshots_at() is not None or name not in ALIKE]


def long() -> Shown:
    return of(checkout(description=MARKUP + LONG, amount=10**13))


@pytest.fixture
def cashier() -> FakeCashier:
    return FakeCashier(in_state("choose"))


@pytest.fixture
async def at(cashier: FakeCashier) -> AsyncIterator[str]:
    """The address of its page."""
    async with served(build_app(replace(FakeGateway().api(), cashier=cast("Any", cashier)))) as base:
        cashier.public_base = base
        yield f"{base}/checkout/{TOKEN}"


async def stand(cashier: FakeCashier, one: Payer, at: str, name: str) -> None:
    """Bring the payer to a page in this state."""
    cashier.shown = in_state(name) if name in STATES else long() if name == "long" else cashier.shown
    if name == "nothing to pay with":
        cashier.offered = offers(cards=(), new_card=False, card_banks=(), banks=())
    if name in {"wrong form", "new card"}:
        cashier.offered = offers(cards=())
    if name in {"bank in an app", "back from the bank"}:
        cashier.shown = in_state("bank")
    if name == "long":
        cashier.name = LONG
    await one.goes(at + {"back from the bank": "?back=1", "unknown": "x"}.get(name, ""))
    if name == "wrong form":
        await one.page.locator("details[open] button").first.click()
        await one.page.locator("#card_no-error").wait_for()


@pytest.mark.parametrize("name", LOOKED_AT_NOW)
async def test_each_page_fits_and_serves_everybody(browser: Browser, cashier: FakeCashier, at: str, name: str) -> None:
    """In each language and scheme where pictures are wanted; else in one of each, which change from page to page."""
    looks = [*product(LANGUAGES, SCHEMES)]
    if screenshots_at() is None:
        looks = [looks[LOOKED_AT_NOW.index(name) % len(looks)]]
    agent = {"user_agent": WECHAT} if name.endswith("in an app") else {}
    for language, scheme in looks:
        async with payer(browser, color_scheme=scheme, locale=language, bypass_csp=True, **agent) as one:
            await stand(cashier, one, at, name)
            assert await one.page.locator("html").get_attribute("lang") == language
            if name not in {"wrong form", "new card"}:  # all that can be opened, so that it is looked at
                await one.page.evaluate(
                    "document.querySelectorAll('details').forEach(each => { each.name = ''; each.open = true; })"
                )
            for width in (*WIDTHS, SMALLEST):
                await one.page.set_viewport_size({"width": width, "height": 844})
                assert not await scrolls_sideways(one), width
                await picture(one, f"checkout-{name}-{language}-{scheme}-{width}".replace(" ", "-").replace(":", ""))
            found = await Axe().run(one.page)
            assert found.violations_count == 0, found.generate_report()
            small = await one.page.evaluate(SMALL_TARGETS)
            assert small == [], small
            if name in {"wrong form", "unknown"}:
                one.complaints.clear()  # the browser tells of the status, which is meant


OPEN_ALL: Final = "document.querySelectorAll('details').forEach(each => { each.name = ''; each.open = true; })"
SMALL_TARGETS: Final = """[...document.querySelectorAll('button, a, summary, select, input, .row label')]
  .filter(each => each.offsetParent && each.type !== 'radio' && !each.closest('.unseen'))
  .filter(each => each.getBoundingClientRect().height < 43.9)
  .map(each => each.outerHTML)"""
