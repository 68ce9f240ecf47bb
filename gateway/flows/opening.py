"""Open a payment: route it and say what must be recorded before the wire is touched. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card, mask_card_no
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.checkouts import CheckoutRef
from gateway.domain.codes import Asked, Purpose
from gateway.domain.events import EVENTS_OF, Event
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent
from gateway.domain.orders import Order
from gateway.domain.payments import Payment, failed, in_line, on_a_page
from gateway.domain.scenes import REDIRECT_SCENES
from gateway.domain.statuses import Status, move
from gateway.domain.terms import Product
from gateway.flows.first_step import FirstIds, asks_for_sms, first_step
from gateway.flows.intents import intent_to_pay
from gateway.flows.refusal import refusal_of
from gateway.flows.route import ABLE, Payer, Unable, candidates_for, request_of, with_bound
from gateway.objects.events import event_of
from gateway.ports import OverloadedError, SendBeforeError, TermsOf, UserFacts
from router.decide import Decision, decide
from router.record import to_record

FULL_RETRY_AFTER_S = 2
PageUrl = Callable[[UUID], str]
"""By a payment's id: the address of our page that brings its payer to the PSP."""
SEND_WITHIN: Final = timedelta(minutes=30)
"""How long a withhold stands in line for a place, unless the app says otherwise."""


def no_page(_: UUID) -> str:
    """Of a process that opens no payments on pages."""
    raise NotImplementedError("no address for pages was given")


@dataclass(frozen=True, slots=True)
class Opening:
    """An order with the ids and the time that it will be recorded with, made before anything is known of it."""

    order: Order
    payment_id: UUID
    intent_id: UUID
    """Of the first intent: to pay, to authenticate the card, or to send an SMS."""
    authentication_id: UUID
    event_id: UUID
    new_card_id: UUID
    now: datetime

    @property
    def object_id(self) -> UUID:
        """Of what is opened."""
        return self.payment_id


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opening records: the payment with its first intent, or the refused payment with its event."""

    opening: Opening
    payment: Payment
    decision: dict[str, Any]
    """The decision record, with notes of what was odd about the request."""
    authentication: Authentication | None
    """The card is authenticated first, by this payment. A payment may also wait for one that is in flight."""
    event: Event | None
    sms: Intent | None = None
    """The SMS that is asked for now: to sign the card, or to pay."""

    @property
    def sends(self) -> str | None:
        """The channel that something is sent on by the one who opened it; None: refused, or it waits for another's."""
        if self.payment.is_on_a_page:
            return None
        return self.payment.channel if self.payment.attempt or self.authentication or self.sms else None

    @property
    def sends_sms(self) -> bool:
        """Whether the payer gets an SMS for what is sent now: asked for, or by asking the PSP to pay."""
        return asks_for_sms(self.payment, self.sms)


def open_payment(
    opening: Opening,
    card_id: UUID | None,
    facts: UserFacts,
    catalogue: Catalogue,
    terms_of: TermsOf,
    timezone: ZoneInfo,
    unable: Unable = ABLE,
    carries_of: CarriesOf = carries_all,
    page_url: PageUrl = no_page,
) -> Opened:
    """Route an order and build everything that stands before the wire. `card_id`: the card's row, new or known.

    `page_url`: our page that brings a payment's payer to the PSP.

    Raises OverloadedError where all that is left are channels that are full just now: nothing is recorded of it.
    """
    order, now = opening.order, opening.now
    decision = _decide(order, facts, catalogue, now, unable, carries_of)
    if decision.wants_room:
        raise OverloadedError(FULL_RETRY_AFTER_S)
    record: dict[str, Any] = dict(to_record(decision))
    if notes := order.all_notes:
        record["notes"] = notes
    channel = catalogue.channels[order.merchant_id, decision.chosen] if decision.chosen is not None else None
    payment = _payment(opening, card_id, decision, channel, timezone)
    if channel is None:
        event = event_of(payment, EVENTS_OF[ObjectKind.PAYMENT][payment.status], opening.event_id, now)
        return Opened(opening, payment, record, None, event)
    if order.scene in REDIRECT_SCENES:
        return _on_a_page(opening, payment, record, terms_of, page_url)
    step = first_step(
        payment,
        channel,
        FirstIds(opening.intent_id, opening.authentication_id),
        order.card.phone if order.card else "",
        catalogue,
        terms_of,
        carries_of(order.merchant_id, channel.account).ways,
        now,
        bound=channel.account in facts.agreements,
        in_flight=facts.authentications.get(channel.account),
    )
    return Opened(opening, step.payment, record, step.authentication, None, step.sms)


def _on_a_page(
    opening: Opening, payment: Payment, record: dict[str, Any], terms_of: TermsOf, page_url: PageUrl
) -> Opened:
    """The payment whose payer is to go to the PSP's page: nothing is sent by us, and the PSP is asked from now on."""
    assert payment.channel_order_no is not None
    assert payment.account is not None
    now = opening.now
    asked = Asked(Purpose.REDIRECT, "", payment.channel_order_no, now, url=page_url(payment.payment_id))
    due_at = terms_of(payment.merchant_id, payment.account, Product.REDIRECT).after(0, now)
    waiting = on_a_page(payment, asked, intent_to_pay(payment, opening.intent_id, now), due_at)
    event = event_of(waiting, EVENTS_OF[ObjectKind.PAYMENT][waiting.status], opening.event_id, now)
    return Opened(opening, waiting, record, None, event)


def without_code(opened: Opened) -> Opened:
    """The same where the payer's phone had too many SMS today: it fails, and nothing is sent."""
    payment, opening = opened.payment, opened.opening
    ended = failed(
        replace(payment, asked=None, authentication_id=None, attempt=None),
        failure(FailureCode.TOO_MANY_TRIES),
        opening.now,
    )
    event = event_of(ended, EVENTS_OF[ObjectKind.PAYMENT][ended.status], opening.event_id, opening.now)
    return Opened(opening, ended, opened.decision, None, event)


def send_before(order: Order, now: datetime, timezone: ZoneInfo) -> datetime:
    """Until when a withhold may be sent that is recorded now: before the end of its business day at the latest.

    Raises SendBeforeError where the order asks for what is not possible.
    """
    next_day = now.astimezone(timezone).date() + timedelta(days=1)
    day_ends_at = datetime.combine(next_day, time(), timezone).astimezone(now.tzinfo)
    if order.send_before is None:
        return min(now + SEND_WITHIN, day_ends_at)
    if not now < order.send_before <= day_ends_at:
        raise SendBeforeError(day_ends_at)
    return order.send_before


def stands_in_line(opened: Opened, until_at: datetime) -> Opened:
    """What is recorded where its channel has no place: nothing is sent of it yet, no card authenticated, no SMS."""
    return replace(opened, payment=in_line(opened.payment, until_at), authentication=None, sms=None)


def _decide(
    order: Order, facts: UserFacts, catalogue: Catalogue, now: datetime, unable: Unable, carries_of: CarriesOf
) -> Decision:
    spread = catalogue.merchants[order.merchant_id].authentication_spread
    request = request_of(order, catalogue, facts, now, authentication_spread=spread)
    if facts.blocked:
        return decide(request, (), {}, catalogue.version)
    payer = Payer(facts.agreements, order.customer_present, facts.signing)
    candidates = candidates_for(
        catalogue, order.merchant_id, order.scene, order.bank, payer, now, unable, order.card, carries_of
    )
    channels = with_bound(facts.channels, catalogue, order.merchant_id, candidates, facts.agreements)
    return decide(request, candidates, channels, catalogue.version)


def _payment(
    opening: Opening, card_id: UUID | None, decision: Decision, channel: Channel | None, timezone: ZoneInfo
) -> Payment:
    """The payment as it was decided, before anything of it is sent."""
    order, now = opening.order, opening.now
    card = Card(card_id, mask_card_no(order.card.card_no), order.bank) if order.card and card_id else None
    refusal = refusal_of(decision)
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
        status=move(ObjectKind.PAYMENT, None, Status.FAILED if refusal else Status.PROCESSING),
        card=card,
        channel=decision.chosen,
        account=channel.account if channel else None,
        channel_order_no=number_of(opening.payment_id) if channel else None,
        authentication_id=None,
        expected_fee=decision.fee,
        fee=None,
        authentication_fee=None,
        failure=refusal,
        attempt=None,
        due_at=None,
        until_at=None,
        sequence=1 if refusal else 0,
        created_at=now,
        finished_at=now if refusal else None,
        business_day=now.astimezone(timezone).date(),
        description=order.description,
        metadata=order.metadata,
        customer_present=order.customer_present,
        expires_in_s=order.expires_in_s,
        custody_user_no=order.custody_user_no,
        psp_code=channel.psp_code if channel else None,
        checkout=CheckoutRef(order.checkout.checkout_id) if order.checkout else None,
    )
