"""A gateway that stands still under load (SIGSTOP) and goes on later: what others did meanwhile is not done again.

It holds its connections, its locks and what it was about to send, and does not know that time has passed. Another
gateway takes over what is due. `make hunt` freezes more often.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDatabase
from tests.e2e.load import Load, all_is_well, cut_leases_short, orders_of
from tests.e2e.processes import GatewayProcess, gateway_processes
from tests.e2e.world import QUICK_TERMS, World, new_world

FREEZES = int(os.environ.get("SLUICE_HUNT_FREEZES", "1"))
FROZEN_S = 7.0
"""Longer than an intent may wait for its sender, and than an answer of these PSPs is waited for."""
FREEZE_EVERY = 80
ORDERS = FREEZE_EVERY * (FREEZES + 1)


@pytest.fixture
async def two(new_database: NewDatabase, psp_keys: Path) -> AsyncIterator[tuple[World, list[GatewayProcess]]]:
    """A world whose only workers are those of two gateway processes."""
    terms = {**QUICK_TERMS, "answer_timeout_s": 2.0}
    async with (
        new_world(await new_database(), psp_keys, terms, workers=False) as world,
        gateway_processes(world, 2) as processes,
    ):
        yield world, processes


async def test_a_gateway_that_stood_still_under_load_sends_nothing_that_another_has_asked_about(
    two: tuple[World, list[GatewayProcess]],
) -> None:
    world, processes = two
    load = Load(world, [process.address for process in processes])

    async def freezes() -> None:
        for number in range(FREEZES):
            await load.so_many_answered(FREEZE_EVERY // 2 + FREEZE_EVERY * number)
            frozen = processes[number % 2]
            frozen.freeze()
            try:
                await cut_leases_short(world)
                await asyncio.sleep(FROZEN_S)
                await cut_leases_short(world)
            finally:
                frozen.thaw()

    await load.run(orders_of(world, ORDERS), freezes)
    await all_is_well(world, load, ORDERS)
