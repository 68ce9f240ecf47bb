"""Programs that run together: which end of one is the end of all, and which is not. Real processes, small ones.

Not here: `sluice run` and `sluice serve` themselves (tests/e2e).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.run import supervising
from gateway.run.supervising import DATABASE_AWAY, UNUSABLE, ChildEndedError, Family, Interrupted

STAYS = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
def family() -> Iterator[Family]:
    with Family(lambda _, __: None, at_once=True) as family:
        family.start_python("stays", ["-c", STAYS])
        yield family


def ends_with(*statuses: int, folder: Path) -> list[str]:
    """A program that ends with each of these, one after the other, and then stays."""
    counter = folder / "starts"
    return [
        "-c",
        f"""
import pathlib, sys, time
counter = pathlib.Path({str(counter)!r})
start = len(counter.read_text()) if counter.exists() else 0
counter.write_text("x" * (start + 1))
statuses = {statuses!r}
if start < len(statuses):
    sys.exit(statuses[start])
time.sleep(600)
""",
    ]


class Watcher:
    """Hears of the ends, and interrupts at the last of so many."""

    def __init__(self, most: int) -> None:
        self.ended: list[int] = []
        self._most = most

    def __call__(self, pid: int) -> None:
        self.ended.append(pid)
        if len(self.ended) == self._most:
            raise Interrupted("SIGTERM")


def test_a_program_that_ends_is_started_again_and_the_others_go_on(family: Family, tmp_path: Path) -> None:
    family.start_python("ends", ends_with(1, 3, folder=tmp_path))
    stays, first = family.pids
    watcher = Watcher(2)
    with pytest.raises(ChildEndedError, match="ends ended with status 3"):  # the signal came while it did not run
        family.keep(watcher)
    assert family.pids[0] == stays
    assert len(set(watcher.ended)) == 2
    assert watcher.ended[0] == first
    assert stays not in watcher.ended


def test_a_program_that_ends_at_once_again_and_again_ends_all_with_its_last_words(
    family: Family, tmp_path: Path
) -> None:
    family.start_python("ends", ["-c", "print('no way'); raise SystemExit(1)"])
    watcher = Watcher(0)
    with pytest.raises(ChildEndedError, match=r"ends ended with status 1; its last words:\n +no way"):
        family.keep(watcher)
    assert len(watcher.ended) == 4  # the first time, and after each pause


@pytest.mark.parametrize("status", [UNUSABLE, DATABASE_AWAY])
def test_a_program_that_cannot_even_begin_ends_all_at_once(family: Family, tmp_path: Path, status: int) -> None:
    family.start_python("ends", ends_with(status, folder=tmp_path))
    watcher = Watcher(0)
    with pytest.raises(ChildEndedError, match=f"status {status}"):
        family.keep(watcher)
    assert len(watcher.ended) == 1


def test_a_program_that_waits_for_the_database_is_started_as_often_as_it_takes(family: Family, tmp_path: Path) -> None:
    tries = 8
    family.start_python("ends", ends_with(1, *[DATABASE_AWAY] * tries, folder=tmp_path))
    watcher = Watcher(tries + 1)
    with pytest.raises(ChildEndedError, match=f"status {DATABASE_AWAY}"):
        family.keep(watcher)
    assert len(watcher.ended) == tries + 1


def test_a_program_that_ran_for_long_may_end_as_often_as_it_likes(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "STEADY_S", 0.0)
    family.start_python("ends", ends_with(*[UNUSABLE] * 10, folder=tmp_path))
    watcher = Watcher(6)
    with pytest.raises(ChildEndedError):
        family.keep(watcher)
    assert len(watcher.ended) == 6
