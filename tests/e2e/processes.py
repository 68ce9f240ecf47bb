"""Gateways in processes of their own."""

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from gateway.run.keys import key_environment
from gateway.run.supervising import free_port
from gateway.settings import SAMPLE_ADMIN_TOKEN, Settings
from tests.e2e.cards import HOLDER, ICBC
from tests.e2e.stem import Forked
from tests.e2e.waiting import PATIENCE_S, until
from tests.e2e.world import World


class GatewayProcess:
    """A gateway in a process of its own, on a port of its own. It ends with the test process, whatever happens."""

    def __init__(self, settings: Settings, port: int | None = None) -> None:
        assert settings.database_url is not None
        self._port = port or free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._environment = {
            "SLUICE_DATABASE_URL": settings.database_url,
            **key_environment(settings),
            "SLUICE_ADMIN_TOKEN": SAMPLE_ADMIN_TOKEN,
            "SLUICE_PORT": str(self._port),
            "SLUICE_LOG_FORMAT": "json",
            "SLUICE_LOG_LEVEL": "warning",
        }
        self.lines: list[str] = []
        self._child: Forked | None = None

    def use(self, settings: Settings) -> None:
        """Have other keys from its next start on."""
        self._environment |= key_environment(settings)

    def start(self) -> None:
        """Start it, or start it again after it ended."""
        self._child = Forked(["serve", "--child"], self._environment, self.lines.append)

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until it takes payments."""

        async def look() -> bool | None:
            assert self._child is not None
            assert self._child.lives, "\n".join(["it ended, and said:", *self.lines])
            try:
                async with session.get(f"{self.address}/readyz") as answer:
                    return answer.status == 200 or None
            except aiohttp.ClientError:
                return None

        await until(look, f"gateway at {self.address}", 60.0)

    def kill(self) -> None:
        """kill -9."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.end(PATIENCE_S)

    def freeze(self) -> None:
        """SIGSTOP: it stands still, and does not know it."""
        assert self._child is not None
        self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.signal(signal.SIGCONT)

    def told_no_card(self) -> None:
        """Fails when a card number of the tests or its holder stands in what the process printed."""
        said = "\n".join(self.lines)
        assert re.search(rf"{ICBC}\d{{13}}", said) is None
        assert not any(element in said for element in HOLDER.values())

    async def end(self) -> None:
        """End it in good order."""
        if self._child is not None and self._child.lives:
            self._child.signal(signal.SIGTERM)
            await asyncio.to_thread(self._child.end, PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Crowd:
    """A world with gateways in processes of their own, at these addresses."""

    world: World
    addresses: list[str]


@contextlib.asynccontextmanager
async def gateway_processes(
    world: World, count: int, settings: Settings | None = None
) -> AsyncIterator[list[GatewayProcess]]:
    """Gateways in processes of their own, on the world's database; with other keys, if settings are given."""
    processes = [GatewayProcess(settings or world.settings) for _ in range(count)]
    try:
        for process in processes:
            process.start()
        for process in processes:
            await process.ready(world.session)
        yield processes
    finally:
        for process in processes:
            await process.end()
    for process in processes:
        process.told_no_card()
