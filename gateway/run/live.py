"""Which processes are live: how many share what a channel carries.

Each writes a beat every second and reads the others' as it does. One is live while its beats go on, by our own clock
that nobody can set: theirs may tell any time. While the database is away nothing is learned, and the shares stay.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final, Protocol
from uuid import UUID

from gateway.logs import get
from gateway.metrics import PROCESSES_LIVE
from gateway.run.pace import Monotonic

__all__ = ["BEAT_EVERY_S", "LIVE_FOR_S", "Beats", "LiveProcesses"]

log = get(__name__)

BEAT_EVERY_S: Final = 1.0
LIVE_FOR_S: Final = 4.0
"""Without a beat for so long a process is taken for dead, and its share is the others'."""
END_WITHIN_S: Final = 2.0


class Beats(Protocol):
    """Where beats are written (implemented by `gateway.storage.server.processes`)."""

    async def beat(self, process_id: UUID) -> Mapping[UUID, object]:
        """Write a beat; the last beat of every process, whatever it tells."""
        ...

    async def end(self, process_id: UUID) -> None:
        """This process is no more."""
        ...


class LiveProcesses:
    """Counts them. `processes` is never less than one: this one."""

    def __init__(self, beats: Beats, process_id: UUID, clock: Monotonic = time.monotonic) -> None:
        self._beats, self._process_id, self._clock = beats, process_id, clock
        self._seen: dict[UUID, tuple[object, float]] = {}
        """The others' last beats, each with the time at which it was news."""
        self._looked_at: float | None = None
        self._live = 1
        self._task: asyncio.Task[None] | None = None

    @property
    def processes(self) -> int:
        """How many are live."""
        return self._live

    async def start(self) -> None:
        """Beat once, before anything is taken, and go on beside the rest. Raises what the database raises."""
        await self.beat()
        self._task = asyncio.create_task(self._keep_beating(), name="live processes")

    async def stop(self) -> None:
        """Beat no more; the others have this one's share at once."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(Exception):
            async with asyncio.timeout(END_WITHIN_S):
                await self._beats.end(self._process_id)

    async def beat(self) -> None:
        """Write a beat and look at the others'."""
        told = await self._beats.beat(self._process_id)
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > LIVE_FOR_S:
            # We have not looked for so long, and perhaps nobody could beat: all of them have their time anew.
            self._seen = {each: (beat, now) for each, (beat, _) in self._seen.items()}
        self._looked_at = now
        others = {each: beat for each, beat in told.items() if each != self._process_id}
        self._seen = {
            each: before if (before := self._seen.get(each)) is not None and before[0] == beat else (beat, now)
            for each, beat in others.items()
        }
        live = 1 + sum(now - since < LIVE_FOR_S for _, since in self._seen.values())
        if live != self._live:
            log.info("shares of channels change", processes=live)
        self._live = live
        PROCESSES_LIVE.set(live)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_EVERY_S)
            try:
                await self.beat()
            except Exception as error:  # noqa: BLE001 -- the database is away, or whatever it is: the shares stay
                log.debug("no beat written", error_type=type(error).__name__)
