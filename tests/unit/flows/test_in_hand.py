"""An order in hand: it waits for a place before anything is recorded, and lets go of it at every end.

Over rooms that are real. Not tested here: which channels are full (tests/unit/test_rooms.py), what is recorded then
(tests/storage/test_full_channels.py).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import pytest

from gateway.flows import in_hand
from gateway.flows.in_hand import carried_out
from gateway.ports import ChannelFullError, OverloadedError
from gateway.run.rooms import ProcessRooms
from gateway.run.running_tasks import RunningTasks

MERCHANT, OTHER, ORDER = UUID(int=1), UUID(int=2), UUID(int=3)


class Desk:
    """One place on the channel `up`, and one order for it."""

    def __init__(self) -> None:
        self.rooms, self.tasks = ProcessRooms(4, lambda merchant_id, channel: 1), RunningTasks()
        self.recorded = 0
        self.released = asyncio.Event()

    async def record(self) -> str:
        if not self.rooms.take(ORDER, MERCHANT, "up"):
            raise ChannelFullError("up")
        self.recorded += 1
        return "opened"

    async def send(self) -> str:
        await self.released.wait()
        return "paid"

    def submit(self, opened: str) -> Coroutine[Any, Any, str]:
        return self.send()

    def open(self) -> Coroutine[Any, Any, Any]:
        return carried_out(self.rooms, self.tasks, MERCHANT, ORDER, self.record, self.submit)

    @property
    def is_empty(self) -> bool:
        """Whether every place is free, and nothing is in hand."""
        for _ in range(3):
            self.rooms.enter(MERCHANT)
        for _ in range(3):
            self.rooms.exit(MERCHANT)
        return not self.rooms.full(MERCHANT)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_order_holds_its_place_until_its_psp_has_answered(desk: Desk) -> None:
    _, task = await desk.open()
    assert desk.rooms.full(MERCHANT) == ["up"]
    desk.released.set()
    assert await task == "paid"
    assert desk.is_empty


async def test_a_full_channel_lets_it_wait_and_it_is_recorded_when_there_is_a_place(desk: Desk) -> None:
    desk.rooms.enter(OTHER)
    assert desk.rooms.take(OTHER, MERCHANT, "up")
    waiting = asyncio.create_task(desk.open())
    await asyncio.sleep(0)
    assert desk.recorded == 0
    desk.rooms.leave(OTHER)
    desk.released.set()
    _, task = await waiting
    assert (desk.recorded, await task) == (1, "paid")
    assert desk.is_empty


async def test_without_a_place_in_time_it_is_refused_and_nothing_is_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_hand, "WAIT_FOR_A_PLACE_S", 0.05)
    assert desk.rooms.take(OTHER, MERCHANT, "up")
    with pytest.raises(OverloadedError) as refused:
        await desk.open()
    assert refused.value.retry_after_s > 0
    assert desk.recorded == 0
    desk.rooms.leave(OTHER)
    assert desk.is_empty


@pytest.mark.parametrize("at", ["the record", "the submission"])
async def test_a_place_is_given_back_whatever_fails(desk: Desk, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails() -> str:
        if at == "the record":
            assert desk.rooms.take(ORDER, MERCHANT, "up")
        raise RuntimeError("a bug")

    monkeypatch.setattr(desk, "record" if at == "the record" else "send", fails)
    with pytest.raises(RuntimeError, match="a bug"):
        await (await desk.open())[1]
    assert desk.is_empty


async def test_a_caller_that_goes_away_while_it_waits_leaves_nothing_behind(desk: Desk) -> None:
    assert desk.rooms.take(OTHER, MERCHANT, "up")
    waiting = asyncio.create_task(desk.open())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    desk.rooms.leave(OTHER)
    assert desk.is_empty
