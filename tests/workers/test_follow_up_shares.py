"""What the follower gives to whom: a channel that hangs and a merchant with a million due rows leave the others theirs.

Over claims in memory. Not tested here: the claims' SQL (tests/storage/test_claims.py).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

import pytest

from gateway.flows.follow_up import Due, channel_of
from gateway.storage.writing.claims import shares
from gateway.workers import follow_up
from gateway.workers.follow_up import AT_ONCE, Follower
from tests.unit.domain.samples import NOW, payment

MILLION = 1_000_000
A, B = UUID(int=1), UUID(int=2)
ids = (UUID(int=number) for number in count(1000))


@pytest.fixture(autouse=True)
def _close_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_up, "CLOSE_WITHIN_S", 0.0)


@dataclass
class Books:
    """What is due of each channel of a merchant. Some channels hang; the others answer at once."""

    due: dict[tuple[UUID, str], int]
    hanging: set[str] = field(default_factory=set)
    questions_at_once: int = MILLION
    done: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    in_hand: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.answers = asyncio.Event()
        self.follower = Follower(
            self,
            self._follow_up,
            lambda: {merchant for merchant, _ in self.due},
            lambda: 30.0,
            lambda merchant_id, channel: self.questions_at_once,
            lambda merchant_id, channel: channel,
            lambda: NOW,
            lambda claimed: None,
        )

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        return [each for each in merchants if any(left for (merchant, _), left in self.due.items() if merchant == each)]

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, room: Callable[[str], int]
    ) -> list[Due]:
        await asyncio.sleep(0)
        channels = [channel for (merchant, channel), left in self.due.items() if merchant == merchant_id and left]
        claimed: list[Due] = []
        for channel, most in shares(channels, limit, room).items():
            got = min(most, self.due[merchant_id, channel])
            self.due[merchant_id, channel] -= got
            claimed += [payment(merchant_id=merchant_id, payment_id=next(ids), channel=channel) for _ in range(got)]
        return claimed

    async def _follow_up(self, due: Due) -> None:
        channel = (due.merchant_id, channel_of(due))
        self.in_hand[channel] += 1
        await (self.answers.wait() if channel_of(due) in self.hanging else asyncio.sleep(0))
        self.in_hand[channel] -= 1
        self.done[channel] += 1

    async def work(self, ticks: int = 1, turns: int = 100) -> None:
        for _ in range(ticks):
            await self.follower.tick()
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_a_channel_that_hangs_takes_a_third_and_the_others_go_on_between_the_ticks() -> None:
    books = Books({(A, "hangs"): MILLION, (A, "up"): 5000}, hanging={"hangs"})
    await books.work(turns=3000)
    assert books.in_hand[A, "hangs"] <= AT_ONCE // 3
    assert books.done[A, "up"] == 5000
    await books.follower.close()


async def test_a_provider_that_hangs_for_many_merchants_leaves_half_of_the_places() -> None:
    """Here a channel is named after its provider."""
    hanging = {(UUID(int=number), "hangs"): MILLION for number in range(100, 200)}
    books = Books(hanging | {(B, "up"): 500}, hanging={"hangs"})
    await books.work(ticks=5, turns=500)
    assert books.done[B, "up"] == 500
    assert sum(books.in_hand[each] for each in hanging) <= AT_ONCE // 2
    await books.follower.close()


async def test_a_merchant_with_a_million_due_rows_leaves_the_others_their_turn() -> None:
    books = Books({(A, "up"): MILLION, (B, "up"): 300, (B, "tl"): 300})
    await books.work(turns=500)
    assert books.done[B, "up"] == books.done[B, "tl"] == 300
    assert books.done[A, "up"] >= 300
    await books.follower.close()


async def test_merchants_that_come_to_their_end_one_after_another_are_all_done_between_two_ticks() -> None:
    due = {(UUID(int=number), "up"): 40 * number for number in range(1, 9)}
    books = Books(dict(due))
    await books.work(turns=2000)
    assert books.done == due
    await books.follower.close()


async def test_no_more_is_asked_of_a_channel_than_it_has_places_for_questions() -> None:
    books = Books({(A, "hangs"): MILLION}, hanging={"hangs"}, questions_at_once=3)
    await books.work(ticks=3)
    assert books.in_hand[A, "hangs"] == 3
    books.answers.set()
    await books.work(ticks=0)
    books.answers.clear()
    await books.follower.close()


async def test_of_a_channel_that_cannot_be_asked_nothing_is_claimed() -> None:
    books = Books({(A, "up"): 10}, questions_at_once=0)
    await books.work(ticks=3)
    assert books.due[A, "up"] == 10
    books.questions_at_once = 1
    await books.work(ticks=1)
    assert books.due[A, "up"] == 0
    await books.follower.close()


@pytest.mark.parametrize(
    ("rooms", "most", "given"),
    [
        ({"a": 100, "b": 100}, 10, {"a": 5, "b": 5}),
        ({"a": 2, "b": 100}, 10, {"a": 2, "b": 8}),
        ({"a": 0, "b": 100, "c": -3}, 10, {"b": 10}),
        ({"a": 100, "b": 100, "c": 100}, 2, {"a": 1, "b": 1}),
        ({"a": 1, "b": 1}, 10, {"a": 1, "b": 1}),
        ({}, 10, {}),
        ({"a": 5}, 0, {}),
    ],
    ids=str,
)
def test_channels_share_a_claim_evenly_and_what_one_has_no_room_for_is_the_others(
    rooms: dict[str, int], most: int, given: dict[str, int]
) -> None:
    assert shares(list(rooms), most, lambda channel: rooms[channel]) == given
