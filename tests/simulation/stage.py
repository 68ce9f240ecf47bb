"""What outlives every gateway: the database, the mock PSPs and their books, the receiver of notifications, time."""

import asyncio
import contextlib
import itertools
import re
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import aiohttp
import asyncpg
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import read_catalogue
from gateway.domain.catalogue_content import (
    AppContent,
    CatalogueFile,
    KeyContent,
    MerchantContent,
    key_hash_of,
)
from gateway.run.development import sample_catalogue
from gateway.run.keys import keys_of
from gateway.settings import SAMPLE_ADMIN_TOKEN, Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.server.engine import create_engine
from gateway.storage.tables import metadata
from sandbox.app import SandboxConfig
from sandbox.app import build_app as build_sandbox
from tests.e2e.merchants import Change, new_secret
from tests.e2e.world import new_key, served
from tests.simulation.asked import Standing
from tests.simulation.due import COUNTED, LATE, OF_USERS
from tests.simulation.gateways import Gateways
from tests.simulation.letters import Letters
from tests.simulation.merchant_in_plays import (
    ANY_BANK,
    BANK,
    BANK_AT_CPCN,
    BANK_AT_LIANLIAN,
    GRACE_S,
    NOT_FOUND,
    PROVIDERS,
    of_plays,
    with_rules_of_its_channels,
)
from tests.simulation.receiver import Receiver
from tests.simulation.stem import stem

__all__ = [
    "ANY_BANK",
    "BANK",
    "BANK_AT_CPCN",
    "BANK_AT_LIANLIAN",
    "GRACE_S",
    "NOT_FOUND",
    "PROVIDERS",
    "START",
    "PspRequest",
    "Stage",
    "free_port",
    "new_stage",
]

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
"""When every play begins: a Monday morning in Shanghai."""
SANDBOX = SandboxConfig(
    processing_delay_s=0.0,
    callback_delay_s=86_400.0,  # they call back when a script says so
    late_s=0.0,
    not_visible_s=0.0,
    callback_timeout_s=30.0,
)
ANSWER_WITHIN_S = 60.0
_IN_BROWSERS = re.compile(
    r"/yeepay/app-merchant-proxy/node|/lanmao/gateway|/unionpay/gateway/api/frontTransReq\.do|/cpcn/Gateway/InterfaceI|"
    r"/\w+/pages/.+"
)
"""Where payers go at PSPs: no gateway sends anything there."""
_ON_FILE = {"lanmao": "custody_main", "cpcn": "cpcn_main"}
"""Accounts of PSPs that have an address on file, and call back there."""
_CATALOGUE = {
    "schema_versions",
    "catalogue_versions",
    "merchants",
    "apps",
    "api_keys",
    "endpoints",
    "accounts",
    "channels",
    "maintenance_windows",
    "route_rules",
    "payout_rules",
}
_EMPTY_BOOKS = "SET session_replication_role = replica; " + "; ".join(
    f"DELETE FROM {table}" for table in metadata.tables if table not in _CATALOGUE
)

_FORGET_VERSIONS = "DELETE FROM catalogue_versions WHERE version > {}"
"""Those of what gateways wrote: gateways know the catalogue as the stage made it (warm.py)."""


@dataclass(frozen=True, slots=True)
class PspRequest:
    """A request of a gateway as a PSP got it, and what it answered: nothing where the connection was reset."""

    at: datetime
    body: str
    answer: str
    path: str = ""


@dataclass
class Stage:
    """Everything but the gateways, and new names for what a script needs."""

    database_url: str
    sandbox: str
    receiver: Receiver
    session: aiohttp.ClientSession
    database: asyncpg.Connection
    engine: AsyncEngine
    store: CatalogueStore
    sample: MerchantContent
    gateways: Gateways
    now: datetime = START
    """The time of day of everybody here. It stands still until it is moved."""
    version: int = 0
    """Of the catalogue, as it was made here."""
    psp_requests: list[PspRequest] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    codes: dict[UUID, str] = field(default_factory=dict)
    """Of the merchants."""
    _merchants: dict[Hashable, tuple[UUID, str]] = field(default_factory=dict)

    def move_to(self, at: datetime) -> None:
        """Let time pass until then."""
        self.now = max(self.now, at)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the sandbox's control API."""
        async with self.session.request(method, f"{self.sandbox}/_sandbox/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json(content_type=None)

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the database itself."""
        async with self._asking:
            return [dict(row) for row in await self.database.fetch(statement, *values)]

    async def standing(self, merchant_id: UUID, users: list[str]) -> Standing:
        """What counts for users' limits, and what is counted, as of one moment."""
        async with self._asking, self.database.transaction(isolation="repeatable_read", readonly=True):
            tables = [await self.database.fetch(OF_USERS.format(table=each), merchant_id, users) for each in COUNTED]
            late = {row["object_id"] for row in await self.database.fetch(LATE, merchant_id)}
        payments, routes, usage = ([dict(row) for row in rows] for rows in tables)
        return Standing(self.now, payments, routes, late, usage)

    async def register_notices(self, provider: str, merchant_id: UUID, gateway: str) -> None:
        """Tell a PSP where to call back, if it has the address on file."""
        if provider in _ON_FILE:
            url = f"{gateway}/callbacks/{self.codes[merchant_id]}.{_ON_FILE[provider]}"
            await self.control("POST", f"{provider}/notice_url", {"url": url})

    async def empty_books(self) -> None:
        """Forget what gateways wrote: what the play before left open must not come due in this one."""
        async with self._asking:
            await self.database.execute(f"{_EMPTY_BOOKS}; {_FORGET_VERSIONS.format(self.version)}")

    async def merchant(self, kind: Hashable, change: Change) -> tuple[UUID, str]:
        """A merchant of this kind, made when it is first asked for: its id, and its app's key."""
        if kind not in self._merchants:
            code, key = f"m{next(self.numbers)}", f"sk_test_{secrets.token_hex(8)}"
            content = replace(
                self.sample,
                code=code,
                apps=(AppContent("loans", "loans", (KeyContent("test", key_hash_of(key)),)),),
            )
            file = CatalogueFile((with_rules_of_its_channels(change(content)),))
            applied = await self.store.apply(file, "test", "test", datetime.now(UTC))
            self.version = applied.version
            [row] = await self.rows("SELECT merchant_id FROM merchants WHERE code = $1", code)
            self._merchants[kind] = (row["merchant_id"], key)
            self.codes[row["merchant_id"]] = code
        return self._merchants[kind]


@contextlib.asynccontextmanager
async def new_stage(database_url: str, keys: Path, folder: Path) -> AsyncIterator[Stage]:
    """A stage on a migrated database. `keys`: of the sandbox; `folder`: for sockets and the gateways' log."""
    async with contextlib.AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        # No connection is used twice: the one to a gateway that died would be taken for one to the next.
        connector = aiohttp.TCPConnector(force_close=True)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        requests: list[PspRequest] = []
        stages: list[Stage] = []
        app = build_sandbox(replace(SANDBOX, keys_dir=keys, clock=lambda: stages[0].now.timestamp()))
        app.middlewares.append(_listening_in(requests, lambda: stages[0].now, Letters(keys)))
        sandbox = await stack.enter_async_context(served(app))
        receiver = Receiver(new_secret(), lambda: stages[0].now)
        receiver.address = await stack.enter_async_context(served(receiver.app()))
        settings = Settings(
            database_url=database_url,
            admin_token=SecretStr(SAMPLE_ADMIN_TOKEN),
            card_keys=SecretStr(f"1:{new_key()}"),
            order_key=SecretStr(new_key()),
        )
        environment = {
            "SLUICE_SANDBOX_PORT": sandbox.rpartition(":")[2],
            "SLUICE_RECEIVER_PORT": receiver.address.rpartition(":")[2],
            "SLUICE_SANDBOX_KEYS": str(keys),
            "SLUICE_RECEIVER_SECRET": receiver.secret,
        }
        sample = of_plays(read_catalogue(sample_catalogue(), environment).merchants[0])
        gateways = Gateways(stack.enter_context(stem(settings, folder)))
        await stack.enter_async_context(gateways.listening())
        engine = create_engine(database_url, 2)
        stack.push_async_callback(engine.dispose)
        store = CatalogueStore(engine, keys_of(settings).ring, zone=ZoneInfo(settings.business_timezone))
        database = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        stack.push_async_callback(database.close)
        stage = Stage(
            database_url, sandbox, receiver, session, database, engine, store, sample, gateways, psp_requests=requests
        )
        stages.append(stage)
        yield stage


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _listening_in(requests: list[PspRequest], now: Callable[[], datetime], letters: Letters) -> Any:
    """A middleware that keeps what PSPs were sent, and what they answered."""

    @web.middleware
    async def keep(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/_sandbox") or _IN_BROWSERS.fullmatch(request.path):
            return await handler(request)
        body = letters.opened((await request.read()).decode("latin-1"))
        at, place = now(), len(requests)
        requests.append(PspRequest(at, body, "", request.path))
        answer = await handler(request)
        said = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        lost = request.transport is None or request.transport.is_closing()
        requests[place] = PspRequest(at, body, "" if lost else letters.opened(said.decode("latin-1")), request.path)
        return answer

    return keep
