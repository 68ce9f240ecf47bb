"""A run of a day dies at any of its steps, and another runs it again: in the end the books are those of one run.

On a real PostgreSQL with the real books; the PSP is a list. Not tested here: the classes (test_comparing.py), when a
day is due (test_statement_errands.py), deaths of whole processes in payments (tests/simulation).
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.failures import FailureCode
from gateway.domain.ids import account_id, number_of
from gateway.domain.outcomes import Declined
from gateway.domain.statements import LineKind, StatementLine, StatementRules
from gateway.domain.statuses import Status
from gateway.flows.observations import ObservationMaker
from gateway.flows.statement_words import StatementWords
from gateway.ports import Observation, Recorded
from gateway.ports.statements import StatementFile
from gateway.storage.keys import Keys
from gateway.storage.reading.doctor import examine
from gateway.storage.reconciling.store import StatementStore
from gateway.storage.reconciling.words import UntoldStore
from reconciliation.running import Reconciler
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, catalogue, channel, rule

DAY: Final = date(2026, 3, 5)
MORNING: Final = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
CATALOGUE: Final = catalogue((channel("up"),), (rule("up", 10),))
STEPS: Final = (
    "fetch", "load", "untold", "record 1", "record 2", "record 3", "told", "confirm", "fetched",
)  # fmt: skip
EVENTS: Final = "SELECT object_id, sequence, type FROM events ORDER BY object_id, sequence"
ANOMALIES: Final = "SELECT object_id, kind FROM anomalies ORDER BY object_id, kind"
STATUSES: Final = "SELECT payment_id, status FROM payments ORDER BY payment_id"
DIFFERENCES: Final = """
SELECT class, number, state, word, told_at IS NOT NULL FROM differences ORDER BY class, number
"""


class DiedError(BaseException):
    """The process is gone: it does nothing any more."""


class Statements:
    """The PSP's."""

    rules = StatementRules()

    def __init__(self, runner: "Runner", lines: Sequence[StatementLine]) -> None:
        self._runner, self._lines = runner, lines

    async def fetch(self, day: date, folder: Path, download: object, now: datetime) -> list[StatementFile]:
        async with self._runner.step("fetch"):
            path = folder / "statement"
            path.write_text("\n".join(map(str, self._lines)))
            return [StatementFile("statement", path)]

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        yield from self._lines

    async def confirm(self, day: date, download: object, folder: Path, now: datetime) -> None:
        async with self._runner.step("confirm"):
            self._runner.confirmed += 1


@dataclass
class Step:
    """One thing that a run does to the outside; it may die before, or after it."""

    runner: "Runner"
    name: str

    async def __aenter__(self) -> None:
        self.runner.die_if(self.name, "before")

    async def __aexit__(self, *error: object) -> None:
        self.runner.die_if(self.name, "after")


class Runner:
    """A process that reconciles, up to where it dies."""

    def __init__(self, process: Process, lines: Sequence[StatementLine], dies_at: tuple[str, str] = ("", "")) -> None:
        self._process, self._dies_at, self._dead = process, dies_at, False
        self._recorded = self.confirmed = 0
        self._statements = Statements(self, lines)
        self._store = StatementStore(process.database, ZoneInfo("Asia/Shanghai"), lambda: CATALOGUE, uuid7)
        self._untold = UntoldStore(process.database)
        tell = StatementWords(
            cast("Any", self), process.due, cast("Any", self), ObservationMaker(lambda: MORNING, uuid7)
        ).tell
        self._run = Reconciler(
            cast("Any", self), cast("Any", self), tell, cast("Any", None), lambda: MORNING, uuid7
        ).run

    async def runs(self) -> None:
        """The day, to its end or its death."""
        await self._run(MERCHANT_ID, "up-1", DAY, "test")

    def step(self, name: str) -> Step:
        return Step(self, name)

    def die_if(self, name: str, side: str) -> None:
        self._dead |= (name, side) == self._dies_at
        if self._dead:
            raise DiedError

    def provider(self, merchant_id: UUID, account: str) -> Any:
        """An adapter, as far as statements go."""
        return self

    @property
    def statements(self) -> Statements:
        return self._statements

    async def load(self, *values: Any) -> Any:
        async with self.step("load"):
            return await self._store.load(*values)

    async def fetched(self, *values: Any) -> None:
        async with self.step("fetched"):
            await self._store.fetched(*values)

    async def untold(self, *values: Any) -> Any:
        async with self.step("untold"):
            return await self._untold.untold(*values)

    async def told(self, *values: Any) -> None:
        async with self.step("told"):
            await self._untold.told(*values)

    async def record(self, observation: Observation) -> Recorded:
        self._recorded += 1
        async with self.step(f"record {self._recorded}"):
            return await self._process.books.record(observation)


@pytest.fixture(scope="module")
def own_keys() -> Keys:
    return new_keys()


@pytest.fixture
async def process(engine: AsyncEngine, own_keys: Keys) -> AsyncIterator[Process]:
    yield Process(engine, own_keys, CATALOGUE)
    assert await examine(engine, MORNING) == []


@pytest.fixture
async def other(other_engine: AsyncEngine, own_keys: Keys) -> Process:
    return Process(other_engine, own_keys, CATALOGUE)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_wherever_a_run_dies_the_next_one_ends_with_the_books_of_one_run(
    process: Process, other: Process, step: str, side: str
) -> None:
    unknown, refused, failed = [await process.open_one() for _ in range(3)]
    await process.heard(failed, Declined(FailureCode.CHANNEL_REFUSED))
    at = NOW + timedelta(minutes=1)
    told = ((unknown, True), (refused, False), (failed, True))
    lines = [
        StatementLine(n, LineKind.PAYMENT, number_of(each.payment_id), each.amount, is_paid, at=at)
        for n, (each, is_paid) in enumerate(told, 1)
    ]
    with pytest.raises(DiedError):
        await Runner(process, lines, (step, side)).runs()
    second = Runner(other, lines)
    await second.runs()
    await Runner(other, lines).runs()
    assert second.confirmed == 1
    assert [tuple(row) for row in await process.rows(STATUSES)] == sorted(
        [
            (unknown.payment_id, Status.SUCCEEDED.value),
            (refused.payment_id, Status.FAILED.value),
            (failed.payment_id, Status.FAILED.value),
        ]
    )
    assert await process.rows(EVENTS) == sorted(
        [
            (unknown.payment_id, 1, "payment.succeeded"),
            (refused.payment_id, 1, "payment.failed"),
            (failed.payment_id, 1, "payment.failed"),
            (failed.payment_id, 2, "payment.anomaly"),
            (account_id(MERCHANT_ID, "up-1"), 1, "reconciliation.difference_found"),
            (account_id(MERCHANT_ID, "up-1"), 2, "reconciliation.finished"),
        ]
    )
    assert [row[0] for row in await process.rows(ANOMALIES)] == [failed.payment_id]
    assert [row[0] for row in await process.rows(DIFFERENCES)] == ["long", "settled", "settled"]
    assert all(row[-1] for row in await process.rows(DIFFERENCES)), "all is told"
    assert await process.one("SELECT count(*) FROM statements") == 1
