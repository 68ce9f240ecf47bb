"""A PSP of the benchmark's own, signed by HMAC: the adapter here, the mock in `benchmarks.counterparts`.

RSA on both sides of a real protocol costs more CPU than all the rest of a payment; on a machine that also runs the mock
this would measure OpenSSL. The adapter is a whole one: it signs, uses the real transport, verifies, and believes no
answer about another order. Protocol: JSON, `X-Signature` is the hex HMAC-SHA256 of the body, both ways.
"""

import hashlib
import hmac
from datetime import datetime
from typing import ClassVar, Final

import httpx
import orjson

from adapters.account import base_url, declared, secret
from gateway.domain.outcomes import (
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Declaration,
    NotSentError,
    Pay,
    Table,
    Transport,
    TransportError,
    bound,
)

__all__ = ["DECLARATION", "HmacPsp", "sign"]

CONNECT_TIMEOUT_S: Final = 5.0

DECLARATION: Final = Declaration(
    provider="hmac",
    scenes=frozenset({Scene.WITHHOLD}),
    terms={Product.PAYMENT: Terms((5.0, 10.0, 30.0), NotFoundRule(answers=3, over_s=10.0), answer_timeout_s=10.0)},
)


def sign(key: bytes, body: bytes) -> str:
    """The signature of a body, as the header has it."""
    return hmac.new(key, body, hashlib.sha256).hexdigest()


class HmacPsp:
    """One merchant account. Settings: `url`. Secrets: `key`. Raises AccountError."""

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, self.COMMANDS)
        self.callbacks = None
        self._transport = transport
        self._pay_url, self._query_url = (httpx.URL(f"{base_url(account, 'url')}/{verb}") for verb in ("pay", "query"))
        self._key = secret(account, "key").encode()

    async def pay(self, command: Pay) -> Outcome:
        """Submit; the answer is final."""
        card = command.card
        assert card is not None
        fields = {
            "order_no": command.number,
            "time": _text(command.told_at),
            "amount": command.amount,
            "card_no": card.card_no,
            "holder_name": card.holder_name,
            "id_no": card.id_no,
            "phone": card.phone,
            "description": command.description,
            "notify_url": command.notify_url,
        }
        return await self._ask(self._pay_url, command.number, fields)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for an order."""
        return await self._ask(self._query_url, command.number, {"order_no": command.number})

    async def _ask(self, url: httpx.URL, number: str, fields: dict[str, object]) -> Outcome:
        body = orjson.dumps(fields)
        timeout = httpx.Timeout(self.declaration.terms[Product.PAYMENT].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            url,
            content=body,
            headers={"Content-Type": "application/json", "X-Signature": sign(self._key, body)},
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
        except NotSentError as error:
            return NotSent(str(error))
        except TransportError as error:
            return Unknown(str(error))
        return self._read(response, number)

    def _read(self, response: httpx.Response, number: str) -> Outcome:
        try:
            told = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            return Unknown("the answer is no JSON")
        if not hmac.compare_digest(str(told.pop("signature", "")), sign(self._key, orjson.dumps(told))):
            return Unknown("the signature is wrong")
        if told.get("order_no") != number:
            return Unknown("the answer is about another order")
        state = told.get("state")
        if state == "succeeded":
            return Succeeded(told["amount"], told["transaction_no"], channel_code="00")
        return NotFound() if state == "unknown order" else Processing(str(state))

    COMMANDS: ClassVar[Table] = {Pay: pay, AskPayment: ask_payment}


def _text(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S")
