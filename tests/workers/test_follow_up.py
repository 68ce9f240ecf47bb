"""The follower: who gets how much of its room, how long it claims for, what happens on faults and at its end.

Over claims in memory. Not tested here: the claims' SQL and their leases (tests/storage), what is done with what is due
(tests/unit/flows), when the ticks come (test_schedule.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from gateway.domain.intents import Verb
from gateway.flows.follow_up import Due
from gateway.flows.observations import key_of
from gateway.workers import follow_up
from gateway.workers.follow_up import AT_ONCE, LEASE_MARGIN_S, Follower
from tests.unit.domain.samples import NOW, authentication, intent, payment, refund

HUGE = 100_000
Make = Callable[[UUID], Due]
"""A new object of a merchant."""

A, B, C = (UUID(int=number) for number in (1, 2, 3))


@pytest.fixture(autouse=True)
def one_channel_may_take_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here is of one channel; the bound of a channel has its own test."""
    monkeypatch.setattr(follow_up, "AT_ONCE_PER_CHANNEL", AT_ONCE)


@dataclass
class World:
    """What is due by merchant, and follow-ups that each wait for a `release`."""

    due: dict[UUID, int]
    claims: list[tuple[UUID, int, int]] = field(default_factory=list)
    """(merchant, asked for, got), in their order."""
    leases: list[timedelta] = field(default_factory=list)
    left_out: list[list[str]] = field(default_factory=list)
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
            self, self._follow_up, self.due.keys, lambda: self.call_limit_s, lambda: NOW, self.counted.append
        )

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return [merchant for merchant in merchants if self.due[merchant]]

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, full: Collection[str] = ()
    ) -> list[Due]:
        if self.while_claiming is not None:
            await self.while_claiming()
        count = min(limit, self.due[merchant_id])
        self.due[merchant_id] -= count
        self.claims.append((merchant_id, limit, count))
        self.leases.append(lease_until - now)
        self.left_out.append(list(full))
        return [self.make(merchant_id) for _ in range(count)]

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
        return {merchant: got for merchant, _, got in self.claims[before:]}

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
    world = World({A: HUGE, B: HUGE, C: HUGE})
    firsts = []
    for _ in range(6):
        before = len(world.claims)
        await world.tick()
        firsts.append(world.claims[before][0])
        await world.release(AT_ONCE)
    assert set(firsts[:3]) == {A, B, C}
    assert firsts[3:] == firsts[:3]
    await world.follower.close()


async def test_one_free_place_goes_round_and_nobody_is_left_out() -> None:
    world = World({A: HUGE, B: HUGE, C: HUGE})
    await world.tick()
    turns_of = []
    for _ in range(3):
        await world.release(1)
        turns_of.append(next(iter(await world.tick())))
    assert set(turns_of) == {A, B, C}
    await world.follower.close()


async def test_with_more_merchants_than_room_everyone_has_a_turn_in_bounded_time() -> None:
    merchants = [UUID(int=number) for number in range(1, AT_ONCE + 37)]
    world = World(dict.fromkeys(merchants, HUGE))
    served: set[UUID] = set()
    for _ in range(37):
        served |= {merchant for merchant, got in (await world.tick()).items() if got}
        await world.release(AT_ONCE)
    assert served == set(merchants)
    await world.follower.close()


# --- room ---


async def test_no_more_is_in_hand_than_there_is_room_for_and_nothing_is_claimed_without_room() -> None:
    world = World({A: HUGE})
    assert await world.tick() == {A: AT_ONCE}
    assert await world.tick() == {}
    assert len(world.begun) == AT_ONCE
    await world.release(3)
    assert await world.tick() == {A: 3}
    assert world.claims == [(A, AT_ONCE, AT_ONCE), (A, 3, 3)]
    assert world.counted == [AT_ONCE, 3]
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
        assert await world.tick() == {A: AT_ONCE}
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


@each_noun
async def test_a_channel_that_hangs_takes_a_part_of_the_room_and_is_left_out_then(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    monkeypatch.setattr(follow_up, "AT_ONCE_PER_CHANNEL", 4)
    world = World({A: HUGE}, make=make)
    assert await world.tick() == {A: 4}
    await asyncio.sleep(0)
    await world.tick()
    assert world.left_out == [[], ["up"]]
    await world.release(4)
    await world.tick()
    await world.follower.close()


async def test_what_is_in_hand_of_a_channel_is_counted_over_all_that_is_asked_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow_up, "AT_ONCE_PER_CHANNEL", 3)
    elsewhere = refund(intent=intent(Verb.REFUND, channel="tl"))
    due: list[Due] = [payment(), authentication(), refund()]
    due += [elsewhere, payment(channel="tl"), authentication(channel="tl")]
    world = World({A: len(due)}, make=lambda merchant_id: replace(due.pop(0), merchant_id=merchant_id))
    for _ in range(2):
        assert await world.tick() == {A: 3}
    due.append(payment())
    world.due[A] = 1
    await world.tick()
    assert world.left_out == [[], ["up"], ["up", "tl"]]
    await world.follower.close()


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
