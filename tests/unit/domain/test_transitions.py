"""The transition table and `apply`: every state, stage, source and word of a PSP, and what no sequence may do.

Not tested here: what is written when a state changes (tests/storage), and who asks the PSP when (tests/unit/flows).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.failures import Blame, FailureCode
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
from gateway.domain.payments import FINAL, DueKind, Payment, Stage, Status
from gateway.domain.terms import ANSWER_MARGIN_S
from gateway.domain.transitions import (
    TRANSITIONS,
    AnomalyKind,
    IllegalTransitionError,
    Source,
    Verdict,
    apply,
    apply_authentication,
    move,
)
from tests.unit.domain.samples import NOW, TERMS, attempt, later, payment

AT = later(seconds=7)
WRONG_AMOUNT = 999

# What is allowed, written a second time: from (None is the start) and to.
LEGAL = {
    (None, "processing"),
    (None, "requires_action"),
    (None, "failed"),
    ("requires_action", "processing"),
    ("requires_action", "succeeded"),
    ("requires_action", "failed"),
    ("requires_action", "closed"),
    ("processing", "requires_action"),
    ("processing", "succeeded"),
    ("processing", "failed"),
    ("succeeded", "returned"),
}

OUTCOMES: dict[str, Outcome] = {
    "succeeded": Succeeded(1000, "theirs-1"),
    "succeeded without amount": Succeeded(),
    "succeeded with another amount": Succeeded(WRONG_AMOUNT),
    "declined": Declined(FailureCode.INSUFFICIENT_BALANCE, "51", "余额不足"),
    "processing": Processing("05"),
    "unknown": Unknown("timeout"),
    "unknown code": Unknown("unmapped", "ZZ"),
    "not found": NotFound("34"),
    "not sent": NotSent("refused"),
}
AUTHENTICATION_OUTCOMES: dict[str, AuthenticationOutcome] = {
    "authenticated": Authenticated("token-1"),
    "declined": Declined(FailureCode.NAME_MISMATCH, "N1", "户名不符"),
    "sms needed": SmsNeeded("S1"),
    "unknown": Unknown("timeout"),
    "not found": NotFound("34"),
    "not sent": NotSent("refused"),
}
OPEN = [Status.PROCESSING, Status.REQUIRES_ACTION]


def judge(before: Payment, outcome: Outcome, source: Source = Source.POLL) -> Verdict:
    return apply(before, source, outcome, TERMS, AT)


# --- the table ---


@pytest.mark.parametrize(("before", "after"), list(product([None, *Status], Status)))
def test_a_payment_moves_only_where_the_table_has_a_way(before: Status | None, after: Status) -> None:
    if (before and before.value, after.value) in LEGAL:
        assert move(before, after) is after
        return
    with pytest.raises(IllegalTransitionError) as refused:
        move(before, after)
    assert str(refused.value) == f"{before or 'start'} -> {after}"


def test_every_status_stands_in_the_table_and_nothing_leaves_a_final_one_but_a_payout() -> None:
    assert set(TRANSITIONS) == {None, *Status}
    assert [s for s in FINAL if TRANSITIONS[s]] == [Status.SUCCEEDED]


# --- a word about a payment: status × stage × source × outcome ---

# Expected of (status, stage, source, outcome): the status after it, and the anomaly.
Expectation = tuple[Status, AnomalyKind | None]


def expected_of(status: Status, stage: Stage, source: Source, outcome: str) -> Expectation:
    """The rules of docs/architecture.md in the plainest words."""
    final, paying = status in FINAL, stage is Stage.PAYING
    if outcome == "succeeded with another amount":
        return status, AnomalyKind.AMOUNT_MISMATCH
    if outcome.startswith("succeeded"):
        if status is Status.SUCCEEDED:
            return status, None
        if final:
            return status, AnomalyKind.LATE_SUCCESS
        return (Status.SUCCEEDED, None) if paying else (status, AnomalyKind.UNEXPECTED_SUCCESS)
    if outcome == "declined" and status is Status.SUCCEEDED:
        return status, AnomalyKind.LATE_FAILURE
    if not final and paying and (outcome == "declined" or (outcome == "not sent" and source is Source.ANSWER)):
        return Status.FAILED, None
    return status, None


MATRIX = list(product(Status, Stage, Source, OUTCOMES))


@pytest.mark.parametrize(("status", "stage", "source", "outcome"), MATRIX)
def test_a_word_about_a_payment_does_what_the_specification_says(
    status: Status, stage: Stage, source: Source, outcome: str
) -> None:
    before = payment(status, stage)
    verdict = judge(before, OUTCOMES[outcome], source)
    after = verdict.payment
    wanted, anomaly = expected_of(status, stage, source, outcome)
    assert (after.status, verdict.anomaly.kind if verdict.anomaly else None) == (wanted, anomaly)
    assert not verdict.submit
    assert verdict.agreement_no is None
    # What holds whatever is said.
    assert (after.status in FINAL) == (after.due is None) == (after.finished_at is not None)
    assert (after.status is Status.FAILED) == (after.failure is not None)
    assert after.attempt is not None
    assert before.attempt is not None
    assert (after.attempt.stage, after.attempt.submitted_at) == (stage, NOW)
    assert after.business_day == before.business_day
    if status in FINAL:
        assert replace(after, attempt=before.attempt) == before


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_payment_that_the_router_refused_hears_nothing(outcome: str) -> None:
    refused = payment(Status.FAILED, stage=None)
    assert judge(refused, OUTCOMES[outcome]) == Verdict(refused)


@pytest.mark.parametrize("status", OPEN)
def test_a_success_is_kept_with_the_channels_own_number_and_time(status: Status) -> None:
    done = judge(payment(status), Succeeded(1000, "theirs-1", later(seconds=3))).payment
    assert (done.status, done.finished_at, done.failure, done.due) == (Status.SUCCEEDED, AT, None, None)
    assert done.attempt is not None
    assert (done.attempt.channel_transaction_no, done.attempt.channel_finished_at) == ("theirs-1", later(seconds=3))


def test_a_decline_keeps_the_codes_blame_and_the_channels_own_words() -> None:
    declined = judge(payment(), Declined(FailureCode.CHANNEL_LIMIT_EXCEEDED, "61", "超限", "theirs-2"))
    assert declined.changed
    failed = declined.payment.failure
    assert failed is not None
    assert (failed.code, failed.blame) == (FailureCode.CHANNEL_LIMIT_EXCEEDED, Blame.CHANNEL)
    assert (failed.channel_code, failed.channel_message) == ("61", "超限")
    assert declined.payment.attempt is not None
    assert declined.payment.attempt.channel_transaction_no == "theirs-2"


@pytest.mark.parametrize("code", FailureCode)
def test_only_a_void_agreement_is_voided(code: FailureCode) -> None:
    assert judge(payment(), Declined(code)).voids_agreement == (code is FailureCode.AGREEMENT_VOID)


def test_a_payment_that_never_left_fails_and_the_channel_is_to_blame() -> None:
    failed = judge(payment(), NotSent("connection refused"), Source.ANSWER).payment.failure
    assert failed is not None
    assert (failed.code, failed.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL)


# --- what is due next ---


@pytest.mark.parametrize(("polls", "gap_s"), [(0, 10.0), (1, 60.0), (2, 60.0), (50, 60.0)])
def test_after_a_poll_that_settled_nothing_the_next_is_due_by_the_plan(polls: int, gap_s: float) -> None:
    after = judge(payment(attempt=attempt(polls=polls)), Unknown("timeout")).payment
    assert after.attempt is not None
    assert after.attempt.polls == polls + 1
    assert after.due is not None
    assert (after.due.kind, after.due.at) == (DueKind.POLL, AT + timedelta(seconds=gap_s))


def test_an_answer_that_settled_nothing_makes_the_first_poll_due_and_counts_as_none() -> None:
    after = judge(payment(), Unknown("timeout"), Source.ANSWER).payment
    assert after.attempt is not None
    assert after.attempt.polls == 0
    assert after.due is not None
    assert after.due.at == AT + timedelta(seconds=TERMS.poll_gaps_s[0])


@pytest.mark.parametrize("outcome", [Processing(), Unknown("x"), NotFound(), Succeeded(WRONG_AMOUNT)], ids=repr)
def test_a_callback_that_settles_nothing_leaves_the_plan_as_it_is(outcome: Outcome) -> None:
    before = payment()
    after = judge(before, outcome, Source.CALLBACK).payment
    assert after.due == before.due
    assert after.attempt is not None
    assert after.attempt.polls == 0


def test_an_attempt_whose_sender_fell_silent_is_taken_up_after_the_answers_own_limit() -> None:
    assert TERMS.unanswered(NOW).at == later(seconds=TERMS.answer_timeout_s + ANSWER_MARGIN_S)


# --- "not found", exactly ---


def not_found_after(answers: int, over_s: float, since_s: float = 0.0) -> Verdict:
    """The last of so many "not found" answers, so long after the first, which came `since_s` after the submission."""
    asked = attempt(not_found=answers - 1, not_found_since=later(seconds=since_s))
    return apply(payment(attempt=asked), Source.POLL, NotFound("34"), TERMS, later(seconds=since_s + over_s))


@pytest.mark.parametrize(
    ("answers", "over_s", "proves"),
    [
        (3, 300.0, True),
        (2, 300.0, False),
        (3, 299.999, False),
        (2, 10_000.0, False),
        (100, 299.999, False),
        (100, 10_000.0, True),
    ],
)
def test_not_found_proves_only_with_enough_answers_over_enough_time(answers: int, over_s: float, proves: bool) -> None:
    verdict = not_found_after(answers, over_s)
    assert verdict.payment.status is (Status.FAILED if proves else Status.PROCESSING)
    if proves:
        assert verdict.payment.failure is not None
        assert verdict.payment.failure.code is FailureCode.CHANNEL_UNAVAILABLE


def test_the_time_counts_from_the_submission_when_that_was_later_than_the_first_answer() -> None:
    assert not_found_after(3, 360.0, since_s=-60.001).payment.status is Status.PROCESSING
    assert not_found_after(3, 360.0, since_s=-60.0).payment.status is Status.FAILED


def test_where_not_found_is_never_proof_no_number_of_answers_ends_a_payment() -> None:
    never = replace(TERMS, not_found=None)
    asked = payment()
    for days in range(1, 400):
        asked = apply(asked, Source.POLL, NotFound("34"), never, later(days=days)).payment
    assert asked.status is Status.PROCESSING
    assert asked.attempt is not None
    assert (asked.attempt.not_found, asked.attempt.acknowledged) == (399, False)
    assert asked.due == never.after(399, later(days=399))
    assert apply(asked, Source.POLL, Succeeded(1000), never, later(days=400)).payment.status is Status.SUCCEEDED


def test_where_not_found_is_never_proof_a_payment_that_waits_for_the_user_is_not_closed_by_it() -> None:
    never = replace(TERMS, not_found=None)
    expiring = payment(Status.REQUIRES_ACTION, attempt=attempt(not_found=99, not_found_since=NOW))
    assert apply(expiring, Source.POLL, NotFound(), never, later(days=400)).payment.status is Status.REQUIRES_ACTION


def test_the_first_not_found_starts_the_clock() -> None:
    after = judge(payment(), NotFound()).payment.attempt
    assert after is not None
    assert (after.not_found, after.not_found_since) == (1, AT)


@pytest.mark.parametrize("source", [Source.ANSWER, Source.CALLBACK])
def test_only_a_query_can_find_nothing(source: Source) -> None:
    asked = payment(attempt=attempt(not_found=99, not_found_since=NOW))
    after = apply(asked, source, NotFound(), TERMS, later(days=1)).payment
    assert after.status is Status.PROCESSING
    assert after.attempt is not None
    assert after.attempt.not_found == 99


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source.ANSWER, Processing()),
        (Source.POLL, Processing()),
        (Source.CALLBACK, Processing()),
        (Source.ANSWER, Unknown("unmapped", "ZZ", received=True)),
        (Source.POLL, Unknown("unmapped", "ZZ", received=True)),
        (Source.CALLBACK, Unknown("unmapped", "ZZ", received=True)),
        (Source.CALLBACK, Succeeded(WRONG_AMOUNT)),
    ],
)
def test_an_order_that_the_channel_acknowledged_is_never_proved_lost(source: Source, said: Outcome) -> None:
    known = judge(payment(), said, source).payment
    assert known.attempt is not None
    assert known.attempt.acknowledged
    for minutes in range(1, 100):
        known = apply(known, Source.POLL, NotFound(), TERMS, later(minutes=minutes)).payment
    assert known.status is Status.PROCESSING


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("said", [Unknown("timeout"), Unknown("unmapped", "ZZ", "系统繁忙")], ids=repr)
def test_neither_silence_nor_a_code_that_says_nothing_of_the_order_acknowledges_it(
    source: Source, said: Unknown
) -> None:
    after = judge(payment(), said, source).payment.attempt
    assert after is not None
    assert not after.acknowledged


@pytest.mark.parametrize("source", Source)
def test_what_was_acknowledged_once_stays_so(source: Source) -> None:
    known = payment(attempt=attempt(acknowledged=True))
    for said in (Unknown("timeout"), NotFound(), Unknown("unmapped", "ZZ")):
        after = judge(known, said, source).payment.attempt
        assert after is not None
        assert after.acknowledged


# --- contradictions ---


@pytest.mark.parametrize("status", [Status.FAILED, Status.CLOSED])
def test_a_late_success_changes_the_attempt_once_and_the_payment_never(status: Status) -> None:
    before = payment(status)
    first = judge(before, Succeeded(1000))
    assert first.changed
    assert first.payment.attempt is not None
    assert first.payment.attempt.late_success
    assert replace(first.payment, attempt=before.attempt) == before
    again = judge(first.payment, Succeeded(1000))
    assert not again.changed
    assert again.payment == first.payment


@pytest.mark.parametrize("status", Status)
def test_another_amount_moves_no_money_state(status: Status) -> None:
    before = payment(status)
    verdict = judge(before, Succeeded(WRONG_AMOUNT))
    assert verdict.anomaly is not None
    assert verdict.anomaly.kind is AnomalyKind.AMOUNT_MISMATCH
    assert verdict.anomaly.detail == "ours 1000, theirs 999 fen"
    assert (verdict.payment.status, verdict.payment.finished_at) == (before.status, before.finished_at)
    assert verdict.payment.attempt is not None
    assert not verdict.payment.attempt.late_success


# --- authentication: status × stage × outcome ---


def authenticate(before: Payment, outcome: AuthenticationOutcome, verified_elsewhere: bool = False) -> Verdict:
    return apply_authentication(before, outcome, verified_elsewhere, TERMS, AT)


AUTHENTICATION_FAILURES: dict[str, tuple[FailureCode, Blame]] = {
    "declined": (FailureCode.AUTHENTICATION_REJECTED, Blame.PAYER),
    "sms needed": (FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
    "unknown": (FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL),
    "not found": (FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL),
    "not sent": (FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL),
}


@pytest.mark.parametrize(("status", "stage", "outcome"), list(product(Status, Stage, AUTHENTICATION_OUTCOMES)))
def test_an_authentication_moves_only_a_payment_that_waits_for_it(status: Status, stage: Stage, outcome: str) -> None:
    before = payment(status, stage)
    verdict = authenticate(before, AUTHENTICATION_OUTCOMES[outcome])
    bound = outcome == "authenticated"
    assert verdict.agreement_no == ("token-1" if bound else None)
    if (status, stage) != (Status.PROCESSING, Stage.AUTHENTICATING):
        assert verdict.payment is before
        assert not verdict.changed
        assert not verdict.submit
        return
    assert verdict.changed
    assert verdict.submit == bound
    if bound:
        assert verdict.payment.status is Status.PROCESSING
        assert verdict.payment.due == TERMS.unanswered(AT)
        assert verdict.payment.attempt is not None
        assert verdict.payment.attempt.stage is Stage.PAYING
        assert verdict.payment.attempt.submitted_at == AT
        return
    failed = verdict.payment.failure
    assert failed is not None
    assert (failed.code, failed.blame) == AUTHENTICATION_FAILURES[outcome]
    assert (verdict.payment.status, verdict.payment.due) == (Status.FAILED, None)


def test_a_refusal_of_a_card_that_another_account_verified_is_the_channels_fault() -> None:
    waiting = payment(stage=Stage.AUTHENTICATING)
    verdict = authenticate(waiting, Declined(FailureCode.NAME_MISMATCH), verified_elsewhere=True)
    assert verdict.payment.failure is not None
    assert verdict.payment.failure.blame is Blame.CHANNEL


def test_a_card_is_bound_only_once_for_one_payment() -> None:
    first = authenticate(payment(stage=Stage.AUTHENTICATING), Authenticated("token-1"))
    assert first.submit
    again = authenticate(first.payment, Authenticated("token-1"))
    assert not again.submit
    assert again.payment == first.payment


def test_an_agreement_number_is_not_shown() -> None:
    verdict = authenticate(payment(stage=Stage.AUTHENTICATING), Authenticated("token-1"))
    assert "token-1" not in repr(verdict)
    assert "token-1" not in repr(Authenticated("token-1"))


# --- no sequence of observations, whatever it says ---

Step = Callable[[Payment, float], Verdict]


def pay_step(source: Source, outcome: Outcome) -> Step:
    return lambda p, s: apply(p, source, outcome, TERMS, later(seconds=s))


def authentication_step(outcome: AuthenticationOutcome, elsewhere: bool) -> Step:
    return lambda p, s: apply_authentication(p, outcome, elsewhere, TERMS, later(seconds=s))


steps = st.one_of(
    st.builds(pay_step, st.sampled_from(Source), st.sampled_from(list(OUTCOMES.values()))),
    st.builds(pay_step, st.just(Source.POLL), st.just(NotFound())),
    st.builds(authentication_step, st.sampled_from(list(AUTHENTICATION_OUTCOMES.values())), st.booleans()),
)
histories = st.lists(st.tuples(steps, st.floats(0.0, 400.0)), max_size=25)
starts = st.builds(payment, st.sampled_from(OPEN), st.sampled_from(Stage))


@given(starts, histories)
def test_no_sequence_of_facts_leaves_a_final_state_or_loses_what_is_due(
    now_is: Payment, history: list[tuple[Step, float]]
) -> None:
    passed_s, submits, late, authenticating = 0.0, 0, 0, now_is.attempt and now_is.attempt.stage
    for step, gap_s in history:
        passed_s += gap_s
        verdict = step(now_is, passed_s)
        after = verdict.payment
        assert (after.status in FINAL) == (after.due is None) == (after.finished_at is not None)
        assert (after.status is Status.FAILED) == (after.failure is not None)
        assert now_is.attempt is not None
        assert after.attempt is not None
        if now_is.status in FINAL:
            assert replace(after, attempt=now_is.attempt) == now_is
        if now_is.attempt.acknowledged:
            assert after.attempt.acknowledged
            if after.failure and not now_is.failure:
                assert not (after.failure.channel_message or "").startswith("not received")
        assert after.attempt.attempt_id == now_is.attempt.attempt_id
        assert (after.attempt.stage, now_is.attempt.stage) != (Stage.AUTHENTICATING, Stage.PAYING)
        assert not now_is.attempt.late_success or after.attempt.late_success
        submits += verdict.submit
        late += verdict.changed and after.status is now_is.status and after.status in FINAL
        now_is = after
    assert submits <= (authenticating is Stage.AUTHENTICATING)
    assert late <= 1


@given(histories)
def test_nothing_is_paid_before_the_card_is_bound(history: list[tuple[Step, float]]) -> None:
    now_is, bound, passed_s = payment(stage=Stage.AUTHENTICATING), False, 0.0
    for step, gap_s in history:
        passed_s += gap_s
        verdict = step(now_is, passed_s)
        bound = bound or verdict.submit
        now_is = verdict.payment
        assert bound or now_is.status is not Status.SUCCEEDED


def test_a_second_success_under_another_number_of_theirs_is_an_anomaly() -> None:
    paid = judge(payment(), Succeeded(1000, "theirs-1")).payment
    again = apply(paid, Source.CALLBACK, Succeeded(1000, "theirs-2"), TERMS, later(minutes=1))
    assert again.payment == paid
    assert again.anomaly is not None
    assert again.anomaly.kind is AnomalyKind.TRANSACTION_MISMATCH
    assert apply(paid, Source.CALLBACK, Succeeded(1000, "theirs-1"), TERMS, later(minutes=1)).anomaly is None
    assert apply(paid, Source.CALLBACK, Succeeded(1000), TERMS, later(minutes=1)).anomaly is None


def test_what_we_did_not_send_in_time_is_not_the_channels_fault() -> None:
    late = judge(payment(), NotSent("too late", ours=True), Source.ANSWER).payment.failure
    refused = judge(payment(), NotSent("refused"), Source.ANSWER).payment.failure
    assert late is not None
    assert refused is not None
    assert (late.code, late.blame, refused.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM, Blame.CHANNEL)


def test_a_payment_whose_user_never_acted_closes_when_its_channel_has_proved_to_know_nothing() -> None:
    waiting = payment(Status.REQUIRES_ACTION)
    assert waiting.due is not None
    expiring = replace(waiting, due=replace(waiting.due, kind=DueKind.EXPIRE))
    once = apply(expiring, Source.POLL, NotFound(), TERMS, later(minutes=1)).payment
    assert once.status is Status.REQUIRES_ACTION
    assert once.due is not None
    assert once.due.kind is DueKind.EXPIRE
    for minutes in range(2, 30):
        once = apply(once, Source.POLL, NotFound(), TERMS, later(minutes=minutes)).payment
    assert (once.status, once.due, once.failure) == (Status.CLOSED, None, None)


def test_a_channel_that_was_closed_while_it_authenticated_is_to_blame_itself() -> None:
    before = payment(Status.PROCESSING, Stage.AUTHENTICATING)
    closed = authenticate(before, Declined(FailureCode.CHANNEL_UNAVAILABLE, "02")).payment.failure
    assert closed is not None
    assert (closed.code, closed.blame) == (FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL)
