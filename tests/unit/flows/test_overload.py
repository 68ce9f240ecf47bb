"""How many submissions may be under way at once, and what the next order is told.

Not tested here: the queue of the books (tests/unit/test_batching.py), the 503 that it becomes (tests/api).
"""

import asyncio

import pytest

from gateway.domain.outcomes import Succeeded
from gateway.domain.payments import Status
from gateway.ports import OverloadedError, Pay
from gateway.run.rooms import RETRY_AFTER_S
from tests.unit.domain.samples import order
from tests.unit.flows.ports_in_memory import World

MAX_RUNNING = 2


class Busy:
    """A world whose PSP answers one payment for each `release`."""

    def __init__(self) -> None:
        self.world = World(max_running=MAX_RUNNING, answer_within_s=0.0)
        self.world.provider_.says = {Pay: Succeeded(1000)}
        self.world.provider_.before_answer = self._until_released
        self._released = asyncio.Semaphore(0)

    async def _until_released(self) -> None:
        await self._released.acquire()

    async def fill(self) -> None:
        """Open as many payments as may be under way."""
        for number in range(MAX_RUNNING):
            opened = await self.world.flow.open(order(f"under-way-{number}"))
            assert opened.payment.status is Status.PROCESSING

    async def end(self, submission: int) -> None:
        """Let the submission that began as this one end; they end in their order."""
        self._released.release()
        await self.world.started[submission]


@pytest.fixture
def busy() -> Busy:
    return Busy()


async def test_with_all_submissions_under_way_the_next_order_is_refused_and_nothing_is_opened(busy: Busy) -> None:
    await busy.fill()
    with pytest.raises(OverloadedError) as refused:
        await busy.world.flow.open(order("one-too-many"))
    assert refused.value.retry_after_s == RETRY_AFTER_S
    assert "one-too-many" not in busy.world.orders
    assert len(busy.world.payments) == len(busy.world.provider_.asked) == MAX_RUNNING
    await asyncio.gather(*(busy.end(number) for number in range(MAX_RUNNING)))


async def test_an_order_that_was_refused_is_taken_when_one_ends_and_the_one_after_it_is_not(busy: Busy) -> None:
    await busy.fill()
    with pytest.raises(OverloadedError):
        await busy.world.flow.open(order("again"))
    await busy.end(0)
    assert not (await busy.world.flow.open(order("again"))).replayed
    with pytest.raises(OverloadedError):
        await busy.world.flow.open(order("yet-another"))
    await asyncio.gather(*(busy.end(number) for number in range(1, MAX_RUNNING + 1)))
    assert {payment.status for payment in busy.world.payments.values()} == {Status.SUCCEEDED}


async def test_a_submission_that_fails_makes_room_as_one_that_succeeds(busy: Busy) -> None:
    await busy.fill()
    busy.world.provider_.says = {Pay: RuntimeError("a bug")}
    with pytest.raises(RuntimeError):
        await busy.end(0)
    assert (await busy.world.flow.open(order("next"))).payment.status is Status.PROCESSING
    for number in range(1, MAX_RUNNING + 1):
        with pytest.raises(RuntimeError):
            await busy.end(number)


async def test_orders_that_reach_nobody_take_no_room(busy: Busy) -> None:
    for number in range(MAX_RUNNING + 1):
        opened = await busy.world.flow.open(order(f"refused-{number}", bank="ABC"))
        assert opened.payment.status is Status.FAILED
    await busy.fill()
    await asyncio.gather(*(busy.end(number) for number in range(MAX_RUNNING)))


async def test_orders_that_come_all_at_once_are_counted_while_they_are_being_opened(busy: Busy) -> None:
    burst = [busy.world.flow.open(order(f"burst-{number}")) for number in range(20)]
    results = await asyncio.gather(*burst, return_exceptions=True)
    assert sum(isinstance(result, OverloadedError) for result in results) == 20 - MAX_RUNNING
    await asyncio.gather(*(busy.end(number) for number in range(MAX_RUNNING)))
