"""Following up what is due: claimed by lease, a bounded number at once, so that whatever is slow stops only itself.

Nobody is given a fixed part of the places, of which enough of them would make the whole: a channel may have half as
many as are still free over all, a provider over all merchants as many as are free, a merchant twice as many. A place
that becomes free is filled at once while there is more to do: what ends during a claim makes the next one larger.
"""

import asyncio
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar
from uuid import UUID

from gateway.flows.follow_up import Due, channel_of
from gateway.flows.observations import key_of
from gateway.logs import get

log = get(__name__)

K = TypeVar("K", str, UUID, tuple[UUID, str])

AT_ONCE: Final = 128
"""Objects in hand: claimed, being asked about, or being recorded."""
CHANNEL_SHARE = 0.5
PROVIDER_SHARE = 1.0
MERCHANT_SHARE = 2.0
"""Times what is free over all: so a channel alone has a third of the places, a provider half, a merchant two thirds."""
NOUNS_SHARE: Final = 4
"""A claim takes a quarter of what is asked for at least, if there is so much of one noun."""
AT_LEAST: Final = 2
"""So many a channel or a merchant may have while any place is free, and its provider has a share."""
LEASE_MARGIN_S = 10.0
"""Beyond a PSP call's own limit: the time to record what it said."""
CLOSE_WITHIN_S = 10.0


class Claims(Protocol):
    """The books of what is due (implemented by `gateway.storage.writing.due`)."""

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, room: Callable[[str], int]
    ) -> list[Due]: ...


class Follower:
    """Claims what is due and does it.

    `call_limit_s` tells the longest that one PSP call may take now, `questions_at_once` how many questions a channel
    of a merchant carries at once (0: none now), `provider_of` the PSP that it belongs to.
    """

    def __init__(
        self,
        claims: Claims,
        follow_up: Callable[[Due], Awaitable[None]],
        merchants: Callable[[], Collection[UUID]],
        call_limit_s: Callable[[], float],
        questions_at_once: Callable[[UUID, str], int],
        provider_of: Callable[[UUID, str], str],
        clock: Callable[[], datetime],
        claimed: Callable[[int], None],
    ) -> None:
        self._claims = claims
        self._follow_up = follow_up
        self._merchants = merchants
        self._call_limit_s = call_limit_s
        self._questions_at_once = questions_at_once
        self._provider_of = provider_of
        self._clock = clock
        self._claimed = claimed
        self._tasks: set[asyncio.Task[None]] = set()
        self._of_channel: Counter[tuple[UUID, str]] = Counter()
        self._of_provider: Counter[str] = Counter()
        self._of_merchant: Counter[UUID] = Counter()
        """In hand."""
        self._with_more: set[UUID] = set()
        """Merchants that may have more to do than was claimed: a place that becomes free is filled from them."""
        self._full: set[UUID] = set()
        """Merchants whose last claim found full channels alone: they are looked at when something of theirs ends."""
        self._claiming = asyncio.Lock()
        self._refilling: asyncio.Task[None] | None = None
        self._closing = False
        self._after = UUID(int=0)
        """Whose turn was before."""

    async def tick(self) -> None:
        """Take up what is due now, as far as there is room."""
        merchants = await self._claims.merchants_with_work(self._merchants(), self._clock())
        async with self._claiming:
            self._with_more, self._full = set(merchants), set()
            await self._fill(merchants)
        self._refill()

    async def close(self) -> None:
        """Take nothing more and let what runs end within a bounded time; leases bring the rest back."""
        self._closing = True
        if self._refilling is not None:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _free(self) -> int:
        return AT_ONCE - len(self._tasks)

    async def _fill(self, merchants: Collection[UUID]) -> int:
        """Share the free places among these merchants; how many were filled."""
        before = len(self._tasks)
        in_turn = sorted(merchants)
        start = bisect_right(in_turn, self._after)
        in_turn = in_turn[start:] + in_turn[:start]
        # Another one is first each time, and nobody takes the room of those that come after.
        self._after = next(iter(in_turn), self._after)
        for place, merchant_id in enumerate(in_turn):
            if self._free <= 0 or self._closing:
                self._after = in_turn[place - 1]
                break
            room = min(math.ceil(self._free / (len(in_turn) - place)), self._room_of_merchant(merchant_id))
            if room <= 0:
                continue
            try:
                await self._take(merchant_id, room)
            except Exception:
                # One merchant's shard being away must not hold up the others; the next tick tries again.
                self._with_more.discard(merchant_id)
                log.exception("nothing claimed", merchant_id=str(merchant_id))
        return len(self._tasks) - before

    async def _take(self, merchant_id: UUID, most: int) -> None:
        now = self._clock()
        lease_until = now + timedelta(seconds=self._call_limit_s() + LEASE_MARGIN_S)

        asked: dict[str, int] = {}

        def room(channel: str) -> int:
            if channel not in asked:
                taken = self._of_channel[merchant_id, channel]
                fair = _room(taken, CHANNEL_SHARE, self._free, most, AT_LEAST)
                provider = self._of_provider[self._provider_of(merchant_id, channel)]
                fair = min(fair, _room(provider, PROVIDER_SHARE, self._free, most))
                asked[channel] = max(0, min(self._questions_at_once(merchant_id, channel) - taken, fair))
            return asked[channel]

        due = await self._claims.claim(merchant_id, now, most, lease_until, room)
        self._claimed(len(due))
        got = Counter(channel_of(each) for each in due)
        is_full = any(got[channel] >= left for channel, left in asked.items())
        # A noun and a channel may have been given a part of what was asked for.
        if not due or not (is_full or len(due) * len(asked) * NOUNS_SHARE >= most):
            self._with_more.discard(merchant_id)
        if is_full and not due:
            self._full.add(merchant_id)
        for each in due:
            self._begin(each)

    def _room_of_merchant(self, merchant_id: UUID) -> int:
        return _room(self._of_merchant[merchant_id], MERCHANT_SHARE, self._free, self._free, AT_LEAST)

    def _begin(self, due: Due) -> None:
        channel = (due.merchant_id, channel_of(due))
        provider = self._provider_of(*channel)
        self._of_channel[channel] += 1
        self._of_provider[provider] += 1
        self._of_merchant[due.merchant_id] += 1
        task = asyncio.create_task(self._do(due))
        self._tasks.add(task)

        def ended(task: "asyncio.Task[None]") -> None:
            self._tasks.discard(task)
            _give_back(self._of_channel, channel)
            _give_back(self._of_provider, provider)
            _give_back(self._of_merchant, due.merchant_id)
            if due.merchant_id in self._full:
                self._full.discard(due.merchant_id)
                self._with_more.add(due.merchant_id)
            self._refill()

        task.add_done_callback(ended)

    def _refill(self) -> None:
        """Fill the free places from merchants that have more to do, unless that is under way."""
        if self._with_more and not self._closing and (self._refilling is None or self._refilling.done()):
            self._refilling = asyncio.create_task(self._fill_on())

    async def _fill_on(self) -> None:
        filled = 1
        while filled and self._with_more and not self._closing:
            async with self._claiming:
                filled = await self._fill(self._with_more)

    async def _do(self, due: Due) -> None:
        try:
            await self._follow_up(due)
        except Exception:
            # Nothing is lost: it stays due, and comes back when its lease runs out.
            log.exception("follow-up failed", object_id=str(key_of(due).object_id))


def _give_back(places: Counter[K], key: K) -> None:
    places[key] -= 1
    if not places[key]:
        del places[key]


def _room(taken: int, share: float, free: int, most: int, at_least: int = 0) -> int:
    """How many more may be taken, so that what is taken is at most `share` times what is free afterwards."""
    fair = most if math.isinf(share) else math.floor((share * free - taken) / (1 + share))
    return min(most, max(fair, at_least - taken))
