"""Payouts as they are asked for: orders, what is done about them, what rules say of them, and why they are refused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from gateway.domain.cards import mask_card_no
from gateway.domain.failures import Failure
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import PayoutOrder
from gateway.domain.payees import PayeeType
from gateway.domain.payouts import HELD_FOR_AT_MOST, Hold, Part, Payout, ShownPayee
from gateway.domain.statuses import Status, move

__all__ = [
    "PayoutAct",
    "PayoutOpening",
    "PayoutRefusedError",
    "PayoutResult",
    "PayoutRules",
    "PayoutWish",
    "RuleAnswer",
    "RuleQuestion",
    "held",
    "new_payout",
]


class PayoutRefusedError(Exception):
    """Nothing was recorded. `code` tells why, in the words of the API.

    `field`: what of the request is not right (`account.bank`), where it is that; `payment_id`: of a part; `left`: how
    much would have been taken, in fen; `fails_as`: what a payout that is recorded already fails with for this, where
    waiting does not help.
    """

    def __init__(
        self,
        code: str,
        *,
        field: str | None = None,
        payment_id: UUID | None = None,
        left: int | None = None,
        fails_as: Failure | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.field, self.payment_id, self.left = code, field, payment_id, left
        self.fails_as = fails_as


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What a channel's rules say of a payout: it may be sent, now or from `opens_at` on, or it is refused."""

    refusal: PayoutRefusedError | None = None
    opens_at: datetime | None = None
    """When the next window opens; None: it may be sent now."""
    expected_fee: int | None = None
    """In fen."""


@dataclass(frozen=True, slots=True)
class RuleQuestion:
    """May this be sent now? `used_today`: what payouts of the channel take of the business day of `now`, in fen."""

    merchant_id: UUID
    channel: str
    kind: PayeeType
    bank: str
    amount: int
    used_today: int
    now: datetime


PayoutRules = Callable[[RuleQuestion], RuleAnswer]
"""The rules of channels. Pure: they are asked under the lock of the channel's day."""


@dataclass(frozen=True, slots=True)
class PayoutOpening:
    """An order for a payout with the ids that it will be recorded with. `account`: the channel's."""

    order: PayoutOrder
    account: str
    payout_id: UUID
    intent_id: UUID
    refusal: PayoutRefusedError | None = None
    """Why a new payout is refused, before anything is known of its payments. One taken before replays."""

    @property
    def merchant_id(self) -> UUID:
        """Whose it is."""
        return self.order.merchant_id

    @property
    def parts(self) -> tuple[Part, ...]:
        """What it pays on."""
        return self.order.parts


class PayoutWish(StrEnum):
    """What is wanted of a payout that is held."""

    SETTLE = "settle"  # more parts
    RELEASE = "release"
    CONFIRM = "confirm"  # a suspicion is wrong
    REFUSE = "refuse"  # it is right
    LOOK = "look"  # what our clock means for it


@dataclass(frozen=True, slots=True)
class PayoutAct:
    """Something is done about a payout. Whoever acts draws `intent_id`, and sends what is recorded with it.

    `app`: whose payout it must be; None: an operator, or our clock. What it causes has ids made from `intent_id`.
    """

    merchant_id: UUID
    payout_id: UUID
    wish: PayoutWish
    intent_id: UUID
    app: str | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class PayoutResult:
    """A payout after an order or an act. `submit`: its newest intent was recorded now, for the caller to send."""

    payout: Payout
    replayed: bool = False
    submit: bool = False


def new_payout(opening: PayoutOpening, now: datetime, business_day: date) -> Payout:
    """The payout of an order, held for its app: what is sent at once is `begun` then. Pure."""
    order = opening.order
    return Payout(
        merchant_id=order.merchant_id,
        payout_id=opening.payout_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        channel=order.channel,
        account=opening.account,
        payee=ShownPayee(order.payee.type, mask_card_no(order.payee.account_no), order.payee.bank),
        amount=order.amount,
        currency=order.currency,
        purpose=order.purpose,
        status=move(ObjectKind.PAYOUT, None, Status.PROCESSING),
        held_for=Hold.APP,
        suspicion=None,
        expected_fee=None,
        fee=None,
        failure=None,
        returned=None,
        intent=None,
        due_at=None,
        until_at=now + HELD_FOR_AT_MOST,
        parts=0,
        settles=0,
        sequence=0,
        created_at=now,
        finished_at=None,
        business_day=business_day,
        metadata=order.metadata,
    )


def held(payout: Payout, why: Hold) -> bool:
    """Whether a payout is held for this."""
    return payout.status is Status.PROCESSING and payout.held_for is why
