"""The LianLian mock as a server: opens and checks a request, has its work done, signs the answer, notifies."""

import time
from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import Order, State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import LIANLIAN, KeySet, LianLianKeys
from sandbox.lianlian import codes as table
from sandbox.lianlian.agreements import Agreements
from sandbox.lianlian.calls import BALANCE_CALLS, CALLS
from sandbox.lianlian.notices import LianLianPen
from sandbox.lianlian.payouts import PAYOUT_CALLS, Payouts
from sandbox.lianlian.refunds import MESSAGES as REFUND_MESSAGES
from sandbox.lianlian.refunds import REFUND_CALLS, Refunds
from sandbox.lianlian.statement import payouts_text, receipts_text, zipped
from sandbox.lianlian.transactions import Answer, Transactions
from sandbox.lianlian.wire import Fields, RefusedError, open_pay_load, parse, render, sign, verifies, yuan_of
from sandbox.prints import CardPrinter
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["LianLian"]

UNSIGNED: Final = frozenset({"bank_name", "card_no", "memo"})
"""Fields of a question's answer that stand outside the signature (H)."""
MAINTENANCE: Final = "9000"
ALL_CALLS: Final = {**CALLS, **PAYOUT_CALLS, **REFUND_CALLS, **BALANCE_CALLS}
MESSAGES: Final = {**REFUND_MESSAGES, **table.MESSAGES}


class LianLian(Provider):
    """Provider `lianlian`, for one merchant."""

    name: ClassVar[str] = "lianlian"
    keys: ClassVar[KeySet[LianLianKeys]] = LIANLIAN
    pays_out: ClassVar[bool] = True
    states_balance: ClassVar[bool] = True
    refunds_apart: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: LianLianKeys) -> None:
        super().__init__(config, timers, LianLianPen(keys.psp))
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        print_key = None if config.data_dir is None else config.data_dir / "card-fingerprint.key"
        printer = CardPrinter(print_key)
        self._agreements = Agreements(self.books, printer)
        self._payouts, self._refunds = Payouts(self, printer), Refunds(self)
        self._transactions = Transactions(self, self._agreements)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(f"/lianlian/{call.path}", partial(self._handle, name)) for name, call in ALL_CALLS.items()]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return len(code) == 4 and code.isascii() and code.isdecimal() and code not in {table.SUCCESS, table.SMS_SENT}

    def reset(self) -> None:
        super().reset()
        self._agreements.clear()
        self._transactions.tokens.clear()

    def statement_file(self, day: date) -> tuple[str, bytes]:
        rows, oid_partner = self.statements.rows(day), self._keys.oid_partner
        return zipped(receipts_text(rows, oid_partner), payouts_text(rows, oid_partner), day, oid_partner)

    def settle(self, order: Order, code: str, *, after_s: float = 0.0, hidden_s: float = 0.0) -> None:
        """An order that waited gets its end, now or after a while."""
        now = time.time()
        order.code, order.planned_code = table.ACCEPTED, code
        order.due_at, order.visible_at = now + after_s, now + hidden_s
        if after_s > 0:
            self.books.save(order)
            self._finish_when_due(order)
        else:
            self._finish(order)

    async def _handle(self, name: str, request: web.Request) -> web.Response:
        call = ALL_CALLS[name]
        try:
            fields = self._opened(await request.read(), is_encrypted=call.is_encrypted)
            occasion = (self._refunds if name in REFUND_CALLS else self._transactions).occasion(call, fields)
        except RefusedError as refused:
            return self._render(_refusal(refused))
        if self.faults.take("maintenance", occasion):
            return self._render(_refusal(RefusedError(MAINTENANCE)))
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._perform(name, fields, occasion),
            lambda answer, wrongly: self._render(answer, wrongly=wrongly),
        )

    def _opened(self, body: bytes, *, is_encrypted: bool) -> Fields:
        """The fields that the merchant signed. Raises RefusedError: 1012, 4007, 1001 signature, 3001 merchant."""
        outer = parse(body)
        fields: Fields = open_pay_load(outer.get("pay_load", ""), self._keys.psp.key) if is_encrypted else outer
        if fields.get("sign_type") != "RSA" or not verifies(fields, self._merchant_key):
            raise RefusedError("1001")
        if {outer.get("oid_partner"), fields.get("oid_partner")} != {self._keys.oid_partner}:
            raise RefusedError("3001")
        return fields

    def _perform(self, name: str, fields: Fields, occasion: Occasion) -> Answer:
        if name in PAYOUT_CALLS:
            return self._payouts.perform(name, fields, occasion)
        if name in BALANCE_CALLS:
            return self._told_balance(fields, occasion)
        try:
            if name in REFUND_CALLS:
                return self._refunds.perform(name, fields, occasion)
            return self._transactions.perform(name, fields)
        except RefusedError as refused:
            return _refusal(refused)

    def _told_balance(self, fields: Fields, occasion: Occasion) -> Answer:
        """It does not say whose it is (H)."""
        if decline := self.faults.take("decline", occasion):
            return _refusal(RefusedError(decline.params["code"]))
        if fields.get("api_version") not in {"1.0", "1.1"}:
            return _refusal(RefusedError("1004", "api_version"))
        for_payouts, unsettled = self.balance.now
        amounts = {"amt_balance": yuan_of(for_payouts), "amt_unsettle": yuan_of(unsettled)}
        return {"sign_type": "RSA", "ret_code": table.SUCCESS, **amounts}

    def _render(self, answer: Answer, *, wrongly: bool = False) -> web.Response:
        """0000 and 8888 are signed, refusals are not (H)."""
        answer = {**answer, "ret_msg": answer.get("ret_msg", MESSAGES.get(answer["ret_code"], "其他"))}
        if wrongly:
            answer["sign"] = sign({**answer, "ret_msg": "?"}, self._keys.psp.key)["sign"]
        elif answer["ret_code"] in {table.SUCCESS, table.SMS_SENT}:
            # The card's last digits are signed in the answer to a binding, which names no result.
            outside = UNSIGNED if "result_pay" in answer else frozenset[str]()
            answer = sign(answer, self._keys.psp.key, outside)
        return web.Response(body=render(answer), content_type="application/json", charset="utf-8")


def _refusal(refused: RefusedError) -> Answer:
    detail = f"（{refused.detail}）" if refused.detail else ""
    return {"ret_code": refused.code, "ret_msg": MESSAGES.get(refused.code, "其他") + detail}
