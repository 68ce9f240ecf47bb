"""`hear`: what every word of a PSP does to every intent, what is due then, and what no sequence of words may do.

Not tested here: what the end of an intent means for its object (test_payments, test_authentications, test_refunds),
what is written then (tests/storage), who asks the PSP when (tests/unit/flows), a success of what was never sent
(tests/storage: there is no intent to hear it).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.clocks import PROOF_MARGIN_S
from gateway.domain.failures import Blame, FailureCode
from gateway.domain.hearing import Anomaly, AnomalyKind, Heard, Source, hear, look_at
from gateway.domain.intents import OBJECT_OF, PRODUCT_OF, TAKING, Intent, IntentState, Verb
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.terms import MAX_LATE_LOOKS, Terms
from tests.unit.domain.samples import MERCHANT_ID, NOW, TERMS, ZONE, attempt, intent, later, terms_of

AT = later(seconds=7)
WRONG_AMOUNT = 999
NEVER_PROOF = replace(TERMS, not_found=None)

Word = Outcome | AuthenticationOutcome

OUTCOMES: dict[str, Word] = {
    "succeeded": Succeeded(1000, "theirs-1"),
    "succeeded without amount": Succeeded(),
    "succeeded with another amount": Succeeded(WRONG_AMOUNT),
    "returned": Returned(ReturnReason.BANK_REJECTED, "R1"),
    "declined": Declined(FailureCode.INSUFFICIENT_BALANCE, "51", "余额不足"),
    "processing": Processing("05"),
    "unknown": Unknown("timeout"),
    "unknown code": Unknown("unmapped", "ZZ"),
    "unknown but received": Unknown("duplicate", "12", received=True),
    "not found": NotFound("34"),
    "not sent": NotSent("refused"),
    "authenticated": Authenticated("token-1"),
    "sms needed": SmsNeeded("S1"),
}
ENDED = [state for state in IntentState if state is not IntentState.OPEN]
ASKED_ABOUT = [Verb.AUTHENTICATE, Verb.PAY, Verb.REFUND, Verb.PAYOUT]
MONEY = [Verb.PAY, Verb.REFUND, Verb.PAYOUT]
MAY_RETURN = {Verb.REFUND, Verb.PAYOUT}
WRITTEN = {Source.OPERATOR, Source.STATEMENT}
BY_ITSELF = [Source.CALLBACK, Source.OPERATOR, Source.STATEMENT]


def terms_for(verb: Verb) -> Terms:
    return terms_of(MERCHANT_ID, "up-1", PRODUCT_OF[verb])


def judge(
    before: Intent, outcome: Word, source: Source = Source.POLL, *, at: datetime = AT, terms: Terms | None = None
) -> Heard:
    return hear(before, source, outcome, terms or terms_for(before.verb), ZONE, at)


def its_time(before: Intent) -> datetime:
    """A time at which it is asked about: when its look is due, where it ended without the PSP's word."""
    look = before.ended_at and look_at(before.ended_at, before.looks, terms_for(before.verb), ZONE)
    return max(AT, look or AT)


def never_asked(state: IntentState = IntentState.OPEN) -> Intent:
    return intent(Verb.AUTHENTICATE, state)


# --- a word about an intent: state × verb × source × outcome ---


@dataclass(frozen=True)
class Expected:
    """The intent's state after a word, what is due then, and what is odd about it.

    `due`: `kept` (the plan stays), `next` (the next question of the plan), `nothing`, `put off` (for an hour), or the
    number of the next look.
    """

    state: str
    due: str | int
    anomaly: str | None = None


def expected_of(state: str, verb: str, source: str, said: str) -> Expected:
    """The rules of docs/architecture.md in the plainest words."""
    money = verb != "authenticate"
    asks = said == "sms needed" and verb == "pay" and (state, source) == ("open", "answer")
    if said in ("authenticated", "sms needed") and money and not asks:
        said = "unknown but received"  # no such thing is ever said of money
    if said in ("processing", "returned") or said.startswith("succeeded"):
        if not money:
            said = "unknown but received"  # a card is not paid
        if said == "returned" and verb == "pay":
            said = "unknown but received"  # only what goes out can come back
    return _while_open(verb, source, said) if state == "open" else _afterwards(state, verb, source, said)


def _while_open(verb: str, source: str, said: str) -> Expected:
    if said in ("succeeded", "succeeded without amount", "authenticated"):
        return Expected("done", "nothing")
    if said == "returned":
        return Expected("returned", "nothing")
    if said in ("declined", "sms needed"):
        return Expected("declined", "nothing")
    if said == "not sent" and source == "answer":
        return Expected("not_sent", "nothing")
    if said == "not found" and source in ("operator", "statement"):
        return Expected("not_received", "nothing")
    if verb == "authenticate" and source == "poll":
        return Expected("unknown", 0)  # one question told nothing: given up
    due = "next" if source in ("answer", "poll") else "kept"
    return Expected("open", due, "amount_mismatch" if said == "succeeded with another amount" else None)


def _afterwards(state: str, verb: str, source: str, said: str) -> Expected:
    watched = state in ("not_received", "unknown")
    look: str | int = "put off" if said == "not sent" else 1
    asked_on = Expected(state, look if watched and source == "poll" else "kept")
    proved = Expected(state, "nothing" if watched else "kept")
    if said == "succeeded with another amount":
        return replace(asked_on, anomaly="amount_mismatch")
    if said in ("succeeded", "succeeded without amount"):
        return Expected(state, "kept") if state in ("done", "returned") else Expected(state, "nothing", "late_success")
    if said == "returned":
        if state == "returned":
            return Expected(state, "kept")
        return Expected("returned", "nothing") if state == "done" else Expected(state, "nothing", "late_success")
    if said == "authenticated":
        return proved
    if said in ("declined", "sms needed") or (said == "not found" and source == "operator"):
        return Expected(state, "kept", "late_failure") if state == "done" and verb != "authenticate" else proved
    return asked_on


def became_of(before: Intent, heard: Heard) -> Expected:
    """What `hear` did, in the same words."""
    after, terms = heard.intent, terms_for(before.verb)
    due: str | int
    if not heard.moves_due:
        due = "kept"
    elif heard.due_at is None:
        due = "nothing"
    elif after.ended_at is None:
        assert heard.due_at == terms.after(after.questions, AT)
        due = "next"
    elif not before.is_open and after.looks == before.looks:
        assert heard.due_at == its_time(before) + timedelta(hours=1)
        due = "put off"
    else:
        assert heard.due_at == look_at(after.ended_at, after.looks, terms, ZONE)
        due = after.looks
    return Expected(after.state, due, heard.anomaly.kind if heard.anomaly else None)


@pytest.mark.parametrize(("state", "verb", "source"), list(product(IntentState, ASKED_ABOUT, Source)))
def test_every_word_does_what_the_specification_says(state: IntentState, verb: Verb, source: Source) -> None:
    before = intent(verb, state)
    at = its_time(before)
    heard = {said: became_of(before, judge(before, outcome, source, at=at)) for said, outcome in OUTCOMES.items()}
    assert heard == {said: expected_of(state, verb, source, said) for said in OUTCOMES}


@pytest.mark.parametrize(("state", "verb", "source"), list(product(IntentState, ASKED_ABOUT, Source)))
def test_what_holds_whatever_is_said(state: IntentState, verb: Verb, source: Source) -> None:
    before = intent(verb, state)
    for said, outcome in OUTCOMES.items():
        heard = judge(before, outcome, source)
        after = heard.intent
        assert judge(before, outcome, source) == heard
        assert heard.moves_due or heard.due_at is None
        assert after.is_open == (after.ended_at is None)
        ended_badly = before.is_open and after.state not in {IntentState.OPEN, IntentState.DONE, IntentState.RETURNED}
        assert (heard.failure is not None) == ended_badly
        assert (heard.returned is not None) == (after.state is IntentState.RETURNED is not before.state)
        assert heard.agreement_no == ("token-1" if said == "authenticated" and verb is Verb.AUTHENTICATE else None)
        assert verb is not Verb.AUTHENTICATE or heard.anomaly is None
        assert verb is Verb.AUTHENTICATE or after.state is not IntentState.UNKNOWN or after.state is state
        assert verb in MAY_RETURN or after.state is not IntentState.RETURNED or after.state is state
        assert after.questions == (source is Source.POLL and before.is_open and moved_by_asking(after))
        assert who_it_is(after) == who_it_is(before)
        if not before.is_open and after.state is before.state:
            late = {"looks", "late_success", "channel_transaction_no", "channel_finished_at"}
            assert replace(after, **{name: getattr(before, name) for name in late}) == before


def moved_by_asking(after: Intent) -> bool:
    """A question is counted while it is open, and the last one where it is given up."""
    return after.state in {IntentState.OPEN, IntentState.UNKNOWN}


def who_it_is(one: Intent) -> tuple[object, ...]:
    """What nothing ever changes."""
    return (one.intent_id, one.object_id, one.verb, one.ordinal, one.channel, one.account, one.number, one.told_at,
            one.recorded_at, one.amount)  # fmt: skip


def test_every_verb_has_an_object_and_terms() -> None:
    assert PRODUCT_OF.keys() == set(Verb)
    # An unbinding is an errand, repeated until it is done.
    assert OBJECT_OF.keys() == set(Verb) - {Verb.UNBIND}


@pytest.mark.parametrize("state", IntentState)
def test_what_took_money_or_still_may_takes_it_alone(state: IntentState) -> None:
    assert (state in TAKING) == (state in {IntentState.OPEN, IntentState.DONE})


@pytest.mark.parametrize("verb", MONEY)
def test_a_success_is_kept_with_the_channels_own_number_and_time(verb: Verb) -> None:
    done = judge(intent(verb), Succeeded(1000, "theirs-1", later(seconds=3))).intent
    assert (done.state, done.ended_at) == (IntentState.DONE, AT)
    assert (done.channel_transaction_no, done.channel_finished_at) == ("theirs-1", later(seconds=3))


def test_their_number_stays_known_when_a_later_word_does_not_say_it() -> None:
    known = judge(attempt(), Processing("05", None, "theirs-1")).intent
    for said in (Processing("05"), Succeeded(1000), Declined(FailureCode.CARD_LOST)):
        assert judge(known, said).intent.channel_transaction_no == "theirs-1"


def test_a_decline_keeps_the_codes_blame_and_the_channels_own_words() -> None:
    declined = judge(attempt(), Declined(FailureCode.CHANNEL_LIMIT_EXCEEDED, "61", "超限", "theirs-2"))
    assert declined.failure is not None
    assert (declined.failure.code, declined.failure.blame) == (FailureCode.CHANNEL_LIMIT_EXCEEDED, Blame.CHANNEL)
    assert (declined.failure.channel_code, declined.failure.channel_message) == ("61", "超限")
    assert declined.intent.channel_transaction_no == "theirs-2"


@pytest.mark.parametrize("code", FailureCode)
def test_only_a_void_agreement_is_voided(code: FailureCode) -> None:
    assert judge(attempt(), Declined(code)).voids_agreement == (code is FailureCode.AGREEMENT_VOID)


@pytest.mark.parametrize("state", ENDED)
def test_an_agreement_is_not_voided_by_a_word_that_came_too_late(state: IntentState) -> None:
    assert not judge(attempt(state), Declined(FailureCode.AGREEMENT_VOID)).voids_agreement


@pytest.mark.parametrize("verb", ASKED_ABOUT)
def test_what_never_left_ends_so_and_the_channel_is_to_blame(verb: Verb) -> None:
    failed = judge(intent(verb), NotSent("connection refused"), Source.ANSWER).failure
    assert failed is not None
    assert (failed.code, failed.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL)
    assert failed.channel_message == "connection refused"


def test_what_we_did_not_send_in_time_is_not_the_channels_fault() -> None:
    late = judge(attempt(), NotSent("too late", ours=True), Source.ANSWER).failure
    assert late is not None
    assert (late.code, late.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.PLATFORM)


@pytest.mark.parametrize("source", [Source.POLL, Source.CALLBACK, Source.OPERATOR])
def test_a_question_that_was_not_sent_says_nothing_of_what_it_asks_about(source: Source) -> None:
    assert judge(attempt(), NotSent("connection refused"), source).intent.is_open


# --- what is due next ---


@pytest.mark.parametrize(("questions", "gap_s"), [(0, 10.0), (1, 60.0), (2, 60.0), (50, 60.0)])
def test_after_a_question_that_settled_nothing_the_next_is_due_by_the_plan(questions: int, gap_s: float) -> None:
    heard = judge(attempt(questions=questions), Unknown("timeout"))
    assert heard.intent.questions == questions + 1
    assert (heard.moves_due, heard.due_at) == (True, AT + timedelta(seconds=gap_s))


@pytest.mark.parametrize("verb", ASKED_ABOUT)
def test_an_answer_that_settled_nothing_makes_the_first_question_due_and_counts_as_none(verb: Verb) -> None:
    heard = judge(intent(verb), Unknown("timeout"), Source.ANSWER)
    assert heard.intent.questions == 0
    assert heard.due_at == AT + timedelta(seconds=terms_for(verb).poll_gaps_s[0])


@pytest.mark.parametrize("source", BY_ITSELF)
@pytest.mark.parametrize("outcome", [Processing(), Unknown("x"), NotSent("x"), Succeeded(WRONG_AMOUNT)], ids=repr)
def test_what_comes_by_itself_and_settles_nothing_leaves_the_plan_as_it_is(outcome: Outcome, source: Source) -> None:
    heard = judge(attempt(questions=3), outcome, source)
    assert (heard.moves_due, heard.due_at, heard.intent.questions) == (False, None, 3)


@pytest.mark.parametrize("word", [Unknown("timeout"), Processing("05"), NotFound(), Succeeded(WRONG_AMOUNT)], ids=repr)
def test_an_intent_that_anybody_was_asked_about_is_no_longer_its_recorders_to_send(word: Outcome) -> None:
    assert attempt().is_untouched
    assert not judge(attempt(), word).intent.is_untouched


@pytest.mark.parametrize("state", ENDED)
def test_what_ended_is_nobodys_to_send(state: IntentState) -> None:
    assert not attempt(state).is_untouched


# --- "not found", exactly ---


def not_found_after(answers: int, over_s: float, since_s: float = 0.0) -> Heard:
    """The last of so many "not found" answers, so long after the first, which came `since_s` after the recording."""
    asked = attempt(not_found=answers - 1, not_found_since=later(seconds=since_s))
    return judge(asked, NotFound("34"), at=later(seconds=since_s + over_s))


@pytest.mark.parametrize(
    ("answers", "over_s", "proves"),
    [
        (3, 310.0, True),
        (2, 310.0, False),
        (3, 309.999, False),
        (3, 300.0, False),  # the rule's span is met, the margin for clocks that differ is not
        (2, 10_000.0, False),
        (100, 309.999, False),
        (100, 10_000.0, True),
    ],
)
def test_not_found_proves_only_with_enough_answers_over_enough_time(answers: int, over_s: float, proves: bool) -> None:
    heard = not_found_after(answers, over_s)
    assert heard.intent.state is (IntentState.NOT_RECEIVED if proves else IntentState.OPEN)
    assert heard.intent.not_found == answers
    if not proves:
        assert heard.failure is None
        return
    assert heard.failure is not None
    assert (heard.failure.code, heard.failure.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL)
    assert heard.failure.channel_code == "34"
    assert heard.failure.channel_message == f"not received: {answers} answers over {over_s:.0f} s"


def test_the_time_counts_from_the_recording_when_that_was_later_than_the_first_answer() -> None:
    assert not_found_after(3, 370.0, since_s=-60.001).intent.state is IntentState.OPEN
    assert not_found_after(3, 370.0, since_s=-60.0).intent.state is IntentState.NOT_RECEIVED


def test_the_time_that_the_channel_was_told_proves_nothing() -> None:
    # Another intent on the same order was recorded, and told of, long before.
    asked = attempt(told_at=later(days=-1), not_found=2, not_found_since=later(days=-1))
    assert judge(asked, NotFound(), at=later(seconds=309)).intent.is_open
    assert not judge(asked, NotFound(), at=later(seconds=310)).intent.is_open


def test_each_product_has_a_rule_of_its_own() -> None:
    asked = intent(Verb.REFUND, not_found=1, not_found_since=NOW)
    assert judge(asked, NotFound(), at=later(seconds=609)).intent.is_open
    assert judge(asked, NotFound(), at=later(seconds=610)).intent.state is IntentState.NOT_RECEIVED


def test_where_not_found_is_never_proof_no_number_of_answers_ends_an_intent() -> None:
    asked = attempt()
    for days in range(1, 400):
        heard = judge(asked, NotFound("34"), at=later(days=days), terms=NEVER_PROOF)
        asked = heard.intent
    assert (asked.state, asked.not_found, asked.acknowledged) == (IntentState.OPEN, 399, False)
    assert heard.due_at == NEVER_PROOF.after(399, later(days=399))
    paid = judge(asked, Succeeded(1000), at=later(days=400), terms=NEVER_PROOF)
    assert paid.intent.state is IntentState.DONE


def test_the_first_not_found_starts_the_clock_and_no_other_does() -> None:
    first = judge(attempt(), NotFound()).intent
    assert (first.not_found, first.not_found_since) == (1, AT)
    second = judge(first, NotFound(), at=later(minutes=1)).intent
    assert (second.not_found, second.not_found_since) == (2, AT)


@pytest.mark.parametrize("source", [Source.ANSWER, Source.CALLBACK])
def test_only_a_question_can_find_nothing(source: Source) -> None:
    asked = attempt(not_found=99, not_found_since=NOW)
    after = judge(asked, NotFound(), source, at=later(days=1)).intent
    assert (after.state, after.not_found) == (IntentState.OPEN, 99)


@pytest.mark.parametrize("verb", MONEY)
@pytest.mark.parametrize(
    ("source", "said"),
    [
        *product(Source, [Processing(), Unknown("unmapped", "ZZ", received=True), Succeeded(WRONG_AMOUNT)]),
        *product(Source, [Authenticated("token-1")]),
        *product([Source.POLL, Source.CALLBACK, Source.OPERATOR], [SmsNeeded()]),
    ],
)
def test_an_order_that_the_channel_acknowledged_is_never_proved_lost(verb: Verb, source: Source, said: Word) -> None:
    known = judge(intent(verb), said, source).intent
    assert known.acknowledged
    for minutes in range(1, 100):
        known = judge(known, NotFound(), at=later(minutes=minutes)).intent
    assert known.is_open


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("said", [Unknown("timeout"), Unknown("unmapped", "ZZ", "系统繁忙")], ids=repr)
def test_neither_silence_nor_a_code_that_says_nothing_of_the_order_acknowledges_it(
    source: Source, said: Unknown
) -> None:
    assert not judge(attempt(), said, source).intent.acknowledged


@pytest.mark.parametrize("source", Source)
def test_what_was_acknowledged_once_stays_so(source: Source) -> None:
    for said in (Unknown("timeout"), NotFound(), Unknown("unmapped", "ZZ"), NotSent("x")):
        assert judge(attempt(acknowledged=True), said, source).intent.acknowledged


# --- late looks: what ended without the PSP's word is asked about again ---


def at_shanghai(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("ended", "looks"),
    [
        (at_shanghai(5, 12, 0), [at_shanghai(5, 13, 0), at_shanghai(5, 18, 0), at_shanghai(6, 8, 0)]),
        (at_shanghai(5, 1, 0), [at_shanghai(5, 2, 0), at_shanghai(5, 7, 0), at_shanghai(6, 8, 0)]),
        (at_shanghai(5, 7, 59), [at_shanghai(5, 8, 59), at_shanghai(5, 13, 59), at_shanghai(6, 8, 0)]),
        (at_shanghai(5, 8, 0), [at_shanghai(5, 9, 0), at_shanghai(5, 14, 0), at_shanghai(6, 8, 0)]),
        (at_shanghai(5, 23, 59), [at_shanghai(6, 0, 59), at_shanghai(6, 5, 59), at_shanghai(6, 8, 0)]),
        (at_shanghai(6, 0, 0), [at_shanghai(6, 1, 0), at_shanghai(6, 6, 0), at_shanghai(7, 8, 0)]),
        (at_shanghai(31, 20, 0), [at_shanghai(31, 21, 0), datetime(2026, 4, 1, 2, tzinfo=ZONE),
                                  datetime(2026, 4, 1, 8, tzinfo=ZONE)]),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("clock", [UTC, ZONE], ids=str)
def test_the_looks_are_an_hour_and_six_hours_after_the_end_and_the_next_business_morning(
    ended: datetime, looks: list[datetime], clock: tzinfo
) -> None:
    planned = [look_at(ended.astimezone(clock), done, TERMS, ZONE) for done in range(4)]
    assert planned == [*looks, None]


@given(st.integers(0, 4 * 365 * 24 * 60))
def test_the_looks_come_in_turn_and_all_of_them_after_the_end(minutes: int) -> None:
    ended = later(minutes=minutes)
    looks = [look_at(ended, done, TERMS, ZONE) for done in range(3)]
    times = [ended, *(look for look in looks if look is not None)]
    assert len(times) == 4
    assert all(before < after for before, after in pairwise(times))
    assert looks[2] is not None
    assert looks[2].astimezone(ZONE).hour == 8


@pytest.mark.parametrize("late_looks", range(4))
def test_a_provider_is_asked_afterwards_only_as_often_as_it_bears(late_looks: int) -> None:
    terms = replace(TERMS, late_looks=late_looks)
    heard = judge(attempt(not_found=2, not_found_since=NOW), NotFound(), at=later(hours=1), terms=terms)
    assert heard.intent.state is IntentState.NOT_RECEIVED
    asked: list[datetime] = []
    while heard.due_at is not None:
        asked.append(heard.due_at)
        heard = judge(heard.intent, NotFound(), at=heard.due_at + timedelta(seconds=9), terms=terms)
        assert heard.moves_due
    ended = later(hours=1)
    all_of_them = [ended + timedelta(hours=1), ended + timedelta(hours=6), at_shanghai(6, 8, 0)]
    assert asked == all_of_them[:late_looks]
    assert heard.intent.looks == late_looks


ALL_LOOKS = replace(TERMS, late_looks=MAX_LATE_LOOKS)
OF_A_DAY = [timedelta(minutes=minutes) for minutes in (1, 5, 15, *range(60, 25 * 60, 60))]


@pytest.mark.parametrize(
    ("ended", "morning"),
    [
        (at_shanghai(16, 12, 0), at_shanghai(17, 8, 0)),  # one of the hourly ones: one question
        (at_shanghai(16, 12, 30), at_shanghai(17, 8, 0)),  # between two of them
        (at_shanghai(16, 7, 59), at_shanghai(17, 8, 0)),  # after a day, by a minute
        (at_shanghai(17, 0, 0), at_shanghai(18, 8, 0)),  # long after a day
    ],
    ids=str,
)
@pytest.mark.parametrize("clock", [UTC, ZONE], ids=str)
def test_without_a_limit_it_is_asked_about_for_a_day_and_in_the_morning(
    ended: datetime, morning: datetime, clock: tzinfo
) -> None:
    wanted = sorted({*(ended + after for after in OF_A_DAY), morning})
    assert planned(ended.astimezone(clock), ALL_LOOKS) == wanted
    heard = judge(
        attempt(not_found=2, not_found_since=ended - timedelta(hours=1)), NotFound(), at=ended, terms=ALL_LOOKS
    )
    assert heard.intent.state is IntentState.NOT_RECEIVED
    asked: list[datetime] = []
    while heard.due_at is not None:
        asked.append(heard.due_at)
        heard = judge(heard.intent, NotFound(), at=heard.due_at + timedelta(seconds=9), terms=ALL_LOOKS)
    assert asked == wanted


def planned(ended: datetime, terms: Terms) -> list[datetime]:
    times = [look_at(ended, done, terms, ZONE) for done in range(MAX_LATE_LOOKS + 1)]
    return [at for at in times if at is not None]


@pytest.mark.parametrize("late_looks", range(MAX_LATE_LOOKS))
def test_fewer_looks_are_the_most_telling_ones(late_looks: int) -> None:
    ended = at_shanghai(5, 12, 30)
    fewer, more = (planned(ended, replace(TERMS, late_looks=looks)) for looks in (late_looks, late_looks + 1))
    assert set(fewer) < set(more)
    assert len(fewer) == late_looks
    telling = [ended + timedelta(hours=1), ended + timedelta(hours=6), at_shanghai(6, 8, 0)]
    assert set(fewer) <= set(telling) if late_looks < 3 else set(fewer) >= set(telling)


@pytest.mark.parametrize(("looks", "due_after"), [(0, 1), (1, 6)])
def test_what_an_older_program_planned_is_asked_then_and_goes_on_by_the_hour(looks: int, due_after: int) -> None:
    before = intent(Verb.PAY, IntentState.NOT_RECEIVED, looks=looks)
    assert before.ended_at is not None
    at = before.ended_at + timedelta(hours=due_after)
    heard = judge(before, NotFound(), at=at, terms=ALL_LOOKS)
    assert heard.due_at == at + timedelta(hours=1)


def test_what_cannot_be_asked_is_asked_at_the_next_look_and_within_an_hour() -> None:
    before = intent(Verb.PAY, IntentState.NOT_RECEIVED)
    assert before.ended_at is not None
    for at_s, due_s in ((60, 300), (310, 900), (900, 3600), (25 * 3600, 26 * 3600)):
        at = before.ended_at + timedelta(seconds=at_s)
        heard = judge(before, NotSent("refused"), at=at, terms=ALL_LOOKS)
        assert (heard.intent, heard.due_at) == (before, before.ended_at + timedelta(seconds=due_s))


def test_a_look_that_its_terms_do_not_plan_any_more_is_the_last() -> None:
    heard = judge(attempt(not_found=2, not_found_since=NOW), NotFound(), at=later(hours=1))
    assert heard.due_at is not None
    never = replace(TERMS, late_looks=0)
    looked = judge(heard.intent, Unknown("there is no question for it"), at=heard.due_at, terms=never)
    assert (looked.moves_due, looked.due_at) == (True, None)


WATCHED = [
    *product([Verb.AUTHENTICATE], [IntentState.NOT_RECEIVED, IntentState.UNKNOWN]),
    *product(MONEY, [IntentState.NOT_RECEIVED]),
]


def plain_words_of(verb: Verb) -> list[Word]:
    """Words that settle nothing."""
    of_money: list[Word] = [Processing(), Succeeded(WRONG_AMOUNT)] if verb in MONEY else []
    return [Unknown("x"), NotFound(), NotSent("x"), *of_money]


@pytest.mark.parametrize(("verb", "state"), WATCHED)
def test_each_look_is_one_question_and_none_restarts_them(verb: Verb, state: IntentState) -> None:
    for said, looks in product(plain_words_of(verb), range(3)):
        before = intent(verb, state, looks=looks)
        assert before.ended_at is not None
        if isinstance(said, NotSent):
            continue
        heard = judge(before, said, at=its_time(before))
        assert heard.intent == replace(before, looks=looks + 1)
        assert (heard.moves_due, heard.due_at) == (True, look_at(before.ended_at, looks + 1, terms_for(verb), ZONE))
        assert heard.failure is None


@pytest.mark.parametrize(("verb", "state"), WATCHED)
def test_one_question_stands_for_all_looks_that_were_missed(verb: Verb, state: IntentState) -> None:
    for said, looks in product(plain_words_of(verb), range(3)):
        before = intent(verb, state, looks=looks)
        heard = judge(before, said, at=later(days=31))
        assert (heard.intent, heard.due_at) == (replace(before, looks=3), None)
        assert heard.moves_due


@pytest.mark.parametrize(("verb", "state"), WATCHED)
def test_after_the_last_look_nothing_is_due_whoever_asks(verb: Verb, state: IntentState) -> None:
    for said, looks in product(plain_words_of(verb), [3, 28, 100]):
        before = intent(verb, state, looks=looks)
        heard = judge(before, said, at=later(days=31))
        assert heard == Heard(before, moves_due=True, anomaly=heard.anomaly)


@pytest.mark.parametrize(("verb", "state"), WATCHED)
def test_a_look_that_cannot_be_sent_is_put_off_and_not_for_ever(verb: Verb, state: IntentState) -> None:
    before = intent(verb, state, looks=1)
    assert before.ended_at is not None
    at = before.ended_at + timedelta(hours=6)
    assert judge(before, NotSent("refused"), at=at) == Heard(before, at + timedelta(hours=1), moves_due=True)
    assert judge(before, NotSent("refused"), at=before.ended_at + timedelta(days=30)).intent.looks == 3


@pytest.mark.parametrize(("verb", "state"), WATCHED)
def test_a_question_before_its_time_is_none_of_the_looks(verb: Verb, state: IntentState) -> None:
    for said, looks in product(plain_words_of(verb), range(3)):
        before = intent(verb, state, looks=looks)
        heard = judge(before, said, at=AT)
        assert heard == Heard(before, anomaly=heard.anomaly)


@pytest.mark.parametrize(("verb", "state"), WATCHED)
@pytest.mark.parametrize("source", [Source.ANSWER, *BY_ITSELF])
def test_what_comes_by_itself_is_no_look(verb: Verb, state: IntentState, source: Source) -> None:
    for said in plain_words_of(verb):
        if isinstance(said, NotFound) and source is Source.OPERATOR:
            continue  # a final word
        heard = judge(intent(verb, state, looks=1), said, source)
        assert heard == Heard(intent(verb, state, looks=1), anomaly=heard.anomaly)


@pytest.mark.parametrize(("verb", "state"), WATCHED)
@pytest.mark.parametrize("source", Source)
def test_a_final_word_ends_the_looks(verb: Verb, state: IntentState, source: Source) -> None:
    money: list[Word] = [Succeeded(1000), *([Returned(ReturnReason.OTHER)] if verb in MAY_RETURN else [])]
    bound: list[Word] = [Authenticated("token-1"), SmsNeeded()]
    finals: list[Word] = [Declined(FailureCode.CARD_LOST), *(money if verb in MONEY else bound)]
    if source is Source.OPERATOR:
        finals.append(NotFound())
    for said in finals:
        heard = judge(intent(verb, state), said, source)
        assert (heard.moves_due, heard.due_at, heard.intent.looks) == (True, None, 0)
        assert heard.intent.state is state


@pytest.mark.parametrize("state", [IntentState.DECLINED, IntentState.NOT_SENT])
@pytest.mark.parametrize("verb", ASKED_ABOUT)
def test_what_ended_by_a_final_word_is_not_looked_at(verb: Verb, state: IntentState) -> None:
    for said in plain_words_of(verb):
        heard = judge(intent(verb, state), said)
        assert (heard.intent.looks, heard.moves_due) == (0, False)


# --- an operator's word, who has the PSP's own in writing ---


@pytest.mark.parametrize(
    ("verb", "said", "state"),
    [
        *product(MONEY, [Succeeded(1000)], [IntentState.DONE]),
        *product(ASKED_ABOUT, [Declined(FailureCode.CARD_LOST)], [IntentState.DECLINED]),
        *product(ASKED_ABOUT, [NotFound()], [IntentState.NOT_RECEIVED]),
        *product(sorted(MAY_RETURN), [Returned(ReturnReason.BANK_REJECTED)], [IntentState.RETURNED]),
    ],
)
def test_an_operators_word_ends_an_intent_at_once_and_nothing_is_asked_any_more(
    verb: Verb, said: Outcome, state: IntentState
) -> None:
    for before in (intent(verb), intent(verb, acknowledged=True, questions=9)):
        heard = judge(before, said, Source.OPERATOR)
        assert heard.intent.state is state
        assert (heard.moves_due, heard.due_at) == (True, None)


def test_what_an_operator_knows_was_not_received_says_so() -> None:
    failed = judge(attempt(acknowledged=True), NotFound("34"), Source.OPERATOR, terms=NEVER_PROOF).failure
    assert failed is not None
    assert (failed.code, failed.blame) == (FailureCode.CHANNEL_UNAVAILABLE, Blame.CHANNEL)
    assert (failed.channel_code, failed.channel_message) == ("34", "not received: the channel says so in writing")


@pytest.mark.parametrize("verb", MONEY)
def test_an_operators_word_against_a_success_is_an_anomaly_too(verb: Verb) -> None:
    for said in (Declined(FailureCode.CARD_LOST), NotFound()):
        heard = judge(intent(verb, IntentState.DONE), said, Source.OPERATOR)
        assert heard.anomaly is not None
        assert heard.anomaly.kind is AnomalyKind.LATE_FAILURE


# --- money that comes back ---


@pytest.mark.parametrize("verb", sorted(MAY_RETURN))
@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("state", [IntentState.OPEN, IntentState.DONE])
def test_money_that_came_back_had_gone_out_whether_we_knew_it_or_not(
    state: IntentState, source: Source, verb: Verb
) -> None:
    heard = judge(intent(verb, state), Returned(ReturnReason.PAYEE_ACCOUNT_INVALID), source)
    assert (heard.intent.state, heard.intent.ended_at) == (IntentState.RETURNED, AT)
    assert (heard.returned, heard.failure, heard.anomaly) == (ReturnReason.PAYEE_ACCOUNT_INVALID, None, None)


def test_money_comes_back_once() -> None:
    first = judge(intent(Verb.REFUND), Returned(ReturnReason.OTHER)).intent
    assert judge(first, Returned(ReturnReason.BANK_REJECTED), Source.CALLBACK, at=later(days=1)) == Heard(first)


# --- contradictions ---


@pytest.mark.parametrize("verb", MONEY)
@pytest.mark.parametrize("state", [s for s in ENDED if s not in {IntentState.DONE, IntentState.RETURNED}])
def test_a_late_success_changes_the_intent_once_and_its_state_never(verb: Verb, state: IntentState) -> None:
    before = intent(verb, state)
    first = judge(before, Succeeded(1000, "theirs-1"))
    assert first.anomaly == Anomaly(AnomalyKind.LATE_SUCCESS, f"done at the channel, {state} here")
    assert first.intent == replace(before, late_success=True, channel_transaction_no="theirs-1")
    assert judge(first.intent, Succeeded(1000, "theirs-1")).intent == first.intent


def test_what_came_back_though_it_failed_here_moved_no_money_in_the_end() -> None:
    before = intent(Verb.REFUND, IntentState.DECLINED)
    heard = judge(before, Returned(ReturnReason.OTHER))
    assert heard.anomaly == Anomaly(AnomalyKind.LATE_SUCCESS, "returned by the channel, declined here")
    assert (heard.intent, heard.returned) == (before, None)


@pytest.mark.parametrize("verb", MONEY)
@pytest.mark.parametrize("state", IntentState)
def test_another_amount_ends_nothing(verb: Verb, state: IntentState) -> None:
    heard = judge(intent(verb, state), Succeeded(WRONG_AMOUNT))
    assert heard.anomaly == Anomaly(AnomalyKind.AMOUNT_MISMATCH, "ours 1000, theirs 999 fen")
    assert (heard.intent.state, heard.intent.late_success) == (state, False)


def test_a_late_failure_is_told_with_the_channels_code() -> None:
    heard = judge(attempt(IntentState.DONE), Declined(FailureCode.CARD_LOST, "41"))
    assert heard == Heard(attempt(IntentState.DONE), anomaly=Anomaly(AnomalyKind.LATE_FAILURE, "code 41"))


@pytest.mark.parametrize("verb", MONEY)
def test_a_second_success_under_another_number_of_theirs_is_an_anomaly(verb: Verb) -> None:
    paid = judge(intent(verb), Succeeded(1000, "theirs-1")).intent
    again = judge(paid, Succeeded(1000, "theirs-2"), Source.CALLBACK, at=later(minutes=1))
    assert again.intent == paid
    assert again.anomaly == Anomaly(
        AnomalyKind.TRANSACTION_MISMATCH, "done as theirs-1, and as theirs-2", transaction_no="theirs-2"
    )
    assert judge(paid, Succeeded(1000, "theirs-1"), Source.CALLBACK) == Heard(paid)
    assert judge(paid, Succeeded(1000), Source.CALLBACK) == Heard(paid)


# --- authentications: asked about once ---


GIVEN_UP_BY: list[AuthenticationOutcome] = [
    Unknown("timeout", "T1", "超时"),
    Unknown("unmapped", "T1", "超时", received=True),
    NotFound("T1", "超时"),
]


@pytest.mark.parametrize("said", GIVEN_UP_BY, ids=repr)
def test_an_authentication_is_given_up_after_one_question_that_told_nothing(said: AuthenticationOutcome) -> None:
    answered = judge(never_asked(), Unknown("timeout"), Source.ANSWER)
    assert (answered.intent.state, answered.failure) == (IntentState.OPEN, None)
    heard = judge(answered.intent, said)
    assert (heard.intent.state, heard.intent.ended_at, heard.intent.questions) == (IntentState.UNKNOWN, AT, 1)
    assert heard.due_at == AT + timedelta(hours=1)
    assert heard.failure is not None
    assert (heard.failure.code, heard.failure.blame) == (FailureCode.AUTHENTICATION_UNKNOWN, Blame.CHANNEL)
    assert (heard.failure.channel_code, heard.failure.channel_message) == ("T1", "超时")


@pytest.mark.parametrize("source", [Source.ANSWER, *BY_ITSELF])
def test_only_a_question_is_the_last_one(source: Source) -> None:
    unheard = judge(never_asked(), NotSent("no place on the channel", ours=True)).intent
    assert unheard.is_open
    assert judge(unheard, Unknown("timeout"), source).intent.is_open
    assert not judge(unheard, Unknown("timeout"), Source.POLL).intent.is_open


@pytest.mark.parametrize("verb", MONEY)
def test_money_is_never_given_up(verb: Verb) -> None:
    asked = intent(verb)
    for days in range(1, 400):
        asked = judge(asked, Unknown("timeout"), at=later(days=days)).intent
    assert asked.is_open


def test_a_silent_way_that_is_closed_is_the_channels_refusal() -> None:
    refused = judge(never_asked(), SmsNeeded("S1", "需短信"), Source.ANSWER).failure
    assert refused is not None
    assert (refused.code, refused.blame) == (FailureCode.AUTHENTICATION_REJECTED, Blame.CHANNEL)
    assert (refused.channel_code, refused.channel_message) == ("S1", "需短信")


@pytest.mark.parametrize("state", IntentState)
def test_a_card_that_was_bound_is_bound_whenever_we_hear_of_it(state: IntentState) -> None:
    before = never_asked(state)
    heard = judge(before, Authenticated("token-1"), Source.POLL)
    assert (heard.agreement_no, heard.anomaly, heard.failure) == ("token-1", None, None)
    assert before.is_open or heard.intent == before


def test_an_agreement_number_is_not_shown() -> None:
    assert "token-1" not in repr(judge(never_asked(), Authenticated("token-1")))
    assert "token-1" not in repr(Authenticated("token-1"))


# --- no sequence of observations, whatever it says ---

Step = tuple[Source, Word, float]

steps = st.one_of(
    st.tuples(st.sampled_from(Source), st.sampled_from(list(OUTCOMES.values())), st.floats(0.0, 400.0)),
    st.tuples(st.just(Source.POLL), st.just(NotFound()), st.floats(0.0, 400.0)),
    st.tuples(st.just(Source.POLL), st.sampled_from([NotFound(), Unknown("x")]), st.floats(3600.0, 40_000.0)),
)
histories = st.lists(steps, max_size=25)
PROOFS: dict[IntentState, type | tuple[type, ...]] = {
    IntentState.DONE: Succeeded,
    IntentState.RETURNED: Returned,
    IntentState.DECLINED: (Declined, SmsNeeded),
    IntentState.NOT_SENT: NotSent,
    IntentState.NOT_RECEIVED: NotFound,
}


DUE_LATER = {IntentState.OPEN, IntentState.NOT_RECEIVED, IntentState.UNKNOWN}


def is_given_up(ended: Intent) -> bool:
    """A payout that its payment company held: whether it said no, or we gave it up, the intent does not tell."""
    return ended.verb is Verb.PAYOUT and ended.state is IntentState.DECLINED and ended.acknowledged


@given(st.sampled_from(ASKED_ABOUT), histories)
def test_no_sequence_of_words_leaves_an_end_or_loses_what_is_due_or_known(verb: Verb, history: list[Step]) -> None:
    now_is, passed_s = intent(verb), 0.0
    due: datetime | None = terms_for(verb).unanswered(NOW)
    for source, said, gap_s in history:
        passed_s += gap_s
        heard = judge(now_is, said, source, at=later(seconds=passed_s))
        after = heard.intent
        due = heard.due_at if heard.moves_due else due
        assert after.is_open == (after.ended_at is None)
        assert not after.is_open or due is not None
        assert due is None or after.state in DUE_LATER or is_given_up(after)
        assert after.looks <= TERMS.late_looks or due is None
        if not now_is.is_open:
            back = (now_is.state, after.state) == (IntentState.DONE, IntentState.RETURNED)
            assert back or after.state is now_is.state
            assert back or after.ended_at == now_is.ended_at
            assert heard.failure is None
        assert after.acknowledged or not now_is.acknowledged
        assert after.late_success or not now_is.late_success or isinstance(said, Returned)
        assert after.looks >= now_is.looks
        assert after.questions >= now_is.questions
        assert after.not_found >= now_is.not_found
        assert (after.intent_id, after.recorded_at) == (now_is.intent_id, NOW)
        now_is = after


@given(st.sampled_from(MONEY), histories)
def test_money_ends_only_by_proof(verb: Verb, history: list[Step]) -> None:
    now_is, passed_s, acknowledged = intent(verb), 0.0, False
    nothing_at: list[float] = []
    rule = terms_for(verb).not_found
    assert rule is not None
    for source, said, gap_s in history:
        passed_s += gap_s
        after = judge(now_is, said, source, at=later(seconds=passed_s)).intent
        if now_is.is_open and isinstance(said, NotFound) and source is Source.POLL:
            nothing_at.append(passed_s)
        if now_is.is_open and not after.is_open:
            assert isinstance(said, PROOFS[after.state])
            if isinstance(said, Succeeded):
                assert said.amount in {None, 1000}
            if isinstance(said, NotSent):
                assert source is Source.ANSWER
            if isinstance(said, NotFound) and source not in WRITTEN:
                assert not acknowledged
                assert len(nothing_at) >= rule.answers
                assert nothing_at[-1] - nothing_at[0] >= rule.over_s + PROOF_MARGIN_S - 1e-5  # a time has microseconds
        acknowledged = acknowledged or isinstance(said, Processing) or said == Succeeded(WRONG_AMOUNT)
        acknowledged = acknowledged or (isinstance(said, Unknown) and said.received)
        now_is = after


@given(st.sampled_from(ASKED_ABOUT), st.lists(st.sampled_from([Unknown("x"), NotFound(), NotSent("x")]), min_size=3))
def test_an_asker_that_asks_when_it_is_due_comes_to_an_end_where_nobody_owes_money(
    verb: Verb, said: list[AuthenticationOutcome]
) -> None:
    state = IntentState.OPEN if verb is Verb.AUTHENTICATE else IntentState.NOT_RECEIVED
    now_is, due = intent(verb, state), AT
    asked = 0
    for word in said:
        heard = judge(now_is, word, at=due)
        asked += heard.intent.looks > now_is.looks
        now_is = heard.intent
        if heard.due_at is None:
            break
        due = max(due, heard.due_at)  # one that was put off until after the next is followed by it at once
    assert asked <= TERMS.late_looks
