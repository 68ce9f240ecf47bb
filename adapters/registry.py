"""The adapters by name: the one place that a new protocol is entered."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Final, Protocol, cast

from adapters.account import (
    AccountError,
    account_settings,
    assumed,
    assumptions_in_force,
    withheld,
    withheld_from_statements,
)
from gateway.domain.catalogue import Account
from gateway.domain.catalogue_content import AccountContent
from gateway.ports import AccountSettings, Assumption, Declaration, Offer, Provider, Table, Transport

__all__ = [
    "PROVIDERS",
    "AccountError",
    "ProviderClass",
    "assumptions_of",
    "build",
    "offer_for",
    "offer_of",
    "why_no_statements",
]

Clock = Callable[[], datetime]


class ProviderClass(Protocol):
    """How every adapter is built: bound to one account, and to the clock for certificates' validity alone."""

    DECLARATION: Declaration
    COMMANDS: Table

    def __call__(self, account: AccountSettings, transport: Transport, clock: Clock, /) -> Provider:
        """Check the account and bind to it. Raises AccountError."""
        ...


NAMES: Final = (
    "unionpay",
    "allinpay",
    "baofoo",
    "cpcn",
    "jd",
    "lanmao",
    "lianlian",
    "yeepay",
)
"""One line for each protocol: the folder of this package, whose `__all__` is the adapter's class alone."""


def _class_of(name: str) -> ProviderClass:
    module = import_module(f"adapters.{name}")
    [exported] = module.__all__
    return cast("ProviderClass", getattr(module, exported))


PROVIDERS: Final[dict[str, ProviderClass]] = {name: _class_of(name) for name in NAMES}


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


def build(account: AccountSettings, transport: Transport, clock: Clock = utc_now) -> Provider:
    """The adapter of an account. Raises AccountError naming the account and the field."""
    provider = PROVIDERS.get(account.provider)
    if provider is None:
        raise AccountError(account, "provider", f"is not one of {', '.join(sorted(PROVIDERS))}")
    assumed(account, provider.DECLARATION)
    return provider(account, transport, clock)


def offer_of(provider_name: str) -> Offer:
    """What a protocol can do, without an account. Raises KeyError for an unknown name."""
    provider = PROVIDERS[provider_name]
    return Offer(provider.DECLARATION, frozenset(provider.COMMANDS))


def offer_for(account: Account | AccountContent) -> Offer:
    """What its protocol can do for an account, by the assumptions that it takes. Raises KeyError as `offer_of`."""
    provider = PROVIDERS[account.provider]
    settings, declaration = account_settings(account), provider.DECLARATION
    lacking = withheld(settings, declaration, provider.COMMANDS)
    commands = frozenset(provider.COMMANDS) - lacking.keys()
    stated = withheld_from_statements(settings, declaration)
    return Offer(declaration, commands, lacking, stated, settings.settings.get("statement") is not None)


def why_no_statements(account: Account | AccountContent) -> str | None:
    """Why no statements of an account are read; None: they are, or its protocol is not known here."""
    return offer_for(account).why_no_statements() if account.provider in PROVIDERS else None


def assumptions_of(account: Account | AccountContent) -> tuple[Assumption, ...]:
    """The assumptions that an account is used with; of a protocol that is not known here, none."""
    provider = PROVIDERS.get(account.provider)
    return assumptions_in_force(account_settings(account), provider.DECLARATION) if provider else ()
