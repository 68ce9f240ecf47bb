"""Whether a process's clock may be believed: measured against the database's, the one clock that all processes share.

What is proved by time ("three answers over half an hour") is proved across processes: one began to wait, another hears
the last answer. So each of them must tell the same time, or nothing is proved. Pure.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_AGE_S", "MAX_OFFSET_S", "PROOF_MARGIN_S", "Measurement", "Verdict"]

MAX_OFFSET_S: Final = 2.0
"""How far a process's clock may be from the database's. Beyond it the process takes nothing."""
MAX_AGE_S: Final = 60.0
"""How long one measurement is believed."""
PROOF_MARGIN_S: Final = 10.0
"""What a proof by time waits beyond its rule: more than two clocks can differ by, and than what happens between."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a process's clock now. `offset_s`: ahead of the database's; None: never measured."""

    is_right: bool
    offset_s: float | None = None
    age_s: float | None = None
    """How long ago it was measured."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One look at the database's clock: it read `database_s` at some time between asking and hearing.

    The times are seconds since the epoch; `monotonic_s` is the process's clock that nobody can set.
    """

    asked_s: float
    heard_s: float
    database_s: float
    monotonic_s: float
    """When it was heard."""

    @property
    def offset_s(self) -> float:
        """How far ahead of the database this process is, give or take half the round trip."""
        return (self.asked_s + self.heard_s) / 2 - self.database_s

    @property
    def half_round_trip_s(self) -> float:
        return abs(self.heard_s - self.asked_s) / 2

    @property
    def tells(self) -> bool:
        """Whether it tells right from wrong: after a long round trip, both may be true."""
        off = abs(self.offset_s)
        return off + self.half_round_trip_s <= MAX_OFFSET_S or off - self.half_round_trip_s > MAX_OFFSET_S

    def judges(self, wall_s: float, monotonic_s: float) -> Verdict:
        """What it says of the clock that reads `wall_s` now. A clock that was set since then has gone another way than
        the one that nobody can set, so that is known at once."""
        age_s = monotonic_s - self.monotonic_s
        offset_s = self.offset_s + (wall_s - self.heard_s) - age_s
        is_right = 0 <= age_s <= MAX_AGE_S and abs(offset_s) + self.half_round_trip_s <= MAX_OFFSET_S
        return Verdict(is_right, offset_s, age_s)
