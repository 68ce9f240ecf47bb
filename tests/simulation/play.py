"""One play of a script: business systems and PSPs against gateways that die and are started again.

A script is written as if nobody ever died. Whoever gets no answer sends the same again, to the gateway that is started
in the dead one's place, until there is an answer; time passes by being moved to what is due next.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import aiohttp

from gateway.settings import SAMPLE_ADMIN_TOKEN
from tests.e2e.business import Shown, path_of
from tests.e2e.cards import HOLDER, ICBC, card_number
from tests.simulation.asked import Answered, Asked, Opened, Said, Seen, Standing, address_of
from tests.simulation.due import DUE, STATUSES
from tests.simulation.gateways import Gateway
from tests.simulation.outside import Death
from tests.simulation.process import Spec
from tests.simulation.stage import BANK, START, Stage, free_port

__all__ = ["FEW_MS", "STEPS", "TRIES", "Death", "Play"]

TRIES = 20
STEPS = 60
"""Of time, before it is said that there is no rest."""
STEPS_WITHOUT_PROOF = 4
"""What can never be proved is asked about for ever."""
FEW_MS = timedelta(milliseconds=20)
BUSY = 503


@dataclass
class Play:
    """What happens in one play, and everything that was seen and heard of it."""

    stage: Stage
    merchant_id: UUID
    key: str
    deaths: Sequence[Death] = ()
    bug: str | None = None
    at_once: int = 1
    """Gateways that run beside each other. The first one dies."""
    rehearses: bool = False
    users: list[str] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)
    """All that ever ran."""
    forms: list[Opened] = field(default_factory=list)
    """What payers' browsers were given to bring to PSPs, in turn."""
    refused: list[str] = field(default_factory=list)
    """Numbers of the orders that PSPs called back about in vain."""
    said: list[Said] = field(default_factory=list)
    """What the app said of recorded routes, in turn."""
    standings: list[Standing] = field(default_factory=list)
    codes_asked: int = 0
    """How often an SMS with a code for signing was wished for."""
    rests: bool = True
    """Whether it came to rest in the end."""
    _slots: list[Gateway] = field(default_factory=list)
    _deaths_left: list[Death] = field(default_factory=list)
    _reviving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _told_before: int = 0
    _bodies: dict[str, tuple[str, Shown]] = field(default_factory=dict)

    # Names

    def number(self) -> int:
        """A number that nobody had before."""
        return next(self.stage.numbers)

    def user(self) -> str:
        """A new user."""
        self.users.append(f"user-{self.number()}")
        return self.users[-1]

    def card(self, tail: str | None = None) -> Shown:
        """A new card; its tail may ask the sandbox for something (sandbox/README.md)."""
        return {"card_no": card_number(ICBC, self.number(), tail), **HOLDER}

    def order(self, **changed: Any) -> Shown:
        """A withhold that UnionPay takes, by the sample's fees, and for which a new card is authenticated silently."""
        usual = {
            "merchant_order_no": f"order-{self.number()}",
            "scene": "withhold",
            "user_id": changed.get("user_id") or self.user(),
            "amount": 100_001 + self.number() % 800_000,
            "currency": "CNY",
            "card": changed.get("card") or self.card(),
        }
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def cheap_order(self, **changed: Any) -> Shown:
        """A withhold that Allinpay takes, which authenticates no cards."""
        return self.order(**({"amount": 10_001 + self.number() % 30_000} | changed))

    def page_order(self, scene: str = "netbank_charge", **changed: Any) -> Shown:
        """A charge that its payer pays on a page, or one through the custody bank: without a card."""
        order = self.order(scene=scene, **({"bank": BANK} | changed))
        return {name: value for name, value in order.items() if name != "card"}

    # What a business system does

    async def pay(self, order: Shown, at: int = 0) -> Shown:
        """Ask for a payment until there is an answer; the payment as it was answered first."""
        number = order["merchant_order_no"]
        self.asked[number] = Asked(number, "payment", order["amount"], order["user_id"])
        return await self.ask(number, path_of(order), order, at)

    async def custody_user(self, **bank: Any) -> str:
        """A new user who has opened an account at the custody bank and bound a card there (sandbox/README.md)."""
        user = self.user()
        card = card_number(ICBC, self.number(), None)
        await self.stage.control("POST", "lanmao/users", {"user_no": user, "card_no": card} | bank)
        return user

    async def refund(self, payment: Shown, amount: int, at: int = 0) -> Shown:
        """Ask for a refund until there is an answer."""
        number = f"refund-{self.number()}"
        self.asked[number] = Asked(number, "refund", amount, payment["user_id"], payment["merchant_order_no"])
        body = {"merchant_order_no": number, "payment": payment["id"], "amount": amount}
        return await self.ask(number, "/v1/refunds", body, at)

    async def authenticate(self, user_id: str, card: Shown, at: int = 0) -> Shown:
        """Ask for a card's authentication by itself until there is an answer."""
        number = f"sign-{self.number()}"
        self.asked[number] = Asked(number, "authentication", 0, user_id)
        body = {"merchant_order_no": number, "user_id": user_id, "card": card}
        return await self.ask(number, "/v1/authentications", body, at)

    async def open_checkout(self, at: int = 0, **changed: Any) -> Shown:
        """Ask for a checkout until there is an answer; a purpose, an amount and so on may be said."""
        number, user = f"checkout-{self.number()}", changed.get("user_id") or self.user()
        usual = {"amount": 100_001 + self.number() % 800_000, "currency": "CNY", "description": "充值"}
        body = {
            "merchant_order_no": number,
            "user_id": user,
            "return_url": "http://127.0.0.1/done",
            **({} if changed.get("purpose") == "sign" else usual),
            **changed,
        }
        self.asked[number] = Asked(number, "checkout", body.get("amount", 0), user)
        return await self.ask(number, "/v1/checkouts", body, at)

    async def wish(self, about: Shown, what: str, body: Shown | None = None, at: int = 0) -> tuple[int, Shown]:
        """Wish something of a payment or an authentication (`confirm`, `resend-sms`, `close`), or of a checkout
        (`cancel`), until there is an answer: its status, and what it says.
        """
        number, path = about["merchant_order_no"], f"{address_of(about)}/{what}"
        return await self._call("POST", path, body or {}, at, lambda *said: self._answered(number, *said, wish=True))

    async def operate(self, about: Shown, path: str, body: Shown | None = None) -> tuple[int, Shown]:
        """Have an operator do something about an object until there is an answer: its status, and what it says.

        `path`: below the merchant's.
        """
        number, code = about["merchant_order_no"], self.stage.codes[self.merchant_id]
        path = f"/v1/admin/merchants/{code}/{path}"
        answered = partial(self._answered, number, wish=True)
        return await self._call("POST", path, body or {}, 0, answered, SAMPLE_ADMIN_TOKEN)

    async def anomalies(self) -> list[Shown]:
        """The merchant's open anomalies, as an operator sees them."""
        path = f"/v1/admin/merchants/{self.stage.codes[self.merchant_id]}/anomalies"
        _, said = await self._call("GET", path, None, 0, lambda *_: None, SAMPLE_ADMIN_TOKEN)
        return list(said["data"])

    async def resolve(self, anomaly: Shown, how: Shown) -> None:
        """Have an operator resolve an anomaly until there is an answer."""
        path = f"/v1/admin/merchants/{self.stage.codes[self.merchant_id]}/anomalies/{anomaly['id']}/resolve"
        await self._call("POST", path, how, 0, lambda *_: None, SAMPLE_ADMIN_TOKEN)

    async def read(self, path: str, at: int = 0) -> Shown:
        """Read something."""
        _, said = await self._call("GET", path, None, at, lambda *_: None)
        return said

    async def unbind(self, card_id: str, at: int = 0) -> int:
        """Give a card up until there is an answer: its status. Once it is given up it is found no more."""
        status, _ = await self._call("DELETE", f"/v1/cards/{card_id}", None, at, lambda *_: None)
        return status

    async def ask(self, number: str, path: str, body: Shown, at: int) -> Shown:
        """Ask for something until there is an answer that is no "try again later"."""
        self._bodies.setdefault(number, (path, body))
        _, said = await self._call("POST", path, body, at, lambda *said: self._answered(number, *said))
        return said

    def _answered(self, number: str, status: int | None, said: Shown, *, wish: bool = False) -> None:
        self.answered.append(Answered(number, status, said, wish))

    async def _call(
        self,
        method: str,
        path: str,
        body: Shown | None,
        at: int,
        answered: Callable[[int | None, Shown], None],
        key: str | None = None,
    ) -> tuple[int, Shown]:
        """Call until there is an answer that is no "try again later"; `answered` hears of each."""
        for _ in range(TRIES):
            gateway = await self.gateway(at)
            headers = {"Authorization": f"Bearer {key or self.key}"}
            try:
                session = self.stage.session
                async with session.request(method, gateway.address + path, json=body, headers=headers) as answer:
                    said = dict(await answer.json(content_type=None))
                    status = answer.status
            except aiohttp.ClientError:
                answered(None, {})
                await asyncio.wait_for(gateway.dead.wait(), 10.0)
                continue
            answered(status, said)
            if method != "GET":
                await self.look()
            if status != BUSY:
                return status, said
            self.stage.move_to(self.stage.now + timedelta(seconds=2))
            await self.work()
        raise AssertionError(f"{path} was never answered")

    async def ask_all_again(self) -> None:
        """Ask for every order once more, when all is over."""
        for number, (path, body) in list(self._bodies.items()):
            await self.ask(number, path, body, 0)

    # What PSPs do

    async def fault(self, provider: str, fault: str, **more: Any) -> None:
        """Ask a mock PSP for a fault (sandbox/README.md)."""
        await self.stage.control("POST", f"{provider}/faults", {"fault": fault, **more})

    async def call_back(self, provider: str, amount: int, number: str | None = None, **more: Any) -> None:
        """Have a PSP tell what became of an order, until it is acknowledged. Some call where they were told.

        `number`: of that order; else it is the last one of the amount. `more`: what else the mock PSP takes.
        """
        found = (await self.stage.control("GET", f"{provider}/transactions"))["transactions"]
        theirs = [row["order_no"] for row in found if row["amount"] == amount and number in {None, row["order_no"]}]
        *_, number = [None, *theirs]
        for _ in range(TRIES):
            if number is None:
                return  # the PSP never got it
            gateway = await self.gateway(0)
            await self.stage.register_notices(provider, self.merchant_id, gateway.address)
            said = await self.stage.control("POST", f"{provider}/callbacks", {"order_no": number, **more})
            await self.look()
            if said["statuses"] == [200]:
                return
            if not gateway.dead.is_set():
                await asyncio.sleep(0.01)
        self.refused.append(number)

    # Time

    async def rest(self, steps: int = STEPS, *, watched: bool = False) -> None:
        """Let time pass until nothing is due any more; `watched`: nor of what has ended and is looked at afterwards."""
        for _ in range(steps):
            await self.work()
            due = await self.due(watched=watched)
            if due is None:
                return
            self.stage.move_to(due + FEW_MS)
        self.rests = False

    async def due(self, *, watched: bool) -> datetime | None:
        """When something is due next."""
        [row] = await self.stage.rows(DUE, self.merchant_id, watched, self.stage.now)
        at: datetime | None = row["at"]
        return at

    async def work(self) -> None:
        """Have every gateway do what is due now."""
        for slot in range(self.at_once):
            while not await (await self.gateway(slot)).do("work", now=self.stage.now.isoformat()):
                await self.look()
        await self.look()

    async def look(self) -> None:
        """See how everything stands in the tables."""
        rows = await self.stage.rows(STATUSES, self.merchant_id, self.users)
        self.seen += [Seen(row["object"], row["id"], row["status"]) for row in rows]
        if any(row["object"] == "route" for row in rows):
            self.standings.append(await self.stage.standing(self.merchant_id, self.users))

    # Gateways

    async def begin(self) -> None:
        """Start the first gateways, with nothing left of the play before."""
        self.stage.now = START
        self.stage.psp_requests.clear()
        await self.stage.control("POST", "reset")
        await self.stage.empty_books()
        self.stage.receiver.refused = self.stage.receiver.fails = 0
        self._told_before = len(self.stage.receiver.arrived)
        self._deaths_left = list(self.deaths)
        for slot in range(self.at_once):
            self._slots.append(await self._start(free_port(), dies=slot == 0, counts=False))

    async def count(self, on: bool) -> None:
        """From here on what gateways do is counted, and they may die of it; or no more."""
        for gateway in self._slots:
            await gateway.do("count", on=on)

    async def end(self) -> None:
        """End the gateways that still run."""
        for gateway in self._slots:
            if self.rehearses:
                await gateway.do("leave")
            gateway.kill()
            await gateway.dead.wait()

    def told(self) -> list[bytes]:
        """The notifications of this play, as they came."""
        return self.stage.receiver.arrived[self._told_before :]

    @property
    def died(self) -> int:
        """How many gateways died."""
        return sum(gateway.died_on_purpose for gateway in self.gateways)

    async def gateway(self, slot: int) -> Gateway:
        """The gateway of this slot, started again if it died."""
        async with self._reviving:
            gateway = self._slots[slot]
            if gateway.dead.is_set():
                assert gateway.died_on_purpose, f"a gateway broke:\n{self.stage.gateways.log_tail()}"
                await self.look()
                gateway = self._slots[slot] = await self._start(gateway.spec.port, dies=True, counts=True)
            return gateway

    async def _start(self, port: int, *, dies: bool, counts: bool) -> Gateway:
        dies_at = self._deaths_left.pop(0) if dies and self._deaths_left else None
        now, merchant, catalogue = self.stage.now.isoformat(), str(self.merchant_id), self.stage.version
        spec = Spec(0, merchant, catalogue, port, now, dies_at, counts, self.bug, self.rehearses)
        gateway = await self.stage.gateways.start(spec)
        self.gateways.append(gateway)
        return gateway
