"""One stage for all plays of a test process, and what was played, told at the end."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from sandbox.keys import prepare_keys
from tests.databases import Server, copy_of
from tests.simulation.crashing import Tally
from tests.simulation.flows import REHEARSAL, SCRIPTS
from tests.simulation.script import Script
from tests.simulation.stage import Stage, new_stage

COUNTED = "crashes"


@pytest.fixture(scope="session")
async def stage(
    postgres: Server, template: str, short_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The stage on which all scripts are played, one after the other."""
    keys = tmp_path_factory.mktemp("simulation-keys")
    prepare_keys(keys)
    folder = short_folder / "simulation"
    folder.mkdir()
    async with new_stage(await copy_of(postgres, template, "simulation"), keys, folder) as stage:
        for script in SCRIPTS:  # so that the rehearsal reads the whole catalogue
            await script.merchant_on(stage)
        await REHEARSAL.play(stage, rehearses=True)
        yield stage


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[Script, Tally], None]:
    """Keeps what was played, for the end of the run."""

    def keep(script: Script, tally: Tally) -> None:
        told = asdict(tally)
        record_property(COUNTED, [script.name, told["points"], told["pairs"], told["open"], len(tally.wrong)])

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was played: flows, points, pairs, what stays open by its terms, and what must not have been."""
    flows: set[str] = set()
    sums: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, told in getattr(report, "user_properties", ()):
                if name == COUNTED and report.when == "call":
                    flows.add(told[0])
                    sums.update(dict(zip(("points", "pairs", "open", "violations"), told[1:], strict=True)))
    if flows:
        told = ", ".join(f"{sums[name]} {name}" for name in ("points", "pairs", "open", "violations"))
        terminalreporter.write_line(f"crashes: {len(flows)} flows, {told}")
