"""The harness's own check: bugs that are put in on purpose are found, each for what it is."""

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.crashing import Tally, play_and_check
from tests.simulation.flows import SCRIPTS
from tests.simulation.stage import Stage


@pytest.mark.parametrize("bug", BUGS)
async def test_a_bug_that_is_put_in_on_purpose_is_found(stage: Stage, bug: str) -> None:
    script, tally = next(each for each in SCRIPTS if each.name == BUGS[bug].script), Tally()
    await play_and_check(stage, script, [BUGS[bug].at], tally, bug)
    assert tally.points == 1
    assert any(BUGS[bug].says in sentence for sentence in tally.wrong), tally.wrong
