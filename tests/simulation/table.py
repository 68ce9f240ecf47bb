"""What was played, told while it is played and at the end: flows, points, pairs, what stays open, violations."""

from collections import Counter, defaultdict
from typing import Any, Final

import pytest

from tests.simulation.crashing import Tally
from tests.simulation.script import Script

__all__ = ["Table", "keep"]

PROPERTY: Final = "crashes"
COLUMNS: Final = ("points", "pairs", "open", "violations", "seconds")


def keep(record_property: Any, script: Script, tally: Tally) -> None:
    """Keep what a test has played, for the table of the run."""
    record_property(PROPERTY, [script.name, tally.points, tally.pairs, tally.open, len(tally.wrong)])


class Table:
    """A plugin of pytest. `progress`: whether each test is told when it ends."""

    def __init__(self, config: pytest.Config, *, progress: bool) -> None:
        self._config, self._progress = config, progress
        self._flows: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test has played."""
        for name, told in report.user_properties:
            if name == PROPERTY and report.when == "call":
                kept: Any = told
                flow, *counts = kept
                of_test = dict(zip(COLUMNS, [*counts, round(report.duration)], strict=True))
                self._flows[flow].update(of_test)
                if self._progress:
                    self._write(f"{report.nodeid.partition('[')[2].rstrip(']')}: {_told(of_test)}")

    def pytest_terminal_summary(self) -> None:
        """The table: all of it in the long version, else the last line alone."""
        if not self._flows:
            return
        if self._progress:
            self._write(" ".join(f"{column:>10}" for column in COLUMNS) + "  flow")
            for flow, counts in self._flows.items():
                self._write(" ".join(f"{counts[column]:>10}" for column in COLUMNS) + f"  {flow}")
        sums: Counter[str] = Counter()
        for counts in self._flows.values():
            sums.update(counts)
        self._write(f"crashes: {len(self._flows)} flows, {_told(sums)}")

    def _write(self, line: str) -> None:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(line)


def _told(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{counts[column]} {column}" for column in COLUMNS)
