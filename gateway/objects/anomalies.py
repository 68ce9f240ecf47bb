"""How an anomaly is shown to operators."""

from typing import Any

from gateway.domain.anomalies import RecordedAnomaly
from gateway.domain.corrections import payment_of
from gateway.domain.ids import ANOMALY, PAYMENT, REFUND, show, show_object
from gateway.objects.times import timestamp

__all__ = ["anomaly_object"]


def anomaly_object(anomaly: RecordedAnomaly) -> dict[str, Any]:
    """An anomaly, open or resolved."""
    payment_id, refund_id, correction_id = payment_of(anomaly), anomaly.refund_id, anomaly.correction_id
    return {
        "object": "anomaly",
        "id": show(ANOMALY, anomaly.anomaly_id),
        "object_id": show_object(anomaly.object, anomaly.object_id),
        "kind": anomaly.kind,
        "detail": anomaly.detail,
        "source": anomaly.source,
        "found_at": timestamp(anomaly.found_at),
        "resolved_at": timestamp(anomaly.resolved_at),
        "resolved_by": anomaly.resolved_by,
        "note": anomaly.note,
        "payment": show(PAYMENT, payment_id) if payment_id is not None else None,
        "channel_transaction_no": anomaly.transaction_no,
        "resolution": anomaly.resolution,
        "refund": show(REFUND, refund_id) if refund_id is not None else None,
        "correction": show(PAYMENT, correction_id) if correction_id is not None else None,
    }
