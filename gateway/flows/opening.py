"""Open a payment: route it and say what must be recorded before the wire is touched. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.cards import Card, mask_card_no
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EVENT_OF_STATUS, Event
from gateway.domain.failures import FailureCode, failure
from gateway.domain.orders import Order
from gateway.domain.payments import Attempt, Payment, Stage, Status
from gateway.domain.terms import Product, Terms
from gateway.domain.transitions import move
from gateway.flows.route import candidates_for, needs_authentication
from gateway.objects.events import payment_event
from gateway.ports import TermsOf, UserFacts
from router.decide import Decision, decide
from router.facts import RouteRequest
from router.record import to_record


@dataclass(frozen=True, slots=True)
class Opening:
    """An order with the ids and the time that it will be recorded with, made before anything is known of it."""

    order: Order
    payment_id: UUID
    attempt_id: UUID
    authentication_id: UUID
    event_id: UUID
    new_card_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opening records: the payment with its attempt, or the refused payment with its event."""

    opening: Opening
    payment: Payment
    decision: dict[str, Any]
    """The decision record, with notes of what was odd about the request."""
    authentication_fee: int | None
    """Set when the card is authenticated first: what that costs, in fen."""
    event: Event | None


def open_payment(
    opening: Opening,
    card_id: UUID | None,
    facts: UserFacts,
    catalogue: Catalogue,
    terms_of: TermsOf,
    timezone: ZoneInfo,
) -> Opened:
    """Route an order and build everything that stands before the wire. `card_id`: the card's row, new or known."""
    order, now = opening.order, opening.now
    decision = _decide(order, facts, catalogue, now)
    record: dict[str, Any] = dict(to_record(decision))
    if order.bank_by_bin is not None and order.bank_by_bin != order.bank:
        record["notes"] = [f"the request says bank {order.bank}, the card number {order.bank_by_bin}: the request wins"]
    if decision.chosen is None:
        return _refused(opening, card_id, decision, record, timezone)
    channel = catalogue.channels[order.merchant_id, decision.chosen]
    authenticates = needs_authentication(channel, order.scene, order.bank, facts.agreements)
    product = Product.AUTHENTICATION if authenticates else Product.PAYMENT
    terms = terms_of(order.merchant_id, channel.account, product)
    attempt = Attempt(
        attempt_id=opening.attempt_id,
        channel=channel.code,
        account=channel.account,
        stage=Stage.AUTHENTICATING if authenticates else Stage.PAYING,
        authentication_id=opening.authentication_id if authenticates else None,
        submitted_at=now,
    )
    payment = _payment(opening, card_id, decision, timezone, attempt=attempt, terms=terms)
    return Opened(opening, payment, record, channel.authentication_fee if authenticates else None, None)


def _decide(order: Order, facts: UserFacts, catalogue: Catalogue, now: datetime) -> Decision:
    request = RouteRequest(
        user_id=order.user_id,
        scene=order.scene,
        bank=order.bank,
        amount=order.amount,
        now=now,
        customer_present=order.customer_present,
        last_attempt_max_age=catalogue.merchants[order.merchant_id].last_attempt_max_age,
    )
    candidates = candidates_for(catalogue, order.merchant_id, order.scene, order.bank, facts.agreements, now)
    return decide(request, candidates, facts.channels, catalogue.version)


def _refused(
    opening: Opening, card_id: UUID | None, decision: Decision, record: dict[str, Any], timezone: ZoneInfo
) -> Opened:
    payment = _payment(opening, card_id, decision, timezone, attempt=None, terms=None)
    event_type = EVENT_OF_STATUS[payment.status]
    event = payment_event(payment, event_type, payment.sequence, opening.event_id, opening.now)
    return Opened(opening, payment, record, None, event)


def _payment(
    opening: Opening,
    card_id: UUID | None,
    decision: Decision,
    timezone: ZoneInfo,
    *,
    attempt: Attempt | None,
    terms: Terms | None,
) -> Payment:
    order, now = opening.order, opening.now
    card = Card(card_id, mask_card_no(order.card.card_no), order.bank) if order.card and card_id else None
    refusal = failure(FailureCode(decision.refusal)) if decision.refusal else None
    return Payment(
        merchant_id=order.merchant_id,
        payment_id=opening.payment_id,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        kind=order.kind,
        scene=order.scene,
        user_id=order.user_id,
        bank=order.bank,
        amount=order.amount,
        currency=order.currency,
        status=move(None, Status.FAILED if refusal else Status.PROCESSING),
        card=card,
        channel=decision.chosen,
        fee=decision.fee,
        failure=refusal,
        attempt=attempt,
        due=terms.unanswered(now) if terms else None,
        sequence=1 if refusal else 0,
        created_at=now,
        finished_at=now if refusal else None,
        business_day=now.astimezone(timezone).date(),
        description=order.description,
        metadata=order.metadata,
    )
