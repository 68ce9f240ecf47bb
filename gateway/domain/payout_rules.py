"""What a channel's payout rules say: which payouts it carries, up to how much, at what cost, and when. Pure.

A rule is one row (channel, type of payee, bank). Its windows are times in which a payout *may* be sent, on the clock on
the wall of the business zone; a maintenance window is a time in which nothing is, and has nothing to do with them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.payees import PayeeType
from gateway.domain.prices import Price, in_force
from router.fees import Fee

__all__ = [
    "CLOCK",
    "MAX_WINDOWS",
    "Day",
    "PayoutRefusal",
    "PayoutRule",
    "PayoutWindow",
    "PayoutWindowError",
    "in_order",
    "opens_at",
    "overlap",
    "why_not",
    "windows_from_json",
    "windows_to_json",
]

CLOCK: Final = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
"""A time of day as it is written: 08:30. 24:00 is the end of the day."""
MAX_WINDOWS: Final = 50
"""Of one rule."""


class Day(StrEnum):
    """A day of the week, in the order of weeks."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


EVERY_DAY: Final = tuple(Day)


class PayoutWindowError(ValueError):
    """A window that cannot be. `field` names what is wrong with it, `problem` says what it should be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field, self.problem = field, problem


@dataclass(frozen=True, slots=True, order=True)
class PayoutWindow:
    """From `opens` until before `closes` on each of these days. Raises PayoutWindowError for what cannot be.

    Both are `HH:MM` of one day, so that none goes over midnight: which day such a one belongs to is anybody's guess.
    """

    opens: str
    closes: str
    days: tuple[Day, ...] = EVERY_DAY
    """In the order of the week."""

    def __post_init__(self) -> None:
        for field in ("opens", "closes"):
            if not re.fullmatch(CLOCK, getattr(self, field)):
                raise PayoutWindowError(field, "must be a time of day, from 00:00 to 24:00, as text: 08:30")
        if self.closes <= self.opens:  # texts of one form are in the order of their times
            raise PayoutWindowError(
                "closes", "must be after opens: over midnight it takes two windows, one to 24:00 and one from 00:00"
            )
        if not self.days or list(self.days) != [day for day in Day if day in self.days]:
            raise PayoutWindowError("days", f"must be some of {', '.join(Day)}, each once")

    def is_open(self, wall: datetime) -> bool:
        """Whether it is open when the clock on the wall shows this."""
        minute = wall.hour * 60 + wall.minute
        return EVERY_DAY[wall.weekday()] in self.days and _minutes(self.opens) <= minute < _minutes(self.closes)


@dataclass(frozen=True, slots=True)
class PayoutRule:
    """One row (channel, payee, bank). Amounts in fen; None is no limit, and one that is met exactly is kept."""

    merchant_id: UUID
    channel: str
    payee: PayeeType
    bank: str
    """A bank code, or * for every bank that has no rule of its own."""
    enabled: bool
    fee: Fee
    single_limit: int | None = None
    """The most of one payout."""
    daily_limit: int | None = None
    """The most of the channel in one business day, over all its payees, banks and types."""
    windows: tuple[PayoutWindow, ...] = ()
    """None: it may be sent always."""
    fees: tuple[Price[Fee], ...] = ()
    """Its fees from later days on; by day."""

    def fee_on(self, day: date) -> Fee:
        """The fee of a payout that is sent on this business day."""
        return in_force(self.fee, self.fees, day)


class PayoutRefusal(StrEnum):
    """Why a channel does not carry a payout now."""

    NO_RULE = "no_payout_rule"  # neither of its bank nor of all banks
    RULE_DISABLED = "rule_disabled"
    SINGLE_LIMIT_EXCEEDED = "single_limit_exceeded"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    WINDOW_CLOSED = "window_closed"  # the only one that `opens_at` tells the end of


def why_not(
    rule: PayoutRule | None, amount: int, used_today: int, now: datetime, zone: ZoneInfo
) -> PayoutRefusal | None:
    """Why a payout of this amount cannot be sent now by its rule; None: it can. All amounts in fen.

    `used_today`: what the channel's payouts of the business day of `now` take already, this one not among them. What no
    waiting can cure is told before a closed window, and what is used up today after it: it may open on another day.
    """
    if rule is None:
        return PayoutRefusal.NO_RULE
    if not rule.enabled:
        return PayoutRefusal.RULE_DISABLED
    if rule.single_limit is not None and amount > rule.single_limit:
        return PayoutRefusal.SINGLE_LIMIT_EXCEEDED
    if rule.daily_limit is not None and amount > rule.daily_limit:
        return PayoutRefusal.DAILY_LIMIT_EXCEEDED
    if not _is_open(rule.windows, now, zone):
        return PayoutRefusal.WINDOW_CLOSED
    if rule.daily_limit is not None and used_today + amount > rule.daily_limit:
        return PayoutRefusal.DAILY_LIMIT_EXCEEDED
    return None


def opens_at(rule: PayoutRule, now: datetime, zone: ZoneInfo) -> datetime:
    """When one of the rule's windows is open next, in UTC: `now` if one is, or if it has none.

    That is the first moment, to the second, from `now` on at which the clock on the wall shows a time of a window, also
    where clocks are put forward or back.
    """
    now = now.astimezone(UTC)
    if _is_open(rule.windows, now, zone):
        return now
    today = now.astimezone(zone).date()
    for ahead in range(_AHEAD_DAYS):
        midnight = datetime.combine(today + timedelta(days=ahead), time())
        found = [at for at in _openings(rule.windows, midnight, zone) if at > now and _is_open(rule.windows, at, zone)]
        if found:
            return min(found)
    raise AssertionError("every window opens once in two weeks")


_AHEAD_DAYS: Final = 15
"""A window of one day of the week may fall into the hour that a change of clocks leaves out: it opens a week later."""


def _is_open(windows: Sequence[PayoutWindow], now: datetime, zone: ZoneInfo) -> bool:
    wall = now.astimezone(zone)
    return not windows or any(window.is_open(wall) for window in windows)


def _openings(windows: Iterable[PayoutWindow], midnight: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Every moment of a day at which a window may open: when the wall shows its beginning, once or twice, and when
    clocks are put forward into the middle of it. Some are none: the wall may never show its beginning."""
    for window in windows:
        begins = midnight + timedelta(minutes=_minutes(window.opens))
        yield from {begins.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    start, end = (
        wall.replace(tzinfo=zone).astimezone(UTC)
        for wall in (midnight - _MARGIN, midnight + timedelta(days=1) + _MARGIN)
    )
    if _offset(start, zone) != _offset(end, zone):
        change = _change(start, end, zone)
        if change.astimezone(zone).date() == midnight.date():  # otherwise it is told with its own day
            yield change


_MARGIN: Final = timedelta(hours=3)
"""Around a day: a change of clocks at its midnight is found, too."""


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second at which the zone's offset is no more that of `before`."""
    old = _offset(before, zone)
    while after - before > _SECOND:
        between = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if _offset(between, zone) == old:
            before = between
        else:
            after = between
    return after


_SECOND: Final = timedelta(seconds=1)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def overlap(windows: Sequence[PayoutWindow]) -> tuple[int, int, Day] | None:
    """The places of two windows that are open at once, the later one first, and a day of that; None: there are none."""
    for later, window in enumerate(windows):
        for first, other in enumerate(windows[:later]):
            shared = [day for day in window.days if day in other.days]
            if shared and window.opens < other.closes and other.opens < window.closes:
                return later, first, shared[0]
    return None


def in_order(windows: Iterable[PayoutWindow]) -> tuple[PayoutWindow, ...]:
    """The windows in one order, since theirs means nothing: what is the same is then equal."""
    return tuple(sorted(windows))


def windows_to_json(windows: Iterable[PayoutWindow]) -> list[dict[str, Any]]:
    """As files and tables say them: without days, where it is every day."""
    return [
        {"opens": window.opens, "closes": window.closes}
        | ({} if window.days == EVERY_DAY else {"days": [day.value for day in window.days]})
        for window in windows
    ]


def windows_from_json(told: Iterable[Mapping[str, Any]]) -> tuple[PayoutWindow, ...]:
    """Read what `windows_to_json` wrote. Raises PayoutWindowError."""
    return tuple(PayoutWindow(one["opens"], one["closes"], tuple(map(Day, one.get("days", Day)))) for one in told)
