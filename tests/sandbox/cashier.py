"""A stand-in for the gateway's checkouts, as its contract says: one number is one order, and each has a page."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk_test_shop"


@dataclass
class Cashier:
    """Keeps what it was asked, in order. `answers`: what it says next, in place of what the contract says."""

    address: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    answers: list[web.Response | None] = field(default_factory=list)
    base: str = ""
    """Where the payer's pages are, if not here."""
    orders: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/v1/checkouts", self._open), web.get("/checkout/{token}", self._show)])
        return app

    def fails(self, status: int, *, headers: dict[str, str] | None = None, **problem: str) -> None:
        """The next order is refused so."""
        said = json.dumps(problem)
        self.answers.append(
            web.Response(text=said, status=status, content_type="application/problem+json", headers=headers)
        )

    def is_silent(self) -> None:
        """The next order is taken, and its answer lost."""
        self.answers.append(None)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _json(401, title="no such key")
        if self.answers and self.answers[0] is not None:
            return self.answers.pop(0)  # type: ignore[return-value]
        number = asked["merchant_order_no"]
        known = self.orders.get(number)
        if known is not None and known[0] != asked:
            return _json(409, code="order_conflict", title="another order")
        if known is None:
            known = self.orders[number] = asked, secrets.token_urlsafe(16)
        if self.answers:
            self.answers.pop(0)
            assert request.transport is not None
            request.transport.abort()
        url = f"{self.base or self.address}/checkout/{known[1]}"
        return _json(201, id=f"co_{number}", object="checkout", status="open", url=url)

    async def _show(self, request: web.Request) -> web.Response:
        for asked, token in self.orders.values():
            if token == request.match_info["token"]:
                head = "<html lang=zh><link rel=icon href=data:,><title>收银台</title>"
                text = f"{head}<h1>{asked['merchant_order_no']}</h1><a id=back href={asked['return_url']}>返回</a>"
                return web.Response(text=text, content_type="text/html")
        return web.Response(status=404)


def _json(status: int, /, **body: Any) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/json")
