"""Observations: what a PSP says is made fit to be kept and shown. Not tested here: what it does (tests/unit/domain)."""

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, Outcome, Processing, Returned, ReturnReason, Succeeded, Unknown
from gateway.flows.observations import WORDS_MAX, key_of, readable
from gateway.ports import IntentKey
from tests.unit.domain.samples import (
    AUTHENTICATION_ID,
    MERCHANT_ID,
    PAYMENT_ID,
    REFUND_ID,
    authentication,
    payment,
    refund,
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (Unknown("cut\x00 off", "A\x000"), Unknown("cut off", "A0")),
        (Processing("00", "x" * 5000), Processing("00", "x" * WORDS_MAX)),
        (
            Declined(FailureCode.CARD_INVALID, "14", "卡号6222020000000001230无效"),
            Declined(FailureCode.CARD_INVALID, "14", "卡号***无效"),
        ),
        (
            Declined(FailureCode.ID_MISMATCH, "66", "11010519491231002X 13800138000"),
            Declined(FailureCode.ID_MISMATCH, "66", "*** ***"),
        ),
        (Unknown("odd", None, "lone \ud800 surrogate"), Unknown("odd", None, "lone  surrogate")),
        (Succeeded(100, "202611221607390000001"), Succeeded(100, "202611221607390000001")),
        (
            Returned(ReturnReason.OTHER, "R\x001", "账号6222020000000001230退票"),
            Returned(ReturnReason.OTHER, "R1", "账号***退票"),
        ),
    ],
    ids=["NUL", "long", "card number", "id and phone", "surrogate", "transaction number", "a return"],
)
def test_a_psps_words_are_bounded_and_hold_no_card_and_no_control_character(said: Outcome, kept: Outcome) -> None:
    assert readable(said) == kept


def test_words_that_can_be_kept_stay_the_same_value() -> None:
    said = Processing("00", "受理成功")
    assert readable(said) is said


def test_an_object_names_the_intent_that_moves_it() -> None:
    keys = [key_of(about) for about in (payment(), authentication(), refund())]
    assert keys == [
        IntentKey(MERCHANT_ID, "u1", PAYMENT_ID, Verb.PAY, 1),
        IntentKey(MERCHANT_ID, "u1", AUTHENTICATION_ID, Verb.AUTHENTICATE, 1),
        IntentKey(MERCHANT_ID, "u1", REFUND_ID, Verb.REFUND),
    ]
