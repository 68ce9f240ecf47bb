"""Anomalies as they are kept, from the observation that contradicted to the operator's word on it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gateway.domain.ids import ObjectKind

__all__ = ["AnomalyResolvedError", "RecordedAnomaly", "Resolution"]


class AnomalyResolvedError(Exception):
    """It was resolved before: what was noted then stays."""


class Resolution(StrEnum):
    """What an operator makes of an anomaly."""

    REFUNDED = "refunded"  # the money that is proved to have moved goes back to the payer
    TAKEN_AS_PAID = "taken_as_paid"  # it is kept, as a payment of its own
    EXPLAINED = "explained"  # nothing is to be done, as the note says


@dataclass(frozen=True, slots=True)
class RecordedAnomaly:
    """An anomaly of an object. The fields from `resolved_at` on are None while it is open."""

    anomaly_id: UUID
    object: ObjectKind
    object_id: UUID
    kind: str
    detail: str
    source: str
    """Where the observation came from: answer, poll, callback or operator."""
    found_at: datetime
    payment_id: UUID | None = None
    """Of a checkout: the payment whose money came beside another's."""
    transaction_no: str | None = None
    """Of a transaction mismatch: the PSP's number of the second transaction."""
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    note: str | None = None
    resolution: Resolution | None = None
    refund_id: UUID | None = None
    """The refund that gives its money back. If that fails or comes back, the anomaly is open again."""
    correction_id: UUID | None = None
    """The payment that its money was taken as."""
