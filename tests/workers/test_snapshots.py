"""The alert on old snapshots: what is told, how often, and that a look that fails stops nothing.

Not tested here: what the database tells of its sessions (tests/storage/test_doctor.py asks a real one).
"""

from datetime import timedelta

from structlog.testing import capture_logs

from gateway.storage.reading.snapshots import OLD_AFTER, Snapshot
from gateway.workers.snapshots import LOOK_EVERY_S, TELL_AGAIN_S, SnapshotWatch

YOUNG = Snapshot("session", "11", "sluice", "active", timedelta(seconds=2))
OLD = Snapshot("session", "12", "pg_dump", "active", OLD_AFTER)
SLOT = Snapshot("replication slot", "replica_2", "", "not used", None)


class Watched:
    """A watch on a clock by hand, over what is held."""

    def __init__(self, *held: Snapshot) -> None:
        self.held = list(held)
        self.fault: Exception | None = None
        self.looks = 0
        self.now = 1000.0
        self.ages: list[float] = []
        self.watch = SnapshotWatch(self._look, self.ages.append, lambda: self.now)

    async def _look(self) -> list[Snapshot]:
        self.looks += 1
        if self.fault:
            raise self.fault
        return self.held

    async def warnings(self, after_s: float = 0.0) -> list[tuple[object, object, object]]:
        self.now += after_s
        with capture_logs() as lines:
            await self.watch.tick()
        return [(line["name"], line["application"], line["age_s"]) for line in lines]


async def test_an_old_snapshot_is_logged_by_pid_application_and_age() -> None:
    watched = Watched(OLD, YOUNG, SLOT)
    assert await watched.warnings() == [("12", "pg_dump", 300), ("replica_2", "", None)]
    assert watched.ages == [300.0]


async def test_short_transactions_are_counted_and_not_logged() -> None:
    watched = Watched(YOUNG)
    assert await watched.warnings() == []
    watched.held = []
    assert await watched.warnings(LOOK_EVERY_S) == []
    assert watched.ages == [2.0, 0.0]


async def test_it_looks_every_few_seconds_however_often_it_ticks() -> None:
    watched = Watched()
    for _ in range(40):
        await watched.warnings(0.5)
    assert watched.looks == 2


async def test_what_stays_old_is_told_again_after_minutes_and_what_comes_back_at_once() -> None:
    watched = Watched(OLD)
    assert len(await watched.warnings()) == 1
    assert await watched.warnings(LOOK_EVERY_S) == []
    assert len(await watched.warnings(TELL_AGAIN_S)) == 1
    watched.held = []
    assert await watched.warnings(LOOK_EVERY_S) == []
    watched.held = [OLD]
    assert len(await watched.warnings(LOOK_EVERY_S)) == 1


async def test_a_look_that_fails_is_logged_and_the_tick_goes_through() -> None:
    watched = Watched()
    watched.fault = PermissionError("no")
    with capture_logs() as lines:
        await watched.watch.tick()
    assert [line["error_type"] for line in lines] == ["PermissionError"]
