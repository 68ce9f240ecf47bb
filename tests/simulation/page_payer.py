"""Payers who pay on a page of a bank: their browser is outside of every process that dies.

They open the page, press its buttons, come back, close the tab; whatever of it goes through a gateway they do again
until there is an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import aiohttp

from tests.browsing import Browser, Page
from tests.e2e.business import Shown
from tests.simulation.asked import Opened
from tests.simulation.play import TRIES, Play

__all__ = ["PagePayer"]

BACK: Final = "back"
"""The button that leads from the bank's page to the merchant."""


class PagePayer:
    """The payer of one payment on a page, as it was answered when it was asked for."""

    def __init__(self, play: Play, payment: Shown) -> None:
        self._play, self._payment = play, payment
        self._browser = Browser(play.stage.session)
        self._page: Page | None = None
        """What the bank shows them: its tab stays open."""

    async def opens(self) -> None:
        """Go to the page that the app has shown them, and from there to the bank's."""
        ours = await self._until_answered(lambda: self._browser.open(self._payment["next_action"]["url"]))
        [form] = ours.root.iter("form")
        fields = tuple((each.get("name", ""), each.get("value", "")) for each in form.iter("input"))
        url = str(form.get("action"))
        self._play.forms.append(Opened(self._payment["merchant_order_no"], self._play.stage.now, url, fields))
        [go] = ours.buttons()
        self._page = await self._browser.press(ours, go)

    async def presses(self, choice: Literal["pay", "cancel", "insufficient"]) -> None:
        """Press a button of the bank's page."""
        assert self._page is not None
        self._page = await self._browser.press(self._page, choice)

    async def comes_back(self) -> None:
        """Press what leads back to the merchant, until the browser is there; it may be pressed again."""
        bank = self._page
        assert bank is not None
        await self._until_answered(lambda: self._browser.press(bank, BACK))
        await self._play.look()

    async def pays(self) -> None:
        """Open the page and pay."""
        await self.opens()
        await self.presses("pay")

    async def brings_a_lie(self) -> None:
        """Go back with a word of their own making, from the fields that they have seen: it is paid."""
        fields = dict(self._play.forms[-1].fields)
        lie = {
            "p1_MerId": fields["p1_MerId"],
            "r0_Cmd": "Buy",
            "r1_Code": "1",
            "r2_TrxId": "1",
            "r3_Amt": fields["p3_Amt"],
            "r4_Cur": "RMB",
            "r6_Order": fields["p2_Order"],
            "r9_BType": "1",
            "hmac": "0" * 32,
            "hmac_safe": "0" * 32,
        }
        await self._until_answered(lambda: self._browser.submit(fields["p8_Url"], lie))
        await self._play.look()

    async def _until_answered(self, goes: Callable[[], Awaitable[Page]]) -> Page:
        for _ in range(TRIES):
            gateway = await self._play.gateway(0)
            try:
                page = await goes()
            except aiohttp.ClientError:
                await asyncio.wait_for(gateway.dead.wait(), 10.0)
            else:
                return page
        raise AssertionError("a payer's browser was never answered")
