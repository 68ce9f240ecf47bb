"""THE transition table, and `apply`: what one observation does to a payment. Both pure.

An observation that contradicts a final state changes no money state: it becomes an anomaly for an operator.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from gateway.domain.failures import MEANINGS, Blame, Failure, FailureCode, failure
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import FINAL, Attempt, Due, Payment, Stage, Status
from gateway.domain.terms import Terms

TRANSITIONS: dict[Status | None, frozenset[Status]] = {
    None: frozenset({Status.PROCESSING, Status.REQUIRES_ACTION, Status.FAILED}),
    Status.REQUIRES_ACTION: frozenset({Status.PROCESSING, Status.SUCCEEDED, Status.FAILED, Status.CLOSED}),
    Status.PROCESSING: frozenset({Status.REQUIRES_ACTION, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset({Status.RETURNED}),  # payouts only
    Status.FAILED: frozenset(),
    Status.CLOSED: frozenset(),
    Status.RETURNED: frozenset(),
}
"""From (None: the start) to. Nothing else, ever."""


class IllegalTransitionError(Exception):
    """A bug: somebody tried to move a payment where the table has no way."""


def move(before: Status | None, after: Status) -> Status:
    """The new status, if the table has the way. Raises IllegalTransitionError by name."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransitionError(f"{before or 'start'} -> {after}")
    return after


class Source(StrEnum):
    """How an observation reached us."""

    ANSWER = "answer"  # the synchronous answer of a submission
    POLL = "poll"
    CALLBACK = "callback"


class AnomalyKind(StrEnum):
    """Observations that cannot be true together with what we have recorded."""

    LATE_SUCCESS = "late_success"  # failed here, and the PSP says it was paid
    LATE_FAILURE = "late_failure"  # succeeded here, and the PSP says it was not paid
    AMOUNT_MISMATCH = "amount_mismatch"  # paid, but another amount than ours
    TRANSACTION_MISMATCH = "transaction_mismatch"  # paid, and paid again under another number of theirs
    UNEXPECTED_SUCCESS = "unexpected_success"  # paid, but we never sent it


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A contradiction: recorded once per payment and kind, resolved by an operator."""

    kind: AnomalyKind
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an observation did. `payment` is the state after it; the rest is what must be recorded beside it."""

    payment: Payment
    changed: bool = False
    anomaly: Anomaly | None = None
    agreement_no: str | None = field(default=None, repr=False)
    """A new agreement to keep."""
    voids_agreement: bool = False
    submit: bool = False
    """The intent to pay was recorded by this very observation: its bearer, and nobody else, sends it."""


def apply(payment: Payment, source: Source, outcome: Outcome, terms: Terms, now: datetime) -> Verdict:
    """What a PSP's word about a payment does to it. `terms` are those of the product that it is about."""
    attempt = payment.attempt
    if attempt is None:
        return Verdict(payment)
    if isinstance(outcome, Succeeded):
        return _apply_success(payment, attempt, outcome, source, terms, now)
    if payment.status in FINAL:
        if isinstance(outcome, Declined) and payment.status is Status.SUCCEEDED:
            return Verdict(payment, anomaly=Anomaly(AnomalyKind.LATE_FAILURE, f"code {outcome.channel_code}"))
        return Verdict(payment)
    if attempt.stage is not Stage.PAYING:
        return Verdict(payment)
    match outcome:
        case Declined():
            attempt = replace(
                attempt, channel_transaction_no=outcome.channel_transaction_no or attempt.channel_transaction_no
            )
            verdict = _fail(payment, attempt, _declined(outcome), now)
            return replace(verdict, voids_agreement=outcome.code is FailureCode.AGREEMENT_VOID)
        case NotSent() if source is Source.ANSWER:
            return _fail(payment, attempt, _not_sent(outcome), now)
        case NotFound() if source is Source.POLL:
            return _apply_not_found(payment, attempt, outcome, terms, now)
        case Processing():
            known = outcome.channel_transaction_no or attempt.channel_transaction_no
            attempt = replace(attempt, channel_transaction_no=known, acknowledged=True)
            return _wait(payment, attempt, source, terms, now)
        case Unknown(received=True):
            return _wait(payment, replace(attempt, acknowledged=True), source, terms, now)
        case _:
            return _wait(payment, attempt, source, terms, now)


def _apply_success(
    payment: Payment, attempt: Attempt, outcome: Succeeded, source: Source, terms: Terms, now: datetime
) -> Verdict:
    if outcome.amount is not None and outcome.amount != payment.amount:
        anomaly = Anomaly(AnomalyKind.AMOUNT_MISMATCH, f"ours {payment.amount}, theirs {outcome.amount} fen")
        if payment.status in FINAL:
            return Verdict(payment, anomaly=anomaly)
        return replace(_wait(payment, replace(attempt, acknowledged=True), source, terms, now), anomaly=anomaly)
    if payment.status is Status.SUCCEEDED:
        return Verdict(payment, anomaly=_second_transaction(attempt, outcome))
    if payment.status in FINAL:
        late = replace(attempt, late_success=True)
        anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, f"paid at the channel, {payment.status} here")
        return Verdict(replace(payment, attempt=late), changed=not attempt.late_success, anomaly=anomaly)
    if attempt.stage is not Stage.PAYING:
        return Verdict(payment, anomaly=Anomaly(AnomalyKind.UNEXPECTED_SUCCESS, "paid before it was sent"))
    attempt = replace(
        attempt,
        channel_transaction_no=outcome.channel_transaction_no or attempt.channel_transaction_no,
        channel_finished_at=outcome.channel_finished_at,
    )
    return Verdict(_finish(payment, attempt, Status.SUCCEEDED, None, now), changed=True)


def _second_transaction(attempt: Attempt, outcome: Succeeded) -> Anomaly | None:
    """Paid once more under another number of theirs: perhaps the payer was charged twice."""
    ours, theirs = attempt.channel_transaction_no, outcome.channel_transaction_no
    if ours is None or theirs is None or ours == theirs:
        return None
    return Anomaly(AnomalyKind.TRANSACTION_MISMATCH, f"paid as {ours}, and as {theirs}")


def _apply_not_found(payment: Payment, attempt: Attempt, outcome: NotFound, terms: Terms, now: datetime) -> Verdict:
    since = attempt.not_found_since or now
    answers = attempt.not_found + 1
    attempt = replace(attempt, not_found=answers, not_found_since=since)
    waited_s = min((now - since).total_seconds(), (now - attempt.submitted_at).total_seconds())
    if not attempt.acknowledged and terms.proves_lost(answers, waited_s):
        if payment.status is Status.REQUIRES_ACTION:
            # The user's time and its grace are over, and the PSP has nothing on record.
            return Verdict(_finish(payment, attempt, Status.CLOSED, None, now), changed=True)
        reason = f"not received: {answers} answers over {waited_s:.0f} s"
        return _fail(payment, attempt, _not_received(outcome.channel_code, reason), now)
    return _wait(payment, attempt, Source.POLL, terms, now)


def apply_authentication(
    payment: Payment, outcome: AuthenticationOutcome, verified_elsewhere: bool, terms: Terms, now: datetime
) -> Verdict:
    """What the answer to a silent authentication does. Only a bound card lets the payment go on to be sent.

    `verified_elsewhere`: another account has verified this card, so a refusal is this channel's fault. `terms` are the
    payment's, which goes on from here; an authentication itself never waits for another answer.
    """
    attempt = payment.attempt
    agreement_no = outcome.agreement_no if isinstance(outcome, Authenticated) else None
    if attempt is None or payment.status is not Status.PROCESSING or attempt.stage is not Stage.AUTHENTICATING:
        return Verdict(payment, agreement_no=agreement_no)
    match outcome:
        case Authenticated():
            attempt = replace(attempt, stage=Stage.PAYING, submitted_at=now, polls=0)
            after = replace(payment, attempt=attempt, due=terms.unanswered(now))
            return Verdict(after, changed=True, agreement_no=agreement_no, submit=True)
        case Declined():
            # The card is good where another account says so, or where it was the channel that could not do it.
            theirs = verified_elsewhere or MEANINGS[outcome.code].blame is not Blame.PAYER
            blame = Blame.CHANNEL if theirs else Blame.PAYER
            return _fail(payment, attempt, _rejected(blame, outcome.channel_code, outcome.channel_message), now)
        case SmsNeeded():
            refused = _rejected(Blame.CHANNEL, outcome.channel_code, outcome.channel_message)
            return _fail(payment, attempt, refused, now)
        case NotSent():
            return _fail(payment, attempt, _not_sent(outcome), now)
        case Unknown() | NotFound():
            code, message = outcome.channel_code, outcome.channel_message
            unknown = failure(FailureCode.AUTHENTICATION_UNKNOWN, channel_code=code, channel_message=message)
            return _fail(payment, attempt, unknown, now)


def _wait(payment: Payment, attempt: Attempt, source: Source, terms: Terms, now: datetime) -> Verdict:
    """Nothing final: the next poll is due by the plan. A callback leaves the plan as it is."""
    if source is Source.CALLBACK:
        return Verdict(replace(payment, attempt=attempt), changed=attempt is not payment.attempt)
    polls = attempt.polls + (source is Source.POLL)
    attempt = replace(attempt, polls=polls)
    due = terms.after(polls, now)
    if payment.status is Status.REQUIRES_ACTION and payment.due is not None:
        # It waits for the user first: the expiry stays what is due, later if it is past and the PSP has the order.
        due = Due(payment.due.kind, max(payment.due.at, due.at))
    return Verdict(replace(payment, attempt=attempt, due=due), changed=True)


def _fail(payment: Payment, attempt: Attempt, why: Failure, now: datetime) -> Verdict:
    return Verdict(_finish(payment, attempt, Status.FAILED, why, now), changed=True)


def _finish(payment: Payment, attempt: Attempt, status: Status, why: Failure | None, now: datetime) -> Payment:
    after = move(payment.status, status)
    return replace(payment, status=after, failure=why, attempt=attempt, due=None, finished_at=now)


def _declined(outcome: Declined) -> Failure:
    return failure(outcome.code, channel_code=outcome.channel_code, channel_message=outcome.channel_message)


def _rejected(blame: Blame, code: str | None, message: str | None) -> Failure:
    return failure(FailureCode.AUTHENTICATION_REJECTED, blame=blame, channel_code=code, channel_message=message)


def _not_sent(outcome: NotSent) -> Failure:
    blame = Blame.PLATFORM if outcome.ours else Blame.CHANNEL
    return failure(FailureCode.CHANNEL_UNAVAILABLE, blame=blame, channel_message=outcome.reason)


def _not_received(code: str | None, reason: str) -> Failure:
    return failure(FailureCode.CHANNEL_UNAVAILABLE, channel_code=code, channel_message=reason)
