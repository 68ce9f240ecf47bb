"""What the end of its intent means for an authentication: whether the card is bound, and whose fault it is if not.

Not tested here: what a word does to an intent (test_hearing), what it means for those who wait (test_payments).
"""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.authentications import Authentication, after_hearing
from gateway.domain.failures import MEANINGS, Advice, Blame, FailureCode, failure
from gateway.domain.hearing import Heard, Source, hear
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    NotSent,
    SmsNeeded,
    Unknown,
)
from gateway.domain.statuses import TRANSITIONS, Status
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    PAYMENT_ID,
    REFUND_ID,
    ZONE,
    authentication,
    intent,
    later,
    sent,
)

AT = later(seconds=7)
STATUSES = [status for status in Status if status in TRANSITIONS[ObjectKind.PAYMENT]]
STATES = [state for state in IntentState if state is not IntentState.RETURNED]
"""No card comes back (test_hearing)."""
ENDED_BADLY = [state for state in STATES if state not in {IntentState.OPEN, IntentState.DONE}]
WHY = failure(FailureCode.CHANNEL_UNAVAILABLE, channel_code="41")


def after(before: Authentication, state: IntentState) -> Authentication:
    """The authentication after its intent is heard to be in this state."""
    why = WHY if state in ENDED_BADLY else None
    heard = Heard(intent(Verb.AUTHENTICATE, state), later(minutes=1), moves_due=True, failure=why)
    return after_hearing(before, heard, False, AT)


def hears(
    said: AuthenticationOutcome, source: Source = Source.ANSWER, *, verified_elsewhere: bool = False
) -> Authentication:
    """The sample authentication after a word."""
    before = authentication()
    return after_hearing(before, hear(sent(before), source, said, AUTHENTICATION_TERMS, ZONE, AT),
                         verified_elsewhere, AT)  # fmt: skip


# --- status × state ---


def expected_of(status: str, state: str) -> str:
    """The rule in the plainest words."""
    if status in ("succeeded", "failed", "closed") or state == "open":
        return status
    return "succeeded" if state == "done" else "failed"


@pytest.mark.parametrize(("status", "state"), list(product(STATUSES, STATES)))
def test_the_end_of_an_intent_is_the_authentications(status: Status, state: IntentState) -> None:
    before = authentication(status)
    heard = after(before, state)
    assert heard.status == expected_of(status, state)
    assert heard.intent == intent(Verb.AUTHENTICATE, state)
    assert heard.due_at == later(minutes=1)
    assert heard.is_final == (heard.finished_at is not None)
    assert (heard.status is Status.FAILED) == (heard.failure is not None)
    if heard.status is before.status:
        assert replace(heard, intent=before.intent, due_at=before.due_at) == before
    else:
        assert heard.finished_at == AT


@pytest.mark.parametrize("status", STATUSES)
def test_a_word_that_leaves_the_plan_leaves_what_is_due(status: Status) -> None:
    before = authentication(status, due_at=later(hours=1))
    assert after_hearing(before, Heard(sent(before)), False, AT) == before


# --- whose fault it is ---

FAILURES: list[tuple[AuthenticationOutcome, Source, FailureCode, Blame]] = [
    (Declined(FailureCode.NAME_MISMATCH), Source.ANSWER, FailureCode.AUTHENTICATION_REJECTED, Blame.PAYER),
    (Declined(FailureCode.CHANNEL_UNAVAILABLE), Source.ANSWER, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
    (Declined(FailureCode.MERCHANT_BALANCE_SHORT), Source.POLL, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
    (SmsNeeded(), Source.ANSWER, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
    (Unknown("timeout"), Source.POLL, FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL),
    (NotFound(), Source.POLL, FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL),
    (NotFound(), Source.OPERATOR, FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL),
    (NotSent("refused"), Source.ANSWER, FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL),
    (NotSent("too late", ours=True), Source.ANSWER, FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM),
]


@pytest.mark.parametrize(("said", "source", "code", "blame"), FAILURES, ids=str)
def test_a_card_that_was_not_bound_says_why_and_who_is_to_blame(
    said: AuthenticationOutcome, source: Source, code: FailureCode, blame: Blame
) -> None:
    failed = hears(said, source)
    assert failed.status is Status.FAILED
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.blame) == (code, blame)
    assert failed.failure.advice is Advice.RETRY_NOW


@pytest.mark.parametrize("code", FailureCode)
def test_a_refusal_is_the_payers_fault_only_where_its_code_is_about_the_payer(code: FailureCode) -> None:
    refused = hears(Declined(code, "N1", "户名不符")).failure
    about_the_payer = MEANINGS[code].blame is Blame.PAYER
    assert refused == failure(
        FailureCode.AUTHENTICATION_REJECTED,
        blame=Blame.PAYER if about_the_payer else Blame.CHANNEL,
        channel_code="N1",
        channel_message="户名不符",
    )


@pytest.mark.parametrize("said", [Declined(FailureCode.NAME_MISMATCH), SmsNeeded()], ids=repr)
def test_a_refusal_of_a_card_that_another_account_verified_is_the_channels_fault(said: AuthenticationOutcome) -> None:
    refused = hears(said, verified_elsewhere=True)
    assert refused.failure is not None
    assert refused.failure.blame is Blame.CHANNEL
    assert refused.contradicts


@pytest.mark.parametrize(("said", "source"), [(said, source) for said, source, *_ in FAILURES], ids=str)
def test_only_a_refusal_contradicts_and_only_what_another_account_verified(
    said: AuthenticationOutcome, source: Source
) -> None:
    assert not hears(said, source).contradicts
    refused = isinstance(said, Declined | SmsNeeded)
    assert hears(said, source, verified_elsewhere=True).contradicts == refused


def test_a_bound_card_contradicts_nothing() -> None:
    bound = hears(Authenticated("token-1"), verified_elsewhere=True)
    assert (bound.status, bound.failure, bound.contradicts) == (Status.SUCCEEDED, None, False)
    assert (bound.due_at, bound.finished_at) == (None, AT)


# --- lost answers ---


def test_an_answer_that_was_lost_is_asked_about_and_then_given_up() -> None:
    asked = hears(Unknown("timeout"))
    assert (asked.status, asked.due_at) == (Status.PROCESSING, AUTHENTICATION_TERMS.after(0, AT))
    told = hear(sent(asked), Source.POLL, NotFound("34"), AUTHENTICATION_TERMS, ZONE, later(seconds=9))
    given_up = after_hearing(asked, told, False, later(seconds=9))
    assert given_up.status is Status.FAILED
    assert given_up.failure == failure(FailureCode.AUTHENTICATION_UNKNOWN, channel_code="34")
    assert given_up.due_at == later(seconds=9) + timedelta(hours=1)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CLOSED])
def test_a_card_that_was_bound_after_all_changes_no_end_and_is_looked_for_no_longer(status: Status) -> None:
    unknown = authentication(status, intent=intent(Verb.AUTHENTICATE, IntentState.UNKNOWN), due_at=later(hours=1))
    told = hear(sent(unknown), Source.POLL, Authenticated("token-1"), AUTHENTICATION_TERMS, ZONE, later(hours=1))
    assert told.agreement_no == "token-1"
    assert after_hearing(unknown, told, False, later(hours=1)) == replace(unknown, due_at=None)


# --- what it costs, and whom ---


@pytest.mark.parametrize("state", STATES)
def test_an_authentication_costs_its_fee_unless_nothing_of_it_was_sent(state: IntentState) -> None:
    asked = authentication(intent=intent(Verb.AUTHENTICATE, state))
    assert asked.was_sent == (state not in {IntentState.NOT_SENT, IntentState.NOT_RECEIVED})


def test_it_belongs_to_the_payment_that_started_it() -> None:
    assert authentication().is_own_of(PAYMENT_ID)
    assert not authentication().is_own_of(REFUND_ID)
    assert not authentication(payment_id=None).is_own_of(PAYMENT_ID)


# --- no sequence of observations, whatever it says ---

words = st.tuples(
    st.sampled_from(Source), st.sampled_from([Authenticated("token-1"), *(said for said, *_ in FAILURES)])
)
histories = st.lists(st.tuples(words, st.booleans(), st.floats(0.0, 40_000.0)), max_size=12)


@given(histories)
def test_no_sequence_of_words_leaves_an_end_or_forgets_an_open_one(
    history: list[tuple[tuple[Source, AuthenticationOutcome], bool, float]],
) -> None:
    now_is, passed_s = authentication(), 0.0
    for (source, said), elsewhere, gap_s in history:
        passed_s += gap_s
        at = later(seconds=passed_s)
        heard = hear(sent(now_is), source, said, AUTHENTICATION_TERMS, ZONE, at)
        asked = after_hearing(now_is, heard, elsewhere, at)
        assert asked.is_final == (asked.finished_at is not None) == (not sent(asked).is_open)
        assert asked.is_final or asked.due_at is not None
        assert (asked.status is Status.FAILED) == (asked.failure is not None)
        if now_is.is_final:
            assert replace(asked, intent=now_is.intent, due_at=now_is.due_at) == now_is
        now_is = asked
