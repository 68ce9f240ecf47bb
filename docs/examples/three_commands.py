"""Tiny Pay, an invented PSP: a whole adapter of three commands. `tests/adapters/test_three_commands.py` runs it.

POST JSON to /pay, /ask and /refund. `X-Signature` is the hex HMAC-SHA256 of the body, in requests and answers alike.
An answer is `{"order": …, "code": …, "amount": fen, "id": …}`. Tiny has no callbacks and no question about refunds: a
refund whose answer is lost stays unknown until the statement.
"""

import hashlib
import hmac
import json
from typing import Any, ClassVar, Final

import httpx

from adapters.account import base_url, declared, secret, setting
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Declaration,
    NotSentError,
    Pay,
    Refund,
    Table,
    Transport,
    TransportError,
    bound,
)

DECLARATION: Final = Declaration(
    provider="tiny",
    scenes=frozenset({Scene.WITHHOLD}),
    terms={
        Product.PAYMENT: Terms((1.0, 5.0, 60.0), NotFoundRule(answers=3, over_s=600.0), answer_timeout_s=10.0),
        Product.REFUND: Terms((3600.0,), None, answer_timeout_s=10.0, late_looks=0),  # only the answer's time counts
    },
    identity=frozenset({"merchant"}),
)
DECLINES: Final = {"05": F.CHANNEL_REFUSED, "14": F.CARD_INVALID, "51": F.INSUFFICIENT_BALANCE}
REFUND_DECLINES: Final = {"05": F.CHANNEL_REFUSED, "51": F.MERCHANT_BALANCE_SHORT}
DONE, OPEN, NO_SUCH_ORDER, BUSY = "00", "01", "25", "98"
# 94 (order number used) is in no table on purpose: Tiny has the order, whatever became of it.
CONNECT_TIMEOUT_S: Final = 5.0


class Tiny:
    """One merchant. Settings: `base_url`, `merchant`. Secrets: `key`, the merchant's own. Raises AccountError."""

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, _clock: object) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, self.COMMANDS)
        self.callbacks = None
        self._transport = transport
        self._base_url, self._merchant = base_url(account), setting(account, "merchant")
        self._key = secret(account, "key").encode()

    async def pay(self, command: Pay) -> Outcome:
        """Collect; the answer may be final."""
        card = command.card
        assert card is not None
        fields = {"amount": command.amount, "card": card.card_no, "name": card.holder_name, "phone": card.phone}
        return _read(await self._commit("/pay", command.number, fields, Product.PAYMENT), DECLINES)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for a payment by its number."""
        told = await self._commit("/ask", command.number, {}, Product.PAYMENT)
        if isinstance(told, dict) and told.get("code") == NO_SUCH_ORDER:
            return NotFound(NO_SUCH_ORDER)
        return _read(told, DECLINES)

    async def refund(self, command: Refund) -> Outcome:
        """Give back, by our own number of the payment."""
        fields = {"amount": command.amount, "of": command.original_number}
        return _read(await self._commit("/refund", command.number, fields, Product.REFUND), REFUND_DECLINES)

    async def _commit(
        self, path: str, number: str, fields: dict[str, object], product: Product
    ) -> dict[str, Any] | NotSent | Unknown:
        """Sign, send once, and believe the answer only if Tiny signed it about this order."""
        body = json.dumps({"merchant": self._merchant, "order": number, **fields}).encode()
        timeout = httpx.Timeout(self.declaration.terms[product].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        more: dict[str, Any] = {"extensions": {"timeout": timeout.as_dict()}}
        more |= {"headers": {"X-Signature": self._sign(body)}}
        request = httpx.Request("POST", self._base_url + path, content=body, **more)
        try:
            answer = await self._transport(request)
        except NotSentError as error:
            return NotSent(str(error))
        except TransportError as error:
            return Unknown(str(error))
        signature = answer.headers.get("X-Signature", "").encode()
        if not hmac.compare_digest(signature, self._sign(answer.content).encode()) or not answer.is_success:
            return Unknown(f"HTTP {answer.status_code}, or not signed by Tiny")
        told: dict[str, Any] = json.loads(answer.content)  # JSON of theirs, since they signed it
        return told if told.get("order") == number else Unknown("the answer is about another order")

    def _sign(self, body: bytes) -> str:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()

    COMMANDS: ClassVar[Table] = {Pay: pay, AskPayment: ask_payment, Refund: refund}


def _read(told: dict[str, Any] | NotSent | Unknown, declines: dict[str, F]) -> Outcome:
    if not isinstance(told, dict):
        return told
    code, amount, transaction_no = told.get("code"), told.get("amount"), told.get("id")
    if code == DONE and type(amount) is int:
        return Succeeded(amount, transaction_no, channel_code=code)
    if code == OPEN:
        return Processing(code, channel_transaction_no=transaction_no)
    if failure := declines.get(str(code)):
        return Declined(failure, code)
    return Unknown("not final", code, received=code not in {None, NO_SUCH_ORDER, BUSY})
