"""What was measured: values that are printed and written as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

__all__ = ["LoadFigures", "Overhead", "Pgbench", "percentile"]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them (0 to 1) do not exceed; nearest rank. NaN of none.

    `statistics.quantiles` would make up values between two that were measured.
    """
    if not values:
        return float("nan")
    ranked = sorted(values)
    rank = max(1, -(-len(ranked) * round(share * 10_000) // 10_000))
    return ranked[min(rank, len(ranked)) - 1]


@dataclass(frozen=True, slots=True)
class Pgbench:
    """Executions of the two-transaction script per second: before and after our loads."""

    clients: int
    per_s: tuple[float, ...]

    @property
    def mean_per_s(self) -> float:
        return fmean(self.per_s)


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """One load on the gateway. Latencies are of requests answered within the measured time."""

    psp: str
    users: str
    """`known`: seen before, their card sent again; `new`: never seen."""
    concurrency: int
    seconds: float
    payments: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    """CPU per payment, in ms, by program."""
    problems: list[str] = field(default_factory=list)
    """What the proof afterwards found wrong."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """The gateway's own part of a request at a steady rate: its latency less the time measured by the mock PSP."""

    per_s: float
    psp_ms: float
    payments: int
    latency_p50_ms: float
    latency_p99_ms: float
    p50_ms: float
    p99_ms: float
    problems: list[str] = field(default_factory=list)
