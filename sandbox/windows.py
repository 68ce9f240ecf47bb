"""What the mock companies did, as pages for people: an index, the inbox of all SMS, and the books."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from sandbox.books import Order
from sandbox.pages import Site
from sandbox.provider import Provider
from sandbox.sms import SentSms

__all__ = ["Windows"]

TEMPLATES: Final = Path(__file__).parent / "pages" / "templates" / "windows"
MOST_SHOWN: Final = 100
NAMES: Final = {
    "unionpay": ("银联", "UnionPay"),
    "allinpay": ("通联", "Allinpay"),
    "baofoo": ("宝付", "Baofoo"),
    "cpcn": ("中金支付", "CPCN"),
    "jd": ("京东支付", "JD Pay"),
    "lanmao": ("银行存管", "Bank custody"),
    "lianlian": ("连连支付", "LianLian"),
    "yeepay": ("易宝支付", "YeePay"),
}
"""In Chinese and English; one that is not here is shown by its code."""


class Windows:
    """Pages over all providers."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._site = Site(TEMPLATES, "/_sandbox/static")

    def routes(self) -> Iterable[web.RouteDef]:
        """Their addresses but `/_sandbox/sms`, which is JSON to programs."""
        return [
            *self._site.routes(),
            web.get("/", self._index),
            web.get("/_sandbox", self._index),
            web.get("/_sandbox/books", self._books),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        providers = [(name, len(provider.books), provider.has_pages) for name, provider in self._providers.items()]
        return self._page(request, "index.html", providers=providers)

    async def inbox(self, request: web.Request) -> web.Response:
        """All SMS that arrived, newest first, at one phone if asked so."""
        phone = request.query.get("phone", "").strip()
        arrived: list[SentSms] = []
        for provider in self._providers.values():
            arrived += provider.sms.to(phone or None)
        arrived.sort(key=lambda sent: sent.sent_at, reverse=True)
        return self._page(
            request, "sms.html", phone=phone, sms=arrived[:MOST_SHOWN], left_out=max(0, len(arrived) - MOST_SHOWN)
        )

    async def _books(self, request: web.Request) -> web.Response:
        asked = request.query.get("provider", "")
        chosen = {asked: self._providers[asked]} if asked in self._providers else self._providers
        orders: list[tuple[str, Order]] = []
        for name, provider in chosen.items():
            orders += [(name, order) for order in provider.books]
        orders.sort(key=lambda one: one[1].received_at, reverse=True)
        return self._page(
            request,
            "books.html",
            chosen=asked if asked in self._providers else "",
            providers=list(self._providers),
            orders=orders[:MOST_SHOWN],
            left_out=max(0, len(orders) - MOST_SHOWN),
        )

    def _page(self, request: web.Request, template: str, **values: object) -> web.Response:
        return self._site.page(request, template, 200, names=NAMES, **values)
