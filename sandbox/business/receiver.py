"""The receiver of notifications, and what is booked as JSON."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from sandbox.business.bookings import Bookings

__all__ = ["Receiver", "print_line"]

BOOKED = ("payment.", "checkout.")
"""Types that must have what a booking needs. Of all others what has it is booked, and the rest is let be."""


def print_line(line: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


class Receiver:
    """Takes what verifies, books it once, and tells a line of each event that was news."""

    def __init__(self, webhook: Webhook, bookings: Bookings, tell: Callable[[str], None]) -> None:
        self._webhook = webhook
        self._bookings = bookings
        self._tell = tell

    def routes(self) -> Iterable[web.RouteDef]:
        """Its addresses; `list_all` stands beside a page of the same address."""
        return [
            web.post("/notifications", self._notify),
            web.get("/bookings/{id}", self._show),
            web.get("/health", self._health),
        ]

    async def list_all(self, _: web.Request) -> web.Response:
        """All payments as they are booked."""
        payments = [booking.shown() for booking in self._bookings.payments()]
        return _json({"bookings": payments, "rejected": self._bookings.rejected})

    async def _notify(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = self._webhook.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):  # the library lets malformed signatures through as ValueError
            self._bookings.rejected += 1
            return _json({"error": "the signature does not verify"}, 401)
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            return _json({"error": "not an event"}, 422)
        if "merchant_order_no" not in event["data"]:
            return self._nothing(event)
        try:
            is_new = self._bookings.take(event)
        except (KeyError, TypeError, ValueError):
            if not str(event.get("type")).startswith(BOOKED):
                return self._nothing(event)
            return _json({"error": "the event lacks fields of a payment or a checkout"}, 422)
        if is_new:
            data = event["data"]
            amount = "" if data.get("amount") is None else f" {data['amount']} fen"
            self._tell(
                f"{event.get('type')}: {data['id']} order {data['merchant_order_no']}{amount}"
                f" (sequence {event['sequence']})"
            )
        return _json({"booked": is_new})

    def _nothing(self, event: dict[str, Any]) -> web.Response:
        self._tell(f"{event.get('type')}: nothing to book")
        return _json({"booked": False})

    async def _show(self, request: web.Request) -> web.Response:
        booking = self._bookings.get(request.match_info["id"])
        return _json({"error": "not booked"}, 404) if booking is None else _json(booking.shown())

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok", "bookings": len(self._bookings.payments())})
