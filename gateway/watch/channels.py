"""Channels, watched: one process at a time counts a merchant's attempts and tells when a channel ails or is well again.

What it holds in memory is a function of the rows: another process that takes over, or this one after a restart, counts
the whole window once and goes on from there. What is degraded stands in the alerts.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind, RecordedAlert
from gateway.domain.catalogue import Catalogue
from gateway.domain.rates import AGAIN_AFTER, SLICE, Change, Counted, Tally, health, judge, slice_of
from gateway.domain.switches import Switch, next_switch
from gateway.domain.watch_settings import WatchSettings
from gateway.logs import get
from gateway.objects.channel_health import health_object
from gateway.watch.showing import ShownRates, say_switched

__all__ = ["CHANNELS", "Attempts", "ChannelWatch", "Switches", "Told"]

CHANNELS: Final = "channels"
EVERY_S: Final = 10.0
LEASE: Final = timedelta(seconds=30)
OVERLAP: Final = timedelta(seconds=20)
"""What was recorded or ended so long before the last look may have been committed after it."""
COUNTED_ANEW_MAX: Final = 12
"""Slices with attempts that are still open, which are counted anew in one look although nothing of them is known to
have ended: what ended otherwise than by an intent is seen so, too."""
READ_AT_ONCE: Final = 12
"""Slices, of one statement."""
CLOSE_WITHIN_S: Final = 2.0

log = get(__name__)
_Slices = dict[datetime, dict[Counted, Tally]]


class Attempts(Protocol):
    """What is counted, and by whom (implemented by `gateway.storage.watching.rates`)."""

    async def take(self, merchant_id: UUID, watch: str, holder: UUID, now: datetime, lease: timedelta) -> bool: ...

    async def free(self, holder: UUID, watch: str, now: datetime) -> None: ...

    async def touched(self, merchant_id: UUID, since: datetime, sent_since: datetime) -> set[datetime]: ...

    async def counted(self, merchant_id: UUID, slices: Collection[datetime]) -> _Slices: ...

    async def say(self, merchant_id: UUID, watch: str, holder: UUID, state: Any, now: datetime) -> bool: ...


class Telling(Protocol):
    """Where a change is told (implemented by `gateway.storage.watching.channel_alerts`)."""

    async def change(
        self, merchant_id: UUID, what: Counted, change: Change, shown: Mapping[str, Any], now: datetime
    ) -> bool: ...


class Told(Protocol):
    """What is degraded (implemented by `gateway.storage.watching.alerts`)."""

    async def open_of(self, merchant_id: UUID, kind: AlertKind) -> list[RecordedAlert]: ...


class Switches(Protocol):
    """What is switched off (implemented by `gateway.storage.watching.switches`)."""

    async def switches(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, Switch]]: ...

    async def keep(
        self, merchant_id: UUID, what: Counted, before: Switch | None, after: Switch | None,
        shown: Mapping[str, Any], now: datetime,
    ) -> bool: ...  # fmt: skip


@dataclass(slots=True)
class _Merchant:
    """What this process has counted of a merchant, and when it looked last."""

    looked_at: datetime
    slices: _Slices = field(default_factory=dict)
    said: Any = None


class ChannelWatch:
    """`holder` is this process; `monotonic` tells seconds."""

    def __init__(
        self, attempts: Attempts, telling: Telling, told: Told, switches: Switches, catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime], monotonic: Callable[[], float], holder: UUID,
    ) -> None:  # fmt: skip
        self._attempts, self._telling, self._told, self._switches = attempts, telling, told, switches
        self._catalogue = catalogue
        self._clock, self._monotonic, self._holder = clock, monotonic, holder
        self._known: dict[UUID, _Merchant] = {}
        self._shown = ShownRates()
        self._looked_at = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def tick(self) -> None:
        """Look now and then; the look is a task of its own."""
        now_s = self._monotonic()
        if now_s - self._looked_at < EVERY_S or (self._task is not None and not self._task.done()):
            return
        self._looked_at = now_s
        self._task = asyncio.create_task(self.look(), name="channels")

    async def close(self) -> None:
        """Look no more, and let another process take over at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                if self._known:
                    await self._attempts.free(self._holder, CHANNELS, self._clock())
        except Exception as error:  # noqa: BLE001 -- the lease ends by itself
            log.info("another process takes over later", error_type=type(error).__name__)

    async def look(self) -> None:
        """Look at every merchant: one that cannot be read does not hide the next."""
        for merchant_id in self._catalogue().merchants:
            try:
                await self._look_at(merchant_id)
            except Exception as error:  # noqa: BLE001 -- the next look tries again, and counts what this one missed
                merchant = self._catalogue().code_of(merchant_id)
                log.warning("channels were not looked at", merchant=merchant, error_type=type(error).__name__)

    async def _look_at(self, merchant_id: UUID) -> None:
        now = self._clock()
        if not await self._attempts.take(merchant_id, CHANNELS, self._holder, now, LEASE):
            self._known.pop(merchant_id, None)
            self._shown.forget(merchant_id)
            return
        settings = self._catalogue().merchants[merchant_id].watch
        known = await self._counted(merchant_id, settings, now)
        groups = _groups(known.slices, settings.by)
        degraded = await self._degraded(merchant_id)
        switches = (await self._switches.switches([merchant_id])).get(merchant_id, {})
        shown = []
        for what in sorted(groups.keys() | degraded.keys() | switches.keys()):
            slices, since = groups.get(what, {}), degraded.get(what)
            rule = settings.rule_of(*what)
            object_ = health_object(what, health(slices, now, rule), rule, since)
            change = judge(slices, since, now, rule)
            # What is not counted apart any more is over: nobody would ever see it end.
            if change is None and since is not None and what != what.only(settings.by):
                change = Change.RESTORED
            if change is not None:
                since = now if change is Change.DEGRADED else None
                object_ = health_object(what, health(slices, now, rule), rule, since)
                if await self._telling.change(merchant_id, what, change, object_, now):
                    self._say(merchant_id, change, object_)
            before = switches.get(what)
            after = next_switch(before, slices, now, rule, degraded=since is not None)
            if after != before and await self._switches.keep(merchant_id, what, before, after, object_, now):
                say_switched(self._catalogue().code_of(merchant_id), what, before, after)
            if object_["raw"]["attempts"] or object_["unresolved"] or since is not None:
                shown.append(object_)
        self._shown.show(merchant_id, self._catalogue().code_of(merchant_id), shown)
        await self._attempts.say(merchant_id, CHANNELS, self._holder, shown, now)

    async def _counted(self, merchant_id: UUID, settings: WatchSettings, now: datetime) -> _Merchant:
        known, horizon = self._known.get(merchant_id), now - _kept(settings)
        begins, ends = slice_of(horizon), slice_of(now) + SLICE
        if (
            known is None
            or not timedelta() <= now - known.looked_at <= LEASE
            or begins < min(known.slices, default=ends)
        ):
            wanted, slices = set(_from(begins, ends)), _Slices()
        else:
            since = known.looked_at - OVERLAP
            ended = {at for at in await self._attempts.touched(merchant_id, since, begins) if at <= ends}
            slices = {at: each for at, each in known.slices.items() if at >= begins}
            wanted = set(_from(slice_of(since), ends)) | ended | _still_open(slices, now)
        # After a restart it is all of the window: a part at a time, so that no statement is long.
        for part in _parts(sorted(wanted)):
            slices |= await self._attempts.counted(merchant_id, part)
        fresh = _Merchant(now, slices)
        self._known[merchant_id] = fresh
        return fresh

    async def _degraded(self, merchant_id: UUID) -> dict[Counted, datetime]:
        found = {}
        for alert in await self._told.open_of(merchant_id, AlertKind.CHANNEL_DEGRADED):
            parts = alert.about.split("/")
            if len(parts) == len(Counted._fields):
                found[Counted(*parts)] = alert.raised_at
        return found

    def _say(self, merchant_id: UUID, change: Change, shown: Mapping[str, Any]) -> None:
        about = {
            "merchant": self._catalogue().code_of(merchant_id), "scene": shown["scene"], "bank": shown["bank"],
            "channel": shown["channel"], "channel_fault": shown["channel_fault"], "raw": shown["raw"],
        }  # fmt: skip
        if change is Change.DEGRADED:
            log.warning("a channel is degraded: too few of its payments succeed", **about)
        else:
            log.info("a channel is well again", **about)


def _kept(settings: WatchSettings) -> timedelta:
    """As far back as anything is judged by."""
    return max(timedelta(seconds=settings.longest_window_s), AGAIN_AFTER) + SLICE


def _parts(wanted: list[datetime]) -> Iterator[list[datetime]]:
    for first in range(0, len(wanted), READ_AT_ONCE):
        yield wanted[first : first + READ_AT_ONCE]


def _from(begins: datetime, ends: datetime) -> list[datetime]:
    return [begins + SLICE * number for number in range(max(0, (ends - begins) // SLICE) + 1)]


def _still_open(slices: _Slices, now: datetime) -> set[datetime]:
    """Some slices with open attempts, other ones at each look."""
    found = sorted(at for at, tallies in slices.items() if any(each.open for each in tallies.values()))
    if len(found) <= COUNTED_ANEW_MAX:
        return set(found)
    first = int(now.timestamp() / EVERY_S) * COUNTED_ANEW_MAX % len(found)
    return set((found + found)[first : first + COUNTED_ANEW_MAX])


def _groups(slices: _Slices, by: Collection[str]) -> dict[Counted, dict[datetime, Tally]]:
    groups: dict[Counted, dict[datetime, Tally]] = {}
    for at, tallies in slices.items():
        for what, tally in tallies.items():
            group = groups.setdefault(what.only(by), {})
            group[at] = group[at] + tally if at in group else tally
    return groups
