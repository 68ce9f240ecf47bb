"""A PSP that never answers stops its own channel, and nothing else.

A socket takes every request of one account and says nothing. Not here: what a worker follows up meanwhile
(tests/workers/test_follow_up.py), and how much room there is (tests/unit/test_rooms.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.business import App, Shown, path_of
from tests.e2e.conftest import NewDatabase
from tests.e2e.merchants import only
from tests.e2e.world import World, new_world

MAX_WAITING = 200
FLOOD = 400
"""Orders for the channel that hangs: twice what a process has in its hands."""
TAKEN = 60
"""Orders for each of the others; nine in ten of them must go through."""
AT_ONCE = 12
"""Of those."""


@asynccontextmanager
async def silent_psp() -> AsyncIterator[str]:
    """An address where everything is taken and nothing is answered, until it goes away with all its connections."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            while await reader.read(65536):
                pass
        finally:
            writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        # Else the gateway waits for its answers when it ends, as long as it may.
        for writer in open_ones:
            writer.transport.abort()


@pytest.fixture(scope="module")
async def small(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[World]:
    """A gateway with little in its hands at once, which answers soon that a payment is processing."""
    bounds = {"max_waiting": MAX_WAITING, "answer_within_s": 0.5}
    async with new_world(await new_database(), psp_keys, bounds=bounds) as world:
        yield world


async def statuses(world: World, app: App, count: int, amount: Any, at_once: int = FLOOD) -> list[int]:
    """Send so many orders: the statuses of the answers."""
    turn = asyncio.Semaphore(at_once)

    async def send(order: Shown) -> int:
        async with turn:
            return (await app.call("POST", path_of(order), order)).status

    return await asyncio.gather(*(send(world.order(amount())) for _ in range(count)))


async def test_a_psp_that_never_answers_is_not_noticed_by_other_channels_and_other_merchants(small: World) -> None:
    async with silent_psp() as address:
        hanging = await small.merchant(unionpay={"base_url": address, "answer_timeout_s": 30.0})
        other = await small.merchant(only("allinpay"))
        flood = await statuses(small, hanging, FLOOD, small.dear)
        assert set(flood) == {201, 503}
        same_merchant, other_merchant = await asyncio.gather(
            statuses(small, hanging, TAKEN, small.cheap, AT_ONCE), statuses(small, other, TAKEN, small.cheap, AT_ONCE)
        )
        assert same_merchant.count(201) >= 0.9 * TAKEN
        assert other_merchant.count(201) >= 0.9 * TAKEN


async def test_a_psp_that_hangs_for_many_merchants_leaves_the_others_their_speed(small: World) -> None:
    async with silent_psp() as address:
        hanging = [await small.merchant(unionpay={"base_url": address, "answer_timeout_s": 30.0}) for _ in range(6)]
        other = await small.merchant(only("allinpay"))
        await asyncio.gather(*(statuses(small, app, FLOOD // 4, small.dear) for app in hanging))
        assert (await statuses(small, other, 20, small.cheap, AT_ONCE)).count(201) >= 18
