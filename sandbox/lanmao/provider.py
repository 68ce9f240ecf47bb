"""The custody bank as a server: direct calls, notices of recharges, check files, and what payers did
by the control API."""

import time
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import Order, State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.faults import Operation
from sandbox.keys import LANMAO, KeySet, LanmaoKeys
from sandbox.lanmao import codes as table
from sandbox.lanmao.clerk import Clerk
from sandbox.lanmao.control import UserControl
from sandbox.lanmao.counter import SERVICES, Counter
from sandbox.lanmao.notices import LanmaoPen, form_of
from sandbox.lanmao.statement import CheckFiles
from sandbox.lanmao.transactions import Answer, Transactions
from sandbox.lanmao.users import Users
from sandbox.lanmao.wire import Called, RefusedError, parse, render, sign
from sandbox.pages import Desk, WayBack
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["Lanmao"]

GATEWAY_PATH: Final = "/lanmao/gateway"
SERVICE_PATH: Final = "/lanmao/service"
DOWNLOAD_PATH: Final = "/lanmao/download"
OPERATIONS: Final[Mapping[str, Operation]] = {
    "DIRECT_RECHARGE": "pay",
    "QUERY_TRANSACTION": "query",
    "QUERY_USER_INFORMATION": "query",
    "CONFIRM_CHECKFILE": "query",
}


class Lanmao(Provider):
    """Provider `lanmao`, for one platform."""

    name: ClassVar[str] = "lanmao"
    keys: ClassVar[KeySet[LanmaoKeys]] = LANMAO
    cannot: ClassVar[frozenset[str]] = frozenset({"sms_needed", "lose_sms", "expire_code"})
    has_pages: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: LanmaoKeys) -> None:
        self._pen = LanmaoPen(keys)
        super().__init__(config, timers, self._pen)
        self._keys = keys
        self._platform_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        self.users = Users(self.books)
        self.transactions = Transactions(self, self.users)
        told = [entry["notice_url"] for entry in self.books.others if "notice_url" in entry]
        self._pen.url = str(told[-1]) if told else ""
        self.clerk = Clerk(self, self.faults, keys.psp, keys.platform_no)
        self._desk, self._counter = Desk(self.name, self.clerk, self.faults), Counter(self)
        self._control = UserControl(self)
        self._check_files = CheckFiles(self, keys.platform_no)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post(SERVICE_PATH, self._handle),
            web.post(GATEWAY_PATH, self._open_page),
            web.post(DOWNLOAD_PATH, self._download),
            *self._desk.routes(),
            *self._counter.routes(),
            *self._control.routes(),
        ]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return table.is_failure(code) or code == table.PENDDING

    def register_notices(self, url: str) -> None:
        self._pen.url = url
        self.books.note({"notice_url": url})

    def reset(self) -> None:
        super().reset()
        self.users.clear()
        self._desk.clear()
        self._counter.clear()
        self._check_files.clear()
        self.register_notices(self._pen.url)  # it stays, as the keys do

    def settle(self, order: Order, code: str, *, after_s: float = 0.0, hidden_s: float = 0.0) -> None:
        """An order that waited on its page gets its end, now or after a while."""
        now = time.time()
        order.code, order.planned_code = table.PENDDING, code
        order.due_at, order.visible_at = now + after_s, now + hidden_s
        if after_s > 0:
            self.books.save(order)
            self._finish_when_due(order)
        else:
            self._finish(order)

    def _finish_when_due(self, order: Order) -> None:
        if order.planned_code != table.OPEN:  # nobody finishes what nobody pays
            super()._finish_when_due(order)

    # Direct calls

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            called = parse(await request.read(), self._keys.platform_no, self._platform_key)
            if called.service not in OPERATIONS:
                raise RefusedError(table.FIELDS, "serviceName")
            occasion = self.transactions.occasion(OPERATIONS[called.service], called.fields)
        except RefusedError as refused:
            return self._render(_refusal(refused))
        if self.faults.take("maintenance", occasion):
            return self._render(_refusal(RefusedError(table.SYSTEM_ERROR), called))
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._perform(called),
            lambda answer, wrongly: self._render(answer, wrongly=wrongly),
        )

    def _perform(self, called: Called) -> Answer:
        work = {
            "DIRECT_RECHARGE": self.transactions.charge,
            "QUERY_TRANSACTION": self.transactions.query,
            "QUERY_USER_INFORMATION": self.transactions.tell_user,
            "CONFIRM_CHECKFILE": self._check_files.confirm,
        }
        try:
            return work[called.service](called.fields)
        except RefusedError as refused:
            return _refusal(refused, called)

    def _render(self, answer: Answer, *, wrongly: bool = False) -> web.Response:
        text = render(answer)
        signature = sign(f"{text} " if wrongly else text, self._keys.psp.key)
        return web.Response(text=text, content_type="application/json", headers={"sign": signature})

    # Statements

    def statement_file(self, day: date) -> tuple[str, bytes]:
        return self._check_files.of(day)

    async def _download(self, request: web.Request) -> web.Response:
        """A zip; or the JSON of a refusal."""
        try:
            called = parse(await request.read(), self._keys.platform_no, self._platform_key)
            if called.service != "DOWNLOAD_CHECKFILE":
                raise RefusedError(table.FIELDS, "serviceName")
            content = self._check_files.download(called.fields)
        except RefusedError as refused:
            return self._render(_refusal(refused))
        return web.Response(body=content, content_type="application/zip")

    # The payer's browser, and notices

    async def _open_page(self, request: web.Request) -> web.Response:
        try:
            called = parse(await request.read(), self._keys.platform_no, self._platform_key)
            if self.faults.take("maintenance", self.transactions.occasion("open_page", called.fields)):
                raise RefusedError(table.SYSTEM_ERROR)
            if called.service in SERVICES:
                return self._counter.open(called)
            if called.service != "RECHARGE":
                raise RefusedError(table.FIELDS, "serviceName")
            return self._desk.open(self.transactions.open_page(called.fields).order_no)
        except RefusedError as refused:
            message = table.MESSAGES.get(refused.code, "其他")
            return self._desk.refuse(f"{refused.code} {message} {refused.detail}".rstrip(), 400)

    def back_with(self, said: Mapping[str, Any], service: str, url: str) -> WayBack:
        """A payer goes back from what he did with his account; the bank tells the platform by itself, too."""
        if self._pen.url and self._notices is not None:
            self.timers.spawn(self._notices.say(self._pen.url, self._pen.of_account(said, service)))
        return WayBack(url, form_of(said, service, "CALLBACK", self._keys.platform_no, self._keys.psp), "POST")


def _refusal(refused: RefusedError, called: Called | None = None) -> Answer:
    message = table.MESSAGES.get(refused.code, "其他")
    told = {"errorCode": refused.code, "errorMessage": f"{message} {refused.detail}".rstrip()}
    said: Answer = {"code": "1", "status": "INIT", **told}
    return said if called is None else said | {"requestNo": called.fields["requestNo"]}
