"""Checkouts whose time is over by our clock."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import Checkout
from gateway.logs import get
from gateway.ports import OverloadedError

__all__ = ["CheckoutWatch"]

AT_ONCE: Final = 32
"""Checkouts of a merchant in one tick."""
IN_HAND: Final = 2
"""Of those, how many are in the database at a time: payments need it, too."""
LEASE: Final = timedelta(minutes=1)
"""What could not be recorded comes back then."""

log = get(__name__)


class Due(Protocol):
    """What is to be looked at (implemented by `gateway.storage.writing.checkout_books`)."""

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[UUID, str]]: ...

    async def look(
        self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime
    ) -> Checkout: ...


class CheckoutWatch:
    """Claims checkouts that are due, and lets the books say what that means. It calls nobody.

    `comes_back`: whether an error means that the database is away or busy.
    """

    def __init__(
        self,
        due: Due,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        comes_back: Callable[[Exception], bool],
    ) -> None:
        self._due, self._catalogue, self._clock, self._new_id = due, catalogue, clock, new_id
        self._comes_back = comes_back

    async def tick(self) -> None:
        """Take up what is due, of each merchant some."""
        now = self._clock()
        for merchant_id in await self._due.merchants_with_work(self._catalogue().merchants.keys(), now):
            claimed = await self._due.claim(merchant_id, now, now + LEASE, AT_ONCE)
            places = asyncio.Semaphore(IN_HAND)
            await asyncio.gather(*(self._look(places, merchant_id, *one, now) for one in claimed))

    async def _look(
        self, places: asyncio.Semaphore, merchant_id: UUID, checkout_id: UUID, user_id: str, now: datetime
    ) -> None:
        async with places:
            try:
                await self._due.look(merchant_id, user_id, checkout_id, self._new_id(), now)
            except Exception as error:
                if isinstance(error, OverloadedError) or self._comes_back(error):
                    log.info("a checkout is looked at later", checkout_id=str(checkout_id))
                else:  # it alone: its lease brings it back
                    log.exception("a checkout was not looked at", checkout_id=str(checkout_id))
