"""Which tests each process of a run is given first: those that take long, so that short ones are left for the end.

pytest-xdist (`--dist worksteal`) cuts the list of all tests into one piece for each process, in turn, and who has none
left takes half of what another has not begun, from its end. Long tests at a piece's end would leave a core idle. So
each piece begins with its share of the long ones, and neighbours stay together: they share what is dear to set up.
"""

import os
from collections.abc import Sequence
from typing import Final, TypeVar

__all__ = ["in_pieces", "processes", "seconds_of"]

T = TypeVar("T")

SECONDS: Final = {"simulation": 1.5, "pages": 1.5, "e2e": 0.5}
"""What a test of a folder takes, about. All others are short."""


def processes() -> int:
    """How many share the tests: two more than there are cores, for many tests wait for what other programs do."""
    return len(os.sched_getaffinity(0)) + 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 2


def seconds_of(nodeid: str) -> float:
    """About how long a test takes; 0 if it is short."""
    return SECONDS.get(nodeid.split("/")[1], 0.0) if nodeid.count("/") > 1 else 0.0


def in_pieces(tests: Sequence[T], seconds: Sequence[float], count: int) -> list[T]:
    """All tests, such that each of `count` equal pieces begins with as much of what takes long as the others."""
    shares: list[list[T]] = [[] for _ in range(count)]
    sum_s, before_s = sum(seconds), 0.0
    for test, takes_s in zip(tests, seconds, strict=True):
        if takes_s:
            shares[int(count * before_s / sum_s)].append(test)
            before_s += takes_s
    short = [test for test, takes_s in zip(tests, seconds, strict=True) if not takes_s]
    ordered: list[T] = []
    for left, share in zip(range(count, 0, -1), shares, strict=True):
        rest = max(0, (len(tests) - len(ordered)) // left - len(share))
        ordered += [*share, *short[:rest]]
        del short[:rest]
    return ordered + short
