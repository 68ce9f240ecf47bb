"""The metrics of open payments, read now and then. Nothing waits for them: where they cannot be read, they stay."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.logs import get
from gateway.metrics import OLDEST_OPEN_SECONDS, OPEN_PAYMENTS

__all__ = ["EVERY_S", "OpenPaymentsWatch"]

EVERY_S: Final = 15.0

log = get(__name__)


class _Open(Protocol):
    @property
    def number(self) -> int: ...

    @property
    def oldest(self) -> datetime: ...


class OpenPaymentsWatch:
    """`read` gives the open payments of a merchant by channel; channels without any may be absent."""

    def __init__(
        self,
        read: Callable[[UUID], Awaitable[Mapping[str, _Open]]],
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
    ) -> None:
        self._read, self._catalogue, self._clock = read, catalogue, clock
        self._shown: dict[UUID, set[str]] = {}
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def start(self) -> None:
        """Begin to look, at once and then every `EVERY_S` seconds, beside everything else."""
        self._task = asyncio.create_task(self._watch(), name="open payments")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Look once, at one merchant after the other: one that cannot be read does not hide the next."""
        failed: Exception | None = None
        catalogue = self._catalogue()
        for merchant_id in catalogue.merchants:
            try:
                found = await self._read(merchant_id)
            except Exception as error:  # noqa: BLE001 -- whatever it is, metrics are nobody's trouble
                failed = error
            else:
                self._show(merchant_id, catalogue.code_of(merchant_id), found)
        self._say(failed)

    def _show(self, merchant_id: UUID, merchant: str, found: Mapping[str, _Open]) -> None:
        shown = self._shown.setdefault(merchant_id, set())
        shown.update(found)
        now = self._clock()
        for channel in shown:
            one = found.get(channel)
            age_s = 0.0 if one is None else max(0.0, (now - one.oldest).total_seconds())
            OPEN_PAYMENTS.labels(merchant, channel).set(0 if one is None else one.number)
            OLDEST_OPEN_SECONDS.labels(merchant, channel).set(age_s)

    def _say(self, failed: Exception | None) -> None:
        if failed is not None and not self._failing:
            log.warning("open payments cannot be counted", error_type=type(failed).__name__)
        self._failing = failed is not None

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)
