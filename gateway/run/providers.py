"""The accounts of the catalogue in force, each with its adapter; rebuilt when the catalogue changes."""

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final
from uuid import UUID

from adapters.account import account_settings, assumptions_in_force
from adapters.registry import AccountError, assumptions_of, build, why_no_statements
from gateway.domain.callback_names import short_name
from gateway.domain.carrying import Carries, carries_all
from gateway.domain.catalogue import Account, Catalogue
from gateway.domain.statements import StatementRules
from gateway.domain.terms import Product, Terms
from gateway.logs import get
from gateway.objects.catalogue import AccountNotes
from gateway.ports import (
    PLACE_WITHIN_S,
    AccountSettings,
    AssumedHere,
    Provider,
    Transport,
    UnusableAccountError,
    ways_of,
)
from gateway.ports.statements import statements_of

__all__ = ["NOTES", "AdapterProviders"]

log = get(__name__)

Build = Callable[[AccountSettings, Transport], Provider]

NOTES: Final = AccountNotes(assumptions_of, why_no_statements)
"""What is shown of accounts."""
TRY_AGAIN_S: Final = 10.0
"""An account that cannot be used is tried again by whoever needs it: a certificate may have become valid meanwhile."""


class AdapterProviders:
    """Implements `ports.Providers` and `ports.TermsOf` over one transport. `clock` tells seconds."""

    def __init__(
        self,
        transport: Transport,
        callback_base: str,
        build_provider: Build = build,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._callback_base = callback_base
        self._build = build_provider
        self._clock = clock
        self._built: dict[tuple[UUID, str], tuple[Account, Provider]] = {}
        self._carries: dict[tuple[UUID, str], Carries] = {}
        self._refused: dict[tuple[UUID, str], tuple[Account, str]] = {}
        """Accounts as they stand in the catalogue that cannot be built, and why."""
        self._unusable: dict[UUID, frozenset[str]] = {}
        self._tried_at = 0.0
        self._merchant_codes: dict[UUID, str] = {}

    def take(self, catalogue: Catalogue) -> None:
        """Build the adapters of new and changed accounts. One that cannot be built keeps its old adapter."""
        self._merchant_codes = {merchant.merchant_id: merchant.code for merchant in catalogue.merchants.values()}
        before, self._refused = self._refused, {}
        for key, account in catalogue.accounts.items():
            known = self._built.get(key)
            if known is None or known[0] != account:
                self._try(key, account, before.get(key))
        self._count()

    def unusable(self, merchant_id: UUID) -> Collection[str]:
        """The merchant's accounts without an adapter: nothing can be sent there now."""
        if self._refused:
            self._try_again()
        return self._unusable.get(merchant_id, ())

    def cannot_be_built(self) -> list[str]:
        """As `merchant.account`: accounts whose settings cannot be used, with those that go on by their old ones."""
        self._try_again()
        return sorted(f"{self._merchant_codes[merchant_id]}.{code}" for merchant_id, code in self._refused)

    def assumptions(self) -> list[AssumedHere]:
        """What is assumed without a public source, of every account, by the settings that it is used with."""
        return [
            AssumedHere(f"{self._merchant_codes[merchant_id]}.{code}", assumption)
            for (merchant_id, code), (account, provider) in sorted(self._built.items())
            for assumption in assumptions_in_force(account_settings(account), provider.declaration)
        ]

    def _try_again(self) -> None:
        if self._refused and self._clock() - self._tried_at >= TRY_AGAIN_S:
            before, self._refused = self._refused, {}
            for key, (account, why) in before.items():
                self._try(key, account, (account, why))
            self._count()

    def _try(self, key: tuple[UUID, str], account: Account, before: tuple[Account, str] | None) -> None:
        """Build its adapter. What stands in the way is said once."""
        try:
            provider = self._build(account_settings(account), self._transport)
            self._check_address(key, account, provider)
            self._built[key] = (account, provider)
            declared = provider.declaration
            self._carries[key] = replace(declared.carries, ways=ways_of(declared, provider.commands.keys()))
        except AccountError as error:
            why, bug = str(error), None
        except Exception as error:  # noqa: BLE001 -- whatever it is, the accounts after it are not to go without an adapter
            why, bug = type(error).__name__, error
        else:
            if before is not None:
                log.info("account can be used again", account=account.code)
            return
        self._refused[key] = (account, why)
        if before != (account, why):
            log.error("account cannot be used", account=account.code, reason=why, exc_info=bug)

    def _check_address(self, key: tuple[UUID, str], account: Account, provider: Provider) -> None:
        """What its PSP cannot be told would never be called. Raises AccountError."""
        most, has = provider.declaration.callback_url_chars, len(self._short_url(*key))
        if most is not None and has > most:
            why = f"have an address of {has} characters and {account.provider} takes {most}: shorten SLUICE_PUBLIC_URL"
            raise AccountError(account_settings(account), "callbacks", why)

    def _count(self) -> None:
        self._tried_at = self._clock()
        missing = [key for key in self._refused if key not in self._built]
        self._unusable = {
            merchant_id: frozenset(code for merchant, code in missing if merchant == merchant_id)
            for merchant_id, _ in missing
        }

    def provider(self, merchant_id: UUID, account: str) -> Provider:
        """The adapter bound to an account. Raises UnusableAccountError when its settings could never be used."""
        built = self._built.get((merchant_id, account))
        if built is None:
            raise UnusableAccountError(account)
        return built[1]

    def terms(self, merchant_id: UUID, account: str, product: Product) -> Terms:
        """The terms of an account's product. Raises KeyError for one that its provider does not have."""
        declaration = self.provider(merchant_id, account).declaration
        terms = declaration.terms[product]
        return replace(terms, page=declaration.redirects) if product is Product.REDIRECT else terms

    def carries(self, merchant_id: UUID, account: str) -> Carries:
        """What an account's provider carries; of one that cannot be used nothing is known."""
        return self._carries.get((merchant_id, account)) or carries_all(merchant_id, account)

    def statement_rules(self, merchant_id: UUID, account: str) -> StatementRules | None:
        """How an account's statements come; None: it reads none."""
        built = self._built.get((merchant_id, account))
        statements = statements_of(built[1]) if built is not None else None
        return None if statements is None else statements.rules

    def longest_call_s(self) -> float:
        """The longest that one call to any PSP may take, the wait for its place on a full channel included."""
        terms = (terms for _, provider in self._built.values() for terms in provider.declaration.terms.values())
        return max((each.answer_timeout_s for each in terms), default=0.0) + PLACE_WITHIN_S

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks: the address carries the merchant. Short where its field is."""
        url = f"{self._callback_base}/callbacks/{self._merchant_codes[merchant_id]}.{account}"
        built = self._built.get((merchant_id, account))
        most = built[1].declaration.callback_url_chars if built else None
        return url if most is None or len(url) <= most else self._short_url(merchant_id, account)

    def _short_url(self, merchant_id: UUID, account: str) -> str:
        return f"{self._callback_base}/c/{short_name(self._merchant_codes[merchant_id], account)}"
