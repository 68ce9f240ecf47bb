"""What a flush of observations changes, and the one statement that writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from gateway.domain.events import Event
from gateway.domain.failures import FailureCode
from gateway.domain.payments import FINAL, Payment, Status
from gateway.storage.tables import (
    agreements,
    anomalies,
    attempts,
    authentications,
    channel_usage,
    last_attempts,
    observations,
    payments,
)
from gateway.storage.writing.cards import CardRow
from gateway.storage.writing.statement import Row, Write, differing


@dataclass(slots=True)
class Usage:
    """How a user's usage of a channel on a day changes."""

    reserved: int = 0
    succeeded: int = 0
    insufficient: int = 0


@dataclass(slots=True)
class Changes:
    """What one flush of observations changes: the payments as they become, and the rows that tell how."""

    payments: dict[UUID, Payment]
    anomalies_known: set[tuple[UUID, str]]
    verified_elsewhere: set[tuple[UUID, str]]
    """(card, account) for which another account has verified the card."""
    keepers: Mapping[UUID, CardRow]
    """For each card of these payments, the row that its agreements stand at."""
    recorded: frozenset[UUID] = frozenset()
    """Observations that an earlier try of this flush has committed."""
    changed: dict[UUID, Payment] = field(default_factory=dict)
    usage: dict[tuple[str, str, date], Usage] = field(default_factory=dict)
    last: dict[tuple[str, str], Payment] = field(default_factory=dict)
    """(user, channel) → the payment that finished there last."""
    agreements: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    void: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    """Agreements that a PSP calls void, with the time they were used."""
    authentications: dict[UUID, Row] = field(default_factory=dict)
    observations: list[Row] = field(default_factory=list)
    anomalies: list[Row] = field(default_factory=list)
    events: list[tuple[UUID, Event]] = field(default_factory=list)

    def count_usage(self, before: Payment, after: Payment) -> None:
        """How a change moves a user's usage of the channel, and whether it is their last attempt there."""
        attempt = after.attempt
        assert attempt is not None
        assert before.attempt is not None
        late = attempt.late_success and not before.attempt.late_success
        if after.status is before.status and not late:
            return
        usage = self.usage.setdefault((after.user_id, attempt.channel, after.business_day), Usage())
        if after.status is not before.status and after.status in FINAL:
            usage.reserved -= after.amount
            if after.status in (Status.SUCCEEDED, Status.FAILED):
                key = (after.user_id, attempt.channel)
                self.last[key] = max(after, self.last.get(key, after), key=_finish_order)
        if late or (after.status is Status.SUCCEEDED and before.status is not Status.SUCCEEDED):
            usage.succeeded += after.amount
        if after.failure and not before.failure and after.failure.code is FailureCode.INSUFFICIENT_BALANCE:
            usage.insufficient += 1

    def write(self, merchant_id: UUID) -> Write:
        """The statement that writes them. Its part `told` returns the payments that changed."""
        statement = Write(merchant_id)
        changed = list(self.changed.values())
        statement.update(
            payments,
            [_payment_row(payment) for payment in changed],
            by=["payment_id"],
            # Whoever moves what is due frees it; a callback that moves nothing leaves it to the one that is asking.
            also=", lease_until = CASE WHEN t.due_at IS NOT DISTINCT FROM v.due_at THEN t.lease_until END",
            part="told",
            returning="RETURNING t.payment_id",
        )
        statement.update(attempts, [_attempt_row(payment) for payment in changed], by=["attempt_id"])
        statement.insert(observations, self.observations)
        statement.insert(anomalies, self.anomalies)
        statement.update(authentications, list(self.authentications.values()), by=["authentication_id"])
        news = differing(["agreement_no", "key_version", "status", "verified_at", "voided_at"])
        statement.insert(
            agreements,
            list(self.agreements.values()),
            conflict=f"ON CONFLICT (merchant_id, card_id, account) DO UPDATE SET {news}",
        )
        statement.update(
            agreements,
            list(self.void.values()),
            by=["card_id", "account"],
            changes="status = 'void', voided_at = v.voided_at",
            # One that is newer than the use that was refused is not the one that was meant.
            when="t.status = 'active' AND t.verified_at <= v.verified_at",
            part="voided",
        )
        statement.update(
            channel_usage,
            [_usage_row(key, self.usage[key]) for key in sorted(self.usage)],
            by=["user_id", "channel", "business_day"],
            changes=", ".join(f"{name} = t.{name} + v.{name}" for name in ("reserved", "succeeded", "insufficient")),
        )
        news = differing(["attempt_id", "status", "blame", "finished_at"])
        statement.insert(
            last_attempts,
            [_last_row(self.last[key]) for key in sorted(self.last)],
            conflict=f"ON CONFLICT (merchant_id, user_id, channel) DO UPDATE SET {news} WHERE "
            "(last_attempts.finished_at, last_attempts.attempt_id) < (excluded.finished_at, excluded.attempt_id)",
        )
        return statement


def _finish_order(payment: Payment) -> tuple[datetime, UUID]:
    assert payment.finished_at is not None
    assert payment.attempt is not None
    return payment.finished_at, payment.attempt.attempt_id


def _payment_row(payment: Payment) -> Row:
    failure, due = payment.failure, payment.due
    return {
        "payment_id": payment.payment_id,
        "status": payment.status,
        "failure_code": failure.code if failure else None,
        "failure_blame": failure.blame if failure else None,
        "channel_code": failure.channel_code if failure else None,
        "channel_message": failure.channel_message if failure else None,
        "sequence": payment.sequence,
        "due_kind": due.kind if due else None,
        "due_at": due.at if due else None,
        "finished_at": payment.finished_at,
    }


def _attempt_row(payment: Payment) -> Row:
    attempt = payment.attempt
    assert attempt is not None
    return {
        "attempt_id": attempt.attempt_id,
        "stage": attempt.stage,
        "submitted_at": attempt.submitted_at,
        "polls": attempt.polls,
        "acknowledged": attempt.acknowledged,
        "not_found": attempt.not_found,
        "not_found_since": attempt.not_found_since,
        "channel_transaction_no": attempt.channel_transaction_no,
        "channel_finished_at": attempt.channel_finished_at,
        "late_success": attempt.late_success,
    }


def _usage_row(key: tuple[str, str, date], usage: Usage) -> Row:
    user_id, channel, business_day = key
    return {
        "user_id": user_id,
        "channel": channel,
        "business_day": business_day,
        "reserved": usage.reserved,
        "succeeded": usage.succeeded,
        "insufficient": usage.insufficient,
    }


def _last_row(payment: Payment) -> Row:
    attempt = payment.attempt
    assert attempt is not None
    return {
        "user_id": payment.user_id,
        "channel": attempt.channel,
        "attempt_id": attempt.attempt_id,
        "status": payment.status,
        "blame": payment.failure.blame if payment.failure else None,
        "finished_at": payment.finished_at,
    }
