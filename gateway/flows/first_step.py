"""What a payment begins with, by the way in which its channel authenticates its card. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import Ways
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.ids import ObjectKind, number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.payments import Payment, asked_anew, authenticating, begun
from gateway.domain.statuses import Status, move
from gateway.domain.terms import Product
from gateway.flows.intents import code_to_pay, code_to_sign, intent_to_pay, sms_to_pay, sms_to_sign
from gateway.flows.route import binds_silently, needs_agreement, pays_by_code
from gateway.ports import TermsOf

__all__ = ["FirstIds", "FirstStep", "asks_for_sms", "authentication_of", "first_step"]


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
        """Whether the payer gets an SMS for what is sent now: asked for, or by asking the PSP to pay."""
        return asks_for_sms(self.payment, self.sms)


def asks_for_sms(payment: Payment, sms: Intent | None) -> bool:
    """Whether the payer gets an SMS: asked for, or by asking the PSP to pay."""
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
        payment = replace(payment, asked=code_to_pay(payment, phone, ways, now, since))
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
        fee=channel.authentication_fee_on(payment.business_day),
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
