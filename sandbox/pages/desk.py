"""The bank's page of one order: opened by a form, paid, cancelled, short of money, or left by closing the tab."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, cast

from aiohttp import web

from sandbox.exchange import exchange
from sandbox.faults import Faults, Occasion
from sandbox.pages.render import page

__all__ = ["Bill", "Choice", "Clerk", "Desk", "Ending", "WayBack"]

Choice = Literal["pay", "cancel", "insufficient"]
CHOICES: Final = ("pay", "cancel", "insufficient")
PAGES_KEPT: Final = 100_000
TOKEN_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Bill:
    """What the payer is shown of an order that may be paid now. `amount` in fen."""

    psp: str
    bank: str
    merchant: str
    order_no: str
    amount: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class WayBack:
    """How the payer's browser goes back to the merchant: a form that they submit."""

    url: str
    fields: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    charset: Literal["utf-8", "gbk"] = "utf-8"


@dataclass(frozen=True, slots=True)
class Ending:
    """What the payer is told. Without a way back they can only close the tab."""

    says: str
    """In Chinese and English."""
    way_back: WayBack | None = None
    may_try_again: bool = False
    """The order can still be paid, on the same page."""


class Clerk(Protocol):
    """The provider behind a desk."""

    def stands(self, order_no: str) -> Bill | Ending | None:
        """How an order stands: it may be paid, it is over, or there is none."""

    def occasion(self, order_no: str) -> Occasion:
        """Paying this order, as faults match it."""

    def choose(self, order_no: str, choice: Choice) -> Ending:
        """What the payer did at the page. It may be done again, in another tab, or much later."""


class Desk:
    """The pages of one provider, each at an address that cannot be guessed; one order has one page."""

    def __init__(self, provider: str, clerk: Clerk, faults: Faults) -> None:
        self._base, self._clerk, self._faults = f"/{provider}/pages", clerk, faults
        self._orders: dict[str, str] = {}
        self._tokens: dict[str, str] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Where browsers go."""
        return [
            web.get(self._base + "/{token}", self._show),
            web.post(self._base + "/{token}", self._choose),
        ]

    def open(self, order_no: str) -> web.Response:
        """Send the browser that brought a form to the order's page: the same one, as often as it is opened."""
        token = self._tokens.get(order_no)
        if token is None:
            token = self._tokens[order_no] = secrets.token_urlsafe(TOKEN_BYTES)
            self._orders[token] = order_no
            if len(self._orders) > PAGES_KEPT:
                self._tokens.pop(self._orders.pop(next(iter(self._orders))))
        return web.Response(status=302, headers={"Location": f"{self._base}/{token}", "Cache-Control": "no-store"})

    def refuse(self, says: str, status: int = 200) -> web.Response:
        """Tell a browser that what it brought is not taken."""
        return page("ending.html", status, says=says, way_back=None, again="")

    def clear(self) -> None:
        """Forget all pages."""
        self._orders.clear()
        self._tokens.clear()

    async def _show(self, request: web.Request) -> web.Response:
        stands = self._clerk.stands(self._orders.get(request.match_info["token"], ""))
        if stands is None:
            return self.refuse("没有此订单 There is no such order", 404)
        if isinstance(stands, Ending):
            return self._ended(request, stands)
        return page("bill.html", bill=stands, here=request.path)

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        order_no = self._orders.get(request.match_info["token"])
        choice = str((await request.post()).get("choice", ""))
        if order_no is None:
            return self.refuse("没有此订单 There is no such order", 404)
        if choice not in CHOICES:
            return self.refuse("请选择 Choose what to do", 422)

        def work() -> Ending:
            return self._clerk.choose(order_no, cast("Choice", choice))

        if choice != "pay":
            return self._ended(request, work())
        occasion = self._clerk.occasion(order_no)
        return await exchange(request, self._faults, occasion, work, lambda ending, _: self._ended(request, ending))

    def _ended(self, request: web.Request, ending: Ending) -> web.Response:
        again = request.path if ending.may_try_again else ""
        return page("ending.html", says=ending.says, way_back=ending.way_back, again=again)
