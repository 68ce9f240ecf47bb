"""What stands and waits for a person becomes an alert, and is over when it does not stand any more.

Stuck payments, dead letters, held events, open anomalies and differences, late statements, low or silent balances:
looked at every half minute, beside the flow. Several processes may look at once: an alert is raised and cleared once.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.domain.catalogue import Catalogue
from gateway.watch.board import AlertBoard

__all__ = ["Standing", "StandingWatch"]

EVERY_S: Final = 30.0


class Standing(Protocol):
    """What stands (implemented by `gateway.storage.watching.standing`)."""

    async def standing(self, merchant_id: UUID, now: datetime) -> Mapping[AlertKind, Mapping[str, Mapping[str, Any]]]:
        """By kind, about what, its numbers: all kinds that are looked at, also those of which there is nothing."""
        ...


class StandingWatch:
    """Looks now and then. `monotonic` tells seconds."""

    def __init__(
        self,
        standing: Standing,
        board: AlertBoard,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._standing, self._board, self._catalogue = standing, board, catalogue
        self._clock, self._monotonic = clock, monotonic
        self._looked_at = -math.inf

    async def tick(self) -> None:
        """Look, if it is time."""
        now_s = self._monotonic()
        if now_s - self._looked_at < EVERY_S:
            return
        self._looked_at = now_s
        for merchant_id in self._catalogue().merchants:
            for kind, seen in (await self._standing.standing(merchant_id, self._clock())).items():
                await self._board.settle(merchant_id, kind, seen)
            await self._board.show(merchant_id)
