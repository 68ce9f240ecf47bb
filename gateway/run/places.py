"""The places of a channel: how many calls it carries at once in this process, how many a second, and who waits for one.

One place in five, and one call in five of a second's, is kept for questions (at least one place, where there are more
than one): payments that are stuck at a slow PSP must not keep us from asking about them. A question never takes the
others'. First come, first served.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from gateway.run.pace import Monotonic, Pace

__all__ = ["KEPT_FOR_QUESTIONS", "Places", "Room"]

KEPT_FOR_QUESTIONS: Final = 5
"""One place in so many."""


def _always(_: int) -> bool:
    return True


class Places:
    """Of one channel: `limit` calls at once, `per_second` (None: any number). Both may be changed at any time; calls
    under way are let be.

    `has_share` tells whether one more may be taken beside so many that are not questions.
    """

    def __init__(
        self, limit: int, has_share: Callable[[int], bool] = _always, clock: Monotonic = time.monotonic
    ) -> None:
        self._for_questions, self._for_the_rest = Room(clock=clock), Room(has_share, clock)
        self._limit = 0
        self._per_second: Fraction | None = None
        self.resize(limit)

    @property
    def for_questions(self) -> int:
        """How many questions it carries at once, and no more than it carries in a second."""
        room = self._for_questions
        return room.size if room.pace.tokens is None else min(room.size, room.pace.tokens)

    def resize(self, limit: int, per_second: Fraction | None = None) -> None:
        """Keep other limits from now on; does nothing when they are the same."""
        if limit != self._limit:
            self._limit = limit
            kept = max(1, limit // KEPT_FOR_QUESTIONS)
            self._for_questions.resize(kept)
            self._for_the_rest.resize(max(1, limit - kept))
        if per_second != self._per_second:
            self._per_second = per_second
            asked = None if per_second is None else per_second / KEPT_FOR_QUESTIONS
            self._for_questions.set_pace(asked)
            self._for_the_rest.set_pace(None if per_second is None or asked is None else per_second - asked)

    def room(self, *, asks: bool) -> "Room":
        """Where a call takes its place, and gives it back. A channel with one place has it for both."""
        return self._for_questions if asks and self._limit > 1 else self._for_the_rest


class Room:
    """So many places, their pace, and a queue before them. What waits is bounded by those who call, who all wait a
    bounded time.

    A place comes with the token of one call: it is `spent` when the call is made. Whoever makes another call on the
    same place asks for another token, and has it before those who wait for a place.
    """

    def __init__(self, has_share: Callable[[int], bool] = _always, clock: Monotonic = time.monotonic) -> None:
        self.pace = Pace(clock)
        self.taken_so_far = 0
        """Places that were ever taken."""
        self._size = self._taken = 0
        self._has_share = has_share
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._calling: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        """Those who have a place, and wait for a token."""
        self._wakes: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """How many places there are."""
        return self._size

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    @property
    def is_free(self) -> bool:
        """Whether somebody who comes now has a place at once."""
        return not self._waiting and not self._calling and self._has_place and self.pace.is_free

    @property
    def left(self) -> int:
        """How many who come now have a place at once."""
        if not self.is_free:
            return 0
        places, tokens = self._size - self._taken, self.pace.left
        return places if tokens is None else min(places, tokens)

    def resize(self, size: int) -> None:
        """Have so many places from now on."""
        self._size = size
        self._let_in()

    def set_pace(self, per_second: Fraction | None) -> None:
        """Have so many calls a second from now on."""
        self.pace.set(per_second)
        self._let_in()

    def take_now(self) -> bool:
        """Take a place, with a token, if one is free."""
        self._let_in()  # its share may have grown since one was given back
        if not self.is_free:
            return False
        self._take()
        return True

    async def take(self, within_s: float) -> bool:
        """Wait for a place, with a token. False: there was none in time."""
        if self.take_now():
            return True
        return await self._wait(self._waiting, within_s, self._leave_unspent)

    async def call_again(self, within_s: float) -> bool:
        """Wait for another token for a place that is taken, and spend it. False: there was none in time."""
        if not self._calling and self.pace.is_free:
            self.pace.take()
        elif not await self._wait(self._calling, within_s, self.pace.give_back):
            return False
        self.spend()
        return True

    def spend(self) -> None:
        """The call of a place is made now."""
        self.pace.spend()
        if self._calling or self._waiting:
            self._let_in()

    def leave(self, *, unspent: bool = False) -> None:
        """Give a place back; `unspent`: its call was not made."""
        self._taken -= 1
        if unspent:
            self.pace.give_back()
        self._let_in()

    @property
    def _has_place(self) -> bool:
        return self._taken < self._size and self._has_share(self._taken)

    def _take(self) -> None:
        self._taken += 1
        self.taken_so_far += 1
        self.pace.take()

    def _leave_unspent(self) -> None:
        self.leave(unspent=True)

    async def _wait(
        self,
        queue: OrderedDict[asyncio.Future[bool], None],
        within_s: float,
        give_back: Callable[[], None],
    ) -> bool:
        if within_s <= 0:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        queue[turn] = None
        self._wake_in_time()
        giving_up = loop.call_later(within_s, _give_up, queue, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                give_back()  # it was given to us, and we are no longer there to use it
            raise
        finally:
            giving_up.cancel()
            queue.pop(turn, None)

    def _let_in(self) -> None:
        while self._calling and self.pace.is_free:
            if _called(self._calling):
                self.pace.take()
        while not self._calling and self._waiting and self._has_place and self.pace.is_free:
            if _called(self._waiting):
                self._take()
        self._wake_in_time()

    def _wake_in_time(self) -> None:
        """Where somebody waits for a token alone, look again when one is back: one timer for all who wait."""
        if self._wakes is not None or not (self._calling or (self._waiting and self._has_place)):
            return
        wait_s = self.pace.wait_s
        if wait_s is not None and not self.pace.is_free:
            self._wakes = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._wakes = None
        self._let_in()


def _called(queue: OrderedDict[asyncio.Future[bool], None]) -> bool:
    """Let the first in; False: it is no longer there."""
    turn, _ = queue.popitem(last=False)
    if turn.done():
        return False
    turn.set_result(True)
    return True


def _give_up(queue: OrderedDict[asyncio.Future[bool], None], turn: "asyncio.Future[bool]") -> None:
    if not turn.done():
        queue.pop(turn, None)
        turn.set_result(False)
