"""Recorded routes whose wait is over by our clock: for their report, or for the end of their business day."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.flows.recorded_routes import RouteBooks, RouteReport
from gateway.logs import get
from gateway.ports import OverloadedError

__all__ = ["RouteWatch"]

AT_ONCE: Final = 64
"""Routes of a merchant in one tick: one flush."""
LEASE: Final = timedelta(minutes=1)
"""What could not be recorded comes back then, behind what is due meanwhile."""

log = get(__name__)


class Due(Protocol):
    """What is to be looked at (implemented by `gateway.storage.writing.routes`)."""

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[UUID, str]]: ...


class RouteWatch:
    """Claims routes that are due, and lets the books say what that means. It calls nobody."""

    def __init__(
        self,
        due: Due,
        books: RouteBooks,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._due, self._books, self._catalogue, self._clock, self._new_id = due, books, catalogue, clock, new_id

    async def tick(self) -> None:
        """Take up what is due, of each merchant some."""
        now = self._clock()
        for merchant_id in await self._due.merchants_with_work(self._catalogue().merchants.keys(), now):
            claimed = await self._due.claim(merchant_id, now, now + LEASE, AT_ONCE)
            await asyncio.gather(*(self._look(merchant_id, user_id, route_id, now) for route_id, user_id in claimed))

    async def _look(self, merchant_id: UUID, user_id: str, route_id: UUID, now: datetime) -> None:
        try:
            await self._books.report(RouteReport(merchant_id, user_id, route_id, None, self._new_id(), now))
        except OverloadedError:
            log.info("a recorded route is looked at later", route_id=str(route_id))
