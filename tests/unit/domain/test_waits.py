"""How long what was unknown took, and how late a word came. Not tested here: who counts it (tests/storage)."""

from dataclasses import replace

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source, hear
from gateway.domain.intents import PRODUCT_OF, Intent, IntentState, Verb
from gateway.domain.outcomes import (
    AnyOutcome,
    Authenticated,
    Declined,
    NotFound,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Unknown,
)
from gateway.domain.waits import Wait, wait_of
from tests.unit.domain.samples import MERCHANT_ID, ZONE, intent, later, terms_of

AT = later(seconds=4000)
REFUSED = Declined(FailureCode.CARD_LOST)


def waited(before: Intent, source: Source, said: AnyOutcome) -> Wait | None:
    did = hear(before, source, said, terms_of(MERCHANT_ID, "up-1", PRODUCT_OF[before.verb]), ZONE, AT)
    return wait_of(before, source, said, did, AT)


@pytest.mark.parametrize("source", [Source.POLL, Source.CALLBACK, Source.OPERATOR])
@pytest.mark.parametrize("said", [Succeeded(1000), REFUSED], ids=repr)
def test_what_was_unknown_took_from_when_it_was_sent_to_its_end(source: Source, said: AnyOutcome) -> None:
    assert waited(intent(Verb.PAY), source, said) == Wait("pay", source, 4000.0, is_late=False)


@pytest.mark.parametrize("said", [Succeeded(1000), REFUSED], ids=repr)
def test_an_answer_that_tells_the_end_was_never_waited_for(said: AnyOutcome) -> None:
    assert waited(intent(Verb.PAY), Source.ANSWER, said) is None


@pytest.mark.parametrize("said", [Processing(), Unknown("timeout"), NotFound()], ids=repr)
def test_a_word_that_ends_nothing_ends_no_wait(said: AnyOutcome) -> None:
    assert waited(intent(Verb.PAY), Source.POLL, said) is None
    assert waited(intent(Verb.PAY, IntentState.NOT_RECEIVED), Source.POLL, said) is None


@pytest.mark.parametrize(
    ("verb", "said", "what"),
    [
        (Verb.PAY, Succeeded(1000), "done"),
        (Verb.REFUND, Returned(ReturnReason.OTHER), "done"),
        (Verb.AUTHENTICATE, Authenticated("token-1"), "done"),
        (Verb.PAY, REFUSED, "refused"),
    ],
)
def test_a_late_word_is_counted_from_the_end(verb: Verb, said: AnyOutcome, what: str) -> None:
    before = intent(verb, IntentState.NOT_RECEIVED)
    assert before.ended_at is not None
    late = Wait(verb, what, (AT - before.ended_at).total_seconds(), is_late=True)
    assert waited(before, Source.POLL, said) == late


@pytest.mark.parametrize("said", [Succeeded(1000), Returned(ReturnReason.OTHER), REFUSED], ids=repr)
def test_what_was_done_by_the_psps_word_has_no_late_one(said: AnyOutcome) -> None:
    assert waited(intent(Verb.PAYOUT, IntentState.DONE), Source.CALLBACK, said) is None


def test_a_late_success_is_counted_once() -> None:
    before = replace(intent(Verb.PAY, IntentState.NOT_RECEIVED), late_success=True)
    assert waited(before, Source.CALLBACK, Succeeded(1000)) is None
