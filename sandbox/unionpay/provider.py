"""The UnionPay mock as a server: checks a message, has its transaction done, signs the answer, notifies.

What a payer's browser brings is checked in the same way, and opens a page.
"""

import base64
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import Order, State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import UNIONPAY, KeySet, UnionPayKeys
from sandbox.pages import Desk
from sandbox.prints import CardPrinter
from sandbox.provider import Provider
from sandbox.statements import BEIJING
from sandbox.timers import Timers
from sandbox.unionpay import codes as table
from sandbox.unionpay.by_sms import Codes
from sandbox.unionpay.checks import check_authentic, check_fields, check_statement
from sandbox.unionpay.gateway import BUSINESS, MAINTENANCE, WANTED, Gateway
from sandbox.unionpay.notices import UnionPayPen
from sandbox.unionpay.openings import Openings
from sandbox.unionpay.request import read_request
from sandbox.unionpay.statement import day_of_settling, statement_name, statement_zip
from sandbox.unionpay.transactions import Answer, Business, Transactions, answer_to
from sandbox.unionpay.wire import Message, RefusedError, encode_text, parse, sign

__all__ = ["UnionPay"]

FRONT_PATH: Final = "/unionpay/gateway/api/frontTransReq.do"
BACK_PATH: Final = "/unionpay/gateway/api/backTransReq.do"
QUERY_PATH: Final = "/unionpay/gateway/api/queryTrans.do"
FILE_PATH: Final = "/unionpay/filedownload"
"""The real one is an address of its own."""
CLOSED: Final = "02"
NO_FILE: Final = "98"


class UnionPay(Provider):
    """Provider `unionpay`, for one merchant account."""

    name: ClassVar[str] = "unionpay"
    keys: ClassVar[KeySet[UnionPayKeys]] = UNIONPAY
    has_pages: ClassVar[bool] = True
    pays_out: ClassVar[bool] = True
    day_cut: ClassVar[str] = "23:00"

    def __init__(self, config: SandboxConfig, timers: Timers, keys: UnionPayKeys) -> None:
        pen = UnionPayPen(keys.psp)
        super().__init__(config, timers, pen)
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        self._merchant_cert_id = str(keys.merchant_certificate.serial_number)
        print_key = None if config.data_dir is None else config.data_dir / "card-fingerprint.key"
        self._openings = Openings(self.books, CardPrinter(print_key))
        self._codes = Codes(self)
        self._transactions = Transactions(self, self._openings, self._codes)
        self._gateway = Gateway(self, pen, keys.mer_id)
        self._desk = Desk(self.name, self._gateway, self.faults)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post(FRONT_PATH, self._open),
            web.post(BACK_PATH, self._handle_back),
            web.post(QUERY_PATH, self._handle_query),
            web.post(FILE_PATH, self._handle_file),
            *self._desk.routes(),
        ]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return len(code) == 2 and code.isascii() and code.isalnum() and code != table.ACCEPTED

    def statement_file(self, day: date) -> tuple[str, bytes]:
        return statement_name(day, self._keys.mer_id), statement_zip(self.statements.rows(day), day, self._keys.mer_id)

    def reset(self) -> None:
        super().reset()
        self._openings.clear()
        self._codes.clear()
        self._desk.clear()

    def settle(self, order: Order, code: str, after_s: float) -> None:
        """An order that waited on its page gets its end, now or after a while."""
        order.planned_code, order.due_at = code, time.time() + after_s
        self.books.save(order)
        if after_s > 0:
            self._finish_when_due(order)
        else:
            self._finish(order)

    def _finish_when_due(self, order: Order) -> None:
        if not self._gateway.waits(order):  # nobody finishes what nobody pays
            super()._finish_when_due(order)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        try:
            message = parse(await request.read())
            check_authentic(message, self._merchant_cert_id, self._merchant_key, self._keys.mer_id)
            if (message["txnType"], message["txnSubType"], message["bizType"]) != BUSINESS:
                raise RefusedError("32", "this business is not enabled")
            check_fields(message, WANTED, is_query=False)
            read = read_request(message, self._keys.encryption)
            occasion = Occasion("open_page", read.order_no, amount=read.amount)
            if self.faults.take("maintenance", occasion):
                return self._desk.refuse(MAINTENANCE)
            return await exchange(
                request,
                self.faults,
                occasion,
                lambda: self._gateway.open(read),
                lambda order, _: self._desk.open(order.order_no),
            )
        except RefusedError as refused:
            text = table.MESSAGES.get(refused.code, "")
            return self._desk.refuse(f"{text} Refused ({refused})")

    async def _handle_back(self, request: web.Request) -> web.Response:
        return await self._handle(request, self._transactions.of_back_message)

    async def _handle_query(self, request: web.Request) -> web.Response:
        return await self._handle(request, self._transactions.of_query_message)

    async def _handle_file(self, request: web.Request) -> web.Response:
        message = Message({}, "utf-8")
        try:
            message = parse(await request.read())
            check_authentic(message, self._merchant_cert_id, self._merchant_key, self._keys.mer_id)
            check_statement(message)
            day = day_of_settling(message["settleDate"], datetime.fromtimestamp(self.config.clock(), BEIJING).date())
            if day is None:
                raise RefusedError("10", "settleDate")
        except RefusedError as refused:
            return self._render(answer_to(message, refused.code, refused.detail), message.charset)
        occasion = Occasion("statement", "", day=day.isoformat())
        if self.faults.take("maintenance", occasion):
            return self._render(answer_to(message, CLOSED), message.charset)
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._file_told(message, day),
            lambda answer, wrongly: self._render(answer, message.charset, wrongly=wrongly),
        )

    def _file_told(self, message: Message, day: date) -> Answer:
        asked = {name: message[name] for name in ("settleDate", "fileType", "txnTime")}
        if not self.statements.is_ready(day):
            return answer_to(message, NO_FILE) | asked
        name, whole = self.statement_file(day)
        # Nothing in a ZM file states a total: what is cut off must be the zip's.
        content = base64.b64encode(zlib.compress(self.statements.delivered(day, whole))).decode()
        return answer_to(message, "00") | asked | {"fileName": name, "fileContent": content}

    async def _handle(self, request: web.Request, business_of: Callable[[Message], Business]) -> web.Response:
        message = Message({}, "utf-8")
        try:
            message = parse(await request.read())
            check_authentic(message, self._merchant_cert_id, self._merchant_key, self._keys.mer_id)
            business = business_of(message)
            check_fields(message, business.wanted, is_query=business.operation == "query")
            read = read_request(message, self._keys.encryption)
        except RefusedError as refused:
            return self._render(answer_to(message, refused.code, refused.detail), message.charset)
        occasion = self._transactions.occasion(read, business.operation)
        if self.faults.take("maintenance", occasion):
            return self._render(answer_to(message, CLOSED), message.charset)
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._transactions.perform(business, read, occasion),
            lambda answer, wrongly: self._render(answer, message.charset, wrongly=wrongly),
        )

    def _render(self, answer: Answer, charset: str, *, wrongly: bool = False) -> web.Response:
        signed = sign(answer, charset, self._keys.psp)
        if wrongly:
            signed["signature"] = sign({**answer, "respMsg": "?"}, charset, self._keys.psp)["signature"]
        return web.Response(body=encode_text(signed, charset), content_type="text/html", charset=charset)
