"""Which channels payments are to avoid, as a process knows it, and what the router is told of one. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Final
from uuid import UUID

from gateway.domain.rates import Counted, Rate
from gateway.domain.watch_settings import WatchRule
from router.ailing import Ailing

__all__ = ["ALL_WELL", "AilingOf", "Ails", "all_well", "hidden_by", "of_payment", "passes"]

Ails = Mapping[Counted, Ailing]
"""Of one merchant, by what its settings count apart."""
AilingOf = Callable[[UUID], Ails]
"""By merchant."""
ALL_WELL: Final[Ails] = {}


def all_well(_merchant_id: UUID) -> Ails:
    """Nothing is to be avoided."""
    return ALL_WELL


def hidden_by(rule: WatchRule, rate: Rate) -> Ailing | None:
    """What the router is told of a channel that is degraded; None: it is not to be avoided."""
    return Ailing(rate.succeeded, rate.attempts, rule.window_s, rule.let_through) if rule.hide else None


def of_payment(ailing: Ailing | None, channel: str, payment_id: UUID | None) -> Ailing | None:
    """The same for one payment, which may be one that goes there all the same; None: it is a question without one."""
    if ailing is None or ailing.let_through is None or payment_id is None:
        return ailing
    return replace(ailing, passes=passes(payment_id, channel, ailing.let_through))


def passes(payment_id: UUID, channel: str, let_through: int) -> bool:
    """Whether this payment is the one in so many that goes to an ailing channel: by its id, whoever asks and when."""
    drawn = blake2b(payment_id.bytes + channel.encode(), digest_size=8).digest()
    return int.from_bytes(drawn) % let_through == 0
