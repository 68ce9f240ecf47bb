"""Open a payment: route it and say what must be recorded before the wire is touched. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.authentications import Authentication
from gateway.domain.cards import Card, mask_card_no
from gateway.domain.carrying import CarriesOf, Ways, carries_all
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.codes import Asked, Purpose, mask_phone
from gateway.domain.events import EVENTS_OF, Event
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.orders import Order
from gateway.domain.payments import Payment, asked_anew, authenticating, begun, failed, in_line, on_a_page
from gateway.domain.scenes import REDIRECT_SCENES
from gateway.domain.statuses import Status, move
from gateway.domain.terms import Product
from gateway.flows.refusal import refusal_of
from gateway.flows.route import (
    ABLE,
    Payer,
    Unable,
    binds_silently,
    candidates_for,
    needs_agreement,
    pays_by_code,
    with_bound,
)
from gateway.objects.events import event_of
from gateway.ports import OverloadedError, SendBeforeError, TermsOf, UserFacts
from router.decide import Decision, decide
from router.facts import RouteRequest
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
        return _sends_sms(self.payment, self.sms)


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
    notes = list(order.notes)
    if order.bank_by_bin is not None and order.bank_by_bin != order.bank:
        notes.append(f"the request says bank {order.bank}, the card number {order.bank_by_bin}: the request wins")
    if notes:
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


@dataclass(frozen=True, slots=True)
class FirstIds:
    """Of what a payment may begin with, drawn by whoever sends it."""

    intent_id: UUID
    """Of the first intent: to pay, to authenticate the card, or to send an SMS."""
    authentication_id: UUID


@dataclass(frozen=True, slots=True)
class FirstStep:
    """What a payment begins with: its intent to pay, an authentication that it starts or waits for, or an SMS."""

    payment: Payment
    authentication: Authentication | None = None
    """The one that it starts."""
    sms: Intent | None = None

    @property
    def sends_sms(self) -> bool:
        """As of `Opened`."""
        return _sends_sms(self.payment, self.sms)


def _sends_sms(payment: Payment, sms: Intent | None) -> bool:
    return sms is not None or (payment.attempt is not None and payment.asked is not None and payment.asked.by_pay)


def first_step(
    payment: Payment,
    channel: Channel,
    ids: FirstIds,
    phone: str,
    catalogue: Catalogue,
    terms_of: TermsOf,
    ways: Ways,
    now: datetime,
    *,
    bound: bool,
    in_flight: UUID | None,
) -> FirstStep:
    """What comes before the wire of a payment that is sent now, by the way in which its channel authenticates.

    `phone`: the payer's, masked or not. `bound`: its card has an agreement here. `in_flight`: its silent authentication
    here, if one is.
    """
    since = now if payment.created_at < now else None
    if pays_by_code(channel, payment.scene, payment.bank):
        payment = replace(payment, asked=_code_to_pay(payment, phone, ways, now, since))
    if bound or not needs_agreement(channel, payment.scene, payment.bank, ways):
        due_at = terms_of(payment.merchant_id, channel.account, Product.PAYMENT).unanswered(now)
        if payment.asked is not None and not payment.asked.by_pay:
            payment = replace(asked_anew(payment, now, due_at), until_at=None)
            return FirstStep(payment, sms=sms_to_pay(payment, ids.intent_id, now))
        return FirstStep(begun(payment, intent_to_pay(payment, ids.intent_id, now), due_at))
    due_at = terms_of(payment.merchant_id, channel.account, Product.AUTHENTICATION).unanswered(now)
    payment = authenticating(payment, in_flight or ids.authentication_id, due_at)
    if in_flight:
        return FirstStep(payment)
    started = authentication_of(payment, channel, ids.intent_id, now)
    if binds_silently(catalogue, channel, payment.bank, ways):
        return FirstStep(payment, started)
    started = replace(started, intent=None)
    asked = replace(code_to_sign(started, phone, ways), since=since)
    started = replace(started, asked=asked.another(now))
    return FirstStep(payment, started, sms_to_sign(started, ids.intent_id, now))


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


def _code_to_pay(payment: Payment, phone: str, ways: Ways, now: datetime, since: datetime | None) -> Asked:
    assert payment.channel_order_no is not None
    return Asked(
        Purpose.PAY,
        mask_phone(phone),
        payment.channel_order_no,
        now,
        by_pay=ways.by_pay,
        ends_order=ways.ends_order,
        since=since,
    )


def code_to_sign(authentication: Authentication, phone: str, ways: Ways) -> Asked:
    """What its payer will be asked for; silent tries before it count among those that bind."""
    return Asked(
        Purpose.SIGN,
        mask_phone(phone),
        number_of(authentication.authentication_id),
        authentication.created_at,
        ends_order=ways.ends_order,
        submitted=authentication.intent.ordinal if authentication.intent else 0,
    )


def sms_to_pay(payment: Payment, intent_id: UUID, now: datetime) -> Intent:
    """The request for the newest SMS of a payment."""
    assert payment.asked is not None
    assert payment.channel is not None
    assert payment.account is not None
    return _sms(payment.asked, payment.payment_id, Verb.SEND_PAYMENT_CODE, payment.channel, payment.account, intent_id,
                now)  # fmt: skip


def sms_to_sign(authentication: Authentication, intent_id: UUID, now: datetime) -> Intent:
    """The request for the newest SMS to sign a card with."""
    assert authentication.asked is not None
    return _sms(authentication.asked, authentication.authentication_id, Verb.SEND_SIGNING_CODE, authentication.channel,
                authentication.account, intent_id, now)  # fmt: skip


def _sms(
    asked: Asked, object_id: UUID, verb: Verb, channel: str, account: str, intent_id: UUID, now: datetime
) -> Intent:
    return Intent(
        intent_id=intent_id,
        object_id=object_id,
        verb=verb,
        ordinal=asked.sms,
        channel=channel,
        account=account,
        number=asked.number,
        told_at=asked.told_at,
        recorded_at=now,
        amount=None,
    )


def intent_to_sign(authentication: Authentication, intent_id: UUID, now: datetime) -> Intent:
    """The intent that submits the code that the payer typed."""
    asked = authentication.asked
    assert asked is not None
    return Intent(
        intent_id=intent_id,
        object_id=authentication.authentication_id,
        verb=Verb.AUTHENTICATE,
        ordinal=asked.submitted + 1,
        channel=authentication.channel,
        account=authentication.account,
        number=asked.number,
        told_at=asked.told_at,
        recorded_at=now,
        amount=None,
    )


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


def intent_to_pay(payment: Payment, intent_id: UUID, now: datetime) -> Intent:
    """The intent that takes the number of the payment's order. `intent_id` is drawn by whoever sends it."""
    assert payment.channel is not None
    assert payment.account is not None
    assert payment.channel_order_no is not None
    asked = payment.asked if payment.asked and payment.asked.purpose is Purpose.PAY else None
    return Intent(
        intent_id=intent_id,
        object_id=payment.payment_id,
        verb=Verb.PAY,
        ordinal=payment.attempt.ordinal + 1 if payment.attempt else 1,
        channel=payment.channel,
        account=payment.account,
        number=payment.channel_order_no,
        told_at=asked.told_at if asked else now,
        recorded_at=now,
        amount=payment.amount,
    )


def authentication_of(payment: Payment, channel: Channel, intent_id: UUID, now: datetime) -> Authentication:
    """The authentication that a payment starts and waits for. `intent_id` is drawn by whoever sends it."""
    assert payment.card is not None
    assert payment.authentication_id is not None
    return Authentication(
        merchant_id=payment.merchant_id,
        authentication_id=payment.authentication_id,
        payment_id=payment.payment_id,
        user_id=payment.user_id,
        card_id=payment.card.card_id,
        bank=payment.bank,
        channel=channel.code,
        account=channel.account,
        status=move(ObjectKind.AUTHENTICATION, None, Status.PROCESSING),
        fee=channel.authentication_fee,
        failure=None,
        contradicts=False,
        intent=Intent(
            intent_id=intent_id,
            object_id=payment.authentication_id,
            verb=Verb.AUTHENTICATE,
            ordinal=1,
            channel=channel.code,
            account=channel.account,
            number=number_of(payment.authentication_id),
            told_at=now,
            recorded_at=now,
            amount=None,
        ),
        due_at=payment.due_at,
        created_at=now,
        finished_at=None,
        card_masked=payment.card.masked,
        expires_in_s=payment.expires_in_s,
    )


def _decide(
    order: Order, facts: UserFacts, catalogue: Catalogue, now: datetime, unable: Unable, carries_of: CarriesOf
) -> Decision:
    merchant = catalogue.merchants[order.merchant_id]
    request = RouteRequest(
        user_id=order.user_id,
        scene=order.scene,
        bank=order.bank,
        amount=order.amount,
        now=now,
        customer_present=order.customer_present,
        last_attempt_max_age=merchant.last_attempt_max_age,
        authentication_spread=merchant.authentication_spread,
        blocked=facts.blocked,
    )
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
    )
