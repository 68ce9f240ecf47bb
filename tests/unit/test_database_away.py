"""A database that is away: which errors say so, and what becomes of a batch then.

Not tested here: poisoned items and the order of flushes (test_batching.py), a server that really goes away (tests/e2e).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from gateway.storage.server.troubles import is_away, is_busy
from gateway.storage.writing.batching import Batcher

AWAY: list[Exception] = [
    OSError("no route to host"),
    ConnectionRefusedError("refused"),
    ConnectionResetError("reset"),
    FileNotFoundError("no such socket"),
    TimeoutError("no free connection"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.PostgresConnectionError("lost"),  # 08000
    asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),  # 08003
    asyncpg.ConnectionFailureError("lost"),  # 08006
    asyncpg.OutOfMemoryError("out of memory"),  # 53200
    asyncpg.DiskFullError("disk full"),  # 53100
    asyncpg.TooManyConnectionsError("too many clients"),  # 53300
    asyncpg.AdminShutdownError("terminated"),  # 57P01
    asyncpg.CrashShutdownError("crashed"),  # 57P02
    asyncpg.CannotConnectNowError("starting up"),  # 57P03
]
HERE: list[Exception] = [
    asyncpg.UniqueViolationError("duplicate"),  # 23505
    asyncpg.CheckViolationError("check"),  # 23514
    asyncpg.DataError("invalid input for query argument"),  # 22000, also when asyncpg refuses a value by itself
    asyncpg.CharacterNotInRepertoireError("0x00"),  # 22021
    asyncpg.LockNotAvailableError("lock timeout"),  # 55P03
    asyncpg.QueryCanceledError("statement timeout"),  # 57014
    asyncpg.DeadlockDetectedError("deadlock"),  # 40P01
    asyncpg.SerializationError("serialization"),  # 40001
    asyncpg.UndefinedTableError("no such table"),  # 42P01
    RuntimeError("a bug"),
    KeyError("53300"),
    ValueError("08006"),
]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


class StateError(Exception):
    """An error that tells nothing but an SQLSTATE."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.parametrize("error", AWAY, ids=name_of)
def test_a_database_that_cannot_be_reached_or_stops_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize("error", HERE, ids=name_of)
def test_a_database_that_refuses_what_it_is_told_is_there(error: Exception) -> None:
    assert not is_away(error)


@pytest.mark.parametrize(
    ("sqlstate", "away"),
    [
        ("08006", True),
        ("53300", True),
        ("57P01", True),
        ("23505", False),
        ("55P03", False),
        ("57014", False),
        ("00000", False),
        ("", False),
        (None, False),
    ],
)
def test_the_state_decides_whatever_the_error_is_called(sqlstate: str | None, away: bool) -> None:
    assert is_away(StateError(sqlstate)) is away


class Flushes:
    """Fails with each of `faults` in turn, then goes through; remembers what it was given."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.batches: list[list[int]] = []

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        if self.faults:
            raise self.faults.pop(0)
        return [item * 10 for item in items]


async def heard_by(flushes: Flushes, items: int = 4) -> list[Any]:
    """What each of so many items that share a flush hears."""
    batcher: Batcher[int, int] = Batcher(flushes, max_batch=items, max_waiting=items)
    heard = await asyncio.gather(*(batcher.submit(item) for item in range(items)), return_exceptions=True)
    await batcher.drain()
    return heard


WHOLE = [0, 1, 2, 3]


@pytest.mark.parametrize("error", AWAY, ids=name_of)
async def test_a_batch_is_tried_once_more_as_a_whole_when_the_database_comes_back(error: Exception) -> None:
    flushes = Flushes(error)
    assert await heard_by(flushes) == [0, 10, 20, 30]
    assert flushes.batches == [WHOLE, WHOLE]


@pytest.mark.parametrize("error", AWAY, ids=name_of)
async def test_a_batch_fails_for_all_at_once_when_the_database_stays_away(error: Exception) -> None:
    flushes = Flushes(error, error)
    assert await heard_by(flushes) == [error] * 4
    assert flushes.batches == [WHOLE, WHOLE]


@pytest.mark.parametrize("error", HERE, ids=name_of)
async def test_a_batch_that_was_refused_is_halved(error: Exception) -> None:
    flushes = Flushes(error)
    assert await heard_by(flushes) == [0, 10, 20, 30]
    assert flushes.batches == [WHOLE, [0, 1], [2, 3]]


async def test_a_batch_that_is_refused_after_the_database_came_back_is_halved() -> None:
    flushes = Flushes(OSError("away"), asyncpg.UniqueViolationError("duplicate"))
    assert await heard_by(flushes) == [0, 10, 20, 30]
    assert flushes.batches == [WHOLE, WHOLE, [0, 1], [2, 3]]


async def test_a_half_during_which_the_database_goes_away_fails_and_takes_nothing_with_it() -> None:
    away = OSError("away")
    flushes = Flushes(asyncpg.UniqueViolationError("duplicate"), away)
    assert await heard_by(flushes) == [away, away, 20, 30]
    assert flushes.batches == [WHOLE, [0, 1], [2, 3]]


async def test_an_item_alone_is_tried_as_often_as_a_batch() -> None:
    away = OSError("away")
    flushes = Flushes(away, away)
    assert await heard_by(flushes, items=1) == [away]
    assert flushes.batches == [[0], [0]]


async def test_what_comes_after_a_failed_batch_is_flushed() -> None:
    flushes = Flushes(OSError("away"), OSError("away"))
    batcher: Batcher[int, int] = Batcher(flushes, max_batch=4, max_waiting=4)
    with pytest.raises(OSError, match="away"):
        await batcher.submit(1)
    assert await batcher.submit(2) == 20
    assert flushes.batches == [[1], [1], [2]]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.LockNotAvailableError("lock timeout"),
        asyncpg.QueryCanceledError("statement timeout"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.SerializationError("serialization"),
    ],
    ids=name_of,
)
def test_a_wait_that_was_cut_is_busy_and_not_away(error: Exception) -> None:
    assert is_busy(error)
    assert not is_away(error)


@pytest.mark.parametrize(
    "error", [*AWAY, asyncpg.UniqueViolationError("duplicate"), RuntimeError("a bug")], ids=name_of
)
def test_what_is_away_or_refused_is_not_busy(error: Exception) -> None:
    assert not is_busy(error)
