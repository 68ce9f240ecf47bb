"""Natural batching: what is flushed together, in which order, and who hears of what went wrong.

Not tested here: what the flushes write (tests/storage).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.ports import OverloadedError
from gateway.storage.writing.batching import Batcher


class PoisonedError(Exception):
    pass


class Flushes:
    """A flush that waits at a gate and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.poisoned: set[int] = set()
        self.lost_answers = 0
        self.refused: set[int] = set()
        self.under_way = 0

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.under_way += 1
        assert self.under_way == 1, "one flush at a time"
        self.batches.append(items)
        try:
            await self.gate.wait()
            if self.poisoned & set(items):
                raise PoisonedError(min(self.poisoned & set(items)))
            if self.lost_answers:
                self.lost_answers -= 1
                raise ConnectionError("the answer to COMMIT was lost")
            return [KeyError(item) if item in self.refused else item * 10 for item in items]
        finally:
            self.under_way -= 1


@pytest.fixture
def flushes() -> Flushes:
    return Flushes()


@pytest.fixture
async def batcher(flushes: Flushes) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher(flushes, max_batch=4, max_waiting=8)
    yield batcher
    flushes.gate.set()
    await batcher.drain()


async def start(batcher: Batcher[int, int], items: range) -> list[asyncio.Task[int]]:
    """Submit these, one after the other; the first ones are in a flush when this returns."""
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: list[asyncio.Task[int]]) -> list[int | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_single_item_does_not_wait_for_company(batcher: Batcher[int, int], flushes: Flushes) -> None:
    flushes.gate.set()
    assert await batcher.submit(1) == 10
    assert flushes.batches == [[1]]


async def test_what_arrives_during_a_flush_shares_the_next_in_its_order(
    batcher: Batcher[int, int], flushes: Flushes
) -> None:
    first = await start(batcher, range(1))
    rest = await start(batcher, range(1, 7))
    assert flushes.batches == [[0]]
    assert batcher.waiting == 6
    flushes.gate.set()
    assert await outcomes(first + rest) == [0, 10, 20, 30, 40, 50, 60]
    assert flushes.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_a_refusal_is_its_items_alone_and_fails_no_flush(batcher: Batcher[int, int], flushes: Flushes) -> None:
    flushes.refused = {2}
    flushes.gate.set()
    tasks = await start(batcher, range(1, 4))
    heard = await outcomes(tasks)
    assert [heard[0], heard[2]] == [10, 30]
    assert isinstance(heard[1], KeyError)
    assert flushes.batches == [[1, 2, 3]]


@pytest.mark.parametrize("poisoned", [{0}, {3}, {1, 2}, {0, 1, 2, 3}])
async def test_a_poisoned_item_fails_alone(batcher: Batcher[int, int], flushes: Flushes, poisoned: set[int]) -> None:
    flushes.poisoned = poisoned
    flushes.gate.set()
    heard = await outcomes(await start(batcher, range(4)))
    for item, outcome in enumerate(heard):
        if item in poisoned:
            assert isinstance(outcome, PoisonedError)
            assert outcome.args == (item,)
        else:
            assert outcome == item * 10
    assert len(flushes.batches) <= 7


async def test_an_item_alone_whose_answer_was_lost_is_tried_once_more(
    batcher: Batcher[int, int], flushes: Flushes
) -> None:
    flushes.lost_answers = 1
    flushes.gate.set()
    assert await batcher.submit(1) == 10
    assert flushes.batches == [[1], [1]]


async def test_an_item_that_fails_twice_is_given_up(batcher: Batcher[int, int], flushes: Flushes) -> None:
    flushes.poisoned = {1}
    flushes.gate.set()
    with pytest.raises(PoisonedError):
        await batcher.submit(1)
    assert flushes.batches == [[1], [1]]
    assert await batcher.submit(2) == 20


async def test_a_full_queue_refuses_at_once_and_takes_again_when_it_is_emptied(
    batcher: Batcher[int, int], flushes: Flushes
) -> None:
    tasks = await start(batcher, range(1)) + await start(batcher, range(1, 9))
    with pytest.raises(OverloadedError) as refused:
        await batcher.submit(99)
    assert refused.value.retry_after_s >= 1
    flushes.gate.set()
    assert await outcomes(tasks) == [item * 10 for item in range(9)]
    assert await batcher.submit(9) == 90
    assert not any(99 in batch for batch in flushes.batches)


async def test_a_caller_that_goes_away_takes_nothing_with_it(batcher: Batcher[int, int], flushes: Flushes) -> None:
    tasks = await start(batcher, range(1)) + await start(batcher, range(1, 4))
    for gone in (tasks[0], tasks[2]):
        gone.cancel()
    flushes.gate.set()
    heard = await outcomes(tasks)
    assert [heard[1], heard[3]] == [10, 30]
    assert flushes.batches == [[0], [1, 2, 3]]


async def test_a_flush_that_forgets_an_item_fails_them_all_and_leaves_nobody_waiting() -> None:
    async def forgetful(items: list[int]) -> list[int | Exception]:
        return []

    batcher: Batcher[int, int] = Batcher(forgetful, max_batch=4, max_waiting=8)
    with pytest.raises(AssertionError):
        await batcher.submit(1)


async def test_draining_waits_for_all_that_was_submitted(batcher: Batcher[int, int], flushes: Flushes) -> None:
    tasks = await start(batcher, range(7))
    drained = asyncio.create_task(batcher.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    flushes.gate.set()
    await drained
    assert all(task.done() for task in tasks) or await outcomes(tasks) == [item * 10 for item in range(7)]
    assert batcher.waiting == 0
    await batcher.drain()
