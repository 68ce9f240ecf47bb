"""How an anomaly is shown to operators."""

from typing import Any

from gateway.domain.anomalies import RecordedAnomaly
from gateway.domain.ids import ANOMALY, show, show_object
from gateway.objects.times import timestamp

__all__ = ["anomaly_object"]


def anomaly_object(anomaly: RecordedAnomaly) -> dict[str, Any]:
    """An anomaly, open or resolved."""
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
    }
