"""The UnionPay mock as a server: checks a message, has its transaction done, signs the answer, notifies."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.keys import UnionPayKeys
from sandbox.prints import CardPrinter
from sandbox.provider import Provider
from sandbox.timers import Timers
from sandbox.unionpay import codes as table
from sandbox.unionpay.by_sms import Codes
from sandbox.unionpay.checks import check_authentic, check_fields
from sandbox.unionpay.notices import UnionPayPen
from sandbox.unionpay.openings import Openings
from sandbox.unionpay.request import read_request
from sandbox.unionpay.transactions import Answer, Business, Transactions, answer_to
from sandbox.unionpay.wire import Message, RefusedError, encode_text, parse, sign

__all__ = ["UnionPay"]

BACK_PATH: Final = "/unionpay/gateway/api/backTransReq.do"
QUERY_PATH: Final = "/unionpay/gateway/api/queryTrans.do"
CLOSED: Final = "02"


class UnionPay(Provider):
    """Provider `unionpay`, for one merchant account."""

    name: ClassVar[str] = "unionpay"

    def __init__(self, config: SandboxConfig, timers: Timers, keys: UnionPayKeys) -> None:
        super().__init__(config, timers, UnionPayPen(keys.psp))
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        self._merchant_cert_id = str(keys.merchant_certificate.serial_number)
        print_key = None if config.data_dir is None else config.data_dir / "card-fingerprint.key"
        self._openings = Openings(self.books, CardPrinter(print_key))
        self._codes = Codes(self)
        self._transactions = Transactions(self, self._openings, self._codes)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(BACK_PATH, self._handle_back), web.post(QUERY_PATH, self._handle_query)]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return len(code) == 2 and code.isascii() and code.isalnum() and code != table.ACCEPTED

    def reset(self) -> None:
        super().reset()
        self._openings.clear()
        self._codes.clear()

    async def _handle_back(self, request: web.Request) -> web.Response:
        return await self._handle(request, self._transactions.of_back_message)

    async def _handle_query(self, request: web.Request) -> web.Response:
        return await self._handle(request, self._transactions.of_query_message)

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
