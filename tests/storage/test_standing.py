"""What stands and waits for a person, as alerts: on real rows, with the worker over them.

Not tested here: rows of deliveries and payments that make such states (their own tests), the API of alerts.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.alerts import AlertKind, AlertSearch, Severity
from gateway.domain.catalogue import Catalogue, Merchant
from gateway.storage.reading import snapshots
from gateway.storage.reading.snapshots import SnapshotStore
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.standing import LOOKS, StandingStore
from gateway.watch.board import AlertBoard
from gateway.watch.standing import EVERY_S, StandingWatch
from tests.databases import database_on
from tests.storage.delivery_rows import MERCHANT

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
DIFFERENCE = """
INSERT INTO differences (merchant_id, difference_id, account, day, statement_id, class, side, ordinal, state, found_at,
    history)
VALUES ($1, $2, $3, '2026-03-04', $4, $5, 'in', $6, 'open', $7, '[]')
"""
RESOLVE = "UPDATE differences SET state = 'resolved', resolved_at = $1, resolved_by = 'li' WHERE account = 'a'"


class World:
    """A process that looks. Its time passes as the test wants."""

    def __init__(self, engine: AsyncEngine) -> None:
        database = database_on(engine)
        self.engine, self.now = engine, NOW
        catalogue = Catalogue(1, merchants=(Merchant(MERCHANT, "watched", "W"),))
        self.alerts = AlertStore(database, uuid7, lambda: catalogue)
        board = AlertBoard(self.alerts, lambda: catalogue, lambda: self.now)
        self.watch = StandingWatch(
            StandingStore(database),
            SnapshotStore(engine).standing,
            board,
            lambda: catalogue,
            lambda: self.now,
            lambda: self.now.timestamp(),
        )

    async def looks(self) -> list[tuple[AlertKind, str, int]]:
        self.now += timedelta(seconds=EVERY_S)
        await self.watch.tick()
        found = await self.alerts.alerts(MERCHANT, AlertSearch(is_open=True), 100)
        return sorted((each.kind, each.about, each.detail["found"]) for each in found)

    async def runs(self, sql: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(sql), {"m": MERCHANT, "at": NOW, **values})


@pytest.fixture
def world(engine: AsyncEngine) -> World:
    return World(engine)


async def test_nothing_that_stands_is_no_alert(world: World) -> None:
    assert await world.looks() == []


async def test_a_merchant_that_cannot_be_read_does_not_hide_the_next(engine: AsyncEngine) -> None:
    slow, next_one = UUID(int=1), UUID(int=2)
    catalogue = Catalogue(1, merchants=(Merchant(slow, "slow", "S"), Merchant(next_one, "next", "N")))
    alerts = AlertStore(database_on(engine), uuid7, lambda: catalogue)

    class Stands:
        async def standing(self, merchant_id: UUID, _now: datetime) -> dict[AlertKind, dict[str, dict[str, Any]]]:
            if merchant_id == slow:
                raise TimeoutError
            return {AlertKind.STUCK_PAYMENTS: {"up": {"found": 3}}}

    board = AlertBoard(alerts, lambda: catalogue, lambda: NOW)
    everywhere = SnapshotStore(engine).standing
    watch = StandingWatch(Stands(), everywhere, board, lambda: catalogue, lambda: NOW, lambda: 0.0)
    await watch.tick()
    assert [each.about for each in await alerts.open_of(next_one, AlertKind.STUCK_PAYMENTS)] == ["up"]


async def test_what_stands_is_an_alert_until_it_does_not(world: World) -> None:
    anomaly = """INSERT INTO anomalies (merchant_id, anomaly_id, object, object_id, kind, detail, source, found_at)
        VALUES (:m, :id, 'payment', :object, :kind, '', 'poll', :at)"""
    for kind in ("late_success", "late_success", "late_failure"):
        await world.runs(anomaly, id=uuid4(), object=uuid4(), kind=kind)
    await world.runs(
        """INSERT INTO statement_errands (merchant_id, account, day, due_at, tries, told_late, began_at)
        VALUES (:m, 'up-1', :day, :at, 9, true, :at), (:m, 'up-2', :day, :at, 1, false, :at)""",
        day=date(2026, 3, 4),
    )
    await world.runs(
        """INSERT INTO balances (merchant_id, account, total, since_at, stated_at, asked_at, told_low, told_silent,
            due_at) VALUES (:m, 'll-1', 5, :at, :at, :at, true, false, :at)"""
    )
    standing = [
        (AlertKind.ANOMALIES_OPEN, "late_failure", 1),
        (AlertKind.ANOMALIES_OPEN, "late_success", 2),
        (AlertKind.BALANCE_LOW, "ll-1", 1),
        (AlertKind.STATEMENT_LATE, "up-1", 1),
    ]
    assert await world.looks() == standing
    assert await world.looks() == standing
    found = await world.alerts.alerts(MERCHANT, AlertSearch(), 100)
    assert {each.times for each in found} == {2}, "the second look counts what is open and raises nothing anew"
    await world.runs("UPDATE anomalies SET resolved_at = :at, resolved_by = 'me' WHERE kind = 'late_success'")
    await world.runs("UPDATE statement_errands SET due_at = NULL, done_at = :at")
    await world.runs("UPDATE balances SET told_low = false, told_silent = true")
    assert await world.looks() == [(AlertKind.ANOMALIES_OPEN, "late_failure", 1), (AlertKind.BALANCE_SILENT, "ll-1", 1)]


async def test_how_many_differences_wait_for_a_person_is_shown_for_each_account(world: World, alone: Any) -> None:
    def shown(account: str) -> float | None:
        return REGISTRY.get_sample_value("sluice_differences_open", {"merchant": "watched", "account": account})

    for n, (account, kind) in enumerate((("a", "long"), ("a", "short"), ("a", "suspense"), ("b", "long"))):
        await alone.execute(DIFFERENCE, MERCHANT, uuid4(), account, uuid4(), kind, n, NOW)
    assert await world.looks() == [(AlertKind.DIFFERENCES_OPEN, "a", 2), (AlertKind.DIFFERENCES_OPEN, "b", 1)]
    assert (shown("a"), shown("b")) == (2, 1)
    await alone.execute(RESOLVE, NOW)
    await world.looks()
    assert (shown("a"), shown("b")) == (0, 1)


async def test_every_look_runs_and_between_two_it_rests(world: World) -> None:
    found = await StandingStore(database_on(world.engine)).standing(MERCHANT, NOW)
    assert found == {kind: {} for kind in LOOKS}
    await world.looks()
    await world.runs("UPDATE anomalies SET resolved_at = NULL")
    await world.watch.tick()  # no time has passed: nothing is asked


async def test_a_transaction_that_is_left_open_is_an_alert_until_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "OLD_AFTER", timedelta(0))
    async with world.engine.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid(), txid_current()"))).scalar_one()
        [(kind, about, found)] = await world.looks()
        assert (kind, about, found) == (AlertKind.OLD_SNAPSHOT, f"session {pid}", 1)
        [alert] = await world.alerts.alerts(MERCHANT, AlertSearch(is_open=True), 10)
        assert (alert.detail["application"], alert.detail["state"]) == ("test", "idle in transaction")
        assert datetime.fromisoformat(alert.detail["since"]) <= world.now
    assert await world.looks() == []


async def test_what_cannot_be_looked_at_ends_no_alert_and_hides_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.alerts.raise_(MERCHANT, AlertKind.OLD_SNAPSHOT, "session 7", Severity.WARNING, {"found": 1}, NOW)
    await world.runs(
        """INSERT INTO balances (merchant_id, account, total, since_at, stated_at, asked_at, told_low, told_silent,
            due_at) VALUES (:m, 'll-1', 5, :at, :at, :at, true, false, :at)"""
    )
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "HELD", "SELECT 1 / 0")
        assert await world.looks() == [(AlertKind.BALANCE_LOW, "ll-1", 1), (AlertKind.OLD_SNAPSHOT, "session 7", 1)]
    assert await world.looks() == [(AlertKind.BALANCE_LOW, "ll-1", 1)]
