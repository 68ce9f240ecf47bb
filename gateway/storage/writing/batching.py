"""Natural batching: items that arrive while a flush is under way wait for the next one.

There is no timer, so an idle system adds no delay, and a busy one shares each transaction among many. A failed
flush is bisected, so that one poisoned item fails alone.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from gateway.ports import OverloadedError
from gateway.storage.server.troubles import is_away

T = TypeVar("T")
R = TypeVar("R")

RETRY_AFTER_S = 1


class Batcher(Generic[T, R]):
    """Collects items and flushes them together, one flush at a time.

    `flush` gets at most `max_batch` items in their order of arrival and returns one result for each, in that order; a
    result that is an exception is raised for its item alone. If `flush` itself raises, the batch is halved and tried
    again until the culprit stands alone; an item that came alone is tried once more, and so is a whole batch when it
    was the database that went away. So a failed flush must have left
    nothing behind, or know its own work again: what failed may have been the answer to its COMMIT.

    `flushed` is told of each flush that went through: how many items, how many seconds.
    """

    def __init__(
        self,
        flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_batch: int,
        max_waiting: int,
        flushed: Callable[[int, float], None] | None = None,
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._flushed = flushed
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for the next flush."""
        return len(self._waiting)

    async def submit(self, item: T) -> R:
        """Flush `item` with whatever else is there. Raises OverloadedError when too much waits already."""
        if len(self._waiting) >= self._max_waiting:
            raise OverloadedError(RETRY_AFTER_S)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await future

    async def drain(self) -> None:
        """Wait until everything submitted so far has been flushed."""
        while self._runner is not None:
            await asyncio.wait({self._runner})

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(self._max_batch, len(self._waiting))
                await self._settle([self._waiting.popleft() for _ in range(size)], first=True)
        finally:
            self._runner = None

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]], *, first: bool) -> None:
        started = time.perf_counter()
        try:
            results = await self._flush([item for item, _ in batch])
            assert len(results) == len(batch), "a flush gives one result for each item"
        except Exception as error:  # noqa: BLE001 -- whatever it is, each item's caller must hear of it
            await self._settle_failed(batch, error, first)
            return
        if self._flushed is not None:
            self._flushed(len(batch), time.perf_counter() - started)
        for (_, future), result in zip(batch, results, strict=True):
            _resolve(future, result)

    async def _settle_failed(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception, first: bool) -> None:
        whole = len(batch) == 1 or is_away(error)  # halving finds no culprit where the database itself is
        if whole and not first:
            for _, future in batch:
                _resolve(future, error)
            return
        middle = 0 if whole else len(batch) // 2
        for part in (batch[:middle], batch[middle:]):
            if part:
                await self._settle(part, first=False)


def _resolve(future: "asyncio.Future[R]", result: R | Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # its caller has gone away
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
