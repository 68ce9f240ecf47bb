"""A database that is away: which errors say so, and what becomes of a batch then.

Not tested here: poisoned items and the order of flushes (test_batching.py), a server that really goes away (tests/e2e).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from sqlalchemy import exc

from gateway.storage.server.troubles import Trouble, comes_again, condemns, is_away, is_busy, trouble_of
from gateway.storage.writing.batching import Batcher

AWAY: list[Exception] = [
    asyncpg.IdleInTransactionSessionTimeoutError("idle"),  # 25P03
    OSError("no route to host"),
    ConnectionRefusedError("refused"),
    ConnectionResetError("reset"),
    FileNotFoundError("no such socket"),
    TimeoutError("no free connection"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("got result for unknown protocol state 3"),
    asyncpg.PostgresConnectionError("lost"),  # 08000
    asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),  # 08003
    asyncpg.ConnectionFailureError("lost"),  # 08006
    asyncpg.AdminShutdownError("terminated"),  # 57P01
    asyncpg.CrashShutdownError("crashed"),  # 57P02
    asyncpg.CannotConnectNowError("starting up"),  # 57P03
    asyncpg.ReadOnlySQLTransactionError("a standby"),  # 25006
    asyncpg.InvalidPasswordError("not let in"),  # 28P01
    asyncpg.InvalidCatalogNameError("no such database"),  # 3D000
]
SHORT: list[Exception] = [
    asyncpg.OutOfMemoryError("out of memory"),  # 53200
    asyncpg.DiskFullError("disk full"),  # 53100
    asyncpg.TooManyConnectionsError("too many clients"),  # 53300
    asyncpg.PostgresIOError("the disk"),  # 58030
    asyncpg.UndefinedFileError("no such file"),  # 58P01
]
BUSY: list[Exception] = [
    asyncpg.LockNotAvailableError("lock timeout"),  # 55P03
    asyncpg.ObjectInUseError("in use"),  # 55006
    asyncpg.DeadlockDetectedError("deadlock"),  # 40P01
    asyncpg.SerializationError("serialization"),  # 40001
    asyncpg.StatementCompletionUnknownError("who knows"),  # 40003
]
TIME_RAN_OUT = asyncpg.QueryCanceledError("statement timeout")  # 57014
STALE: list[Exception] = [
    asyncpg.FeatureNotSupportedError("cached plan must not change result type"),  # 0A000
    asyncpg.exceptions.InvalidCachedStatementError("cached plan"),  # what asyncpg makes of it
    asyncpg.InvalidSQLStatementNameError("no such prepared statement"),  # 26000
]
ODD: list[Exception] = [
    asyncpg.UndefinedTableError("no such table"),  # 42P01
    asyncpg.InsufficientPrivilegeError("not allowed"),  # 42501
    asyncpg.DataCorruptedError("a broken page"),  # XX001
]
REFUSED: list[Exception] = [
    asyncpg.UniqueViolationError("duplicate"),  # 23505
    asyncpg.CheckViolationError("check"),  # 23514
    asyncpg.ForeignKeyViolationError("no such row"),  # 23503
    asyncpg.DataError("invalid input for query argument"),  # 22000, also when asyncpg refuses a value by itself
    asyncpg.CharacterNotInRepertoireError("0x00"),  # 22021
    asyncpg.CardinalityViolationError("twice"),  # 21000
    asyncpg.ProgramLimitExceededError("index row too large"),  # 54000
    asyncpg.exceptions._base.DataError("invalid input"),  # an InterfaceError that is about a value
    RuntimeError("a bug"),
    KeyError("53300"),
    ValueError("08006"),
]
GONE = AWAY + SHORT
HELD_UP = GONE + BUSY + STALE
HERE = ODD + REFUSED
KINDS = [
    *((each, Trouble.AWAY) for each in AWAY),
    *((each, Trouble.SHORT) for each in SHORT),
    *((each, Trouble.BUSY) for each in [*BUSY, TIME_RAN_OUT]),
    *((each, Trouble.STALE) for each in STALE),
    *((each, Trouble.ODD) for each in ODD),
    *((each, Trouble.REFUSED) for each in REFUSED),
]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


class StateError(Exception):
    """An error that tells nothing but an SQLSTATE."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=name_of)
def test_each_error_is_of_one_kind(error: Exception, kind: Trouble) -> None:
    assert trouble_of(error) is kind
    assert is_away(error) is (kind in {Trouble.AWAY, Trouble.SHORT})
    assert is_busy(error) is (kind in {Trouble.BUSY, Trouble.STALE})
    assert condemns(error) is (kind is Trouble.AWAY)
    assert comes_again(error) is (kind is not Trouble.REFUSED)


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=name_of)
def test_an_error_means_the_same_when_sqlalchemy_wraps_it(error: Exception, kind: Trouble) -> None:
    adapted = StateError(getattr(error, "sqlstate", None))
    adapted.__cause__ = error
    assert trouble_of(exc.DBAPIError("SELECT 1", {}, adapted)) is kind or kind is Trouble.REFUSED


@pytest.mark.parametrize(
    ("sqlstate", "away"),
    [
        ("08006", True),
        ("53300", True),
        ("08P01", True),
        ("57P05", True),
        ("58000", True),
        ("25006", True),
        ("25P02", False),
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


@pytest.mark.parametrize("error", HELD_UP, ids=name_of)
async def test_a_batch_is_tried_once_more_as_a_whole_when_the_database_comes_back(error: Exception) -> None:
    flushes = Flushes(error)
    assert await heard_by(flushes) == [0, 10, 20, 30]
    assert flushes.batches == [WHOLE, WHOLE]


@pytest.mark.parametrize("error", HELD_UP, ids=name_of)
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


async def test_a_batch_whose_time_ran_out_does_not_wait_as_long_again() -> None:
    flushes = Flushes(TIME_RAN_OUT)
    assert await heard_by(flushes) == [TIME_RAN_OUT] * 4
    assert flushes.batches == [WHOLE]


@pytest.mark.parametrize("error", [*HELD_UP, TIME_RAN_OUT], ids=name_of)
async def test_those_who_waited_while_a_batch_failed_do_not_wait_in_turn(error: Exception) -> None:
    flushes = Flushes(*[error] * 2)
    batcher: Batcher[int, int] = Batcher(flushes, max_batch=2, max_waiting=100)
    heard = await asyncio.gather(*(batcher.submit(item) for item in range(20)), return_exceptions=True)
    assert heard == [error] * 20
    assert all(batch == [0, 1] for batch in flushes.batches)
    flushes.faults.clear()
    assert await batcher.submit(7) == 70


async def test_those_who_came_while_a_batch_failed_are_tried() -> None:
    flushes, late = Flushes(OSError("away"), OSError("away")), asyncio.Event()

    async def flush(items: list[int]) -> Sequence[int | Exception]:
        late.set()
        await asyncio.sleep(0)
        return await flushes(items)

    batcher: Batcher[int, int] = Batcher(flush, max_batch=2, max_waiting=100)
    first = asyncio.create_task(batcher.submit(1))
    await late.wait()
    assert await batcher.submit(2) == 20
    with pytest.raises(OSError, match="away"):
        await first


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
