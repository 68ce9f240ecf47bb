"""The follower: who gets how much of its room, how long it claims for, what happens on faults and at its end.

Over claims in memory. Not tested here: the claims' SQL and their leases (tests/storage), what is done with what is due
(tests/unit/flows), when the ticks come (test_schedule.py).
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from gateway.flows.follow_up import Due, channel_of
from gateway.flows.observations import key_of
from gateway.workers import follow_up
from gateway.workers.follow_up import AT_ONCE, LEASE_MARGIN_S, Follower
from tests.unit.domain.samples import NOW, authentication, payment, refund

HUGE = 100_000
Make = Callable[[UUID], Due]
"""A new object of a merchant."""

A, B, C = (UUID(int=number) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def one_may_take_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """One channel, and one merchant. Their shares have tests of their own (test_follow_up_shares.py)."""
    monkeypatch.setattr(follow_up, "CHANNEL_SHARE", math.inf)
    monkeypatch.setattr(follow_up, "PROVIDER_SHARE", math.inf)
    monkeypatch.setattr(follow_up, "MERCHANT_SHARE", math.inf)


@dataclass
class World:
    """What is due by merchant, and follow-ups that each wait for a `release`."""

    due: dict[UUID, int]
    claims: list[tuple[UUID, int, int]] = field(default_factory=list)
    """(merchant, asked for, got), in their order."""
    leases: list[timedelta] = field(default_factory=list)
    questions_at_once: int = HUGE
    counted: list[int] = field(default_factory=list)
    begun: list[Due] = field(default_factory=list)
    ended: list[Due] = field(default_factory=list)
    cancelled: list[Due] = field(default_factory=list)
    bad: set[UUID] = field(default_factory=set)
    """Merchants whose follow-ups raise."""
    make: Make = lambda merchant_id: payment(merchant_id=merchant_id, payment_id=uuid4())
    call_limit_s: float = 30.0
    while_claiming: Callable[[], Awaitable[None]] | None = None
    released: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def __post_init__(self) -> None:
        self.follower = Follower(
            self,
            self._follow_up,
            self.due.keys,
            lambda: self.call_limit_s,
            lambda merchant_id, channel: self.questions_at_once,
            lambda merchant_id, channel: channel,
            lambda: NOW,
            self.counted.append,
        )

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return [merchant for merchant in merchants if self.due[merchant]]

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, room: Callable[[str], int]
    ) -> list[Due]:
        if self.while_claiming is not None:
            await self.while_claiming()
        found: list[Due] = []
        while self.due[merchant_id] and len(found) < limit:
            due = self.make(merchant_id)
            if sum(channel_of(each) == channel_of(due) for each in found) >= room(channel_of(due)):
                break
            found.append(due)
            self.due[merchant_id] -= 1
        count = len(found)
        self.claims.append((merchant_id, limit, count))
        self.leases.append(lease_until - now)
        return found

    async def _follow_up(self, due: Due) -> None:
        self.begun.append(due)
        try:
            await self.released.acquire()
        except asyncio.CancelledError:
            self.cancelled.append(due)
            raise
        if due.merchant_id in self.bad:
            raise RuntimeError("a bug")
        self.ended.append(due)

    async def tick(self) -> dict[UUID, int]:
        """A tick; how many objects of each merchant it took up."""
        before = len(self.claims)
        await self.follower.tick()
        await turns()
        taken = dict.fromkeys((merchant for merchant, _, _ in self.claims[before:]), 0)
        for merchant, _, got in self.claims[before:]:
            taken[merchant] += got
        return taken

    async def release(self, count: int) -> None:
        """Let so many follow-ups end, the oldest first."""
        for _ in range(count):
            self.released.release()
        await turns()


async def turns() -> None:
    """Let what can go on go on: a task that was released ends, and its room is free."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _close_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_up, "CLOSE_WITHIN_S", 0.0)


# --- fairness ---


@pytest.mark.parametrize("due", [{A: HUGE, B: 5}, {B: 5, A: HUGE}], ids=["huge first", "huge last"])
async def test_a_huge_backlog_leaves_another_merchant_its_share_of_the_same_tick(due: dict[UUID, int]) -> None:
    world = World(due)
    taken = await world.tick()
    assert taken[B] == 5
    assert AT_ONCE // 2 <= taken[A] <= AT_ONCE - 5
    await world.follower.close()


@pytest.mark.parametrize("merchants", [1, 2, 3, 5, 63, AT_ONCE])
async def test_merchants_with_as_much_to_do_share_the_whole_room_evenly(merchants: int) -> None:
    world = World({UUID(int=number): HUGE for number in range(1, merchants + 1)})
    taken = await world.tick()
    assert len(taken) == merchants
    assert sum(taken.values()) == AT_ONCE
    assert max(taken.values()) - min(taken.values()) <= 1
    await world.follower.close()


async def test_another_merchant_is_first_in_every_tick() -> None:
    world = World({A: 1, B: 1, C: 1})
    firsts = []
    for _ in range(6):
        before = len(world.claims)
        await world.tick()
        firsts.append(world.claims[before][0])
        world.due |= {A: 1, B: 1, C: 1}
    assert set(firsts[:3]) == {A, B, C}
    assert firsts[3:] == firsts[:3]
    await world.follower.close()


async def test_a_place_that_becomes_free_is_filled_at_once_and_goes_round() -> None:
    world = World({A: HUGE, B: HUGE, C: HUGE})
    await world.tick()
    before = len(world.claims)
    for _ in range(9):
        await world.release(1)
    taken = Counter(merchant for merchant, _, got in world.claims[before:] if got)
    assert taken == {A: 3, B: 3, C: 3}
    assert len(world.begun) == AT_ONCE + 9
    await world.follower.close()


async def test_with_more_merchants_than_room_everyone_has_a_turn_in_bounded_time() -> None:
    merchants = [UUID(int=number) for number in range(1, AT_ONCE + 37)]
    world = World(dict.fromkeys(merchants, HUGE))
    await world.tick()
    for _ in range(2):
        await world.release(AT_ONCE)
    assert {due.merchant_id for due in world.begun} == set(merchants)
    await world.follower.close()


# --- room ---


async def test_no_more_is_in_hand_than_there_is_room_for_and_nothing_is_claimed_without_room() -> None:
    world = World({A: HUGE})
    assert await world.tick() == {A: AT_ONCE}
    assert await world.tick() == {}
    assert len(world.begun) == AT_ONCE
    await world.release(3)
    assert len(world.begun) == AT_ONCE + 3
    assert await world.tick() == {}
    assert sum(world.counted) == sum(got for _, _, got in world.claims) == AT_ONCE + 3
    await world.follower.close()


async def test_what_ends_while_nothing_more_is_due_claims_nothing() -> None:
    world = World({A: 5})
    await world.tick()
    claims = len(world.claims)
    await world.release(5)
    assert len(world.claims) == claims
    await world.follower.close()


async def test_with_nothing_due_nothing_is_claimed() -> None:
    world = World({A: 0, B: 0})
    assert await world.tick() == {}
    assert world.begun == []


NOUNS: dict[str, Make] = {
    "payment": lambda merchant_id: payment(merchant_id=merchant_id, payment_id=uuid4()),
    "authentication": lambda merchant_id: authentication(merchant_id=merchant_id, authentication_id=uuid4()),
    "refund": lambda merchant_id: refund(merchant_id=merchant_id, refund_id=uuid4()),
}
each_noun = pytest.mark.parametrize("make", NOUNS.values(), ids=NOUNS)


@each_noun
async def test_a_follow_up_that_raises_is_told_of_and_frees_its_room(make: Make) -> None:
    world = World({A: HUGE, B: 1}, bad={B}, make=make)
    with capture_logs() as said:
        assert (await world.tick())[B] == 1
        await world.release(AT_ONCE)
        assert len(world.ended) == AT_ONCE - 1
        assert len(world.begun) == 2 * AT_ONCE
        await world.follower.close()
    (failed,) = [due for due in world.begun if due.merchant_id == B]
    lines: list[Any] = [line for line in said if line["event"] == "follow-up failed"]
    assert [line["object_id"] for line in lines] == [str(key_of(failed).object_id)]


# --- leases ---


@pytest.mark.parametrize("call_limit_s", [0.0, 30.0, 300.0])
async def test_a_claim_outlasts_the_longest_call_by_the_margin(call_limit_s: float) -> None:
    world = World({A: 1, B: 1}, call_limit_s=call_limit_s)
    await world.tick()
    assert world.leases == [timedelta(seconds=call_limit_s + LEASE_MARGIN_S)] * 2
    await world.follower.close()


async def test_a_longer_call_that_an_account_was_given_counts_from_the_next_tick() -> None:
    world = World({A: 1})
    await world.tick()
    world.due[A], world.call_limit_s = 1, 60.0
    await world.tick()
    assert world.leases == [timedelta(seconds=limit_s + LEASE_MARGIN_S) for limit_s in (30.0, 60.0)]
    await world.follower.close()


# --- the end ---


async def test_closing_waits_for_what_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_up, "CLOSE_WITHIN_S", 60.0)
    world = World({A: 2})
    await world.tick()
    closing = asyncio.create_task(world.follower.close())
    await world.release(1)
    assert not closing.done()
    await world.release(1)
    await closing
    assert (len(world.ended), world.cancelled) == (2, [])


async def test_closing_cancels_what_does_not_end_in_time() -> None:
    world = World({A: 3})
    await world.tick()
    await world.release(1)
    await world.follower.close()
    assert (len(world.ended), len(world.cancelled)) == (1, 2)


async def test_a_closed_follower_takes_nothing_more() -> None:
    world = World({A: HUGE})
    await world.follower.close()
    assert await world.tick() == {}
    assert world.begun == []


async def test_a_tick_that_is_under_way_when_it_is_closed_claims_for_no_further_merchant() -> None:
    world = World({A: 1, B: 1})
    closing: list[asyncio.Task[None]] = []

    async def close() -> None:
        closing.append(asyncio.create_task(world.follower.close()))
        await turns()

    world.while_claiming = close
    assert sum((await world.tick()).values()) == 1
    await asyncio.gather(*closing)
    await world.release(1)


async def test_a_merchant_whose_claim_fails_does_not_hold_up_the_others() -> None:
    world = World({A: HUGE, B: 3})

    async def fails_once() -> None:
        world.while_claiming = None
        raise ConnectionError("a shard is away")

    world.while_claiming = fails_once
    with capture_logs():
        taken = await world.tick()
    assert len(taken) == 1
    await world.follower.close()
