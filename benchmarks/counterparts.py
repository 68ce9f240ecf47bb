"""`python -m benchmarks.counterparts`: the mock PSP that signs by HMAC and the receiver, in one process.

Its books are read over HTTP after each load. The keys come by environment, so that they are in no process list.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import os
from typing import Any, Final

import orjson

from benchmarks.hmac_psp import sign
from benchmarks.wire import Request, serve_until_told

__all__ = ["PSP_KEY_VARIABLE", "WEBHOOK_SECRET_VARIABLE"]

PSP_KEY_VARIABLE: Final = "SLUICE_BENCH_PSP_KEY"
WEBHOOK_SECRET_VARIABLE: Final = "SLUICE_BENCH_WEBHOOK_SECRET"
Reply = tuple[int, bytes]


class MockPsp:
    """Takes every order, works it once, and answers after `delay_s`."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.delay_s = 0.0
        self._amounts: dict[str, int] = {}
        self._submissions: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._forged = 0

    def pay(self, request: Request) -> Reply | Any:
        """Work an order; an order number that came before is only counted."""
        if not self._is_signed(request):
            return 401, b"{}"
        asked = orjson.loads(request.body)
        number = asked["order_no"]
        self._submissions[number] = self._submissions.get(number, 0) + 1
        self._amounts.setdefault(number, asked["amount"])
        if self.delay_s:
            return self._pay_later(request, number)
        return 200, self._answer(number)

    async def _pay_later(self, request: Request, number: str) -> Reply:
        await asyncio.sleep(self.delay_s)
        answer = self._answer(number)
        self._seconds[number] = asyncio.get_running_loop().time() - request.read_at
        return 200, answer

    def query(self, request: Request) -> Reply:
        """Tell of an order."""
        return (200, self._answer(orjson.loads(request.body)["order_no"])) if self._is_signed(request) else (401, b"{}")

    def _answer(self, number: str) -> bytes:
        told: dict[str, Any] = {"order_no": number, "state": "unknown order"}
        if number in self._amounts:
            told |= {"state": "succeeded", "amount": self._amounts[number], "transaction_no": "T" + number[:20]}
        return orjson.dumps({**told, "signature": sign(self._key, orjson.dumps(told))})

    def _is_signed(self, request: Request) -> bool:
        good = hmac.compare_digest(request.header(b"x-signature").decode(), sign(self._key, request.body))
        self._forged += not good
        return good

    def books(self) -> dict[str, Any]:
        """What the mock did: orders, submissions, fen; and how long each delayed call took, by order number."""
        return {
            "orders": len(self._amounts),
            "submissions": sum(self._submissions.values()),
            "amount": sum(self._amounts.values()),
            "forged": self._forged,
            "seconds": self._seconds,
        }


class Receiver:
    """Verifies notifications by Standard Webhooks and answers 200."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._ids: dict[str, int] = {}
        self._rejected = 0

    def take(self, request: Request) -> Reply:
        """Count an event."""
        event_id, at = request.header(b"webhook-id"), request.header(b"webhook-timestamp")
        digest = hmac.new(self._key, b".".join((event_id, at, request.body)), hashlib.sha256).digest()
        if b"v1," + base64.b64encode(digest) not in request.header(b"webhook-signature").split():
            self._rejected += 1
            return 401, b"{}"
        name = event_id.decode()
        self._ids[name] = self._ids.get(name, 0) + 1
        return 200, b"{}"

    def books(self) -> dict[str, Any]:
        """Every event's id with how often it came, and how many notifications did not verify."""
        return {"events": self._ids, "rejected": self._rejected}


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counterparts", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    psp = MockPsp(os.environ[PSP_KEY_VARIABLE].encode())
    receiver = Receiver(os.environ[WEBHOOK_SECRET_VARIABLE])

    def answer(request: Request) -> Reply | Any:
        match request.what:
            case b"POST /psp/pay":
                return psp.pay(request)
            case b"POST /psp/query":
                return psp.query(request)
            case b"POST /notifications":
                return receiver.take(request)
            case b"POST /control/delay":
                psp.delay_s = float(request.body)
                return 200, b"{}"
            case b"GET /books":
                return 200, orjson.dumps({"psp": psp.books(), "receiver": receiver.books()})
        return 404, b"{}"

    serve_until_told(answer, "127.0.0.1", port)


if __name__ == "__main__":
    main()
