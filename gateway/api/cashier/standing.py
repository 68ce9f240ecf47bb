"""How a checkout stands: which page its payer sees now. Pure."""

import hashlib
from datetime import datetime
from enum import StrEnum

from gateway.domain.checkouts import Checkout, CheckoutPurpose
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.flows.cashier import Shown, Try

__all__ = ["Step", "may_offer", "may_try", "state_of", "step_of"]


class Step(StrEnum):
    """The page that shows."""

    CHOOSE = "choose"  # how to pay, or which card to add
    CODE = "code"  # the code of an SMS is to be typed
    BANK = "bank"  # it is paid on the page of a bank
    WAITING = "waiting"  # nobody knows yet how it ends
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the newest try did, or was given up
    LATE = "late"  # a try was paid after it had ended: a person looks at it
    EXPIRED = "expired"
    CANCELED = "canceled"


_ASKS_PAYER = frozenset({Step.CODE, Step.BANK})


def step_of(shown: Shown, now: datetime) -> Step:
    """Which page shows."""
    checkout, newest = shown.checkout, shown.newest
    match checkout.status:
        case Status.SUCCEEDED:
            return Step.SUCCEEDED
        case Status.EXPIRED | Status.CANCELED if shown.paid_late is not None:
            return Step.LATE
        case Status.EXPIRED:
            return Step.EXPIRED
        case Status.CANCELED:
            return Step.CANCELED
    if shown.open_try is not None:
        step = _of_open(shown.open_try, now)
        return Step.LATE if step in _ASKS_PAYER and shown.paid_late is not None else step
    if shown.paid_late is not None:
        return Step.LATE
    if newest is not None and newest.status is Status.SUCCEEDED:
        return Step.SUCCEEDED
    if checkout.expires_at <= now:
        return Step.EXPIRED
    return Step.CHOOSE if newest is None else Step.FAILED


def _of_open(newest: Try, now: datetime) -> Step:
    asked = newest.asked
    if newest.status is not Status.REQUIRES_ACTION or asked is None or asked.expired:
        return Step.WAITING
    if newest.has_code_in_the_air and not (isinstance(newest, Payment) and newest.is_on_a_page):
        return Step.WAITING
    if isinstance(newest, Payment) and newest.is_on_a_page:
        return Step.BANK if newest.expires_at is not None and now < newest.expires_at else Step.WAITING
    return Step.CODE if now < asked.waits_until(newest.created_at, newest.expires_in_s) else Step.WAITING


def may_offer(shown: Shown, now: datetime) -> bool:
    """Whether another try is offered: there may be one, and it is not one too many."""
    return may_try(shown, now) and not shown.was_last


def may_try(shown: Shown, now: datetime) -> bool:
    """Whether the payer may try once more, as far as is known here."""
    checkout = shown.checkout
    nothing_open = shown.open_try is None and shown.paid_late is None
    return checkout.status is Status.OPEN and nothing_open and now < checkout.expires_at


def adds_card(checkout: Checkout) -> bool:
    """Whether a card is signed, and nothing is paid."""
    return checkout.purpose is CheckoutPurpose.SIGN


def state_of(shown: Shown, now: datetime) -> str:
    """A short word for everything that a page shows: as long as it is the same, the page is up to date."""
    newest = shown.newest
    said: list[object] = [step_of(shown, now), shown.checkout.status, shown.checkout.tries]
    if newest is not None:
        asked = newest.asked
        said += [newest.status, newest.failure.code if newest.failure else None]
        if asked is not None:
            said += [asked.purpose, asked.sms, asked.sending, asked.wrong, asked.order_ended, asked.expired]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
