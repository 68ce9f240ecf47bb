"""What a merchant's accounts at PSPs have, and below how much somebody is told."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.changes import BY, Snapshots, catalogue_route
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import Code, RequestModel
from gateway.api.http.problems import FieldError, bad_fields, conflict
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.balances import Balance, Failure
from gateway.domain.catalogue import Account, Catalogue
from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.objects.balances import balance_object
from gateway.ports import Offer
from router.fees import MAX_FEN

__all__ = ["Accounts", "BalanceCalls", "Balances"]

ASKS_WITHIN_S: Final = 10.0
"""A call waits for the PSP no longer: it is answered with what is known, and the question goes on."""


class Balances(Protocol):
    """What accounts have: an `AskingBalances`."""

    @property
    def every(self) -> timedelta:
        """How often accounts are asked by themselves."""
        ...

    async def known(self, merchant_id: UUID) -> list[Balance]:
        """What is known of a merchant's accounts that are asked."""
        ...

    async def ask_now(self, merchant_id: UUID, account: str) -> None:
        """Ask an account, at most every few seconds."""
        ...


class Accounts(Protocol):
    """Where accounts are changed: a `CatalogueStore`."""

    async def set_account(
        self, merchant_id: UUID, code: str, *, balance_alert_below: int | None, by: str, now: datetime
    ) -> int:
        """The new version. Raises the errors of `gateway.domain.catalogue_content`."""
        ...


class AccountChanges(RequestModel):
    """What to change of an account. What is absent stays as it is; null takes it away."""

    balance_alert_below: Annotated[int, Field(ge=1, le=MAX_FEN)] | None = Field(
        None, description="in fen; somebody is told when the account has less"
    )


class BalanceFailure(BaseModel):
    """Why the last question told nothing: no believable answer (`unknown`), or `not_sent`."""

    outcome: Failure
    reason: str
    channel_code: str | None


class BalanceAnswer(BaseModel):
    """What an account has, by its newest statement, in fen. An amount that is not stated is null, never 0.

    `why_not_asked`: why it is not asked at all; null: it is. `low`: whether payouts could take less than
    `balance_alert_below` (the total where they are not stated apart); null: not known, or no threshold. `silent`: it
    has been asked in vain for long. `failure`: of the last question; the statement before it stays.
    """

    object: Literal["balance"]
    account: Code
    provider: str
    why_not_asked: str | None
    currency: str
    for_payouts: int | None
    for_refunds: int | None
    total: int | None
    stated_at: str | None
    age_s: int | None
    balance_alert_below: int | None
    low: bool | None
    silent: bool
    asked_at: str | None
    failure: BalanceFailure | None


class BalanceList(BaseModel):
    """Every account of a merchant."""

    data: list[BalanceAnswer]


@dataclass(frozen=True, slots=True)
class BalanceCalls:
    """The calls of balances. `offer_of`: what can be done on an account."""

    balances: Balances
    store: Accounts
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes."""
        one = Answer(BalanceAnswer, "what the account has, as it is known now")
        return [
            catalogue_route("GET", f"{MERCHANT}/balances", self.all, "what a merchant's accounts have",
                            Answer(BalanceList, "every account, also those that state nothing")),
            catalogue_route("POST", f"{MERCHANT}/balances/{{account}}/ask", self.ask, "ask an account what it has now",
                            one, 200,
                            description="At most every 5 seconds; it waits for the payment company for 10 seconds, and "
                            "otherwise answers what is known."),
            catalogue_route("PATCH", f"{MERCHANT}/accounts/{{account}}", self.change,
                            "say below how much of an account somebody is told", one, body=AccountChanges),
        ]  # fmt: skip

    async def all(self, call: Call) -> Reply:
        catalogue = await self.snapshots.refresh_now()
        merchant_id = merchant_of(catalogue, call).merchant_id
        mine = sorted((code, a) for (owner, code), a in catalogue.accounts.items() if owner == merchant_id)
        known = await self._known(merchant_id)
        return Reply({"data": [self._shown(catalogue, account, known.get(code)) for code, account in mine]})

    async def ask(self, call: Call) -> Reply:
        catalogue = await self.snapshots.refresh_now()
        account = _account_of(catalogue, call)
        if why := self._why_not(catalogue, account):
            raise conflict("conflict", f"This account is not asked: {why}.")
        asking = asyncio.ensure_future(self.balances.ask_now(account.merchant_id, account.code))
        asking.add_done_callback(_seen)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asking), ASKS_WITHIN_S)
        return await self._one(catalogue, account)

    async def change(self, call: Call) -> Reply:
        catalogue = await self.snapshots.refresh_now()
        account, changes = _account_of(catalogue, call), call.body
        if "balance_alert_below" in changes.model_fields_set:
            below = changes.balance_alert_below
            if below is not None and (why := self.offer_of(account).why_no_balance()):
                raise bad_fields([FieldError("balance_alert_below", "unsupported", why)])
            await self.store.set_account(
                account.merchant_id, account.code, balance_alert_below=below, by=BY, now=self.clock()
            )
        after = await self.snapshots.refresh_now()
        return await self._one(after, _account_of(after, call))

    async def _one(self, catalogue: Catalogue, account: Account) -> Reply:
        known = await self._known(account.merchant_id)
        return Reply(self._shown(catalogue, account, known.get(account.code)))

    async def _known(self, merchant_id: UUID) -> dict[str, Balance]:
        return {balance.account: balance for balance in await self.balances.known(merchant_id)}

    def _shown(self, catalogue: Catalogue, account: Account, balance: Balance | None) -> dict[str, Any]:
        why = self._why_not(catalogue, account)
        return balance_object(account, why, None if why else balance, self.clock(), self.balances.every)

    def _why_not(self, catalogue: Catalogue, account: Account) -> str | None:
        if why := self.offer_of(account).why_no_balance():
            return why
        mine = (account.merchant_id, account.code)
        is_used = any(each.on for each in catalogue.channels.values() if (each.merchant_id, each.account) == mine)
        return None if is_used else "no channel of it is on"


def _account_of(catalogue: Catalogue, call: Call) -> Account:
    account = catalogue.accounts.get((merchant_of(catalogue, call).merchant_id, call.path["account"]))
    if account is None:
        raise NotInCatalogueError("account")
    return account


def _seen(asking: "asyncio.Future[None]") -> None:
    """A question that goes on after its call was answered: what became of it stands in the books."""
    if not asking.cancelled():
        asking.exception()
