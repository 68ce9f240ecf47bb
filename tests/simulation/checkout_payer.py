"""Payers at the pages of a checkout: they press what stands there, and again where nobody answers.

Their browser has no script. What is typed goes to the page alone: no app helps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp

from tests.browsing import Browser, Page, fields_of
from tests.e2e.business import Shown
from tests.simulation.asked import address_of
from tests.simulation.page_payer import PagePayer
from tests.simulation.payer import WAITS
from tests.simulation.play import BUSY, FEW_MS, STEPS, TRIES, Play

__all__ = ["CheckoutPayer"]

OPEN: Final = {"processing", "requires_action"}
NOT_YET: Final = {409, BUSY}
"""Why a page does not do what is pressed: it says so, and it may be pressed again."""


class CheckoutPayer:
    """Whoever was brought to a checkout."""

    def __init__(self, play: Play, checkout: Shown) -> None:
        self._play, self._checkout = play, checkout
        self._browser = Browser(play.stage.session)

    # What stands there

    async def now(self) -> Shown:
        """The checkout, as its app reads it."""
        return await self._play.read(address_of(self._checkout))

    async def newest(self) -> Shown:
        """The newest try."""
        now = await self.now()
        return dict([*now["payments"], *now["authentications"]][-1])

    async def is_asked(self) -> Shown:
        """Let time pass until the newest try asks for something, or has ended: it, as it is then."""
        for _ in range(STEPS):
            await self._play.work()
            newest = await self.newest()
            if newest["status"] != "processing":
                return newest
            await self._time_passes()
        raise AssertionError(f"{self._checkout['id']} stays as it is")

    # What they do

    async def pays_with(self, card: Shown) -> Shown:
        """Type a new card, and wait: the try that comes of it."""
        return await self._tries("pay", card)

    async def signs(self, card: Shown) -> Shown:
        """Type a card to be signed."""
        return await self._tries("sign", card)

    async def pays_again(self, card_id: str) -> Shown:
        """Try again with a known card."""
        return await self._tries("pay", {"method": "quick", "card_id": card_id})

    async def goes_to(self, bank: str, method: str = "netbank") -> PagePayer:
        """Choose the page of a bank: who pays there."""
        return PagePayer(self._play, await self._tries("pay", {"method": method, "bank": bank}))

    async def types(self, code: str | None = None) -> Shown:
        """Type what came last, or this code, until it is taken, or the try has ended."""
        for _ in range(TRIES):
            waiting = await self.is_asked()
            if waiting["status"] != "requires_action":
                return waiting
            typed = code or await self._code(waiting)
            if typed is None:
                await self._wants_another(waiting)
                continue
            page = await self._presses("code", {"sms_code": typed})
            if page is None or page.status not in NOT_YET:
                return await self.is_asked()
            await self._time_passes()
        raise AssertionError(f"no code was taken for {self._checkout['id']}")

    async def looks(self) -> Page:
        """Open the page, or reload it."""
        return await self._until_answered(lambda: self._browser.open(self._checkout["url"]))

    async def is_offered(self, what: str) -> bool:
        """Whether the page has a form that leads there."""
        _, forms = await self._forms()
        return what in forms

    # How

    async def _tries(self, what: str, fields: Mapping[str, str]) -> Shown:
        before = len([*(now := await self.now())["payments"], *now["authentications"]])
        for _ in range(TRIES):
            page = await self._presses(what, fields)
            now = await self.now()
            if len([*now["payments"], *now["authentications"]]) > before:
                return await self.newest()
            assert page is None or page.status in NOT_YET, f"the page says {page.status}: {page.text}"
            await self._time_passes()
        raise AssertionError(f"nothing was tried at {self._checkout['id']}")

    async def _presses(self, what: str, fields: Mapping[str, str]) -> Page | None:
        """Send the form that leads there, as often as it takes; None: there is none on the page now."""
        page, forms = await self._forms()
        if what not in forms:
            return None
        form = forms[what]
        kept = {name: value for name, value in fields_of(form).items() if name in {"form_token", "turn", "note_2"}}
        address = urljoin(page.url, str(form.get("action")))
        answered = await self._until_answered(lambda: self._browser.submit(address, kept | dict(fields)))
        await self._play.look()
        return answered

    async def _forms(self) -> tuple[Page, dict[str, Any]]:
        """The page as it stands now, and its forms by where they lead."""
        page = await self._until_answered(lambda: self._browser.open(f"{self._checkout['url']}?other=1"))
        leads = [str(form.get("action")).partition("?")[0].rpartition("/")[2] for form in page.root.iter("form")]
        return page, dict(zip(leads, page.root.iter("form"), strict=True))

    async def _wants_another(self, waiting: Shown) -> None:
        play = self._play
        play.stage.move_to(play.stage.now + WAITS)
        await play.work()
        if waiting["next_action"]["purpose"] == "sign":
            play.codes_asked += 1
        await self._presses("resend", {})

    async def _code(self, waiting: Shown) -> str | None:
        sent = (await self._play.stage.control("GET", "sms"))["sms"]
        codes = [sms["code"] for sms in sent if sms["purpose"] == waiting["next_action"]["purpose"]]
        return codes[-1] if codes else None

    async def _time_passes(self) -> None:
        due = await self._play.due(watched=False)
        if due is not None:
            self._play.stage.move_to(due + FEW_MS)
            await self._play.work()

    async def _until_answered(self, goes: Callable[[], Awaitable[Page]]) -> Page:
        for _ in range(TRIES):
            gateway = await self._play.gateway(0)
            try:
                return await goes()
            except aiohttp.ClientError:
                await asyncio.wait_for(gateway.dead.wait(), 10.0)
        raise AssertionError("a payer's browser was never answered")
