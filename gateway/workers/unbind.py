"""Telling PSPs of agreements that users gave up. It is safe to repeat, so it is told until they say so.

A few at once, and of each channel no more than its places for what is sent: whoever pays there comes first.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import number_of
from gateway.domain.outcomes import Declined, UnbindingOutcome, Unbound, Unknown
from gateway.domain.unbinding import Unbinding
from gateway.logs import get
from gateway.ports import Calls, NoSuchCommandError, Unbind, UnusableAccountError

__all__ = ["GAPS", "Unbinder"]

AT_ONCE: Final = 4
LEASE: Final = timedelta(minutes=5)
GAPS: Final = tuple(timedelta(seconds=s) for s in (60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 24 * 3600))
"""Waits between the tries; after the last one a person is told, and it counts as void here."""
CLOSE_WITHIN_S: Final = 10.0

log = get(__name__)


class Books(Protocol):
    """What is to be told (implemented by `gateway.storage.writing.unbinding`)."""

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(self, merchant_id: UUID, now: datetime, limit: int, lease_until: datetime) -> list[Unbinding]: ...

    async def end(self, unbinding: Unbinding, ended: str, now: datetime) -> None: ...

    async def later(self, unbinding: Unbinding, due_at: datetime) -> None: ...


class Cards(Protocol):
    """Reads cards and the numbers of their agreements."""

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements: ...

    async def ending_agreement_no(self, merchant_id: UUID, card_id: UUID, account: str) -> str | None: ...


class Unbinder:
    """Claims what PSPs are to be told, and tells them."""

    def __init__(
        self,
        books: Books,
        cards: Cards,
        calls: Calls,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._books, self._cards, self._calls, self._catalogue, self._clock = books, cards, calls, catalogue, clock
        self._new_id = new_id
        self._tasks: set[asyncio.Task[None]] = set()

    async def tick(self) -> None:
        """Take up what is due, as far as there is room."""
        free = AT_ONCE - len(self._tasks)
        if free <= 0:
            return
        now = self._clock()
        for merchant_id in await self._books.merchants_with_work(self._catalogue().merchants.keys(), now):
            for told in await self._books.claim(merchant_id, now, free, now + LEASE):
                task = asyncio.create_task(self._do(told))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                free -= 1
            if free <= 0:
                return

    async def close(self) -> None:
        """Let what runs end within a bounded time; leases bring the rest back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, told: Unbinding) -> None:
        try:
            await self._tell(told)
        except Exception:
            log.exception("unbinding failed", account=told.account)  # it stays due, and comes back with its lease

    async def _tell(self, told: Unbinding) -> None:
        agreement_no = await self._cards.ending_agreement_no(told.merchant_id, told.card_id, told.account)
        if not told.still or agreement_no is None:
            await self._books.end(told, "unbound", self._clock())  # it was bound anew, or its person is erased
            return
        card = await self._cards.card(told.merchant_id, told.card_id)
        command = Unbind(
            number=number_of(self._new_id()),  # a number that was used before would be refused for that
            told_at=self._clock(),
            bank=told.bank,
            card=card,
            user_id=told.user_id,
            agreement_no=agreement_no,
        )
        outcome: UnbindingOutcome
        try:
            outcome = await self._calls(told.merchant_id, told.channel, told.account, command)
        except UnusableAccountError as error:
            outcome = Unknown(str(error))  # until its settings are put right
        except NoSuchCommandError:
            await self._books.end(told, "unbound", self._clock())  # it has no call for it: void here is all there is
            return
        if isinstance(outcome, Unbound | Declined):
            await self._books.end(told, "unbound" if isinstance(outcome, Unbound) else "refused", self._clock())
        elif told.tries >= len(GAPS):
            log.warning("an agreement could not be ended at its payment company", account=told.account)
            await self._books.end(told, "given_up", self._clock())
        else:
            await self._books.later(told, self._clock() + GAPS[told.tries])
