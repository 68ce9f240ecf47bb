"""Rows of usage: what a user used of a channel on a day, and how their last attempt there ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Protocol
from uuid import UUID

from gateway.domain.failures import Blame, Failure, FailureCode
from gateway.domain.payments import FINAL, Payment
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.statuses import Status
from gateway.storage.tables import channel_usage, last_attempts
from gateway.storage.tables.limits import NO_MORE_TODAY
from gateway.storage.writing.statement import Write, differing
from gateway.storage.writing.totals import Change, OfCard

__all__ = ["UsageChanges", "reserve"]

_NOTHING: Final = OfCard()


class Attempt(Protocol):
    """What usage knows of a payment, or of a recorded route."""

    @property
    def payment_id(self) -> UUID: ...

    @property
    def user_id(self) -> str: ...

    @property
    def status(self) -> Status: ...

    @property
    def failure(self) -> Failure | None: ...

    @property
    def finished_at(self) -> datetime | None: ...


def reserve(write: Write, routed: Sequence[Payment] | Sequence[RecordedRoute], *, only: str) -> None:
    """Reserve the amounts of payments, or of routes, that the part `only` returned."""
    rows = [
        {
            "payment_id": payment.payment_id,
            "user_id": payment.user_id,
            "channel": payment.channel,
            "business_day": payment.business_day,
            "reserved": payment.amount,
            "succeeded": 0,
            "insufficient": 0,
        }
        for payment in routed
    ]
    write.insert(
        channel_usage,
        rows,
        only=(only, "payment_id"),
        summed=("reserved", "succeeded", "insufficient"),
        conflict="ON CONFLICT (merchant_id, user_id, channel, business_day) "
        "DO UPDATE SET reserved = channel_usage.reserved + excluded.reserved",
    )


@dataclass(slots=True)
class _Usage:
    """How a user's usage of a channel on a day changes."""

    reserved: int = 0
    succeeded: int = 0
    insufficient: int = 0


@dataclass(slots=True)
class UsageChanges:
    """How a flush moves usage, and which attempts became the last ones."""

    usage: dict[tuple[str, str, date], _Usage] = field(default_factory=dict)
    last: dict[tuple[str, str], Attempt] = field(default_factory=dict)
    """(user, channel) → the attempt that finished there last."""
    used: dict[Change, OfCard] = field(default_factory=dict)
    """By how much what is used of a channel and of a card changes, and how often a card failed for want of balance.
    What was reserved and succeeds changes nothing."""

    def count(self, before: Payment, after: Payment) -> None:
        """Count what one change of a payment means."""
        if after.channel is None:
            return
        late = _is_late(after) and not _is_late(before)
        if after.status is before.status and not late:
            return
        usage = self.usage.setdefault((after.user_id, after.channel, after.business_day), _Usage())
        used = 0
        if after.status is not before.status and after.status in FINAL:
            used -= after.amount
            usage.reserved -= after.amount
            self._keep_last(after, after.channel)
        if late or (after.status is Status.SUCCEEDED and before.status is not Status.SUCCEEDED):
            used += after.amount
            usage.succeeded += after.amount
        insufficient = 0
        if after.failure and not before.failure and after.failure.code is FailureCode.INSUFFICIENT_BALANCE:
            insufficient = 1 + (NO_MORE_TODAY if after.failure.no_more_today else 0)
            usage.insufficient += insufficient
        if used or insufficient:
            of = (after.channel, after.business_day, after.card.card_id if after.card else None)
            before_it = self.used.get(of, _NOTHING)
            self.used[of] = OfCard(before_it.used + used, before_it.insufficient + insufficient)

    def count_route(self, before: RecordedRoute, after: RecordedRoute) -> None:
        """Count what one change of a recorded route means. One whose day is over has no reservation any more."""
        if after.channel is None:
            return
        ended = after.status is not before.status
        reserved, succeeded = after.reserved - before.reserved, after.taken - before.taken
        wants_balance = after.failure is not None and after.failure.code is FailureCode.INSUFFICIENT_BALANCE
        insufficient = 1 if ended and wants_balance else 0
        if reserved or succeeded or insufficient:
            usage = self.usage.setdefault((after.user_id, after.channel, after.business_day), _Usage())
            usage.reserved += reserved
            usage.succeeded += succeeded
            usage.insufficient += insufficient
            of = (after.channel, after.business_day, after.card.card_id if after.card else None)
            was = self.used.get(of, _NOTHING)
            self.used[of] = OfCard(was.used + reserved + succeeded, was.insufficient + insufficient)
        if ended:
            self._keep_last(after, after.channel)

    def _keep_last(self, after: Attempt, channel: str) -> None:
        ours = after.failure is not None and after.failure.blame is Blame.PLATFORM
        if after.status in {Status.SUCCEEDED, Status.FAILED} and not ours:
            key = (after.user_id, channel)
            self.last[key] = max(after, self.last.get(key, after), key=_finish_order)

    def write(self, write: Write) -> None:
        """Add what they change to a statement."""
        write.update(
            channel_usage,
            [
                {
                    "user_id": user_id,
                    "channel": channel,
                    "business_day": business_day,
                    "reserved": usage.reserved,
                    "succeeded": usage.succeeded,
                    "insufficient": usage.insufficient,
                }
                for (user_id, channel, business_day), usage in _in_order(self.usage)
            ],
            by=["user_id", "channel", "business_day"],
            changes=", ".join(f"{name} = t.{name} + v.{name}" for name in ("reserved", "succeeded", "insufficient")),
        )
        news = differing(["payment_id", "status", "blame", "finished_at"])
        write.insert(
            last_attempts,
            [
                {
                    "user_id": user_id,
                    "channel": channel,
                    "payment_id": payment.payment_id,
                    "status": payment.status,
                    "blame": payment.failure.blame if payment.failure else None,
                    "finished_at": payment.finished_at,
                }
                for (user_id, channel), payment in sorted(self.last.items(), key=lambda each: each[0])
            ],
            conflict=f"ON CONFLICT (merchant_id, user_id, channel) DO UPDATE SET {news} WHERE "
            "(last_attempts.finished_at, last_attempts.payment_id) < (excluded.finished_at, excluded.payment_id)",
        )


def _in_order(usage: Mapping[tuple[str, str, date], _Usage]) -> list[tuple[tuple[str, str, date], _Usage]]:
    return [(key, usage[key]) for key in sorted(usage)]


def _is_late(payment: Payment) -> bool:
    return payment.attempt is not None and payment.attempt.late_success


def _finish_order(payment: Attempt) -> tuple[datetime, UUID]:
    assert payment.finished_at is not None
    return payment.finished_at, payment.payment_id
