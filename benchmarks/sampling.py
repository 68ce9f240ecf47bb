"""Where a process spends its CPU: its Python stack, looked at by a timer that runs on CPU time.

A profiler that hooks every call would make small functions look dear. Time inside compiled code (asyncpg, OpenSSL,
uvloop) counts for the Python line that called it.
"""

import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Final

import orjson

__all__ = ["Sampler", "place_of", "top_lines"]

EVERY_S: Final = 0.004
"""A common kernel looks at these timers no oftener."""
MAX_DEPTH: Final = 200
KEPT_PLACES: Final = 80
OURS: Final = ("gateway", "adapters", "router", "benchmarks")


class Sampler:
    """Counts by function and line (own) and by function (own and called). Use from the main thread."""

    def __init__(self) -> None:
        self.samples = 0
        self._own: Counter[tuple[str, str, int]] = Counter()
        self._lines: Counter[tuple[str, str, int]] = Counter()
        self._total: Counter[tuple[str, str, int]] = Counter()
        self._ours: Counter[tuple[str, str, int]] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is not None:
            code = frame.f_code
            self._own[code.co_filename, code.co_qualname, code.co_firstlineno] += 1
            self._lines[code.co_filename, code.co_qualname, frame.f_lineno or 0] += 1
            self._ours[self._line_of_ours(frame)] += 1
        seen = set()
        for _depth in range(MAX_DEPTH):
            if frame is None:
                break
            code = frame.f_code
            seen.add((code.co_filename, code.co_qualname, code.co_firstlineno))
            frame = frame.f_back
        self._total.update(seen)

    @staticmethod
    def _line_of_ours(frame: FrameType) -> tuple[str, str, int]:
        """The line of ours that is to be changed to save this sample."""
        caller: FrameType | None = frame
        while caller is not None and not any(f"/{name}/" in caller.f_code.co_filename for name in OURS):
            caller = caller.f_back
        code = (caller or frame).f_code
        return code.co_filename, code.co_qualname, (caller or frame).f_lineno or 0

    def write(self, path: Path) -> None:
        """Write the counts as JSON."""
        counts: dict[str, Any] = {"samples": self.samples}
        counters = {"own": self._own, "lines": self._lines, "ours": self._ours, "total": self._total}
        counts |= {
            name: [[*place, count] for place, count in counter.most_common()] for name, counter in counters.items()
        }
        path.write_bytes(orjson.dumps(counts))


def place_of(filename: str) -> str:
    """A file's name from its package on: `gateway/storage/opening.py`, `sqlalchemy/engine/base.py`."""
    parts = Path(filename).parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    for package in OURS:
        if package in parts:
            return "/".join(parts[parts.index(package) :])
    python = next((place for place, part in enumerate(parts) if part.startswith("python3.")), None)
    return "/".join(parts[-2:] if python is None else ("python", *parts[python + 1 :]))


def package_of(place: str) -> str:
    """What a place belongs to: a library, or a package of ours with its folder."""
    parts = place.split("/")
    return "/".join(parts[:2]) if parts[0] == "gateway" and len(parts) > 2 else parts[0]


def top_lines(counts: dict[str, Any], most: int) -> list[str]:
    """The profile for people: by package, by function, by line, and with what they call."""
    samples = counts["samples"] or 1

    def share(count: int) -> str:
        return f"{100 * count / samples:5.1f} %"

    packages: Counter[str] = Counter()
    for filename, _, _, count in counts["own"]:
        packages[package_of(place_of(filename))] += count
    said = [f"{samples} samples of CPU", "", "own time by package"]
    said += [f"  {share(count)}  {name}" for name, count in packages.most_common(most)]
    for title, name in (
        ("own time by function", "own"),
        ("own time by line", "lines"),
        ("by the line of ours that it is spent for", "ours"),
        ("with what is called", "total"),
    ):
        said += ["", title]
        rows = counts[name][: most if name != "total" else KEPT_PLACES]
        said += [f"  {share(count)}  {place_of(file)}:{line} {function}" for file, function, line, count in rows]
    return said
