"""The sample business system: what it verifies, books and refuses. Does not test the gateway's own deliveries."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from sandbox.business_system import build_app

SECRET = "whsec_" + "c2x1aWNlIHRlc3Qgc2VjcmV0IGZvciB0ZXN0cyE="


class Receiver:
    def __init__(self, address: str, session: aiohttp.ClientSession, lines: list[str]) -> None:
        self.address, self.session, self.lines = address, session, lines

    async def tell(self, sequence: int, status: str, *, secret: str = SECRET, age_s: int = 0, **changed: Any) -> int:
        payment = {"id": "pay_1", "merchant_order_no": "A1", "status": status, "amount": 1000, **changed}
        event = {"id": f"evt_{sequence}", "type": f"payment.{status}", "sequence": sequence, "data": payment}
        return await self.deliver(json.dumps(event), secret=secret, age_s=age_s)

    async def deliver(self, body: str, *, secret: str = SECRET, age_s: int = 0, signature: str | None = None) -> int:
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature or Webhook(secret).sign("msg_1", at, body),
        }
        url = f"{self.address}/notifications"
        async with self.session.post(url, data=body, headers=signed) as answer:
            return answer.status

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.address}/{path}") as answer:
            return await answer.json()


Open = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def open_receiver(session: aiohttp.ClientSession) -> AsyncIterator[Open]:
    running: list[web.AppRunner] = []

    async def open_one(data_dir: Path | None = None) -> Receiver:
        lines: list[str] = []
        for runner in running:
            await runner.cleanup()
        runner = web.AppRunner(build_app(SECRET, data_dir, tell=lines.append), shutdown_timeout=0.2)
        await runner.setup()
        running.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}", session, lines)

    yield open_one
    for runner in running:
        await runner.cleanup()


async def test_a_verified_event_is_booked_once_however_often_it_comes(open_receiver: Open) -> None:
    receiver = await open_receiver()
    assert [await receiver.tell(2, "succeeded") for _ in range(3)] == [200, 200, 200]
    assert await receiver.get("bookings") == {
        "bookings": [
            {
                "payment_id": "pay_1",
                "merchant_order_no": "A1",
                "status": "succeeded",
                "amount": 1000,
                "sequence": 2,
                "deliveries": 3,
            }
        ],
        "rejected": 0,
    }
    assert receiver.lines == ["payment.succeeded: pay_1 order A1 1000 fen (sequence 2)"]


async def test_a_stale_event_changes_nothing(open_receiver: Open) -> None:
    receiver = await open_receiver()
    await receiver.tell(2, "succeeded")
    assert await receiver.tell(1, "processing") == 200
    booking = await receiver.get("bookings/pay_1")
    assert (booking["status"], booking["sequence"], booking["deliveries"]) == ("succeeded", 2, 2)


async def test_what_does_not_verify_is_rejected_and_not_booked(open_receiver: Open) -> None:
    receiver = await open_receiver()
    other = "whsec_" + "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlciEhISE="
    statuses = [
        await receiver.tell(1, "succeeded", secret=other),
        await receiver.tell(1, "succeeded", age_s=600),
        await receiver.deliver("{}", signature="nonsense"),
        await receiver.deliver("not json"),
    ]
    assert statuses == [401, 401, 401, 401]
    assert await receiver.get("bookings") == {"bookings": [], "rejected": 4}


async def test_an_event_about_no_payment_is_taken_and_not_booked(open_receiver: Open) -> None:
    receiver = await open_receiver()
    event = json.dumps({"type": "channel.degraded", "sequence": 1, "data": {"channel": "X"}})
    assert await receiver.deliver(event) == 200
    assert await receiver.deliver(json.dumps({"type": "payment.succeeded", "data": []})) == 422
    assert await receiver.tell(1, "succeeded", amount=None) == 422
    assert (await receiver.get("bookings"))["bookings"] == []


async def test_a_checkout_is_booked_once_by_its_own_number(open_receiver: Open) -> None:
    receiver = await open_receiver()

    async def told(sequence: int, kind: str, **changed: Any) -> int:
        checkout = {"id": "co_1", "merchant_order_no": "A1", "status": "succeeded", "amount": 1000, **changed}
        return await receiver.deliver(json.dumps({"type": kind, "sequence": sequence, "data": checkout}))

    for _ in range(2):
        assert await told(1, "checkout.succeeded") == 200
    assert receiver.lines == ["checkout.succeeded: co_1 order A1 1000 fen (sequence 1)"]
    booking = await receiver.get("bookings/co_1")
    assert (booking["checkout_id"], booking["status"], booking["deliveries"]) == ("co_1", "succeeded", 2)
    assert (await receiver.get("bookings"))["bookings"] == []
    assert await told(1, "checkout.succeeded", id="co_2", amount=None) == 200
    assert (await receiver.get("bookings/co_2"))["amount"] is None
    assert await told(1, "checkout.succeeded", id="co_3", status=None, amount="much") == 422


@pytest.mark.parametrize("kind", ["authentication.succeeded", "payout.returned", "route.anomaly", "of.tomorrow", None])
async def test_an_event_of_any_type_is_taken_whatever_it_lacks(open_receiver: Open, kind: str | None) -> None:
    receiver = await open_receiver()
    event = {"type": kind, "sequence": 1, "data": {"id": "x_1", "merchant_order_no": "A1", "status": "succeeded"}}
    assert await receiver.deliver(json.dumps(event)) == 200
    assert receiver.lines == [f"{kind}: nothing to book"]


async def test_bookings_of_the_version_before_are_read(open_receiver: Open, tmp_path: Path) -> None:
    old = {"payment_id": "pay_1", "merchant_order_no": "A1", "status": "succeeded", "amount": 7, "sequence": 2}
    (tmp_path / "bookings.jsonl").write_text(json.dumps({**old, "deliveries": 1}) + "\n")
    receiver = await open_receiver(tmp_path)
    assert await receiver.get("bookings/pay_1") == {**old, "deliveries": 1}


async def test_bookings_survive_a_restart(open_receiver: Open, tmp_path: Path) -> None:
    receiver = await open_receiver(tmp_path)
    await receiver.tell(2, "succeeded")
    receiver = await open_receiver(tmp_path)
    await receiver.tell(2, "succeeded")
    assert (await receiver.get("bookings/pay_1"))["deliveries"] == 2
    assert receiver.lines == []
