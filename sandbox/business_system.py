"""A sample business system: takes the gateway's notifications, verifies them, and books each payment once.

Run: `python -m sandbox.business_system --secret whsec_…`. It verifies with the public library `standardwebhooks`, as
any receiver would, and knows nothing of the gateway's code.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

from sandbox.journal import Journal, JournalUnreadableError
from sandbox.serve import EXIT_UNUSABLE, serve

__all__ = ["Booking", "Bookings", "build_app"]

PORT_VARIABLE: Final = "SLUICE_RECEIVER_PORT"
SECRET_VARIABLE: Final = "SLUICE_RECEIVER_SECRET"  # noqa: S105  the name of a variable, not a secret
DEFAULT_PORT: Final = "8070"
NOT_BASE64: Final = (
    "the secret must be base64 with whsec_ before it; make one with: whsec_$(head -c 24 /dev/urandom | base64)"
)
MAX_BODY_BYTES: Final = 256 * 1024
JOURNAL_FILE: Final = "bookings.jsonl"


@dataclass(frozen=True, slots=True)
class Booking:
    """One payment as this business system has it. Amount in fen; `deliveries` counts every notification about it."""

    payment_id: str
    merchant_order_no: str
    status: str
    amount: int
    sequence: int
    deliveries: int


class Bookings:
    """All bookings, by payment, kept in the journal; and how many notifications did not verify."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._bookings: dict[str, Booking] = {}
        self.rejected = 0
        for entry in journal.replay():
            try:
                booking = Booking(**entry)
            except TypeError as error:
                raise JournalUnreadableError(f"{journal.path}: written by another version; move it away") from error
            self._bookings[booking.payment_id] = booking

    def take(self, event: dict[str, Any]) -> bool:
        """Book a verified event. False when it told nothing new: repeated, or older than what is booked.

        Raises KeyError, TypeError or ValueError for an event without the fields of a payment.
        """
        payment, sequence = event["data"], int(event["sequence"])
        told = Booking(
            payment_id=str(payment["id"]),
            merchant_order_no=str(payment["merchant_order_no"]),
            status=str(payment["status"]),
            amount=int(payment["amount"]),
            sequence=sequence,
            deliveries=1,
        )
        known = self._bookings.get(told.payment_id)
        is_new = known is None or sequence > known.sequence
        if known is not None:
            newest = told if is_new else known
            told = replace(newest, deliveries=known.deliveries + 1)
        self._bookings[told.payment_id] = told
        self._journal.append(asdict(told))
        return is_new

    def get(self, payment_id: str) -> Booking | None:
        """The booking of a payment, or None."""
        return self._bookings.get(payment_id)

    def all(self) -> list[Booking]:
        """Every booking, in the order of first notice."""
        return list(self._bookings.values())

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class _Receiver:
    def __init__(self, webhook: Webhook, bookings: Bookings, tell: Callable[[str], None]) -> None:
        self._webhook = webhook
        self._bookings = bookings
        self._tell = tell

    async def notify(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = self._webhook.verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):  # the library lets malformed signatures through as ValueError
            self._bookings.rejected += 1
            return _json({"error": "the signature does not verify"}, 401)
        if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
            return _json({"error": "not an event"}, 422)
        if "merchant_order_no" not in event["data"]:
            self._tell(f"{event.get('type')}: nothing to book")
            return _json({"booked": False})
        try:
            is_new = self._bookings.take(event)
        except (KeyError, TypeError, ValueError):
            return _json({"error": "the event lacks fields of a payment"}, 422)
        if is_new:
            data = event["data"]
            self._tell(
                f"{event.get('type')}: {data['id']} order {data['merchant_order_no']} {data['amount']} fen"
                f" (sequence {event['sequence']})"
            )
        return _json({"booked": is_new})

    async def list_all(self, _: web.Request) -> web.Response:
        return _json({"bookings": self._bookings.all(), "rejected": self._bookings.rejected})

    async def show(self, request: web.Request) -> web.Response:
        booking = self._bookings.get(request.match_info["payment_id"])
        return _json({"error": "not booked"}, 404) if booking is None else _json(booking)

    async def health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok", "bookings": len(self._bookings.all())})


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def build_app(
    secret: str, data_dir: Path | None = None, *, tell: Callable[[str], None] = _print_line
) -> web.Application:
    """The business system as an application. `tell` gets one line per event booked.

    Raises ValueError for a secret that is not base64 after `whsec_`, JournalUnreadableError for a broken journal.
    """
    webhook = Webhook(secret)
    bookings = Bookings(Journal(None if data_dir is None else data_dir / JOURNAL_FILE))
    receiver = _Receiver(webhook, bookings, tell)

    async def closing(_: web.Application) -> AsyncIterator[None]:
        yield
        bookings.close()

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.cleanup_ctx.append(closing)
    app.add_routes(
        [
            web.post("/notifications", receiver.notify),
            web.get("/bookings", receiver.list_all),
            web.get("/bookings/{payment_id}", receiver.show),
            web.get("/health", receiver.health),
        ]
    )
    return app


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.business_system",
        description="A sample business system: verifies notifications and books each payment once.",
        epilog="POST /notifications, GET /bookings, GET /bookings/{payment_id}, GET /health",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get(PORT_VARIABLE, DEFAULT_PORT),
        help=f"port to listen on (default {DEFAULT_PORT}, or {PORT_VARIABLE})",
    )
    parser.add_argument(
        "--secret",
        default=os.environ.get(SECRET_VARIABLE),
        help=f"the endpoint's secret, whsec_…; better given as {SECRET_VARIABLE}",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder for the bookings; without it they are forgotten"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status: 0, or 2 when it cannot start."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if not chosen.secret:
        parser.error(f"give the endpoint's secret with --secret or {SECRET_VARIABLE}")
    try:
        Webhook(chosen.secret)
    except (ValueError, EmptyWebhookSecretError):
        sys.stderr.write(f"business system: {NOT_BASE64}\n")
        return EXIT_UNUSABLE
    try:
        return serve(
            lambda: build_app(chosen.secret, chosen.data),
            chosen.host,
            chosen.port,
            name="business system",
            port_variable=PORT_VARIABLE,
        )
    except JournalUnreadableError as unusable:
        sys.stderr.write(f"business system: {unusable}\n")
    except OSError as error:
        sys.stderr.write(f"business system: cannot use {chosen.data}: {error.strerror or error}\n")
    return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
