"""What holds a payout, and what words, people and the clock mean for it: the statuses that it enters, in turn.

Not tested here: what a word does to an intent (test_hearing), sums under locks (tests/storage).
"""

from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import AnomalyKind, Source, hear
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
    Suspicion,
    Unknown,
)
from gateway.domain.payouts import HELD_FOR_AT_MOST, Hold, Payout, after_hearing, begun, confirmed, not_confirmed
from gateway.domain.statuses import TRANSITIONS, Status
from tests.unit.domain.samples import PAYOUT_INTENT_ID, PAYOUT_TERMS, ZONE, intent, later, payout

BACK = Returned(ReturnReason.PAYEE_ACCOUNT_ABNORMAL)
HELD = Processing("4002", "疑似重复", suspicion=Suspicion.DUPLICATE, continuation="123456")


def hears(before: Payout, said: Outcome, source: Source = Source.POLL, at_s: float = 7.0) -> tuple[Payout, ...]:
    at = later(seconds=at_s)
    assert before.intent is not None
    did = hear(before.intent, source, said, PAYOUT_TERMS, ZONE, at)
    return after_hearing(before, did, source, said, PAYOUT_TERMS, at)


@pytest.mark.parametrize(
    ("status", "said", "entered"),
    [
        (Status.PROCESSING, Succeeded(1000), ["succeeded"]),
        (Status.PROCESSING, Declined(FailureCode.PAYEE_INVALID), ["failed"]),
        (Status.PROCESSING, BACK, ["succeeded", "returned"]),
        (Status.PROCESSING, Unknown("timeout"), ["processing"]),
        (Status.PROCESSING, NotFound("8901"), ["processing"]),
        (Status.PROCESSING, Processing(), ["processing"]),
        (Status.PROCESSING, Succeeded(999), ["processing"]),
        (Status.SUCCEEDED, BACK, ["returned"]),
        (Status.SUCCEEDED, Declined(FailureCode.PAYEE_INVALID), ["succeeded"]),
        (Status.FAILED, Succeeded(1000), ["failed"]),
        (Status.FAILED, BACK, ["failed"]),
        (Status.RETURNED, Succeeded(1000), ["returned"]),
        (Status.RETURNED, Processing(), ["returned"]),
        (Status.RETURNED, BACK, ["returned"]),
    ],
)
def test_each_word_in_each_state(status: Status, said: Outcome, entered: list[str]) -> None:
    before = payout(status)
    told = hears(before, said)
    assert [each.status for each in told] == entered
    new = [each for each in told if each.status is not before.status]
    assert [each.sequence for each in new] == [before.sequence + n for n in range(1, len(new) + 1)]


def test_success_then_return_in_either_order_is_the_same_two_states() -> None:
    (done,) = hears(payout(), Succeeded(1000))
    (back,) = hears(done, BACK, Source.CALLBACK, at_s=300_000.0)
    assert (back.status, back.returned, back.sequence, back.due_at) == (
        Status.RETURNED, ReturnReason.PAYEE_ACCOUNT_ABNORMAL, 2, None,
    )  # fmt: skip
    assert back.finished_at == done.finished_at
    *_, first = hears(payout(), BACK, Source.CALLBACK)
    assert hears(first, Succeeded(1000), Source.CALLBACK, at_s=9.0) == (first,)


def test_a_return_of_another_amount_changes_nothing_but_is_an_anomaly() -> None:
    done = payout(Status.SUCCEEDED)
    assert done.intent is not None
    said = replace(BACK, amount=999)
    did = hear(done.intent, Source.POLL, said, PAYOUT_TERMS, ZONE, later(days=1))
    assert did.anomaly is not None
    assert did.anomaly.kind is AnomalyKind.AMOUNT_MISMATCH
    assert after_hearing(done, did, Source.POLL, said, PAYOUT_TERMS, later(days=1)) == (done,)


@pytest.mark.parametrize(
    ("status", "takes"),
    [(Status.PROCESSING, True), (Status.SUCCEEDED, True), (Status.FAILED, False), (Status.RETURNED, False)],
)
def test_what_failed_or_came_back_takes_nothing_of_its_payments_and_of_the_channels_day(
    status: Status, takes: bool
) -> None:
    assert (payout(status).takes, payout(status).uses) == (takes, 1000 if takes else 0)


def test_what_was_not_sent_takes_of_its_payments_and_not_of_the_channels_day() -> None:
    held = payout(held_for=Hold.APP)
    assert (held.takes, held.uses) == (True, 0)


def test_a_late_success_takes_again_and_owes_its_fee() -> None:
    (late,) = hears(payout(Status.FAILED, expected_fee=200), Succeeded(1000))
    assert (late.status, late.takes, late.fee) == (Status.FAILED, True, 200)


def test_a_success_owes_its_fee() -> None:
    (done,) = hears(payout(expected_fee=200), Succeeded(1000))
    assert done.fee == 200


# --- what holds it ---


def test_a_suspicion_holds_it_for_a_week_and_it_is_still_asked_about() -> None:
    (held,) = hears(payout(), HELD, Source.ANSWER)
    assert (held.status, held.held_for, held.suspicion) == (Status.PROCESSING, Hold.SUSPICION, Suspicion.DUPLICATE)
    assert held.until_at == later(seconds=7) + HELD_FOR_AT_MOST
    assert held.due_at == PAYOUT_TERMS.after(0, later(seconds=7))
    # Told again, it is held no longer than that; and a question that does not say why does not forget why.
    (again,) = hears(held, Processing("CHECK", suspicion=Suspicion.UNSAID), at_s=900.0)
    assert (again.suspicion, again.until_at) == (Suspicion.DUPLICATE, held.until_at)


def test_what_its_psp_holds_no_more_is_not_held() -> None:
    (held,) = hears(payout(), HELD, Source.ANSWER)
    (free,) = hears(held, Processing("PROCESSING"), at_s=60.0)
    assert (free.held_for, free.suspicion, free.until_at) == (None, None, None)
    (unknown,) = hears(held, Unknown("timeout"), at_s=60.0)
    assert unknown.held_for is Hold.SUSPICION


def test_a_confirmation_is_an_intent_of_its_own_on_the_same_order() -> None:
    (held,) = hears(payout(), HELD, Source.ANSWER)
    after, over = confirmed(held, PAYOUT_INTENT_ID, PAYOUT_TERMS, later(hours=1))
    assert after.intent is not None
    assert held.intent is not None
    assert (after.intent.ordinal, after.intent.number, after.intent.told_at) == (
        2, held.intent.number, held.intent.told_at,
    )  # fmt: skip
    assert (after.intent.recorded_at, after.intent.state) == (later(hours=1), IntentState.OPEN)
    assert (after.held_for, after.until_at, after.due_at) == (None, None, PAYOUT_TERMS.unanswered(later(hours=1)))
    assert (over.ordinal, over.state) == (1, IntentState.DECLINED)
    # A notice of before says nothing of what was confirmed since; a question does.
    (same,) = hears(after, HELD, Source.CALLBACK, at_s=3601.0)
    assert same.held_for is None
    (held_again,) = hears(after, HELD, Source.POLL, at_s=3700.0)
    assert held_again.held_for is Hold.SUSPICION


def test_not_found_is_no_proof_of_what_its_psp_held() -> None:
    (held,) = hears(payout(), HELD, Source.ANSWER)
    after, _ = confirmed(held, PAYOUT_INTENT_ID, PAYOUT_TERMS, later(hours=1))
    for n in range(5):
        (after,) = hears(after, NotFound(), at_s=4000.0 + n * 1000)
    assert after.status is Status.PROCESSING


@pytest.mark.parametrize("held_for", [Hold.APP, Hold.SUSPICION])
def test_what_nobody_confirms_fails_and_blames_nobody_else(held_for: Hold) -> None:
    failed = not_confirmed(payout(held_for=held_for), later(days=7))
    assert failed.failure is not None
    assert (failed.status, failed.failure.code, failed.failure.blame) == (
        Status.FAILED, FailureCode.NOT_CONFIRMED, Blame.PLATFORM,
    )  # fmt: skip
    assert (failed.held_for, failed.due_at, failed.until_at, failed.sequence) == (None, None, None, 1)
    assert failed.intent is None or failed.intent.state is IntentState.DECLINED


def test_what_is_begun_has_an_intent_of_now_and_the_day_of_now() -> None:
    held = payout(held_for=Hold.APP)
    sent = begun(held, PAYOUT_INTENT_ID, PAYOUT_TERMS, later(days=2), later(days=2).date())
    assert sent.intent is not None
    assert (sent.intent.recorded_at, sent.business_day, sent.held_for) == (later(days=2), later(days=2).date(), None)
    assert sent.due_at == PAYOUT_TERMS.unanswered(later(days=2))


@pytest.mark.parametrize(("settles", "complete"), [(0, True), (999, False), (1000, True)])
def test_parts_are_the_whole_amount_or_none(settles: int, complete: bool) -> None:
    assert payout(settles=settles).is_complete is complete


# --- what succeeded and may come back ---


def test_what_succeeded_is_asked_about_for_as_long_as_its_provider_gives_back() -> None:
    (done,) = hears(payout(), Succeeded(1000), at_s=0.0)
    dues = []
    while done.due_at is not None:
        dues.append(done.due_at)
        assert done.intent is not None
        did = hear(done.intent, Source.POLL, Succeeded(1000), PAYOUT_TERMS, ZONE, done.due_at)
        (done,) = after_hearing(done, did, Source.POLL, Succeeded(1000), PAYOUT_TERMS, done.due_at)
    assert dues == [later(seconds=s) for s in (3600, 3600 + 7200, 3600 + 2 * 7200)]
    assert done.status is Status.SUCCEEDED


def test_questions_that_were_missed_are_not_made_up_for() -> None:
    (done,) = hears(payout(), Succeeded(1000), at_s=0.0)
    (looked,) = hears(done, Unknown("timeout"), at_s=11_000.0)
    assert looked.intent is not None
    assert (looked.due_at, looked.intent.looks) == (later(seconds=3600 + 2 * 7200), 2)


def test_a_look_that_was_not_sent_is_none() -> None:
    (done,) = hears(payout(), Succeeded(1000), at_s=0.0)
    (unsent,) = hears(done, NotSent("no place", ours=True), at_s=3600.0)
    assert unsent.intent == done.intent
    assert unsent.due_at is not None
    assert unsent.due_at > later(seconds=3600)


def test_where_nothing_is_watched_nothing_is_due_after_success() -> None:
    terms = replace(PAYOUT_TERMS, watch=None)
    before = payout()
    did = hear(intent(Verb.PAYOUT), Source.POLL, Succeeded(1000), terms, ZONE, later(seconds=7))
    (done,) = after_hearing(before, did, Source.POLL, Succeeded(1000), terms, later(seconds=7))
    assert (done.status, done.due_at) == (Status.SUCCEEDED, None)


# --- no sequence of words, whatever it says ---

OUTCOMES: list[Outcome] = [
    Succeeded(1000, "theirs-1"),
    Succeeded(),
    Succeeded(999),
    BACK,
    replace(BACK, amount=1),
    Declined(FailureCode.PAYEE_INVALID),
    Processing(),
    HELD,
    Unknown("timeout"),
    Unknown("duplicate", received=True),
    NotFound(),
    NotSent("refused"),
]
words = st.lists(st.tuples(st.sampled_from(Source), st.sampled_from(OUTCOMES), st.floats(0.0, 9000.0)), max_size=25)


@settings(deadline=None)
@given(words)
def test_no_sequence_of_words_takes_another_way_than_the_table_or_loses_what_is_due(
    history: list[tuple[Source, Outcome, float]],
) -> None:
    entered, passed_s = [payout()], 0.0
    for source, said, gap_s in history:
        passed_s += gap_s
        entered.extend(hears(entered[-1], said, source, passed_s))
    for before, each in pairwise(entered):
        assert each.status is before.status or each.status in TRANSITIONS[ObjectKind.PAYOUT][before.status]
        assert each.is_final == (each.finished_at is not None)
        assert each.is_final or each.due_at is not None
        assert (each.held_for is None) == (each.until_at is None)
        assert not (each.is_final and each.held_for)
        assert (each.status is Status.FAILED) == (each.failure is not None)
        assert (each.status is Status.RETURNED) == (each.returned is not None)
        if before.is_final:
            assert (each.finished_at, each.failure) == (before.finished_at, before.failure)


@pytest.mark.parametrize(("status", "source"), list(product([Status.SUCCEEDED, Status.FAILED], Source)))
def test_what_is_final_is_not_held(status: Status, source: Source) -> None:
    (after,) = hears(payout(status), HELD, source)
    assert (after.held_for, after.until_at) == (None, None)
