"""A gateway whose clock is wrong takes nothing, and says so; what is known of the money still comes in.

The time of day of a gateway in this process is moved; the database keeps its own. Not tested here: how a clock is
measured (tests/unit/test_clock.py).
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.api.http.runner import ProblemRunner
from gateway.run import clock as measuring
from gateway.run import wiring
from gateway.run.wiring import system
from tests.e2e.conftest import NewDatabase
from tests.e2e.on_pages import WAYS, asked_for
from tests.e2e.waiting import until
from tests.e2e.world import World, new_world, served


class Wrong:
    """A time of day that is ahead of everybody else's."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> Wrong:
    told = Wrong()
    monkeypatch.setattr(wiring, "utc_now", told)
    return told


@asynccontextmanager
async def another_gateway(world: World) -> AsyncIterator[str]:
    """One more gateway with workers on the world's database: its address."""
    async with system(world.settings, workers=True, api=True) as running:
        assert running.app is not None
        async with served(running.app, runs=ProblemRunner) as address:
            yield address


@pytest.mark.parametrize("ahead_s", [-20, 2400])
async def test_a_process_whose_clock_is_off_takes_no_order_and_says_so_until_it_is_set_right(
    time_of_day: Wrong, new_database: NewDatabase, psp_keys: Path, ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "MEASURE_EVERY_S", 0.2)
    time_of_day.ahead = timedelta(seconds=ahead_s)
    async with new_world(await new_database(), psp_keys) as world:
        ready = await world.call("GET", f"{world.gateway}/readyz")
        assert (ready.status, ready.body["ready"], ready.body["clock"]["right"]) == (503, False, False)
        assert round(ready.body["clock"]["offset_s"]) == ahead_s
        order = world.order()
        refused = await world.app.call("POST", "/v1/withholds", order)
        assert (refused.status, refused.body["code"]) == (503, "clock_off")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await world.rows())["orders"] == 0

        async def told() -> bool | None:
            """The metric is of the process, in which other tests' gateways measure, too, but less often."""
            measured = (await world.call("GET", f"{world.gateway}/metrics")).raw
            return b"sluice_clock_right 0.0" in measured or None

        await until(told, "the metric of the wrong clock")
        time_of_day.ahead = timedelta()
        assert (await world.call("GET", f"{world.gateway}/readyz")).body["clock"]["right"] is True
        assert (await world.app.call("POST", "/v1/withholds", order)).status == 201


async def test_a_refund_is_not_taken_by_a_wrong_clock(
    time_of_day: Wrong, new_database: NewDatabase, psp_keys: Path
) -> None:
    async with new_world(await new_database(), psp_keys) as world:
        paid = (await world.app.call("POST", "/v1/withholds", world.order(world.dear()))).body
        refund = {"merchant_order_no": "back-1", "payment": paid["id"], "amount": 1}
        time_of_day.ahead = timedelta(minutes=40)
        refused = await world.app.call("POST", "/v1/refunds", refund)
        assert (refused.status, refused.body["code"]) == (503, "clock_off")
        assert (await world.rows())["refunds"] == 0


async def test_nobody_is_brought_to_a_bank_by_a_wrong_clock(
    time_of_day: Wrong, new_database: NewDatabase, psp_keys: Path
) -> None:
    """Its page would still lead there when every other process has closed the payment."""
    async with new_world(await new_database(), psp_keys, workers=False) as world:
        payment = await asked_for(world, world.app, WAYS["netbank"])
        time_of_day.ahead = -timedelta(minutes=40)
        page = await world.call("GET", payment["next_action"]["url"])
        assert page.status == 503, "a page that says to come again in a moment"
        assert b"<form" not in page.raw
        assert "form" not in (await world.app.payment(payment["id"]))["next_action"]
        time_of_day.ahead = timedelta()
        assert (await world.call("GET", payment["next_action"]["url"])).status == 200
        assert "form" in (await world.app.payment(payment["id"]))["next_action"]


async def test_a_worker_that_is_forty_minutes_ahead_claims_nothing_and_a_right_one_beside_it_does(
    time_of_day: Wrong, new_database: NewDatabase, psp_keys: Path
) -> None:
    """The PSP does the work and the answer is lost; the wrong worker would find the payment due at once, and prove by
    its own time what is not so."""
    async with new_world(await new_database(), psp_keys, workers=False) as world:
        amount = world.cheap()
        await world.fault("allinpay", "reset_after", amount)
        await world.fault("allinpay", "not_found", amount, seconds=3600)
        taken = (await world.app.call("POST", "/v1/withholds", world.order(amount))).body
        assert taken["status"] == "processing"
        time_of_day.ahead = timedelta(minutes=40)
        async with another_gateway(world) as wrong:
            ticks = [await _ticks(world, wrong)]
            await until(lambda: _more(world, wrong, ticks), "a few ticks of the wrong worker")
            assert await _questions(world) == 0
            time_of_day.ahead = timedelta()
            await until(lambda: _asked(world), "a question by the worker when its clock is right")


async def _ticks(world: World, address: str) -> float:
    """When its last tick came through, by its own clock that nobody can set: grows with each."""
    return float((await world.call("GET", f"{address}/readyz")).body["ticks"]["follow_up"] or 0.0)


async def _more(world: World, address: str, seen: list[float]) -> bool | None:
    """Whether the age of its ticks fell a few times, so that a few came through."""
    seen.append(await _ticks(world, address))
    return sum(later < sooner for sooner, later in itertools.pairwise(seen)) >= 3 or None


async def _questions(world: World) -> int:
    return int((await world.sql("SELECT coalesce(sum(questions), 0) AS asked FROM intents"))[0]["asked"])


async def _asked(world: World) -> bool | None:
    return await _questions(world) > 0 or None
