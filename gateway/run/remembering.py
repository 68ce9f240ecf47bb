"""An answer that is good for a moment: whoever asks meanwhile gets the same one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks one question at a time, and not again within `for_s` seconds of its answer, however many want to know."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], for_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._for_s, self._clock = ask, for_s, clock
        self._asked: asyncio.Task[T] | None = None
        self._good_until = 0.0

    async def __call__(self) -> T:
        """The answer. Raises what asking raises."""
        if self._asked is None or (self._asked.done() and self._clock() >= self._good_until):
            self._asked = asyncio.create_task(self._answer())
        return await asyncio.shield(self._asked)  # one that goes away must not cancel it for the others

    async def _answer(self) -> T:
        try:
            return await self._ask()
        finally:
            self._good_until = self._clock() + self._for_s
