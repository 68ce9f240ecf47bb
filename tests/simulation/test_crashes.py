"""A process dies at any of its outside actions: nobody is charged twice, nothing is lost, everybody is told once.

In the suite before each action of some flows and before some of the others, which `SLUICE_HUNT_SEED` draws; with `make
crashes` before and after each action of all flows, and at every pair. README.md says how a flow is added. Not here: a
machine that loses its power, a database that goes away (tests/e2e, tests/storage).
"""

import os
from collections.abc import Callable

import pytest

from tests.simulation.crashing import Tally, crash_at_each, crash_at_pairs, crash_at_some, crash_at_some_pairs
from tests.simulation.flows import SCRIPTS
from tests.simulation.script import Script
from tests.simulation.stage import Stage

LONG = bool(os.environ.get("SLUICE_HUNT_CRASHES"))
SEED = int(os.environ.get("SLUICE_HUNT_SEED", "1"))
PAIRS = 2
"""Of each flow that has them, in the suite."""

Count = Callable[[Script, Tally], None]


SHOWN = [script for script in SCRIPTS if LONG or not script.long]


@pytest.mark.parametrize("script", SHOWN, ids=lambda script: script.name)
async def test_a_crash_at_any_outside_action_breaks_nothing(stage: Stage, script: Script, count: Count) -> None:
    if LONG:
        tally = await crash_at_each(stage, script, ("before", "after"))
    elif script.draws is None:
        tally = await crash_at_each(stage, script, ("before",))
    else:
        tally = await crash_at_some(stage, script, script.draws, SEED)
    count(script, tally)
    assert tally.points > 0
    assert tally.wrong == []


@pytest.mark.parametrize("script", [each for each in SHOWN if each.pairs], ids=lambda script: script.name)
async def test_a_second_crash_of_the_process_that_follows_breaks_nothing(
    stage: Stage, script: Script, count: Count
) -> None:
    tally = await (crash_at_pairs(stage, script) if LONG else crash_at_some_pairs(stage, script, PAIRS, SEED))
    count(script, tally)
    assert tally.pairs > 0
    assert tally.wrong == []
