"""A whole system on real sockets: the sandbox, a receiver of notifications, a real database, and gateways.

One world serves many tests: users, order numbers, cards and amounts are never used twice, and a test that needs rules
or accounts of its own makes a merchant of its own. Faults of the sandbox are matched by the amount, so that they meet
one payment only. Nothing here waits for a time to pass: it looks until something is so, or too much time went by.
"""

import asyncio
import base64
import contextlib
import itertools
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import asyncpg
from aiohttp import web
from pydantic import SecretStr

from gateway.bootstrap import System, system
from gateway.catalogue_file import read_catalogue
from gateway.dev import sample_catalogue
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    CatalogueFile,
    EndpointContent,
    KeyContent,
    MerchantContent,
    RuleContent,
    key_hash_of,
)
from gateway.settings import SAMPLE_ADMIN_TOKEN, SAMPLE_API_KEY, Settings
from gateway.supervise import Child, free_port
from reconciliation.books import Difference, Entry, compare
from sandbox.app import SandboxConfig
from sandbox.app import build_app as build_sandbox
from sandbox.business_system import build_app as build_business_system

FINAL = frozenset({"succeeded", "failed", "closed", "returned"})
PATIENCE_S = 20.0
"""Far longer than anything here takes, for machines that do other things too."""
LOOK_EVERY_S = 0.02
ANSWER_WITHIN_S = 60.0
PROVIDERS = ("unionpay", "allinpay")

HOLDER = {"holder_name": "张三", "id_no": "11010519491231002X", "phone": "13800138000"}
QUICK_PACE: Mapping[str, Any] = {
    "poll_gaps_s": (0.2, 0.3, 0.5, 1.0),
    "not_found_answers": 3,
    "not_found_over_s": 1.0,
    "answer_timeout_s": 3.0,
}
"""The sample's accounts, at the pace of tests."""
QUICK_SANDBOX = SandboxConfig(
    processing_delay_s=0.05,
    callback_delay_s=0.02,
    late_s=0.5,
    not_visible_s=0.05,
    callback_timeout_s=3.0,
    callback_time_scale=0.002,
)

T = TypeVar("T")
Shown = dict[str, Any]
Change = Callable[[MerchantContent], MerchantContent]


async def until(look: Callable[[], Awaitable[T | None]], what: str, within_s: float = PATIENCE_S) -> T:
    """What `look` finds, once it finds something. Fails by name when that takes too long."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_s
    while (found := await look()) is None:
        if loop.time() > give_up_at:
            raise AssertionError(f"after {within_s:.0f} s there is still no {what}")
        await asyncio.sleep(LOOK_EVERY_S)
    return found


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
        """Take a payment that must be taken."""
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
        """Take a payment and wait until it is final."""
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


@dataclass
class World:
    """Everything that runs, and new names for what a test needs."""

    session: aiohttp.ClientSession
    settings: Settings
    keys: Path
    sandbox: str
    receiver: Receiver
    merchants: dict[str, MerchantContent]
    environment: Mapping[str, str]
    gateway: str = ""
    system: System | None = None
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    # Names that nobody had before

    def number(self) -> int:
        """A number of the test's own."""
        return next(self.numbers)

    def user(self) -> str:
        """A user of the test's own."""
        return f"user-{self.number()}"

    def card(self, tail: str | None = None, issuer: str = "622202") -> Shown:
        """A new card (ICBC's unless said otherwise); without `tail` its last digits ask the sandbox for nothing."""
        return {"card_no": card_number(issuer, self.number(), tail), **HOLDER}

    def cheap(self) -> int:
        """An amount for which Allinpay's percentage is the lower fee by the sample rules."""
        return 10_001 + self.number() % 39_000

    def dear(self) -> int:
        """An amount for which UnionPay's fixed fee is the lower one."""
        return 60_001 + self.number() % 400_000

    def order(self, amount: int | None = None, **changed: Any) -> Shown:
        """A withhold that nothing is wrong with; a field that is None is left out."""
        order = {
            "merchant_order_no": f"order-{self.number()}",
            "scene": "withhold",
            "user_id": self.user(),
            "amount": self.cheap() if amount is None else amount,
            "currency": "CNY",
            "card": self.card(),
        }
        return {name: value for name, value in (order | changed).items() if value is not None}

    # Calls

    async def call(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Any call; bytes are sent as they are, everything else as JSON."""
        given: dict[str, Any] = (
            {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        )
        async with self.session.request(method, url, headers=headers, **given) as answer:
            raw = await answer.read()
            is_json = answer.content_type in {"application/json", "application/problem+json"}
            return Answer(
                answer.status, dict(answer.headers), raw, await answer.json(content_type=None) if is_json else None
            )

    @property
    def app(self) -> App:
        """The sample business system at the gateway of this process."""
        return App(self, self.gateway, SAMPLE_API_KEY)

    async def admin(self, method: str, path: str, body: Any = None) -> Answer:
        """An operator's call."""
        headers = {"Authorization": f"Bearer {SAMPLE_ADMIN_TOKEN}"}
        return await self.call(method, f"{self.gateway}/v1/admin{path}", body, headers)

    # The sandbox

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the sandbox's control API."""
        answer = await self.call(method, f"{self.sandbox}/_sandbox/{path}", body)
        assert answer.status < 300, answer.raw
        return answer.body

    async def fault(self, provider: str, fault: str, amount: int | None = None, **more: Any) -> str:
        """Ask a provider for a fault; an amount makes it the fault of one payment. Its id."""
        match = more.pop("match", {}) | ({} if amount is None else {"amount": amount})
        return str((await self.control("POST", f"{provider}/faults", {"fault": fault, "match": match, **more}))["id"])

    async def transactions(self, provider: str, order_no: str | None = None) -> list[Shown]:
        """What the provider really did."""
        asked = "" if order_no is None else f"?order_no={order_no}"
        return list((await self.control("GET", f"{provider}/transactions{asked}"))["transactions"])

    async def at_the_psp(self, payment: Shown) -> Shown | None:
        """The payment's order as its provider has it, or None when it never arrived."""
        found = await self.transactions(payment["channel"], payment["channel_order_no"])
        return found[0] if found else None

    async def openings(self) -> int:
        """How many cards UnionPay has been asked to open so far."""
        return sum(row["kind"] == "open_card" for row in await self.transactions("unionpay"))

    async def differences(self, payments: Iterable[Shown]) -> list[Difference]:
        """Where the providers' books are not ours, as far as these payments and these numbers go."""
        ours = [Entry(p["channel_order_no"], p["amount"], p["status"]) for p in payments if p["channel_order_no"]]
        numbers = {entry.number for entry in ours}
        rows = [row for provider in PROVIDERS for row in await self.transactions(provider)]
        theirs = [Entry(r["order_no"], r["amount"], r["state"]) for r in rows if r["order_no"] in numbers]
        return compare(ours, theirs)

    # Merchants

    async def merchant(self, change: Change = lambda merchant: merchant, **accounts: Mapping[str, Any]) -> App:
        """A merchant like the sample's, changed; `accounts` are changes of its accounts (`unionpay`, `allinpay`)."""
        code, key = f"m{self.number()}", f"sk_test_{secrets.token_hex(8)}"
        merchant = self.merchants["demo"]
        merchant = replace(
            merchant,
            code=code,
            apps=(AppContent("loans", "loans", (KeyContent("test", key_hash_of(key)),)),),
            accounts=tuple(_changed(account, accounts.get(account.provider, {})) for account in merchant.accounts),
        )
        await self.apply(change(merchant))
        return App(self, self.gateway, key)

    async def apply(self, *merchants: MerchantContent) -> None:
        """Put merchants in force, here at once and elsewhere within a second."""
        assert self.system is not None
        content = CatalogueFile(merchants)
        await self.system.catalogue_store.apply(content, "test", "test", datetime.now(UTC))
        await self.system.watch.refresh_now()

    async def code_of(self, app: App) -> str:
        """The code of an app's merchant, as the admin calls name it."""
        assert self.system is not None
        catalogue = await self.system.watch.refresh_now()
        return catalogue.merchants[catalogue.keys[key_hash_of(app.key)].merchant_id].code

    async def knows(self, app: App) -> App:
        """The app, once its gateway knows it."""

        async def look() -> bool | None:
            return (await app.call("GET", "/v1/payments?limit=1")).status == 200 or None

        await until(look, f"knowledge of a new merchant at {app.gateway}")
        return app

    async def rows(self) -> dict[str, int]:
        """How many rows each table of the books has."""
        tables = ("users", "cards", "payments", "attempts", "authentications", "channel_usage", "events", "deliveries")
        counted = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in tables)
        return dict((await self.sql(f"SELECT {counted}"))[0])

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """Ask the database itself."""
        assert self.settings.database_url is not None
        connection = await asyncpg.connect(self.settings.database_url.replace("+asyncpg", ""))
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()


def card_number(issuer: str, number: int, tail: str | None) -> str:
    """A card number of 19 digits, valid by Luhn."""
    if tail is None:
        first = f"{issuer}{number:09d}124"
        return next(f"{first}{digit}" for digit in range(10) if luhn_sum(f"{first}{digit}") == 0)
    first = f"{issuer}{number:08d}"
    return next(f"{first}{digit}{tail}" for digit in range(10) if luhn_sum(f"{first}{digit}{tail}") == 0)


def luhn_sum(digits: str) -> int:
    """0 for a valid number."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10


def rules_with(merchant: MerchantContent, channel: str, **changed: Any) -> tuple[RuleContent, ...]:
    """The merchant's rules, those of one channel changed."""
    return tuple(replace(rule, **changed) if rule.channel == channel else rule for rule in merchant.rules)


def only(channel: str, **changed: Any) -> Change:
    """A merchant whose payments can go to one channel only."""

    def change(merchant: MerchantContent) -> MerchantContent:
        rules = tuple(replace(rule, **changed) for rule in merchant.rules if rule.channel == channel)
        return replace(merchant, rules=rules)

    return change


def endpoint_at(url: str, *secrets_of_it: str, code: str = "loans", **more: Any) -> EndpointContent:
    """An endpoint of the app, on this machine."""
    return EndpointContent(code, "loans", url, more.get("event_types"), True, secrets_of_it)


def new_secret() -> str:
    """A secret of an endpoint."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _changed(account: AccountContent, changes: Mapping[str, Any]) -> AccountContent:
    own = {name: value for name, value in changes.items() if name in AccountContent.__dataclass_fields__}
    settings = {name: value for name, value in changes.items() if name not in own}
    return replace(account, settings={**account.settings, **settings}, **own)


@contextlib.asynccontextmanager
async def served(app: web.Application, listening: socket.socket | None = None) -> AsyncIterator[str]:
    """An application on a free port, or on a socket that is bound already: its address."""
    listening = listening or socket.create_server(("127.0.0.1", 0), backlog=2048)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.SockSite(runner, listening, backlog=2048).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def new_world(
    database_url: str, keys: Path, pace: Mapping[str, Any] = QUICK_PACE, *, workers: bool = True
) -> AsyncIterator[World]:
    """Sandbox, receiver and the sample catalogue on a migrated database, with one gateway in this process."""
    async with contextlib.AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        connector = aiohttp.TCPConnector(limit=256)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        sandbox = await stack.enter_async_context(served(build_sandbox(replace(QUICK_SANDBOX, keys_dir=keys))))
        receiver = Receiver(new_secret())
        receiver.address = await stack.enter_async_context(served(receiver.app()))
        environment = {
            "SLUICE_SANDBOX_PORT": sandbox.rpartition(":")[2],
            "SLUICE_RECEIVER_PORT": receiver.address.rpartition(":")[2],
            "SLUICE_SANDBOX_KEYS": str(keys),
            "SLUICE_RECEIVER_SECRET": receiver.secret,
        }
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        settings = Settings(
            database_url=database_url,
            port=listening.getsockname()[1],
            admin_token=SecretStr(SAMPLE_ADMIN_TOKEN),
            card_keys=SecretStr("1:" + base64.b64encode(secrets.token_bytes(32)).decode()),
        )
        sample = read_catalogue(sample_catalogue(), environment)
        merchants = {
            merchant.code: replace(merchant, accounts=tuple(replace(a, **pace) for a in merchant.accounts))
            for merchant in sample.merchants
        }
        world = World(session, settings, keys, sandbox, receiver, merchants, environment)
        running = await stack.enter_async_context(system(settings, workers=workers, api=True))
        world.system = running
        await world.apply(*merchants.values())
        assert running.app is not None
        world.gateway = await stack.enter_async_context(served(running.app, listening))
        yield world


class GatewayProcess:
    """A gateway in a process of its own, on a port of its own. It ends with the test process, whatever happens."""

    def __init__(self, settings: Settings, port: int | None = None) -> None:
        assert settings.database_url is not None
        assert settings.card_keys is not None
        self._port = port or free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._environment = {
            "SLUICE_DATABASE_URL": settings.database_url,
            "SLUICE_CARD_KEYS": settings.card_keys.get_secret_value(),
            "SLUICE_ADMIN_TOKEN": SAMPLE_ADMIN_TOKEN,
            "SLUICE_PORT": str(self._port),
            "SLUICE_LOG_FORMAT": "json",
            "SLUICE_LOG_LEVEL": "warning",
        }
        self.lines: list[str] = []
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, or start it again after it was killed."""
        command = [sys.executable, "-m", "gateway.cli", "serve", "--child"]
        self._child = Child("gateway", command, self._environment, lambda _, line: self.lines.append(line))

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until it takes payments."""

        async def look() -> bool | None:
            assert self._child is not None
            self._child.require_alive()
            try:
                async with session.get(f"{self.address}/readyz") as answer:
                    return answer.status == 200 or None
            except aiohttp.ClientError:
                return None

        await until(look, f"gateway at {self.address}", 60.0)

    def kill(self) -> None:
        """kill -9."""
        assert self._child is not None
        self._child.process.kill()
        self._child.end(PATIENCE_S)

    async def end(self) -> None:
        """End it in good order."""
        if self._child is not None and self._child.process.poll() is None:
            self._child.process.terminate()
            await asyncio.to_thread(self._child.end, PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Crowd:
    """A world with gateways in processes of their own, at these addresses."""

    world: World
    addresses: list[str]


@contextlib.asynccontextmanager
async def gateway_processes(world: World, count: int) -> AsyncIterator[list[GatewayProcess]]:
    """Gateways in processes of their own, on the world's database."""
    processes = [GatewayProcess(world.settings) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            await process.ready(world.session)
        yield processes
    finally:
        for process in processes:
            await process.end()
