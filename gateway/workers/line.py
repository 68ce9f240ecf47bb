"""Serving the line: withholds that were recorded without a place are sent as places become free, the oldest first.

Nothing is claimed without a place for it, so a long line costs no more than a short one: it stands in the database, and
what is in hand is bounded by the places of each channel. A place that becomes free is filled at once.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.payments import Payment
from gateway.logs import get

__all__ = ["LEASE_S", "Line", "Room", "Store"]

log = get(__name__)

AT_A_TIME: Final = 64
"""Of one channel, in one claim."""
TOO_LATE_AT_A_TIME: Final = 64
TOO_LATE_BATCHES: Final = 4
"""Of one merchant, in one tick."""
LEASE_S: Final = 15.0
"""How long it may take to record that one is sent; what has died by then is found again."""
CLOSE_WITHIN_S: Final = 10.0


class Store(Protocol):
    """The books of the line (implemented by `gateway.storage.writing.line`)."""

    async def merchants_with_line(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, room: Mapping[str, int]
    ) -> list[Payment]: ...

    async def claim_too_late(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[Payment]: ...

    async def put_back(self, merchant_id: UUID, payments: Collection[UUID], lease_until: datetime) -> None: ...


class Room(Protocol):
    """The places that those in line may have (implemented by `gateway.run.lines`)."""

    def room(self, merchant_id: UUID, channel: str) -> int: ...

    def take(self, holder: UUID, merchant_id: UUID, channel: str) -> bool: ...

    def leave(self, holder: UUID) -> None: ...

    def stands(self, merchant_id: UUID, channel: str, *, stands: bool) -> None: ...

    def known(self) -> Collection[tuple[UUID, str]]: ...


class Line:
    """Sends what stands in line, and ends what stood there too long.

    `send` sends one on the place that is held under its id, `end` ends the wait of one. `channels` tells a merchant's
    channels that carry anything now, `may_send` whether this very payment may be sent now.
    """

    def __init__(
        self,
        store: Store,
        room: Room,
        send: Callable[[Payment], Awaitable[None]],
        end: Callable[[Payment], Awaitable[None]],
        merchants: Callable[[], Collection[UUID]],
        channels: Callable[[UUID, datetime], Collection[str]],
        may_send: Callable[[Payment, datetime], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._room = store, room
        self._send, self._end = send, end
        self._merchants, self._channels, self._may_send = merchants, channels, may_send
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._with_more: set[UUID] = set()
        """Merchants with somebody in line: a place that becomes free is filled from them."""
        self._serving = asyncio.Lock()
        self._refilling: asyncio.Task[None] | None = None
        self._closing = False
        self._after = UUID(int=0)
        """Whose turn was before."""

    async def tick(self) -> None:
        """Send as many as there are places for, and end those whose time is over."""
        merchants = await self._store.merchants_with_line(self._merchants(), self._clock())
        async with self._serving:
            self._with_more = set(merchants)
            for merchant_id, channel in self._room.known():
                if merchant_id not in self._with_more:
                    self._room.stands(merchant_id, channel, stands=False)
            for merchant_id in self._in_turn(merchants):
                await self._guarded(merchant_id, self._end_too_late)
                await self._guarded(merchant_id, self._fill)

    async def is_quiet(self) -> None:
        """Return when nothing that was sent from the line is in hand, and no place is being filled."""
        while running := [*self._tasks, *([] if self._refilling is None else [self._refilling])]:
            await asyncio.wait(running)
            if self._refilling is not None and self._refilling.done():
                self._refilling = None

    async def close(self) -> None:
        """Take nothing more and let what runs end within a bounded time."""
        self._closing = True
        if self._refilling is not None:
            self._refilling.cancel()
            await asyncio.gather(self._refilling, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _in_turn(self, merchants: Collection[UUID]) -> list[UUID]:
        """Another one is first each time."""
        in_turn = sorted(merchants)
        start = bisect_right(in_turn, self._after)
        in_turn = in_turn[start:] + in_turn[:start]
        self._after = next(iter(in_turn), self._after)
        return in_turn

    async def _guarded(self, merchant_id: UUID, work: Callable[[UUID], Awaitable[object]]) -> None:
        """One merchant's shard being away must not hold up the others; the next tick tries again."""
        try:
            await work(merchant_id)
        except Exception:
            self._with_more.discard(merchant_id)
            log.exception("the line is not served", merchant_id=str(merchant_id))

    async def _fill(self, merchant_id: UUID) -> None:
        """Fill the places that are free, and those that become free meanwhile."""
        while await self._fill_once(merchant_id):
            pass

    async def _fill_once(self, merchant_id: UUID) -> bool:
        """Whether any were filled, and more stand in line."""
        now = self._clock()
        rooms = {channel: self._room.room(merchant_id, channel) for channel in self._channels(merchant_id, now)}
        asked = {channel: min(room, AT_A_TIME) for channel, room in rooms.items() if room > 0}
        if not asked or self._closing:
            return False
        lease_until = now + timedelta(seconds=LEASE_S)
        claimed = await self._store.claim(merchant_id, now, lease_until, asked)
        without_place, begun = [], False
        for payment in claimed:
            if not self._may_send(payment, now):
                continue  # its lease keeps it from the head of the line for a while
            if self._room.take(payment.payment_id, merchant_id, payment.channel or ""):
                self._begin(payment)
                begun = True
            else:
                without_place.append(payment.payment_id)  # charges came meanwhile, and they come first
        if without_place:
            await self._store.put_back(merchant_id, without_place, lease_until)
        got = Counter(payment.channel for payment in claimed)
        for channel, room in asked.items():
            self._room.stands(merchant_id, channel, stands=got[channel] == room)
        return begun and any(got[channel] == room for channel, room in asked.items())

    async def _end_too_late(self, merchant_id: UUID) -> None:
        for _ in range(TOO_LATE_BATCHES):
            now = self._clock()
            lease_until = now + timedelta(seconds=LEASE_S)
            late = await self._store.claim_too_late(merchant_id, now, lease_until, TOO_LATE_AT_A_TIME)
            await asyncio.gather(*(self._do(self._end, payment) for payment in late))
            if len(late) < TOO_LATE_AT_A_TIME:
                break

    def _begin(self, payment: Payment) -> None:
        task = asyncio.create_task(self._do(self._send, payment))
        self._tasks.add(task)

        def ended(task: "asyncio.Task[None]") -> None:
            self._tasks.discard(task)
            self._room.leave(payment.payment_id)
            self._refill(payment.merchant_id, payment.channel or "")

        task.add_done_callback(ended)

    def _refill(self, merchant_id: UUID, channel: str) -> None:
        """Fill a place that became free, where more stand in line and no claim is under way."""
        if (merchant_id, channel) not in self._room.known() or merchant_id not in self._with_more or self._closing:
            return
        if (self._refilling is None or self._refilling.done()) and self._room.room(merchant_id, channel) > 0:
            # One that ends while places are filled is seen by that filling, or by the next tick.
            self._refilling = asyncio.create_task(self._fill_again(merchant_id))

    async def _fill_again(self, merchant_id: UUID) -> None:
        async with self._serving:
            if merchant_id in self._with_more and not self._closing:
                await self._guarded(merchant_id, self._fill)

    async def _do(self, work: Callable[[Payment], Awaitable[None]], payment: Payment) -> None:
        try:
            await work(payment)
        except Exception:
            # Nothing is lost: it stands in line, or is due, and comes back when its lease runs out.
            log.exception("not sent from the line", object_id=str(payment.payment_id))
