"""How a payout is shown."""

from typing import Any

from gateway.domain.ids import PAYOUT, show
from gateway.domain.payouts import Payout
from gateway.objects.payments import failure_object
from gateway.objects.times import timestamp

__all__ = ["payout_object"]


def payout_object(payout: Payout, language: str = "en") -> dict[str, Any]:
    """The payout object as apps read it; `language` (`en` or `zh`) is that of the failure's message."""
    intent = payout.intent
    return {
        "id": show(PAYOUT, payout.payout_id),
        "object": "payout",
        "merchant_order_no": payout.merchant_order_no,
        "app": payout.app,
        "channel": payout.channel,
        "account": {"type": payout.payee.type, "account_no": payout.payee.masked, "bank": payout.payee.bank},
        "amount": payout.amount,
        "currency": payout.currency,
        "purpose": payout.purpose,
        "status": payout.status,
        "held_for": payout.held_for,
        "suspicion": payout.suspicion,
        "held_until": timestamp(payout.until_at),
        "settles": {"payments": payout.parts, "amount": payout.settles},
        "channel_order_no": intent.number if intent else None,
        "channel_transaction_no": intent.channel_transaction_no if intent else None,
        "fee": payout.fee,
        "expected_fee": payout.expected_fee,
        "failure": failure_object(payout.failure, language) if payout.failure else None,
        "returned": payout.returned,
        "created_at": timestamp(payout.created_at),
        "finished_at": timestamp(payout.finished_at),
        "channel_finished_at": timestamp(intent.channel_finished_at) if intent else None,
        "business_day": payout.business_day.isoformat(),
        "metadata": payout.metadata,
    }
