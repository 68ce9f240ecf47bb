"""Gateways that come and go: what the tests know of each, and how they speak to it."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from tests.simulation.process import Spec
from tests.simulation.stem import Stem

__all__ = ["Gateway", "Gateways"]

WITHIN_S = 120.0
"""For a start, or for what is due to be done, on a machine that does much else."""


class Gateway:
    """One process: what it has done to the outside, and whether it still lives."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.address = f"http://127.0.0.1:{spec.port}"
        self.does: list[str] = []
        """Its outside actions, in turn; the last one may not be done."""
        self.dead = asyncio.Event()
        self.pid = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: asyncio.Future[bool] | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def died_on_purpose(self) -> bool:
        """Whether it came to where it had to die."""
        if self.spec.dies_at is None or not self.dead.is_set():
            return False
        at, _ = self.spec.dies_at
        return at in self.does if isinstance(at, str) else len(self.does) >= at

    def died_where(self) -> str:
        """Where it died, if that was on purpose."""
        if self.spec.dies_at is None or not self.died_on_purpose:
            return ""
        at, side = self.spec.dies_at
        return f"died {side} {at}" if isinstance(at, str) else f"died {side} {at} ({self.does[at - 1]})"

    async def ready(self) -> None:
        """Wait until it serves. It does not die before."""
        async with asyncio.timeout(WITHIN_S):
            await asyncio.shield(self._ready)

    async def do(self, what: str, **more: Any) -> bool:
        """Have it do something to its end; False: it died meanwhile."""
        if self.dead.is_set() or self._writer is None:
            return False
        self._asked = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"do": what, **more}).encode() + b"\n")
        async with asyncio.timeout(WITHIN_S):
            return await self._asked

    def kill(self) -> None:
        """End it, whatever it does."""
        if not self.dead.is_set() and self.pid and not self.spec.rehearses:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take what it says until it is gone."""
        self._writer = writer
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self._take(json.loads(line))
        self.dead.set()
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(False)
        if not self._ready.done():
            self._ready.set_exception(AssertionError("a gateway did not start: see its log"))
        writer.close()

    def _take(self, told: dict[str, Any]) -> None:
        if "does" in told:
            self.does.append(told["does"])
        elif "ready" in told:
            self._ready.set_result(None)
        elif "did" in told and self._asked is not None:
            self._asked.set_result(True)


class Gateways:
    """All gateways of one stem."""

    def __init__(self, stem: Stem) -> None:
        self._stem = stem
        self._names = itertools.count(1)
        self._expected: dict[int, Gateway] = {}

    async def start(self, spec: Spec) -> Gateway:
        """A new gateway that serves."""
        spec = replace(spec, name=next(self._names))
        gateway = self._expected[spec.name] = Gateway(spec)
        self._stem.start(spec)
        try:
            await gateway.ready()
        except (AssertionError, TimeoutError):
            raise AssertionError(f"a gateway did not start:\n{self.log_tail()}") from None
        return gateway

    def log_tail(self) -> str:
        """The last lines that gateways logged."""
        log = self._stem.log
        return "\n".join(log.read_text(errors="replace").splitlines()[-40:]) if log.exists() else ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Gateways"]:
        """Hear what they say, as long as the context."""
        server = await asyncio.start_unix_server(self._connected, self._stem.control)
        try:
            yield self
        finally:
            for gateway in self._expected.values():
                gateway.kill()
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = json.loads(await reader.readline())
        gateway = self._expected[told["name"]]
        gateway.pid = told["pid"]
        await gateway.hear(reader, writer)
        del self._expected[told["name"]]
