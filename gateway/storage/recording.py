"""Record what PSPs say: one transaction for all the facts of a merchant that wait.

Answers, polls, callbacks and authentications go through here together. Each fact is applied to the payment as it is
under the lock (`domain.transitions`), in memory and in turn; then one statement writes what changed, the event of each
change, and the deliveries of each event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EVENT_OF_STATUS, Event, EventType, payment_event
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Authenticated, Declined, NotFound, NotSent, SmsNeeded, Succeeded, Unknown
from gateway.domain.payments import FINAL, Payment, Stage, Status
from gateway.domain.transitions import Verdict, apply, apply_authentication
from gateway.metrics import ANOMALIES
from gateway.ports import AuthenticationFact, Fact, PaceOf, PaymentFact, Recorded
from gateway.storage.crypto import KeyRing
from gateway.storage.facts import agreement_context
from gateway.storage.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.rows import payment_of, payment_select
from gateway.storage.statement import Row, Write, differing, fetch
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
from gateway.storage.users import lock_users


class UnknownPaymentError(Exception):
    """A fact about a payment that is not in the books: a bug, since facts carry ids that were read from them."""


@dataclass(slots=True)
class _Usage:
    """How a user's usage of a channel on a day changes."""

    reserved: int = 0
    succeeded: int = 0
    insufficient: int = 0


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built: the payments as they become, and the rows that tell how."""

    payments: dict[UUID, Payment]
    anomalies_known: set[tuple[UUID, str]]
    verified_elsewhere: set[tuple[UUID, str]]
    """(card, account) for which another account has verified the card."""
    recorded: frozenset[UUID] = frozenset()
    """Observations that an earlier try of this flush has committed."""
    changed: dict[UUID, Payment] = field(default_factory=dict)
    usage: dict[tuple[str, str, date], _Usage] = field(default_factory=dict)
    last: dict[tuple[str, str], Payment] = field(default_factory=dict)
    """(user, channel) → the payment that finished there last."""
    agreements: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    authentications: dict[UUID, Row] = field(default_factory=dict)
    observations: list[Row] = field(default_factory=list)
    anomalies: list[Row] = field(default_factory=list)
    events: list[tuple[UUID, Event]] = field(default_factory=list)


class RecordingStore:
    """Records facts; `flush` is what a Batcher calls."""

    def __init__(
        self,
        engine: AsyncEngine,
        ring: KeyRing,
        catalogue: Callable[[], Catalogue],
        pace_of: PaceOf,
        hand_over: HandOver | None,
    ) -> None:
        self._engine = engine
        self._ring = ring
        self._catalogue = catalogue
        self._pace_of = pace_of
        self._hand_over = hand_over

    async def flush(self, facts: list[Fact]) -> Sequence[Recorded | Exception]:
        """Record many facts of one merchant. The results stand in the order of the facts."""
        try:
            return await self._record(facts, tried_before=False)
        except IntegrityError as error:
            if not _is_of_a_known_observation(error):
                raise
            # The answer to an earlier COMMIT was lost, and the flush was tried again.
            return await self._record(facts, tried_before=True)

    async def _record(self, facts: list[Fact], *, tried_before: bool) -> Sequence[Recorded | Exception]:
        merchant_id, now = facts[0].merchant_id, max(fact.at for fact in facts)
        catalogue = self._catalogue()
        async with self._engine.begin() as connection:
            await lock_users(connection, merchant_id, (fact.user_id for fact in facts), now)
            flush = await self._read(connection, merchant_id, facts)
            if tried_before:
                ids = [fact.observation_id for fact in facts]
                rows = await fetch(connection, READ_OBSERVATIONS, merchant_id, ids)
                flush.recorded = frozenset(row[0] for row in rows)
            results = [self._apply(flush, fact) for fact in facts]
            due = deliveries_of((event for _, event in flush.events), catalogue, now)
            write = _write(merchant_id, flush)
            write_events(write, flush.events, due, leased=self._hand_over is not None, only="told")
            await write.run(connection, "SELECT 1")
        if self._hand_over and due:
            self._hand_over(due)
        count_events(event for _, event in flush.events)
        for anomaly in flush.anomalies:
            ANOMALIES.labels(anomaly["kind"]).inc()
        return results

    async def _read(self, connection: AsyncConnection, merchant_id: UUID, facts: list[Fact]) -> _Flush:
        ids = {fact.payment_id for fact in facts}
        select = payment_select().where(payments.c.merchant_id == merchant_id, payments.c.payment_id.in_(ids))
        found = {payment.payment_id: payment for payment in map(payment_of, await connection.execute(select))}
        suspicious = [f.payment_id for f in facts if _may_contradict(f, found.get(f.payment_id))]
        known = await fetch(connection, READ_ANOMALIES, merchant_id, suspicious) if suspicious else ()
        cards = [
            payment.card.card_id
            for fact in facts
            if isinstance(fact, AuthenticationFact) and isinstance(fact.outcome, Declined)
            if (payment := found.get(fact.payment_id)) and payment.card
        ]
        verified = await fetch(connection, READ_VERIFIERS, merchant_id, cards) if cards else ()
        accounts: dict[UUID, set[str]] = {}
        for card_id, account in verified:
            accounts.setdefault(card_id, set()).add(account)
        elsewhere = {
            (p.card.card_id, p.attempt.account)
            for p in found.values()
            if p.card and p.attempt and accounts.get(p.card.card_id, set()) - {p.attempt.account}
        }
        return _Flush(found, {(row[0], row[1]) for row in known}, elsewhere)

    def _apply(self, flush: _Flush, fact: Fact) -> Recorded | Exception:
        before = flush.payments.get(fact.payment_id)
        if before is None or before.attempt is None:
            return UnknownPaymentError(str(fact.payment_id))
        if fact.observation_id in flush.recorded:
            return Recorded(before, submit=_has_recorded_intent(fact, before))
        pace = self._pace_of(fact.merchant_id, before.attempt.account)
        if isinstance(fact, PaymentFact):
            verdict = apply(before, fact.source, fact.outcome, pace, fact.at)
        else:
            verdict = self._apply_authentication(flush, fact, before)
        flush.observations.append(_observation(fact))
        after = self._tell(flush, fact, before, verdict)
        if verdict.changed or after is not before:
            flush.payments[fact.payment_id] = flush.changed[fact.payment_id] = after
        _count_usage(flush, before, after)
        self._keep_agreement(flush, fact, after, verdict)
        return Recorded(after, verdict.submit)

    def _apply_authentication(self, flush: _Flush, fact: AuthenticationFact, before: Payment) -> Verdict:
        assert before.attempt is not None
        elsewhere = (
            before.card is not None and (before.card.card_id, before.attempt.account) in flush.verified_elsewhere
        )
        pace = self._pace_of(fact.merchant_id, before.attempt.account)
        verdict = apply_authentication(before, fact.outcome, elsewhere, pace, fact.at)
        if verdict.changed and before.attempt.authentication_id is not None:
            rejected = isinstance(fact.outcome, Declined | SmsNeeded)
            code, message = _words(fact)
            flush.authentications[before.attempt.authentication_id] = {
                "authentication_id": before.attempt.authentication_id,
                "status": _AUTHENTICATION_STATUS[type(fact.outcome)],
                "channel_code": code,
                "channel_message": message,
                "contradicts": rejected and elsewhere,
                "finished_at": fact.at,
            }
        return verdict

    def _tell(self, flush: _Flush, fact: Fact, before: Payment, verdict: Verdict) -> Payment:
        """The payment after a fact, with the event of its change and that of a new anomaly counted."""
        after = verdict.payment
        if after.status is not before.status and after.status in EVENT_OF_STATUS:
            after = replace(after, sequence=after.sequence + 1)
            event = payment_event(after, EVENT_OF_STATUS[after.status], after.sequence, fact.event_id, fact.at)
            flush.events.append((after.payment_id, event))
        anomaly = verdict.anomaly
        if anomaly is not None and (after.payment_id, anomaly.kind) not in flush.anomalies_known:
            flush.anomalies_known.add((after.payment_id, anomaly.kind))
            after = replace(after, sequence=after.sequence + 1)
            flush.anomalies.append(
                {
                    "anomaly_id": fact.anomaly_id,
                    "payment_id": after.payment_id,
                    "kind": anomaly.kind,
                    "detail": anomaly.detail,
                    "source": fact.source,
                    "found_at": fact.at,
                }
            )
            event = payment_event(
                after, EventType.PAYMENT_ANOMALY, after.sequence, fact.anomaly_event_id, fact.at, anomaly
            )
            flush.events.append((after.payment_id, event))
        return after

    def _keep_agreement(self, flush: _Flush, fact: Fact, payment: Payment, verdict: Verdict) -> None:
        if payment.card is None or payment.attempt is None:
            return
        card_id, account = key = (payment.card.card_id, payment.attempt.account)
        row: Row = {"card_id": card_id, "account": account, "verified_at": fact.at}
        if verdict.agreement_no is not None:
            context = agreement_context(payment.merchant_id, card_id, account)
            sealed = self._ring.encrypt(verdict.agreement_no.encode(), context)
            row |= {"agreement_no": sealed, "key_version": self._ring.current, "status": "active", "voided_at": None}
            flush.agreements[key] = row
        elif verdict.voids_agreement:
            flush.agreements[key] = {"card_id": card_id, "account": account, "status": "void", "voided_at": fact.at}


READ_OBSERVATIONS = (
    "SELECT observation_id FROM observations WHERE merchant_id = $1 AND observation_id = ANY($2::uuid[])"
)
READ_ANOMALIES = "SELECT payment_id, kind FROM anomalies WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[])"
READ_VERIFIERS = "SELECT card_id, account FROM agreements WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])"

_AUTHENTICATION_STATUS: dict[type, str] = {
    Authenticated: "succeeded",
    Declined: "rejected",
    SmsNeeded: "rejected",
    Unknown: "unknown",
    NotFound: "unknown",
    NotSent: "not_sent",
}


def _is_of_a_known_observation(error: IntegrityError) -> bool:
    constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) or ""
    return str(constraint).startswith("observations_pkey")


def _has_recorded_intent(fact: Fact, payment: Payment) -> bool:
    """Whether the intent to pay, as it stands, was recorded by this very fact."""
    assert payment.attempt is not None
    return (
        isinstance(fact.outcome, Authenticated)
        and payment.status is Status.PROCESSING
        and payment.attempt.stage is Stage.PAYING
        and payment.attempt.submitted_at == fact.at
        and payment.attempt.polls == 0
    )


def _may_contradict(fact: Fact, payment: Payment | None) -> bool:
    """Whether a fact could be an anomaly: only then are the known ones read."""
    if payment is None or payment.status in FINAL:
        return True
    if not isinstance(fact.outcome, Succeeded):
        return False
    unsent = payment.attempt is None or payment.attempt.stage is not Stage.PAYING
    return unsent or fact.outcome.amount not in (None, payment.amount)


def _observation(fact: Fact) -> Row:
    says = _snake(type(fact.outcome).__name__)
    code, message = _words(fact)
    return {
        "observation_id": fact.observation_id,
        "payment_id": fact.payment_id,
        "source": fact.source,
        "says": f"authentication_{says}" if isinstance(fact, AuthenticationFact) else says,
        "channel_code": code,
        "channel_message": message,
        "observed_at": fact.at,
    }


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _words(fact: Fact) -> tuple[str | None, str | None]:
    """The PSP's own code and words, or why there are none."""
    outcome = fact.outcome
    if isinstance(outcome, NotSent):
        return None, outcome.reason
    if isinstance(outcome, Unknown):
        return outcome.channel_code, outcome.channel_message or outcome.reason
    return outcome.channel_code, getattr(outcome, "channel_message", None)


def _count_usage(flush: _Flush, before: Payment, after: Payment) -> None:
    """How a change moves a user's usage of the channel, and whether it is their last attempt there."""
    attempt = after.attempt
    assert attempt is not None
    assert before.attempt is not None
    late = attempt.late_success and not before.attempt.late_success
    if after.status is before.status and not late:
        return
    usage = flush.usage.setdefault((after.user_id, attempt.channel, after.business_day), _Usage())
    if after.status is not before.status and after.status in FINAL:
        usage.reserved -= after.amount
        if after.status in (Status.SUCCEEDED, Status.FAILED):
            key = (after.user_id, attempt.channel)
            flush.last[key] = max(after, flush.last.get(key, after), key=_finish_order)
    if late or (after.status is Status.SUCCEEDED and before.status is not Status.SUCCEEDED):
        usage.succeeded += after.amount
    if after.failure and not before.failure and after.failure.code is FailureCode.INSUFFICIENT_BALANCE:
        usage.insufficient += 1


def _finish_order(payment: Payment) -> tuple[datetime, UUID]:
    assert payment.finished_at is not None
    assert payment.attempt is not None
    return payment.finished_at, payment.attempt.attempt_id


def _write(merchant_id: UUID, flush: _Flush) -> Write:
    """The statement of a flush. Its part `told` returns the payments that changed."""
    write = Write(merchant_id)
    changed = list(flush.changed.values())
    write.update(
        payments,
        [_payment_row(payment) for payment in changed],
        by=["payment_id"],
        # Whoever moves what is due frees it; a callback that moves nothing leaves it to the one that is asking.
        also=", lease_until = CASE WHEN t.due_at IS NOT DISTINCT FROM v.due_at THEN t.lease_until END",
        part="told",
        returning="RETURNING t.payment_id",
    )
    write.update(attempts, [_attempt_row(payment) for payment in changed], by=["attempt_id"])
    write.insert(observations, flush.observations)
    write.insert(anomalies, flush.anomalies)
    write.update(authentications, list(flush.authentications.values()), by=["authentication_id"])
    kept = [row for row in flush.agreements.values() if row["status"] == "active"]
    news = differing(["agreement_no", "key_version", "status", "verified_at", "voided_at"])
    write.insert(agreements, kept, conflict=f"ON CONFLICT (merchant_id, card_id, account) DO UPDATE SET {news}")
    void = [row for row in flush.agreements.values() if row["status"] == "void"]
    write.update(agreements, void, by=["card_id", "account"], part="voided")
    write.update(
        channel_usage,
        [_usage_row(key, flush.usage[key]) for key in sorted(flush.usage)],
        by=["user_id", "channel", "business_day"],
        changes=", ".join(f"{name} = t.{name} + v.{name}" for name in ("reserved", "succeeded", "insufficient")),
    )
    news = differing(["attempt_id", "status", "blame", "finished_at"])
    write.insert(
        last_attempts,
        [_last_row(flush.last[key]) for key in sorted(flush.last)],
        conflict=f"ON CONFLICT (merchant_id, user_id, channel) DO UPDATE SET {news} WHERE "
        "(last_attempts.finished_at, last_attempts.attempt_id) < (excluded.finished_at, excluded.attempt_id)",
    )
    return write


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


def _usage_row(key: tuple[str, str, date], usage: _Usage) -> Row:
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
