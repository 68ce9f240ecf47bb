"""What the router's tests decide about: short ways to write candidates, facts and requests."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from router import (
    Candidate,
    ChannelFacts,
    ChannelLimits,
    Decision,
    FixedFee,
    LastAttempt,
    PercentFee,
    RouteRequest,
    RuleLimits,
    decide,
)

NOW = datetime(2025, 6, 3, 4, 5, 6, tzinfo=UTC)
SCENE, BANK = "withhold", "ICBC"

SUCCEEDED = LastAttempt("succeeded")
PAYER_FAILED = LastAttempt("failed", "payer")
CHANNEL_FAILED = LastAttempt("failed", "channel")
PLATFORM_FAILED = LastAttempt("failed", "platform")
UNBLAMED_FAILURE = LastAttempt("failed", None)


def rule(channel: str, fee: int = 100, percent: str | None = None, **known: Any) -> Candidate:
    """A candidate; limits are given by name, those of its channel as `channel_…`."""
    charged = FixedFee(fee) if percent is None else PercentFee(Decimal(percent))
    names = {each.name for each in RuleLimits.each()}, {f"channel_{each.name}" for each in ChannelLimits.each()}
    of_rule, of_channel = ({name: known.pop(name) for name in kind.intersection(known)} for kind in names)
    limits = {
        "limits": RuleLimits(**of_rule),
        "channel_limits": ChannelLimits(**{name.removeprefix("channel_"): of_channel[name] for name in of_channel}),
    }
    return Candidate(**{"channel": channel, "scene": SCENE, "bank": BANK, "fee": charged, **limits, **known})


def request(amount: int = 1000, **known: Any) -> RouteRequest:
    return RouteRequest(**{"user_id": "u1", "scene": SCENE, "bank": BANK, "amount": amount, "now": NOW, **known})


def route(*candidates: Candidate, amount: int = 1000, **facts: ChannelFacts) -> Decision:
    """Decide for one amount; facts are given by channel code."""
    return decide(request(amount), candidates, facts, config_version=7)


def last(attempt: LastAttempt | None) -> ChannelFacts:
    return ChannelFacts(last_attempt=attempt)


def removed(decision: Decision) -> dict[str, tuple[int, str]]:
    return {
        seen.channel: (seen.removed_by_step, str(seen.reason))
        for seen in decision.trace
        if seen.removed_by_step is not None
    }
