"""Work that goes on when its caller goes away: how it ends with the process, and who hears of what went wrong.

Not tested here: what the work is (tests/unit/flows), and the order in which a process ends (tests/e2e).
"""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.domain.payments import Payment
from gateway.run.running_tasks import RunningTasks
from tests.unit.domain.samples import payment

LONG_S, AT_ONCE_S = 60.0, 0.0


class Work:
    """A submission that ends when it is released, well or with `fault`."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.released = asyncio.Event()

    async def __call__(self) -> Payment:
        await self.released.wait()
        if self.fault is not None:
            raise self.fault
        return payment()


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_runs_is_counted_until_it_is_done() -> None:
    tasks, works = RunningTasks(), [Work(), Work(RuntimeError("a bug"))]
    with capture_logs():
        running = [tasks.start(work()) for work in works]
        assert tasks.running == 2
        for left, work in ((1, works[0]), (0, works[1])):
            work.released.set()
            await turns()
            assert tasks.running == left
    assert running[0].result() == payment()


async def test_a_caller_that_is_cancelled_leaves_the_work_running() -> None:
    tasks, work = RunningTasks(), Work()
    task = tasks.start(work())
    caller = asyncio.create_task(asyncio.wait({task}))
    await turns()
    caller.cancel()
    await turns()
    assert (caller.cancelled(), tasks.running) == (True, 1)
    work.released.set()
    assert await task == payment()


async def test_finishing_waits_for_what_ends_in_time() -> None:
    tasks, work = RunningTasks(), Work()
    task = tasks.start(work())
    finishing = asyncio.create_task(tasks.finish(LONG_S))
    await turns()
    assert not finishing.done()
    work.released.set()
    await finishing
    assert task.result() == payment()


async def test_finishing_cancels_what_does_not_end_in_time() -> None:
    tasks, works = RunningTasks(), [Work(), Work()]
    started = [tasks.start(work()) for work in works]
    await turns()
    works[0].released.set()
    with capture_logs() as said:
        await tasks.finish(AT_ONCE_S)
    assert [task.cancelled() for task in started] == [False, True]
    assert tasks.running == 0
    assert said == []  # that is no fault: the payment is in the books, and is followed up


async def test_finishing_without_work_waits_for_nothing() -> None:
    await tasks_finish_at_once(RunningTasks())


async def test_finishing_again_waits_for_nothing() -> None:
    tasks, work = RunningTasks(), Work()
    tasks.start(work())
    await tasks.finish(AT_ONCE_S)
    await tasks_finish_at_once(tasks)


async def tasks_finish_at_once(tasks: RunningTasks) -> None:
    finishing = asyncio.create_task(tasks.finish(LONG_S))
    await turns()
    assert finishing.done()


@pytest.mark.parametrize("awaited", [True, False], ids=["heard by its caller", "heard by nobody"])
async def test_an_exception_is_told_of_once(awaited: bool) -> None:
    fault = RuntimeError("a bug")
    tasks, work = RunningTasks(), Work(fault)
    with capture_logs() as said:
        task = tasks.start(work())
        work.released.set()
        if awaited:
            with pytest.raises(RuntimeError):
                await task
        await turns()
        await tasks.finish(LONG_S)
    lines: list[Any] = list(said)
    assert [(line["event"], line["log_level"], line["exc_info"]) for line in lines] == [
        ("submission failed", "error", fault)
    ]


async def test_an_exception_during_the_end_is_told_of_and_ends_nothing_else() -> None:
    tasks, bad, good = RunningTasks(), Work(RuntimeError("a bug")), Work()
    tasks.start(bad())
    task = tasks.start(good())
    with capture_logs() as said:
        finishing = asyncio.create_task(tasks.finish(LONG_S))
        bad.released.set()
        await turns()
        assert not finishing.done()
        good.released.set()
        await finishing
    assert task.result() == payment()
    assert [line["event"] for line in said] == ["submission failed"]
