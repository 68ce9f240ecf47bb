"""What a process knows of channels that payments are to avoid: read every two seconds from what the watch has written.

One process watches; all of them read what it sees, so that each of them avoids the same channels within seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.ailing import ALL_WELL, Ails, SeenAiling, avoided
from gateway.domain.catalogue import Catalogue
from gateway.domain.rates import Counted
from gateway.logs import get

__all__ = ["READ_EVERY_S", "AilingChannels", "Seeing"]

READ_EVERY_S: Final = 2.0

log = get(__name__)


class Seeing(Protocol):
    """Where it is read (implemented by `gateway.storage.watching.ailing`)."""

    async def seen(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, SeenAiling]]:
        """What is degraded or switched off, by merchant, as it was seen last."""
        ...


class AilingChannels:
    """Keeps reading it. Merchants who avoid nothing cost no statement."""

    def __init__(
        self, seen: Seeing, catalogue: Callable[[], Catalogue], clock: Callable[[], datetime],
        every_s: float = READ_EVERY_S,
    ) -> None:  # fmt: skip
        self._seen, self._catalogue, self._clock, self._every_s = seen, catalogue, clock, every_s
        self._ailing: Mapping[UUID, Ails] = {}
        self._task: asyncio.Task[None] | None = None
        self._away = False

    def of(self, merchant_id: UUID) -> Ails:
        """What payments of a merchant are to avoid."""
        return self._ailing.get(merchant_id, ALL_WELL)

    async def start(self) -> None:
        """Read once, before any payment is routed, and go on beside the rest."""
        await self._read_or_say()
        self._task = asyncio.create_task(self._keep_reading(), name="ailing channels")

    async def stop(self) -> None:
        """Read no more; what is known stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def read(self) -> None:
        """Read it. Raises what the database raises; what was known stays then."""
        merchants, now = self._catalogue().merchants, self._clock()
        avoiding = [merchant_id for merchant_id, merchant in merchants.items() if merchant.watch.avoids]
        if not avoiding:
            self._ailing = {}
            return
        found = {}
        for merchant_id, seen in (await self._seen.seen(avoiding)).items():
            rule_of = merchants[merchant_id].watch.rule_of
            told = {what: avoided(rule_of(*what), each, now) for what, each in seen.items()}
            found[merchant_id] = {what: ailing for what, ailing in told.items() if ailing is not None}
        self._ailing = found

    async def _read_or_say(self) -> None:
        try:
            await self.read()
        except Exception as error:  # noqa: BLE001 -- whatever keeps it from being read, what is known stays
            if not self._away:
                log.warning("which channels ail cannot be read", error_type=type(error).__name__)
            self._away = True
        else:
            self._away = False

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._read_or_say()
