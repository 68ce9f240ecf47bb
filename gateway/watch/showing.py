"""How what is watched is shown: in metrics and in the log. What is not known has no number: never 0 for nothing."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from gateway import metrics
from gateway.domain.rates import Counted
from gateway.domain.switches import Switch
from gateway.logs import get

__all__ = ["ShownRates", "say_switched"]

log = get(__name__)
_Series = tuple[str, str, str, str, str]


def say_switched(merchant: str, what: Counted, before: Switch | None, after: Switch | None) -> None:
    """In the log: what was switched off, or is on again."""
    about = {"merchant": merchant, **what._asdict()}
    if after is None or after.on_at is not None:
        if before is not None and before.on_at is None:
            log.info("a channel is switched on again", **about)
    elif before is None or before.on_at is not None:
        log.warning("a channel is switched off: payments avoid it", rests_until=after.rests_until, **about)
    elif after.rests != before.rests:
        log.warning("a channel stays off: too few tries succeeded", rests_until=after.rests_until, **about)


class ShownRates:
    """Sets the gauges of what is watched here, and takes away those of what is not any more."""

    def __init__(self) -> None:
        self._shown: dict[UUID, set[_Series]] = {}

    def show(self, merchant_id: UUID, merchant: str, health: Iterable[Mapping[str, Any]]) -> None:
        """Set them by the health objects of a merchant."""
        shown = set[_Series]()
        for each in health:
            place = (merchant, each["scene"], each["bank"], each["channel"])
            for of in ("raw", "channel_fault"):
                metrics.CHANNEL_ATTEMPTS.labels(*place, of).set(each[of]["attempts"])
                metrics.CHANNEL_SUCCESSES.labels(*place, of).set(each[of]["succeeded"])
                shown.add((*place, of))
            metrics.CHANNEL_DEGRADED.labels(*place).set(0 if each["degraded_since"] is None else 1)
        self._forget(self._shown.get(merchant_id, set()) - shown)
        self._shown[merchant_id] = shown

    def forget(self, merchant_id: UUID) -> None:
        """Another process watches it."""
        self._forget(self._shown.pop(merchant_id, set()))

    def _forget(self, gone: Iterable[_Series]) -> None:
        for series in gone:
            metrics.CHANNEL_ATTEMPTS.labels(*series).set(0)
            metrics.CHANNEL_SUCCESSES.labels(*series).set(0)
            with contextlib.suppress(KeyError):
                metrics.CHANNEL_DEGRADED.labels(*series[:-1]).set(0)
