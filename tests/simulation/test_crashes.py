"""A process dies at any of its outside actions: nobody is charged twice, nothing is lost, everybody is told once.

In the suite at every kind of action, before and after it (points.txt), and at some pairs; with `make crashes` before
and after each action of all flows, and at every pair. README.md says how a flow is added. Not here: a machine that
loses its power, a database that goes away (tests/e2e, tests/storage).
"""

import os
from collections.abc import Callable
from typing import Final

import pytest

from tests.simulation import points
from tests.simulation.crashing import Tally, crash_at_each, crash_at_pairs, crash_at_some, play_and_check
from tests.simulation.flows import SCRIPTS
from tests.simulation.script import Script
from tests.simulation.stage import Stage

LONG: Final = bool(os.environ.get("SLUICE_HUNT_CRASHES"))
WRITES: Final = bool(os.environ.get("SLUICE_WRITE_POINTS"))
PARTS: Final = 6
"""Of all pairs of a flow, so that no core is left with much at the end."""
POINTS: Final = points.read()
KINDS: Final = {points.kind(str(action)) for deaths in POINTS.values() for action, _ in deaths}

Count = Callable[[Script, Tally], None]


@pytest.mark.skipif(LONG or WRITES, reason="other points are played")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
async def test_a_crash_at_every_kind_of_action_breaks_nothing(stage: Stage, script: Script, count: Count) -> None:
    deaths = POINTS.get(script.name, [])
    tally = await crash_at_some(stage, script, deaths)
    count(script, tally)
    assert tally.wrong == []
    assert deaths, "a new flow: write the points anew"
    assert tally.points == len(deaths) or script.races, "it does not do what it did: write the points anew"
    assert tally.pairs > 0 or not script.pairs
    new = {points.kind(action) for action in tally.does if points.is_sent(action)} - KINDS
    assert not new, "nobody dies there: write the points anew"


TURNS: Final = [(script, side) for script in SCRIPTS for side in points.SIDES] if LONG else []
PAIRS: Final = [(script, part) for script in SCRIPTS for part in range(PARTS) if script.pairs] if LONG else []


@pytest.mark.parametrize(("script", "side"), TURNS, ids=[f"{script.name}-{side}" for script, side in TURNS])
async def test_a_crash_at_any_action_breaks_nothing(stage: Stage, script: Script, side: str, count: Count) -> None:
    tally = await crash_at_each(stage, script, side)
    count(script, tally)
    assert tally.points > 0
    assert tally.wrong == []


@pytest.mark.parametrize(("script", "part"), PAIRS, ids=[f"{script.name}-{part}" for script, part in PAIRS])
async def test_a_second_crash_of_the_process_that_follows_breaks_nothing(
    stage: Stage, script: Script, part: int, count: Count
) -> None:
    tally = await crash_at_pairs(stage, script, part, PARTS)
    count(script, tally)
    assert tally.pairs > 0
    assert tally.wrong == []


@pytest.mark.skipif(not WRITES, reason="points.txt stays as it is")
async def test_the_points_of_the_suite_are_written_anew(stage: Stage) -> None:
    actions = {}
    for script in SCRIPTS:
        actions[script.name] = (await play_and_check(stage, script, [], Tally())).gateways[0].does
    points.write(points.choose(actions, {script.name for script in SCRIPTS if script.races}))
