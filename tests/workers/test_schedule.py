"""The clockwork's own part: a tick that raises, and how long ago each job came through.

Ticks are driven by hand, but for those that meet a time of day that steps.
"""

import asyncio
import time
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from gateway.workers import schedule
from gateway.workers.schedule import Schedule


class Job:
    """Raises `fault` while it has one."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.ticks = 0

    async def __call__(self) -> None:
        self.ticks += 1
        if self.fault is not None:
            raise self.fault


class Clockwork:
    """A schedule of two jobs on a clock by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.poll, self.deliver = Job(), Job()
        self.ticked: list[str] = []
        self.schedule = Schedule({"poll": self.poll, "deliver": self.deliver}, self.ticked.append)

    async def tick(self, name: str) -> None:
        await self.schedule._run(name, getattr(self, name))


@pytest.fixture
def clockwork(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    made = Clockwork()
    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


def test_before_its_first_tick_a_job_has_no_age(clockwork: Clockwork) -> None:
    assert clockwork.schedule.ages_s() == {"poll": None, "deliver": None}


async def test_an_age_counts_from_the_jobs_own_last_tick(clockwork: Clockwork) -> None:
    await clockwork.tick("poll")
    clockwork.now_s += 3
    await clockwork.tick("deliver")
    clockwork.now_s += 2
    assert clockwork.schedule.ages_s() == {"poll": 5.0, "deliver": 2.0}
    assert clockwork.ticked == ["poll", "deliver"]


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), OSError("away"), TimeoutError(), KeyError("x")], ids=repr)
async def test_a_job_that_raises_ages_until_a_tick_comes_through(clockwork: Clockwork, fault: Exception) -> None:
    await clockwork.tick("poll")
    clockwork.poll.fault = fault
    for age_s in (1.0, 2.0, 3.0):
        clockwork.now_s += 1
        await clockwork.tick("poll")
        assert clockwork.schedule.ages_s()["poll"] == age_s
    clockwork.poll.fault = None
    await clockwork.tick("poll")
    assert clockwork.schedule.ages_s()["poll"] == 0.0
    assert (clockwork.poll.ticks, clockwork.ticked) == (5, ["poll", "poll"])


async def test_a_job_that_never_came_through_stays_without_an_age_and_holds_up_no_other(clockwork: Clockwork) -> None:
    clockwork.poll.fault = RuntimeError("a bug")
    await clockwork.tick("poll")
    await clockwork.tick("deliver")
    assert clockwork.schedule.ages_s() == {"poll": None, "deliver": 0.0}


async def test_a_tick_that_failed_is_told_of_once_and_briefly(clockwork: Clockwork) -> None:
    clockwork.poll.fault = RuntimeError("x" * 5000)
    with capture_logs() as said:
        await clockwork.tick("poll")
    (line,) = said
    assert (line["event"], line["log_level"], line["job"]) == ("tick failed", "warning", "poll")
    assert line["error_type"] == "RuntimeError"
    assert len(line["reason"]) <= 200


async def test_a_clockwork_starts_and_stops_and_may_be_stopped_twice(clockwork: Clockwork) -> None:
    clockwork.schedule.start()
    clockwork.schedule.stop()
    clockwork.schedule.stop()


def test_a_clockwork_that_never_started_may_be_stopped(clockwork: Clockwork) -> None:
    clockwork.schedule.stop()


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0], ids=["back", "forward"])
async def test_a_time_of_day_that_steps_neither_stops_nor_floods_the_ticks(
    monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    interval_s, ticks = 0.02, asyncio.Semaphore(0)
    real = time.time

    async def job() -> None:
        monkeypatch.setattr(time, "time", lambda: real() + step_s)
        ticks.release()

    started = asyncio.get_running_loop().time()
    made = Schedule({"job": job}, lambda _: None, interval_s)
    made.start()
    try:
        for _ in range(5):
            await asyncio.wait_for(ticks.acquire(), 10)
    finally:
        made.stop()
    assert asyncio.get_running_loop().time() - started >= 4 * interval_s * 0.9


async def test_a_job_that_takes_longer_than_the_interval_is_never_run_twice_at_once() -> None:
    at_once = most = runs = 0
    enough = asyncio.Event()

    async def job() -> None:
        nonlocal at_once, most, runs
        at_once += 1
        most, runs = max(most, at_once), runs + 1
        await asyncio.sleep(0.03)
        at_once -= 1
        if runs == 4:
            enough.set()

    made = Schedule({"job": job}, lambda _: None, 0.001)
    made.start()
    await asyncio.wait_for(enough.wait(), 10)
    made.stop()
    assert most == 1
