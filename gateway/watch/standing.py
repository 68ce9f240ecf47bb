"""What stands and waits for a person becomes an alert, and is over when it does not stand any more.

Stuck payments, dead letters, held events, open anomalies and differences, late statements, low or silent balances, and
old snapshots, which slow every merchant down: looked at every half minute, beside the flow. Several processes may look
at once: an alert is raised and cleared once.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.domain.catalogue import Catalogue
from gateway.logs import get
from gateway.metrics import DIFFERENCES_OPEN
from gateway.watch.board import AlertBoard

__all__ = ["Standing", "StandingWatch", "Stands"]

log = get(__name__)

EVERY_S: Final = 30.0

Stands = Mapping[AlertKind, Mapping[str, Mapping[str, Any]]]
"""By kind, about what, its numbers."""


class Standing(Protocol):
    """What stands (implemented by `gateway.storage.watching.standing`)."""

    async def standing(self, merchant_id: UUID, now: datetime) -> Stands:
        """All kinds that are looked at, also those of which there is nothing."""
        ...


class StandingWatch:
    """Looks now and then. `everywhere` tells what stands for all merchants alike; `monotonic` tells seconds."""

    def __init__(
        self,
        standing: Standing,
        everywhere: Callable[[datetime], Awaitable[Stands]],
        board: AlertBoard,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._standing, self._everywhere = standing, everywhere
        self._board, self._catalogue = board, catalogue
        self._clock, self._monotonic = clock, monotonic
        self._looked_at = -math.inf
        self._differing: set[tuple[str, str]] = set()
        """Merchants and accounts whose differences were shown: they go back to 0."""

    async def tick(self) -> None:
        """Look, if it is time."""
        now_s = self._monotonic()
        if now_s - self._looked_at < EVERY_S:
            return
        self._looked_at = now_s
        everywhere = await self._for_all()
        for merchant_id in self._catalogue().merchants:
            try:
                await self._look_at(merchant_id, everywhere)
            except Exception as error:  # noqa: BLE001 -- one that cannot be read does not hide the next
                merchant = self._catalogue().code_of(merchant_id)
                log.warning("what stands was not looked at", merchant=merchant, error_type=type(error).__name__)

    async def _look_at(self, merchant_id: UUID, everywhere: Stands) -> None:
        standing = await self._standing.standing(merchant_id, self._clock())
        for kind, seen in (*standing.items(), *everywhere.items()):
            await self._board.settle(merchant_id, kind, seen)
        self._show(merchant_id, standing.get(AlertKind.DIFFERENCES_OPEN, {}))
        await self._board.show(merchant_id)

    def _show(self, merchant_id: UUID, differences: Mapping[str, Mapping[str, Any]]) -> None:
        merchant = self._catalogue().code_of(merchant_id)
        for gone in {each for each in self._differing if each[0] == merchant and each[1] not in differences}:
            DIFFERENCES_OPEN.labels(*gone).set(0)
        for account, numbers in differences.items():
            DIFFERENCES_OPEN.labels(merchant, account).set(numbers["found"])
            self._differing.add((merchant, account))

    async def _for_all(self) -> Stands:
        """Nothing if it cannot be looked at: what was raised stays, and each merchant's own is looked at."""
        try:
            return await self._everywhere(self._clock())
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next look tries again
            log.warning("what stands for all merchants was not looked at", error_type=type(error).__name__)
            return {}
