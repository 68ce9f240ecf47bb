"""The business side: an app that calls a gateway, and the receiver of its notifications."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.business_system import build_app as build_business_system
from tests.e2e.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from tests.e2e.world import World

FINAL = frozenset({"succeeded", "failed", "closed", "returned"})
Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Any


@dataclass
class App:
    """A business system: its key, and the gateway it talks to."""

    world: "World"
    gateway: str
    key: str

    def at(self, gateway: str) -> "App":
        """The same business system, talking to another gateway."""
        return App(self.world, gateway, self.key)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Any call, with the key."""
        return await self.world.call(
            method, self.gateway + path, body, {"Authorization": f"Bearer {self.key}"} | headers
        )

    async def get(self, path: str) -> Any:
        """A call that must be answered 200: its body."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer.raw
        return answer.body

    async def pay(self, order: Shown) -> Shown:
        """Open a payment that must be new."""
        answer = await self.call("POST", path_of(order), order)
        assert answer.status == 201, answer.raw
        return dict(answer.body)

    async def payment(self, payment_id: str) -> Shown:
        """The payment as it is now."""
        return dict(await self.get(f"/v1/payments/{payment_id}"))

    async def final(self, payment_id: str, within_s: float = PATIENCE_S) -> Shown:
        """The payment once nothing more is expected."""

        async def look() -> Shown | None:
            payment = await self.payment(payment_id)
            return payment if payment["status"] in FINAL else None

        return await until(look, f"final state of {payment_id}", within_s)

    async def pay_to_the_end(self, order: Shown) -> Shown:
        """Open a payment and wait until it is final."""
        payment = await self.pay(order)
        return payment if payment["status"] in FINAL else await self.final(payment["id"])

    async def events(self, payment_id: str) -> list[Shown]:
        """The payment's events, oldest first."""
        return list(reversed((await self.get(f"/v1/events?object_id={payment_id}"))["data"]))

    async def told(self, payment_id: str, count: int = 1) -> list[Shown]:
        """The payment's events once there are so many and all are delivered."""

        async def look() -> list[Shown] | None:
            events = await self.events(payment_id)
            arrived = all(delivery["status"] == "delivered" for event in events for delivery in event["deliveries"])
            return events if len(events) >= count and arrived else None

        return await until(look, f"delivery of {count} events of {payment_id}")

    async def said(self, payment_id: str, what: str) -> list[Shown]:
        """The entries of this kind in the payment's timeline."""
        timeline = await self.get(f"/v1/payments/{payment_id}/timeline")
        return [entry for entry in timeline["data"] if entry["what"] == what]

    async def refund(self, payment: Shown, amount: int, **changed: Any) -> Answer:
        """Ask for a refund, under a number of its own."""
        order = {"merchant_order_no": f"refund-{self.world.number()}", "payment": payment["id"], "amount": amount}
        return await self.call("POST", "/v1/refunds", order | changed)

    async def refunded(self, refund_id: str, status: str | None = None, within_s: float = PATIENCE_S) -> Shown:
        """The refund once it is final, or has this status."""

        async def look() -> Shown | None:
            refund = await self.get(f"/v1/refunds/{refund_id}")
            done = refund["status"] in FINAL if status is None else refund["status"] == status
            return dict(refund) if done else None

        return await until(look, f"end of {refund_id}", within_s)

    async def all_payments(self) -> list[Shown]:
        """Every payment of the app, page by page."""
        found: list[Shown] = []
        after = ""
        while True:
            page = await self.get(f"/v1/payments?limit=200{after}")
            found += page["data"]
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"


def path_of(order: Shown) -> str:
    """The call that takes an order of this scene."""
    return "/v1/withholds" if order["scene"].endswith("withhold") else "/v1/charges"


@dataclass(frozen=True, slots=True)
class Notification:
    """One delivery, as it came."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """The sample business system, with every delivery kept as it came."""

    secret: str
    address: str = ""
    arrived: list[Notification] = field(default_factory=list)

    def app(self) -> web.Application:
        """It, as an application."""

        @web.middleware
        async def keep(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.method == "POST":
                self.arrived.append(Notification(dict(request.headers), await request.read()))
            return await handler(request)

        app = build_business_system(self.secret, tell=lambda _: None)
        app.middlewares.append(keep)
        return app

    def of(self, event_id: str) -> list[Notification]:
        """The deliveries of one event."""
        return [one for one in self.arrived if one.headers["webhook-id"] == event_id]
