"""Hear: what one observation does to an intent. The same for every verb, complete, and pure.

    open     + final word        → ended (done, declined, not sent)
    open     + "not found"       → ended as not received, once the terms' rule says so; else it waits
    open     + anything else     → it waits, and is asked again by the plan
    ended    + the same word     → nothing
    ended    + a contrary word   → nothing but an anomaly: no final state ever changes
    done     + "it came back"    → returned

What ended without the PSP's word (not received, unknown) is looked at again for a day, and on the next morning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain import clocks
from gateway.domain.codes import ClosedReason
from gateway.domain.failures import Blame, Failure, FailureCode, failure
from gateway.domain.intents import Intent, IntentState, Verb
from gateway.domain.outcomes import (
    AnyOutcome,
    Authenticated,
    Closed,
    CodeSent,
    Declined,
    NotFound,
    NotSent,
    Processing,
    Returned,
    ReturnReason,
    SmsNeeded,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.redirects import RedirectRules
from gateway.domain.terms import Terms

__all__ = ["LOOK_AT", "Anomaly", "AnomalyKind", "Heard", "Source", "hear", "look_at"]


class Source(StrEnum):
    """How an observation reached us."""

    ANSWER = "answer"  # the synchronous answer of what was sent
    POLL = "poll"
    CALLBACK = "callback"
    OPERATOR = "operator"  # a person has the PSP's written word
    STATEMENT = "statement"  # a line of the PSP's statement, or that two statements are without one


class AnomalyKind(StrEnum):
    """Observations that cannot be true together with what we have recorded."""

    LATE_SUCCESS = "late_success"  # failed here, and the PSP says it was done
    LATE_FAILURE = "late_failure"  # succeeded here, and the PSP says it was not done
    AMOUNT_MISMATCH = "amount_mismatch"  # done, but with another amount than ours
    TRANSACTION_MISMATCH = "transaction_mismatch"  # done, and done again under another number of theirs
    UNEXPECTED_SUCCESS = "unexpected_success"  # done, but we never sent it
    PAID_TWICE = "paid_twice"  # of a checkout: one of its tries paid, and another was paid, too
    UNREPORTED = "unreported"  # of a recorded route: its app has not said in time how it ended


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A contradiction: recorded once per object and kind, resolved by an operator.

    `payment_id`: of a checkout that was paid twice, the payment whose money is to go back; once for each.
    """

    kind: AnomalyKind
    detail: str
    payment_id: UUID | None = None
    transaction_no: str | None = None
    """Of a transaction mismatch: the PSP's number of the second transaction."""

    @property
    def known_as(self) -> str:
        """What tells it from others of its object: each further transaction is one of its own."""
        return self.kind.value if self.transaction_no is None else f"{self.kind.value} {self.transaction_no}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What an observation did to an intent."""

    intent: Intent
    """As it is now."""
    due_at: datetime | None = None
    """When the PSP is asked next. Only with `moves_due`."""
    moves_due: bool = False
    """Otherwise the plan stays as it is."""
    failure: Failure | None = None
    """Why it ended without success, where it ended by this observation."""
    returned: ReturnReason | None = None
    """Why the money came back, where this observation says so first."""
    anomaly: Anomaly | None = None
    agreement_no: str | None = field(default=None, repr=False)
    """A new agreement to keep."""
    sms_needed: SmsNeeded | None = None
    """It ended by this word: nothing was done, and the payer must type a code first."""
    voids_agreement: bool = False
    closed: ClosedReason | None = None
    """It ended unpaid, and not by a refusal: nobody can pay it any more."""
    fee_returned: int | None = None
    """What the PSP gives back of its fee, in fen, where this observation took the refund on or did it, and says so."""


GIVES_UP_AFTER: Final = {Verb.AUTHENTICATE: 1}
"""Questions without a final answer after which a verb ends as unknown. Where money moves there is no such number."""

LOOK_AT: Final = time(8)
"""The last look, in the business zone, on the next business day."""
_TELLING_LOOKS: Final = (timedelta(hours=1), timedelta(hours=6))
"""With the one in the morning these tell the most: a provider that bears few questions is asked these."""
_LOOKS_OF_A_DAY: Final = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15)),
    *(timedelta(hours=hours) for hours in range(1, 25)),
)

_PUT_OFF: Final = timedelta(hours=1)
"""A look that cannot be sent is put off by this at most: to the next one, where that comes sooner."""
_UNSENT_LOOKS_WAIT: Final = timedelta(days=30)
"""After so long one that cannot be sent counts as one."""

_WRITTEN: Final = frozenset({Source.OPERATOR, Source.STATEMENT})
"""The PSP's word in writing: what it does not have was not received."""

_WATCHED: Final = frozenset({IntentState.NOT_RECEIVED, IntentState.UNKNOWN})

_NO_WORDS_OF_A_CODE: Final = (Succeeded, Returned, Closed, Processing, Authenticated, SmsNeeded, NotFound, Unbound)

_NO_WORDS_OF: Final[Mapping[Verb, tuple[type, ...]]] = {
    Verb.AUTHENTICATE: (Succeeded, Returned, Closed, Processing, CodeSent, Unbound),
    Verb.SEND_SIGNING_CODE: _NO_WORDS_OF_A_CODE,
    Verb.SEND_PAYMENT_CODE: _NO_WORDS_OF_A_CODE,
    Verb.PAY: (Authenticated, Returned, CodeSent, Unbound),
    Verb.REFUND: (Authenticated, Closed, SmsNeeded, CodeSent, Unbound),
    Verb.PAYOUT: (Authenticated, Closed, SmsNeeded, CodeSent, Unbound),
    Verb.UNBIND: (Succeeded, Returned, Closed, Processing, Authenticated, SmsNeeded, CodeSent),
}
"""What cannot be said of a verb. Whatever it means, the PSP has the order, and how it stands is unknown."""


def hear(
    intent: Intent,
    source: Source,
    outcome: AnyOutcome,
    terms: Terms,
    zone: ZoneInfo,
    now: datetime,
    expires_at: datetime | None = None,
    asked_at: datetime | None = None,
) -> Heard:
    """What a PSP's word does to an intent. `terms` are those of the verb's product, `zone` that of the business day.

    `expires_at`: until when the payer may pay it on the PSP's page, where that is how it is paid. `asked_at`: when the
    question was asked that it answers.
    """
    if expires_at is not None and terms.page is not None and intent.is_open:
        page = _Page(intent.told_at, expires_at, terms.page, asked_at or now)
        return _on_a_page(intent, source, outcome, terms, zone, now, page)
    return _heard(intent, source, outcome, terms, zone, now)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of the PSP's, and until when it takes the payment."""

    told_at: datetime
    expires_at: datetime
    rules: RedirectRules
    asked_at: datetime
    """An answer tells how it stood at some time after this: one that took long may be of before."""

    @property
    def is_over_at(self) -> datetime:
        """From when on it is proof that the PSP shows no payment: what was paid in time is finished by then."""
        again = self.expires_at - self.told_at if self.rules.lives_from_opening else timedelta(0)
        return self.expires_at + again + timedelta(seconds=self.rules.grace_s + clocks.PROOF_MARGIN_S)


def _on_a_page(
    intent: Intent, source: Source, outcome: AnyOutcome, terms: Terms, zone: ZoneInfo, now: datetime, page: _Page
) -> Heard:
    """What is said of an order that waits on the PSP's page: before its time is over, no silence proves anything."""
    match outcome:
        case Closed():
            reason = ClosedReason.BY_APP if source is Source.ANSWER else ClosedReason.BY_PAYER
            reason = reason if now < page.expires_at else ClosedReason.EXPIRED
            return replace(_heard(intent, source, outcome, terms, zone, now), closed=reason)
        case NotFound() | Processing(unpaid=True) if source is Source.POLL and page.asked_at < page.is_over_at:
            heard = _wait(intent, source, terms, now, page.is_over_at)
            return heard if now < page.is_over_at else replace(heard, due_at=now)
        case NotFound() if intent.acknowledged and source is Source.POLL:
            return _heard(intent, source, outcome, terms, zone, now)  # it was there: that it is gone proves nothing
        case NotFound() | Processing(unpaid=True) if source is Source.POLL and page.rules.ends_at_expiry:
            why = _not_received(outcome.channel_code, "not paid until its time was over")
            ended = _end(intent, IntentState.NOT_RECEIVED, now, failure=why)
            return replace(ended, due_at=look_at(now, 0, terms, zone), closed=ClosedReason.EXPIRED)
        case Processing(unpaid=True):  # to the PSP it is an order like any other: who finds it there found it
            return _wait(replace(intent, acknowledged=True), source, terms, now, page.is_over_at)
        case NotFound() if source in _WRITTEN and now < page.is_over_at:
            return Heard(intent)  # true of every form that nobody has opened so far
        case NotFound() if source in {Source.POLL, *_WRITTEN}:
            heard = _heard(intent, source, outcome, terms, zone, now)
            return heard if heard.intent.is_open else replace(heard, closed=ClosedReason.EXPIRED)
        case Succeeded() | Returned() | Declined():
            return _heard(intent, source, outcome, terms, zone, now)
        case NotSent():  # what was not sent is our wish to give it up: the payer's browser sends the order itself
            return _wait(intent, source, terms, now, page.is_over_at)
        case _:
            heard = _heard(intent, source, outcome, terms, zone, now)
            if heard.intent.is_open and heard.due_at is not None and now < page.is_over_at < heard.due_at:
                return replace(heard, due_at=page.is_over_at)
            return heard


def _heard(
    intent: Intent,
    source: Source,
    outcome: AnyOutcome,
    terms: Terms,
    zone: ZoneInfo,
    now: datetime,
) -> Heard:
    if isinstance(outcome, _NO_WORDS_OF[intent.verb]) or _asks_for_code_too_late(intent, source, outcome):
        outcome = Unknown(f"what the payment company said is no word of {intent.verb}", received=True)
    match outcome:
        case Authenticated():
            return _bound(intent, outcome, now)
        case Succeeded():
            return _done(intent, outcome, source, terms, zone, now)
        case Returned():
            return _returned(intent, outcome, now)
        case CodeSent() | Unbound():
            return _end(intent, IntentState.DONE, now) if intent.is_open else Heard(intent)
        case _ if not intent.is_open:
            return _after_the_end(intent, source, outcome, terms, zone, now)
        case Declined():
            known = outcome.channel_transaction_no or intent.channel_transaction_no
            ended = replace(intent, channel_transaction_no=known)
            heard = _end(ended, IntentState.DECLINED, now, failure=_declined(outcome))
            return replace(heard, voids_agreement=outcome.code is FailureCode.AGREEMENT_VOID)
        case Closed():
            why = _not_received(outcome.channel_code, outcome.channel_message or "closed unpaid at the channel")
            return _end(intent, IntentState.DECLINED, now, failure=why)
        case SmsNeeded():
            code, message = outcome.channel_code, outcome.channel_message
            why = failure(FailureCode.AUTHENTICATION_REJECTED, blame=Blame.CHANNEL, channel_code=code,
                          channel_message=message)  # fmt: skip
            return replace(_end(intent, IntentState.DECLINED, now, failure=why), sms_needed=outcome)
        case NotSent() if source is Source.ANSWER:
            return _end(intent, IntentState.NOT_SENT, now, failure=_not_sent(outcome))
        case NotFound() if source in _WRITTEN:
            by = "the channel says so in writing" if source is Source.OPERATOR else "two statements are without it"
            why = _not_received(outcome.channel_code, f"not received: {by}")
            return _end(intent, IntentState.NOT_RECEIVED, now, failure=why)
        case NotFound() if source is Source.POLL:
            return _not_found(intent, outcome, terms, zone, now)
        case Processing():
            known = outcome.channel_transaction_no or intent.channel_transaction_no
            intent = replace(intent, channel_transaction_no=known, acknowledged=True)
            heard = _wait(intent, source, terms, now)
            return heard if outcome.fee_returned is None else replace(heard, fee_returned=outcome.fee_returned)
        case Unknown(received=True):
            return _unsure(replace(intent, acknowledged=True), outcome, source, terms, zone, now)
        case NotFound() | Unknown():
            return _unsure(intent, outcome, source, terms, zone, now)
        case NotSent(ours=False):
            return _unsure(intent, Unknown(outcome.reason), source, terms, zone, now)
        case NotSent():
            return _wait(intent, source, terms, now)  # we did not ask: that tells nothing of the PSP


def _asks_for_code_too_late(intent: Intent, source: Source, outcome: AnyOutcome) -> bool:
    """Only the answer to what was sent can say that it waits for a code: a question may meet a code on its way."""
    asks = isinstance(outcome, SmsNeeded) and intent.verb is Verb.PAY
    return asks and not (source is Source.ANSWER and intent.is_open)


def look_at(ended_at: datetime, looks: int, terms: Terms, zone: ZoneInfo) -> datetime | None:
    """When what ended without the PSP's word is looked at next, after `looks` of them; None: no more."""
    plan = _looks(ended_at, terms, zone)
    return plan[looks] if looks < len(plan) else None


def _looks(ended_at: datetime, terms: Terms, zone: ZoneInfo) -> list[datetime]:
    """All of them, in order. Where the provider bears fewer, those that tell the most."""
    local = ended_at.astimezone(zone)
    morning = datetime.combine(local.date() + timedelta(days=1), LOOK_AT, zone).astimezone(ended_at.tzinfo)
    telling = [*(ended_at + gap for gap in _TELLING_LOOKS), morning]
    # At one time there is one question: the morning's may be one of the hourly ones.
    wanted = dict.fromkeys([*telling, *(ended_at + gap for gap in _LOOKS_OF_A_DAY)])
    return sorted([*wanted][: terms.late_looks])


def _bound(intent: Intent, outcome: Authenticated, now: datetime) -> Heard:
    """A binding that is heard late keeps its agreement, changes nothing else and is no anomaly."""
    late = Heard(intent, moves_due=intent.state in _WATCHED)
    heard = _end(intent, IntentState.DONE, now) if intent.is_open else late
    return replace(heard, agreement_no=outcome.agreement_no)


def _done(intent: Intent, outcome: Succeeded, source: Source, terms: Terms, zone: ZoneInfo, now: datetime) -> Heard:
    if outcome.amount is not None and outcome.amount != intent.amount:
        anomaly = Anomaly(AnomalyKind.AMOUNT_MISMATCH, f"ours {intent.amount}, theirs {outcome.amount} fen")
        if not intent.is_open:
            return replace(_after_the_end(intent, source, outcome, terms, zone, now), anomaly=anomaly)
        return replace(_wait(replace(intent, acknowledged=True), source, terms, now), anomaly=anomaly)
    if intent.state in {IntentState.DONE, IntentState.RETURNED}:
        return Heard(intent, anomaly=_second_transaction(intent, outcome))
    known = outcome.channel_transaction_no or intent.channel_transaction_no
    if intent.late_success:
        return Heard(intent, anomaly=_second_transaction(intent, outcome))
    if not intent.is_open:
        anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, f"done at the channel, {intent.state} here")
        late = replace(
            intent, late_success=True, channel_transaction_no=known, channel_finished_at=outcome.channel_finished_at
        )
        return Heard(late, moves_due=True, anomaly=anomaly, fee_returned=outcome.fee_returned)
    done = replace(
        intent,
        state=IntentState.DONE,
        ended_at=now,
        channel_transaction_no=known,
        channel_finished_at=outcome.channel_finished_at,
    )
    return Heard(done, moves_due=True, fee_returned=outcome.fee_returned)


def _returned(intent: Intent, outcome: Returned, now: datetime) -> Heard:
    """Money that came back had gone out: what is open ends as returned, and its object passes through success.

    Another amount than ours is not ours coming back, or not all of it: a person looks.
    """
    if outcome.amount is not None and outcome.amount != intent.amount:
        detail = f"ours {intent.amount}, returned {outcome.amount} fen"
        return Heard(intent, anomaly=Anomaly(AnomalyKind.AMOUNT_MISMATCH, detail))
    if intent.is_open or intent.state is IntentState.DONE:
        return replace(_end(intent, IntentState.RETURNED, now), returned=outcome.reason)
    if intent.state is IntentState.RETURNED:
        return Heard(intent)
    # It failed here, was done there, and came back: nothing of it is out any more.
    anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, f"returned by the channel, {intent.state} here")
    return Heard(replace(intent, late_success=False), moves_due=True, anomaly=anomaly)


def _after_the_end(
    intent: Intent,
    source: Source,
    outcome: AnyOutcome,
    terms: Terms,
    zone: ZoneInfo,
    now: datetime,
) -> Heard:
    match outcome:
        case Declined() | SmsNeeded() | Closed():
            return _refused_late(intent, outcome.channel_code)
        case NotFound() if source is Source.OPERATOR:
            return _refused_late(intent, outcome.channel_code)
    if source is not Source.POLL or not _is_watched(intent):
        return Heard(intent)
    assert intent.ended_at is not None
    plan = _looks(intent.ended_at, terms, zone)
    if intent.looks >= len(plan):
        return Heard(intent, moves_due=True)  # other terms than today's planned this one
    if now < plan[intent.looks]:
        return Heard(intent)  # somebody asked besides: that is none of the looks
    to_come = [at for at in plan if at > now]
    if isinstance(outcome, NotSent) and now < intent.ended_at + _UNSENT_LOOKS_WAIT:
        return Heard(intent, min([now + _PUT_OFF, *to_come[:1]]), moves_due=True)  # nobody was asked: later, then
    # One question for all that were missed meanwhile. An older program planned fewer: it goes on from now, too.
    looked = replace(intent, looks=len(plan) - len(to_come))
    return Heard(looked, to_come[0] if to_come else None, moves_due=True)


def _refused_late(intent: Intent, code: str | None) -> Heard:
    if intent.state is IntentState.DONE and intent.verb is not Verb.AUTHENTICATE:
        return Heard(intent, anomaly=Anomaly(AnomalyKind.LATE_FAILURE, f"code {code}" if code else "without a code"))
    return Heard(intent, moves_due=_is_watched(intent))  # now it is proved: nothing more to look for


def _is_watched(intent: Intent) -> bool:
    """Whether it ended without the PSP's word: a payout, too, that the PSP held and we gave up."""
    given_up = intent.verb is Verb.PAYOUT and intent.state is IntentState.DECLINED and intent.acknowledged
    return intent.state in _WATCHED or given_up


def _not_found(intent: Intent, outcome: NotFound, terms: Terms, zone: ZoneInfo, now: datetime) -> Heard:
    since = intent.not_found_since or now
    intent = replace(intent, not_found=intent.not_found + 1, not_found_since=since)
    waited_s = min((now - since).total_seconds(), (now - intent.recorded_at).total_seconds())
    if not intent.acknowledged and terms.proves_lost(intent.not_found, waited_s):
        why = _not_received(outcome.channel_code, f"not received: {intent.not_found} answers over {waited_s:.0f} s")
        ended = _end(intent, IntentState.NOT_RECEIVED, now, failure=why)
        return replace(ended, due_at=look_at(now, 0, terms, zone))
    return _unsure(intent, outcome, Source.POLL, terms, zone, now)


def _unsure(
    intent: Intent, outcome: NotFound | Unknown, source: Source, terms: Terms, zone: ZoneInfo, now: datetime
) -> Heard:
    """A question that told nothing. Where no money moves it is given up after a few of them."""
    heard = _wait(intent, source, terms, now)
    most = GIVES_UP_AFTER.get(intent.verb)
    if most is None or source is not Source.POLL or heard.intent.questions < most:
        return heard
    code, message = outcome.channel_code, outcome.channel_message
    why = failure(FailureCode.AUTHENTICATION_UNKNOWN, channel_code=code, channel_message=message)
    return replace(_end(heard.intent, IntentState.UNKNOWN, now, failure=why), due_at=look_at(now, 0, terms, zone))


def _wait(intent: Intent, source: Source, terms: Terms, now: datetime, not_beyond: datetime | None = None) -> Heard:
    """Nothing final: the next question is due by the plan. What comes by itself leaves the plan as it is.

    `not_beyond`: a time that lies ahead and at which it is asked in any case.
    """
    if source in {Source.CALLBACK, *_WRITTEN}:
        return Heard(intent)
    intent = replace(intent, questions=intent.questions + (source is Source.POLL))
    due_at = terms.after(intent.questions, now)
    if not_beyond is not None and now < not_beyond:
        due_at = min(due_at, not_beyond)
    return Heard(intent, due_at, moves_due=True)


def _end(intent: Intent, state: IntentState, now: datetime, failure: Failure | None = None) -> Heard:
    return Heard(replace(intent, state=state, ended_at=now), moves_due=True, failure=failure)


def _second_transaction(intent: Intent, outcome: Succeeded) -> Anomaly | None:
    """Done once more under another number of theirs: perhaps the money moved twice."""
    ours, theirs = intent.channel_transaction_no, outcome.channel_transaction_no
    if ours is None or theirs is None or ours == theirs:
        return None
    return Anomaly(AnomalyKind.TRANSACTION_MISMATCH, f"done as {ours}, and as {theirs}", transaction_no=theirs)


def _declined(outcome: Declined) -> Failure:
    why = failure(outcome.code, channel_code=outcome.channel_code, channel_message=outcome.channel_message)
    return replace(why, no_more_today=True) if outcome.no_more_today else why


def _not_sent(outcome: NotSent) -> Failure:
    blame = Blame.PLATFORM if outcome.ours else Blame.CHANNEL
    return failure(FailureCode.CHANNEL_UNAVAILABLE, blame=blame, channel_message=outcome.reason)


def _not_received(code: str | None, reason: str) -> Failure:
    return failure(FailureCode.CHANNEL_UNAVAILABLE, channel_code=code, channel_message=reason)
