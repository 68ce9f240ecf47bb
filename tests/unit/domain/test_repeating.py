"""Which words of a PSP say anything new of an intent. What is done with the others: tests/storage."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.hearing import Source, hear
from gateway.domain.intents import Intent
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.repeating import says_news, without_figures
from gateway.domain.terms import Terms
from tests.unit.domain.samples import NOW, TERMS, payment

ZONE = ZoneInfo("Asia/Shanghai")
NEVER_PROOF = replace(TERMS, not_found=None)


def again(word: Outcome, terms: Terms = TERMS, source: Source = Source.POLL) -> tuple[bool, bool]:
    """Whether a word is news the first time, and the second."""
    sent = payment().attempt
    assert sent is not None

    def tell(intent: Intent, minutes: int) -> tuple[Intent, bool]:
        did = hear(intent, source, word, terms, ZONE, NOW + timedelta(minutes=minutes))
        return did.intent, says_news(intent, did, terms)

    once, first = tell(sent, 1)
    return first, tell(once, 2)[1]


@pytest.mark.parametrize(
    "word", [Processing("05"), Unknown("dup", received=True), Succeeded(1000, "T"), Declined(FailureCode.CARD_LOST)]
)
def test_what_moves_an_intent_is_news_once(word: Outcome) -> None:
    assert again(word) == (True, False)


def test_a_lost_answer_is_no_news_of_the_intent() -> None:
    assert again(Unknown("timeout")) == (False, False)


def test_not_found_is_news_as_often_as_a_proof_may_rest_on_it() -> None:
    assert again(NotFound("34")) == (True, True)
    assert again(NotFound("34"), NEVER_PROOF) == (False, False)
    assert again(NotFound("34"), source=Source.CALLBACK) == (False, False)


@pytest.mark.parametrize(
    ("text", "kept"), [(None, None), ("", ""), ("已受理 20261126", "已受理 "), ("余额不足", "余额不足")]
)
def test_figures_in_a_text_are_no_difference(text: str | None, kept: str | None) -> None:
    assert without_figures(text) == kept
