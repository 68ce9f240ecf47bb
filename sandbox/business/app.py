"""The business system as one aiohttp application: its shop, and the receiver of notifications."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, DummyCookieJar, web
from standardwebhooks import Webhook

from sandbox.business.bookings import Bookings
from sandbox.business.gateway import Access, Gateway
from sandbox.business.orders import Orders, Tickets
from sandbox.business.receiver import Receiver, print_line
from sandbox.business.shop import Shop
from sandbox.journal import Journal
from sandbox.pages import wants_page

__all__ = ["build_app"]

MAX_BODY_BYTES: Final = 256 * 1024
BOOKINGS_FILE: Final = "bookings.jsonl"
ORDERS_FILE: Final = "orders.jsonl"


def build_app(
    secret: str,
    data_dir: Path | None = None,
    *,
    access: Access | None = None,
    inbox: str | None = None,
    tell: Callable[[str], None] = print_line,
) -> web.Application:
    """The business system as an application. `tell` gets one line per event booked.

    `access`: the gateway that its shop sends payers to; `inbox`: a page of SMS that it links.
    Raises ValueError for a secret that is not base64 after `whsec_`, JournalUnreadableError for a broken journal.
    """
    webhook = Webhook(secret)
    bookings = Bookings(Journal(None if data_dir is None else data_dir / BOOKINGS_FILE))
    orders = Orders(Journal(None if data_dir is None else data_dir / ORDERS_FILE))
    receiver = Receiver(webhook, bookings, tell)
    shop = Shop(orders, bookings, Tickets(secret), access, inbox)

    async def running(_: web.Application) -> AsyncIterator[None]:
        async with ClientSession(cookie_jar=DummyCookieJar()) as session:
            if access is not None:
                shop.gateway = Gateway(access, session)
            yield
        bookings.close()
        orders.close()

    async def booked(request: web.Request) -> web.Response:
        return await (shop.booked if wants_page(request) else receiver.list_all)(request)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.add_routes([*receiver.routes(), *shop.routes(), web.get("/bookings", booked)])
    return app
