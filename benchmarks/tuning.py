"""Inside of a benchmark's gateway: its collector is tuned while it runs, and its pauses and memory are written down.

Trying tunings in turns on one process, one database and one hour is what makes small differences visible. The
tuning stands in a file (`tuning`); what was seen goes line by line into another (`seen.jsonl`).
"""

import asyncio
import gc
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import psutil  # type: ignore[import-untyped]

from gateway.run.collector import THRESHOLDS

__all__ = ["AS_SERVED", "PYTHONS", "Look", "Tuning", "ask_for", "looks", "watch"]

LOOK_EVERY_S: Final = 0.1
LAG_EVERY_S: Final = 0.005
TUNING: Final = "tuning"
SEEN: Final = "seen.jsonl"
GENERATIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Tuning:
    """A way to run the collector: its thresholds, and whether what lived at the start is out of its sight."""

    frozen: bool
    thresholds: tuple[int, ...]

    def __str__(self) -> str:
        return ("frozen " if self.frozen else "") + "/".join(map(str, self.thresholds))

    @classmethod
    def parse(cls, text: str) -> "Tuning":
        """Read what `str` wrote. Raises ValueError."""
        frozen, _, thresholds = text.rpartition(" ")
        return cls(frozen == "frozen", tuple(int(part) for part in thresholds.split("/")))

    def apply(self) -> None:
        """Have this process's collector run so. What lives by now counts as what lived at the start."""
        gc.unfreeze()
        gc.collect()
        if self.frozen:
            gc.freeze()
        gc.set_threshold(*self.thresholds)


PYTHONS: Final = Tuning(False, (700, 10, 10))
"""What Python does by itself."""
AS_SERVED: Final = Tuning(True, THRESHOLDS)
"""What `sluice serve` does."""


@dataclass(slots=True)
class Look:
    """What was seen since the look before it."""

    at: float
    """Seconds of the clock that all processes of a machine share."""
    tuning: str
    rss_bytes: int = 0
    cpu_s: float = 0.0
    """Since the process began."""
    lag_s: float = 0.0
    """The longest time for which the event loop did nothing that was due."""
    collections: list[int] = field(default_factory=lambda: [0] * GENERATIONS)
    pause_s: list[float] = field(default_factory=lambda: [0.0] * GENERATIONS)
    longest_pause_s: list[float] = field(default_factory=lambda: [0.0] * GENERATIONS)
    collected: int = 0
    """Objects that only the collector could free."""


class _Pauses:
    def __init__(self) -> None:
        self.look = Look(0.0, "")
        self._began = 0.0

    def note(self, phase: str, about: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        seconds, generation, look = time.perf_counter() - self._began, about["generation"], self.look
        look.collections[generation] += 1
        look.pause_s[generation] += seconds
        look.longest_pause_s[generation] = max(look.longest_pause_s[generation], seconds)
        look.collected += about["collected"]


async def watch(folder: Path) -> None:
    """Do what `tuning` in the folder says when it changes, and write what is seen, until cancelled."""
    pauses, process, applied = _Pauses(), psutil.Process(), ""
    gc.callbacks.append(pauses.note)
    loop = asyncio.get_running_loop()
    with (folder / SEEN).open("ab", buffering=0) as seen:
        pauses.look = Look(0.0, applied)
        next_look = loop.time() + LOOK_EVERY_S
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            pauses.look.lag_s = max(pauses.look.lag_s, loop.time() - due)
            if loop.time() < next_look:
                continue
            done, next_look = pauses.look, loop.time() + LOOK_EVERY_S
            used = resource.getrusage(resource.RUSAGE_SELF)
            done.at, done.rss_bytes = time.monotonic(), process.memory_info().rss
            done.cpu_s = used.ru_utime + used.ru_stime
            seen.write(orjson.dumps(asdict(done)) + b"\n")
            wanted = _wanted(folder) or applied
            if wanted != applied:
                applied = wanted
                Tuning.parse(wanted).apply()
            pauses.look = Look(0.0, applied)


def _wanted(folder: Path) -> str:
    try:
        return (folder / TUNING).read_text()
    except FileNotFoundError:
        return ""


def ask_for(folder: Path, tuning: Tuning) -> None:
    """Have the gateway that watches this folder run its collector so, and wait until it does."""
    new = folder / "tuning.new"
    new.write_text(str(tuning))
    new.rename(folder / TUNING)
    while not (seen := looks(folder)) or seen[-1].tuning != str(tuning):
        time.sleep(LOOK_EVERY_S)


def looks(folder: Path, since: float = 0.0) -> list[Look]:
    """What was seen so far, from `since` on."""
    try:
        lines = (folder / SEEN).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    found = (Look(**orjson.loads(line)) for line in lines if line.endswith(b"\n"))
    return [look for look in found if look.at >= since]
