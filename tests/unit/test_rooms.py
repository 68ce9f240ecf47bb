"""How much a process has in its hands: over all, of each merchant, and on each channel.

Not tested here: that what is slow stops only itself (tests/e2e/test_slow_channels.py), questions (test_calls.py).
"""

import asyncio
from itertools import count
from uuid import UUID

import pytest

from gateway.ports import OverloadedError
from gateway.run.rooms import AT_LEAST, CALLS_AT_ONCE, ProcessRooms

A, B = UUID(int=1), UUID(int=2)
AMPLE_S = 10.0
ids = (UUID(int=number) for number in count(100))


def rooms(most: int = 200, at_once: int | None = None) -> ProcessRooms:
    return ProcessRooms(most, lambda merchant_id, channel: at_once)


def fill(of: ProcessRooms, merchant_id: UUID, channel: str) -> list[UUID]:
    """Take orders of a channel until there is no room for another; who holds its places."""
    holders: list[UUID] = []
    while True:
        try:
            of.enter(merchant_id)
        except OverloadedError:
            return holders
        holder = next(ids)
        if not of.take(holder, merchant_id, channel):
            of.exit(merchant_id)
            return holders
        holders.append(holder)


def let_go(of: ProcessRooms, merchant_id: UUID, holder: UUID) -> None:
    of.leave(holder)
    of.exit(merchant_id)


# --- a channel ---


def test_a_channel_carries_as_many_as_the_catalogue_says_less_what_is_kept_for_questions() -> None:
    room = rooms(most=2000, at_once=10)
    holders = fill(room, A, "up")
    assert len(holders) == 8
    assert room.full(A) == ["up"]
    let_go(room, A, holders[0])
    assert room.full(A) == []
    assert len(fill(room, A, "up")) == 1


def test_a_channel_of_which_nothing_is_said_has_a_default() -> None:
    assert len(fill(rooms(most=100_000), A, "up")) == CALLS_AT_ONCE - CALLS_AT_ONCE // 5


def test_a_channel_has_a_fifth_of_a_small_process_and_leaves_the_rest() -> None:
    room = rooms(most=200)
    assert len(fill(room, A, "up")) == 40
    assert room.full(A) == ["up"]
    assert room.full(B) == []
    assert len(fill(room, A, "tl")) == 32
    assert len(fill(room, B, "up")) == 26


def test_however_many_hang_something_is_left_for_the_next() -> None:
    room = rooms(most=2000)
    for number in range(20):
        assert len(fill(room, UUID(int=number + 1), "up")) >= AT_LEAST
    assert len(fill(room, UUID(int=99), "up")) >= AT_LEAST


def test_a_channel_of_another_merchant_under_the_same_name_is_another_one() -> None:
    room = rooms(at_once=10)
    assert [len(fill(room, merchant_id, "up")) for merchant_id in (A, B)] == [8, 8]


def test_who_holds_a_place_takes_no_second_one_and_finds_its_channel_free() -> None:
    room = rooms(at_once=2)
    (holder,) = fill(room, A, "up")
    assert room.take(holder, A, "up")
    assert room.full(A, holder) == []
    assert room.full(A) == ["up"]
    let_go(room, A, holder)
    assert room.full(A) == []


def test_who_goes_to_another_channel_gives_the_place_back() -> None:
    room = rooms(at_once=2)
    (holder,) = fill(room, A, "up")
    assert room.take(holder, A, "tl")
    assert room.full(A) == ["tl"]
    room.leave(holder)
    room.leave(holder)
    assert room.full(A) == []


def test_a_provider_that_hangs_for_many_merchants_leaves_half_of_the_whole() -> None:
    room = ProcessRooms(200, lambda merchant_id, channel: None, lambda merchant_id, channel: channel)
    taken = [len(fill(room, UUID(int=number + 1), "hangs")) for number in range(50)]
    assert sum(taken) == 100
    assert room.full(UUID(int=1)) == ["hangs"]
    assert len(fill(room, UUID(int=1), "up")) == 20


# --- a merchant, and all of them ---


def test_a_merchant_takes_three_quarters_at_most_and_what_is_left_is_the_others() -> None:
    room = rooms(most=200)
    for _ in range(150):
        room.enter(A)
    with pytest.raises(OverloadedError):
        room.enter(A)
    room.enter(B)
    room.exit(A)
    room.enter(A)


def test_no_more_is_in_hand_than_a_process_takes() -> None:
    room = rooms(most=3)
    for merchant_id in (A, B, A):
        room.enter(merchant_id)
    with pytest.raises(OverloadedError):
        room.enter(B)
    room.exit(A)
    room.enter(B)


@pytest.mark.parametrize("most", range(1, 5))
def test_a_process_that_takes_little_gives_all_of_it_to_whoever_comes(most: int) -> None:
    assert len(fill(rooms(most=most), A, "up")) == most


# --- waiting ---


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_place_goes_to_who_waited_longest_and_waiting_is_not_in_hand() -> None:
    room = rooms(most=2, at_once=2)
    (holder,) = fill(room, A, "up")
    first, second = next(ids), next(ids)
    tasks = []
    for waiting in (first, second):
        room.enter(A)
        tasks.append(asyncio.create_task(room.wait(waiting, A, "up", AMPLE_S)))
        await turns()
    room.enter(B)
    room.exit(B)
    let_go(room, A, holder)
    assert await tasks[0]
    assert room.holds(first, A, "up")
    assert not tasks[1].done()
    let_go(room, A, first)
    assert await tasks[1]


async def test_who_waits_in_vain_holds_nothing_and_is_in_hand_again() -> None:
    room = rooms(at_once=2)
    fill(room, A, "up")
    room.enter(A)
    late = next(ids)
    assert not await room.wait(late, A, "up", 0.01)
    assert not room.holds(late, A, "up")
    let_go(room, A, late)


async def test_nobody_overtakes_those_who_wait() -> None:
    room = rooms(at_once=3)
    holders = fill(room, A, "up")
    room.enter(A)
    first = asyncio.create_task(room.wait(next(ids), A, "up", AMPLE_S))
    await turns()
    let_go(room, A, holders[0])
    assert not room.take(next(ids), A, "up")
    assert await first


async def test_no_more_wait_for_a_channel_than_half_of_those_that_may_wait() -> None:
    room = rooms(most=20, at_once=2)
    fill(room, A, "up")
    waiting = []
    for _ in range(20):
        room.enter(A)
        waiting.append(asyncio.create_task(room.wait(next(ids), A, "up", AMPLE_S)))
        await turns()
    assert sum(not task.done() for task in waiting) == 10
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_is_cancelled_while_waiting_leaves_no_trace() -> None:
    room = rooms(at_once=2)
    (holder,) = fill(room, A, "up")
    room.enter(A)
    gone = asyncio.create_task(room.wait(next(ids), A, "up", AMPLE_S))
    await turns()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    let_go(room, A, holder)
    assert len(fill(room, A, "up")) == 1
