"""The beats of processes in a real database. Not tested here: what they tell (tests/unit/test_live.py)."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.run.live import LiveProcesses
from gateway.storage.server.processes import FORGOTTEN_AFTER, ProcessBeats
from tests.databases import database_on

NOW = datetime(2026, 3, 5, 4, tzinfo=UTC)


async def test_processes_on_one_database_count_each_other_whatever_their_clocks_say(engine: AsyncEngine) -> None:
    database, passed_s = database_on(engine), 0.0
    ahead, behind = (
        LiveProcesses(ProcessBeats(database, lambda by=by: NOW + timedelta(hours=by, seconds=passed_s)), uuid4(),  # type: ignore[misc]
                      lambda: passed_s)
        for by in (9, -9)
    )  # fmt: skip
    await ahead.beat()
    await behind.beat()
    passed_s += 1
    await ahead.beat()
    assert (ahead.processes, behind.processes) == (2, 2)
    await ahead.stop()
    passed_s += 1
    await behind.beat()
    assert behind.processes == 1


async def test_a_process_that_ends_forgets_those_that_died_long_ago(engine: AsyncEngine) -> None:
    database = database_on(engine)
    long_ago, today = (ProcessBeats(database, lambda at=at: at) for at in (NOW - FORGOTTEN_AFTER * 2, NOW))  # type: ignore[misc]
    dead, other, ended = uuid4(), uuid4(), uuid4()
    await long_ago.beat(dead)
    await today.beat(other)
    assert set(await today.beat(ended)) == {dead, other, ended}
    await today.end(ended)
    assert set(await today.beat(other)) == {other}
