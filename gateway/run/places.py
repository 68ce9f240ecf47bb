"""The places of a channel: how many calls it carries at once in this process, and who waits for one.

One place in five is kept for questions (at least one, where there are more than one): payments that are stuck at a slow
PSP must not keep us from asking about them. A question never takes the others' places. First come, first served.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["KEPT_FOR_QUESTIONS", "Places", "Room"]

KEPT_FOR_QUESTIONS: Final = 5
"""One place in so many."""


def _always(_: int) -> bool:
    return True


class Places:
    """Of one channel: `limit` calls at once. It may be changed at any time; calls under way are let be.

    `has_share` tells whether one more may be taken beside so many that are not questions.
    """

    def __init__(self, limit: int, has_share: Callable[[int], bool] = _always) -> None:
        self._for_questions, self._for_the_rest = Room(), Room(has_share)
        self._limit = 0
        self.resize(limit)

    @property
    def for_questions(self) -> int:
        """How many questions it carries at once."""
        return self._for_questions.size

    def resize(self, limit: int) -> None:
        """Keep another limit from now on; does nothing when it is the same."""
        if limit == self._limit:
            return
        self._limit = limit
        kept = max(1, limit // KEPT_FOR_QUESTIONS)
        self._for_questions.resize(kept)
        self._for_the_rest.resize(max(1, limit - kept))

    def room(self, *, asks: bool) -> "Room":
        """Where a call takes its place, and gives it back. A channel with one place has it for both."""
        return self._for_questions if asks and self._limit > 1 else self._for_the_rest


class Room:
    """So many places, and a queue before them. What waits is bounded by those who call, who all wait a bounded time."""

    def __init__(self, has_share: Callable[[int], bool] = _always) -> None:
        self._size = self._taken = 0
        self._has_share = has_share
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()

    @property
    def size(self) -> int:
        """How many places there are."""
        return self._size

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    @property
    def is_free(self) -> bool:
        """Whether somebody who comes now has a place at once."""
        return not self._waiting and self._has_place

    def resize(self, size: int) -> None:
        """Have so many places from now on."""
        self._size = size
        self._let_in()

    def take_now(self) -> bool:
        """Take a place if one is free."""
        self._let_in()  # its share may have grown since one was given back
        if not self.is_free:
            return False
        self._taken += 1
        return True

    async def take(self, within_s: float) -> bool:
        """Wait for a place. False: there was none in time."""
        if self.take_now():
            return True
        if within_s <= 0:
            return False
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._waiting[place] = None
        giving_up = loop.call_later(within_s, self._give_up, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave()  # it was given to us, and we are no longer there to use it
            raise
        finally:
            giving_up.cancel()
            self._waiting.pop(place, None)

    def leave(self) -> None:
        """Give a place back."""
        self._taken -= 1
        self._let_in()

    @property
    def _has_place(self) -> bool:
        return self._taken < self._size and self._has_share(self._taken)

    def _let_in(self) -> None:
        while self._waiting and self._has_place:
            place, _ = self._waiting.popitem(last=False)
            if not place.done():
                self._taken += 1
                place.set_result(True)

    def _give_up(self, place: asyncio.Future[bool]) -> None:
        if not place.done():
            self._waiting.pop(place, None)
            place.set_result(False)
