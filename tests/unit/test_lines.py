"""What withholds in line may take of a channel: what charges leave. Under a clock that the test moves.

Not tested here: who is sent, and in which order (tests/storage/test_line.py); a whole line beside charges
(tests/storage/test_line_and_charges.py).
"""

import random
from itertools import count
from uuid import UUID

import pytest

from gateway.run.lines import ProcessLines, kept
from gateway.run.rooms import ProcessRooms

A = UUID(int=1)
ids = (UUID(int=number) for number in count(100))


class Channel:
    """One channel of 16 calls a second beside the questions', or of some places, and its line."""

    def __init__(self, at_once: int | None = None, per_second: int | None = None) -> None:
        self.now = 0.0
        self.rooms = ProcessRooms(
            10_000, lambda *_: at_once, calls_per_second=lambda *_: per_second, clock=lambda: self.now
        )
        self.lines = ProcessLines(self.rooms, lambda: self.now)

    async def charge(self) -> bool:
        """A charge that is done at once; whether there was a place for it."""
        holder = next(ids)
        taken = self.rooms.take(holder, A, "up") and await self.rooms.may_call(holder, 0)
        self.rooms.leave(holder)
        return taken

    async def serve(self) -> int:
        """Send from the line as much as may be; how many."""
        sent = 0
        for _ in range(self.lines.room(A, "up")):
            holder = next(ids)
            sent += self.lines.take(holder, A, "up") and await self.rooms.may_call(holder, 0)
            self.lines.leave(holder)
        return sent


@pytest.mark.parametrize("size", range(1, 200))
def test_something_is_left_for_both_as_far_as_there_is_more_than_one(size: int) -> None:
    for others in (0.0, 0.3, 1.0, size / 2, size * 2.0):
        assert 0 <= kept(size, others) < size
        assert size == 1 or kept(size, others) >= 1


async def test_where_no_charge_comes_the_line_has_three_quarters() -> None:
    channel = Channel(per_second=20)
    sent = 0
    for _ in range(200):  # ten seconds
        sent += await channel.serve()
        channel.now += 0.05
    assert sent == 120


@pytest.mark.parametrize("per_second", [1.0, 3.0, 6.0])
async def test_charges_hardly_ever_find_their_place_taken_by_the_line(per_second: float) -> None:
    channel, dice = Channel(per_second=20), random.Random(1)
    taken = refused = sent = 0
    for step in range(20 * 300):  # five minutes
        if step % 10 == 0:
            sent += await channel.serve()
        if dice.random() < per_second / 20:
            done = await channel.charge()
            taken, refused = taken + done, refused + (not done)
        channel.now += 0.05
    assert refused <= taken * 0.01
    assert sent >= 300 * 2  # a line moves all the same


async def test_however_many_charges_come_the_line_moves() -> None:
    channel = Channel(per_second=20)
    sent = 0
    for _ in range(20 * 60):
        for _ in range(2):
            await channel.charge()
        channel.now += 0.05
        sent += await channel.serve()
    assert sent >= 30


async def test_places_are_left_for_charges_that_take_long() -> None:
    channel = Channel(at_once=20)
    holders = [next(ids) for _ in range(5)]
    for holder in holders:
        assert channel.rooms.take(holder, A, "up")
    may = channel.lines.room(A, "up")
    assert may == 4  # 16 places, 5 of them with charges, and more may come
    for _ in range(may):
        assert channel.lines.take(next(ids), A, "up")
    assert channel.lines.room(A, "up") == 0
    assert channel.rooms.full(A) == []


def test_those_in_line_are_known_as_long_as_they_stand_there() -> None:
    channel = Channel()
    assert not channel.rooms.has_line(A, "up")
    channel.lines.stands(A, "up", stands=True)
    assert channel.rooms.has_line(A, "up")
    assert not channel.rooms.has_line(A, "tl")
    channel.lines.stands(A, "up", stands=False)
    assert channel.lines.known() == []


def test_where_nobody_serves_lines_none_is_known() -> None:
    rooms = ProcessRooms(100, lambda *_: None)
    rooms.stand_in_line(A, "up")
    assert not rooms.has_line(A, "up")
