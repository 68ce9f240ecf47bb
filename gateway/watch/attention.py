"""What waits for a person becomes an alert while it is there: looked at every half minute, by one process at a time.

Channels have a watch of their own (`watch.channels`), and so have rules of transactions.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from gateway.domain.alerts import AlertKind
from gateway.domain.catalogue import Catalogue
from gateway.logs import get
from gateway.watch.board import AlertBoard

__all__ = ["Attention", "AttentionWatch", "Leases"]

ATTENTION: Final = "attention"
EVERY_S: Final = 30.0
LEASE: Final = timedelta(seconds=90)
OLD_SNAPSHOT: Final = timedelta(hours=1)
CLOSE_WITHIN_S: Final = 2.0
KINDS: Final = (
    AlertKind.STUCK_PAYMENTS,
    AlertKind.DEAD_LETTERS,
    AlertKind.HELD_EVENTS,
    AlertKind.ANOMALIES_OPEN,
    AlertKind.DIFFERENCES_OPEN,
    AlertKind.STATEMENT_LATE,
    AlertKind.BALANCE_LOW,
    AlertKind.BALANCE_SILENT,
)

log = get(__name__)


class Attention(Protocol):
    """What waits (implemented by `gateway.storage.watching.attention`)."""

    async def waiting(self, merchant_id: UUID, kind: AlertKind, now: datetime) -> dict[str, dict[str, Any]]: ...


class Leases(Protocol):
    """Who looks (implemented by `gateway.storage.watching.rates`)."""

    async def take(self, merchant_id: UUID, watch: str, holder: UUID, now: datetime, lease: timedelta) -> bool: ...


class Held(Protocol):
    """What holds a snapshot."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def age(self) -> timedelta | None: ...


class AttentionWatch:
    """`held` tells what holds snapshots now; `monotonic` tells seconds."""

    def __init__(
        self, attention: Attention, leases: Leases, board: AlertBoard, held: Callable[[], Awaitable[Sequence[Held]]],
        catalogue: Callable[[], Catalogue], clock: Callable[[], datetime], monotonic: Callable[[], float],
        holder: UUID,
    ) -> None:  # fmt: skip
        self._attention, self._leases, self._board, self._held = attention, leases, board, held
        self._catalogue, self._clock, self._monotonic, self._holder = catalogue, clock, monotonic, holder
        self._looked_at = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def tick(self) -> None:
        """Look now and then; the look is a task of its own."""
        now_s = self._monotonic()
        if now_s - self._looked_at < EVERY_S or (self._task is not None and not self._task.done()):
            return
        self._looked_at = now_s
        self._task = asyncio.create_task(self.look(), name="attention")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)

    async def look(self) -> None:
        """Look at every merchant: what cannot be read of one hides nothing else."""
        snapshots = await self._snapshots()
        for merchant_id in self._catalogue().merchants:
            try:
                if await self._leases.take(merchant_id, ATTENTION, self._holder, self._clock(), LEASE):
                    await self._look_at(merchant_id, snapshots)
                    await self._board.show(merchant_id)
            except Exception as error:  # noqa: BLE001 -- the next look tries again
                log.warning("what needs a person was not looked at", error_type=type(error).__name__)

    async def _look_at(self, merchant_id: UUID, snapshots: dict[str, dict[str, Any]] | None) -> None:
        for kind in KINDS:
            await self._board.settle(merchant_id, kind, await self._attention.waiting(merchant_id, kind, self._clock()))
        if snapshots is not None:
            await self._board.settle(merchant_id, AlertKind.OLD_SNAPSHOT, snapshots)

    async def _snapshots(self) -> dict[str, dict[str, Any]] | None:
        """Those older than an hour; None: they cannot be read, so nothing is over."""
        try:
            held = await self._held()
        except Exception as error:  # noqa: BLE001 -- the next look tries again
            log.warning("old snapshots were not looked at", error_type=type(error).__name__)
            return None
        return {
            f"{each.kind} {each.name}": {"age_s": None if each.age is None else int(each.age.total_seconds())}
            for each in held
            if each.age is None or each.age >= OLD_SNAPSHOT
        }
