"""What the end of its intent means for a refund: the statuses that it enters, in turn.

Not tested here: what a word does to an intent (test_hearing), whether a payment can be refunded (tests/unit/flows).
"""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.failures import FailureCode, failure
from gateway.domain.hearing import Heard, Source, hear
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Unknown,
)
from gateway.domain.refunds import Refund, after_hearing
from gateway.domain.statuses import TRANSITIONS, IllegalTransitionError, Status
from gateway.domain.terms import Watch
from tests.unit.domain.samples import REFUND_TERMS, ZONE, intent, later, refund

AT = later(days=3)
BACK = ReturnReason.PAYEE_ACCOUNT_INVALID
WHY = failure(FailureCode.CHANNEL_REFUSED, channel_code="99")
STATUSES = [Status.PROCESSING, Status.SUCCEEDED, Status.FAILED, Status.RETURNED]
STATES = [state for state in IntentState if state is not IntentState.UNKNOWN]
"""Nothing that refunds ends as unknown (test_hearing)."""
ENDED_BADLY = [IntentState.DECLINED, IntentState.NOT_SENT, IntentState.NOT_RECEIVED]


def after(before: Refund, state: IntentState) -> tuple[Refund, ...]:
    """The refund, state by state, after its intent is heard to be in this one."""
    why = WHY if state in ENDED_BADLY else None
    back = BACK if state is IntentState.RETURNED else None
    heard = Heard(intent(Verb.REFUND, state), later(days=4), moves_due=True, failure=why, returned=back)
    return after_hearing(before, heard, AT)


def hears(before: Refund, source: Source, said: Outcome, at_s: float = 7.0) -> tuple[Refund, ...]:
    at = later(seconds=at_s)
    return after_hearing(before, hear(before.intent, source, said, REFUND_TERMS, ZONE, at), at)


# --- status × state ---


def expected_of(status: str, state: str) -> list[str]:
    """The statuses that it enters, in the plainest words; as it was, where it enters none."""
    if state == "returned":
        if status == "processing":
            return ["succeeded", "returned"]
        return ["returned"]
    if status != "processing" or state == "open":
        return [status]
    return ["succeeded"] if state == "done" else ["failed"]


PAIRS = [pair for pair in product(STATUSES, STATES) if pair != (Status.FAILED, IntentState.RETURNED)]


@pytest.mark.parametrize(("status", "state"), PAIRS)
def test_the_end_of_an_intent_is_the_refunds(status: Status, state: IntentState) -> None:
    before = refund(status)
    entered = after(before, state)
    assert [each.status for each in entered] == expected_of(status, state)
    for each in entered:
        assert each.intent == intent(Verb.REFUND, state)
        assert each.due_at == later(days=4)
        assert each.is_final == (each.finished_at is not None)
        assert (each.status is Status.FAILED) == (each.failure is not None)
        assert (each.status is Status.RETURNED) == (each.returned is not None)
    # Each status that it enters is told, by one event each.
    new = [each.sequence for each in entered if each.status is not before.status]
    assert new == [before.sequence + number for number in range(1, len(new) + 1)]
    if entered[-1].status is before.status:
        assert replace(entered[-1], intent=before.intent, due_at=before.due_at) == before


def test_what_failed_cannot_come_back() -> None:
    # `hear` never says so: it is an anomaly there.
    with pytest.raises(IllegalTransitionError, match="refund: failed -> succeeded"):
        after(refund(Status.FAILED), IntentState.RETURNED)


@pytest.mark.parametrize("status", STATUSES)
def test_a_word_that_leaves_the_plan_leaves_what_is_due(status: Status) -> None:
    before = refund(status, due_at=later(hours=1))
    assert after_hearing(before, Heard(before.intent), AT) == (before,)


@pytest.mark.parametrize("state", ENDED_BADLY)
def test_a_refund_fails_as_its_intent_did(state: IntentState) -> None:
    (failed,) = after(refund(), state)
    assert (failed.failure, failed.finished_at) == (WHY, AT)


# --- money that comes back ---


def test_a_return_that_is_heard_first_passes_through_success() -> None:
    done, back = hears(refund(), Source.POLL, Returned(BACK))
    assert (done.status, done.returned, done.due_at) == (Status.SUCCEEDED, None, None)
    assert (back.status, back.returned, back.due_at) == (Status.RETURNED, BACK, None)
    assert done.finished_at == back.finished_at == later(seconds=7)


def test_a_refund_that_succeeded_and_came_back_days_later_finished_when_it_succeeded() -> None:
    (done,) = hears(refund(), Source.ANSWER, Succeeded(1000, "theirs-1"))
    (back,) = hears(done, Source.CALLBACK, Returned(BACK), at_s=200_000.0)
    assert (back.status, back.returned) == (Status.RETURNED, BACK)
    assert (back.finished_at, back.intent.channel_transaction_no) == (done.finished_at, "theirs-1")


def test_a_return_is_heard_once() -> None:
    *_, back = hears(refund(), Source.POLL, Returned(BACK))
    assert hears(back, Source.CALLBACK, Returned(ReturnReason.OTHER), at_s=9.0) == (back,)
    assert hears(back, Source.CALLBACK, Succeeded(1000), at_s=9.0) == (back,)


@pytest.mark.parametrize(
    ("status", "takes"),
    [(Status.PROCESSING, True), (Status.SUCCEEDED, True), (Status.FAILED, False), (Status.RETURNED, False)],
)
def test_what_failed_or_came_back_is_free_again(status: Status, takes: bool) -> None:
    assert refund(status).takes == takes


# --- watched after success ---

WATCH = Watch(gaps_s=(3600.0, 7200.0), for_s=20_000.0)
NO_NEWS: list[Outcome] = [Succeeded(1000), Succeeded(), Processing(), Unknown("timeout"), NotFound()]


def asked(before: Refund, said: Outcome, at_s: float, source: Source = Source.POLL) -> Refund:
    at = later(seconds=at_s)
    heard = hear(before.intent, source, said, REFUND_TERMS, ZONE, at)
    return after_hearing(before, heard, at, WATCH, said if source is Source.POLL else None)[-1]


@pytest.mark.parametrize("said", NO_NEWS)
def test_what_may_come_back_is_asked_about_after_its_success_for_as_long_as_it_may(said: Outcome) -> None:
    now = asked(refund(), Succeeded(1000), at_s=5.0)
    due: list[datetime] = []
    while now.due_at is not None and len(due) < 9:
        due.append(now.due_at)
        now = asked(now, said, at_s=(now.due_at - later()).total_seconds())
    assert due == [later(seconds=5 + after_s) for after_s in (3600, 10_800, 18_000)]
    assert (now.status, now.sequence, now.intent.looks) == (Status.SUCCEEDED, 1, 3)


def test_what_was_asked_about_and_came_back_is_asked_about_no_more() -> None:
    done = asked(refund(), Succeeded(1000), at_s=5.0)
    back = asked(done, Returned(BACK), at_s=4000.0)
    assert (back.status, back.due_at, back.sequence) == (Status.RETURNED, None, 2)
    for said in NO_NEWS:
        assert asked(back, said, at_s=5000.0) == back


def test_a_question_that_could_not_be_asked_is_no_look_and_a_notice_moves_no_plan() -> None:
    done = asked(refund(), Succeeded(1000), at_s=5.0)
    unasked = asked(done, NotSent("refused", ours=True), at_s=4000.0)
    assert (unasked.intent.looks, unasked.due_at) == (0, later(seconds=4000 + 600))
    assert asked(done, Processing(), at_s=4000.0, source=Source.CALLBACK) == done


@pytest.mark.parametrize("watch", [WATCH, None])
def test_what_can_be_asked_no_more_is_not_watched_for_ever(watch: Watch | None) -> None:
    now, unsent, questions = asked(refund(), Succeeded(1000), at_s=5.0), NotSent("no such host", ours=True), 0
    for days in range(60):
        at = later(days=days, hours=7)
        if now.due_at is None:
            break
        heard = hear(now.intent, Source.POLL, unsent, REFUND_TERMS, ZONE, at)
        (now,) = after_hearing(now, heard, at, watch, unsent)
        questions += 1
    assert (now.status, now.due_at) == (Status.SUCCEEDED, None)
    assert questions == (1 if watch is None else 31)


# --- what the PSP gives back of its fee ---


def test_the_fee_that_is_given_back_is_kept_as_it_was_said_first() -> None:
    (done,) = hears(refund(), Source.ANSWER, Succeeded(1000, fee_returned=12))
    assert done.fee_returned == 12
    for said in (Succeeded(1000), Succeeded(1000, fee_returned=13), Processing(fee_returned=14), Returned(BACK)):
        assert hears(done, Source.POLL, said, at_s=9.0)[-1].fee_returned == 12
    (taken,) = hears(refund(), Source.ANSWER, Processing(fee_returned=12))
    assert hears(taken, Source.POLL, Succeeded(1000), at_s=9.0)[-1].fee_returned == 12


def test_a_word_that_does_nothing_says_no_fee() -> None:
    for said in (Succeeded(999, fee_returned=12), Succeeded(1000), Unknown("timeout")):
        assert hears(refund(), Source.ANSWER, said)[-1].fee_returned is None
    (done,) = hears(refund(), Source.ANSWER, Succeeded(1000))
    assert hears(done, Source.POLL, Succeeded(1000, fee_returned=12), at_s=9.0) == (done,)


# --- contradictions ---


def test_a_late_success_changes_the_intent_and_the_refund_never() -> None:
    before = refund(Status.FAILED)
    (late,) = hears(before, Source.POLL, Succeeded(1000))
    assert late.intent.late_success
    assert late == replace(before, intent=late.intent)
    assert hears(late, Source.POLL, Succeeded(1000), at_s=9.0) == (late,)


@pytest.mark.parametrize("status", STATUSES)
def test_another_amount_moves_no_refund(status: Status) -> None:
    before = refund(status)
    (heard,) = hears(before, Source.CALLBACK, Succeeded(999))
    assert (heard.status, heard.finished_at, heard.due_at) == (before.status, before.finished_at, before.due_at)


# --- no sequence of observations, whatever it says ---

OUTCOMES: list[Outcome] = [
    Succeeded(1000, "theirs-1"),
    Succeeded(),
    Succeeded(999),
    Returned(BACK),
    Declined(FailureCode.CHANNEL_REFUSED),
    Processing(),
    Unknown("timeout"),
    Unknown("duplicate", received=True),
    NotFound(),
    NotSent("refused"),
]
gaps = st.floats(0.0, 700.0)
words = st.lists(st.tuples(st.sampled_from(Source), st.sampled_from(OUTCOMES), gaps), max_size=25)
questions = st.lists(st.tuples(st.just(Source.POLL), st.just(NotFound()), gaps), max_size=25)


@given(words | questions)
def test_no_sequence_of_words_takes_another_way_than_the_table_or_loses_what_is_due(
    history: list[tuple[Source, Outcome, float]],
) -> None:
    entered, passed_s = [refund()], 0.0
    for source, said, gap_s in history:
        passed_s += gap_s
        entered.extend(hears(entered[-1], source, said, passed_s))
    for before, each in pairwise(entered):
        assert each.status is before.status or each.status in TRANSITIONS[ObjectKind.REFUND][before.status]
        assert each.is_final == (each.finished_at is not None)
        assert each.is_final or each.due_at is not None
        assert (each.status is Status.FAILED) == (each.failure is not None)
        assert (each.status is Status.RETURNED) == (each.returned is not None)
        assert each.takes or not before.takes or each.is_final
        if before.is_final:
            assert each.finished_at == before.finished_at
            assert each.failure == before.failure
