"""A process dies at any of its outside actions: nobody is charged twice, nothing is lost, everybody is told once.

Before each action in the suite, of some flows after each one, too; of all flows, and at every pair, with
`make crashes`. README.md says how a flow is added. Not here: a machine that loses its power, a database that goes away
(tests/e2e, tests/storage).
"""

import os
from collections.abc import Callable

import pytest

from tests.simulation.crashing import Tally, crash_at_each, crash_at_pairs
from tests.simulation.flows import SCRIPTS
from tests.simulation.script import Script
from tests.simulation.stage import Stage

LONG = bool(os.environ.get("SLUICE_HUNT_CRASHES"))
SEED = int(os.environ.get("SLUICE_HUNT_SEED", "1"))

Count = Callable[[Script, Tally], None]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
async def test_a_crash_at_any_outside_action_breaks_nothing(stage: Stage, script: Script, count: Count) -> None:
    tally = await crash_at_each(stage, script, ("before", "after") if LONG or script.pairs else ("before",))
    count(script, tally)
    assert tally.points > 0
    assert tally.wrong == []


@pytest.mark.parametrize("script", [each for each in SCRIPTS if each.pairs], ids=lambda script: script.name)
async def test_a_second_crash_of_the_process_that_follows_breaks_nothing(
    stage: Stage, script: Script, count: Count
) -> None:
    tally = await crash_at_pairs(stage, script, None if LONG else SEED)
    count(script, tally)
    assert tally.pairs > 0
    assert tally.wrong == []
