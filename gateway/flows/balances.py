"""Asking an account what it has: one question, bounded, and its outcome kept. It moves nothing, and may be repeated."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.balances import Balance
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import number_of
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, Unknown
from gateway.ports import AskBalance, Calls, NoSuchCommandError, UnusableAccountError

__all__ = ["ANSWER_WITHIN_S", "LEASE", "SOONER", "AskingBalances", "BalanceBooks", "asked_accounts"]

ANSWER_WITHIN_S: Final = 20.0
"""A PSP that hangs keeps one of its channel's places for questions no longer."""
LEASE: Final = timedelta(seconds=60)
"""Of an account that is being asked: longer than the question may take. Who died over it lets it go by that."""
SOONER: Final = timedelta(minutes=2)
"""After a question that told nothing the next one comes then, at the latest."""
ASKED_ANEW_AFTER: Final = timedelta(seconds=5)
"""People may have an account asked so often."""


class BalanceBooks(Protocol):
    """Where what accounts have is kept (implemented by `gateway.storage.writing.balances`)."""

    async def take(
        self, merchant_id: UUID, account: str, now: datetime, asked_before: datetime, lease_until: datetime
    ) -> bool: ...

    async def heard(
        self, merchant_id: UUID, account: str, outcome: BalanceOutcome, asked_at: datetime, due_at: datetime
    ) -> None: ...

    async def balances(self, merchant_id: UUID) -> list[Balance]: ...


def asked_accounts(catalogue: Catalogue, tells: Callable[[UUID, str], bool]) -> dict[UUID, frozenset[str]]:
    """The accounts of every merchant that are asked: they can tell, and a channel of theirs is on."""
    asked: dict[UUID, set[str]] = {merchant_id: set() for merchant_id in catalogue.merchants}
    for owner, account in {(each.merchant_id, each.account) for each in catalogue.channels.values() if each.on}:
        if owner in asked and tells(owner, account):
            asked[owner].add(account)
    return {merchant_id: frozenset(accounts) for merchant_id, accounts in asked.items()}


class AskingBalances:
    """Asks accounts. `spread`: around 1, so that accounts that began together do not stay together."""

    def __init__(
        self,
        books: BalanceBooks,
        calls: Calls,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
        spread: Callable[[], float],
        every: timedelta,
    ) -> None:
        self._books, self._calls, self._catalogue = books, calls, catalogue
        self._clock, self._new_id, self._spread, self.every = clock, new_id, spread, every

    async def known(self, merchant_id: UUID) -> list[Balance]:
        """What is known of a merchant's accounts that are asked."""
        return await self._books.balances(merchant_id)

    async def ask(self, merchant_id: UUID, account: str) -> None:
        """Ask an account that was claimed, and keep what it says."""
        asked_at = self._clock()
        outcome = await self._asked(merchant_id, account, asked_at)
        told = isinstance(outcome, BalanceStated)
        wait = (self.every if told else min(self.every, SOONER)) * self._spread()
        await self._books.heard(merchant_id, account, outcome, asked_at, asked_at + wait)

    async def ask_now(self, merchant_id: UUID, account: str) -> None:
        """Ask because a person wants to know; not if it was asked in the last seconds, or is being asked."""
        now = self._clock()
        if await self._books.take(merchant_id, account, now, now - ASKED_ANEW_AFTER, now + LEASE):
            await self.ask(merchant_id, account)

    async def _asked(self, merchant_id: UUID, account: str, now: datetime) -> BalanceOutcome:
        channels = [each for each in self._catalogue().channels_of(merchant_id) if each.account == account]
        # On the places of one that is on, where there is one.
        channel = next(iter(sorted(channels, key=lambda each: not each.on)), None)
        if channel is None:
            return Unknown("no channel leads to this account")
        command = AskBalance(number_of(self._new_id()), now)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._calls(merchant_id, channel.code, account, command)
        except TimeoutError:
            return Unknown(f"no answer within {ANSWER_WITHIN_S:.0f} s")
        except (UnusableAccountError, NoSuchCommandError) as error:
            return Unknown(str(error))
