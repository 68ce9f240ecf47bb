"""PSP adapters as the flows see them: what an adapter declares, its callbacks, the port itself, and calling it.

LookupError
├── UnusableAccountError   (a KeyError) an account whose adapter could never be built
└── NoSuchCommandError     a command that the account's provider cannot do: routing must not get there
CallbackRejectedError      a callback that is not this account's PSP's word
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import UUID

from gateway.domain.carrying import Carries, Ways
from gateway.domain.intents import Verb
from gateway.domain.outcomes import AnyOutcome, BalanceOutcome, Outcome, ReturnsOutcome
from gateway.domain.payees import PayeeRules
from gateway.domain.redirects import RedirectRules
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product, Terms
from gateway.ports.commands import Authenticate, Command, Commands, SendSigningCode, Sign, command_name

__all__ = [
    "PLACE_WITHIN_S",
    "AccountSettings",
    "AssumedHere",
    "Assumption",
    "Callback",
    "CallbackAnswer",
    "CallbackReader",
    "CallbackRejectedError",
    "CallbackRequest",
    "Calls",
    "Declaration",
    "NoSuchCommandError",
    "Provider",
    "Providers",
    "TermsOf",
    "UnusableAccountError",
    "ways_of",
]

O = TypeVar("O", bound=AnyOutcome | ReturnsOutcome | BalanceOutcome)  # noqa: E741 -- an outcome of any kind

PLACE_WITHIN_S = 5.0
"""How long a call waits for its place on a full channel, unless it says otherwise."""


CARRIES = Carries()
"""Cards of every bank, in UTF-8, of people with an ID card."""


class CallbackRejectedError(Exception):
    """A callback that must not be believed: unsigned, altered, of another account, or unreadable."""


class UnusableAccountError(KeyError):
    """The account is not in the catalogue in force, or its adapter could never be built."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"account {self.account} has no adapter: it is not in the catalogue, or its settings cannot be used"


class NoSuchCommandError(LookupError):
    """A bug: the provider cannot do this, and whoever chose the account should have known."""

    def __init__(self, account: str, provider: str, kind: type[Command[Any]]) -> None:
        super().__init__(f"account {account}: {provider} has no {command_name(kind)}")
        self.account, self.kind = account, kind


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that no public source says for sure, so that an account must say that it holds (`assumed: [name]`).

    Without that word the adapter does not use it: `commands` cannot be done, `residence_permits` are not carried, or
    `statements` are not read. None of these: the account is refused.
    """

    name: str
    meaning: str
    """One sentence for the person who checks it with the PSP."""
    commands: frozenset[type[Command[Any]]] = frozenset()
    since_first_version: bool = False
    """The first version used it unasked: it is in force without the account's word, and is listed."""
    residence_permits: bool = False
    """It is about those of people from Hong Kong, Macau and Taiwan."""
    statements: bool = False
    """It is about the PSP's statements; an account that describes its own (setting `statement`) needs no word."""


@dataclass(frozen=True, slots=True)
class AssumedHere:
    """An assumption in force, and the account (`merchant.account`) that it is in force for."""

    account: str
    assumption: Assumption


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the commands of a wire protocol do not say by themselves; an account's contract may say other terms."""

    provider: str
    """The catalogue's name of the protocol: `unionpay`, `allinpay`."""
    scenes: frozenset[Scene]
    """Scenes it can pay."""
    terms: Mapping[Product, Terms]
    """Of each product that it has."""
    carries: Carries = CARRIES
    """Cards that it can say: of which banks, names in which charset, and which papers."""
    identity: frozenset[str] = field(default_factory=frozenset)
    """Names of the settings that say whose account it is, such as the merchant number: they never change."""
    assumptions: tuple[Assumption, ...] = ()
    """What of all this is not known for sure."""
    pay_sends_code: bool = False
    """The first `Pay`, without a code, is what sends the SMS where one is needed: there is no `SendPaymentCode`."""
    code_wants_agreement: bool = False
    """A payment by SMS code still needs an agreement: the card is bound first."""
    wrong_code_ends_order: bool = False
    """A wrong or expired code ends the order at the PSP: the next code needs a new number, and so a new SMS."""
    authenticated_scenes: frozenset[Scene] = frozenset()
    """Scenes that are paid by an agreement or a code alone: mode `none` would fail each time."""
    codeless_scenes: frozenset[Scene] = frozenset()
    """Scenes whose payments have no code of their own."""
    redirects: RedirectRules | None = None
    """Of the scenes that are paid on a page of the PSP's; None: it has none. Their terms are `Product.REDIRECT`."""
    payees: PayeeRules | None = None
    """Whom it can pay out to; None: it has no payouts. Their terms are `Product.PAYOUT`."""
    callback_url_chars: int | None = None
    """How long the address of callbacks may be that the PSP is told; None: longer than any of ours."""
    statements: bool = False
    """Its statements can be read. False: only what an account describes (setting `statement`), where it takes that."""


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A PSP's callback as it came, untouched."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that was verified: which order at the PSP, what was done there, and what the PSP says of it.

    `verb` tells a refund's notice from a payment's: neither can be read as the other, whatever number it carries.
    """

    number: str
    verb: Verb
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What this PSP wants to read."""

    status: int
    content_type: str
    body: bytes


class CallbackReader(Protocol):
    """The callbacks of one account."""

    def read(self, request: CallbackRequest) -> Callback:
        """Verify and read a callback. Raises CallbackRejectedError."""
        ...

    def answer(self, accepted: bool) -> CallbackAnswer:
        """The answer this PSP expects: accepted (it need not send again) or rejected."""
        ...


def ways_of(declaration: Declaration, commands: Collection[type[Command[Any]]]) -> Ways:
    """How an account can authenticate cards: by what its adapter can do for it."""
    return Ways(
        silent=Authenticate in commands,
        signs=SendSigningCode in commands and Sign in commands,
        by_pay=declaration.pay_sends_code,
        code_wants_agreement=declaration.code_wants_agreement,
        ends_order=declaration.wrong_code_ends_order,
        authenticated_scenes=declaration.authenticated_scenes,
        codeless_scenes=declaration.codeless_scenes,
    )


class Provider(Protocol):
    """A PSP adapter, bound to one account. Reads and writes the wire; keeps nothing, decides nothing.

    Its functions never raise for what a PSP or the network does: that is what the outcomes are for.
    """

    @property
    def declaration(self) -> Declaration:
        """Under what the account's contract says otherwise."""
        ...

    @property
    def commands(self) -> Commands:
        """What it can do."""
        ...

    @property
    def callbacks(self) -> CallbackReader | None:
        """None: this PSP sends none."""
        ...


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """A merchant's contract with a provider, as an adapter reads it when it is built.

    `settings` are addresses and merchant numbers, checked by the adapter; `secrets` are keys and passwords by name.
    """

    code: str
    provider: str
    settings: Mapping[str, object]
    secrets: Mapping[str, str] = field(repr=False)
    terms: Mapping[Product, OwnTerms] = field(default_factory=dict)
    """What its contract says otherwise."""


class TermsOf(Protocol):
    """The terms of an account's product: what its adapter declares, under what its contract says otherwise."""

    def __call__(self, merchant_id: UUID, account: str, product: Product) -> Terms: ...


class Providers(Protocol):
    """The accounts of the catalogue in force, each with its adapter."""

    def provider(self, merchant_id: UUID, account: str) -> Provider:
        """The adapter bound to an account. Raises UnusableAccountError."""
        ...

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks."""
        ...


class Calls(Protocol):
    """The one place that calls providers: it measures, keeps each channel's places, and guards the requests."""

    async def __call__(
        self,
        merchant_id: UUID,
        channel: str,
        account: str,
        command: Command[O],
        within_s: float = PLACE_WITHIN_S,
        holder: UUID | None = None,
    ) -> O:
        """Give the command to the account's adapter and answer with its outcome.

        A full channel lets it wait for its place no longer than `within_s`; then it is `NotSent(ours=True)`. What
        `holder` has a place for needs no other (`ports.Rooms`); questions have places of their own.
        An adapter that raises or sends too often is `Unknown`. Raises UnusableAccountError, NoSuchCommandError.
        """
        ...
