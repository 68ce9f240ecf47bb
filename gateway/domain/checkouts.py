"""A checkout (收银台): one order of an app that its payer pays, or signs a card for, on pages of ours. Pure.

Each try of the payer is a payment (or an authentication) of its own, with the number `{merchant_order_no}~1`, `~2`, …
A new one is made only when the one before has ended. A checkout succeeds with the first that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.domain.scenes import Scene
from gateway.domain.statuses import FINAL, Status, move

__all__ = [
    "CHECKOUT_EXPIRES_IN_S",
    "SCENE_OF",
    "STANDARD_LIMITS",
    "TRY_MARK",
    "Checkout",
    "CheckoutLimits",
    "CheckoutOrder",
    "CheckoutPurpose",
    "CheckoutRef",
    "CheckoutTry",
    "Method",
    "NewTry",
    "TryRefusal",
    "after_time",
    "after_try",
    "canceled",
    "number_of_try",
    "opened",
    "ordinal_of",
    "tried",
    "why_not_try",
]

CHECKOUT_EXPIRES_IN_S: Final = 1800
"""How long a checkout is open, unless the app says otherwise."""
TRY_MARK: Final = "~"
"""Parts an order number from the number of the try. Apps' own numbers have none."""


class CheckoutPurpose(StrEnum):
    """What the payer is there for."""

    PAY = "pay"
    SIGN = "sign"  # a card, for later withholds


class Method(StrEnum):
    """How a payer may pay."""

    QUICK = "quick"
    NETBANK = "netbank"
    CUSTODY_QUICK = "custody_quick"
    CUSTODY_NETBANK = "custody_netbank"


SCENE_OF: Final[Mapping[Method, Scene]] = {
    Method.QUICK: Scene.QUICK_CHARGE,
    Method.NETBANK: Scene.NETBANK_CHARGE,
    Method.CUSTODY_QUICK: Scene.CUSTODY_QUICK_CHARGE,
    Method.CUSTODY_NETBANK: Scene.CUSTODY_NETBANK_CHARGE,
}


@dataclass(frozen=True, slots=True)
class CheckoutOrder:
    """A checked request for a checkout. `body` is its canonical form, compared by a keyed hash.

    `amount` (in fen), `currency` and `methods` are for purpose `pay`.
    """

    merchant_id: UUID
    app: str
    merchant_order_no: str
    purpose: CheckoutPurpose
    user_id: str
    amount: int | None
    currency: str | None
    description: str | None
    methods: tuple[Method, ...]
    custody_user_no: str | None
    return_url: str
    expires_in_s: int
    metadata: Mapping[str, Any]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Checkout:
    """What the app asked for, and what became of it. `amount` in fen; None where a card is signed."""

    merchant_id: UUID
    checkout_id: UUID
    app: str
    merchant_order_no: str
    purpose: CheckoutPurpose
    user_id: str
    amount: int | None
    currency: str | None
    description: str | None
    methods: tuple[Method, ...]
    custody_user_no: str | None
    return_url: str
    status: Status
    won_by: UUID | None
    """The payment or authentication that it succeeded with."""
    tries: int
    """How many payments or authentications it has had."""
    codes: int
    """How many SMS were asked for, over all of them."""
    sequence: int
    """How many events it has had."""
    expires_at: datetime
    until_at: datetime | None
    """When our clock looks at it next; None: it has ended."""
    created_at: datetime
    finished_at: datetime | None
    metadata: Mapping[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class CheckoutRef:
    """The checkout of a payment or an authentication, as far as that shows it."""

    checkout_id: UUID
    status: Status = Status.OPEN


@dataclass(frozen=True, slots=True)
class CheckoutTry:
    """Which try of which checkout an order is."""

    checkout_id: UUID
    ordinal: int


@dataclass(frozen=True, slots=True)
class CheckoutLimits:
    """What one payer may do on our pages."""

    tries: int = 10
    """Payments or authentications of a checkout."""
    codes: int = 5
    """SMS of a checkout, over all its tries."""
    cards_per_hour: int = 5
    """Cards that a user types for the first time in an hour."""


STANDARD_LIMITS: Final = CheckoutLimits()


def opened(order: CheckoutOrder, checkout_id: UUID, now: datetime) -> Checkout:
    """The checkout that an order opens."""
    expires_at = now + timedelta(seconds=order.expires_in_s)
    return Checkout(
        merchant_id=order.merchant_id,
        checkout_id=checkout_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        purpose=order.purpose,
        user_id=order.user_id,
        amount=order.amount,
        currency=order.currency,
        description=order.description,
        methods=order.methods,
        custody_user_no=order.custody_user_no,
        return_url=order.return_url,
        status=move(ObjectKind.CHECKOUT, None, Status.OPEN),
        won_by=None,
        tries=0,
        codes=0,
        sequence=0,
        expires_at=expires_at,
        until_at=expires_at,
        created_at=now,
        finished_at=None,
        metadata=order.metadata,
    )


def number_of_try(merchant_order_no: str, ordinal: int) -> str:
    """The order number of a try."""
    return f"{merchant_order_no}{TRY_MARK}{ordinal}"


def ordinal_of(number: str) -> int:
    """Which try it is that has this order number. Ids do not tell: they are of clocks, and of more than one."""
    return int(number.rpartition(TRY_MARK)[2])


class TryRefusal(StrEnum):
    """Why a payer may not try (again) now."""

    NOT_OPEN = "not_open"
    EXPIRED = "expired"
    IN_PROGRESS = "in_progress"  # the try before has not ended
    PAID_LATE = (
        "paid_late"  # one that ended without it was paid after all: nobody pays again before a person has looked
    )
    OUT_OF_TURN = "out_of_turn"  # made on a page that is older than the newest try
    TOO_MANY_TRIES = "too_many_tries"
    TOO_MANY_CARDS = "too_many_cards"


@dataclass(frozen=True, slots=True)
class NewTry:
    """What is known when a try is to begin."""

    ordinal: int
    in_progress: bool
    """One before has not ended."""
    paid: bool
    """One before succeeded, or was paid after it had ended."""


def why_not_try(checkout: Checkout, new: NewTry, limits: CheckoutLimits, now: datetime) -> TryRefusal | None:
    """Why a try may not begin; None: it may."""
    if checkout.status is not Status.OPEN:
        return TryRefusal.NOT_OPEN
    if new.in_progress:
        return TryRefusal.IN_PROGRESS
    if new.paid:
        return TryRefusal.PAID_LATE
    if checkout.expires_at <= now:
        return TryRefusal.EXPIRED
    if new.ordinal > limits.tries:
        return TryRefusal.TOO_MANY_TRIES
    if new.ordinal != checkout.tries + 1:
        return TryRefusal.OUT_OF_TURN
    return None


def tried(checkout: Checkout, *, codes: int) -> Checkout:
    """The checkout with one more try, for which so many SMS are asked for."""
    return replace(checkout, tries=checkout.tries + 1, codes=checkout.codes + codes)


def after_try(checkout: Checkout, object_id: UUID, status: Status, now: datetime) -> Checkout:
    """The checkout after one of its tries came to a state. Nothing new: the very same."""
    if checkout.is_final:
        return checkout
    if status is Status.SUCCEEDED:
        return replace(_ended(checkout, Status.SUCCEEDED, now), won_by=object_id)
    if status in FINAL and checkout.expires_at <= now:  # it was only kept open by this one
        return _ended(checkout, Status.EXPIRED, now)
    return checkout


def after_time(checkout: Checkout, tries: Sequence[tuple[UUID, Status]], now: datetime, again_at: datetime) -> Checkout:
    """The checkout when our clock looks at it, with the states of its tries: it expires when none of them is open.

    One that succeeded unheard of is heard now. What stays open is looked at `again_at`.
    """
    if checkout.is_final:
        return checkout
    for object_id, status in tries:
        if status is Status.SUCCEEDED:
            return after_try(checkout, object_id, status, now)
    if checkout.expires_at > now:
        return replace(checkout, until_at=checkout.expires_at)
    if any(status not in FINAL for _, status in tries):
        return replace(checkout, until_at=again_at)
    return _ended(checkout, Status.EXPIRED, now)


def canceled(checkout: Checkout, now: datetime) -> Checkout:
    """The checkout that its app wants no more; none of its tries is open."""
    return _ended(checkout, Status.CANCELED, now)


def _ended(checkout: Checkout, status: Status, now: datetime) -> Checkout:
    return replace(
        checkout,
        status=move(ObjectKind.CHECKOUT, checkout.status, status),
        sequence=checkout.sequence + 1,
        until_at=None,
        finished_at=now,
    )
