"""Reading an account's settings and secrets when its adapter is built: every complaint names account and field."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import time
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.signing import SigningError, load_certificate, load_private_key, load_public_key
from gateway.domain.catalogue import Account
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.failures import FailureCode
from gateway.domain.statements import StatementRules
from gateway.domain.terms import Product
from gateway.ports import AccountSettings, Assumption, Command, Declaration, Table

__all__ = [
    "AccountError",
    "account_settings",
    "allowed",
    "assumed",
    "assumptions_in_force",
    "base_url",
    "certificate",
    "declared",
    "more_declines",
    "private_key",
    "public_key",
    "secret",
    "setting",
    "statement_rules",
    "withheld",
    "withheld_from_statements",
]


class AccountError(ValueError):
    """An account cannot be used: which account, which field, and what is wrong; never the field's content."""

    def __init__(self, account: AccountSettings, field: str, problem: str) -> None:
        super().__init__(f"account {account.code}: {field} {problem}")
        self.account, self.field, self.problem = account.code, field, problem


def account_settings(account: Account | AccountContent) -> AccountSettings:
    """An account as its adapter reads it."""
    return AccountSettings(account.code, account.provider, account.settings, account.secrets, account.terms)


def setting(account: AccountSettings, name: str, default: str | None = None) -> str:
    """A text setting; without a default it must be there."""
    value = account.settings.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise AccountError(account, name, "is missing" if value is None else "must be text")
    return value.strip()


def base_url(account: AccountSettings, name: str = "base_url") -> str:
    """An http(s) address without its last slash."""
    value = setting(account, name)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise AccountError(account, name, "must be an http(s) address without a query")
    return value.rstrip("/")


def secret(account: AccountSettings, name: str) -> str:
    """A secret by name."""
    value = account.secrets.get(name)
    if not value or not value.strip():
        raise AccountError(account, name, "is missing")
    return value


def private_key(account: AccountSettings, name: str) -> rsa.RSAPrivateKey:
    """A secret that is an RSA private key."""
    try:
        return load_private_key(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def public_key(account: AccountSettings, name: str) -> rsa.RSAPublicKey:
    """A secret that is an RSA public key or a certificate."""
    try:
        return load_public_key(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def certificate(account: AccountSettings, name: str) -> x509.Certificate:
    """A secret that is a certificate."""
    try:
        return load_certificate(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def statement_rules(account: AccountSettings, own: StatementRules) -> StatementRules:
    """The rules of its statements: `day_cut` and `statement_ready_at` (HH:MM) where the contract says otherwise."""
    day_cut, ready_at = _clock_time(account, "day_cut"), _clock_time(account, "statement_ready_at")
    return replace(
        own,
        day_cut=own.day_cut if day_cut is None else day_cut,
        ready_at=own.ready_at if ready_at is None else ready_at,
    )


def _clock_time(account: AccountSettings, name: str) -> time | None:
    value = account.settings.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise AccountError(account, name, "must be a time of day in Beijing, such as 23:50")
    return time.fromisoformat(value)


def more_declines(
    account: AccountSettings, code: str, words: str, never: Collection[str] = (), field: str = "declines"
) -> dict[str, FailureCode]:
    """The account's `declines`: more codes of refusals, of this form (a regular expression, in `words`).

    `never`: codes that mean something else, whatever the account says. `field`: `payout_declines` says it of payouts,
    where the same code may mean another thing. Raises AccountError.
    """
    told, form = account.settings.get(field, {}), re.compile(code)
    if not isinstance(told, Mapping):
        raise AccountError(account, field, "must be codes with their failure codes")
    for said, failure in told.items():
        if not form.fullmatch(str(said)) or str(said) in never or str(failure) not in set(FailureCode):
            raise AccountError(account, field, f"must be {words} with failure codes of ours")
    return {str(said): FailureCode(str(failure)) for said, failure in told.items()}


def declared(account: AccountSettings, declaration: Declaration) -> Declaration:
    """The adapter's declaration under what the account's contract says otherwise, and what it may not assume."""
    terms = dict(declaration.terms)
    for product, own in account.terms.items():
        if product not in terms:
            raise AccountError(account, f"terms.{product}", f"is not a product of {declaration.provider}")
        terms[product] = own.over(terms[product])
        if own.grace_s is not None and (product is not Product.REDIRECT or declaration.redirects is None):
            raise AccountError(account, f"terms.{product}.grace_s", "is of payments on a page alone (terms.redirect)")
    of_pages, redirects = account.terms.get(Product.REDIRECT), declaration.redirects
    if redirects is not None and of_pages is not None and of_pages.grace_s is not None:
        redirects = replace(redirects, grace_s=of_pages.grace_s)
    in_force = assumptions_in_force(account, declaration)
    lacks_permits = any(each.residence_permits and each not in in_force for each in declaration.assumptions)
    carries = replace(declaration.carries, residence_permits=False) if lacks_permits else declaration.carries
    return replace(declaration, terms=terms, carries=carries, redirects=redirects)


def assumed(account: AccountSettings, declaration: Declaration) -> frozenset[str]:
    """The assumptions in force: those that the account names, and those that the first version used unasked.

    Raises AccountError for a name that means nothing here, and where nothing can be done without an assumption.
    """
    named = account.settings.get("assumed", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise AccountError(account, "assumed", "must be a list of names")
    known = {each.name: each for each in declaration.assumptions}
    for name in named:
        if name not in known:
            raise AccountError(account, "assumed", f"has {name!r}; {_names(known)}")
    names = frozenset(each.name for each in assumptions_in_force(account, declaration))
    for each in known.values():
        if not (each.commands or each.residence_permits or each.statements) and each.name not in names:
            raise AccountError(account, "assumed", f"must name {each.name!r} first: {each.meaning}")
    return names


def assumptions_in_force(account: AccountSettings, declaration: Declaration) -> tuple[Assumption, ...]:
    """The same, whole, of any account: names that mean nothing are passed over."""
    named = account.settings.get("assumed")
    said = named if isinstance(named, list) else ()
    return tuple(each for each in declaration.assumptions if each.since_first_version or each.name in said)


def allowed(account: AccountSettings, declaration: Declaration, table: Table) -> Table:
    """The commands that the account's assumptions allow. Raises AccountError."""
    assumed(account, declaration)
    without = withheld(account, declaration, table)
    return {kind: function for kind, function in table.items() if kind not in without}


def withheld(
    account: AccountSettings, declaration: Declaration, table: Table
) -> dict[type[Command[Any]], tuple[Assumption, ...]]:
    """The commands that the account's assumptions do not allow, each with those that it lacks."""
    in_force = assumptions_in_force(account, declaration)
    lacking = [each for each in declaration.assumptions if each not in in_force]
    found = {kind: tuple(each for each in lacking if kind in each.commands) for kind in table}
    return {kind: assumptions for kind, assumptions in found.items() if assumptions}


def withheld_from_statements(account: AccountSettings, declaration: Declaration) -> tuple[Assumption, ...]:
    """The assumptions that the account lacks, so that its PSP's statements are not read; none: they may be.

    What the account itself says of its statements (setting `statement`) rests on no assumption of ours.
    """
    if account.settings.get("statement") is not None:
        return ()
    in_force = assumptions_in_force(account, declaration)
    return tuple(each for each in declaration.assumptions if each.statements and each not in in_force)


def _names(known: Collection[str]) -> str:
    return f"known are {', '.join(sorted(known))}" if known else "nothing is assumed here"
