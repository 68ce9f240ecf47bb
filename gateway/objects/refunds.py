"""How a refund is shown."""

from typing import Any

from gateway.domain.ids import ANOMALY, PAYMENT, REFUND, show
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.objects.payments import failure_object
from gateway.objects.times import timestamp

__all__ = ["refund_object"]


def refund_object(refund: Refund, language: str = "en") -> dict[str, Any]:
    """The refund object as apps read it; `language` (`en` or `zh`) is that of the failure's message."""
    intent = refund.intent
    return {
        "id": show(REFUND, refund.refund_id),
        "object": "refund",
        "merchant_order_no": refund.merchant_order_no,
        "app": refund.app,
        "payment": show(PAYMENT, refund.payment_id),
        "user_id": refund.user_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "status": refund.status,
        "reason": refund.reason,
        "channel": intent.channel,
        "channel_order_no": intent.number,
        "channel_transaction_no": intent.channel_transaction_no,
        "failure": failure_object(refund.failure, language) if refund.failure else None,
        "returned": refund.returned,
        "fee_returned": refund.fee_returned if refund.status in {Status.SUCCEEDED, Status.RETURNED} else None,
        "created_at": timestamp(refund.created_at),
        "finished_at": timestamp(refund.finished_at),
        "channel_finished_at": timestamp(intent.channel_finished_at),
        "business_day": refund.business_day.isoformat(),
        "anomaly": show(ANOMALY, refund.anomaly_id) if refund.anomaly_id is not None else None,
        "metadata": refund.metadata,
    }
