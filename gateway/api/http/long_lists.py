"""JSON of long lists, made a part at a time, so that other requests have their turns meanwhile."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

import orjson

__all__ = ["AT_ONCE", "json_list"]

T = TypeVar("T")

AT_ONCE = 250
"""Entries that are looked at before others have their turn: a millisecond or two."""


async def json_list(things: Iterable[T], shown: Callable[[T], dict[str, Any] | None]) -> list[bytes]:
    """The JSON array of what `shown` makes of each, in parts; None is left out. The things must not change meanwhile.

    Join the whole answer once: each copy of some megabytes is a pause, too.
    """
    parts = [b"["]
    rest = iter(things)
    while part := list(islice(rest, AT_ONCE)):
        if told := [each for one in part if (each := shown(one)) is not None]:
            parts += (orjson.dumps(told)[1:-1], b",")
        await asyncio.sleep(0)
    if len(parts) > 1:
        parts.pop()
    return [*parts, b"]"]
