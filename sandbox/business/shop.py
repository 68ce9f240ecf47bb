"""The shop's pages: recharge, repay an instalment, sign a card, come back from the cashier, see what is booked.

What a page says of an order is what notifications said. That a payer comes back, and with what in the address, says
nothing.
"""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from yarl import URL

from sandbox.business.bookings import Bookings, Standing
from sandbox.business.gateway import Access, Gateway, Refused
from sandbox.business.orders import BORROWER, INSTALMENTS, Order, OrderKind, Orders, Tickets, read_amount, read_user
from sandbox.pages import Site, language_of

__all__ = ["Shop"]

TEMPLATES: Final = Path(__file__).parent / "templates"
MOST_SHOWN: Final = 100
USUAL_AMOUNT: Final = "100.00"
STATUSES: Final = {"away": 503, "busy": 503, "key": 503, "no_checkouts": 503, "conflict": 409, "refused": 422}
OWN_SITE: Final = frozenset({"same-origin", "none"})
Fields = dict[str, str]
T = TypeVar("T")


class Shop:
    """The pages over orders and bookings. `gateway` is None where nobody said where it is.

    `inbox`: where the SMS of the mock payment companies can be read, or None.
    """

    def __init__(
        self,
        orders: Orders,
        bookings: Bookings,
        tickets: Tickets,
        access: Access | None,
        inbox: str | None,
    ) -> None:
        self._orders, self._bookings, self._tickets = orders, bookings, tickets
        self._access, self._inbox = access, inbox
        self.gateway: Gateway | None = None
        self._site = Site(TEMPLATES, "/static", [] if access is None else [access.origin])

    def routes(self) -> Iterable[web.RouteDef]:
        """Its addresses but `/bookings`, which is JSON to programs."""
        return [
            *self._site.routes(),
            web.get("/", self._home),
            web.post("/recharge", self._recharge),
            web.post("/sign", self._sign),
            web.post("/repay", self._repay),
            web.post("/borrow", self._borrow),
            web.get("/orders/{order_no}", self._order),
            web.post("/orders/{order_no}", self._go_on),
        ]

    async def booked(self, request: web.Request) -> web.Response:
        """The page of what was ordered and what is booked."""
        orders = [(order, self._bookings.standing(order.order_no)) for order in self._orders.newest(MOST_SHOWN)]
        return self._page(request, "booked.html", orders=orders, bookings=self._bookings.newest(MOST_SHOWN))

    async def _home(self, request: web.Request) -> web.Response:
        return self._home_with(request)

    def _home_with(
        self, request: web.Request, status: int = 200, typed: Fields | None = None, wrong: Collection[str] = ()
    ) -> web.Response:
        """The first page; with what was typed and what is wrong with it, where a form is not taken."""
        loan = self._orders.loan
        instalments = [
            {
                "key": key,
                "amount": amount,
                "due": due,
                "standing": self._repayment(key),
                "ticket": self._tickets.issue(key),
            }
            for key, amount, due in loan.instalments()
        ]
        is_repaid = all(one["standing"] == "succeeded" for one in instalments)
        return self._page(
            request,
            "home.html",
            status,
            loan=loan,
            borrower=BORROWER,
            instalments=instalments,
            borrow=self._tickets.issue(f"borrow/{loan.number}") if is_repaid else None,
            ticket=self._tickets.issue(),
            typed={"amount": USUAL_AMOUNT, "user": BORROWER, "sign_user": BORROWER, **(typed or {})},
            wrong=wrong,
        )

    def _repayment(self, instalment: str) -> Standing | None:
        """How the repayment of an instalment stands, None where it can begin."""
        order = self._orders.repaying(instalment)
        standing = None if order is None else self._bookings.standing(order.order_no)
        return None if standing in {"expired", "canceled"} else standing

    async def _recharge(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        if isinstance(form, web.Response):
            return form
        about, fields = form
        amount, user = _read(read_amount, fields.get("amount")), _read(read_user, fields.get("user"))
        if amount is None or user is None:
            return self._home_with(
                request, 422, fields, [name for name, read in (("amount", amount), ("user", user)) if read is None]
            )
        return await self._open(request, self._place(request, about, "recharge", user, amount, "账户充值", "Recharge"))

    async def _sign(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        if isinstance(form, web.Response):
            return form
        about, fields = form
        user = _read(read_user, fields.get("sign_user"))
        if user is None:
            return self._home_with(request, 422, fields, ["sign_user"])
        order = self._place(
            request, about, "sign", user, None, "签约银行卡，用于还款代扣", "Sign a card for repayments"
        )
        return await self._open(request, order)

    async def _repay(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        if isinstance(form, web.Response):
            return form
        about, _ = form
        found = next((one for one in self._orders.loan.instalments() if one[0] == about), None)
        if found is None:  # of a loan that is repaid
            return self._to(request, "/")
        instalment, amount, _due = found
        # Nothing waits between looking and placing: two tabs get one order.
        order = self._orders.repaying(instalment)
        if order is None or self._repayment(instalment) is None:
            number, place = instalment.split("/")
            order = self._place(
                request,
                self._tickets.issue(),
                "repay",
                BORROWER,
                amount,
                f"借款 {number} 第 {place}/{len(INSTALMENTS)} 期还款",
                f"Loan {number}, instalment {place} of {len(INSTALMENTS)}",
                instalment,
            )
        return await self._open(request, order)

    async def _borrow(self, request: web.Request) -> web.Response:
        form = await self._form(request)
        if isinstance(form, web.Response):
            return form
        about, _ = form
        # The page gives this ticket out once the loan is repaid; one of an earlier loan is stale.
        if about == f"borrow/{self._orders.loan.number}":
            self._orders.borrow()
        return self._to(request, "/")

    async def _order(self, request: web.Request) -> web.Response:
        order = self._orders.get(request.match_info["order_no"])
        if order is None:
            return self._page(request, "unknown.html", 404)
        standing = self._bookings.standing(order.order_no)
        return self._page(
            request, "order.html", order=order, standing=standing, ticket=self._tickets.issue(order.order_no)
        )

    async def _go_on(self, request: web.Request) -> web.Response:
        """To the cashier again, with the same order."""
        form = await self._form(request)
        if isinstance(form, web.Response):
            return form
        about, _ = form
        order = self._orders.get(request.match_info["order_no"])
        if order is None or about != order.order_no:
            return self._page(request, "unknown.html", 404)
        return await self._open(request, order)

    def _place(
        self,
        request: web.Request,
        form: str,
        kind: OrderKind,
        user: str,
        amount: int | None,
        chinese: str,
        english: str,
        instalment: str = "",
    ) -> Order:
        base = URL(f"{request.scheme}://{request.host}")

        def returns_to(order_no: str) -> str:
            return str(base.with_path(f"/orders/{order_no}").with_query(_chosen(request)))

        return self._orders.place(
            form,
            kind,
            user,
            amount,
            description=chinese if language_of(request) == "zh" else english,
            returns_to=returns_to,
            instalment=instalment,
        )

    async def _open(self, request: web.Request, order: Order) -> web.Response:
        """Bring the payer to the order's page at the gateway, or say why not."""
        standing = self._bookings.standing(order.order_no)
        if standing not in {"open", "not_paid"}:
            return self._to(request, f"/orders/{order.order_no}")
        assert self.gateway is not None
        assert self._access is not None
        opened = await self.gateway.open(order, language_of(request))
        if isinstance(opened, Refused):
            if opened.reason in {"conflict", "refused"} and self._orders.get(order.order_no) is order:
                self._orders.withdraw(order)
            ticket = self._tickets.issue(order.order_no)
            status = STATUSES[opened.reason]
            return self._page(
                request,
                "trouble.html",
                status,
                order=order,
                trouble=opened,
                ticket=ticket,
                gateway=self._access.address,
            )
        parts = urlsplit(opened.url)
        if f"{parts.scheme}://{parts.netloc}" != self._access.origin:
            # Browsers let a form lead to the origins of its page's policy alone; a link may lead anywhere.
            return self._page(request, "leave.html", order=order, url=opened.url)
        return web.Response(status=303, headers={"Location": opened.url, "Cache-Control": "no-store"})

    async def _form(self, request: web.Request) -> tuple[str, Fields] | web.Response:
        """What a form of ours is about, and its fields; or the answer to one that is not ours or cannot be served."""
        try:
            sent = await request.post()
            fields = {name: value for name, value in sent.items() if isinstance(value, str)}
        except (ValueError, LookupError):  # no form, or of a charset that there is not
            fields = {}
        about = self._tickets.about(fields.get("ticket", ""))
        origin = request.headers.get("Origin", "null")
        is_ours = origin in {"null", f"{request.scheme}://{request.host}"}
        if about is None or not is_ours or request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITE:
            return self._page(request, "foreign.html", 403)
        return (about, fields) if self._access is not None else self._home_with(request, 503)

    def _page(self, request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
        common = {"has_gateway": self._access is not None, "inbox": self._inbox}
        return self._site.page(request, template, status, **common, **values)

    def _to(self, request: web.Request, path: str) -> web.Response:
        return web.Response(status=303, headers={"Location": str(URL(path).with_query(_chosen(request)))})


def _chosen(request: web.Request) -> dict[str, str]:
    return {"lang": language_of(request)} if "lang" in request.query else {}


def _read(read: Callable[[str], T], text: str | None) -> T | None:
    try:
        return read(text or "")
    except ValueError:
        return None
