"""What is recorded of a word goes by when its question was asked.

What that means for a payment on a page: tests/unit/domain/test_pages_of_psps.
"""

from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from gateway.domain import clocks
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.outcomes import NotFound
from gateway.domain.redirects import RedirectRules
from gateway.domain.terms import Terms
from gateway.ports import IntentKey, Observation
from gateway.storage.writing.hearing import Hearing
from gateway.storage.writing.page import Page
from tests.unit.domain.samples import MERCHANT_ID, PAYMENT_ID, ZONE, attempt, later

TERMS = Terms((60.0,), None, 30.0, page=RedirectRules(ends_at_expiry=True, grace_s=0.0))
EXPIRES = later(seconds=900)
MARGIN_S = 10.0
OVER = EXPIRES + timedelta(seconds=MARGIN_S)


@pytest.mark.parametrize(("asked_after_s", "closes"), [(-1, False), (0, True)])
def test_an_answer_is_recorded_as_of_when_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked_after_s: int, closes: bool
) -> None:
    monkeypatch.setattr(clocks, "PROOF_MARGIN_S", MARGIN_S)
    nothing = cast("Any", None)
    hearing = Hearing(nothing, lambda *_: TERMS, ZONE, nothing, nothing)
    intent, asked_at = attempt(), OVER + timedelta(seconds=asked_after_s)
    key = IntentKey(MERCHANT_ID, "u1", PAYMENT_ID, Verb.PAY, intent.ordinal)
    at = OVER + timedelta(seconds=30)
    word = Observation(key, Source.POLL, NotFound("50"), at, uuid4(), asked_at=asked_at)
    did, _ = hearing._hear(Page(OVER.date()), word, intent, EXPIRES)
    assert did.intent.is_open is not closes
