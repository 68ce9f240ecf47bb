"""The adapter that docs/writing-an-adapter.md shows, in the contract suite: an invented PSP with three commands.

Not tested here: sockets. Nobody speaks this protocol.
"""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx

from adapters.registry import ProviderClass
from docs.examples import three_commands
from docs.examples.three_commands import Tiny
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import NotFound, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, AskPayment, Command, Pay, Refund
from tests.adapters.contract import AMOUNT, NUMBER, OTHER_NUMBER, Case, Contract, Meaning, OnTheWire

KEYS = {"first": "the key of the first", "second": "the key of the second"}
OF_PAYMENTS: dict[str, Meaning] = {
    "00": Succeeded,
    "01": Processing,
    "05": F.CHANNEL_REFUSED,
    "14": F.CARD_INVALID,
    "25": Unknown,
    "51": F.INSUFFICIENT_BALANCE,
    "94": Unknown,
    "98": Unknown,
}
MAX_LINES = 120


def signature(body: bytes, key: str = KEYS["first"]) -> str:
    return hmac.digest(key.encode(), body, "sha256").hex()


class TinyCase(Case):
    adapter: ClassVar[ProviderClass] = Tiny
    scenes = (Scene.WITHHOLD,)
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]] = {
        Pay: OF_PAYMENTS,
        AskPayment: {**OF_PAYMENTS, "25": NotFound},
        Refund: {**OF_PAYMENTS, "14": Unknown, "51": F.MERCHANT_BALANCE_SHORT},
    }
    unmapped_code = "77"
    duplicates = ("94",)
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = dict.fromkeys(
        (Pay, AskPayment, Refund), frozenset({"25", "98"})
    )
    without_question = frozenset({Verb.REFUND})

    def account(self, merchant: str = "first") -> AccountSettings:
        settings = {"base_url": "https://tiny.test", "merchant": merchant}
        return AccountSettings(f"tiny-{merchant}", "tiny", settings, {"key": KEYS[merchant]})

    def read(self, request: httpx.Request) -> OnTheWire:
        assert request.headers["X-Signature"] == signature(request.content)
        told = json.loads(request.content)
        assert told["merchant"] == "first"
        if request.url.path == "/refund":
            assert told["of"] == OTHER_NUMBER
        return OnTheWire(told["order"], told.get("amount"))

    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        return self.told(code, self.read(request).number, AMOUNT)

    def told(self, code: str, number: str = NUMBER, amount: int = AMOUNT) -> httpx.Response:
        body = json.dumps({"order": number, "code": code, "amount": amount, "id": "T1"}).encode()
        return httpx.Response(200, content=body, headers={"X-Signature": signature(body)})

    def processing(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "01")

    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        return self.told("00", amount=amount)

    def not_found(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "25")

    def query_failed(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request, "98")

    def unsigned(self, response: httpx.Response) -> httpx.Response:
        forged = signature(response.content, KEYS["second"])
        return httpx.Response(200, content=response.content, headers={"X-Signature": forged})

    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        return self.told("00", OTHER_NUMBER)


class TestTiny(Contract):
    case = TinyCase()


def test_three_commands_need_no_more_than_a_page() -> None:
    assert set(Tiny.COMMANDS) == {Pay, AskPayment, Refund}
    assert len(Path(three_commands.__file__).read_text().splitlines()) < MAX_LINES
