"""Success rates of channels over a sliding window, and when a channel is degraded or well again. Pure.

Attempts are counted in slices of time by when they were sent, so that a slice that changed is counted anew as a whole:
the numbers are a function of the rows, whoever counts them and however often. Nothing of nothing is no rate.

    raw             succeeded / all that ended, and what is unresolved for too long: PSPs judge merchants by it
    channel_fault   the same without failures that the payer or the platform is to blame for: it judges channels
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.domain.watch_settings import ANY, WatchRule

__all__ = [
    "AGAIN_AFTER",
    "SLICE",
    "Change",
    "Counted",
    "Health",
    "Rate",
    "Slices",
    "Tally",
    "health",
    "judge",
    "slice_of",
    "together",
    "tried",
]

SLICE: Final = timedelta(seconds=10)
AGAIN_AFTER: Final = timedelta(minutes=30)
AGAIN_AT_LEAST: Final = 5
"""A degraded channel that has little traffic is judged again after so long, on the attempts of that time."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Counted(NamedTuple):
    """What is counted apart; `*` in place of what is counted together."""

    scene: str
    bank: str
    channel: str

    def __str__(self) -> str:
        return "/".join(self)

    def only(self, by: Iterable[str]) -> "Counted":
        """With these dimensions alone."""
        kept = set(by)
        return Counted(*(value if name in kept else ANY for name, value in zip(self._fields, self, strict=True)))


@dataclass(frozen=True, slots=True)
class Tally:
    """How attempts ended: succeeded, or failed by whose blame. `open`: they have no result yet."""

    succeeded: int = 0
    payer: int = 0
    channel: int = 0
    platform: int = 0
    open: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.succeeded + other.succeeded,
            self.payer + other.payer,
            self.channel + other.channel,
            self.platform + other.platform,
            self.open + other.open,
        )


Slices = Mapping[datetime, Tally]
"""By the beginning of the slice."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many succeeded."""

    succeeded: int = 0
    attempts: int = 0

    @property
    def share(self) -> float | None:
        """For people, to four places; None: there were no attempts. Nothing is decided by it."""
        return round(self.succeeded / self.attempts, 4) if self.attempts else None

    def is_below(self, percent: int) -> bool:
        """Exactly; without attempts it is not."""
        return self.succeeded * 100 < percent * self.attempts


@dataclass(frozen=True, slots=True)
class Health:
    """Both rates of a window. `unresolved`: attempts in both that have no result for too long."""

    raw: Rate = Rate()
    channel_fault: Rate = Rate()
    unresolved: int = 0


class Change(StrEnum):
    """What is told of a channel."""

    DEGRADED = "degraded"
    RESTORED = "restored"


def slice_of(at: datetime) -> datetime:
    """The beginning of the slice of a moment."""
    return at - (at - _EPOCH) % SLICE


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    total = Tally()
    for each in tallies:
        total += each
    return total


def health(slices: Slices, now: datetime, rule: WatchRule, window: timedelta | None = None) -> Health:
    """The rates of the attempts that were sent in the window that ends now (`window`: in place of the rule's)."""
    begins = now - (window or timedelta(seconds=rule.window_s))
    late = now - timedelta(seconds=rule.unresolved_after_s)
    inside = {at: each for at, each in slices.items() if at >= begins}
    total = together(inside.values())
    unresolved = sum(each.open for at, each in inside.items() if at + SLICE <= late)
    own = total.succeeded + total.channel + unresolved
    return Health(Rate(total.succeeded, own + total.payer + total.platform), Rate(total.succeeded, own), unresolved)


def tried(slices: Slices, now: datetime, rule: WatchRule) -> tuple[Rate, int]:
    """Of all these attempts: those by which a channel is judged, and how many may still succeed or fail."""
    late = now - timedelta(seconds=rule.unresolved_after_s)
    total = together(slices.values())
    unresolved = sum(each.open for at, each in slices.items() if at + SLICE <= late)
    return Rate(total.succeeded, total.succeeded + total.channel + unresolved), total.open - unresolved


def judge(slices: Slices, degraded_since: datetime | None, now: datetime, rule: WatchRule) -> Change | None:
    """What changes now for what is degraded since then, or is not (None).

    By the channel-fault rate, from `at_least` attempts on. What is degraded and has fewer is judged again after half an
    hour on at least five; without those it stays as it is.
    """
    rate = health(slices, now, rule).channel_fault
    if degraded_since is None:
        return Change.DEGRADED if rate.attempts >= rule.at_least and rate.is_below(rule.below_percent) else None
    if rate.attempts < rule.at_least:
        if now - degraded_since < AGAIN_AFTER:
            return None
        rate = health(slices, now, rule, AGAIN_AFTER).channel_fault
        if rate.attempts < AGAIN_AT_LEAST:
            return None
    return None if rate.is_below(rule.back_at_percent) else Change.RESTORED
