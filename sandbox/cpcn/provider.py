"""The CPCN mock as a server: verifies a message, has its transaction done, signs the answer, tells of payments."""

import time
from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import Order, State
from sandbox.config import SandboxConfig
from sandbox.cpcn import codes as table
from sandbox.cpcn.bindings import Bindings, Seal
from sandbox.cpcn.notices import CpcnPen
from sandbox.cpcn.pages import Pages
from sandbox.cpcn.payouts import Payouts
from sandbox.cpcn.refunds import Refunds
from sandbox.cpcn.requests import Body, Business
from sandbox.cpcn.statement import StatementDesk
from sandbox.cpcn.transactions import Transactions
from sandbox.cpcn.wire import Message, RefusedError, parse, response
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import CPCN, CpcnKeys, KeySet
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["Cpcn"]

PATH: Final = "/cpcn/Gateway/InterfaceII"
BROWSERS_PATH: Final = "/cpcn/Gateway/InterfaceI"
SYSTEM_ERROR: Final = "2001"
MAX_CODE: Final = 8


class Cpcn(Provider):
    """Provider `cpcn`, for one institution."""

    name: ClassVar[str] = "cpcn"
    keys: ClassVar[KeySet[CpcnKeys]] = CPCN
    cannot: ClassVar[frozenset[str]] = frozenset({"pay_closed"})  # nothing is ever closed here
    has_pages: ClassVar[bool] = True
    pays_out: ClassVar[bool] = True
    states_balance: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: CpcnKeys) -> None:
        self._pen = CpcnPen(keys)
        super().__init__(config, timers, self._pen)
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        key_file = None if config.data_dir is None else config.data_dir / "cpcn-phones.key"
        self._bindings = Bindings(self.books, Seal(key_file))
        self._pages = Pages(self, keys, self._pen)
        more = {**self._pages.business, **Refunds(self).business, **Payouts(self).business}
        self._transactions = Transactions(self, self._bindings, more)
        self._statements = StatementDesk(self, keys)
        told = [entry["notice_url"] for entry in self.books.others if "notice_url" in entry]
        self._pen.url = str(told[-1]) if told else ""

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(PATH, self._handle), web.post(BROWSERS_PATH, self._pages.open), *self._pages.desk.routes()]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        if table.is_head(code):
            return len(code) <= MAX_CODE and code != table.HANDLED
        return len(code) == 2 and code.isascii() and code.isalnum() and code not in {table.SUCCESS, table.OPEN}

    def statement_file(self, day: date) -> tuple[str, bytes] | None:
        return self._statements.file(day)

    def register_notices(self, url: str) -> None:
        self._pen.url = url
        self.books.note({"notice_url": url})

    def reset(self) -> None:
        super().reset()
        self._bindings.clear()
        self._transactions.clear()
        self._pages.desk.clear()
        self.register_notices(self._pen.url)  # it stays, as the keys do

    def settle(self, order: Order, code: str, *, after_s: float) -> None:
        """An order that waited on its page gets its end, now or after a while."""
        order.planned_code, order.due_at = code, time.time() + after_s
        self.books.save(order)
        if after_s > 0:
            self._finish_when_due(order)
        else:
            self._finish(order)

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            message = parse(await request.read(), self._merchant_key)
            if message["InstitutionID"] != self._keys.institution_id:
                raise RefusedError("240003")
            if self._statements.takes(message):
                return await self._statements.handle(request, message)
            business = self._transactions.business_of(message)
        except RefusedError as refused:
            return self._render(refused.code, None, refused.detail)
        occasion = self._transactions.occasion(message, business)
        if self.faults.take("maintenance", occasion):
            return self._render(SYSTEM_ERROR, None)
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._work(business, message, occasion),
            lambda answer, wrongly: self._render(*answer, wrongly=wrongly),
        )

    def _work(self, business: Business, message: Message, occasion: Occasion) -> tuple[str, Body, str]:
        try:
            return table.HANDLED, self._transactions.perform(business, message, occasion), ""
        except RefusedError as refused:
            return refused.code, None, refused.detail

    def _render(self, code: str, body: Body, detail: str = "", *, wrongly: bool = False) -> web.Response:
        message = table.HEADS.get(code, "其他错误") + (f"[{detail}]" if detail else "")
        told = None if body is None else {"InstitutionID": self._keys.institution_id, **body}
        content = response(code, message, told, self._keys.psp, wrongly=wrongly)
        return web.Response(body=content, content_type="text/html", charset="utf-8")
