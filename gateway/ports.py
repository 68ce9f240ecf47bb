"""What the flows need from outside: PSP adapters (`Provider`), the wire (`Transport`), the books (`Store`).

TransportError            nothing readable came back
├── NotSentError          the connection was never made
└── AnswerLostError       sent, or perhaps sent; the answer is lost, late, cut or too big
CallbackRejectedError     a callback that is not this account's PSP's word
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import httpx

from gateway.domain.cards import Card, CardElements
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.payments import Payment, Status
from gateway.domain.scenes import Scene
from gateway.domain.transitions import Pace, Source
from router.facts import ChannelFacts


class TransportError(Exception):
    """Nothing readable came back. The message names the cause and never a URL's query, a body or a secret."""


class NotSentError(TransportError):
    """The connection was never made: name resolution, refusal, or TLS failed before the request."""


class AnswerLostError(TransportError):
    """The request was sent, or perhaps sent, and no whole answer was read."""


class CallbackRejectedError(Exception):
    """A callback that must not be believed: unsigned, altered, of another account, or unreadable."""


class Transport(Protocol):
    """One HTTP exchange. The request must carry explicit timeouts in `extensions["timeout"]`."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Send and read the whole answer (any status). Raises NotSentError or AnswerLostError."""
        ...


@dataclass(frozen=True, slots=True)
class NotFoundRule:
    """When "not found" answers prove that the PSP never received the order.

    At least `answers` of them, the last at least `over_s` seconds after the first and after the submission.
    """

    answers: int
    over_s: float


@dataclass(frozen=True, slots=True)
class PollPlan:
    """Seconds between queries: the gaps in turn, then the last one for ever."""

    gaps_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one wire protocol can do, said by its adapter; an account's settings may override plan and rule."""

    provider: str
    """The catalogue's name of the protocol: `unionpay`, `allinpay`."""
    scenes: frozenset[Scene]
    """Scenes it can pay."""
    has_callbacks: bool
    poll_plan: PollPlan
    not_found: NotFoundRule
    answer_timeout_s: float
    """How long a call may take, from the first byte sent to the last byte read."""
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


class PaceOf(Protocol):
    """How an account is asked about its attempts: the adapter's declaration under the account's own settings."""

    def __call__(self, merchant_id: UUID, account: str) -> Pace: ...


# --- the books, as the flows and the API see them (implemented by gateway.storage) ---


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to an order: the payment as it is now, and whether it was there before."""

    payment: Payment
    replayed: bool


@dataclass(frozen=True, slots=True)
class OpenResult:
    """An order's payment: new, with what its bearer needs to go on, or the one that was there before."""

    payment: Payment
    replayed: bool
    agreement_no: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PaymentKey:
    """Whose payment it is: what a fact about it must name."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """What a PSP said of a payment. `fact_id` names it, and the event or anomaly that it may turn out to be."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str
    source: Source
    outcome: Outcome
    at: datetime
    fact_id: UUID


@dataclass(frozen=True, slots=True)
class AuthenticationFact:
    """What a PSP said of the authentication that goes before a payment."""

    merchant_id: UUID
    payment_id: UUID
    user_id: str
    source: Source
    outcome: AuthenticationOutcome
    at: datetime
    fact_id: UUID


Fact = PaymentFact | AuthenticationFact


@dataclass(frozen=True, slots=True)
class Recorded:
    """The payment after a fact. `submit`: this fact recorded the intent to pay, so its bearer must send it now."""

    payment: Payment
    submit: bool


class Accounts(Protocol):
    """The accounts of the catalogue in force, each with its adapter."""

    def provider(self, merchant_id: UUID, account: str) -> Provider:
        """The adapter bound to an account."""
        ...

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks."""
        ...


class Recording(Protocol):
    """Where facts go. Returns after the commit."""

    async def record(self, fact: Fact) -> Recorded: ...


class OrderConflictError(Exception):
    """The order number was used before with other content."""


class OverloadedError(Exception):
    """Too much is waiting, or the database is away. `retry_after_s` tells when to come back, with the same order.

    Where too much waited nothing was recorded; where the database went away, the same order finds out.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"overloaded, retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card of a user with its elements decrypted."""

    card: Card
    elements: CardElements


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """A search of an app's payments, newest first. `before` is the last id of the page before."""

    merchant_order_no: str | None = None
    user_id: str | None = None
    status: Status | None = None
    channel: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    before: UUID | None = None
    limit: int = 50


class Reading(Protocol):
    """What the API reads. Everything is of one merchant and one app: another's object is None (404)."""

    async def payment(self, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None: ...

    async def payments(self, merchant_id: UUID, app: str, wanted: PaymentFilter) -> list[Payment]: ...

    async def decision(self, merchant_id: UUID, app: str, payment_id: UUID) -> dict[str, Any] | None:
        """The stored decision record (`router.record`), or None when there is no such payment."""
        ...

    async def timeline(self, merchant_id: UUID, app: str, payment_id: UUID) -> list[dict[str, Any]] | None:
        """Everything that happened to a payment, oldest first: `{at, what, ...}`."""
        ...

    async def events(
        self,
        merchant_id: UUID,
        app: str,
        *,
        object_id: str | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Events of the app, newest first, each with its body and the state of its deliveries."""
        ...

    async def redeliver(self, merchant_id: UUID, app: str, event_id: UUID, now: datetime) -> int | None:
        """Make every delivery of an event due now, whatever its state; how many, or None: no such event."""
        ...

    async def facts(
        self, merchant_id: UUID, user_id: str, card: CardElements | None, card_id: UUID | None, now: datetime
    ) -> "UserFacts":
        """What the router knows of a user now; locks nothing."""
        ...


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What is known of a user before routing: facts per channel, agreements per account (number by account code)."""

    channels: Mapping[str, ChannelFacts] = field(default_factory=dict)
    agreements: Mapping[str, str] = field(default_factory=dict, repr=False)
    verified_by: frozenset[str] = frozenset()
    """Accounts that have ever verified the card."""
