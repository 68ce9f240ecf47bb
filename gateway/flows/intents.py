"""The intents that are recorded before the wire is touched, and what their payer is asked for. Pure."""

from datetime import datetime
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import Ways
from gateway.domain.codes import Asked, Purpose, mask_phone
from gateway.domain.ids import number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.payments import Payment

__all__ = ["code_to_pay", "code_to_sign", "intent_to_pay", "intent_to_sign", "sms_to_pay", "sms_to_sign"]


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


def code_to_pay(payment: Payment, phone: str, ways: Ways, now: datetime, since: datetime | None) -> Asked:
    """What its payer will be asked for at each payment. `since`: from when on, if that is not the opening."""
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
