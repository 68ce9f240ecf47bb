"""How a payment is shown, and why it failed."""

from typing import Any

from gateway.domain.checkouts import CheckoutRef
from gateway.domain.failures import MEANINGS, Failure
from gateway.domain.ids import CARD, CHECKOUT, PAYMENT, show
from gateway.domain.payments import Payment, Status
from gateway.objects.next_actions import next_action
from gateway.objects.times import timestamp
from router.record import limit_to_json

__all__ = ["checkout_of_try", "failure_object", "payment_object"]


def payment_object(payment: Payment, language: str = "en") -> dict[str, Any]:
    """The payment object as apps read it; `language` (`en` or `zh`) is that of the failure's message."""
    attempt, card, failure, asked = payment.attempt, payment.card, payment.failure, payment.asked
    waits = asked if payment.status is Status.REQUIRES_ACTION else None
    return {
        "id": show(PAYMENT, payment.payment_id),
        "object": "payment",
        "kind": payment.kind,
        "merchant_order_no": payment.merchant_order_no,
        "app": payment.app,
        "scene": payment.scene,
        "user_id": payment.user_id,
        "bank": payment.bank,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.status,
        "channel": payment.channel,
        "channel_order_no": payment.channel_order_no,
        "channel_transaction_no": attempt.channel_transaction_no if attempt else None,
        "card": {"id": show(CARD, card.card_id), "masked": card.masked, "bank": card.bank} if card else None,
        "fee": payment.fee,
        "expected_fee": payment.expected_fee,
        "authentication_fee": payment.authentication_fee,
        "failure": failure_object(failure, language) if failure else None,
        "next_action": next_action(waits, payment.expires_at or payment.until_at) if waits else None,
        "closed_reason": payment.closed_reason,
        "description": payment.description,
        "created_at": timestamp(payment.created_at),
        "finished_at": timestamp(payment.finished_at),
        "channel_finished_at": timestamp(attempt.channel_finished_at) if attempt else None,
        "business_day": payment.business_day.isoformat(),
        "refunded": payment.refunded,
        "settled": payment.settled,
        "corrects": show(PAYMENT, payment.corrects) if payment.corrects is not None else None,
        "checkout": checkout_of_try(payment.checkout),
        "metadata": payment.metadata,
    }


def checkout_of_try(checkout: CheckoutRef | None) -> dict[str, Any] | None:
    """The checkout that a payment or an authentication is a try of, as that shows it."""
    return {"id": show(CHECKOUT, checkout.checkout_id), "status": checkout.status} if checkout else None


def failure_object(failure: Failure, language: str) -> dict[str, Any]:
    """A failure as apps read it."""
    meaning = MEANINGS[failure.code]
    shown = {
        "code": failure.code,
        "blame": failure.blame,
        "message": meaning.zh if language == "zh" else meaning.en,
        "advice": failure.advice,
        "channel_code": failure.channel_code,
        "channel_message": failure.channel_message,
    }
    if failure.limit is None:
        return shown
    return shown | {"limit": limit_to_json(failure.limit), "max_amount_now": failure.max_amount_now}
