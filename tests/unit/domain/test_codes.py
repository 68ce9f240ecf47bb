"""Codes by SMS: what each word and each wish does to what waits for its payer, and what no order of them can do.

Not tested here: what is recorded of it, and what two at once do (tests/storage/test_payer_acts.py).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import authentications, payments
from gateway.domain.authentications import Authentication
from gateway.domain.codes import (
    CODES_WRONG_MAX,
    EXPIRES_IN_S,
    RESEND_AFTER,
    RESENDS_MAX,
    SIGNING_TIME,
    Asked,
    ClosedReason,
    Purpose,
    asked_from_json,
    asked_to_json,
    mask_phone,
)
from gateway.domain.failures import Blame, FailureCode, failure
from gateway.domain.hearing import Source, hear
from gateway.domain.intents import IntentState
from gateway.domain.outcomes import (
    AnyOutcome,
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    NotSent,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment
from gateway.domain.statuses import FINAL, Status
from gateway.flows.intents import intent_to_pay, intent_to_sign
from tests.unit.domain.samples import (
    AUTHENTICATION_TERMS,
    NOW,
    TERMS,
    ZONE,
    authentication,
    later,
    payment,
    waiting_payment,
)

WRONG, TOO_OLD = Declined(FailureCode.SMS_CODE_WRONG, "W1"), Declined(FailureCode.SMS_CODE_EXPIRED, "E1")
FROZEN, IDENTITY = Declined(FailureCode.CARD_FROZEN), Declined(FailureCode.NAME_MISMATCH)
PAID = Succeeded(1000)


def asked(purpose: Purpose = Purpose.PAY, **known: Any) -> Asked:
    """One SMS was sent when the sample objects were made."""
    return replace(Asked(purpose, "138****0000", "n-1", NOW, sms=1, sms_at=NOW), **known)


def to_pay(status: Status = Status.REQUIRES_ACTION, **of_asked: Any) -> Payment:
    """A payment whose payer got an SMS with a code for it."""
    until = later(seconds=EXPIRES_IN_S) if status is Status.REQUIRES_ACTION else None
    due = later(seconds=35) if status is Status.PROCESSING else None
    known = {"attempt": None, "until_at": until, "due_at": due, "sequence": int(status is Status.REQUIRES_ACTION)}
    return payment(status, asked=asked(**of_asked), customer_present=True, **known)


def to_sign(status: Status = Status.REQUIRES_ACTION, *, own: bool = False, **of_asked: Any) -> Authentication:
    """An authentication whose payer got an SMS. `own`: an app asked for it by itself."""
    told: dict[str, Any] = {"app": "shop", "merchant_order_no": "sign-1", "payment_id": None} if own else {}
    waits = status is Status.REQUIRES_ACTION
    until_at = later(minutes=5) if waits else None
    sign = asked(Purpose.SIGN, **of_asked)
    return authentication(status, intent=None, asked=sign, until_at=until_at, sequence=int(own and waits), **told)


def submits(waiting: Payment, at: datetime = NOW) -> Payment:
    """A code to pay with is on its way."""
    return payments.begun(waiting, intent_to_pay(waiting, uuid4(), at), at + timedelta(seconds=35))


def signs(waiting: Authentication, at: datetime = NOW) -> Authentication:
    """A code to sign with is on its way."""
    return authentications.submitted(waiting, intent_to_sign(waiting, uuid4(), at), at + timedelta(seconds=25))


def hears(waiting: Payment, said: AnyOutcome, source: Source = Source.ANSWER, at: datetime = NOW) -> Payment:
    assert waiting.attempt is not None
    return payments.after_hearing(waiting, hear(waiting.attempt, source, said, TERMS, ZONE, at), at)


def hears_of_card(
    waiting: Authentication, said: AnyOutcome, source: Source = Source.ANSWER, at: datetime = NOW
) -> Authentication:
    assert waiting.intent is not None
    heard = hear(waiting.intent, source, said, AUTHENTICATION_TERMS, ZONE, at)
    return authentications.after_hearing(waiting, heard, False, at)


# --- what is asked for ---


@pytest.mark.parametrize(("sms", "left"), [(0, 3), (1, 3), (2, 2), (3, 1), (4, 0), (9, 0)])
def test_three_more_sms_follow_the_first(sms: int, left: int) -> None:
    assert asked(sms=sms).resends_left == left


@pytest.mark.parametrize(("after_s", "wait_s"), [(0, 60), (59, 1), (60, 0), (3600, 0)])
def test_a_minute_passes_between_two_sms(after_s: int, wait_s: int) -> None:
    assert asked().resend_in(later(seconds=after_s)) == timedelta(seconds=wait_s)


def test_the_first_sms_waits_for_nothing() -> None:
    assert asked(sms=0, sms_at=None).resend_in(NOW) == timedelta(0)


@pytest.mark.parametrize(
    ("purpose", "sms_at", "expires_in_s", "until"),
    [
        (Purpose.PAY, NOW, None, later(seconds=EXPIRES_IN_S)),
        (Purpose.PAY, later(minutes=14), None, later(seconds=EXPIRES_IN_S)),
        (Purpose.PAY, NOW, 60, later(seconds=60)),
        (Purpose.SIGN, NOW, None, NOW + SIGNING_TIME),
        (Purpose.SIGN, later(minutes=3), None, later(minutes=8)),
        (Purpose.SIGN, later(minutes=14), None, later(seconds=EXPIRES_IN_S)),
        (Purpose.SIGN, NOW, 60, later(seconds=60)),
        (Purpose.SIGN, None, None, later(seconds=EXPIRES_IN_S)),
    ],
)
def test_a_signing_code_waits_five_minutes_and_nothing_longer_than_the_object(
    purpose: Purpose, sms_at: datetime | None, expires_in_s: int | None, until: datetime
) -> None:
    assert asked(purpose, sms_at=sms_at).waits_until(NOW, expires_in_s) == until


@pytest.mark.parametrize(
    ("before", "code", "over"),
    [
        ({}, WRONG.code, False),
        ({"wrong": 1}, WRONG.code, False),
        ({"wrong": 2}, WRONG.code, True),
        ({"wrong": 2}, TOO_OLD.code, False),  # one that is too old is not wrong
        ({"sms": 4}, WRONG.code, False),
        ({"sms": 4}, TOO_OLD.code, True),
        ({"sms": 3}, TOO_OLD.code, False),
        ({"ends_order": True}, WRONG.code, False),
        ({"ends_order": True, "sms": 4}, WRONG.code, True),
    ],
)
def test_it_is_over_after_three_wrong_codes_or_when_an_sms_is_needed_and_none_is_left(
    before: dict[str, Any], code: FailureCode, over: bool
) -> None:
    assert asked(**before).refused(code).is_over(code) is over


@pytest.mark.parametrize(
    ("phone", "shown"), [("13800001234", "138****1234"), ("1234567", "****"), ("", "****"), ("12345678", "123****5678")]
)
def test_a_phone_is_shown_masked(phone: str, shown: str) -> None:
    assert mask_phone(phone) == shown


TIMES = st.integers(0, 10**9).map(lambda ms: later(milliseconds=ms))
ASKED = st.builds(
    Asked,
    st.sampled_from(Purpose),
    st.text(max_size=12),
    st.text(max_size=32),
    TIMES,
    sms_at=st.none() | TIMES,
    **{name: st.booleans() for name in ("by_pay", "ends_order", "then_pays", "sending", "called_paid", "order_ended",
                                        "expired")},
    **{name: st.integers(0, 9) for name in ("sms", "wrong", "submitted", "questions")},
)  # fmt: skip


@given(ASKED)
def test_what_is_asked_for_is_read_as_it_was_kept(one: Asked) -> None:
    assert asked_from_json(asked_to_json(one)) == one


def test_what_is_at_its_default_is_not_kept() -> None:
    assert asked_to_json(asked(sms=0, sms_at=None)) == {
        "purpose": "pay", "phone": "138****0000", "number": "n-1", "told_at": NOW.isoformat(),
    }  # fmt: skip


# --- the answer to the wish for an SMS ---


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.REQUIRES_ACTION])
@pytest.mark.parametrize(
    ("said", "waits", "code"),
    [
        (CodeSent(), True, None),
        (Unknown("timeout"), True, None),
        (FROZEN, False, FailureCode.CARD_FROZEN),
        (NotSent("refused"), False, FailureCode.CHANNEL_UNAVAILABLE),
    ],
)
def test_what_is_said_of_the_first_sms_ends_it_or_asks_the_payer(
    status: Status, said: Any, waits: bool, code: FailureCode | None
) -> None:
    before = to_pay(status, sending=True)
    after = payments.after_sms(before, 1, said, later(seconds=1))
    first = status is Status.PROCESSING
    if waits or not first:  # of a later one nothing ends what waits: the SMS before may still do
        assert (after.status, after.failure) == (Status.REQUIRES_ACTION, None)
        assert (after.until_at, after.due_at) == (later(seconds=EXPIRES_IN_S), None)
    else:
        assert after.failure is not None
        assert (after.status, after.failure.code, after.until_at) == (Status.FAILED, code, None)
    assert after.sequence == 1
    assert after.asked is not None
    assert not after.asked.sending


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("said", "elsewhere", "code", "blame"),
    [
        (IDENTITY, False, FailureCode.AUTHENTICATION_REJECTED, Blame.PAYER),
        (IDENTITY, True, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
        (Declined(FailureCode.CHANNEL_REFUSED), False, FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL),
        (NotSent("refused"), True, FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL),
        (NotSent("too old", ours=True), False, FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM),
    ],
)
def test_a_signing_refused_before_its_sms_is_blamed_as_any_authentication(
    own: bool, said: Any, elsewhere: bool, code: FailureCode, blame: Blame
) -> None:
    after = authentications.after_sms(to_sign(Status.PROCESSING, own=own, sending=True), 1, said, NOW, elsewhere)
    assert after.failure is not None
    assert (after.status, after.failure.code, after.failure.blame) == (Status.FAILED, code, blame)
    assert after.contradicts is (elsewhere and said is IDENTITY)
    assert (after.sequence, after.was_sent) == (int(own), False)


@pytest.mark.parametrize("said", [CodeSent(), Unknown("timeout"), FROZEN, NotSent("refused")], ids=repr)
@pytest.mark.parametrize("change", [{"sms": 2, "sending": True}, {"sending": False}], ids=str)
def test_a_word_on_an_older_sms_or_a_second_word_on_one_changes_nothing(said: Any, change: dict[str, Any]) -> None:
    paying, signing = to_pay(**change), to_sign(**change)
    assert payments.after_sms(paying, 1, said, NOW) is paying
    assert authentications.after_sms(signing, 1, said, NOW) is signing


# --- the answer to a code ---


@pytest.mark.parametrize(
    ("said", "source", "status", "code"),
    [
        (PAID, Source.ANSWER, Status.SUCCEEDED, None),
        (WRONG, Source.ANSWER, Status.REQUIRES_ACTION, None),
        (TOO_OLD, Source.ANSWER, Status.REQUIRES_ACTION, None),
        (FROZEN, Source.ANSWER, Status.FAILED, FailureCode.CARD_FROZEN),
        (NotSent("refused"), Source.ANSWER, Status.FAILED, FailureCode.CHANNEL_UNAVAILABLE),
        (Processing(), Source.ANSWER, Status.PROCESSING, None),
        (Unknown("timeout"), Source.ANSWER, Status.PROCESSING, None),
        (NotFound("34"), Source.POLL, Status.PROCESSING, None),
        (Processing(), Source.CALLBACK, Status.REQUIRES_ACTION, None),
        (SmsNeeded(), Source.CALLBACK, Status.REQUIRES_ACTION, None),
    ],
    ids=repr,
)
def test_what_the_answer_to_a_code_makes_of_a_payment(
    said: AnyOutcome, source: Source, status: Status, code: FailureCode | None
) -> None:
    after = hears(submits(to_pay()), said, source)
    assert (after.status, after.failure.code if after.failure else None) == (status, code)
    assert after.sequence == 1 + (after.status in FINAL)
    assert (after.until_at is None) is (status is not Status.REQUIRES_ACTION)


@pytest.mark.parametrize(
    ("said", "source", "status", "code"),
    [
        (Authenticated("t"), Source.ANSWER, Status.SUCCEEDED, None),
        (WRONG, Source.ANSWER, Status.REQUIRES_ACTION, None),
        (TOO_OLD, Source.ANSWER, Status.REQUIRES_ACTION, None),
        (FROZEN, Source.ANSWER, Status.FAILED, FailureCode.AUTHENTICATION_REJECTED),
        (NotSent("refused"), Source.ANSWER, Status.FAILED, FailureCode.CHANNEL_UNAVAILABLE),
        (Unknown("timeout"), Source.ANSWER, Status.REQUIRES_ACTION, None),
        (Unknown("no question"), Source.POLL, Status.FAILED, FailureCode.AUTHENTICATION_UNKNOWN),
        (NotFound("34"), Source.POLL, Status.FAILED, FailureCode.AUTHENTICATION_UNKNOWN),
    ],
    ids=repr,
)
@pytest.mark.parametrize("own", [False, True])
def test_what_the_answer_to_a_code_makes_of_an_authentication(
    own: bool, said: AnyOutcome, source: Source, status: Status, code: FailureCode | None
) -> None:
    after = hears_of_card(signs(to_sign(own=own)), said, source)
    assert (after.status, after.failure.code if after.failure else None) == (status, code)
    assert after.sequence == own * (1 + (after.status in FINAL))
    assert after.due_at is not None or after.is_final
    assert after.was_sent is not isinstance(said, NotSent)


def test_a_wrong_code_that_is_heard_by_asking_asks_the_payer_once_more_and_tells_it() -> None:
    lost = hears(submits(to_pay()), Unknown("timeout"))
    after = hears(lost, WRONG, Source.POLL, later(seconds=2))
    assert [(each.status, each.sequence) for each in (lost, after)] == [
        (Status.PROCESSING, 1),
        (Status.REQUIRES_ACTION, 2),
    ]
    assert after.until_at == later(seconds=EXPIRES_IN_S)


@pytest.mark.parametrize("other", [WRONG, TOO_OLD])
def test_a_success_that_is_heard_after_a_refused_code_makes_it_succeed_without_an_anomaly_left(
    other: Declined,
) -> None:
    refused = hears(submits(to_pay()), other)
    late = hears(refused, PAID, Source.CALLBACK, later(seconds=9))
    assert late.attempt is not None
    assert (late.status, late.fee, late.attempt.state) == (Status.SUCCEEDED, 50, IntentState.DONE)
    assert not late.attempt.late_success


def test_three_wrong_codes_over_several_sms_fail_it() -> None:
    paying, signing = to_pay(), to_sign()
    for number in range(CODES_WRONG_MAX):
        assert (paying.status, signing.status) == (Status.REQUIRES_ACTION, Status.REQUIRES_ACTION)
        paying = payments.after_sms(payments.asked_anew(paying, NOW, NOW), number + 2, CodeSent(), NOW)
        signing = authentications.after_sms(authentications.asked_anew(signing, NOW, NOW), number + 2, CodeSent(), NOW)
        paying, signing = hears(submits(paying), WRONG), hears_of_card(signs(signing), WRONG)
    for each in (paying, signing):
        assert each.failure is not None
        assert (each.status, each.failure.code) == (Status.FAILED, FailureCode.SMS_CODE_WRONG)


def test_who_is_closed_while_a_lost_code_may_still_pay_waits_for_the_word_of_the_psp() -> None:
    expired = replace(submits(to_pay(by_pay=True)), asked=asked(by_pay=True, expired=True))
    for said in (WRONG, FROZEN):
        after = hears(expired, said, Source.POLL)
        assert (after.status, after.closed_reason, after.failure) == (Status.CLOSED, ClosedReason.EXPIRED, None)
    assert hears(expired, PAID, Source.POLL).status is Status.SUCCEEDED


# --- a PSP that sends the SMS when it is asked to pay ---


def test_who_is_asked_to_pay_first_sends_the_sms_and_the_next_try_has_the_code() -> None:
    first = submits(to_pay(Status.PROCESSING, by_pay=True, sms=0, sms_at=None))
    waits = hears(first, SmsNeeded(sent=True), at=later(seconds=1))
    assert waits.asked is not None
    assert (waits.status, waits.asked.sms, waits.asked.sms_at) == (Status.REQUIRES_ACTION, 1, later(seconds=1))
    assert (waits.sequence, waits.order_may_be_paid, waits.has_code_in_the_air) == (1, True, False)
    coded = submits(waits)
    assert coded.attempt is not None
    assert coded.attempt.ordinal == 2
    assert hears(coded, PAID).status is Status.SUCCEEDED


def test_a_lost_answer_to_it_is_processing_and_never_asks_the_payer() -> None:
    first = submits(to_pay(Status.PROCESSING, by_pay=True, sms=0, sms_at=None))
    assert hears(first, Unknown("timeout")).status is Status.PROCESSING
    assert hears(first, SmsNeeded(sent=True), Source.POLL).status is Status.PROCESSING


# --- a payment whose card is signed first ---


def waits_for(signing: Authentication, **of_asked: Any) -> Payment:
    """A payment whose card is signed by this authentication, and that waits with it."""
    starter = waiting_payment(asked=asked(sms=0, sms_at=None, **of_asked) if of_asked else None, customer_present=True)
    return payments.after_authentication(starter, signing, NOW)


def test_the_payer_of_a_payment_is_asked_what_its_authentication_asks() -> None:
    waits = waits_for(to_sign())
    assert (waits.status, waits.sequence, waits.until_at) == (Status.REQUIRES_ACTION, 1, later(minutes=5))
    assert waits.authentication_fee is None
    assert payments.after_authentication(waits, to_sign(), NOW) is waits
    bound = hears_of_card(signs(to_sign()), Authenticated("t"))
    paying = payments.after_authentication(waits, bound, later(seconds=9))
    assert (paying.status, paying.due_at, paying.until_at) == (Status.PROCESSING, later(seconds=9), None)
    assert (paying.authentication_fee, paying.waits_for_authentication) == (100, True)


def test_a_payment_that_also_wants_a_code_of_its_own_asks_twice_with_resends_of_its_own() -> None:
    waits = waits_for(to_sign(sms=4, wrong=1), then_pays=True)
    bound = hears_of_card(signs(to_sign(sms=4, wrong=1)), Authenticated("t"))
    paying = payments.after_authentication(waits, bound, later(seconds=9))
    assert paying.asked is not None
    assert (paying.asked.purpose, paying.asked.sms, paying.asked.resends_left) == (Purpose.PAY, 0, 3)
    assert (paying.asked.number, paying.asked.wrong, paying.asked.told_at) == (
        paying.channel_order_no, 1, later(seconds=9),
    )  # fmt: skip
    sent = payments.after_sms(payments.asked_anew(paying, NOW, NOW), 1, CodeSent(), NOW)
    assert (sent.status, sent.sequence) == (Status.REQUIRES_ACTION, 2)


def test_what_its_psp_called_paid_stays_known_while_its_card_is_signed() -> None:
    waits = waits_for(to_sign())
    assert waits.asked is not None
    called = replace(waits, asked=replace(waits.asked, called_paid=True))
    bound = hears_of_card(signs(to_sign()), Authenticated("t"))
    after = payments.after_authentication(called, bound, NOW)
    assert after.asked is not None
    assert after.asked.called_paid
    # And where it was said before anybody knew that a code is needed.
    early = payments.after_authentication(waiting_payment(sequence=1), to_sign(), NOW)
    assert early.asked is not None
    assert early.asked.called_paid


@pytest.mark.parametrize("reason", ClosedReason)
def test_a_payment_is_closed_with_the_signing_that_was_given_up(reason: ClosedReason) -> None:
    closed = authentications.closed(to_sign(), reason, later(minutes=5))
    after = payments.after_authentication(waits_for(to_sign()), closed, later(minutes=5))
    assert (after.status, after.closed_reason, after.failure) == (Status.CLOSED, reason, None)
    assert (after.due_at, after.until_at, after.sequence) == (None, None, 2)


# --- whatever comes, in whatever order ---

WORDS: tuple[AnyOutcome, ...] = (
    PAID, WRONG, TOO_OLD, FROZEN, NotSent("refused"), NotSent("late", ours=True), Processing(), Unknown("timeout"),
    Unknown("known", received=True), NotFound("34"), SmsNeeded(sent=True), SmsNeeded(), CodeSent(),
    Authenticated("t"),
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hear", "submit", "resend", "sms", "close"]),
        st.sampled_from(WORDS),
        st.sampled_from([Source.ANSWER, Source.POLL, Source.CALLBACK]),
    ),
    max_size=25,
)


@given(STEPS, st.booleans(), st.booleans())
def test_no_order_of_words_and_wishes_breaks_a_payment(
    steps: list[tuple[str, AnyOutcome, Source]], by_pay: bool, ends_order: bool
) -> None:
    now = to_pay(by_pay=by_pay, ends_order=ends_order)
    told, at = 1, NOW
    for step, word, source in steps:
        at += timedelta(seconds=61)
        before = now
        asked_now = now.asked
        assert asked_now is not None
        free = now.status is Status.REQUIRES_ACTION and not now.has_code_in_the_air
        match step:
            case "submit" if free:
                now = submits(now, at)
            case "resend" if free and asked_now.resends_left and not asked_now.sending:
                now = payments.asked_anew(now, at, at)
            case "sms" if isinstance(word, CodeSent | Declined | NotSent | Unknown):
                now = payments.after_sms(now, asked_now.sms, word, at)
            case "close" if free:
                now = payments.closed(now, ClosedReason.BY_APP, at)
            case "hear" if now.attempt is not None:
                now = hears(now, word, source, at)
        told += now.status is not before.status and now.status is not Status.PROCESSING
        _is_sound(before, now)
        assert now.sequence == told
        assert now.asked is not None
        assert now.asked.wrong < CODES_WRONG_MAX or now.is_final
        assert now.asked.sms <= 1 + RESENDS_MAX or by_pay


@given(STEPS, st.booleans())
def test_no_order_of_words_and_wishes_breaks_an_authentication(
    steps: list[tuple[str, AnyOutcome, Source]], own: bool
) -> None:
    now, at = to_sign(own=own), NOW
    told = int(own)
    for step, word, source in steps:
        at += RESEND_AFTER
        before = now
        asked_now = now.asked
        assert asked_now is not None
        free = now.status is Status.REQUIRES_ACTION and not now.has_code_in_the_air
        match step:
            case "submit" if free:
                now = signs(now, at)
            case "resend" if free and asked_now.resends_left and not asked_now.sending:
                now = authentications.asked_anew(now, at, at)
            case "sms" if isinstance(word, CodeSent | Declined | NotSent | Unknown):
                now = authentications.after_sms(now, asked_now.sms, word, at)
            case "close" if free:
                now = authentications.closed(now, ClosedReason.EXPIRED, at)
            case "hear" if now.intent is not None:
                now = hears_of_card(now, word, source, at)
        told += own and now.status is not before.status
        _is_sound(before, now)
        assert now.sequence == told
        assert now.asked is not None
        assert now.asked.wrong < CODES_WRONG_MAX or now.is_final


def _is_sound(before: Payment | Authentication, now: Payment | Authentication) -> None:
    if before.status in FINAL:
        assert now.status is before.status
        assert now.failure == before.failure
    if now.status is Status.REQUIRES_ACTION:
        assert now.until_at is not None
    if now.is_final:
        assert now.until_at is None
        assert (now.status is Status.FAILED) is (now.failure is not None)
        assert (now.status is Status.CLOSED) is (now.closed_reason is not None)
    else:
        assert now.due_at is not None or now.until_at is not None
        assert isinstance(now, Payment) or now.due_at is not None


def test_the_reason_of_a_failure_is_advised_for_a_charge() -> None:
    after = hears(submits(to_pay(wrong=2)), WRONG)
    assert after.failure is not None
    assert after.failure == failure(FailureCode.SMS_CODE_WRONG, channel_code="W1")
