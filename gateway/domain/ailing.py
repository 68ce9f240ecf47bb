"""Which channels payments are to avoid, as a process knows it, and what the router is told of one. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from gateway.domain.rates import Counted, Rate
from gateway.domain.switches import Switch, SwitchState
from gateway.domain.watch_settings import WatchRule
from router.ailing import Ailing

__all__ = ["ALL_WELL", "AilingOf", "Ails", "SeenAiling", "all_well", "avoided", "of_payment", "passes"]

Ails = Mapping[Counted, Ailing]
"""Of one merchant, by what its settings count apart."""
AilingOf = Callable[[UUID], Ails]
"""By merchant."""
ALL_WELL: Final[Ails] = {}
LOOKED_WITHIN: Final = timedelta(minutes=2)
"""What the watch has not looked at for so long is hidden no more: nobody would see it come back."""


@dataclass(frozen=True, slots=True)
class SeenAiling:
    """What the watch has written of a channel. `degraded_at`: when it was last seen to be degraded; None: it is not."""

    rate: Rate
    degraded_at: datetime | None
    switch: Switch | None = None


def all_well(_merchant_id: UUID) -> Ails:
    """Nothing is to be avoided."""
    return ALL_WELL


def avoided(rule: WatchRule, seen: SeenAiling, now: datetime) -> Ailing | None:
    """What the router is told of it; None: payments go there as ever.

    A switch needs nobody who looks: when its rest is over, tries go there by themselves.
    """
    state = seen.switch.state(now) if seen.switch is not None and rule.switch_off else None
    ailing = Ailing(seen.rate.succeeded, seen.rate.attempts, rule.window_s, rule.let_through)
    if state in (SwitchState.RESTING, SwitchState.WAITING):
        return replace(ailing, let_through=None, switched_off=True)
    if state is SwitchState.HALF_OPEN:
        return replace(ailing, switched_off=True)
    if state is SwitchState.ON or not rule.hide or seen.degraded_at is None:
        return None
    return ailing if now - seen.degraded_at <= LOOKED_WITHIN else None


def of_payment(ailing: Ailing | None, channel: str, payment_id: UUID | None) -> Ailing | None:
    """The same for one payment, which may be one that goes there all the same; None: it is a question without one."""
    if ailing is None or ailing.let_through is None or payment_id is None:
        return ailing
    return replace(ailing, passes=passes(payment_id, channel, ailing.let_through))


def passes(payment_id: UUID, channel: str, let_through: int) -> bool:
    """Whether this payment is the one in so many that goes to an ailing channel: by its id, whoever asks and when."""
    drawn = blake2b(payment_id.bytes + channel.encode(), digest_size=8).digest()
    return int.from_bytes(drawn) % let_through == 0
