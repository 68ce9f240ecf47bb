"""PSP adapters as the flows see them: commands, what an adapter declares, callbacks, and the port itself.

CallbackRejectedError     a callback that is not this account's PSP's word
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product, Terms

__all__ = [
    "AccountSettings",
    "Authenticate",
    "Callback",
    "CallbackAnswer",
    "CallbackRejectedError",
    "CallbackRequest",
    "Declaration",
    "Pay",
    "Provider",
    "Providers",
    "Query",
    "QueryAuthentication",
    "TermsOf",
]


class CallbackRejectedError(Exception):
    """A callback that must not be believed: unsigned, altered, of another account, or unreadable."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one wire protocol can do, said by its adapter; an account's contract may say other terms."""

    provider: str
    """The catalogue's name of the protocol: `unionpay`, `allinpay`."""
    scenes: frozenset[Scene]
    """Scenes it can pay."""
    has_callbacks: bool
    terms: Mapping[Product, Terms]
    """Of each product that it has."""
    authenticates_silently: bool
    identity: frozenset[str] = field(default_factory=frozenset)
    """Names of the settings that say whose account it is, such as the merchant number: they never change."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Bind a card to an account without the user (静默鉴权). `number` is 32 hex digits, new for every try."""

    number: str
    submitted_at: datetime
    bank: str
    card: CardElements
    notify_url: str


@dataclass(frozen=True, slots=True)
class QueryAuthentication:
    """Ask what became of an `Authenticate` whose answer was lost: same number, time and card."""

    number: str
    submitted_at: datetime
    bank: str
    card: CardElements


@dataclass(frozen=True, slots=True)
class Pay:
    """Submit an attempt once. `number` is the attempt's 32 hex digits, the order number at the PSP."""

    number: str
    submitted_at: datetime
    scene: Scene
    amount: int
    bank: str
    card: CardElements
    agreement_no: str | None
    user_id: str
    description: str
    notify_url: str

    def __repr__(self) -> str:
        return f"Pay({self.number}, {self.scene}, {self.amount})"


@dataclass(frozen=True, slots=True)
class Query:
    """Ask what became of an attempt: the same number and submission time as it was sent with.

    `tries` is how many times it was asked before, for protocols whose queries carry a number of their own.
    """

    number: str
    submitted_at: datetime
    scene: Scene
    amount: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A PSP's callback as it came, untouched."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that was verified: which attempt (our 32 hex digits) and what the PSP says of it."""

    number: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What this PSP wants to read."""

    status: int
    content_type: str
    body: bytes


class Provider(Protocol):
    """A PSP adapter, bound to one account. Reads and writes the wire; keeps nothing, decides nothing.

    Its calls never raise for what a PSP or the network does: that is what the outcomes are for.
    """

    declaration: Declaration

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        """Bind the card silently. Exactly one request."""
        ...

    async def query_authentication(self, command: QueryAuthentication) -> AuthenticationOutcome:
        """Ask for the binding; NotFound when the PSP knows none."""
        ...

    async def pay(self, command: Pay) -> Outcome:
        """Submit the attempt. Exactly one request."""
        ...

    async def query(self, command: Query) -> Outcome:
        """Ask for the attempt's state; NotFound when the PSP has no such order."""
        ...

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Verify and read a callback. Raises CallbackRejectedError."""
        ...

    def answer_callback(self, accepted: bool) -> CallbackAnswer:
        """The answer this PSP expects: accepted (it need not send again) or rejected."""
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
        """The adapter bound to an account."""
        ...

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks."""
        ...
