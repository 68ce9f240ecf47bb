"""Python's cyclic garbage collector: tuned where a process starts, and watched while it runs.

Memory is freed by counting references; the collector only finds what refers to itself in a circle. Payments leave no
circles behind, nor do refused ones, and looking for them in all that lives costs about a fifth of a payment's CPU. How
the numbers were chosen, and what they cost in memory and pauses: docs/benchmarks.md, "The collector".
"""

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from gateway.metrics import GC_PAUSE_SECONDS

__all__ = ["THRESHOLDS", "settle", "watched"]

YOUNG_OBJECTS: Final = 50_000
"""Containers made and not yet freed between two looks at the youngest. Python's 700 are fewer than one batch of
payments has in hand: each look found them all alive, and moved them to where a look is dearer."""
YOUNG_LOOKS: Final = 20
"""Looks at the youngest for one at the middle generation."""
MIDDLE_LOOKS: Final = 20
"""Looks at the middle one for a look at everything (and Python waits, too, until a quarter of it is new)."""
THRESHOLDS: Final = (YOUNG_OBJECTS, YOUNG_LOOKS, MIDDLE_LOOKS)
"""Measured with CPython 3.11. From 3.14 on the last is ignored and the second means another thing: measure again."""

REPORT_EVERY_S: Final = 1.0
PAUSES_KEPT: Final = 10_000
"""Between two reports; more than a second can hold."""


def settle() -> None:
    """Call once when the process has started: take what lives by now out of the collector's sight, then tune it.

    What is frozen is freed all the same when nothing refers to it any more, such as the first catalogue after a change.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class _Pauses:
    """The collector's pauses since the last report.

    The collector may begin in the middle of anything, also of a metric's update, whose lock it would wait for in vain
    (prometheus/client_python issues 322 and 363). So its callback only notes, and a task passes on.
    """

    def __init__(self) -> None:
        self._began = 0.0
        self._noted: deque[tuple[int, float]] = deque(maxlen=PAUSES_KEPT)
        # Made beforehand: every generation is told of from the start, and a report makes nothing new.
        self._metrics = [GC_PAUSE_SECONDS.labels(str(generation)) for generation in range(len(THRESHOLDS))]

    def note(self, phase: str, about: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._noted.append((about["generation"], time.perf_counter() - self._began))

    def report(self) -> None:
        while self._noted:
            generation, seconds = self._noted.popleft()
            self._metrics[generation].observe(seconds)

    async def report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self.report()


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Measure the collector's pauses (`sluice_gc_pause_seconds`) while the context lasts."""
    pauses = _Pauses()
    gc.callbacks.append(pauses.note)
    reporting = asyncio.create_task(pauses.report_for_ever(), name="collector watch")
    try:
        yield
    finally:
        gc.callbacks.remove(pauses.note)
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting
        pauses.report()
