"""The clockwork: APScheduler ticks, and nothing else. What a tick has to do stands in the database."""

import time
from collections.abc import Awaitable, Callable, Mapping
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway.logs import get
from gateway.refused_rows import said_by

log = get(__name__)

TICK_S = 0.5


class Schedule:
    """Calls each job every `interval_s`, never twice at once, and remembers when it last came through."""

    def __init__(
        self,
        jobs: Mapping[str, Callable[[], Awaitable[object]]],
        timezone: ZoneInfo,
        ticked: Callable[[str], None],
        interval_s: float = TICK_S,
    ) -> None:
        self._ticked = ticked
        self._last: dict[str, float | None] = dict.fromkeys(jobs)
        # coalesce and max_instances: a tick that was missed or is late is one tick, not many.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = AsyncIOScheduler(timezone=timezone, job_defaults=defaults)
        for name, job in jobs.items():
            self._scheduler.add_job(self._run, "interval", (name, job), seconds=interval_s, id=name)

    def start(self) -> None:
        """Begin to tick in the running loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Tick no more; a job that runs is cancelled, and leases bring back what it had claimed."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def ages_s(self) -> dict[str, float | None]:
        """Seconds since each job last came through; None: it never did."""
        now = time.monotonic()
        return {name: None if last is None else now - last for name, last in self._last.items()}

    async def _run(self, name: str, job: Callable[[], Awaitable[object]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 -- the next tick tries again, whatever it was
            log.warning("tick failed", job=name, error_type=type(error).__name__, reason=said_by(error))
        else:
            self._last[name] = time.monotonic()
            self._ticked(name)
