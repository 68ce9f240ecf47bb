"""What this process has in its hands: over all, of each merchant, and on each channel.

A PSP that hangs keeps whatever is sent to it, and a merchant that floods keeps whatever is taken from it. So nobody is
given a fixed part, of which enough of them would make the whole: a channel may have a quarter of what is still free
over all, a provider over all merchants as much as is free, a merchant three times as much. The more of them hang the
less each of them gets, and something is left for the others.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final
from uuid import UUID

from gateway.ports import OverloadedError
from gateway.run.pace import Monotonic
from gateway.run.places import Places, Room

__all__ = ["AT_LEAST", "CALLS_AT_ONCE", "RETRY_AFTER_S", "ProcessRooms"]

CALLS_AT_ONCE: Final = 200
"""In each process, of a channel for which the catalogue says nothing."""
CHANNEL_SHARE: Final = 0.25
PROVIDER_SHARE: Final = 1.0
MERCHANT_SHARE: Final = 3.0
WAITING_SHARE: Final = 1.0
"""Times what is free: so a channel alone has a fifth of the whole, a provider half, a merchant three quarters."""
AT_LEAST: Final = 4
"""So much each of them may have in hand while there is any room, however little that is."""
RETRY_AFTER_S: Final = 2


def _of_its_own(merchant_id: UUID, channel: str) -> str:
    """The default of `provider_of`: every channel has one of its own."""
    return f"{merchant_id} {channel}"


def _any_number(_merchant_id: UUID, _channel: str) -> int | None:
    """The default of `calls_per_second`."""
    return None


def _alone() -> int:
    """The default of `processes`."""
    return 1


@dataclass(slots=True)
class _Held:
    """A place that somebody has: of which room, of which provider that is, and whether its call is still to be made."""

    room: Room
    provider: str
    unspent: bool = True


class ProcessRooms:
    """Implements `ports.Rooms`. `most`: orders in hand over all; as many again may wait for a place.

    `calls_at_once`, `calls_per_second`: a channel's limits, None where nothing is said. So many `processes` share them
    evenly: each has one call at once at least, and the rate is divided exactly. `provider_of`: the PSP that a channel
    belongs to.
    """

    def __init__(
        self,
        most: int,
        calls_at_once: Callable[[UUID, str], int | None],
        provider_of: Callable[[UUID, str], str] = _of_its_own,
        calls_per_second: Callable[[UUID, str], int | None] = _any_number,
        processes: Callable[[], int] = _alone,
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._most, self._calls_at_once, self._provider_of = most, calls_at_once, provider_of
        self._calls_per_second, self._processes, self._clock = calls_per_second, processes, clock
        self._in_hand = self._waiting = 0
        self._of_merchant: Counter[UUID] = Counter()
        self._places: defaultdict[UUID, dict[str, Places]] = defaultdict(dict)
        self._held: dict[UUID, _Held] = {}
        """By holder."""
        self._of_provider: Counter[str] = Counter()
        self._lines: set[tuple[UUID, str]] = set()
        self._lines_are_served = False

    def enter(self, merchant_id: UUID) -> None:
        """Take an order into hand. Raises OverloadedError."""
        free = self._most - self._in_hand
        if free <= 0 or not _has_share(self._of_merchant[merchant_id], MERCHANT_SHARE * free):
            raise OverloadedError(RETRY_AFTER_S)
        self._enter(merchant_id)

    def exit(self, merchant_id: UUID) -> None:
        """An order is out of hand."""
        self._in_hand -= 1
        self._of_merchant[merchant_id] -= 1
        if not self._of_merchant[merchant_id]:
            del self._of_merchant[merchant_id]

    def full(self, merchant_id: UUID, holder: UUID | None = None) -> list[str]:
        """The merchant's channels that have no place free, nor one that `holder` has already."""
        if merchant_id not in self._places:
            return []
        held = self._room_of(holder)
        rooms = ((channel, self._room(merchant_id, channel)) for channel in self._places[merchant_id])
        return [channel for channel, room in rooms if not room.is_free and room is not held]

    def take(self, holder: UUID, merchant_id: UUID, channel: str) -> bool:
        """Have a place of this channel and no other, at once. False: there is none; what was held is held on."""
        room = self._room(merchant_id, channel)
        if self._room_of(holder) is room:
            return True
        if not room.take_now():
            return False
        self._hold(holder, room, merchant_id, channel)
        return True

    async def wait(self, holder: UUID, merchant_id: UUID, channel: str, within_s: float) -> bool:
        """Wait for a place, first come, first served. False: none in time, or too many wait. Meanwhile out of hand."""
        room = self._room(merchant_id, channel)
        if not _has_share(room.waiting, WAITING_SHARE * (self._most - self._waiting)):
            return False
        self.exit(merchant_id)
        self._waiting += 1
        try:
            if not await room.take(within_s):
                return False
            self._hold(holder, room, merchant_id, channel)
            return True
        finally:
            self._waiting -= 1
            self._enter(merchant_id)

    def leave(self, holder: UUID) -> None:
        """Give the place back, if there is one."""
        held = self._held.pop(holder, None)
        if held is not None:
            self._of_provider[held.provider] -= 1
            held.room.leave(unspent=held.unspent)

    def holds(self, holder: UUID | None, merchant_id: UUID, channel: str) -> bool:
        """Whether it has a place of this channel."""
        return holder in self._held and self._room_of(holder) is self._room(merchant_id, channel)

    async def may_call(self, holder: UUID, within_s: float) -> bool:
        """Make a call on the place that it has: the first one at once, each other one when the channel's pace lets it.

        False: not in time.
        """
        held = self._held[holder]
        if held.unspent:
            held.unspent = False
            held.room.spend()
            return True
        return await held.room.call_again(within_s)

    def places(self, merchant_id: UUID, channel: str) -> Places:
        """The places of a channel: this process's share of what the catalogue in force says."""
        said, per_second = self._calls_at_once(merchant_id, channel), self._calls_per_second(merchant_id, channel)
        processes = self._processes()
        limit = max(1, said // processes) if said else CALLS_AT_ONCE
        places = self._places[merchant_id].get(channel)
        if places is None:
            places = self._places[merchant_id][channel] = Places(
                limit, partial(self._channel_has_share, merchant_id, channel), self._clock
            )
        places.resize(limit, Fraction(per_second, processes) if per_second else None)
        return places

    # Withholds without a place stand in line, in the books: those that come later go behind them.

    def serve_lines(self) -> None:
        """From now on somebody in this process sends those who stand in line, and tells how each line stands."""
        self._lines_are_served = True

    def has_line(self, merchant_id: UUID, channel: str) -> bool:
        """Whether withholds stand in line for this channel, as far as this process knows."""
        return (merchant_id, channel) in self._lines

    def stand_in_line(self, merchant_id: UUID, channel: str) -> None:
        """A withhold stands in line from now on."""
        if self._lines_are_served:
            self._lines.add((merchant_id, channel))

    def lines(self) -> list[tuple[UUID, str]]:
        """All lines that are known."""
        return list(self._lines)

    def end_line(self, merchant_id: UUID, channel: str) -> None:
        """Nobody stands in line for this channel any more."""
        self._lines.discard((merchant_id, channel))

    def _room(self, merchant_id: UUID, channel: str) -> Room:
        """Where what is to be sent has its place."""
        return self.places(merchant_id, channel).room(asks=False)

    def _room_of(self, holder: UUID | None) -> Room | None:
        held = self._held.get(holder) if holder else None
        return held.room if held else None

    def _channel_has_share(self, merchant_id: UUID, channel: str, taken: int) -> bool:
        free = self._most - len(self._held)
        provider = self._of_provider[self._provider_of(merchant_id, channel)]
        return _has_share(provider, PROVIDER_SHARE * free) and _has_share(taken, CHANNEL_SHARE * free)

    def _enter(self, merchant_id: UUID) -> None:
        self._in_hand += 1
        self._of_merchant[merchant_id] += 1

    def _hold(self, holder: UUID, room: Room, merchant_id: UUID, channel: str) -> None:
        self.leave(holder)
        provider = self._provider_of(merchant_id, channel)
        self._held[holder] = _Held(room, provider)
        self._of_provider[provider] += 1


def _has_share(taken: int, share: float) -> bool:
    return taken < AT_LEAST or taken < share
