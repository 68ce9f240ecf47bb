"""What withholds in line may take of a channel: what charges leave.

A charge that finds its channel full goes elsewhere or is refused, so those in line never take all that is free: places
and calls stay free for the charges that will come, as many as came lately, with the chance that more come at once.
Nothing of it is measured when a charge comes: whoever serves the line looks at the counts, some times a second.
"""

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final
from uuid import UUID

from gateway.run.pace import Monotonic, Pace
from gateway.run.places import Room
from gateway.run.rooms import ProcessRooms

__all__ = ["ProcessLines", "kept"]

REMEMBERED_S: Final = 10.0
"""Over so long the charges that came are averaged."""
LOOK_EVERY_S: Final = 0.2
QUIET_SHARE: Final = 4
"""One place in so many is kept for charges though none came."""
LEAST_SHARE: Final = 8
"""One place in so many, at least one, is those' in line, however many charges come."""


def kept(size: int, others: float) -> int:
    """How many of so many places are kept for charges, where so many are with them on average.

    They come by chance: three deviations above the average, so that hardly any finds its place taken.
    """
    wanted = max(math.ceil(size / QUIET_SHARE), math.ceil(others + 3 * math.sqrt(others)))
    return min(wanted, size - max(1, size // LEAST_SHARE))


@dataclass(slots=True)
class _Line:
    pace: Pace
    held: int = 0
    """Places that those in line have."""
    taken_so_far: int = 0
    others_so_far: int = 0
    looked_at: float | None = None
    per_second: float = 0.0
    """Orders of others, on average."""
    at_once: float = 0.0
    """Places of others, on average."""

    def look(self, room: Room, now: float) -> None:
        """Count what came since the last look."""
        passed_s = None if self.looked_at is None else now - self.looked_at
        if passed_s is not None and passed_s < LOOK_EVERY_S:
            return
        others = room.taken_so_far - self.taken_so_far
        if passed_s is None:
            self.at_once = float(room.taken - self.held)
        else:
            weight = 1 - math.exp(-passed_s / REMEMBERED_S)
            self.per_second += weight * ((others - self.others_so_far) / passed_s - self.per_second)
            self.at_once += weight * (room.taken - self.held - self.at_once)
        self.looked_at, self.others_so_far = now, others


@dataclass(slots=True)
class ProcessLines:
    """The lines of one process. Implements `gateway.workers.line.Room`."""

    rooms: ProcessRooms
    clock: Monotonic = time.monotonic
    _lines: defaultdict[tuple[UUID, str], _Line] = field(init=False)
    _held: dict[UUID, _Line] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._lines = defaultdict(lambda: _Line(Pace(self.clock)))
        self.rooms.serve_lines()

    def room(self, merchant_id: UUID, channel: str) -> int:
        """How many in line may be sent on this channel now."""
        room = self.rooms.places(merchant_id, channel).room(asks=False)
        line = self._lines[merchant_id, channel]
        line.look(room, self.clock())
        left = min(room.left, room.size - kept(room.size, line.at_once) - line.held)
        tokens, per_second = room.pace.tokens, room.pace.per_second
        if tokens is not None and per_second is not None:
            share = tokens - kept(tokens, line.per_second * tokens / float(per_second))
            line.pace.set(per_second * Fraction(share, tokens))
            left = min(left, line.pace.left or 0)
        return max(0, left)

    def take(self, holder: UUID, merchant_id: UUID, channel: str) -> bool:
        """Have a place of this channel. False: there is none any more."""
        if not self.rooms.take(holder, merchant_id, channel):
            return False
        line = self._lines[merchant_id, channel]
        self._held[holder] = line
        line.held += 1
        line.taken_so_far += 1
        line.pace.take()
        line.pace.spend()
        return True

    def leave(self, holder: UUID) -> None:
        """Give the place back."""
        self.rooms.leave(holder)
        line = self._held.pop(holder, None)
        if line is not None:
            line.held -= 1

    def stands(self, merchant_id: UUID, channel: str, *, stands: bool) -> None:
        """Whether somebody stands in line for this channel: then those that come go behind them."""
        if stands:
            self.rooms.stand_in_line(merchant_id, channel)
        else:
            self.rooms.end_line(merchant_id, channel)

    def known(self) -> list[tuple[UUID, str]]:
        """The lines that are known."""
        return self.rooms.lines()
