"""One gateway with everything around it, each in its own process, on a fresh database of the one server."""

import base64
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
import orjson

from benchmarks.catalogues import catalogue, hmac_account, unionpay_account
from benchmarks.counterparts import PSP_KEY_VARIABLE, WEBHOOK_SECRET_VARIABLE
from benchmarks.load import Task
from benchmarks.proof import Expected, prove
from benchmarks.server import Server, named, new_database
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import CatalogueFile, MerchantContent
from gateway.domain.transaction_rules import TransactionRule
from gateway.metrics import DIRECTORY_VARIABLE
from gateway.run.supervising import Family, free_port
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.keys import KeyRing
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade

__all__ = ["HOST", "Psp", "Stage", "apply", "gateway_of", "staged"]

HOST: Final = "127.0.0.1"
LOAD_ENDS_WITHIN_S: Final = 120.0
PROFILE_WITHIN_S: Final = 20.0
Psp = Literal["hmac", "unionpay"]


@dataclass(slots=True)
class Stage:
    """A running gateway and what is around it."""

    psp: Psp
    url: str
    dsn: str
    port: int
    counterparts: str
    sandbox: str | None
    api_key: str = field(repr=False)
    watched: dict[str, list[int]]
    profile: Path | None
    family: Family
    folder: Path
    """Of the gateway's log, and of what is seen where its collector is watched."""
    ring: str = field(repr=False)
    order_key: str = field(repr=False)
    content: CatalogueFile = field(repr=False)
    """The catalogue that was put in force at the start."""
    expected: Expected = field(default_factory=Expected)
    loads: int = 0

    def load(
        self, concurrency: int, warm_up_s: float, seconds: float, users: range, rate: float | None = None
    ) -> dict[str, Any]:
        """Put a load on, from a process of its own; what it saw, problems included."""
        self.loads += 1
        task = Task(
            run=f"{self.loads:03}",
            host=HOST,
            port=self.port,
            api_key=self.api_key,
            concurrency=concurrency,
            warm_up_s=warm_up_s,
            seconds=seconds,
            first_user=users.start,
            users=len(users),
            watched=self.watched,
            rate=rate,
        )
        # Through a file: of a result that did not fit into a pipe, the rest was missing twice.
        written = self.folder / f"load-{task.run}.json"
        with written.open("wb") as out:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.load"],
                input=orjson.dumps(asdict(task)),
                stdout=out,
                check=True,
                timeout=warm_up_s + seconds + LOAD_ENDS_WITHIN_S,
            )
        self.family.check()
        result: dict[str, Any] = orjson.loads(written.read_bytes())
        self.expected.payments += result["sent"]
        self.expected.amount += result["amount"]
        bad = {status: count for status, count in result["statuses"].items() if status != "201"}
        result["problems"] = [f"answers other than 201: {bad}", *result["complaints"]] if bad else result["complaints"]
        if result["unanswered"]:
            result["problems"].append(f"{result['unanswered']} requests were never answered")
        return result

    async def problems(self) -> list[str]:
        """What the proof finds wrong after the loads so far."""
        return await prove(self.url, self.dsn, self.expected, f"{self.counterparts}/books", self.sandbox)

    async def analyze(self) -> None:
        """Give the planner its statistics, as autovacuum does within minutes on every server that is in use."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("ANALYZE")
        finally:
            await connection.close()

    def delay_psp(self, seconds: float) -> None:
        """Have the mock PSP take so long for each payment."""
        request = urllib.request.Request(f"{self.counterparts}/control/delay", data=str(seconds).encode())
        urllib.request.urlopen(request, timeout=5).close()

    def start_profile(self) -> None:
        """Have the gateway look where its CPU goes."""
        for pid in self.watched["gateway"]:
            os.kill(pid, signal.SIGUSR1)

    def end_profile(self) -> dict[str, Any]:
        """The counts since `start_profile`, of the first gateway process. Raises TimeoutError."""
        assert self.profile is not None
        os.kill(self.watched["gateway"][0], signal.SIGUSR2)
        give_up_at = time.monotonic() + PROFILE_WITHIN_S
        while not self.profile.exists():
            if time.monotonic() > give_up_at:
                raise TimeoutError("the gateway wrote no profile")
            time.sleep(0.05)
        counts: dict[str, Any] = orjson.loads(self.profile.read_bytes())
        return counts


@contextlib.asynccontextmanager
async def staged(
    server: Server,
    folder: Path,
    psp: Psp,
    *,
    processes: int,
    profile: bool,
    name: str | None = None,
    others: tuple[MerchantContent, ...] = (),
    rules: tuple[TransactionRule, ...] = (),
    watch: bool = False,
) -> AsyncIterator[Stage]:
    """Everything for one PSP, healthy. All of it ends with the context; the database stays for the look afterwards.

    `name` tells stages of one run apart; `others` are merchants beside the one that pays, `rules` the transaction
    rules of that one; with `watch` the gateway's collector can be tuned (benchmarks/tuning.py). With no `processes` the
    gateway is started later (`gateway_of`).
    """
    name = name or f"bench_{psp}"
    await new_database(server, name)
    url = dsn = named(server, name)
    await upgrade(url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    psp_key, api_key = secrets.token_hex(32), f"sk_bench_{secrets.token_hex(16)}"
    ring = "1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    order_key = base64.b64encode(secrets.token_bytes(32)).decode()
    here = folder / name
    here.mkdir()
    with Family(_nobody) as family:
        counterparts = _start_counterparts(family, psp_key, secret)
        sandbox = _start_sandbox(family, here) if psp == "unionpay" else None
        account = (
            unionpay_account(f"{sandbox}/unionpay", here / "sandbox" / "keys" / "unionpay")
            if sandbox
            else hmac_account(f"{counterparts}/psp", psp_key)
        )
        mode = AuthenticationMode.SILENT if account.provider == "unionpay" else AuthenticationMode.NONE
        content = catalogue(account, mode, api_key, f"{counterparts}/notifications", secret)
        paid = replace(content.merchants[0], transaction_rules=rules)
        content = replace(content, merchants=(paid, *others))
        await apply(url, ring, content)
        port = free_port(HOST)
        written = here / "profile.json" if profile else None
        around = family.pids
        if processes:
            _start_gateway(family, here, url, (ring, order_key), port, processes, written, watch=watch)
        watched = {"gateway": family.pids[len(around) :], "mock PSP and receiver": around}
        if server.pid is not None:
            watched["postgres"] = [server.pid]
        yield Stage(
            psp,
            url,
            dsn,
            port,
            counterparts,
            sandbox,
            api_key,
            watched,
            written,
            family,
            here,
            ring,
            order_key,
            content,
        )


@contextlib.contextmanager
def gateway_of(stage: Stage, *, watching: bool) -> Iterator[None]:
    """A gateway on a stage that has none, which ends with the context; with `watching` it watches as always."""
    with Family(_nobody) as family:
        keys = (stage.ring, stage.order_key)
        _start_gateway(family, stage.folder, stage.url, keys, stage.port, 1, None, watch=False, watching=watching)
        stage.watched["gateway"] = family.pids
        yield
        family.check()


def _nobody(_: str, __: str) -> None:
    """A child's output stays in its last lines, which the family shows when it ends early."""


def _start_counterparts(family: Family, psp_key: str, secret: str) -> str:
    port = free_port(HOST)
    environment = {PSP_KEY_VARIABLE: psp_key, WEBHOOK_SECRET_VARIABLE: secret}
    family.start_python("counterparts", ["-m", "benchmarks.counterparts", "--port", str(port)], environment)
    family.wait_healthy(f"http://{HOST}:{port}/books")
    return f"http://{HOST}:{port}"


def _start_sandbox(family: Family, folder: Path) -> str:
    port = free_port(HOST)
    family.start_python("sandbox", ["-m", "sandbox", "--port", str(port), "--data", str(folder / "sandbox")])
    family.wait_healthy(f"http://{HOST}:{port}/_sandbox/health")
    return f"http://{HOST}:{port}"


async def apply(url: str, ring: str, content: CatalogueFile) -> None:
    """Put a catalogue in force."""
    engine = create_engine(url, 2, application_name="benchmark")
    try:
        await CatalogueStore(engine, KeyRing.parse(ring)).apply(content, "bench", "bench", datetime.now(UTC))
    finally:
        await engine.dispose()


def _start_gateway(
    family: Family,
    folder: Path,
    url: str,
    keys: tuple[str, str],
    port: int,
    processes: int,
    profile: Path | None,
    *,
    watch: bool,
    watching: bool = True,
) -> None:
    environment = {
        "SLUICE_ENV": "development",
        "SLUICE_DATABASE_URL": url,
        "SLUICE_CARD_KEYS": keys[0],
        "SLUICE_ORDER_KEY": keys[1],
        "SLUICE_HOST": HOST,
        "SLUICE_PORT": str(port),
        "SLUICE_LOG_LEVEL": "info",
    }
    if processes > 1:
        metrics = folder / "metrics"
        metrics.mkdir()
        environment[DIRECTORY_VARIABLE] = str(metrics)
    for number in range(1, processes + 1):
        words = ["-m", "benchmarks.gateway", "--log", str(folder / f"gateway-{number}.log")]
        words += ["--reuse-port"] if processes > 1 else []
        words += ["--profile", str(profile)] if profile is not None else []
        words += ["--watch", str(folder)] if watch else []
        words += [] if watching else ["--unwatched"]
        family.start_python(f"gateway {number}", words, environment)
    family.wait_healthy(f"http://{HOST}:{port}/readyz")
