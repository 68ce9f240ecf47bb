"""What the ends of intents mean for a payment: of its own to pay, and of the authentication that it waits for.

Not tested here: what a word does to an intent (test_hearing), how a payment begins (tests/unit/flows, tests/storage).
"""

from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import authentications
from gateway.domain.authentications import Authentication
from gateway.domain.failures import Advice, Blame, Failure, FailureCode, failure
from gateway.domain.hearing import Heard, Source, hear
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import IntentState, Verb
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
from gateway.domain.payments import Payment, after_authentication, after_hearing, begun
from gateway.domain.scenes import Kind
from gateway.domain.statuses import FINAL, OPEN, TRANSITIONS, Status
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    NOW,
    PAYMENT_ID,
    TERMS,
    ZONE,
    attempt,
    authentication,
    intent,
    later,
    payment,
    refused_payment,
    sent,
    waiting_payment,
)

AT = later(seconds=7)
WHY = failure(FailureCode.CARD_LOST, channel_code="41")
STATUSES = [status for status in Status if status in TRANSITIONS[ObjectKind.PAYMENT]]
"""A payment is never returned."""
STATES = [state for state in IntentState if state not in {IntentState.RETURNED, IntentState.UNKNOWN}]
"""Nothing that pays ends as returned or unknown (test_hearing)."""
ENDED_BADLY = [IntentState.DECLINED, IntentState.NOT_SENT, IntentState.NOT_RECEIVED]


def after(before: Payment, state: IntentState, *, due_at: datetime | None = None, **known: Any) -> Payment:
    """The payment after its intent is heard to be in this state."""
    why = WHY if state in ENDED_BADLY else None
    heard = Heard(attempt(state, **known), due_at, moves_due=True, failure=why)
    return after_hearing(before, heard, AT)


# --- its intent to pay: status × state ---


def expected_of(status: str, state: str) -> str:
    """The rule in the plainest words."""
    if status in ("succeeded", "failed", "closed") or state == "open":
        return status
    if state == "done":
        return "succeeded"
    return "closed" if (status, state) == ("requires_action", "not_received") else "failed"


@pytest.mark.parametrize(("status", "state"), list(product(STATUSES, STATES)))
def test_the_end_of_an_intent_is_the_payments(status: Status, state: IntentState) -> None:
    before = payment(status)
    paid = after(before, state, due_at=later(minutes=1))
    assert paid.status == expected_of(status, state)
    assert paid.attempt == attempt(state)
    assert paid.due_at == later(minutes=1)
    # What holds whatever is heard.
    assert (paid.status in FINAL) == (paid.finished_at is not None)
    assert (paid.status is Status.FAILED) == (paid.failure is not None)
    assert (paid.fee is not None) == (paid.status is Status.SUCCEEDED)
    # Each end is told, by one more event.
    assert paid.sequence == before.sequence + (paid.status is not before.status)
    assert paid.business_day == before.business_day
    if paid.status is before.status:
        assert replace(paid, attempt=before.attempt, due_at=before.due_at) == before
    else:
        assert (paid.finished_at, paid.until_at) == (AT, None)


@pytest.mark.parametrize("status", STATUSES)
def test_a_word_that_leaves_the_plan_leaves_what_is_due(status: Status) -> None:
    before = payment(status, due_at=later(hours=1))
    assert after_hearing(before, Heard(before.attempt or attempt()), AT) == before


@pytest.mark.parametrize("state", ENDED_BADLY)
def test_a_payment_fails_as_its_intent_did(state: IntentState) -> None:
    assert after(payment(), state).failure == WHY


def test_it_finished_when_we_heard_of_it_and_the_channels_time_stands_beside() -> None:
    paid = after(payment(), IntentState.DONE, channel_finished_at=later(seconds=3))
    assert paid.attempt is not None
    assert (paid.finished_at, paid.attempt.channel_finished_at) == (AT, later(seconds=3))


@pytest.mark.parametrize(("kind", "advice"), [(Kind.WITHHOLD, Advice.RETRY_LATER), (Kind.CHARGE, Advice.CHANGE_CARD)])
def test_what_is_advised_is_kept_as_it_is_for_its_kind(kind: Kind, advice: Advice) -> None:
    heard = Heard(attempt(IntentState.DECLINED), moves_due=True, failure=failure(FailureCode.INSUFFICIENT_BALANCE))
    failed = after_hearing(payment(kind=kind), heard, AT).failure
    assert failed is not None
    assert failed.advice is advice


def test_a_payment_that_nobody_paid_in_time_closes_when_its_channel_is_proved_to_know_nothing() -> None:
    waiting = payment(Status.REQUIRES_ACTION)
    for minutes in (1, 3):
        waiting = hears(waiting, Source.POLL, NotFound(), later(minutes=minutes))
        assert (waiting.status, waiting.until_at) == (Status.REQUIRES_ACTION, later(minutes=15))
    closed = hears(waiting, Source.POLL, NotFound(), later(minutes=7))
    assert (closed.status, closed.failure, closed.until_at) == (Status.CLOSED, None, None)
    assert closed.due_at == later(minutes=67)  # what ended without the PSP's word is looked at again


def test_where_not_found_is_never_proof_a_payment_that_waits_for_the_user_is_not_closed_by_it() -> None:
    never = replace(TERMS, not_found=None)
    asked = attempt(not_found=99, not_found_since=NOW)
    heard = hear(asked, Source.POLL, NotFound(), never, ZONE, later(days=400))
    waiting = after_hearing(payment(Status.REQUIRES_ACTION, attempt=asked), heard, later(days=400))
    assert waiting.status is Status.REQUIRES_ACTION


def hears(before: Payment, source: Source, said: Outcome, at: datetime) -> Payment:
    """The payment after a word about its intent to pay."""
    assert before.attempt is not None
    return after_hearing(before, hear(before.attempt, source, said, TERMS, ZONE, at), at)


# --- fees ---


def test_a_fee_is_owed_when_the_money_is_known_to_have_moved() -> None:
    assert payment().fee is None
    assert after(payment(), IntentState.OPEN).fee is None
    assert after(payment(), IntentState.DONE).fee == 50


@pytest.mark.parametrize("state", ENDED_BADLY)
def test_nothing_is_owed_for_a_payment_that_failed(state: IntentState) -> None:
    failed = after(payment(), state)
    assert (failed.fee, failed.expected_fee) == (None, 50)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CLOSED])
def test_a_late_success_changes_the_fee_once_and_the_status_never(status: Status) -> None:
    before = payment(status)
    first = hears(before, Source.POLL, Succeeded(1000), AT)
    assert first.attempt is not None
    assert first.attempt.late_success
    assert first == replace(before, attempt=first.attempt, fee=50)
    assert hears(first, Source.POLL, Succeeded(1000), later(hours=1)) == first


@pytest.mark.parametrize("status", STATUSES)
def test_another_amount_changes_neither_status_nor_fee(status: Status) -> None:
    before = payment(status)
    heard = hears(before, Source.POLL, Succeeded(999), AT)
    assert (heard.status, heard.fee, heard.finished_at) == (before.status, before.fee, before.finished_at)


# --- the authentication that it waits for ---


def ended(state: IntentState, status: Status, why: Failure | None = None, **known: Any) -> Authentication:
    return authentication(status, intent=intent(Verb.AUTHENTICATE, state), failure=why, **known)


REJECTED = failure(FailureCode.AUTHENTICATION_REJECTED, blame=Blame.CHANNEL, channel_code="N1")
UNKNOWN = failure(FailureCode.AUTHENTICATION_UNKNOWN, channel_code="T1")
UNAVAILABLE = failure(FailureCode.CHANNEL_UNAVAILABLE, blame=Blame.PLATFORM)


def test_a_payment_whose_card_is_bound_is_due_now_for_its_intent_to_pay() -> None:
    waiting = waiting_payment()
    bound = after_authentication(waiting, authentication(Status.SUCCEEDED), AT)
    assert bound == replace(waiting, due_at=AT, authentication_fee=100)
    assert bound.waits_for_authentication  # until its intent is recorded
    gone_on = begun(bound, attempt(recorded_at=AT), TERMS.unanswered(AT))
    assert (gone_on.waits_for_authentication, gone_on.due_at) == (False, TERMS.unanswered(AT))
    assert gone_on.attempt == attempt(recorded_at=AT)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (IntentState.DECLINED, REJECTED),
        (IntentState.DECLINED, replace(REJECTED, blame=Blame.PAYER)),
        (IntentState.UNKNOWN, UNKNOWN),
        (IntentState.NOT_SENT, UNAVAILABLE),
        (IntentState.NOT_RECEIVED, failure(FailureCode.CHANNEL_UNAVAILABLE)),
    ],
)
@pytest.mark.parametrize("starter", [PAYMENT_ID, None])
def test_a_payment_whose_card_was_not_bound_fails_as_the_authentication_did(
    state: IntentState, why: Failure, starter: UUID | None
) -> None:
    failed = after_authentication(waiting_payment(), ended(state, Status.FAILED, why, payment_id=starter), AT)
    assert (failed.status, failed.failure, failed.finished_at) == (Status.FAILED, why, AT)
    assert (failed.due_at, failed.attempt, failed.fee) == (None, None, None)


def test_an_end_without_a_reason_tells_nothing_of_the_card() -> None:
    closed = ended(IntentState.NOT_RECEIVED, Status.CLOSED)
    assert after_authentication(waiting_payment(), closed, AT).failure == failure(FailureCode.AUTHENTICATION_UNKNOWN)


ENDS = [
    (IntentState.DONE, Status.SUCCEEDED, None, 100),
    (IntentState.DECLINED, Status.FAILED, REJECTED, 100),
    (IntentState.UNKNOWN, Status.FAILED, UNKNOWN, 100),
    (IntentState.NOT_SENT, Status.FAILED, UNAVAILABLE, None),
]


@pytest.mark.parametrize(("state", "status", "why", "fee"), ENDS)
def test_an_authentication_costs_the_payment_that_sent_it_and_nobody_who_only_waited(
    state: IntentState, status: Status, why: Failure | None, fee: int | None
) -> None:
    own, anothers = ended(state, status, why), ended(state, status, why, payment_id=None)
    assert after_authentication(waiting_payment(), own, AT).authentication_fee == fee
    assert after_authentication(waiting_payment(), anothers, AT).authentication_fee is None


@pytest.mark.parametrize("status", sorted(OPEN & set(STATUSES)))
def test_while_the_authentication_goes_on_a_payment_waits_on(status: Status) -> None:
    waiting = waiting_payment()
    assert after_authentication(waiting, authentication(status), AT) is waiting


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CLOSED])
def test_an_authentication_moves_only_a_payment_that_waits_for_it(status: Status) -> None:
    for before in [*map(payment, STATUSES), refused_payment(), waiting_payment(authentication_id=None)]:
        assert not before.waits_for_authentication
        assert after_authentication(before, authentication(status), AT) is before


def test_a_card_is_bound_only_once_for_one_payment() -> None:
    bound = authentication(Status.SUCCEEDED)
    gone_on = begun(after_authentication(waiting_payment(), bound, AT), attempt(), TERMS.unanswered(AT))
    assert after_authentication(gone_on, bound, later(minutes=1)) is gone_on
    with pytest.raises(AssertionError, match="one intent to pay"):
        begun(gone_on, attempt(), AT)


# --- no sequence of observations, whatever it says ---

OUTCOMES: list[Outcome] = [
    Succeeded(1000, "theirs-1"),
    Succeeded(),
    Succeeded(999),
    Declined(FailureCode.INSUFFICIENT_BALANCE),
    Processing(),
    Unknown("timeout"),
    Unknown("duplicate", received=True),
    NotFound(),
    NotSent("refused"),
]
AUTHENTICATION_OUTCOMES: list[AuthenticationOutcome] = [
    Authenticated("token-1"),
    Declined(FailureCode.NAME_MISMATCH),
    SmsNeeded(),
    Unknown("timeout"),
    NotFound(),
    NotSent("refused"),
]
gaps = st.floats(0.0, 400.0)
words = st.lists(st.tuples(st.sampled_from(Source), st.sampled_from(OUTCOMES), gaps), max_size=25)
questions = st.lists(st.tuples(st.just(Source.POLL), st.just(NotFound()), gaps), max_size=25)


@given(st.sampled_from(sorted(OPEN & set(STATUSES))), words | questions)
def test_no_sequence_of_words_leaves_a_final_status_or_loses_what_is_due(
    status: Status, history: list[tuple[Source, Outcome, float]]
) -> None:
    now_is, passed_s, late = payment(status), 0.0, 0
    for source, said, gap_s in history:
        passed_s += gap_s
        paid = hears(now_is, source, said, later(seconds=passed_s))
        assert paid.is_final == (paid.finished_at is not None)
        assert paid.is_final or paid.due_at is not None
        assert not paid.is_final or paid.until_at is None
        assert (paid.status is Status.FAILED) == (paid.failure is not None)
        assert paid.fee in ({50} if paid.status is Status.SUCCEEDED else {None, 50} if paid.is_final else {None})
        assert now_is.attempt is not None
        assert paid.attempt is not None
        if now_is.is_final:
            assert replace(paid, attempt=now_is.attempt, due_at=now_is.due_at, fee=now_is.fee) == now_is
        in_writing = source in {Source.OPERATOR, Source.STATEMENT}
        if now_is.attempt.acknowledged and not in_writing and paid.failure and not now_is.failure:
            assert not (paid.failure.channel_message or "").startswith("not received")
        late += paid.attempt.late_success and not now_is.attempt.late_success
        now_is = paid
    assert late <= 1


card_words = st.lists(st.tuples(st.sampled_from(Source), st.sampled_from(AUTHENTICATION_OUTCOMES), gaps), max_size=12)


@given(card_words, st.booleans())
def test_nothing_is_due_to_be_paid_before_the_card_is_bound(
    history: list[tuple[Source, AuthenticationOutcome, float]], verified_elsewhere: bool
) -> None:
    waiting, asked, passed_s = waiting_payment(), authentication(), 0.0
    for source, said, gap_s in history:
        passed_s += gap_s
        at = later(seconds=passed_s)
        heard = hear(sent(asked), source, said, AUTHENTICATION_TERMS, ZONE, at)
        asked = authentications.after_hearing(asked, heard, verified_elsewhere, at)
        before, waiting = waiting, after_authentication(waiting, asked, at)
        assert waiting.attempt is None
        if asked.status is Status.SUCCEEDED:
            assert waiting == replace(before, due_at=at, authentication_fee=100)
        elif asked.is_final:
            assert waiting.status is Status.FAILED
            assert waiting.failure is not None
        else:
            assert waiting == before == waiting_payment()
        assert waiting.is_final or waiting.due_at is not None


def test_the_samples_are_as_they_say() -> None:
    assert waiting_payment().waits_for_authentication
    assert not refused_payment().waits_for_authentication
    assert (payment().created_at, payment().is_final) == (NOW, False)
