"""Anomalies as they are kept, from the observation that contradicted to the operator's word on it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.domain.ids import ObjectKind

__all__ = ["AnomalyResolvedError", "RecordedAnomaly"]


class AnomalyResolvedError(Exception):
    """It was resolved before: what was noted then stays."""


@dataclass(frozen=True, slots=True)
class RecordedAnomaly:
    """An anomaly of an object. The last three fields are None while it is open, and then all set."""

    anomaly_id: UUID
    object: ObjectKind
    object_id: UUID
    kind: str
    detail: str
    source: str
    """Where the observation came from: answer, poll, callback or operator."""
    found_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None
