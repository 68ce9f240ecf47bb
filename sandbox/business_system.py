"""A sample business system: a little shop of a lender; it takes the gateway's notifications, verifies them, and books
each payment once.

Run: `python -m sandbox.business_system --secret whsec_… --gateway http://127.0.0.1:8080 --key sk_…`. It verifies with
the public library `standardwebhooks`, as any receiver would, and knows nothing of the gateway's code. What it does
stands in `sandbox.business`.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from sandbox.business.app import build_app
from sandbox.business.bookings import Booking, Bookings
from sandbox.business.gateway import Access, read_address
from sandbox.journal import JournalUnreadableError
from sandbox.serve import EXIT_UNUSABLE, serve

__all__ = ["Booking", "Bookings", "build_app"]

PORT_VARIABLE: Final = "SLUICE_RECEIVER_PORT"
SECRET_VARIABLE: Final = "SLUICE_RECEIVER_SECRET"  # noqa: S105  the name of a variable, not a secret
GATEWAY_VARIABLE: Final = "SLUICE_RECEIVER_GATEWAY"
KEY_VARIABLE: Final = "SLUICE_RECEIVER_KEY"
INBOX_VARIABLE: Final = "SLUICE_RECEIVER_INBOX"
DEFAULT_PORT: Final = "8070"
NOT_BASE64: Final = (
    "the secret must be base64 with whsec_ before it; make one with: whsec_$(head -c 24 /dev/urandom | base64)"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.business_system",
        description="A sample business system: a shop whose payers go to the gateway's cashier; it verifies "
        "notifications and books each payment once.",
        epilog="In a browser /; for programs POST /notifications, GET /bookings, GET /bookings/{id}, GET /health",
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
        "--data", type=Path, metavar="DIR", help="folder for orders and bookings; without it they are forgotten"
    )
    parser.add_argument(
        "--gateway",
        metavar="URL",
        default=os.environ.get(GATEWAY_VARIABLE),
        help=f"where the gateway is, for the shop: http://127.0.0.1:8080, or {GATEWAY_VARIABLE}",
    )
    parser.add_argument(
        "--key", default=os.environ.get(KEY_VARIABLE), help=f"the app's key there; better given as {KEY_VARIABLE}"
    )
    parser.add_argument(
        "--inbox",
        metavar="URL",
        default=os.environ.get(INBOX_VARIABLE),
        help=f"a page where the SMS of mock payment companies can be read, to link; or {INBOX_VARIABLE}",
    )
    return parser


def _access(parser: argparse.ArgumentParser, gateway: str | None, key: str | None) -> Access | None:
    """The gateway of the shop, or None where neither its address nor a key is given. Ends the program otherwise."""
    address = _address(parser, "--gateway", gateway)
    if address is None and not key:
        return None
    if address is None or not key:
        parser.error(f"give both --gateway ({GATEWAY_VARIABLE}) and --key ({KEY_VARIABLE}), or neither")
    if not key.isascii() or not key.isprintable() or " " in key:
        parser.error("--key is not an app's key: it has letters, digits and signs alone")
    return Access(address, key)


def _address(parser: argparse.ArgumentParser, option: str, text: str | None) -> str | None:
    try:
        return read_address(text) if text else None
    except ValueError:
        parser.error(f"{option} must be an http(s) address, like http://127.0.0.1:8080")


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
    access = _access(parser, chosen.gateway, chosen.key)
    inbox = _address(parser, "--inbox", chosen.inbox)
    try:
        return serve(
            lambda: build_app(chosen.secret, chosen.data, access=access, inbox=inbox),
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
