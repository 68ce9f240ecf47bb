"""What accounts at PSPs have: asked every few minutes, one process at a time, shown as metrics, and told when short.

Each question is a task of its own and holds nobody up. Whether an account is low, or has told nothing for long, is seen
in the rows; who changes there what was told last tells it, so that several processes tell it once.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from prometheus_client import Gauge

from gateway import metrics
from gateway.domain.balances import Balance, alerts_of
from gateway.domain.catalogue import Catalogue
from gateway.flows.balances import LEASE, asked_accounts
from gateway.logs import get

__all__ = ["BalanceWatch"]

AT_ONCE: Final = 24
OF_A_PROVIDER: Final = 8
"""One whose accounts all hang leaves most places to the others."""
CLAIM_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 15.0
CLOSE_WITHIN_S: Final = 2.0

log = get(__name__)


class Books(Protocol):
    """What is asked and known (implemented by `gateway.storage.writing.balances`)."""

    async def keep(self, merchant_id: UUID, accounts: Collection[str], now: datetime) -> None: ...

    async def merchants_with_due(self, merchants: Collection[UUID], now: datetime) -> list[UUID]: ...

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int, accounts: Collection[str]
    ) -> list[str]: ...

    async def balances(self, merchant_id: UUID) -> list[Balance]: ...

    async def told(self, merchant_id: UUID, balance: Balance, *, low: bool, silent: bool) -> bool: ...


class BalanceWatch:
    """Claims accounts that are due and has them asked. `monotonic` tells seconds; `tells`: whether an account can."""

    def __init__(
        self,
        books: Books,
        ask: Callable[[UUID, str], Awaitable[None]],
        catalogue: Callable[[], Catalogue],
        tells: Callable[[UUID, str], bool],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        every: timedelta,
    ) -> None:
        self._books, self._ask, self._catalogue, self._tells = books, ask, catalogue, tells
        self._clock, self._monotonic, self._every = clock, monotonic, every
        self._kept: Mapping[UUID, frozenset[str]] = {}
        self._kept_of: Catalogue | None = None
        self._claimed_at = self._looked_at = -math.inf
        self._shown: dict[UUID, set[_Series]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand: Counter[str] = Counter()

    async def tick(self) -> None:
        """Keep up with the catalogue, take up what is due, and now and then look at all of it."""
        catalogue, now_s = self._catalogue(), self._monotonic()
        await self._keep_up(catalogue)
        if now_s - self._claimed_at >= CLAIM_EVERY_S:
            self._claimed_at = now_s
            await self._claim()
        if now_s - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now_s
            await self.look()

    async def close(self) -> None:
        """Ask no more. What is asked just now is given up: its lease brings it back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(self) -> None:
        """Show what every account has, and tell what changed."""
        known = self._catalogue().merchants
        for merchant_id, accounts in self._kept.items():
            if merchant_id in known and (accounts or merchant_id in self._shown):
                await self._look_at(merchant_id)
        for gone in self._shown.keys() - known.keys():
            self._forget(gone, set())

    async def _keep_up(self, catalogue: Catalogue) -> None:
        if catalogue is self._kept_of:
            return
        wanted = asked_accounts(catalogue, self._tells)
        for merchant_id, accounts in wanted.items():
            # At the start every merchant's: an account may have left while no process ran.
            if self._kept.get(merchant_id) != accounts:
                await self._books.keep(merchant_id, accounts, self._clock())
        self._kept, self._kept_of = wanted, catalogue

    async def _claim(self) -> None:
        now, asked = self._clock(), [merchant_id for merchant_id, accounts in self._kept.items() if accounts]
        if len(self._tasks) >= AT_ONCE or not asked:
            return
        for merchant_id in await self._books.merchants_with_due(asked, now):
            for provider, accounts in self._by_provider(merchant_id).items():
                room = min(AT_ONCE - len(self._tasks), OF_A_PROVIDER - self._in_hand[provider])
                if room <= 0:
                    continue
                for account in await self._books.claim(merchant_id, now, now + LEASE, room, accounts):
                    self._in_hand[provider] += 1
                    task = asyncio.create_task(self._do(merchant_id, account, provider), name="balance")
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def _by_provider(self, merchant_id: UUID) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for account in self._kept[merchant_id]:
            known = self._catalogue().accounts.get((merchant_id, account))
            if known is not None:
                found.setdefault(known.provider, []).append(account)
        return found

    async def _do(self, merchant_id: UUID, account: str, provider: str) -> None:
        try:
            await self._ask(merchant_id, account)
            await self._look_at(merchant_id)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the lease brings it back
            log.warning("a balance was not asked for", account=account, error_type=type(error).__name__)
        finally:
            self._in_hand[provider] -= 1

    async def _look_at(self, merchant_id: UUID) -> None:
        catalogue = self._catalogue()
        merchant, shown = catalogue.code_of(merchant_id), set[_Series]()
        for balance in await self._books.balances(merchant_id):
            account = catalogue.accounts.get((merchant_id, balance.account))
            if account is None or balance.account not in self._kept.get(merchant_id, ()):
                continue
            shown |= _show(merchant, balance, account.balance_alert_below, self._clock())
            await self._tell(merchant_id, merchant, balance, account.balance_alert_below)
        self._forget(merchant_id, shown)

    async def _tell(self, merchant_id: UUID, merchant: str, balance: Balance, alert_below: int | None) -> None:
        now = self._clock()
        low, silent = alerts_of(balance, alert_below, now, self._every)
        if (low, silent) == (balance.told_low, balance.told_silent):
            return
        if not await self._books.told(merchant_id, balance, low=low, silent=silent):
            return
        about = {"merchant": merchant, "account": balance.account, "age_s": _age_s(balance, now)}
        if low is not balance.told_low:
            about |= {"balance": None if balance.stated is None else balance.stated.payable, "below": alert_below}
            if low:
                log.warning("an account has less than its balance_alert_below: pay in", **about)
            else:
                log.info("an account is not below its balance_alert_below any more", **about)
        if silent is not balance.told_silent:
            about["reason"] = None if balance.failed is None else balance.failed.reason
            if silent:
                log.warning("what an account has is not known any more: its payment company does not say", **about)
            else:
                log.info("what an account has is known again", **about)

    def _forget(self, merchant_id: UUID, shown: set["_Series"]) -> None:
        """What is not known any more is no number: one that nobody renews would look like a word of today."""
        for series in self._shown.pop(merchant_id, set()) - shown:
            _gauge(series).set(math.nan)
        if shown:
            self._shown[merchant_id] = shown


_Series = tuple[str, str, str]
"""Merchant, account, and what of it is shown."""


def _gauge(series: _Series) -> Gauge:
    merchant, account, shown = series
    if shown in ("age", "low"):
        metric = metrics.ACCOUNT_BALANCE_AGE_SECONDS if shown == "age" else metrics.ACCOUNT_BALANCE_LOW
        return metric.labels(merchant, account)
    return metrics.ACCOUNT_BALANCE_FEN.labels(merchant, account, shown)


def _show(merchant: str, balance: Balance, alert_below: int | None, now: datetime) -> set[_Series]:
    """Set the metrics of an account, and tell which it has."""
    values: dict[str, float] = {"age": _age_s(balance, now)}
    if balance.stated is not None:
        stated = balance.stated
        amounts = {"payouts": stated.for_payouts, "refunds": stated.for_refunds, "total": stated.total}
        values |= {of: amount for of, amount in amounts.items() if amount is not None}
        if alert_below is not None and stated.payable is not None:
            values["low"] = balance.is_low(alert_below)
    for shown, value in values.items():
        _gauge((merchant, balance.account, shown)).set(value)
    return {(merchant, balance.account, shown) for shown in values}


def _age_s(balance: Balance, now: datetime) -> float:
    age = balance.age(now)
    return round((now - balance.since if age is None else age).total_seconds(), 1)
