"""What PSPs said comes again until it is recorded, whatever keeps the database from taking it; orders are told to.

Not here: connections that fall silent (test_failover), users whose rows are held (test_busy_users), and which error is
of which kind (tests/unit/test_database_away).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from gateway.domain.hearing import Source
from gateway.domain.outcomes import NotSent, Outcome, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.ports import DatabaseAwayError, OpenResult
from gateway.run.running_tasks import RunningTasks
from gateway.storage.server.database import Database
from gateway.storage.server.engine import LOCK_TIMEOUT_MS
from tests.keys import new_keys
from tests.silent_proxy import SilentProxy, silent_proxy
from tests.storage.gateway_process import Process, observation
from tests.unit.domain.samples import catalogue, channel, opening, order, rule

HELD_BACK = "what PSPs said cannot be recorded, and comes again"
ENDED = "ended before it was recorded: the PSP is asked again"
PATIENCE_S = 60.0
WAITING = 64

Said = list[MutableMapping[str, Any]]


@pytest.fixture
def url(own_engine: AsyncEngine) -> str:
    return own_engine.url.render_as_string(hide_password=False)


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(url) as proxy:
        yield proxy


@pytest.fixture
async def process(own_engine: AsyncEngine, proxy: SilentProxy, url: str) -> AsyncIterator[Process]:
    """A gateway process whose way to the database is the proxy."""
    database = Database(proxy.url(url), 4)
    process = Process(own_engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))
    process.witnessed_by(lambda _: database)
    yield process
    await database.close()


@pytest.fixture
def said() -> Any:
    with capture_logs() as said:
        yield said


@contextlib.asynccontextmanager
async def besides(url: str) -> AsyncIterator[Any]:
    """Somebody else's session, who never went through the proxy."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 -- looks at what the code under test does, which tells nobody
            await asyncio.sleep(0.01)


def told(said: Said, event: str) -> int:
    return sum(line["event"] == event for line in said)


def words_about(process: Process, payments: list[Payment]) -> list["asyncio.Task[Any]"]:
    """What their PSPs said of two payments, on its way to the books."""
    words: list[Outcome] = [Succeeded(1000), NotSent("refused")]
    return [
        asyncio.create_task(process.books.record(observation(payment, word, Source.ANSWER)))
        for payment, word in zip(payments, words, strict=True)
    ]


async def all_recorded(process: Process, payments: list[Payment], words: list["asyncio.Task[Any]"]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*words)
    assert [(await process.read(payment)).status for payment in payments] == [Status.SUCCEEDED, Status.FAILED]
    assert await process.count("observations") == 2


async def test_words_wait_while_the_database_is_away(process: Process, proxy: SilentProxy, said: Said) -> None:
    await process.open_one()
    payments = [await process.open_one() for _ in range(2)]
    proxy.cut()
    words = words_about(process, payments)
    await until(lambda: proxy.refused >= 8)  # four flushes, each tried twice
    assert not any(word.done() for word in words)
    proxy.mend()
    await all_recorded(process, payments, words)
    assert told(said, HELD_BACK) >= 1


async def test_words_wait_while_the_server_only_reads_and_its_sessions_are_left(
    process: Process, proxy: SilentProxy, url: str, said: Said
) -> None:
    payments = [await process.open_one() for _ in range(2)]
    async with besides(url) as other:
        name = await other.fetchval("SELECT current_database()")
        await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        proxy.cut()  # the sessions from before may still write
        proxy.mend()
        words = words_about(process, payments)
        await until(lambda: told(said, HELD_BACK))
        assert "ReadOnlySQLTransactionError" in str(said)
        with pytest.raises(DatabaseAwayError):
            await process.books.open(opening(order("refused")))
        # Sessions that were opened meanwhile would only read for ever.
        await other.execute("SET default_transaction_read_only = off")
        await other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await all_recorded(process, payments, words)
    assert isinstance(await process.books.open(opening(order("taken"))), OpenResult)


async def test_words_wait_while_an_index_is_built(process: Process, url: str, said: Said) -> None:
    payments = [await process.open_one() for _ in range(2)]
    async with besides(url) as other, other.transaction():
        await other.execute("CREATE INDEX of_nobody ON observations (observed_at)")
        words = words_about(process, payments)
        await until(lambda: told(said, HELD_BACK))
    await all_recorded(process, payments, words)


async def test_a_column_that_changes_its_type_costs_nobody_anything(process: Process, url: str, said: Said) -> None:
    """The plans that every session has prepared must not change their result, says PostgreSQL: 0A000."""
    await asyncio.gather(*words_about(process, [await process.open_one() for _ in range(2)]))
    async with besides(url) as other:
        await other.execute("ALTER TABLE payments ALTER COLUMN description TYPE varchar(2000)")
    more = [await process.open_one() for _ in range(2)]
    await asyncio.gather(*(process.heard(payment, Succeeded(1000)) for payment in more))
    assert [(await process.read(payment)).status for payment in more] == [Status.SUCCEEDED] * 2
    assert told(said, HELD_BACK) == 0


async def test_a_row_that_somebody_holds_keeps_only_its_own_word_waiting(
    process: Process, url: str, said: Said
) -> None:
    held, free = await process.open_one(user_id="held"), await process.open_one(user_id="free")
    async with besides(url) as other:
        async with other.transaction():
            await other.execute("SELECT 1 FROM payments WHERE payment_id = $1 FOR UPDATE", held.payment_id)
            words = [
                asyncio.create_task(process.books.record(observation(each, Succeeded(1000)))) for each in (held, free)
            ]
            async with asyncio.timeout(PATIENCE_S):
                await words[1]
            assert not words[0].done()
        async with asyncio.timeout(PATIENCE_S):
            await words[0]
    assert (await process.read(held)).status is Status.SUCCEEDED


async def test_a_process_that_ends_says_what_it_could_not_record(
    process: Process, proxy: SilentProxy, said: Said
) -> None:
    payment = await process.open_one()
    proxy.cut()
    tasks = RunningTasks()
    tasks.start(process.books.record(observation(payment, Succeeded(1000), Source.ANSWER)))
    await until(lambda: told(said, HELD_BACK))
    await tasks.finish(0.1)
    await process.books.drain(0.1)
    (line,) = [line for line in said if line["event"] == ENDED]
    assert (line["object_id"], line["verb"], line["said"]) == (str(payment.payment_id), "pay", "Succeeded")
    assert line["log_level"] == "error"


async def test_orders_do_not_wait_in_turn_for_a_table_that_is_locked(process: Process, url: str) -> None:
    await process.open_one()
    async with besides(url) as other:
        async with other.transaction():
            await other.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
            began = time.perf_counter()
            results = await asyncio.gather(
                *(process.books.open(opening(order(f"waits-{n}", user_id=f"u{n}"))) for n in range(WAITING)),
                return_exceptions=True,
            )
            took_s = time.perf_counter() - began
        assert all(isinstance(result, DatabaseAwayError) for result in results)
        # One flush of one order and one of all the others, each tried twice; halved it would be more than a hundred.
        assert took_s < LOCK_TIMEOUT_MS / 1000 * WAITING / 4
        again = await asyncio.gather(
            *(process.books.open(opening(order(f"waits-{n}", user_id=f"u{n}"))) for n in range(WAITING))
        )
    assert all(isinstance(result, OpenResult) for result in again)
    assert await process.count("payments") == WAITING + 1
