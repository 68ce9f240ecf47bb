"""The accounts of the catalogue in force, each with its adapter; rebuilt when the catalogue changes."""

import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar
from uuid import UUID

from prometheus_client import Counter, Histogram

from adapters.account import account_settings
from adapters.registry import AccountError, build
from gateway.domain.catalogue import Account, Catalogue
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.terms import Product, Terms
from gateway.logs import get
from gateway.metrics import PSP_CALLS, PSP_SECONDS
from gateway.ports import (
    AccountSettings,
    Authenticate,
    Callback,
    CallbackAnswer,
    CallbackRequest,
    Pay,
    Provider,
    Query,
    QueryAuthentication,
    Transport,
)

log = get(__name__)

O = TypeVar("O", bound=Outcome | AuthenticationOutcome)  # noqa: E741 -- an outcome of either kind
Build = Callable[[AccountSettings, Transport], Provider]


class AdapterProviders:
    """Implements `ports.Providers` and `ports.TermsOf` over one transport."""

    def __init__(self, transport: Transport, callback_base: str, build_provider: Build = build) -> None:
        self._transport = transport
        self._callback_base = callback_base
        self._build = build_provider
        self._built: dict[tuple[UUID, str], tuple[Account, Provider]] = {}
        self._merchant_codes: dict[UUID, str] = {}

    def take(self, catalogue: Catalogue) -> None:
        """Build the adapters of new and changed accounts. One that cannot be built keeps its old adapter."""
        self._merchant_codes = {merchant.merchant_id: merchant.code for merchant in catalogue.merchants.values()}
        for key, account in catalogue.accounts.items():
            known = self._built.get(key)
            if known is not None and known[0] == account:
                continue
            try:
                provider = self._build(account_settings(account), self._transport)
            except AccountError as error:
                log.error("account cannot be used", account=account.code, reason=str(error))
            except Exception:
                # Whatever it is, the accounts after it are not to go without an adapter.
                log.exception("account cannot be used", account=account.code)
            else:
                self._built[key] = (account, _Measured(account.code, provider))

    def provider(self, merchant_id: UUID, account: str) -> Provider:
        """The adapter bound to an account. Raises KeyError when its settings could never be used."""
        return self._built[merchant_id, account][1]

    def terms(self, merchant_id: UUID, account: str, product: Product) -> Terms:
        """The terms of an account's product. Raises KeyError for one that its provider does not have."""
        return self.provider(merchant_id, account).declaration.terms[product]

    def longest_call_s(self) -> float:
        """The longest that one call to any PSP may take."""
        terms = (terms for _, provider in self._built.values() for terms in provider.declaration.terms.values())
        return max((each.answer_timeout_s for each in terms), default=0.0)

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks: the address carries the merchant."""
        return f"{self._callback_base}/callbacks/{self._merchant_codes[merchant_id]}.{account}"


class _Measured:
    """A provider whose calls are counted and timed by what they told."""

    def __init__(self, account: str, provider: Provider) -> None:
        self._account = account
        self._provider = provider
        self.declaration = provider.declaration

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        return await self._measure("authenticate", self._provider.authenticate(command))

    async def query_authentication(self, command: QueryAuthentication) -> AuthenticationOutcome:
        return await self._measure("query_authentication", self._provider.query_authentication(command))

    async def pay(self, command: Pay) -> Outcome:
        return await self._measure("pay", self._provider.pay(command))

    async def query(self, command: Query) -> Outcome:
        return await self._measure("query", self._provider.query(command))

    def read_callback(self, request: CallbackRequest) -> Callback:
        return self._provider.read_callback(request)

    def answer_callback(self, accepted: bool) -> CallbackAnswer:
        return self._provider.answer_callback(accepted)

    async def _measure(self, operation: str, call: Awaitable[O]) -> O:
        started = time.perf_counter()
        told = "cancelled"
        try:
            outcome = await call
            told = type(outcome).__name__
            return outcome
        finally:
            timed, counted = _call_metrics(self._account, operation, told)
            timed.observe(time.perf_counter() - started)
            counted.inc()


@cache
def _call_metrics(account: str, operation: str, outcome: str) -> tuple[Histogram, Counter]:
    return PSP_SECONDS.labels(account, operation), PSP_CALLS.labels(account, operation, outcome.lower())
