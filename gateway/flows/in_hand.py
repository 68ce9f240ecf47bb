"""An order in hand: recorded with a place at its channel, carried out, and let go of, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from gateway.ports import ChannelFullError, Rooms

__all__ = ["WAIT_FOR_A_PLACE_S", "Tasks", "carried_out"]

O = TypeVar("O")  # noqa: E741 -- what an order opened
D = TypeVar("D")

WAIT_FOR_A_PLACE_S: Final = 2.0
"""How long an order that cannot stand in line waits for a place on its channel, before anything of it is recorded."""


class Tasks(Protocol):
    """Runs what must go on when the caller goes away."""

    def start(self, work: Coroutine[Any, Any, D]) -> "asyncio.Task[D]": ...


async def carried_out(
    rooms: Rooms,
    tasks: Tasks,
    merchant_id: UUID,
    holder: UUID,
    record: Callable[[], Awaitable[O]],
    carry_out: Callable[[O], Coroutine[Any, Any, D] | None],
) -> tuple[O, "asyncio.Task[D] | None"]:
    """Record an order, and start what `carry_out` says is to be done with it; None: nothing.

    `holder`: the id of the object that it opens. Raises OverloadedError, with nothing recorded, and what `record` does.
    """
    rooms.enter(merchant_id)
    task = None
    try:
        opened = await _recorded(rooms, merchant_id, holder, record)
        work = carry_out(opened)
        if work is not None:
            task = tasks.start(_to_its_end(rooms, merchant_id, holder, work))
        return opened, task
    finally:
        if task is None:
            _let_go(rooms, merchant_id, holder)


async def _recorded(rooms: Rooms, merchant_id: UUID, holder: UUID, record: Callable[[], Awaitable[O]]) -> O:
    """Record it; where its channel is full, wait for a place there first."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + WAIT_FOR_A_PLACE_S
    while True:
        try:
            return await record()
        except ChannelFullError as full:
            # By the time there is a place it may be routed elsewhere: then it takes one there, or waits for it.
            left_s = give_up_at - clock()
            if left_s <= 0 or not await rooms.wait(holder, merchant_id, full.channel, left_s):
                raise


async def _to_its_end(rooms: Rooms, merchant_id: UUID, holder: UUID, work: Coroutine[Any, Any, D]) -> D:
    try:
        return await work
    finally:
        _let_go(rooms, merchant_id, holder)


def _let_go(rooms: Rooms, merchant_id: UUID, holder: UUID) -> None:
    rooms.leave(holder)
    rooms.exit(merchant_id)
