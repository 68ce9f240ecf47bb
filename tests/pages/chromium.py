"""Debian's Chromium, driven by Playwright: a payer's browser that complains where a page is wrong."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Response

__all__ = ["ARGUMENTS", "MISSING", "NEEDED", "Payer", "found", "payer", "screenshots_at"]

NEEDED: Final = "SLUICE_NEEDS_CHROMIUM"
"""With it a missing browser fails, where it would skip."""
NAMED: Final = "SLUICE_CHROMIUM"
MISSING: Final = f"no Chromium: install Debian's (apt-get install chromium-headless-shell), or name one in {NAMED}"
PROGRAMS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The one without windows first: it takes half as much of the processor."""
SCREENSHOTS: Final = "SLUICE_SCREENSHOTS"
HERE: Final = "MAP *.test 127.0.0.1"
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)
ICON: Final = "/favicon.ico"
"""What browsers ask each site for once that names no icon: the mocks' pages and the shop's do not."""
PHONE: Final = 390
IN_TIME_MS: Final = 60_000


def found() -> str | None:
    """The program, or None."""
    if named := os.environ.get(NAMED):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def screenshots_at() -> Path | None:
    """The folder that pictures of all pages are wanted in."""
    wanted = os.environ.get(SCREENSHOTS)
    return Path(wanted) if wanted else None


@dataclass(slots=True)
class Payer:
    """One payer with a browser of their own. `complaints`: what the browser said was wrong."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Addresses of documents that were asked for, with their methods."""

    async def goes(self, url: str) -> Response | None:
        return await self.page.goto(url)

    async def presses(self, name: str) -> None:
        """A button of the bank's page, by its value."""
        await self.page.locator(f"button[value={name}]").click()

    async def goes_back(self) -> None:
        """By the button on the bank's last page."""
        await self.page.locator("#back").click()

    async def is_at(self, url: str) -> None:
        await self.page.wait_for_url(url, timeout=IN_TIME_MS)


@contextlib.asynccontextmanager
async def payer(browser: Browser, **wishes: Any) -> AsyncIterator[Payer]:
    """A new payer on a phone, in Chinese unless said otherwise; leaving, nothing may have been complained about."""
    asked = {"viewport": {"width": PHONE, "height": 844}, "locale": "zh-CN", **wishes}
    context = await browser.new_context(**asked)
    context.set_default_timeout(IN_TIME_MS)
    try:
        one = Payer(await context.new_page())
        one.page.on("console", lambda said: _hear(one, said))
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on("dialog", lambda dialog: _refuse(one, dialog))
        one.page.on("request", lambda asked: _note(one, asked))
        yield one
        assert not one.complaints, one.complaints
        assert await context.cookies() == [], "nothing is kept in a payer's browser"
    finally:
        await context.close()


def _hear(one: Payer, said: ConsoleMessage) -> None:
    where = str(said.location["url"])
    if said.type in {"error", "warning"} and not where.endswith(ICON):
        one.complaints.append(f"{said.text} {where}")


async def _refuse(one: Payer, dialog: Dialog) -> None:
    one.complaints.append(f"a dialog: {dialog.message}")
    await dialog.dismiss()


def _note(one: Payer, asked: Any) -> None:
    if asked.is_navigation_request():
        one.sent.append(f"{asked.method} {asked.url}")
