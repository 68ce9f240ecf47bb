"""Decisions of format 1, as the first version wrote them: read and replayed by its words, for ever.

Where the later formats differ stands here. It is never changed: tests/unit/router holds records of the first version.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.facts import Candidate, RouteRequest
from router.fees import parse_fee
from router.limits import ChannelLimits, RuleLimits
from router.reasons import Hidden, Refusal

FORMAT: Final = 1

_RULE_LIMITS: Final = ("single_limit", "daily_limit", "daily_insufficient_limit", "card_daily_limit")
_CHANNEL_DAILY_TOTAL: Final = "channel_daily_total"


def candidate_from_json(told: Mapping[str, Any], request: RouteRequest) -> Candidate:
    """Limits stood flat among the rest of a candidate, and the channel's had a name of its own."""
    limits = {*_RULE_LIMITS, _CHANNEL_DAILY_TOTAL}
    rest: dict[str, Any] = {name: value for name, value in told.items() if name not in limits}
    rest["fee"] = parse_fee(told["fee"])
    return Candidate(
        **rest,
        scene=request.scene,
        bank=request.bank,
        limits=RuleLimits(**{name: told[name] for name in _RULE_LIMITS if name in told}),
        channel_limits=ChannelLimits(daily_total=told.get(_CHANNEL_DAILY_TOTAL)),
    )


def step_1_refuses(hidden: Sequence[Hidden]) -> Refusal:
    """None is available: a signing in progress was told as a signing that is needed."""
    if Hidden.NEEDS_SIGNING in hidden or Hidden.SIGNING_IN_PROGRESS in hidden:
        return Refusal.CARD_NEEDS_SIGNING
    return Refusal.NO_CHANNEL_AVAILABLE
