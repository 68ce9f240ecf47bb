"""Tries of checkouts that begin: what a flush of orders knows of them, under the lock of their users."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.checkouts import Checkout, CheckoutLimits, CheckoutTry, NewTry, TryRefusal, tried, why_not_try
from gateway.domain.statuses import Status
from gateway.domain.tries import Try, was_paid_late
from gateway.ports import CheckoutRefusedError
from gateway.storage.server.database import Connection
from gateway.storage.writing.checking_out import with_tries
from gateway.storage.writing.checkouts import checkouts_by_id

__all__ = ["Trying", "read_trying"]

CARDS_OF: Final = timedelta(hours=1)
READ_CARDS = """
SELECT user_id, count(*) FROM cards
WHERE merchant_id = $1 AND user_id = ANY($2::text[]) AND print IS NOT NULL AND created_at > $3 GROUP BY user_id
"""


class Tries(Protocol):
    """An order that may be a try of a checkout."""

    @property
    def user_id(self) -> str: ...

    @property
    def checkout(self) -> CheckoutTry | None: ...


@dataclass(slots=True)
class Trying:
    """The checkouts of a flush of orders, with what their payers did before."""

    limits: CheckoutLimits
    checkouts: dict[UUID, Checkout] = field(default_factory=dict)
    tries: Mapping[UUID, Sequence[Try]] = field(default_factory=dict)
    cards: dict[str, int] = field(default_factory=dict)
    """By user: the cards that they typed for the first time in the last hour."""
    typed: dict[str, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    """The same in this flush, by tries that begin."""
    begun: dict[UUID, Checkout] = field(default_factory=dict)
    """By the id of what was opened: its checkout, with that try."""

    def check(self, order: Tries, now: datetime, *, new_card: UUID | None) -> None:
        """Raises CheckoutRefusedError where an order is a try that may not begin.

        `new_card`: what was typed for the first time.
        """
        if order.checkout is None:
            return
        checkout = self.checkouts.get(order.checkout.checkout_id)
        if checkout is None:
            raise CheckoutRefusedError(TryRefusal.NOT_OPEN)
        before = self.tries.get(checkout.checkout_id, ())
        fresh = any(each.checkout_id == checkout.checkout_id for each in self.begun.values())
        new = NewTry(
            ordinal=order.checkout.ordinal,
            in_progress=fresh or any(not each.is_final for each in before),
            paid=any(each.status is Status.SUCCEEDED or was_paid_late(each) for each in before),
        )
        why = why_not_try(checkout, new, self.limits, now)
        if why is None and new_card is not None and not self._may_type(order.user_id, new_card):
            why = TryRefusal.TOO_MANY_CARDS
        if why is not None:
            raise CheckoutRefusedError(why)

    def _may_type(self, user_id: str, card_id: UUID) -> bool:
        typed = self.typed[user_id]
        return card_id in typed or self.cards.get(user_id, 0) + len(typed) < self.limits.cards_per_hour

    def may_ask(self, order: Tries) -> bool:
        """Whether the payer of an order may get one more SMS, as far as its checkout has a say."""
        checkout = self.checkouts.get(order.checkout.checkout_id) if order.checkout else None
        return checkout is None or checkout.codes < self.limits.codes

    def begin(self, order: Tries, object_id: UUID, *, sms: bool, new_card: UUID | None) -> Checkout | None:
        """Count a try that was opened; its checkout, if it is one."""
        if order.checkout is None:
            return None
        if new_card is not None:
            self.typed[order.user_id].add(new_card)
        after = tried(self.checkouts[order.checkout.checkout_id], codes=int(sms))
        self.checkouts[after.checkout_id] = self.begun[object_id] = after
        return after


async def read_trying(
    connection: Connection, merchant_id: UUID, orders: Iterable[Tries], limits: CheckoutLimits, now: datetime
) -> Trying:
    """What is known of the checkouts of these orders. Where none is a try, nothing is read."""
    named = [(order.checkout.checkout_id, order.user_id) for order in orders if order.checkout is not None]
    if not named:
        return Trying(limits)
    checkouts = await checkouts_by_id(connection, merchant_id, {checkout_id for checkout_id, _ in named})
    tries = await with_tries(connection, merchant_id, checkouts.values())
    users = sorted({user_id for _, user_id in named})
    cards = dict(await connection.fetch(READ_CARDS, merchant_id, users, now - CARDS_OF))
    return Trying(limits, checkouts, tries, cards)
