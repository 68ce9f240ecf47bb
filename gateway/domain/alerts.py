"""Alerts: what a person should look at, from the moment it was seen until it is over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

__all__ = ["AcknowledgedError", "AlertKind", "AlertSearch", "RecordedAlert", "Severity"]


class AcknowledgedError(Exception):
    """Somebody acknowledged it before: what was noted then stays."""


class AlertKind(StrEnum):
    """What an alert tells. `about` says of what: in brackets."""

    CHANNEL_DEGRADED = "channel_degraded"  # too few payments succeed (scene/bank/channel)
    CHANNEL_SWITCHED_OFF = "channel_switched_off"  # while it is degraded (scene/bank/channel)
    TRANSACTION_RULE = "transaction_rule"  # a rule of the catalogue fired (the rule and its key, masked)
    STUCK_PAYMENTS = "stuck_payments"  # open for longer than they should be (channel)
    DEAD_LETTERS = "dead_letters"  # deliveries that were given up (endpoint)
    HELD_EVENTS = "held_events"  # deliveries that wait for a stopped endpoint (endpoint)
    ANOMALIES_OPEN = "anomalies_open"  # (kind of anomaly)
    DIFFERENCES_OPEN = "differences_open"  # of reconciliation (account)
    STATEMENT_LATE = "statement_late"  # (account)
    OLD_SNAPSHOT = "old_snapshot"  # a transaction that was left open (what holds it)
    BALANCE_LOW = "balance_low"  # (account)
    BALANCE_SILENT = "balance_silent"  # what it has is not known any more (account)


class Severity(StrEnum):
    """How soon a person should look."""

    WARNING = "warning"  # today
    CRITICAL = "critical"  # now


@dataclass(frozen=True, slots=True)
class AlertSearch:
    """Which alerts, newest first. None: all. `before`: the last one of the page before."""

    kind: AlertKind | None = None
    is_open: bool | None = None
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class RecordedAlert:
    """An alert. `times`: how often it was seen while it is open, `last_at` when last; `cleared_at` None: it is open.

    `detail`: numbers and codes; never of a card or a person.
    """

    alert_id: UUID
    kind: AlertKind
    about: str
    severity: Severity
    detail: Mapping[str, Any]
    raised_at: datetime
    last_at: datetime
    times: int
    cleared_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str | None = None
