"""What the tries of checkouts mean for them: the part of a flush of observations that checkouts need.

A checkout belongs to one user, whose lock the flush holds, so it stands still while its tries change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from gateway.domain.checkouts import Checkout, CheckoutPurpose, CheckoutRef, after_try
from gateway.domain.events import ANOMALY_OF, EVENTS_OF, Event
from gateway.domain.hearing import Anomaly, AnomalyKind
from gateway.domain.ids import ObjectKind, caused_id, show_object
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.domain.tries import Try, id_of, in_turn
from gateway.objects.events import checkout_event
from gateway.storage.server.database import Connection
from gateway.storage.writing.checkouts import checkouts_by_id, payments_of_checkouts, signings_of_checkouts
from gateway.storage.writing.page import Page
from gateway.storage.writing.statement import Row

__all__ = [
    "BY_SLUICE",
    "found_paid_twice",
    "read_checkouts",
    "tell_checkout",
    "with_its_checkout",
    "with_tries",
]

BY_SLUICE = "sluice"
"""Who resolves an anomaly that another one tells better."""


async def read_checkouts(connection: Connection, merchant_id: UUID, page: Page) -> None:
    """The checkouts of the page's objects, with all their tries."""
    tries: list[Try] = [*page.payments.values(), *page.authentications.values()]
    ids = {each.checkout.checkout_id for each in tries if each.checkout is not None}
    if ids:
        page.checkouts = await checkouts_by_id(connection, merchant_id, ids)
        page.tries = await with_tries(connection, merchant_id, page.checkouts.values())


async def with_tries(
    connection: Connection, merchant_id: UUID, checkouts: Iterable[Checkout]
) -> dict[UUID, Sequence[Try]]:
    """The tries of checkouts, oldest first, by checkout."""
    tries: dict[UUID, list[Try]] = {each.checkout_id: [] for each in checkouts}
    pays = {each.checkout_id: each.purpose is CheckoutPurpose.PAY for each in checkouts}
    found: list[Try] = []
    if to_pay := [checkout_id for checkout_id, is_to_pay in pays.items() if is_to_pay]:
        found += await payments_of_checkouts(connection, merchant_id, to_pay)
    if to_sign := [checkout_id for checkout_id, is_to_pay in pays.items() if not is_to_pay]:
        found += await signings_of_checkouts(connection, merchant_id, to_sign)
    for each in found:
        if each.checkout is not None and each.checkout.checkout_id in tries:
            tries[each.checkout.checkout_id].append(each)
    return {checkout_id: in_turn(of_it) for checkout_id, of_it in tries.items()}


def with_its_checkout(page: Page, payment: Payment) -> Payment:
    """A payment as it shows its checkout, which may have ended in this very flush."""
    checkout = page.checkouts.get(payment.checkout.checkout_id) if payment.checkout is not None else None
    return (
        payment if checkout is None else replace(payment, checkout=CheckoutRef(checkout.checkout_id, checkout.status))
    )


def tell_checkout(page: Page, cause: UUID, after: Try, at: datetime) -> tuple[Try, list[Event]]:
    """A try that came to a state, as it shows its checkout now; and the events of that, which come after its own."""
    before = page.checkouts.get(after.checkout.checkout_id) if after.checkout is not None else None
    if before is None:
        return after, []
    checkout = after_try(before, id_of(after), after.status, at)
    after = replace(after, checkout=CheckoutRef(checkout.checkout_id, checkout.status))
    if checkout is before:
        return after, []
    page.put_checkout(checkout)
    event_id = caused_id(cause, checkout.checkout_id, checkout.status)
    tries = _tries(page, checkout, after)
    told = [checkout_event(checkout, tries, EVENTS_OF[ObjectKind.CHECKOUT][checkout.status], event_id, at)]
    if checkout.status is Status.SUCCEEDED:
        # What was paid after it had ended was an anomaly of its own until now; now it was paid beside another.
        for late in tries:
            if isinstance(late, Payment) and late.attempt is not None and late.attempt.late_success:
                told += _tell_paid_twice(page, cause, late, at, after)
                page.told_better.append(
                    {
                        "object_id": late.payment_id,
                        "kind": AnomalyKind.LATE_SUCCESS,
                        "resolved_at": at,
                        "resolved_by": BY_SLUICE,
                        "note": f"paid_twice of {show_object(ObjectKind.CHECKOUT, checkout.checkout_id)} tells it",
                    }
                )
    return after, told


def found_paid_twice(page: Page, cause: UUID, late: Payment, at: datetime, source: str) -> bool:
    """Whether a late success stands on the checkout, which was paid by another payment; then it is told there."""
    checkout = page.checkouts.get(late.checkout.checkout_id) if late.checkout is not None else None
    if checkout is None or checkout.status is not Status.SUCCEEDED or checkout.won_by == late.payment_id:
        return False
    page.events += _tell_paid_twice(page, cause, late, at, late, source)
    return True


def _tell_paid_twice(
    page: Page, cause: UUID, late: Payment, at: datetime, changed: Try, source: str = "answer"
) -> list[Event]:
    """The anomaly of a checkout, once for each payment whose money came beside another's, and its event."""
    assert late.checkout is not None
    known = (late.payment_id, AnomalyKind.PAID_TWICE.value)
    if known in page.anomalies_known:
        return []
    page.anomalies_known.add(known)
    checkout = page.checkouts[late.checkout.checkout_id]
    checkout = replace(checkout, sequence=checkout.sequence + 1)
    page.put_checkout(checkout)
    shown, amount = show_object(ObjectKind.PAYMENT, late.payment_id), late.amount
    detail = f"{shown} was paid beside another: refund its {amount} fen"
    found = Anomaly(AnomalyKind.PAID_TWICE, detail, late.payment_id)
    anomaly_id = caused_id(cause, checkout.checkout_id, f"{AnomalyKind.PAID_TWICE} {late.payment_id}")
    page.money_anomalies.append(_money_anomaly(anomaly_id, checkout, found, source, at))
    tries = _tries(page, checkout, changed)
    return [checkout_event(checkout, tries, ANOMALY_OF[ObjectKind.CHECKOUT], anomaly_id, at, found)]


def _money_anomaly(anomaly_id: UUID, checkout: Checkout, found: Anomaly, source: str, at: datetime) -> Row:
    """The row of an anomaly of a checkout."""
    return {
        "anomaly_id": anomaly_id,
        "object": ObjectKind.CHECKOUT,
        "object_id": checkout.checkout_id,
        "kind": found.kind,
        "detail": found.detail,
        "source": source,
        "found_at": at,
        "payment_id": found.payment_id,
    }


def _tries(page: Page, checkout: Checkout, changed: Try) -> list[Try]:
    """The tries of a checkout as they are now; one of them changes just now."""
    now: list[Try] = []
    for each in page.tries.get(checkout.checkout_id, ()):
        newer = page.about(id_of(each)) or each
        newest = changed if id_of(each) == id_of(changed) else newer
        now.append(replace(newest, checkout=CheckoutRef(checkout.checkout_id, checkout.status)))
    return now
