"""One gateway in a process of its own, forked: the whole of `gateway.run.wiring`, with a clock that can be moved.

Nothing runs in it by itself but what a request starts: follow-ups and deliveries are done when it is told to work.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import web

from gateway.api.http.runner import ProblemRunner
from gateway.run import wiring
from gateway.run.clock import Clock
from gateway.run.running_tasks import RunningTasks
from gateway.settings import Settings
from gateway.workers.deliver import Deliverer
from gateway.workers.follow_up import Follower
from gateway.workers.line import Line
from gateway.workers.unbind import Unbinder
from tests.simulation.bugs import BUGS
from tests.simulation.outside import Death, Outside, number_answers, parts_of
from tests.simulation.warm import serve_only

__all__ = ["Spec", "run"]

BIND_WITHIN_S = 5.0
SHANGHAI = "Asia/Shanghai"
MOMENT = timedelta(microseconds=1)
ROUNDS = 50
"""Of working, before it is told that there is no end of it."""
JOBS = ("follow_up", "line", "unbind", "routes", "checkouts", "payouts", "returns", "deliver")


@dataclass(frozen=True, slots=True)
class Spec:
    """What one process is to be.

    `merchant`: whom it serves, by which version of the `catalogue`; `now`: what its clock says, until it is told
    otherwise.
    """

    name: int
    merchant: str
    catalogue: int
    port: int
    now: str
    dies_at: Death | None = None
    counts: bool = True
    """Whether its actions count from the beginning."""
    bug: str | None = None
    """What is wrong with it, of `tests.simulation.bugs`."""
    rehearses: bool = False
    """Whether the stem itself is this gateway: what it learns, those that are forked later know."""

    def line(self) -> str:
        """It, in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_line(cls, line: str) -> "Spec":
        """Read what `line` wrote."""
        told = json.loads(line)
        return cls(**told | {"dies_at": tuple(told["dies_at"]) if told["dies_at"] else None})


class _Time:
    """Time that stands still, but for a moment at each look, until it is moved. No machine is too slow for it."""

    def __init__(self, now: str) -> None:
        self._now = datetime.fromisoformat(now)

    def move_to(self, now: str) -> None:
        self._now = max(self._now, datetime.fromisoformat(now))

    def now(self) -> datetime:
        self._now += MOMENT
        return self._now

    def monotonic_s(self) -> float:
        return self._now.timestamp()

    def new_id(self) -> UUID:
        """A UUIDv7 of this time: forked processes must not share a library's random numbers."""
        milliseconds = int(self.now().timestamp() * 1000)
        drawn = int.from_bytes(os.urandom(10))
        bits = (milliseconds << 80) | drawn
        bits = bits & ~(0xF << 76) | (0x7 << 76)
        return UUID(int=bits & ~(0x3 << 62) | (0x2 << 62))


class _ByHand:
    """A schedule that never ticks by itself."""

    def __init__(self, jobs: Mapping[str, Callable[[], Awaitable[object]]], ticked: Callable[[str], None]) -> None:
        self.jobs = jobs

    def start(self) -> None:
        """Nothing: it waits for `jobs` to be called."""

    def stop(self) -> None:
        """Nothing runs."""

    def ages_s(self) -> dict[str, float | None]:
        return dict.fromkeys(self.jobs, 0.0)


class _NoWatch:
    """Counts nothing."""

    def __init__(self, *_: object) -> None: ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class _Parts:
    """The parts of the gateway that are looked at from here."""

    def __init__(self, time_of: _Time, outside: Outside) -> None:
        self._time, self._outside = time_of, outside
        self.clock: Clock
        self.schedule: _ByHand
        self.follower: Follower
        self.deliverer: Deliverer
        self.line: Line
        self.unbinder: Unbinder
        self.tasks: RunningTasks

    def put_in(self) -> None:
        """Put them where `gateway.run.wiring` finds them. This process has nothing else to do with it."""
        patched: dict[str, Any] = parts_of(self._outside) | {
            "utc_now": self._time.now,
            "uuid7": self._time.new_id,
            "Clock": self._new_clock,
            "Schedule": self._keep("schedule", _ByHand),
            "Follower": self._keep("follower", Follower),
            "Deliverer": self._keep("deliverer", Deliverer),
            "Line": self._keep("line", Line),
            "Unbinder": self._keep("unbinder", Unbinder),
            "RunningTasks": self._keep("tasks", RunningTasks),
            "OpenPaymentsWatch": _NoWatch,
        }
        for name, part in patched.items():
            assert hasattr(wiring, name), f"the wiring has no {name} any more"
            setattr(wiring, name, part)

    def _keep(self, name: str, kind: Callable[..., Any]) -> Callable[..., Any]:
        def made(*values: Any, **more: Any) -> Any:
            part = kind(*values, **more)
            setattr(self, name, part)
            return part

        return made

    def _new_clock(self, _: object, now: Callable[[], datetime]) -> Clock:
        """A clock that is the database's, too: the machine's own is not moved."""

        async def read(both: Callable[[], Any]) -> Any:
            ours = both()
            return ours, ours[0], ours

        self.clock = Clock(read, now, self._time.monotonic_s)
        return self.clock

    async def work(self) -> None:
        """Do what is due, and all that follows from it at once, until there is nothing more."""
        for _ in range(ROUNDS):
            for job in JOBS:
                await self.schedule.jobs[job]()
            if not await self._settled():
                return
        raise AssertionError("there is no end of what is due now")

    async def _settled(self) -> bool:
        """Wait for what is in hand; whether there was anything."""
        busy = False
        while running := self._running():
            busy = True
            await asyncio.wait(running)
        return busy

    def _running(self) -> set[asyncio.Task[Any]]:
        workers = self.follower, self.line
        refilling = {each._refilling for each in workers if each._refilling is not None and not each._refilling.done()}
        lasting = self.deliverer._tasks | self.tasks._tasks | self.unbinder._tasks
        return lasting.union(refilling, *(each._tasks for each in workers))


def run(spec: Spec, settings: Settings, control: Path) -> None:
    """Be this gateway until it dies or is told to leave."""
    serve_only(spec.merchant, spec.catalogue)
    asyncio.run(_run(spec, settings, control))


async def _run(spec: Spec, settings: Settings, control: Path) -> None:
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(control))

    def tell(**what: Any) -> None:
        line.sendall(json.dumps(what).encode() + b"\n")

    tell(name=spec.name, pid=os.getpid())
    time_of = _Time(spec.now)
    outside = Outside(lambda number, what: tell(number=number, does=what), spec.dies_at)
    parts = _Parts(time_of, outside)
    parts.put_in()
    if spec.bug is not None:
        BUGS[spec.bug].put_in()
    own = settings.model_copy(update={"port": spec.port})
    async with wiring.system(own, workers=True, api=True) as gateway:
        assert gateway.app is not None
        number_answers(gateway.app, outside)
        runner = ProblemRunner(gateway.app, access_log=None)
        await runner.setup()
        await _listen(runner, spec.port)
        outside.count(spec.counts)
        reader, _ = await asyncio.open_unix_connection(sock=line)
        tell(ready=True)
        while told := await reader.readline():
            asked = json.loads(told)
            match asked["do"]:
                case "count":
                    outside.count(asked["on"])
                case "work":
                    time_of.move_to(asked["now"])
                    await parts.clock.measure()
                    await parts.work()
                case "leave":
                    break
            tell(did=asked["do"])
        await runner.cleanup()


async def _listen(runner: ProblemRunner, port: int) -> None:
    """On the port of the process before, which may be going just now."""
    give_up_at = time.monotonic() + BIND_WITHIN_S
    while True:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            await asyncio.sleep(0.01)
        else:
            return
