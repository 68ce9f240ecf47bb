"""Work that goes on when its client goes away: a cancelled request cancels nothing that it started."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gateway.logs import get

__all__ = ["Undisturbed"]

T = TypeVar("T")

_log = get(__name__)


class Undisturbed:
    """Runs coroutines in tasks of their own and holds on to them until they end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        # A task whose waiter left has nobody to tell of its failure but the log.
        self._left: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. When the caller is cancelled, `work` goes on."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._left.add(task)
            if task.done():
                self._left.discard(task)
            raise

    async def drain(self, within_s: float) -> None:
        """Wait for what still runs; what takes longer is cancelled, and recovered from the books later."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task in self._left:
            self._left.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("work failed after its client left", exc_info=error)
