"""Statements in the morning: when they are asked for, by whom, how often, and what becomes of them whoever dies.

On a real PostgreSQL, with the run of a day under it and a PSP that says what the test wants. Not tested here: the
classes (test_comparing.py), the process that loads a day apart, the wire and the command line (tests/e2e).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Account, Catalogue, Channel, Merchant
from gateway.domain.reconciled import Class, ReconciledDay
from gateway.domain.statements import LineKind, StatementLine, StatementRules
from gateway.ports import AnswerLostError, UnusableAccountError
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
)
from gateway.storage.reconciling.errands import ErrandStore
from gateway.storage.reconciling.store import StatementStore
from gateway.storage.server.database import Database
from gateway.workers import statements as worker
from gateway.workers.statements import LEASE, StatementWatch
from reconciliation.running import Reconciler
from tests.databases import database_on
from tests.unit.domain.samples import MERCHANT_ID

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 3, 6)
DAY = TODAY - timedelta(days=1)
RULES = StatementRules(time(0), time(9))
CODES = [0]
"""Metrics are the process's: each test has a merchant of its own there."""
INTENT = """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at)
VALUES ($1, $2, 'pay', 1, gen_random_uuid(), 'c', $3, $4, $5, $5, 100, $6, 0, false, 0, false, 0, $7)
"""


class DiedError(BaseException):
    """The process is gone at this place."""


def clock(hour: int, minute: int = 0, day: date = TODAY) -> datetime:
    return datetime.combine(day, time(hour, minute), ZONE)


def line(number: str, amount: int = 100) -> StatementLine:
    return StatementLine(1, LineKind.PAYMENT, number, amount, at=clock(12, day=DAY))


@dataclass
class Psp:
    """What the accounts' PSP has, by account and day: lines, or why not. It counts what it was asked for."""

    files: dict[tuple[str, date], list[StatementLine] | Exception] = field(default_factory=dict)
    asked: list[tuple[str, date]] = field(default_factory=list)
    confirmed: list[tuple[str, date]] = field(default_factory=list)
    held: "asyncio.Event | None" = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody asked."""

    def has(self, day: date, *lines: StatementLine, account: str = "a") -> None:
        self.files[account, day] = list(lines)

    def refuses(self, error: Exception, day: date = DAY, account: str = "a") -> None:
        self.files[account, day] = error


@dataclass
class Statements:
    """Of one account. A file's content is the place of its lines."""

    psp: Psp
    account: str
    rules: StatementRules

    async def fetch(self, day: date, folder: Path, download: object, now: datetime) -> list[StatementFile]:
        self.psp.asked.append((self.account, day))
        self.psp.began.set()
        if self.psp.held is not None:
            await self.psp.held.wait()
        found = self.psp.files.get((self.account, day), StatementNotReadyError("no file"))
        if isinstance(found, Exception):
            raise found
        path = folder / "statement"
        path.write_text(repr(found))
        return [StatementFile("statement", path)]

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        assert files[0].path.exists()
        found = self.psp.files[self.account, day]
        assert isinstance(found, list)
        yield from found

    async def confirm(self, day: date, download: object, folder: Path, now: datetime) -> None:
        self.psp.confirmed.append((self.account, day))


@dataclass
class World:
    """A process: its worker and its stores. Times pass as the test wants."""

    database: Database
    psp: Psp
    now: datetime = field(default_factory=lambda: clock(8, 59))
    rules: dict[str, StatementRules] = field(default_factory=lambda: {"a": RULES})
    tells: Callable[[UUID], Any] | None = None
    told: int = 0
    dies_at: str = ""
    logged: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.errands = ErrandStore(self.database)
        self.reconciler = Reconciler(
            cast("Any", self), cast("Any", self), self._tell, self._download, lambda: self.now, uuid4
        )
        self.store = StatementStore(self.database, ZONE, lambda: self.catalogue, uuid4)
        self.watch = StatementWatch(
            self.errands,
            self.reconciler.run,
            self._tell,
            lambda merchant_id, account: self.rules.get(account),
            lambda: self.catalogue,
            lambda: self.now,
            lambda: self.now.timestamp(),
        )

    @property
    def catalogue(self) -> Catalogue:
        accounts = sorted(self.rules)
        return Catalogue(
            1,
            merchants=(Merchant(MERCHANT_ID, f"s{CODES[-1]}", "M"),),
            accounts=tuple(Account(MERCHANT_ID, each, "psp", {}) for each in accounts),
            channels=tuple(Channel(MERCHANT_ID, f"c-{each}", each, each, True, {}) for each in accounts),
        )

    # What the run of a day needs

    def provider(self, merchant_id: UUID, account: str) -> Any:
        """An adapter, as far as statements go."""

        class Provider:
            statements = Statements(self.psp, account, self.rules[account])

        return Provider

    async def load(self, *values: Any) -> ReconciledDay:
        self._die("before the commit")
        done = await self.store.load(*values)
        self._die("after the commit")
        return done

    async def fetched(self, *values: Any) -> None:
        self._die("before the mark")
        await self.store.fetched(*values)

    async def _tell(self, merchant_id: UUID) -> int:
        self._die("before the words")
        self.told += 1
        return await self.tells(merchant_id) if self.tells is not None else 0

    async def _download(self, request: httpx.Request, to: Path, max_bytes: int) -> httpx.Response:
        raise AssertionError("nothing is on the wire here")

    def _die(self, at: str) -> None:
        if self.dies_at == at:
            raise DiedError

    # What a test does

    async def used(self, account: str = "a", number: str = "n1", state: str = "done", day: date = DAY) -> None:
        """Something was sent by an account."""
        async with self.database.connection() as connection:
            at = clock(12, day=day)
            ended_at = None if state == "open" else at
            await connection.execute(INTENT, MERCHANT_ID, uuid4(), account, number, at, state, ended_at)

    async def looks(self, at: datetime | None = None) -> None:
        """At this time the worker looks, and does all that is due."""
        self.now = at or self.now
        await self.watch.look()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(sql)]

    async def days(self) -> list[tuple[str, date]]:
        return [
            (row[0], row[1])
            for row in await self.rows("SELECT account, day FROM reconciled_days ORDER BY day, account")
        ]


@pytest.fixture
async def world(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    CODES.append(CODES[-1] + 1)
    world = World(database_on(engine), Psp())

    class Log:
        def warning(self, event: str, **about: object) -> None:
            world.logged.append(("warning", event))

        def info(self, event: str, **_: object) -> None:
            world.logged.append(("info", event))

    monkeypatch.setattr(worker, "log", Log())
    yield world
    await world.watch.close()


@pytest.fixture
async def other(world: World, other_engine: AsyncEngine) -> AsyncIterator[World]:
    """A second process on the same database, at the same PSP."""
    second = World(database_on(other_engine), world.psp, logged=world.logged)
    yield second
    await second.watch.close()


def late() -> float | None:
    return REGISTRY.get_sample_value("sluice_statements_late", {"merchant": f"s{CODES[-1]}", "account": "a"})


async def test_a_statement_is_fetched_the_next_morning_once_it_should_be_ready(world: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    await world.looks(clock(8, 59))
    assert world.psp.asked == []
    await world.looks(clock(9))
    assert (world.psp.asked, await world.days()) == ([("a", DAY)], [("a", DAY)])
    assert world.psp.confirmed == [("a", DAY)]
    assert world.logged == [("info", "a day was reconciled")]
    for hour in range(10, 24):
        await world.looks(clock(hour))
    assert world.psp.asked == [("a", DAY)], "and that is all for today"


async def test_each_account_has_its_own_hour_and_its_own_end_of_the_day(world: World) -> None:
    early, half_past = StatementRules(time(23), time(7, 30)), StatementRules(time(0, 30), time(1))
    world.rules = {"a": RULES, "b": early, "c": half_past}
    for account in world.rules:
        await world.used(account)
    await world.looks(clock(0, 29))
    assert world.psp.asked == []
    await world.looks(clock(1, 5))
    assert world.psp.asked == [("c", DAY)]
    await world.looks(clock(7, 30))
    assert world.psp.asked[-1] == ("b", DAY)
    await world.looks(clock(23, 30))
    assert ("b", TODAY) not in world.psp.asked, "its day is over, and its file is not due before tomorrow"
    await world.looks(clock(7, 30, TODAY + timedelta(days=1)))
    assert ("b", TODAY) in world.psp.asked


async def test_one_that_is_not_ready_is_asked_for_every_ten_minutes_then_hourly_and_told_of_once(world: World) -> None:
    await world.used()
    at, asked = clock(9), []
    while at < clock(18):
        before = len(world.psp.asked)
        await world.looks(at)
        asked += [at] * (len(world.psp.asked) - before)
        at += timedelta(minutes=1)
    gaps = [later - sooner for sooner, later in pairwise(asked)]
    assert asked[0] == clock(9)
    assert gaps[:36] == [timedelta(minutes=10)] * 36
    assert set(gaps[36:]) == {timedelta(hours=1)}
    assert world.logged == [("warning", "a statement stays away")]
    assert late() == 1
    world.psp.has(DAY, line("n1"))
    await world.looks(at + timedelta(hours=1))
    assert late() == 0
    assert await world.days() == [("a", DAY)]
    assert [event for _, event in world.logged[1:]] == ["a day was reconciled"]


@pytest.mark.parametrize(
    "error",
    [
        StatementRefusedError("is cut off", "x.zip", 7),
        AnswerLostError("no answer"),
        UnusableAccountError("a"),
    ],
)
async def test_one_that_is_refused_or_cannot_be_had_leaves_nothing_and_is_asked_for_again(
    world: World, error: Exception
) -> None:
    await world.used()
    world.psp.refuses(error)
    await world.looks(clock(9))
    assert await world.rows("SELECT 1 FROM statements UNION ALL SELECT 1 FROM statement_lines") == []
    [(reason, tries)] = await world.rows("SELECT reason, tries FROM statement_errands")
    assert (str(error) in reason, tries) == (True, 1)
    world.psp.has(DAY, line("n1"))
    await world.looks(clock(9, 9))
    assert await world.days() == []
    await world.looks(clock(9, 10))
    assert await world.days() == [("a", DAY)]
    assert await world.rows("SELECT reason, due_at FROM statement_errands") == [(None, None)]


async def test_days_that_nobody_was_there_for_are_caught_up_with_the_oldest_first(world: World) -> None:
    await world.used(day=DAY - timedelta(days=5))
    for ago in range(6):
        world.psp.has(DAY - timedelta(days=ago))
    await world.looks(clock(9, day=DAY - timedelta(days=3)))
    assert world.psp.asked == [("a", DAY - timedelta(days=4))], "nothing was compared before: it begins with the newest"
    await world.looks(clock(9))
    assert [day for _, day in world.psp.asked[1:]] == [DAY - timedelta(days=ago) for ago in (3, 2, 1, 0)]


async def test_a_day_that_stays_away_does_not_hold_up_the_next_one(world: World) -> None:
    await world.used(day=DAY - timedelta(days=5))
    world.psp.has(DAY - timedelta(days=2))
    await world.looks(clock(9, day=DAY - timedelta(days=1)))
    world.psp.has(DAY)
    await world.looks(clock(9))
    assert await world.days() == [("a", DAY - timedelta(days=2)), ("a", DAY)]
    world.psp.has(DAY - timedelta(days=1))
    await world.looks(clock(10))
    assert len(await world.days()) == 3


async def test_for_accounts_that_nothing_was_sent_by_nothing_is_asked_for(world: World) -> None:
    world.rules = {"a": RULES, "new": RULES, "none": RULES}
    await world.used("a")
    await world.used("new", "n2", day=TODAY)
    await world.looks(clock(9))
    assert world.psp.asked == [("a", DAY)], "the day before the first order has no statement worth asking for"


async def test_two_processes_fetch_a_day_once(world: World, other: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    world.psp.held = asyncio.Event()
    looking = asyncio.create_task(world.looks(clock(9)))
    await asyncio.wait_for(world.psp.began.wait(), 30)
    await other.looks(clock(9, 1))
    world.psp.held.set()
    await looking
    await other.looks(clock(9, 2))
    assert (world.psp.asked, await world.days()) == ([("a", DAY)], [("a", DAY)])


async def test_what_a_process_died_over_is_taken_up_when_its_lease_is_over(world: World, other: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    world.psp.held = asyncio.Event()
    dying = asyncio.create_task(world.looks(clock(9)))
    await asyncio.wait_for(world.psp.began.wait(), 30)
    dying.cancel()
    await asyncio.wait({dying})
    world.psp.held = None
    await other.looks(clock(9) + LEASE - timedelta(minutes=1))
    assert await other.days() == []
    await other.looks(clock(9) + LEASE)
    assert await other.days() == [("a", DAY)]


@pytest.mark.parametrize("at", ["before the commit", "after the commit", "before the words", "before the mark"])
async def test_wherever_a_process_dies_the_next_one_ends_with_the_same_books(
    world: World, other: World, at: str
) -> None:
    await world.used()
    await world.used(number="n2", state="open")
    world.psp.has(DAY, line("n1"), line("n2"), line("nobody"))
    world.dies_at = at
    world.now = clock(9)
    with pytest.raises(DiedError):
        await world.watch.look()
    await other.looks(clock(9) + LEASE)
    shown = "SELECT class, number, state, word FROM differences ORDER BY number"
    assert await other.rows(shown) == [("settled", "n2", "resolved", "succeeded"), ("long", "nobody", "open", None)]
    assert await other.rows("SELECT version, lines FROM statements") == [(1, 3)]
    assert await other.rows("SELECT due_at, done_at IS NOT NULL FROM statement_errands") == [(None, True)]
    assert (other.told > 0, world.psp.confirmed[-1:]) == (True, [("a", DAY)])


async def test_what_nobody_was_told_of_is_told_though_no_day_is_due(world: World) -> None:
    await world.looks(clock(8))
    assert world.told == 1


async def test_one_that_a_person_gave_first_stays_and_the_other_is_not_loaded(world: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    world.now = clock(8)
    await world.reconciler.run(MERCHANT_ID, "a", DAY, "ann")
    await world.looks(clock(9))
    assert world.psp.asked == [("a", DAY)], "its day is reconciled: nobody asks any more"
    # An errand that was there already finds another file: the one in force stays.
    async with world.database.connection() as connection:
        await connection.execute(
            "INSERT INTO statement_errands (merchant_id, account, day, due_at, tries, told_late, began_at) "
            "VALUES ($1, 'a', $2, $3, 0, false, $3)", MERCHANT_ID, DAY, clock(9),
        )  # fmt: skip
    world.psp.has(DAY, line("n1"), line("n9"))
    await world.looks(clock(9, 30))
    assert await world.rows("SELECT version, loaded_by FROM statements") == [(1, "ann")]
    assert await world.rows("SELECT due_at, done_at IS NOT NULL FROM statement_errands") == [(None, True)]
    assert world.logged == [("warning", "a statement came beside the one that a person gave: it was not loaded")]


async def test_a_day_that_was_looked_at_before_its_end_is_fetched_whole_in_the_morning(world: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    world.now = clock(18, day=DAY)
    await world.reconciler.run(MERCHANT_ID, "a", DAY, "ann", so_far=True)
    # What comes afterwards with us alone is short, though their file is the same as before.
    await world.used(number="n2")
    await world.looks(clock(9))
    assert await world.rows("SELECT version, replaced_at IS NULL FROM statements ORDER BY version") == [
        (1, False), (2, True)
    ]  # fmt: skip
    assert await world.rows("SELECT class, number FROM differences WHERE state = 'open'") == [("short", "n2")]
    await world.looks(clock(10))
    assert len(world.psp.asked) == 2


async def test_what_was_loaded_after_their_day_and_before_ours_had_ended_is_fetched_again(world: World) -> None:
    world.rules = {"a": StatementRules(time(23), time(9))}
    world.now = clock(23, 10, DAY)
    world.psp.has(DAY)
    await world.used(number="n1")
    await world.reconciler.run(MERCHANT_ID, "a", DAY, "ann")
    # Paid half an hour later it is ours of that day still; their next day's line of it is no duplicate.
    async with world.database.connection() as connection:
        late = clock(23, 40, DAY)
        await connection.execute(INTENT, MERCHANT_ID, uuid4(), "a", "n2", late, "done", late)
    await world.looks(clock(9))
    assert await world.rows("SELECT version, replaced_at IS NULL FROM statements ORDER BY version") == [
        (1, False), (2, True)
    ]  # fmt: skip
    assert set(await world.rows("SELECT class, number FROM differences WHERE state = 'open'")) == {
        ("short", "n1"), ("suspense", "n2")
    }  # fmt: skip
    world.psp.has(TODAY, line("n2"))
    await world.looks(clock(9, day=TODAY + timedelta(days=1)))
    assert await world.rows("SELECT class, number FROM differences WHERE state = 'open'") == [("short", "n1")]


async def test_statements_of_days_that_are_not_over_prove_nothing_lost(world: World) -> None:
    before = DAY - timedelta(days=1)
    await world.used(number="unknown", state="open", day=before)
    world.psp.has(before)
    await world.looks(clock(9, day=DAY))
    world.psp.has(DAY)
    world.now = clock(12, day=DAY)
    done = await world.reconciler.run(MERCHANT_ID, "a", DAY, "ann", so_far=True)
    assert Class.LOST not in done.totals.classes, "they may do it this afternoon"
    await world.looks(clock(9))
    assert await world.rows("SELECT class, word FROM differences WHERE state <> 'superseded' AND class = 'lost'") == [
        ("lost", "not_received")
    ]


async def test_closing_in_the_middle_of_a_day_leaves_nothing_and_waits_for_nobody(world: World, other: World) -> None:
    await world.used()
    world.psp.has(DAY, line("n1"))
    world.psp.held = asyncio.Event()
    world.now = clock(9)
    await world.watch.tick()
    await asyncio.wait_for(world.psp.began.wait(), 30)
    await asyncio.wait_for(world.watch.close(), 10)
    world.psp.held = None
    assert await world.days() == []
    await other.looks(clock(9) + LEASE)
    assert await other.days() == [("a", DAY)]


async def test_that_the_database_is_away_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ConnectionError

    await world.used()
    world.psp.has(DAY, line("n1"))
    monkeypatch.setattr(ErrandStore, "claim", away)
    await world.looks(clock(9))
    assert world.logged == [("warning", "statements were not looked at")]
    monkeypatch.undo()
    await world.looks(clock(9, 1))
    assert await world.days() == [("a", DAY)]


async def test_an_account_that_reads_statements_no_more_is_left_alone(world: World) -> None:
    world.rules = {"a": RULES, "b": RULES}
    await world.used()
    await world.looks(clock(9))
    del world.rules["a"]
    await world.looks(clock(9, 10))
    assert len(world.psp.asked) == 1
    assert await world.rows("SELECT due_at FROM statement_errands") == [(None,)]
