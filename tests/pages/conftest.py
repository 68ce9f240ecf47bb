"""A browser, and a world whose banks are another site than the gateway. Without a browser these tests are skipped."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.databases import Server, copy_of
from tests.e2e.business import App
from tests.e2e.conftest import a_measured_clock_is_believed_for_long
from tests.e2e.on_pages import paged_app, tell_where_to_call
from tests.e2e.world import World, new_world
from tests.pages.chromium import ARGUMENTS, MISSING, NEEDED, found

__all__ = ["a_measured_clock_is_believed_for_long"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program."""
    program = found()
    if program is None and os.environ.get(NEEDED):
        pytest.fail(MISSING)
    if program is None:
        pytest.skip(MISSING)
    return program


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """One for all tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def world(chromium: str, postgres: Server, template: str, psp_keys: Path) -> AsyncIterator[World]:
    """Everything that runs. Leaving it, the books are examined."""
    async with new_world(await copy_of(postgres, template, "pages"), psp_keys) as world:
        yield world
        assert world.system is not None
        assert await world.system.doctor() == []


@pytest.fixture(scope="session")
async def patient(world: World) -> App:
    """A merchant whose banks stand at another host than the gateway, so that the way back is from another site.

    Until a payer's time is over nothing is asked: words come by themselves.
    """
    banks = world.sandbox.replace("127.0.0.1", "localhost")
    settings = {
        "yeepay": {"node_url": f"{banks}/yeepay/app-merchant-proxy/node"},
        "lanmao": {"base_url": f"{banks}/lanmao"},
    }
    app = await paged_app(world, settings=settings)
    await tell_where_to_call(world, app)
    return app
