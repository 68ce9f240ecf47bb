"""Waiting for what must become so: looking, never sleeping for luck."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE_S = 20.0
"""Far longer than anything here takes, for machines that do other things too."""
LOOK_EVERY_S = 0.02

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], what: str, within_s: float = PATIENCE_S) -> T:
    """What `look` finds, once it finds something. Fails by name when that takes too long."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_s
    while (found := await look()) is None:
        if loop.time() > give_up_at:
            raise AssertionError(f"after {within_s:.0f} s there is still no {what}")
        await asyncio.sleep(LOOK_EVERY_S)
    return found
