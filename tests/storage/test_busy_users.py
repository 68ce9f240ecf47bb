"""A user whose row somebody holds costs the others one wait, not one for each flush.

Not tested here: that their own orders come again (tests/unit/test_batching), locks of whole tables.
"""

import time

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.outcomes import Succeeded
from gateway.domain.payments import Payment
from gateway.ports import OpenResult, OverloadedError
from gateway.storage.server.engine import LOCK_TIMEOUT_MS
from tests.keys import new_keys
from tests.storage.gateway_process import Process, observation
from tests.unit.domain.samples import catalogue, channel, opening, order, rule

FLUSHES = 20
HOLD = "SELECT 1 FROM users WHERE user_id = 'held' FOR UPDATE"


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))


async def opens(process: Process, number: int) -> list[object]:
    """One flush with an order of the user who is held, and one of somebody else."""
    asked = [order(f"held-{number}", user_id="held"), order(f"free-{number}", user_id=f"free-{number}")]
    return list(await process.opening.flush([opening(each) for each in asked]))


async def test_only_the_first_flush_waits_for_a_row_that_somebody_holds(process: Process) -> None:
    await process.opened(order("before", user_id="held"))
    async with process.database.transaction() as connection:
        await connection.execute(HOLD)
        began = time.perf_counter()
        results = [await opens(process, 0)]
        first_s = time.perf_counter() - began
        results += [await opens(process, number) for number in range(1, FLUSHES)]
        others_s = time.perf_counter() - began - first_s
    assert first_s >= LOCK_TIMEOUT_MS / 1000
    # Without remembering each of them would wait as long as the first.
    assert others_s < first_s * FLUSHES / 4
    assert all(isinstance(held, OverloadedError) for held, _ in results)
    assert all(isinstance(free, OpenResult) for _, free in results)
    assert await process.one("SELECT count(*) FROM payments WHERE user_id = 'held'") == 1


async def test_when_the_row_is_free_again_its_user_is_served_within_a_moment(process: Process) -> None:
    await process.opened(order("before", user_id="held"))
    async with process.database.transaction() as connection:
        await connection.execute(HOLD)
        await opens(process, 0)
    now = time.monotonic() + 1.5
    process.opening._busy._clock = lambda: now
    assert all(isinstance(each, OpenResult) for each in await opens(process, 1))
    assert process.opening._busy._looked_at == {}


async def test_what_psps_say_of_others_is_recorded_beside_a_user_who_is_held(process: Process) -> None:
    held, free = await process.opened(order("a", user_id="held"), order("b", user_id="free"))
    async with process.database.transaction() as connection:
        await connection.execute(HOLD)
        for _ in range(3):
            said = [observation(each, Succeeded(1000)) for each in (held, free)]
            results = await process.recording.flush(list(said))
            assert isinstance(results[0], OverloadedError)
            assert isinstance(getattr(results[1], "object", None), Payment)
    assert (await process.read(free)).is_final
    assert not (await process.read(held)).is_final


async def test_whom_the_orders_met_the_words_of_psps_do_not_wait_for(process: Process) -> None:
    held, free = await process.opened(order("a", user_id="held"), order("b", user_id="free"))
    async with process.database.transaction() as connection:
        await connection.execute(HOLD)
        began = time.perf_counter()
        await opens(process, 0)
        orders_s = time.perf_counter() - began
        results = await process.recording.flush([observation(each, Succeeded(1000)) for each in (held, free)])
        words_s = time.perf_counter() - began - orders_s
    assert isinstance(results[0], OverloadedError)
    assert words_s < orders_s / 2
