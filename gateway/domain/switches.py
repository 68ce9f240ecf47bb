"""Channels that are switched off while they are degraded, and how they come back. Pure.

    on --- degraded ---> off: rests `rest_s` ---> half-open: one payment in `let_through` goes there
     ^                        ^                        |
     |                        +--- too many failed ----+--- of `tries` enough succeeded ---+
     +--- it is well again, or an operator says so ----------------------------------------+

What comes next is a function of what is kept, of the attempts by slices, and of the time: whoever looks, and however
often. When a rest ends is a time, so that every process sees it end without being told.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.rates import AGAIN_AFTER, Rate, Slices, health, tried
from gateway.domain.watch_settings import WatchRule

__all__ = ["TRIES_WITHIN", "Switch", "SwitchState", "next_switch"]

TRIES_WITHIN: Final = AGAIN_AFTER
"""Older tries count no more: with fewer than `tries` in such a time it stays half-open."""


class SwitchState(StrEnum):
    """What a channel that was switched off does now."""

    RESTING = "resting"  # no payment goes there
    HALF_OPEN = "half_open"  # one payment in n does
    WAITING = "waiting"  # enough of them did, and have no result yet: no more of them
    ON = "on"  # payments go there again, though the window still shows why they did not


@dataclass(frozen=True, slots=True)
class Switch:
    """Of a channel that is degraded: since when it is off, and what was made of it. Raises ValueError.

    `rests`: how often it was sent to rest; `waits`: enough were let through; `on_at`: it is on again since.
    """

    off_at: datetime
    rests_until: datetime
    rests: int = 1
    waits: bool = False
    on_at: datetime | None = None
    on_by: str | None = None
    """The operator who switched it on."""

    def __post_init__(self) -> None:
        if self.rests_until <= self.off_at or self.rests < 1:
            raise ValueError("what is switched off rests at least once, for some time")
        if self.on_at is not None and (self.waits or self.on_at < self.off_at):
            raise ValueError("what is on again was off before, and waits for nothing")
        if self.on_by is not None and self.on_at is None:
            raise ValueError("what is off was switched on by nobody")

    def state(self, now: datetime) -> SwitchState:
        """What it does now."""
        if self.on_at is not None:
            return SwitchState.ON
        if now < self.rests_until:
            return SwitchState.RESTING
        return SwitchState.WAITING if self.waits else SwitchState.HALF_OPEN


def _switched_on(switch: Switch, now: datetime) -> Switch:
    """On again by its tries: only what is sent from now on is held against it."""
    return replace(switch, waits=False, on_at=now)


def next_switch(
    switch: Switch | None, slices: Slices, now: datetime, rule: WatchRule, *, degraded: bool
) -> Switch | None:
    """What is to be kept now; None: payments go there, and nothing has to be remembered."""
    if not (rule.switch_off and degraded):
        return None
    if switch is None:
        return Switch(now, now + timedelta(seconds=rule.rest_s))
    if switch.on_at is not None:
        since = {at: each for at, each in slices.items() if at >= switch.on_at}
        rate = health(since, now, rule).channel_fault
        ails_again = rate.attempts >= rule.at_least and rate.is_below(rule.below_percent)
        return Switch(now, now + timedelta(seconds=rule.rest_s)) if ails_again else switch
    if now < switch.rests_until:
        return switch
    return _after_tries(switch, slices, now, rule)


def _after_tries(switch: Switch, slices: Slices, now: datetime, rule: WatchRule) -> Switch:
    begins = max(switch.rests_until, now - TRIES_WITHIN)
    ended, still_open = tried({at: each for at, each in slices.items() if at >= begins}, now, rule)
    of = max(rule.tries, ended.attempts)
    failed = ended.attempts - ended.succeeded
    # At best: as if all that is missing succeeded. What cannot be enough any more need not be waited for.
    if Rate(of - failed, of).is_below(rule.back_at_percent):
        return replace(
            switch, rests_until=now + timedelta(seconds=rule.rest_s), rests=switch.rests + 1, waits=False
        )  # fmt: skip
    if ended.attempts >= rule.tries:
        return _switched_on(switch, now)
    return replace(switch, waits=ended.attempts + still_open >= rule.tries)
