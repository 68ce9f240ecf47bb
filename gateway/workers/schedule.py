"""The clockwork: ticks, and nothing else. What a tick has to do stands in the database.

Ticks come by the loop's own clock, which nobody can set: a time of day that steps back would stop them until it comes
round again, one that steps forward would bring many at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.logs import get
from gateway.refused_rows import said_by

log = get(__name__)

TICK_S = 0.5


class Schedule:
    """Calls each job every `interval_s`, never twice at once, and remembers when it last came through."""

    def __init__(
        self,
        jobs: Mapping[str, Callable[[], Awaitable[object]]],
        ticked: Callable[[str], None],
        interval_s: float = TICK_S,
    ) -> None:
        self._jobs = jobs
        self._ticked = ticked
        self._interval_s = interval_s
        self._last: dict[str, float | None] = dict.fromkeys(jobs)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to tick in the running loop."""
        self._tasks = [asyncio.create_task(self._tick(name, job), name=name) for name, job in self._jobs.items()]

    def stop(self) -> None:
        """Tick no more; a job that runs is cancelled, and leases bring back what it had claimed."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def ages_s(self) -> dict[str, float | None]:
        """Seconds since each job last came through; None: it never did."""
        now = time.monotonic()
        return {name: None if last is None else now - last for name, last in self._last.items()}

    async def _tick(self, name: str, job: Callable[[], Awaitable[object]]) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._run(name, job)
            # What was missed, or is late, is one tick and not many.
            due = max(due + self._interval_s, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _run(self, name: str, job: Callable[[], Awaitable[object]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 -- the next tick tries again, whatever it was
            log.warning("tick failed", job=name, error_type=type(error).__name__, reason=said_by(error))
        else:
            self._last[name] = time.monotonic()
            self._ticked(name)
