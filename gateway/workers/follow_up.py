"""Following up what is due: claimed by lease, a bounded number at once."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from gateway.domain.refunds import Refund
from gateway.flows.follow_up import Due
from gateway.flows.observations import key_of
from gateway.logs import get

log = get(__name__)

AT_ONCE = 64
"""Objects in hand: claimed, being asked about, or being recorded."""
AT_ONCE_PER_CHANNEL = 32
"""Of those, objects of one channel: a PSP that hangs must not keep the others from being asked."""
LEASE_MARGIN_S = 10.0
"""Beyond a PSP call's own limit: the time to record what it said."""
CLOSE_WITHIN_S = 10.0


class Claims(Protocol):
    """The books of what is due (implemented by `gateway.storage.writing.due`)."""

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime, full: Collection[str] = ()
    ) -> list[Due]: ...


class Follower:
    """Claims what is due and does it. `call_limit_s` tells the longest that one PSP call may take now."""

    def __init__(
        self,
        claims: Claims,
        follow_up: Callable[[Due], Awaitable[None]],
        merchants: Callable[[], Collection[UUID]],
        call_limit_s: Callable[[], float],
        clock: Callable[[], datetime],
        claimed: Callable[[int], None],
    ) -> None:
        self._claims = claims
        self._follow_up = follow_up
        self._merchants = merchants
        self._call_limit_s = call_limit_s
        self._clock = clock
        self._claimed = claimed
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand: Counter[tuple[UUID, str]] = Counter()
        """By merchant and channel."""
        self._closing = False
        self._turn = 0

    async def tick(self) -> None:
        """Take up what is due now, as far as there is room."""
        merchants = await self._claims.merchants_with_work(self._merchants(), self._clock())
        self._turn += 1
        for place in range(len(merchants)):
            # Another one is first each time, and nobody takes the room of those that come after.
            merchant_id = merchants[(place + self._turn) % len(merchants)]
            room = math.ceil((AT_ONCE - len(self._tasks)) / (len(merchants) - place))
            if room <= 0 or self._closing:
                return
            try:
                await self._take(merchant_id, min(room, AT_ONCE_PER_CHANNEL))
            except Exception:
                # One merchant's shard being away must not hold up the others; the next tick tries again.
                log.exception("nothing claimed", merchant_id=str(merchant_id))

    async def _take(self, merchant_id: UUID, room: int) -> None:
        now = self._clock()
        lease_until = now + timedelta(seconds=self._call_limit_s() + LEASE_MARGIN_S)
        full = [
            channel
            for (merchant, channel), tasks in self._in_hand.items()
            if merchant == merchant_id and tasks >= AT_ONCE_PER_CHANNEL
        ]
        due = await self._claims.claim(merchant_id, now, room, lease_until, full)
        self._claimed(len(due))
        for each in due:
            task = asyncio.create_task(self._do(each))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Take nothing more and let what runs end within a bounded time; leases bring the rest back."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, due: Due) -> None:
        channel = (due.merchant_id, _channel_of(due))
        self._in_hand[channel] += 1
        try:
            await self._follow_up(due)
        except Exception:
            # Nothing is lost: it stays due, and comes back when its lease runs out.
            log.exception("follow-up failed", object_id=str(key_of(due).object_id))
        finally:
            self._in_hand[channel] -= 1
            if not self._in_hand[channel]:
                del self._in_hand[channel]


def _channel_of(due: Due) -> str:
    return (due.intent.channel if isinstance(due, Refund) else due.channel) or ""
