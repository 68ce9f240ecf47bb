"""Loading statements: all or nothing, once, one after the other; and what a corrected one takes back and leaves.

Not tested here: what each line is (test_comparing), reading files (tests/adapters).
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.reconciled import DayClosedError, OtherStatementError
from gateway.domain.statements import StatementLine
from tests.databases import database_on
from tests.storage.reconciling_desk import ACCOUNT, DAY, Desk, Line, at, counted

ALL_ROWS = (
    "SELECT (SELECT count(*) FROM statements), (SELECT count(*) FROM statement_lines), "
    "(SELECT count(*) FROM reconciled_days), (SELECT count(*) FROM differences)"
)
WAITS_FOR_ITS_TURN = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    return Desk(alone, database_on(engine))


async def rows(desk: Desk) -> tuple[int, ...]:
    return tuple(await desk.connection.fetchrow(ALL_ROWS))


async def versions(desk: Desk) -> list[tuple[int, bool]]:
    found = await desk.connection.fetch("SELECT version, replaced_at IS NULL FROM statements ORDER BY day, version")
    return [tuple(each) for each in found]


async def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    await desk.has("ours", 100)
    first = await desk.compares(0, [Line("theirs", 5)], sha="a")
    before = await rows(desk), await desk.differs()
    again = await desk.compares(0, [Line("never read", 5)], sha="a")
    assert (await rows(desk), await desk.differs()) == before
    assert first.is_new
    assert not again.is_new
    assert again.totals == first.totals
    assert (again.statement_id, again.version) == (first.statement_id, 1)


async def test_the_same_lines_in_other_bytes_change_nothing(desk: Desk) -> None:
    await desk.has("ours", 100)
    lines = [Line("theirs", 5, no="t\t1", original="汉字"), Line(None, 6)]
    first = await desk.compares(0, lines)
    before = await rows(desk), await desk.differs()
    for why in (None, "they packed it anew"):
        again = await desk.compares(0, lines, why=why)
        assert (await rows(desk), await desk.differs(), await versions(desk)) == (*before, [(1, True)])
        assert not again.is_new
        assert (again.statement_id, again.version, again.totals) == (first.statement_id, 1, first.totals)


async def test_the_same_lines_change_nothing_on_a_closed_day_either(desk: Desk) -> None:
    await desk.compares(0, [Line("theirs", 5)])
    await desk.connection.execute("UPDATE reconciled_days SET closed_at = now(), closed_by = 'ann'")
    assert not (await desk.compares(0, [Line("theirs", 5)], why="they sent another")).is_new


@pytest.mark.parametrize(
    "lines",
    [
        [Line("m", 6), Line("n", 5, fee=1, no="t")],
        [Line("n", 5, fee=1, no="t")],
        [Line("n", 5, fee=1, no="t"), Line("m", 6), Line("m", 6)],
        [Line("n", 5, fee=1, no="t"), Line("m", 7)],
        [Line("n", 5, no="t"), Line("m", 6)],
        [Line("n", 5, fee=1, no="t", paid=False), Line("m", 6)],
        [Line("n", 5, fee=1, no="t", when=at("12:01")), Line("m", 6)],
    ],
    ids=["another order", "one is missing", "one is there twice", "an amount", "a fee", "a status", "a time"],
)
async def test_lines_that_say_anything_else_are_another_statement(desk: Desk, lines: list[StatementLine]) -> None:
    await desk.compares(0, [Line("n", 5, fee=1, no="t"), Line("m", 6)])
    with pytest.raises(OtherStatementError):
        await desk.compares(0, lines)


async def test_two_operators_at_once_load_it_once(desk: Desk) -> None:
    done = await asyncio.gather(*(desk.compares(0, [Line("theirs", 5)], sha="a") for _ in range(3)))
    assert sorted(each.is_new for each in done) == [False, False, True]
    assert await rows(desk) == (1, 1, 1, 1)


async def test_two_days_at_once_are_compared_one_after_the_other(desk: Desk) -> None:
    await desk.has("n", 100, when=at("23:50"))
    await asyncio.gather(desk.compares(0, []), desk.compares(1, [Line("n", 100, when=at("00:01", 1))]))
    # Whichever came first: the entry has its line, once.
    assert await desk.differs() in (["0 suspense in n resolved, became matched"], ["1 matched in n resolved"])


async def test_another_file_is_refused(desk: Desk) -> None:
    await desk.compares(0, [Line("theirs", 5)])
    before = await rows(desk)
    with pytest.raises(OtherStatementError, match="another statement of 2026-03-05 in force: version 1"):
        await desk.compares(0, [Line("theirs", 6)])
    assert await rows(desk) == before


async def test_an_error_in_the_middle_of_reading_leaves_nothing(desk: Desk) -> None:
    def breaks_off() -> Iterator[StatementLine]:
        for n in range(5_000):
            yield Line(f"n{n}", 5)
        raise ValueError("line 5001 is none")

    with pytest.raises(ValueError, match="line 5001"):
        await desk.store.load(desk.loading(0), breaks_off())
    assert await rows(desk) == (0, 0, 0, 0)
    await desk.compares(0, [Line("theirs", 5)])
    assert await rows(desk) == (1, 1, 1, 1)


async def test_a_connection_that_breaks_in_the_middle_leaves_nothing(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND query LIKE 'COPY%statement_lines%'"
    )

    def is_cut_off() -> Iterator[StatementLine]:
        for n in range(20_000):
            if n == 10_000:
                killed = asyncio.run_coroutine_threadsafe(desk.connection.fetch(kill), loop).result()
                assert len(killed) == 1
            yield Line(f"n{n}", 5)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await desk.store.load(desk.loading(0), is_cut_off())
    assert await rows(desk) == (0, 0, 0, 0)
    await desk.compares(0, [Line("theirs", 5)])


async def test_it_hears_how_far_it_is(desk: Desk) -> None:
    heard: list[int] = []
    await desk.store.load(desk.loading(0), iter([Line(f"n{n}", 5) for n in range(2_500)]), heard.append)
    assert heard == [1_000, 2_000, 2_500]


async def test_text_of_a_file_is_kept_as_it_is(desk: Desk) -> None:
    odd = ["tab\there", "back\\slash", "line\nfeed", "汉字", "\\N", "\r", "", "\\."]
    await desk.compares(0, [Line(each, 5, no=each) for each in odd])
    kept = await desk.connection.fetch("SELECT number, transaction_no FROM statement_lines ORDER BY ordinal")
    assert [tuple(each) for each in kept] == [(each, each) for each in odd]


async def test_a_corrected_statement_replaces_it_and_the_old_one_is_kept(desk: Desk) -> None:
    for number in ("settled", "stays short"):
        await desk.has(number, 100)
    await desk.compares(0, [Line("theirs", 5), Line("stays long", 6)])
    done = await desk.compares(0, [Line("settled", 100), Line("stays long", 6)], why="they sent another")
    assert done.version == 2
    assert counted(done) == {"matched": "1/1", "long": "1/0", "short": "0/1"}
    assert await versions(desk) == [(1, False), (2, True)]
    assert await desk.differs() == ["0 long in stays long open", "0 short in stays short open"]
    assert await desk.connection.fetchval("SELECT count(*) FROM statement_lines") == 4
    superseded = "SELECT count(*) FROM differences WHERE state = 'superseded'"
    assert await desk.connection.fetchval(superseded) == 4


async def test_what_a_person_resolved_stays_so_where_nothing_changed_and_is_open_again_elsewhere(desk: Desk) -> None:
    await desk.compares(0, [Line("same", 5), Line("changed", 6), Line("open", 7)])
    await desk.resolves("same", "paid back by hand")
    await desk.resolves("changed")
    await desk.compares(0, [Line("open", 7), Line("changed", 8), Line("same", 5)], why="they sent another")
    assert await desk.differs() == ["0 long in changed open", "0 long in open open", "0 long in same resolved"]
    row = await desk.connection.fetchrow(
        "SELECT resolved_by, note, history::text FROM differences WHERE number = 'same' AND state = 'resolved'"
    )
    assert (row["resolved_by"], row["note"]) == ("ann", "paid back by hand")
    history = await desk.connection.fetchval(
        "SELECT history FROM differences WHERE number = 'changed' AND state = 'open'"
    )
    assert "resolved" in history
    assert "reopened" in history
    assert "they sent another" in history


async def test_of_twins_only_as_many_stay_resolved_as_a_person_resolved(desk: Desk) -> None:
    twins = [Line("n", 5), Line("n", 5), Line("n", 5)]
    await desk.compares(0, twins)
    one = "(SELECT difference_id FROM differences WHERE class = 'duplicate' LIMIT 1)"
    await desk.connection.execute(
        "UPDATE differences SET state = 'resolved', resolved_at = $1, resolved_by = 'ann' "
        f"WHERE difference_id = {one}",
        datetime.now(UTC),
    )  # fmt: skip
    await desk.compares(0, [*twins, Line("other", 1)], why="they sent another")
    assert await desk.differs() == [
        "0 long in n open",
        "0 duplicate in n resolved",
        "0 duplicate in n open",
        "0 long in other open",
    ]


async def test_later_days_are_compared_anew_and_suspense_is_taken_up_again(desk: Desk) -> None:
    await desk.has("cut", 100, when=at("23:50"))
    await desk.has("late", 100, when=at("10:00"))
    await desk.compares(0, [])
    await desk.compares(1, [Line("cut", 100, when=at("00:01", 1))])
    await desk.compares(2, [Line("late", 100, when=at("00:01", 2))])
    assert await desk.differs() == [
        "0 suspense in cut resolved, became matched",
        "0 short in late resolved, became matched",
    ]
    await desk.compares(1, [Line("other", 7, when=at("12:00", 1))], why="they sent another")
    assert await desk.differs() == [
        "0 suspense in cut resolved, became short",
        "0 short in late resolved, became matched",
        "1 short in cut open",
        "1 long in other open",
    ]
    await desk.compares(0, [Line("cut", 100, when=at("23:50"))], why="and this one, too")
    assert await desk.differs() == ["0 short in late resolved, became matched", "1 long in other open"]
    assert await versions(desk) == [(1, False), (2, True), (1, False), (2, True), (1, True)]


async def test_a_replacement_that_is_refused_in_the_middle_leaves_what_was(desk: Desk) -> None:
    await desk.compares(0, [Line("theirs", 5)])
    before = await rows(desk), await desk.differs(), await versions(desk)

    def breaks_off() -> Iterator[StatementLine]:
        yield Line("n", 5)
        raise ValueError("line 2 is none")

    with pytest.raises(ValueError, match="line 2"):
        await desk.store.load(desk.loading(0, why="they sent another"), breaks_off())
    assert (await rows(desk), await desk.differs(), await versions(desk)) == before


@pytest.mark.parametrize("closed", [0, 1])
async def test_a_closed_day_or_a_later_one_refuses(desk: Desk, closed: int) -> None:
    await desk.compares(0, [Line("theirs", 5)])
    await desk.compares(1, [])
    before = await rows(desk), await desk.differs(), await versions(desk)
    await desk.connection.execute(
        "UPDATE reconciled_days SET closed_at = now(), closed_by = 'ann' WHERE account = $1 AND day = $2",
        ACCOUNT, DAY.replace(day=DAY.day + closed),
    )  # fmt: skip
    with pytest.raises(DayClosedError, match=f"2026-03-0{5 + closed} is closed"):
        await desk.compares(0, [Line("theirs", 6)], why="they sent another")
    assert (await rows(desk), await desk.differs(), await versions(desk)) == before


async def test_accounts_do_not_wait_for_each_other(desk: Desk) -> None:
    loop, began, may_go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def slow() -> Iterator[StatementLine]:
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(may_go_on.wait(), loop).result()
        yield Line("n", 5)

    first = asyncio.create_task(desk.store.load(desk.loading(0), slow()))
    await began.wait()
    other: Any = await desk.store.load(desk.loading(0, account="up-2"), iter([Line("m", 5)]))
    assert other.is_new
    second = asyncio.create_task(desk.compares(1, []))
    while await desk.connection.fetchval(WAITS_FOR_ITS_TURN) == 0:  # noqa: ASYNC110 - another session's lock
        await asyncio.sleep(0.01)
    may_go_on.set()
    await asyncio.gather(first, second)
