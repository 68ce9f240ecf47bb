"""The books as the flows and the API see them; `gateway.storage` implements them.

CheckoutRefusedError      a try of a checkout may not begin now
CardInUseError            a payment or an authentication of the card is open
CardNotFoundError         the card that a new order names is not a card of its user
OrderConflictError        the order number was used before with other content
PaymentNotRefundableError nothing of the payment can go back now
SendBeforeError           an order is to be sent before a time that is past, or not of its business day
AmountExceedsRestError    more was to leave a payment than it has left
OverloadedError           too much is waiting
├── ClockOffError         this process does not know that its clock is right
└── DatabaseAwayError     the database is away, or lets everybody wait too long
SearchCutError            a search took longer than it may
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.blocks import BlockKind
from gateway.domain.cards import Card, CardElements
from gateway.domain.checkouts import Checkout, TryRefusal
from gateway.domain.codes import ClosedReason
from gateway.domain.events import RecordedEvent, Redelivered
from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, Verb
from gateway.domain.outcomes import AnyOutcome
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.domain.timeline import TimelinePage, TimelinePosition
from router.facts import ChannelFacts

__all__ = [
    "ActRefusal",
    "AfterAsking",
    "AmountExceedsRestError",
    "CardInUseError",
    "CardNotFoundError",
    "CheckoutRefusedError",
    "CheckoutResult",
    "ClockOffError",
    "DatabaseAwayError",
    "Found",
    "GoOn",
    "IntentKey",
    "Observation",
    "OpenResult",
    "OrderConflictError",
    "OverloadedError",
    "PayerAct",
    "PaymentFilter",
    "PaymentNotRefundableError",
    "Reading",
    "Recorded",
    "Recording",
    "Reference",
    "RefundResult",
    "SearchCutError",
    "SendBeforeError",
    "ShownCard",
    "StoredCard",
    "UserFacts",
    "Wish",
]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenResult:
    """The payment that an order opened: new, or the one that was there before (`replayed`), as it is now.

    The rest is what the one who submits a new payment needs beside it: the agreement of its card, or the
    authentication that it started and that goes first.
    """

    payment: Payment
    replayed: bool
    agreement_no: str | None = field(default=None, repr=False)
    authentication: Authentication | None = None
    sms: Intent | None = None
    """The SMS that was asked for: to sign the card of `authentication`, else to pay."""


@dataclass(frozen=True, slots=True)
class CheckoutResult:
    """The checkout that an order opened, new or `replayed`, with its tries, oldest first."""

    checkout: Checkout
    tries: Sequence[Payment | Authentication]
    replayed: bool


@dataclass(frozen=True, slots=True)
class RefundResult:
    """The refund that an order opened: new, or the one that was there before (`replayed`), as it is now.

    `payment`: the one whose money goes back, for the one who submits a new refund.
    """

    refund: Refund
    replayed: bool
    payment: Payment | None = None


@dataclass(frozen=True, slots=True)
class IntentKey:
    """Whose intent it is: what an observation of it must name. `ordinal`: which of them; None: the newest."""

    merchant_id: UUID
    user_id: str
    object_id: UUID
    verb: Verb
    ordinal: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a PSP said of an intent. What it causes has ids that are made from `observation_id`.

    `note`: who has the PSP's word, and where it stands, when a person says it (source `operator`). `phone`: masked, the
    payer's, by whoever has the card in hand: an SMS may have to be asked for. `asked_at`: when the question was asked
    that it answers.
    """

    intent: IntentKey
    source: Source
    outcome: AnyOutcome
    at: datetime
    observation_id: UUID
    note: str | None = None
    phone: str | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GoOn:
    """A payment that waited is to go on: after an authentication, or on a place of its channel.

    Its intent to pay is recorded, if the card is bound; else, of one that stood in line, that of its authentication, or
    of the SMS that its payer needs.
    `intent_id` is drawn by the one who asks, and only they send the intent that has it.
    """

    merchant_id: UUID
    user_id: str
    payment_id: UUID
    intent_id: UUID
    at: datetime
    authentication_id: UUID | None = None
    """Of the authentication that it starts, if it needs one. Only whoever has a place for it asks for one."""
    phone: str = ""
    """The payer's, masked: an SMS may have to be asked for."""


class Wish(StrEnum):
    """What is wanted of a payment or an authentication that waits for its payer."""

    CONFIRM = "confirm"  # a code was typed
    RESEND = "resend"
    CLOSE = "close"
    EXPIRE = "expire"  # its time is over


class AfterAsking(StrEnum):
    """What a PSP said that was asked about an order before it is given up."""

    REFUSED = "refused"  # nothing was paid, and nothing will be
    NOT_FOUND = "not_found"  # by a clock that is right: a proof by the account's terms alone
    NOTHING = "nothing"  # that would prove anything


@dataclass(frozen=True, slots=True)
class PayerAct:
    """Something is done about what waits for its payer. The code itself never gets here.

    `intent_id` is drawn by the one who acts: only they send what is recorded with it.
    """

    merchant_id: UUID
    user_id: str
    object: ObjectKind
    object_id: UUID
    wish: Wish
    intent_id: UUID
    at: datetime
    reason: ClosedReason = ClosedReason.BY_APP
    """Of `close`."""
    said: "AfterAsking | None" = None
    """What the PSP said, of `close` and `expire`. None: it was not asked."""


class ActRefusal(StrEnum):
    """Why a wish is not granted, in the words of the API."""

    CONFIRMATION_IN_PROGRESS = "confirmation_in_progress"
    SMS_IN_PROGRESS = "sms_in_progress"
    RESEND_TOO_SOON = "resend_too_soon"
    NO_RESENDS_LEFT = "no_resends_left"
    SMS_LIMIT_REACHED = "sms_limit_reached"
    NOT_WAITING = "not_waiting"
    MAY_BE_PAID = "may_be_paid"
    NEW_SMS_NEEDED = "new_sms_needed"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An object after an observation: the one whose intent it was.

    `payment` is it, when it is one; of an authentication it is the payment that started it. `submit`: the intent to
    pay of that payment was recorded now, so the bearer of the observation must send it, with `agreement_no`; of an
    authentication that is open it is that one's own intent. `sms`: an SMS was asked for now, for `object` or its
    payment, and the bearer must have it sent.

    After a `PayerAct`: `refused` says why nothing was done, `wait_s` how long to wait then, `ask` that the PSP is to be
    asked first, by the one who acts; `code`: the intent that submits the code; `continuation`: what the newest SMS gave
    to go on with; `authentication`: whose it is.
    """

    object: Payment | Authentication | Refund | Payout
    payment: Payment | None = None
    submit: bool = False
    agreement_no: str | None = field(default=None, repr=False)
    sms: Intent | None = None
    code: Intent | None = None
    continuation: str | None = field(default=None, repr=False)
    authentication: Authentication | None = None
    refused: ActRefusal | None = None
    wait_s: int = 0
    ask: bool = False


class Recording(Protocol):
    """Where observations go. Returns after the commit."""

    async def record(self, observation: Observation) -> Recorded: ...

    async def go_on(self, waiting: GoOn) -> Recorded: ...

    async def act(self, act: PayerAct) -> Recorded: ...


class CardInUseError(Exception):
    """A payment or an authentication of the card is open, so it cannot be given up now."""


class CardNotFoundError(Exception):
    """The card that a new order names is not, or no longer, a card of its user."""


class CheckoutRefusedError(Exception):
    """A payer may not try (again) to pay a checkout now, or to sign a card. Nothing was recorded."""

    def __init__(self, why: TryRefusal) -> None:
        super().__init__(why)
        self.why = why


class OrderConflictError(Exception):
    """The order number was used before with other content."""


class PaymentNotRefundableError(Exception):
    """Nothing of a payment can go back now. `code` tells why, in the words of the API."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class AmountExceedsRestError(Exception):
    """More was to leave a payment than it has left, in fen. Nothing was recorded."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} fen are left")
        self.left = left


class SendBeforeError(Exception):
    """An order is to be sent before a time that is past, or later than its business day ends. Nothing was recorded."""

    def __init__(self, day_ends_at: datetime) -> None:
        super().__init__(f"not between now and {day_ends_at}")
        self.day_ends_at = day_ends_at


class OverloadedError(Exception):
    """Too much is waiting. `retry_after_s` tells when to come back, with the same order; nothing was recorded."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"overloaded, retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ClockOffError(OverloadedError):
    """This process does not know that its clock is right, so it takes nothing. Nothing was recorded."""


class DatabaseAwayError(OverloadedError):
    """The database is away or busy. Whether an order was recorded is not known: sent again, it finds out."""


class SearchCutError(Exception):
    """A search took longer than it may: it must be narrowed, or asked for again at a quieter time."""


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card of a user with its elements decrypted."""

    card: Card
    elements: CardElements


@dataclass(frozen=True, slots=True)
class ShownCard:
    """A card of a user, without its elements. `accounts`: those that have a live agreement with it."""

    card_id: UUID
    user_id: str
    masked: str
    bank: str
    created_at: datetime
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgreementView:
    """An agreement as operators see it: without its number."""

    account: str
    status: str
    verified_at: datetime
    voided_at: datetime | None


@dataclass(frozen=True, slots=True)
class CardView:
    """A card as operators see it, with all its agreements."""

    card_id: UUID
    masked: str
    bank: str
    created_at: datetime
    hidden_at: datetime | None
    erased_at: datetime | None
    agreements: tuple[AgreementView, ...]


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """A search of payments, newest first. `before` is the last id of the page before."""

    merchant_order_no: str | None = None
    user_id: str | None = None
    status: Status | None = None
    channel: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    before: UUID | None = None
    limit: int = 50
    amount: int | None = None
    """In fen."""
    business_day: date | None = None
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """What an operator was given of a payment; what is None was not given."""

    object_id: tuple[str, UUID] | None = None
    """An id of ours of any kind but a card's, with its prefix."""
    merchant_order_no: str | None = None
    channel_order_no: str | None = None
    channel_transaction_no: str | None = None
    card_id: UUID | None = None
    card_ends: tuple[str, str] | None = None
    """The first six and the last four digits of a card number."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A page of a search, newest first.

    `cut_at`: the last that was looked at, where the search was cut; it goes on after that. `cut`: there are more that
    it cannot go on to.
    """

    page: list[T]
    cut_at: UUID | None = None
    cut: bool = False


class Reading(Protocol):
    """What the API reads. Everything is of one merchant and one app: another's object is None (404)."""

    async def payment(self, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None: ...

    async def payments(self, merchant_id: UUID, app: str, wanted: PaymentFilter) -> Found[Payment]:
        """Payments of the app. A search that matches little is cut after so many payments."""
        ...

    async def refund(self, merchant_id: UUID, app: str, refund_id: UUID) -> Refund | None: ...

    async def payout(self, merchant_id: UUID, app: str, payout_id: UUID) -> Payout | None: ...

    async def authentication(self, merchant_id: UUID, app: str, authentication_id: UUID) -> Authentication | None: ...

    async def order_taken(self, merchant_id: UUID, app: str, merchant_order_no: str) -> bool:
        """Whether an order number of the app is in use, for whatever."""
        ...

    async def checkout(
        self, merchant_id: UUID, app: str, checkout_id: UUID
    ) -> "tuple[Checkout, Sequence[Payment | Authentication]] | None":
        """A checkout of the app with its tries, oldest first, or None."""
        ...

    async def route(self, merchant_id: UUID, app: str, route_id: UUID) -> RecordedRoute | None:
        """A recorded route of this app, or None."""
        ...

    async def decision(self, merchant_id: UUID, app: str, payment_id: UUID) -> dict[str, Any] | None:
        """The stored decision record (`router.record`), or None when there is no such payment."""
        ...

    async def timeline(
        self, merchant_id: UUID, app: str, payment_id: UUID, *, after: TimelinePosition | None, limit: int
    ) -> TimelinePage | None:
        """Everything that happened to a payment, oldest first: as much as `limit` after a position."""
        ...

    async def events(
        self,
        merchant_id: UUID,
        app: str,
        *,
        of: tuple[ObjectKind, UUID] | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> Found[RecordedEvent]:
        """Events of the app (`of`: of one object), newest first, each with the state of its deliveries."""
        ...

    async def redeliver(self, merchant_id: UUID, app: str, event_id: UUID, now: datetime) -> Redelivered | None:
        """Make every delivery of an event due now, whatever its state; at a stopped endpoint it is held. None: no such
        event."""
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
    authentications: Mapping[str, UUID] = field(default_factory=dict)
    """By account: the authentication of the card that is in flight there."""
    verified_by: frozenset[str] = frozenset()
    """Accounts that have ever verified the card."""
    signing: frozenset[str] = frozenset()
    """Accounts where the card is being signed by an SMS: one at most."""
    blocked: tuple[BlockKind, ...] = ()
    """Which kinds of entries of the merchant's block list name the user or the card; any of them refuses a payment."""
