"""Each scene that is paid on a page, in a real browser: paid, cancelled, left, late, heard by one way alone.

The table of ways is that of the tests over sockets: a way that is added there is driven here. Not here: what pages look
like (test_looks), what is signed and believed (tests/e2e/test_ways_back).
"""

import pytest
from playwright.async_api import Browser

from tests.e2e.business import App, Shown
from tests.e2e.on_pages import WAYS, Way, asked_for, run_out
from tests.e2e.world import World
from tests.pages.chromium import Payer, payer

EACH = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
BANKS_PAGE = "**/pages/*"


def shop_of(world: World) -> str:
    """A page of the business system."""
    return f"{world.receiver.address}/health?o=7&payment=x#/done"


def belongs(world: World, payment: Shown) -> str:
    return shop_of(world).replace("payment=x", f"payment={payment['id']}")


async def at_the_bank(one: Payer, payment: Shown, *, script: bool = True) -> None:
    """Through our page to the bank's; without script by the button."""
    await one.goes(payment["next_action"]["url"])
    if not script:
        await one.page.locator("#go button").click()
    await one.is_at(BANKS_PAGE)
    shown = f"{payment['amount'] // 100:,}.{payment['amount'] % 100:02d}"
    assert shown in await one.page.locator("main").inner_text()


async def ask(world: World, app: App, way: Way) -> Shown:
    payment = await asked_for(world, app, way, return_url=shop_of(world))
    assert payment["status"] == "requires_action"
    return payment


@EACH
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_a_payer_pays_and_comes_back_from_another_site_without_a_cookie(
    browser: Browser, world: World, patient: App, way: Way, script: bool
) -> None:
    payment = await ask(world, patient, way)
    async with payer(browser, java_script_enabled=script) as one:
        await at_the_bank(one, payment, script=script)
        await one.presses("pay")
        await one.goes_back()
        await one.is_at(belongs(world, payment))
        [back] = [each for each in one.sent if "/return/" in each]
        assert back.startswith(f"POST {world.gateway}/return/")
        assert (await patient.payment(payment["id"]))["status"] == "succeeded"
        # Who opens our page once more belongs to the shop.
        await one.goes(payment["next_action"]["url"])
        assert one.page.url == belongs(world, payment)


@EACH
async def test_who_cancels_can_try_again(browser: Browser, world: World, patient: App, way: Way) -> None:
    payment = await ask(world, patient, way)
    async with payer(browser) as one:
        await at_the_bank(one, payment)
        await one.presses("cancel")
        await one.page.locator("[role=status]").wait_for()
        assert (await patient.payment(payment["id"]))["status"] == "requires_action"
        await one.page.locator("main a").click()
        await one.presses("pay")
        await one.goes_back()
        await one.is_at(belongs(world, payment))
    assert (await patient.payment(payment["id"]))["status"] == "succeeded"


@EACH
async def test_who_leaves_finds_out_how_it_stands(browser: Browser, world: World, patient: App, way: Way) -> None:
    payment = await ask(world, patient, way)
    async with payer(browser) as one:
        await at_the_bank(one, payment)
    expired = await run_out(world, patient, payment, way)
    async with payer(browser) as other:
        await other.goes(payment["next_action"]["url"])
        if way.ends:
            assert (expired["status"], expired["closed_reason"]) == ("closed", "expired")
            assert other.page.url == belongs(world, payment)
        else:
            assert (expired["status"], expired["next_action"]["expired"]) == ("requires_action", True)
            assert "确认中" in await other.page.locator("h1").inner_text()
            assert await other.page.locator("main a").get_attribute("href") == belongs(world, payment)


@EACH
async def test_who_pays_late_is_heard(browser: Browser, world: World, patient: App, way: Way) -> None:
    payment = await ask(world, patient, way)
    async with payer(browser) as one:
        await at_the_bank(one, payment)
        await run_out(world, patient, payment, way)
        await one.presses("pay")
        await one.goes_back()
        await one.is_at(belongs(world, payment))
    told = [event["type"] for event in await patient.told(payment["id"], 3 if way.ends else 2)]
    assert told[-1] == ("payment.anomaly" if way.ends else "payment.succeeded")
    assert (await patient.payment(payment["id"]))["status"] == ("closed" if way.ends else "succeeded")


@EACH
@pytest.mark.parametrize("lost", ["lose_callback", "lose_return"])
async def test_one_way_alone_is_enough(browser: Browser, world: World, patient: App, way: Way, lost: str) -> None:
    payment = await ask(world, patient, way)
    await world.fault(way.provider, lost, payment["amount"])
    async with payer(browser) as one:
        await at_the_bank(one, payment)
        await one.presses("pay")
        if lost == "lose_callback":
            await one.goes_back()
            await one.is_at(belongs(world, payment))
        else:
            await one.page.locator("[role=status]").wait_for()
            assert await one.page.locator("#back").count() == 0
    assert (await patient.final(payment["id"]))["status"] == "succeeded"
