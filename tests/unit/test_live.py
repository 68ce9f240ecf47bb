"""Which processes are live, and the share of a channel that each of them has; under a clock that the test moves.

Not tested here: what a share bounds (test_rooms.py, test_pace.py), and beats in a database (tests/storage).
"""

from fractions import Fraction
from uuid import UUID, uuid4

import pytest

from gateway.run.live import LIVE_FOR_S, LiveProcesses
from gateway.run.rooms import ProcessRooms

A = UUID(int=1)


class Town:
    """Processes that share one table of beats, and their clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.beats: dict[UUID, int] = {}
        self.away = False

    def process(self) -> LiveProcesses:
        return LiveProcesses(self, uuid4(), lambda: self.now)

    async def beat(self, process_id: UUID) -> dict[UUID, int]:
        if self.away:
            raise ConnectionResetError
        self.beats[process_id] = self.beats.get(process_id, 0) + 1
        return dict(self.beats)

    async def end(self, process_id: UUID) -> None:
        self.beats.pop(process_id)


@pytest.fixture
def town() -> Town:
    return Town()


async def all_beat(town: Town, *processes: LiveProcesses, seconds: int = 1) -> list[int]:
    """Time passes; how many each of them counts then."""
    for _ in range(seconds):
        town.now += 1
        for each in processes:
            await each.beat()
    return [each.processes for each in processes]


async def test_one_that_starts_is_counted_at_the_next_beat_and_counts_the_others_at_once(town: Town) -> None:
    first = town.process()
    await first.beat()
    assert first.processes == 1
    second = town.process()
    await second.beat()
    assert second.processes == 2
    assert await all_beat(town, first, second) == [2, 2]


async def test_one_that_dies_is_counted_for_some_seconds_and_then_no_more(town: Town) -> None:
    first, dead = town.process(), town.process()
    await all_beat(town, first, dead, seconds=2)
    assert await all_beat(town, first, seconds=int(LIVE_FOR_S) - 1) == [2]
    assert await all_beat(town, first, seconds=2) == [1]


async def test_one_that_ends_leaves_its_share_at_once(town: Town) -> None:
    first, ends = town.process(), town.process()
    await all_beat(town, first, ends)
    await ends.stop()
    assert await all_beat(town, first) == [1]


async def test_one_that_stood_still_is_counted_again_when_it_goes_on(town: Town) -> None:
    first, still = town.process(), town.process()
    await all_beat(town, first, still)
    assert await all_beat(town, first, seconds=10) == [1]
    assert await all_beat(town, still, first) == [2, 2]


async def test_shares_stay_while_the_database_is_away_and_nobody_takes_all_when_it_is_back(town: Town) -> None:
    first, second = town.process(), town.process()
    await all_beat(town, first, second, seconds=2)
    town.away = True
    with pytest.raises(ConnectionResetError):
        await first.beat()
    town.now += 60
    assert first.processes == 2
    town.away = False
    await first.beat()
    assert first.processes == 2  # the second has not beaten since, but nobody could
    assert await all_beat(town, first, second) == [2, 2]


@pytest.mark.parametrize(
    ("at_once", "processes", "places"), [(10, 1, 8), (10, 2, 4), (10, 3, 2), (4, 4, 1), (2, 8, 1), (1, 3, 1)]
)
def test_each_has_an_equal_share_of_the_calls_at_once_and_one_at_least(
    at_once: int, processes: int, places: int
) -> None:
    rooms = ProcessRooms(2000, lambda *_: at_once, processes=lambda: processes)
    assert rooms.places(A, "up").room(asks=False).size == places


@pytest.mark.parametrize("processes", range(1, 12))
def test_the_rate_is_divided_exactly(processes: int) -> None:
    rooms = ProcessRooms(2000, lambda *_: 100, calls_per_second=lambda *_: 20, processes=lambda: processes)
    places = rooms.places(A, "up")
    paces = [places.room(asks=asks).pace for asks in (True, False)]
    shares = [Fraction(pace.tokens or 0) / Fraction(pace._back_after_s).limit_denominator(1000) for pace in paces]
    assert [float(share * processes) for share in shares] == [pytest.approx(4), pytest.approx(16)]


def test_a_share_that_changes_holds_for_the_next_call() -> None:
    processes = 1
    rooms = ProcessRooms(2000, lambda *_: 10, processes=lambda: processes)
    holders = [UUID(int=number) for number in range(9)]
    taken = [rooms.take(holder, A, "up") for holder in holders]
    assert taken == [True] * 8 + [False]
    processes = 2
    for holder in holders[:4]:
        rooms.leave(holder)
    assert not rooms.take(holders[0], A, "up")
    processes = 1
    assert rooms.take(holders[0], A, "up")


def test_a_channel_of_which_nothing_is_said_has_its_default_in_each_process() -> None:
    alone, beside = (ProcessRooms(100_000, lambda *_: None, processes=count) for count in (lambda: 1, lambda: 8))
    assert alone.places(A, "up").room(asks=False).size == beside.places(A, "up").room(asks=False).size
