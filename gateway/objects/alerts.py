"""How an alert is shown to operators."""

from typing import Any

from gateway.domain.alerts import RecordedAlert
from gateway.domain.ids import ALERT, show
from gateway.objects.times import timestamp

__all__ = ["alert_object"]


def alert_object(alert: RecordedAlert) -> dict[str, Any]:
    """An alert, open or cleared."""
    return {
        "object": "alert",
        "id": show(ALERT, alert.alert_id),
        "kind": alert.kind,
        "about": alert.about,
        "severity": alert.severity,
        "detail": dict(alert.detail),
        "raised_at": timestamp(alert.raised_at),
        "last_at": timestamp(alert.last_at),
        "times": alert.times,
        "cleared_at": timestamp(alert.cleared_at),
        "acknowledged_at": timestamp(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "note": alert.note,
    }
