"""Waiting for what must become so: looking, never sleeping for luck."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE_S = 60.0
"""Far longer than anything here takes, for machines that do other things too."""
LOOK_AFTER_S, LONGEST_BETWEEN_LOOKS_S = 0.02, 0.2
LONGER_EACH_TIME = 1.3
"""What takes long is looked at less often: looking costs more of a processor than what is waited for."""

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], what: str, within_s: float = PATIENCE_S) -> T:
    """What `look` finds, once it finds something. Fails by name when that takes too long."""
    loop = asyncio.get_running_loop()
    give_up_at, wait_s = loop.time() + within_s, LOOK_AFTER_S
    while (found := await look()) is None:
        if loop.time() > give_up_at:
            raise AssertionError(f"after {within_s:.0f} s there is still no {what}")
        await asyncio.sleep(wait_s)
        wait_s = min(LONGER_EACH_TIME * wait_s, LONGEST_BETWEEN_LOOKS_S)
    return found
