"""Work that must go on when the request that began it has gone away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway.logs import get

__all__ = ["RunningTasks"]

log = get(__name__)


T = TypeVar("T")


class RunningTasks:
    """Work that goes on when its caller goes away, awaited when the process ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run `work` and keep hold of it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._tasks)

    async def finish(self, within_s: float) -> None:
        """Wait for what runs, a bounded time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # It is in the books with something due: a worker takes it up.
            log.error("submission failed", exc_info=error)
