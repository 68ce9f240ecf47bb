"""The board of alerts: whoever sees something says so here, and it is kept, logged and counted once."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind, Severity
from gateway.domain.catalogue import Catalogue
from gateway.logs import get
from gateway.metrics import ALERTS_OPEN

__all__ = ["AlertBoard", "Alerts"]

log = get(__name__)


class Alerts(Protocol):
    """Where alerts are kept (implemented by `gateway.storage.watching.alerts`)."""

    async def raise_(
        self, merchant_id: UUID, kind: AlertKind, about: str, severity: Severity, detail: Mapping[str, Any],
        now: datetime,
    ) -> bool: ...  # fmt: skip

    async def clear(self, merchant_id: UUID, kind: AlertKind, about: str, now: datetime) -> bool: ...

    async def clear_others(
        self, merchant_id: UUID, kind: AlertKind, still: Collection[str], now: datetime
    ) -> list[str]: ...

    async def counts(self, merchant_id: UUID) -> dict[AlertKind, int]: ...


@dataclass(frozen=True, slots=True)
class AlertBoard:
    """Raises and clears alerts. `clock` tells when."""

    alerts: Alerts
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    async def raise_(
        self, merchant_id: UUID, kind: AlertKind, about: str, detail: Mapping[str, Any],
        severity: Severity = Severity.WARNING,
    ) -> bool:  # fmt: skip
        """There is this; whether it is new. Only then is it logged."""
        is_new = await self.alerts.raise_(merchant_id, kind, about, severity, detail, self.clock())
        if is_new:
            merchant = self.catalogue().code_of(merchant_id)
            log.warning("alert", merchant=merchant, kind=kind.value, about=about, severity=severity.value, **detail)
        return is_new

    async def clear(self, merchant_id: UUID, kind: AlertKind, about: str) -> bool:
        """It is over; whether it was open. Only then is it logged."""
        was_open = await self.alerts.clear(merchant_id, kind, about, self.clock())
        if was_open:
            self._say_cleared(merchant_id, kind, about)
        return was_open

    async def settle(
        self, merchant_id: UUID, kind: AlertKind, seen: Mapping[str, Mapping[str, Any]],
        severity: Severity = Severity.WARNING,
    ) -> None:  # fmt: skip
        """All that there is of a kind now, with its numbers: what is not among it is over."""
        for about, detail in seen.items():
            await self.raise_(merchant_id, kind, about, detail, severity)
        for about in await self.alerts.clear_others(merchant_id, kind, seen.keys(), self.clock()):
            self._say_cleared(merchant_id, kind, about)

    async def show(self, merchant_id: UUID) -> None:
        """Set the metrics of a merchant's alerts."""
        merchant, counts = self.catalogue().code_of(merchant_id), await self.alerts.counts(merchant_id)
        for kind in AlertKind:
            ALERTS_OPEN.labels(merchant, kind.value).set(counts.get(kind, 0))

    def _say_cleared(self, merchant_id: UUID, kind: AlertKind, about: str) -> None:
        log.info("alert cleared", merchant=self.catalogue().code_of(merchant_id), kind=kind.value, about=about)
