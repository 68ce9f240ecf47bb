"""How the health of a channel is shown: to operators, in the events that tell of it, and as it is kept for others."""

from datetime import datetime
from typing import Any

from gateway.domain.rates import Counted, Health, Rate
from gateway.domain.switches import Switch
from gateway.domain.watch_settings import ANY, WatchRule, WatchSettings
from gateway.objects.times import timestamp

__all__ = ["health_object", "switch_object", "unseen_object"]


def health_object(what: Counted, health: Health, rule: WatchRule, degraded_since: datetime | None) -> dict[str, Any]:
    """What is counted apart, its two rates and what is told of it. A rate of no attempts is null."""
    enough = health.channel_fault.attempts >= rule.at_least
    return {
        "object": "channel_health",
        **what._asdict(),
        "window_s": rule.window_s,
        "at_least": rule.at_least,
        "raw": _rate(health.raw),
        "channel_fault": _rate(health.channel_fault),
        "unresolved": health.unresolved,
        "traffic": "enough" if enough else "low" if health.raw.attempts else "none",
        "degraded_since": timestamp(degraded_since),
    }


def unseen_object(channel: str, settings: WatchSettings) -> dict[str, Any]:
    """A channel that nothing is known of: its rates are null."""
    what = Counted(ANY, ANY, channel)
    return health_object(what, Health(), settings.rule_of(*what), None)


def _rate(rate: Rate) -> dict[str, Any]:
    return {"attempts": rate.attempts, "succeeded": rate.succeeded, "rate": rate.share}


def switch_object(switch: Switch, now: datetime) -> dict[str, Any]:
    """What was switched off, and what it does now."""
    return {
        "state": switch.state(now).value,
        "off_at": timestamp(switch.off_at),
        "rests_until": timestamp(switch.rests_until),
        "rests": switch.rests,
        "on_at": timestamp(switch.on_at),
        "on_by": switch.on_by,
    }
