"""The tries of a checkout: its payments, or where a card is signed its authentications. Pure."""

from collections.abc import Iterable
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.checkouts import ordinal_of
from gateway.domain.payments import Payment

__all__ = ["Try", "id_of", "in_turn", "was_paid_late"]

Try = Payment | Authentication


def id_of(one: Try) -> UUID:
    """Of a payment or an authentication."""
    return one.payment_id if isinstance(one, Payment) else one.authentication_id


def in_turn(tries: Iterable[Try]) -> list[Try]:
    """The tries of one checkout, oldest first."""
    return sorted(tries, key=lambda each: ordinal_of(each.merchant_order_no or ""))


def was_paid_late(one: Try) -> bool:
    """Whether it was paid after it had ended, or is called so."""
    return isinstance(one, Payment) and one.was_paid_late
