"""How our pages look and read: at each width, light and dark, in both languages, for everybody, whatever is in them.

With SLUICE_SCREENSHOTS=FOLDER pictures of all of them, and of the mock's, are written there.
"""

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from tests.e2e.business import App, Shown
from tests.e2e.on_pages import OFTEN, WAYS, asked_for, follow, paged_app, run_out
from tests.e2e.world import World
from tests.pages.chromium import Payer, payer, screenshots_at

NETBANK, QUICK = WAYS["netbank"], WAYS["custody quick"]
WIDTHS: Final = (390, 1280)
SMALLEST: Final = 320
SCHEMES: Final = ("light", "dark")
LANGUAGES: Final = ("zh-CN", "en")
LONG: Final = "上海示例网络小额贷款有限责任公司（华东分公司第二营业部）Longwordthatdoesnotbreakanywhere"
MARKUP: Final = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>'


async def paid(world: World, app: App, **changed: object) -> Shown:
    visit = await follow(world, NETBANK, await asked_for(world, app, NETBANK, **changed))
    await visit.browser.press(visit.bill, "pay")
    await app.final(visit.payment["id"])
    return visit.payment


async def on_the_way(world: World, app: App) -> str:
    return str((await asked_for(world, app, NETBANK, description="三月还款"))["next_action"]["url"])


async def succeeded(world: World, app: App) -> str:
    return str((await paid(world, app, return_url=None))["next_action"]["url"])


async def failed(world: World, app: App) -> str:
    payment = await asked_for(world, app, QUICK, return_url=None)
    visit = await follow(world, QUICK, payment)
    await visit.browser.press(visit.bill, "insufficient")
    await app.final(payment["id"])
    return str(payment["next_action"]["url"])


async def closed(world: World, app: App) -> str:
    payment = await asked_for(world, app, NETBANK, return_url=None)
    await run_out(world, app, payment)
    await app.final(payment["id"])
    return str(payment["next_action"]["url"])


async def waiting(world: World, app: App) -> str:
    payment = await asked_for(world, app, QUICK)
    await run_out(world, app, payment)
    return str(payment["next_action"]["url"])


async def nobodys(world: World, app: App) -> str:
    return f"{world.gateway}/return/{await world.code_of(app)}.yeepay_main/nobody"


OURS: Final[dict[str, Callable[[World, App], Awaitable[str]]]] = {
    "on the way": on_the_way,
    "succeeded": succeeded,
    "failed": failed,
    "closed": closed,
    "waiting": waiting,
    "nobody's": nobodys,
}


@pytest.fixture(scope="session")
async def named(world: World) -> App:
    """A merchant with a long name; it asks often."""
    return await paged_app(world, asks=OFTEN, name=LONG)


async def picture(one: Payer, name: str) -> None:
    if folder := screenshots_at():
        await one.page.screenshot(path=folder / f"{name}.png", full_page=True)


async def scrolls_sideways(one: Payer) -> bool:
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(await one.page.evaluate(wide))


@pytest.mark.parametrize("name", OURS)
async def test_our_pages_fit_and_serve_everybody(browser: Browser, world: World, named: App, name: str) -> None:
    """In each language and scheme where pictures are wanted; else in one of each, which change from page to page."""
    url = await OURS[name](world, named)
    looks = [*product(LANGUAGES, SCHEMES)]
    if screenshots_at() is None:
        looks = [looks[list(OURS).index(name) % len(looks)]]
    for language, scheme in looks:
        async with payer(browser, color_scheme=scheme, locale=language, bypass_csp=True) as one:
            # The page that goes on by itself is held, so that it can be looked at.
            await one.page.route("**/pages/go.js*", lambda route: route.fulfill(body=""))
            await one.goes(url)
            assert await one.page.locator("html").get_attribute("lang") == language
            for width in (*WIDTHS, SMALLEST):
                await one.page.set_viewport_size({"width": width, "height": 844})
                assert not await scrolls_sideways(one), width
                await picture(one, f"{name}-{language}-{scheme}-{width}".replace(" ", "-"))
            found = await Axe().run(one.page)
            assert found.violations_count == 0, found.generate_report()


async def test_texts_of_others_run_nowhere(browser: Browser, world: World) -> None:
    app = await paged_app(world, asks=OFTEN, name=MARKUP)
    payment = await asked_for(world, app, NETBANK, description=MARKUP)
    for script in (False, True):
        async with payer(browser, java_script_enabled=script) as one:
            await one.goes(payment["next_action"]["url"])
            if not script:
                assert MARKUP in await one.page.locator("main").inner_text()
                await one.page.locator("#go button").click()
            await one.is_at("**/pages/*")
            assert MARKUP[:20] in await one.page.locator("main").inner_text()
            assert await one.page.locator("img").count() == 0
    other = await paid(world, app, return_url=None)
    async with payer(browser) as one:
        await one.goes(other["next_action"]["url"])
        assert MARKUP in await one.page.locator("main").inner_text()


async def test_the_mocks_pages_are_pictured(browser: Browser, world: World, patient: App) -> None:
    """And fit a phone. The bank's counter opens an account, binds its card, and authorises withholds."""
    for name, way in WAYS.items():
        payment = await asked_for(world, patient, way)
        async with payer(browser) as one:
            await one.goes(payment["next_action"]["url"])
            await one.is_at("**/pages/*")
            assert not await scrolls_sideways(one)
            await picture(one, f"bank-{name}".replace(" ", "-"))
            if screenshots_at() is None:
                continue
            await one.presses("cancel")
            await picture(one, f"bank-{name}-cancelled".replace(" ", "-"))
            await one.page.locator("main a").click()
            await one.presses("pay")
            assert not await scrolls_sideways(one)
            await picture(one, f"bank-{name}-paid".replace(" ", "-"))


async def test_a_card_bound_at_the_banks_counter_and_refused_by_its_psp_switches(
    browser: Browser, world: World, patient: App
) -> None:
    user = world.user()
    async with payer(browser) as one:
        await one.goes(f"{world.sandbox}/lanmao/counter")
        await picture(one, "counter")
        card = {
            "user_no": user,
            "card_no": f"622202020{world.number():06d}9821",
            "phone": "13800138000",
            "bankcode": "ICBK",
        }
        for field, text in card.items():
            await one.page.locator(f"input[name={field}]").fill(text)
        await one.presses("authorise")
        says = await one.page.locator("[role=status]").inner_text()
        assert "YEEPAY 未通过 → FUIOU 通过" in says
        await picture(one, "counter-done")
        ended = []
        for _ in range(2):
            order = world.order(30_000, scene="custody_quick_charge", bank="ICBC", card=None, user_id=user)
            payment = await patient.pay(order)
            await one.goes(payment["next_action"]["url"])
            await one.is_at("**/pages/*")
            await one.presses("pay")
            ended.append(await patient.final(payment["id"]))
    refused, switched = ended
    assert (refused["status"], refused["failure"]["blame"], refused["channel"]) == (
        "failed",
        "channel",
        "custody_yeepay",
    )
    assert (switched["status"], switched["channel"]) == ("succeeded", "custody_fuiou")
