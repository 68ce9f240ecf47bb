"""A sandbox whose books have orders of a day already, and what a person or an adapter gets of that day."""

import itertools
import json
import tomllib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import aiohttp

import gateway
from adapters.http import AiohttpTransport
from adapters.registry import build, offer_of
from gateway.domain.statements import PSP_ZONE, StatementLine
from gateway.ports import AccountSettings
from gateway.ports.statements import StatementFile, Statements, statements_of
from sandbox.app import SandboxConfig, build_app
from sandbox.books import Books, Kind, Order, State
from sandbox.journal import Journal
from tests.adapters.test_on_sandbox import serve, the_account

DAY = date(2026, 11, 25)
_SERIAL = itertools.count(1)


def at(hour: int, minute: int = 0, second: int = 0, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=PSP_ZONE)


def an_order(number: str, kind: Kind, amount: int, done: datetime, state: State = "succeeded", **more: Any) -> Order:
    """One that the provider's books have, final at that moment."""
    moment = done.timestamp()
    order = Order(number, kind, amount, "CNY", "622202******1234", moment, moment, moment, "", "", state)
    order.finished_at, order.transaction_no = moment, f"T{next(_SERIAL):08d}"
    return replace(order, **more)


def sample_settings(provider: str) -> dict[str, Any]:
    """What the sample catalogue says of its account there."""
    sample = tomllib.loads((Path(gateway.__file__).parent / "samples" / "catalogue.toml").read_text())
    [found] = [each for each in sample["merchants"][0]["accounts"] if each["provider"] == provider]
    return dict(found["settings"])


@dataclass
class AtSandbox:
    """A running sandbox with one provider's merchant."""

    provider: str
    address: str
    account: AccountSettings
    transport: AiohttpTransport
    session: aiohttp.ClientSession

    def statements(self, **settings: object) -> Statements:
        account = replace(self.account, settings={**self.account.settings, **settings})
        found = statements_of(build(account, self.transport))
        assert found is not None
        return found

    async def given(self, folder: Path, day: date = DAY) -> StatementFile:
        """The file of a day as a person takes it."""
        async with self.session.get(f"{self.address}/_sandbox/{self.provider}/statement?day={day}") as answer:
            assert answer.status == 200
            path = folder / "given"
            path.write_bytes(await answer.read())
            assert answer.content_disposition is not None
            return StatementFile(str(answer.content_disposition.filename), path)

    async def fault(self, name: str, **params: object) -> None:
        body = {"fault": name, "times": 1, **params}
        async with self.session.post(f"{self.address}/_sandbox/{self.provider}/faults", json=body) as answer:
            assert answer.status == 201, await answer.text()


def _account(provider: str, address: str, keys: Path) -> AccountSettings:
    if provider not in {"lanmao", "yeepay"}:
        return the_account(provider, address, keys)
    told = json.loads((keys / provider / "account.json").read_text())
    assumed = [each.name for each in offer_of(provider).declaration.assumptions]
    if provider == "lanmao":
        pem = {name: (keys / provider / f"{name}.pem").read_text() for name in ("merchant.key", "psp.cert")}
        secrets = {"merchant_private_key": pem["merchant.key"], "psp_public_key": pem["psp.cert"]}
        settings = {"base_url": f"{address}/lanmao", **told, "assumed": assumed}
    else:
        secrets, base = {"key": told["key"]}, f"{address}/yeepay/app-merchant-proxy"
        settings = {"node_url": f"{base}/node", "command_url": f"{base}/command", "mer_id": told["mer_id"]}
        settings["assumed"] = assumed
    return AccountSettings(f"sandbox-{provider}", provider, settings, secrets)


def _write_books(data: Path, provider: str, orders: Iterable[Order]) -> None:
    data.mkdir(parents=True, exist_ok=True)
    books = Books(Journal(data / f"{provider}.jsonl"), lambda _: "succeeded")
    for order in orders:
        books.save(order)
    books.close()


@asynccontextmanager
async def at_sandbox(provider: str, keys: Path, data: Path, orders: Iterable[Order]) -> AsyncIterator[AtSandbox]:
    _write_books(data, provider, orders)
    sandbox, address = await serve(build_app(SandboxConfig(data_dir=data, keys_dir=keys)))
    try:
        async with AiohttpTransport() as transport, aiohttp.ClientSession() as session:
            yield AtSandbox(provider, address, _account(provider, address, keys), transport, session)
    finally:
        await sandbox.cleanup()


def told(lines: Iterable[StatementLine]) -> list[tuple[object, ...]]:
    """What of them is easily compared: kind, number, amount, whether it was done, original."""
    return [(line.kind.value, line.number, line.amount, line.paid, line.original) for line in lines]
