"""A payment on a page of a PSP's: what each word means while the payer may pay, when their time is over, and after.

Not tested here: how it is opened and asked about (tests/storage, tests/e2e), the addresses of the way back
(test_return_urls).
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.codes import Asked, ClosedReason, Purpose
from gateway.domain.failures import FailureCode
from gateway.domain.hearing import AnomalyKind, Heard, Source, hear
from gateway.domain.intents import IntentState
from gateway.domain.outcomes import Closed, Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.payments import Payment, after_hearing, on_a_page
from gateway.domain.redirects import RedirectRules
from gateway.domain.statuses import Status
from gateway.domain.terms import NotFoundRule, Terms
from tests.unit.domain import samples
from tests.unit.domain.samples import NOW, ZONE, later

GRACE_S = 120.0
ENDS = Terms((60.0, 300.0), None, 30.0, late_looks=3, page=RedirectRules(ends_at_expiry=True, grace_s=GRACE_S))
STAYS = replace(ENDS, page=RedirectRules(ends_at_expiry=False, grace_s=GRACE_S), not_found=NotFoundRule(2, 600.0))
NEVER = replace(STAYS, not_found=None)
EXPIRES = later(seconds=900)
OVER = EXPIRES + timedelta(seconds=GRACE_S + PROOF_MARGIN_S)
"""From when on silence may prove something."""
UNPAID = Processing("INIT", unpaid=True)


def waiting() -> Payment:
    """Opened now, with a quarter of an hour to pay."""
    plain = replace(samples.payment(), status=Status.PROCESSING, attempt=None, due_at=None, until_at=None, sequence=0)
    attempt = samples.attempt()
    asked = Asked(Purpose.REDIRECT, "", attempt.number, NOW, url="https://pay.example/pay/token")
    return on_a_page(plain, asked, attempt, later(seconds=60))


def told(
    before: Payment,
    said: Outcome,
    at: datetime,
    terms: Terms = ENDS,
    source: Source = Source.POLL,
    asked_at: datetime | None = None,
) -> tuple[Payment, Heard]:
    assert before.attempt is not None
    heard = hear(before.attempt, source, said, terms, ZONE, at, before.expires_at, asked_at)
    return after_hearing(before, heard, at), heard


def test_it_waits_for_its_payer_from_the_start_and_is_told() -> None:
    payment = waiting()
    assert (payment.status, payment.sequence, payment.until_at) == (Status.REQUIRES_ACTION, 1, EXPIRES)
    assert payment.due_at is not None, "and its PSP is asked meanwhile"


@pytest.mark.parametrize("said", [UNPAID, NotFound("50"), Unknown("timeout"), NotSent("refused"), Processing("05")])
def test_nothing_but_a_final_word_ends_it_before_its_time_is_over(said: Outcome) -> None:
    after, _ = told(waiting(), said, later(seconds=60))
    assert (after.status, after.sequence, after.until_at) == (Status.REQUIRES_ACTION, 1, EXPIRES)
    assert after.due_at is not None
    assert after.due_at <= OVER


@pytest.mark.parametrize("at", [later(seconds=60), OVER + timedelta(days=1)])
@pytest.mark.parametrize("said", [NotSent("refused"), NotSent("no place", ours=True), Unknown("53"), NotFound("50")])
def test_a_wish_to_give_it_up_that_did_not_arrive_ends_nothing_since_its_payer_may_be_paying(
    said: Outcome, at: datetime
) -> None:
    after, heard = told(waiting(), said, at, source=Source.ANSWER)
    assert (after.status, after.failure, heard.intent.is_open) == (Status.REQUIRES_ACTION, None, True)
    assert after.due_at is not None


@pytest.mark.parametrize("terms", [ENDS, STAYS, NEVER])
def test_that_the_psp_has_in_writing_not_received_it_counts_only_once_nobody_can_bring_it_any_more(
    terms: Terms,
) -> None:
    early, _ = told(waiting(), NotFound(), OVER - timedelta(seconds=1), terms, Source.OPERATOR)
    assert early == waiting()
    after, _ = told(early, NotFound(), OVER, terms, Source.OPERATOR)
    assert (after.status, after.closed_reason) == (Status.CLOSED, ClosedReason.EXPIRED)


def test_it_is_asked_exactly_when_silence_begins_to_prove_something() -> None:
    after, _ = told(waiting(), UNPAID, EXPIRES - timedelta(seconds=1))
    assert after.due_at == OVER


def test_when_its_time_is_over_it_says_so_and_waits_for_the_grace() -> None:
    after, _ = told(waiting(), UNPAID, EXPIRES)
    assert after.asked is not None
    assert (after.status, after.asked.expired, after.until_at, after.due_at) == (
        Status.REQUIRES_ACTION,
        True,
        None,
        OVER,
    )


@pytest.mark.parametrize("said", [UNPAID, NotFound("50")])
def test_a_psp_that_ends_orders_at_their_expiry_proves_by_silence_that_nothing_was_paid(said: Outcome) -> None:
    late, _ = told(waiting(), UNPAID, EXPIRES)
    after, heard = told(late, said, OVER)
    assert (after.status, after.closed_reason, after.failure) == (Status.CLOSED, ClosedReason.EXPIRED, None)
    assert heard.intent.state is IntentState.NOT_RECEIVED
    assert after.due_at == OVER + timedelta(hours=1), "it is looked at again"


@pytest.mark.parametrize("terms", [ENDS, STAYS])
def test_a_slow_answer_to_a_question_of_before_proves_nothing_and_it_is_asked_anew_at_once(terms: Terms) -> None:
    late, _ = told(waiting(), NotFound("50"), EXPIRES, terms)
    heard_at = OVER + timedelta(seconds=20)
    slow, _ = told(late, NotFound("50"), heard_at, terms, asked_at=OVER - timedelta(seconds=5))
    assert (slow.status, slow.due_at) == (Status.REQUIRES_ACTION, heard_at)
    after, _ = told(slow, NotFound("50"), heard_at + timedelta(seconds=20), terms, asked_at=heard_at)
    assert after.status is (Status.CLOSED if terms is ENDS else Status.REQUIRES_ACTION)


@pytest.mark.parametrize("said", [Unknown("paid before it could be cancelled", "53", received=True), Succeeded(1)])
def test_not_found_closes_nothing_that_the_psp_has_spoken_of_as_paid(said: Outcome) -> None:
    payment, _ = told(waiting(), said, later(seconds=60), source=Source.ANSWER)
    after, _ = told(payment, NotFound("50"), OVER)
    assert (after.status, after.failure) == (Status.REQUIRES_ACTION, None)
    assert after.due_at is not None


def test_an_order_that_lives_from_its_opening_may_live_twice_as_long() -> None:
    """Its payer may have opened the page in its last second."""
    assert ENDS.page is not None
    terms = replace(ENDS, page=replace(ENDS.page, lives_from_opening=True))
    late, _ = told(waiting(), UNPAID, OVER, terms)
    assert late.status is Status.REQUIRES_ACTION
    after, _ = told(late, UNPAID, OVER + timedelta(seconds=900), terms)
    assert after.status is Status.CLOSED


def test_processing_there_is_no_silence() -> None:
    late, _ = told(waiting(), UNPAID, EXPIRES)
    after, _ = told(late, Processing("05"), OVER)
    assert after.status is Status.REQUIRES_ACTION


def test_where_orders_stay_payable_only_the_not_found_rule_counted_from_expiry_closes_it() -> None:
    early, _ = told(waiting(), NotFound("x"), later(seconds=60), STAYS)
    late, _ = told(early, NotFound("x"), OVER, STAYS)
    assert late.status is Status.REQUIRES_ACTION, "those of before do not count"
    soon, _ = told(late, NotFound("x"), OVER + timedelta(seconds=601), STAYS)
    assert soon.status is Status.REQUIRES_ACTION, "the margin"
    after, _ = told(late, NotFound("x"), OVER + timedelta(seconds=611), STAYS)
    assert (after.status, after.closed_reason) == (Status.CLOSED, ClosedReason.EXPIRED)


def test_an_order_that_the_psp_has_and_would_still_take_is_never_closed_by_silence() -> None:
    payment, at = waiting(), later(seconds=60)
    for _ in range(40):
        payment, _ = told(payment, UNPAID, at, STAYS)
        at += timedelta(hours=1)
    payment, _ = told(payment, NotFound("x"), at, STAYS)
    payment, _ = told(payment, NotFound("x"), at + timedelta(days=1), STAYS)
    assert payment.status is Status.REQUIRES_ACTION
    assert payment.asked is not None
    assert payment.asked.expired


@pytest.mark.parametrize(
    ("source", "at", "reason"),
    [
        (Source.ANSWER, later(seconds=60), ClosedReason.BY_APP),
        (Source.POLL, later(seconds=60), ClosedReason.BY_PAYER),
        (Source.CALLBACK, later(seconds=60), ClosedReason.BY_PAYER),
        (Source.ANSWER, EXPIRES, ClosedReason.EXPIRED),
        (Source.POLL, OVER, ClosedReason.EXPIRED),
    ],
)
def test_an_order_that_is_closed_at_the_psp_is_closed_here(source: Source, at: datetime, reason: ClosedReason) -> None:
    after, heard = told(waiting(), Closed("CANCELED"), at, NEVER, source)
    assert (after.status, after.closed_reason, after.sequence) == (Status.CLOSED, reason, 2)
    assert after.due_at is None, "the PSP has said it: nothing to look for"
    assert heard.anomaly is None


@pytest.mark.parametrize(("by_payer", "reason"), [(False, ClosedReason.BY_APP), (True, ClosedReason.BY_PAYER)])
def test_what_somebody_here_wished_to_close_was_closed_by_them_though_only_a_question_tells_it(
    by_payer: bool, reason: ClosedReason
) -> None:
    payment = waiting()
    assert payment.asked is not None
    wished = replace(payment, asked=replace(payment.asked, ask_again_at=later(seconds=90), by_payer=by_payer))
    at_once, _ = told(wished, Closed("CANCELED"), later(seconds=60), source=Source.ANSWER)
    lost, _ = told(wished, Unknown("reset"), later(seconds=60), source=Source.ANSWER)
    after, _ = told(lost, Closed("CANCELED"), later(seconds=61))
    for closed in (at_once, after):
        assert (closed.status, closed.closed_reason) == (Status.CLOSED, reason)


def test_a_refusal_fails_it() -> None:
    after, _ = told(waiting(), Declined(FailureCode.RISK_REJECTED, "x"), later(seconds=60))
    assert after.failure is not None
    assert (after.status, after.failure.code) == (Status.FAILED, FailureCode.RISK_REJECTED)


@pytest.mark.parametrize("at", [later(seconds=60), EXPIRES, OVER, OVER + timedelta(days=1)])
def test_a_success_pays_it_whenever_it_is_heard(at: datetime) -> None:
    late, _ = told(waiting(), Unknown("timeout"), at)
    after, _ = told(late, Succeeded(amount=late.amount), at)
    assert (after.status, after.sequence) == (Status.SUCCEEDED, 2)


@pytest.mark.parametrize("closing", [NotFound("50"), Closed("CANCELED")])
def test_paid_after_it_was_closed_is_a_late_success(closing: Outcome) -> None:
    closed, _ = told(waiting(), closing, OVER)
    after, heard = told(closed, Succeeded(amount=closed.amount), OVER + timedelta(hours=1))
    assert heard.anomaly is not None
    assert (after.status, heard.anomaly.kind) == (Status.CLOSED, AnomalyKind.LATE_SUCCESS)
    assert after.fee == after.expected_fee


WORDS = st.sampled_from(
    [UNPAID, NotFound("50"), Unknown("t"), Processing("05"), NotSent("r"), Succeeded(), Closed("C"),
     Declined(FailureCode.RISK_REJECTED)]
)  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 4_000), WORDS, st.sampled_from([Source.POLL, Source.CALLBACK])), max_size=12),
    st.sampled_from([ENDS, STAYS, NEVER]),
)
def test_whatever_is_said_and_when_no_final_state_changes_and_what_is_open_has_a_due(
    words: list[tuple[int, Outcome, Source]], terms: Terms
) -> None:
    payment = waiting()
    for seconds, said, source in sorted(words, key=lambda each: each[0]):
        after, _ = told(payment, said, later(seconds=seconds), terms, source)
        if payment.is_final:
            assert after.status is payment.status
        if not after.is_final:
            assert after.due_at is not None
            assert after.until_at is None or after.until_at == EXPIRES
        if after.status is Status.CLOSED and payment.status is not Status.CLOSED:
            assert isinstance(said, Closed) or later(seconds=seconds) >= OVER
        payment = after
