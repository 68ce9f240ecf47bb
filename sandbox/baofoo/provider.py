"""The Baofoo mock as a server: checks a message, has its transaction done, signs the answer, notifies."""

import secrets
import time
from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.baofoo import codes as table
from sandbox.baofoo.balance import BalanceDesk
from sandbox.baofoo.bindings import Bindings
from sandbox.baofoo.notices import BaofooPen
from sandbox.baofoo.payments import Answer, beijing
from sandbox.baofoo.payouts import Payouts
from sandbox.baofoo.refunds import Refunds
from sandbox.baofoo.request import read_request
from sandbox.baofoo.statement import StatementDesk
from sandbox.baofoo.transactions import Transactions
from sandbox.baofoo.wire import Message, RefusedError, encode_text, parse, seal, sign, verifies
from sandbox.books import State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.keys import BAOFOO, BaofooKeys, KeySet
from sandbox.prints import CardPrinter
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["Baofoo"]

PATH: Final = "/baofoo/cutpayment/protocol/backTransRequest"
VERSION: Final = "4.0.0.0"
CLOSED: Final = "BF00325"
MISSING: Final = "BF00120"
FORMAT_WRONG: Final = "BF00121"
MERCHANT_WRONG: Final = "BF00123"
TERMINAL_WRONG: Final = "BF00124"
SIGNATURE_WRONG: Final = "BF00129"
WANTED: Final = ("send_time", "msg_id", "version", "terminal_id", "txn_type", "member_id", "signature")
MAX_MSG_ID: Final = 32


class Baofoo(Provider):
    """Provider `baofoo`, for one merchant's terminal."""

    name: ClassVar[str] = "baofoo"
    keys: ClassVar[KeySet[BaofooKeys]] = BAOFOO
    pays_out: ClassVar[bool] = True
    states_balance: ClassVar[bool] = True
    states_failures: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: BaofooKeys) -> None:
        super().__init__(config, timers, BaofooPen(keys))
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        print_key = None if config.data_dir is None else config.data_dir / "card-fingerprint.key"
        self._bindings = Bindings(self.books, CardPrinter(print_key), keys.psp)
        self._transactions = Transactions(self, self._bindings)
        self._refunds = Refunds(self, keys)
        self._payouts = Payouts(self, keys)
        self._balances = BalanceDesk(self, keys)
        self._statements = StatementDesk(self, keys)

    def routes(self) -> Iterable[web.RouteDef]:
        own = (self._refunds, self._payouts, self._balances, self._statements)
        return [web.post(PATH, self._handle), *(route for each in own for route in each.routes())]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return len(code) == 7 and code.startswith("BF") and code[2:].isdecimal() and code.isascii()

    def statement_file(self, day: date) -> tuple[str, bytes] | None:
        return self._statements.file(day)

    def reset(self) -> None:
        super().reset()
        self._bindings.clear()
        self._refunds.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        message = Message({})
        try:
            message = parse(await request.read())
            self._check_authentic(message)
            business = self._transactions.of(message)
            read = read_request(message, business.wanted, self._keys.psp)
        except RefusedError as refused:
            return self._render(message, self._transactions.refusal(message, refused))
        occasion = self._transactions.occasion(business, read)
        if self.faults.take("maintenance", occasion):
            return self._render(message, self._transactions.refusal(message, RefusedError(CLOSED)))
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._transactions.perform(business, read, occasion),
            lambda answer, wrongly: self._render(message, answer, wrongly=wrongly),
        )

    def _check_authentic(self, message: Message) -> None:
        # Which code answers a wrong signature is not public: the sandbox's own choice.
        for name in WANTED:
            if not message[name]:
                raise RefusedError(MISSING, name)
        if not verifies(message, self._merchant_key):
            raise RefusedError(SIGNATURE_WRONG, "signature")
        if message["member_id"] != self._keys.member_id:
            raise RefusedError(MERCHANT_WRONG)
        if message["terminal_id"] != self._keys.terminal_id:
            raise RefusedError(TERMINAL_WRONG)
        if message["version"] != VERSION or len(message["msg_id"]) > MAX_MSG_ID:
            raise RefusedError(FORMAT_WRONG, "version or msg_id")

    def _render(self, message: Message, answer: Answer, *, wrongly: bool = False) -> web.Response:
        fields = {
            "send_time": beijing(time.time()),
            "msg_id": secrets.token_hex(MAX_MSG_ID // 2),
            "version": VERSION,
            "resp_code": answer.state or table.call_state(answer.code),
            **{name: message[name] for name in ("terminal_id", "txn_type", "member_id")},
            "biz_resp_code": answer.code,
            "biz_resp_msg": table.text_of(answer.code) + (f"[{answer.detail}]" if answer.detail else ""),
            **answer.more,
            **seal(answer.hidden, self._merchant_key),
        }
        signed = sign({name: value for name, value in fields.items() if value}, self._keys.psp.key)
        if wrongly:
            signed["signature"] = sign({**signed, "biz_resp_msg": "?"}, self._keys.psp.key)["signature"]
        return web.Response(body=encode_text(signed), content_type="text/html", charset="utf-8")
