"""Sandboxes on free ports, sharing one set of keys."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sandbox.app import SandboxConfig, build_app
from tests.sandbox.merchants import AllinpayMerchant, Mailbox, Sandbox, UnionPayMerchant

QUICK = SandboxConfig(
    processing_delay_s=0.03,
    callback_delay_s=0.0,
    late_s=0.15,
    not_visible_s=0.0,
    callback_timeout_s=1.0,
    callback_time_scale=0.0005,
)

Start = Callable[..., Awaitable[Sandbox]]


@pytest.fixture(scope="session")
def keys(psp_keys: Path) -> Path:
    return psp_keys


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _serve(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@asynccontextmanager
async def _starting(keys: Path, session: aiohttp.ClientSession) -> AsyncIterator[Start]:
    running: list[web.AppRunner] = []

    async def start_one(**changed: object) -> Sandbox:
        runner, address = await _serve(build_app(replace(QUICK, keys_dir=keys, **changed)))  # type: ignore[arg-type]
        running.append(runner)
        return Sandbox(
            address=address,
            session=session,
            unionpay=UnionPayMerchant(address, keys, session),
            allinpay=AllinpayMerchant(address, keys, session),
            stop=runner.cleanup,
        )

    yield start_one
    for runner in running:
        await runner.cleanup()


@pytest.fixture
async def start(keys: Path, session: aiohttp.ClientSession) -> AsyncIterator[Start]:
    """Start sandboxes with other settings than the quick ones; all are stopped after the test."""
    async with _starting(keys, session) as start:
        yield start


@pytest.fixture(scope="module")
async def start_shared(keys: Path) -> AsyncIterator[Start]:
    """The same for a module whose tests do not get in each other's way."""
    async with aiohttp.ClientSession() as session, _starting(keys, session) as start:
        yield start


@pytest.fixture
async def sandbox(start: Start) -> Sandbox:
    return await start()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    app = web.Application()
    app.router.add_post("/callbacks", mailbox.take)
    runner, address = await _serve(app)
    mailbox.url = f"{address}/callbacks"
    yield mailbox
    await runner.cleanup()
