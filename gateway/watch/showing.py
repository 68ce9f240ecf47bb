"""The metrics of success rates. What is not known has no number: never 0 for nothing."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from gateway import metrics

__all__ = ["ShownRates"]

_Series = tuple[str, str, str, str, str]


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
