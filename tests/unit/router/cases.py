"""What the router's tests decide about: short ways to write candidates, facts and requests."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from router import Candidate, ChannelFacts, Decision, FixedFee, LastAttempt, PercentFee, RouteRequest, decide

NOW = datetime(2025, 6, 3, 4, 5, 6, tzinfo=UTC)
SCENE, BANK = "withhold", "ICBC"

SUCCEEDED = LastAttempt("succeeded")
PAYER_FAILED = LastAttempt("failed", "payer")
CHANNEL_FAILED = LastAttempt("failed", "channel")
PLATFORM_FAILED = LastAttempt("failed", "platform")
UNBLAMED_FAILURE = LastAttempt("failed", None)


def rule(channel: str, fee: int = 100, percent: str | None = None, **known: Any) -> Candidate:
    charged = FixedFee(fee) if percent is None else PercentFee(Decimal(percent))
    return Candidate(**{"channel": channel, "scene": SCENE, "bank": BANK, "fee": charged, **known})


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
