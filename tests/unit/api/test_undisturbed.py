"""Work goes on when its caller leaves, its failure is told, and the end of the process waits for it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.api.undisturbed import Undisturbed


async def _leave(undisturbed: Undisturbed, gate: asyncio.Event, ends: list[str], fails: bool = False) -> None:
    """Start work that waits for the gate, and go away from it."""
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await gate.wait()
        if fails:
            raise RuntimeError("nobody asked")
        ends.append("done")

    caller = asyncio.create_task(undisturbed.run(work()))
    await started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_caller_that_stays_gets_what_comes_of_it() -> None:
    async def seven() -> int:
        return 7

    async def nothing() -> int:
        raise LookupError

    undisturbed = Undisturbed()
    assert await undisturbed.run(seven()) == 7
    with pytest.raises(LookupError):
        await undisturbed.run(nothing())


async def test_work_goes_on_without_its_caller() -> None:
    undisturbed, gate, ends = Undisturbed(), asyncio.Event(), list[str]()
    await _leave(undisturbed, gate, ends)
    gate.set()
    await undisturbed.drain(5)
    assert ends == ["done"]


async def test_a_failure_that_nobody_waits_for_is_logged() -> None:
    undisturbed, gate = Undisturbed(), asyncio.Event()
    with capture_logs() as logged:
        await _leave(undisturbed, gate, [], fails=True)
        gate.set()
        await undisturbed.drain(5)
        await asyncio.sleep(0)
    assert [entry["log_level"] for entry in logged] == ["error"]


async def test_what_takes_too_long_is_cancelled_in_the_end() -> None:
    undisturbed, ends = Undisturbed(), list[str]()
    await _leave(undisturbed, asyncio.Event(), ends)
    await undisturbed.drain(0)
    await undisturbed.drain(0)
    assert ends == []
