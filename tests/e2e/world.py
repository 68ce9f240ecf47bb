"""A whole system on real sockets: the sandbox, a receiver of notifications, a real database, and gateways.

One world serves many tests: users, order numbers, cards and amounts are never used twice, and a test that needs rules
or accounts of its own makes a merchant of its own. Faults of the sandbox are matched by the amount, so that they meet
one payment only. Nothing here waits for a time to pass: it looks until something is so, or too much time went by.
"""

import base64
import contextlib
import itertools
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiohttp import web
from pydantic import SecretStr

from gateway.api.http.runner import ProblemRunner
from gateway.catalogue_file import read_catalogue
from gateway.domain.catalogue_content import (
    AppContent,
    CatalogueFile,
    KeyContent,
    MerchantContent,
    key_hash_of,
)
from gateway.domain.terms import NotFoundRule
from gateway.run.development import sample_catalogue
from gateway.run.wiring import System, system
from gateway.settings import SAMPLE_ADMIN_TOKEN, SAMPLE_API_KEY, Settings
from reconciliation.comparison import Difference, Entry, compare
from sandbox.app import SandboxConfig
from sandbox.app import build_app as build_sandbox
from tests.e2e.business import Answer, App, Receiver, Shown
from tests.e2e.cards import HOLDER, ICBC, card_number
from tests.e2e.merchants import Change, account_with, new_secret
from tests.e2e.waiting import until

ANSWER_WITHIN_S = 60.0
PROVIDERS = ("unionpay", "allinpay")

QUICK_TERMS: Mapping[str, Any] = {
    "poll_gaps_s": (0.2, 0.3, 0.5, 1.0),
    "not_found": NotFoundRule(answers=3, over_s=1.0),
    "answer_timeout_s": 3.0,
}
"""Of the sample's accounts, for tests that cannot wait."""
QUICK_SANDBOX = SandboxConfig(
    processing_delay_s=0.05,
    callback_delay_s=0.02,
    late_s=0.5,
    not_visible_s=0.05,
    callback_timeout_s=3.0,
    callback_time_scale=0.002,
)


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

    def card(self, tail: str | None = None, issuer: str = ICBC) -> Shown:
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
        provider = "allinpay" if payment["channel"] == "allinpay" else "unionpay"
        found = await self.transactions(provider, payment["channel_order_no"])
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
            accounts=tuple(account_with(account, accounts.get(account.provider, {})) for account in merchant.accounts),
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
        tables = (
            "users",
            "cards",
            "orders",
            "payments",
            "intents",
            "authentications",
            "refunds",
            "channel_usage",
            "events",
            "deliveries",
        )
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


@contextlib.asynccontextmanager
async def served(
    app: web.Application, listening: socket.socket | None = None, runs: type[web.AppRunner] = web.AppRunner
) -> AsyncIterator[str]:
    """An application on a free port, or on a socket that is bound already: its address."""
    listening = listening or socket.create_server(("127.0.0.1", 0), backlog=2048)
    runner = runs(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.SockSite(runner, listening, backlog=2048).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


def new_key() -> str:
    """A key of 32 bytes in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


@contextlib.asynccontextmanager
async def new_world(
    database_url: str,
    keys: Path,
    terms: Mapping[str, Any] = QUICK_TERMS,
    *,
    workers: bool = True,
    ring: str = "",
    bounds: Mapping[str, Any] | None = None,
) -> AsyncIterator[World]:
    """Sandbox, receiver and the sample catalogue on a migrated database, with one gateway in this process.

    `bounds`: more settings of that gateway.
    """
    async with contextlib.AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        connector = aiohttp.TCPConnector(limit=1024)
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
            card_keys=SecretStr(ring or f"1:{new_key()}"),
            order_key=SecretStr(new_key()),
            **(bounds or {}),
        )
        sample = read_catalogue(sample_catalogue(), environment)
        merchants = {
            merchant.code: replace(merchant, accounts=tuple(account_with(a, terms) for a in merchant.accounts))
            for merchant in sample.merchants
        }
        world = World(session, settings, keys, sandbox, receiver, merchants, environment)
        running = await stack.enter_async_context(system(settings, workers=workers, api=True))
        world.system = running
        await world.apply(*merchants.values())
        assert running.app is not None
        world.gateway = await stack.enter_async_context(served(running.app, listening, ProblemRunner))
        yield world
