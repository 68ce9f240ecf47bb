"""This process's clock, held against the database's every few seconds.

A process whose clock is wrong, or was not measured for a minute, takes nothing: no orders, and nothing that is due.
What comes by itself (an answer, a callback, a person's word) is still recorded, since money may have moved; but its
"not found" proves nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway import metrics
from gateway.domain.clocks import MAX_OFFSET_S, Measurement, Verdict
from gateway.logs import get
from gateway.ports import ClockOffError

__all__ = ["Clock"]

log = get(__name__)

MEASURE_EVERY_S = 10.0
AGAIN_AFTER_S = 1.0
"""After a measurement that failed or told nothing."""
RETRY_AFTER_S = 5
"""What an order is told that this process does not take: another one may, or this one when its clock was set right."""

Ours = tuple[datetime, float]
"""The time of day, and the clock that nobody can set, read together."""
Read = Callable[[Callable[[], Ours]], Awaitable[tuple[Ours, datetime, Ours]]]


@dataclass(slots=True)
class Clock:
    """Tells the time of day, and whether it is right. `read` asks the database; `now` and `monotonic` are ours."""

    read: Read
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    _measured: Measurement | None = field(default=None, init=False)
    _was_right: bool | None = field(default=None, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def start(self) -> None:
        """Measure once, before anything is taken, then go on measuring beside the rest."""
        again_in_s = await self.measure()
        self._task = asyncio.create_task(self._keep_measuring(again_in_s))

    async def stop(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def measure(self) -> float:
        """Measure now; in how many seconds to do it again. Whatever fails, the last one counts until it is old."""
        try:
            (asked, _), theirs, (heard, monotonic_s) = await self.read(self._both)
        except Exception as error:  # noqa: BLE001 -- the database is away, or whatever it is: it is asked again
            log.debug("clock not measured", error_type=type(error).__name__)
            self._tell()
            return AGAIN_AFTER_S
        measured = Measurement(asked.timestamp(), heard.timestamp(), theirs.timestamp(), monotonic_s)
        if measured.tells:
            self._measured = measured
        self._tell()
        return MEASURE_EVERY_S if measured.tells else AGAIN_AFTER_S

    def verdict(self) -> Verdict:
        """What is known of this process's clock now."""
        if self._measured is None:
            return Verdict(is_right=False)
        return self._measured.judges(self.now().timestamp(), self.monotonic())

    def is_right(self) -> bool:
        """Whether this process may take anything."""
        return self.verdict().is_right

    def right_now(self) -> datetime:
        """The time of day. Raises ClockOffError while it is not known to be right."""
        now = self.now()
        measured = self._measured
        if measured is None or not measured.judges(now.timestamp(), self.monotonic()).is_right:
            raise ClockOffError(RETRY_AFTER_S)
        return now

    def when_right(self, job: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        """The job, left out while this clock is not right."""

        async def unless_off() -> object:
            return await job() if self.is_right() else None

        return unless_off

    def _both(self) -> Ours:
        return self.now(), self.monotonic()

    async def _keep_measuring(self, again_in_s: float) -> None:
        while True:
            await asyncio.sleep(again_in_s)
            again_in_s = await self.measure()

    def _tell(self) -> None:
        found = self.verdict()
        metrics.CLOCK_RIGHT.set(found.is_right)
        if found.offset_s is not None:
            metrics.CLOCK_OFFSET_SECONDS.set(found.offset_s)
        if found.is_right != self._was_right:
            told = {"offset_s": None if found.offset_s is None else round(found.offset_s, 3), "limit_s": MAX_OFFSET_S}
            if not found.is_right:
                log.warning("clock not right: this process takes nothing; set it by NTP", **told)
            elif self._was_right is not None:
                log.info("clock right: this process takes orders again", **told)
        self._was_right = found.is_right
