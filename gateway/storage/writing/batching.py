"""Natural batching: items that arrive while a flush is under way wait for the next one.

There is no timer, so an idle system adds no delay, and a busy one shares each transaction among many. A failed
flush is bisected where one item may have caused it, so that a poisoned one fails alone. What stops a whole flush, such
as a database that is away or a table that is locked, is waited for once, and not by each part in turn.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from gateway.ports import OverloadedError
from gateway.storage.server.troubles import is_cut, may_be_one_rows

T = TypeVar("T")
R = TypeVar("R")

RETRY_AFTER_S = 1


class Batcher(Generic[T, R]):
    """Collects items and flushes them together, one flush at a time.

    `flush` gets at most `max_batch` items in their order of arrival and returns one result for each, in that order; a
    result that is an exception is raised for its item alone. If `flush` itself raises what one item may have caused
    (`halves`), the batch is halved and tried again until the culprit stands alone; an item that came alone is tried
    once more. What no item can have caused fails the whole batch after one more try (none, where it would only wait as
    long again), and with it what waited longer than that batch was tried. So a failed flush must have left nothing
    behind, or know its own work again: what failed may have been the answer to its COMMIT.

    `flushed` is told of each flush that went through: how many items, how many seconds.
    """

    def __init__(
        self,
        flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_batch: int,
        max_waiting: int,
        flushed: Callable[[int, float], None] | None = None,
        halves: Callable[[BaseException], bool] = may_be_one_rows,
    ) -> None:
        self._flush = flush
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._flushed = flushed
        self._halves = halves
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
                batch = [self._waiting.popleft() for _ in range(size)]
                older = len(self._waiting)
                stopped_by = await self._settle(batch, first=True)
                if stopped_by is not None:
                    # Whoever waits for the next try, and the one after, would wait as long as this batch each time.
                    for _ in range(older):
                        _resolve(self._waiting.popleft()[1], stopped_by)
        finally:
            self._runner = None

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]], *, first: bool) -> Exception | None:
        """Flush a batch, by parts if need be, and tell each item; the error that stopped all of it, if one did."""
        started = time.perf_counter()
        try:
            results = await self._flush([item for item, _ in batch])
            assert len(results) == len(batch), "a flush gives one result for each item"
        except Exception as error:  # noqa: BLE001 -- whatever it is, each item's caller must hear of it
            return await self._settle_failed(batch, error, first)
        if self._flushed is not None:
            self._flushed(len(batch), time.perf_counter() - started)
        for (_, future), result in zip(batch, results, strict=True):
            _resolve(future, result)
        return None

    async def _settle_failed(
        self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception, first: bool
    ) -> Exception | None:
        halves = self._halves(error)
        if halves and len(batch) > 1:
            middle = len(batch) // 2
            for part in (batch[:middle], batch[middle:]):
                await self._settle(part, first=False)
            return None
        if first and not is_cut(error):
            return await self._settle(batch, first=False)
        for _, future in batch:
            _resolve(future, error)
        return None if halves else error


def _resolve(future: "asyncio.Future[R]", result: R | Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # its caller has gone away
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
