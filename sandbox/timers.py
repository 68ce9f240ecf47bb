"""Work that is due later or takes a while; it ends with the application."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Timers"]


class Timers:
    """Keeps every delayed call and background task, so that closing ends them all."""

    def __init__(self) -> None:
        self._handles: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` once after the delay."""

        def run() -> None:
            self._handles.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(delay_s, run)
        self._handles.add(handle)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what is left and wait for it to end."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
