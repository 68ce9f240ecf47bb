"""Payouts whose hold is over by our clock, and lists of payouts that came back (`AskReturnedPayouts`).

A list is an errand: it may be fetched again as often as need be, and says the same. What it tells is recorded like any
other word before it counts as fetched.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Outcome, ReturnedPayout, ReturnsListed
from gateway.flows.observations import ObservationMaker, readable
from gateway.flows.payout_acts import PayoutRefusedError
from gateway.logs import get
from gateway.ports import (
    AskReturnedPayouts,
    Calls,
    IntentKey,
    NoSuchCommandError,
    OverloadedError,
    Recording,
    UnusableAccountError,
)

__all__ = ["HeldPayoutWatch", "ReturnsWatch"]

AT_ONCE: Final = 32
"""Of a merchant in one tick."""
IN_HAND: Final = 2
LEASE: Final = timedelta(minutes=1)
"""What could not be done comes back then."""
LIST_LEASE: Final = timedelta(minutes=10)
GIVEN_UP_AFTER: Final = timedelta(days=14)
"""So long after its day a list is not asked for any more: a person reads the statement."""

log = get(__name__)


class HeldPayouts(Protocol):
    """What is to be looked at (implemented by `gateway.storage.writing.payout_books`)."""

    async def merchants_with_held(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim_held(self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int) -> list[UUID]: ...


class HeldPayoutWatch:
    """Claims payouts whose hold is over, and lets the flow say what that means.

    `comes_back`: whether an error means that the database is away or busy.
    """

    def __init__(
        self,
        due: HeldPayouts,
        look: Callable[[UUID, UUID], Awaitable[None]],
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        comes_back: Callable[[Exception], bool],
    ) -> None:
        self._due, self._look_at, self._catalogue, self._clock = due, look, catalogue, clock
        self._comes_back = comes_back

    async def tick(self) -> None:
        """Take up what is due, of each merchant some."""
        now = self._clock()
        for merchant_id in await self._due.merchants_with_held(self._catalogue().merchants.keys(), now):
            claimed = await self._due.claim_held(merchant_id, now, now + LEASE, AT_ONCE)
            places = asyncio.Semaphore(IN_HAND)
            await asyncio.gather(*(self._look(places, merchant_id, payout_id) for payout_id in claimed))

    async def _look(self, places: asyncio.Semaphore, merchant_id: UUID, payout_id: UUID) -> None:
        async with places:
            try:
                await self._look_at(merchant_id, payout_id)
            except Exception as error:
                if not isinstance(error, OverloadedError | PayoutRefusedError) and not self._comes_back(error):
                    raise
                log.info("a payout is looked at later", payout_id=str(payout_id))


class Lists(Protocol):
    """Which lists are to be fetched (implemented by `gateway.storage.writing.payout_books`)."""

    async def merchants_with_lists(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim_lists(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[str, date, str]]: ...

    async def listed(self, merchant_id: UUID, account: str, day: date) -> None: ...


class Intents(Protocol):
    """Finds whose intent an order at a PSP is for, and keeps words about orders that nobody here asked for."""

    async def intent_of_number(self, merchant_id: UUID, account: str, number: str, verb: Verb) -> IntentKey | None: ...

    async def keep_stray(
        self, merchant_id: UUID, account: str, number: str, verb: Verb, outcome: Outcome, now: datetime
    ) -> None: ...


class ReturnsWatch:
    """Fetches lists of returned payouts and records what they tell."""

    def __init__(
        self,
        lists: Lists,
        intents: Intents,
        calls: Calls,
        books: Recording,
        observations: ObservationMaker,
        catalogue: Callable[[], Catalogue],
    ) -> None:
        self._lists, self._intents, self._calls, self._books = lists, intents, calls, books
        self._observations, self._catalogue = observations, catalogue

    async def tick(self) -> None:
        """Fetch what is due, one list at a time."""
        now = self._observations.clock()
        for merchant_id in await self._lists.merchants_with_lists(self._catalogue().merchants.keys(), now):
            for account, day, channel in await self._lists.claim_lists(merchant_id, now, now + LIST_LEASE, IN_HAND):
                await self._fetch(merchant_id, account, day, channel)

    async def _fetch(self, merchant_id: UUID, account: str, day: date, channel: str) -> None:
        now = self._observations.clock()
        asked = AskReturnedPayouts(f"returns-{day.isoformat()}", now, day)
        try:
            said = await self._calls(merchant_id, channel, account, asked)
        except (UnusableAccountError, NoSuchCommandError):
            said = None
        if not isinstance(said, ReturnsListed):
            if now.date() - day > GIVEN_UP_AFTER:
                log.error("a list of returned payouts was never told", account=account, day=day.isoformat())
                await self._lists.listed(merchant_id, account, day)
            return
        for returned in said.payouts:
            await self._record(merchant_id, account, returned)
        await self._lists.listed(merchant_id, account, day)

    async def _record(self, merchant_id: UUID, account: str, returned: ReturnedPayout) -> None:
        key = await self._intents.intent_of_number(merchant_id, account, returned.number, Verb.PAYOUT)
        outcome = returned.told
        if key is None:
            log.warning("a payout came back that nobody here asked for", account=account)
            place = (merchant_id, account, returned.number, Verb.PAYOUT)
            await self._intents.keep_stray(*place, readable(outcome), self._observations.clock())
            return
        await self._books.record(self._observations.of(key, Source.POLL, outcome))
