"""One stage for all plays of a test process, and what was played, told at the end."""

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from tests.databases import Server, copy_of
from tests.simulation.crashing import Tally
from tests.simulation.flows import REHEARSAL, SCRIPTS
from tests.simulation.script import Script
from tests.simulation.stage import Stage, new_stage
from tests.simulation.table import Table, keep


@pytest.fixture(scope="session")
async def stage(postgres: Server, template: str, short_folder: Path, psp_keys: Path) -> AsyncIterator[Stage]:
    """The stage on which all scripts are played, one after the other."""
    folder = short_folder / "simulation"
    folder.mkdir()
    async with new_stage(await copy_of(postgres, template, "simulation"), psp_keys, folder) as stage:
        for script in SCRIPTS:  # so that the rehearsal reads the whole catalogue
            await script.merchant_on(stage)
        await REHEARSAL.play(stage, rehearses=True)
        yield stage


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[Script, Tally], None]:
    """Keeps what was played, for the end of the run."""
    return partial(keep, record_property)


def pytest_configure(config: pytest.Config) -> None:
    """Have it told what was played."""
    config.pluginmanager.register(Table(config, progress=bool(os.environ.get("SLUICE_HUNT_CRASHES"))))
