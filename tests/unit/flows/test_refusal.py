"""What the router's refusals mean to who asked: the advice, and the limit that is kept with the failure.

Not tested here: which limit is told and what would help (tests/unit/router), and how it is kept (tests/storage).
"""

from typing import Any

import pytest

from gateway.domain.failures import Advice, Blame, FailureCode
from gateway.flows.refusal import refusal_of
from gateway.objects.payments import failure_object
from router import ChannelFacts, Decision, ToldLimit, decide
from tests.unit.router.cases import request, route, rule

ADVICE: list[tuple[str, Decision, FailureCode, Advice]] = [
    ("single", route(rule("a", single_limit=900)), FailureCode.SINGLE_LIMIT_EXCEEDED, Advice.CHANGE_AMOUNT),
    (
        "daily",
        route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=900, in_flight_today=300)),
        FailureCode.DAILY_LIMIT_EXCEEDED,
        Advice.RETRY_TOMORROW,
    ),
    (
        "daily, in flight alone",
        route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=900, in_flight_today=400)),
        FailureCode.DAILY_LIMIT_EXCEEDED,
        Advice.RETRY_LATER,
    ),
    (
        "daily, how much is in flight is not known",
        route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=900)),
        FailureCode.DAILY_LIMIT_EXCEEDED,
        Advice.RETRY_TOMORROW,
    ),
    (
        "too often without balance",
        route(rule("a", daily_insufficient_limit=1), a=ChannelFacts(insufficient_today=1)),
        FailureCode.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
        Advice.RETRY_TOMORROW,
    ),
    (
        "the card was too often without balance",
        route(
            rule("a", daily_insufficient_limit=1, daily_insufficient_by="card"),
            a=ChannelFacts(card_insufficient_today=1),
        ),
        FailureCode.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
        Advice.CHANGE_CARD,
    ),
    (
        "the channel's total",
        route(rule("a", channel_daily_total=1500), a=ChannelFacts(channel_used_today=900, channel_in_flight_today=0)),
        FailureCode.CHANNEL_TOTAL_EXCEEDED,
        Advice.RETRY_TOMORROW,
    ),
    (
        "the channel's total, in flight alone",
        route(rule("a", channel_daily_total=1500), a=ChannelFacts(channel_used_today=900, channel_in_flight_today=900)),
        FailureCode.CHANNEL_TOTAL_EXCEEDED,
        Advice.RETRY_LATER,
    ),
    (
        "the card's day",
        route(rule("a", card_daily_limit=1500), a=ChannelFacts(card_used_today=900, card_in_flight_today=0)),
        FailureCode.CARD_LIMIT_EXCEEDED,
        Advice.CHANGE_CARD,
    ),
    (
        "the card's day, in flight alone",
        route(rule("a", card_daily_limit=1500), a=ChannelFacts(card_used_today=900, card_in_flight_today=900)),
        FailureCode.CARD_LIMIT_EXCEEDED,
        Advice.RETRY_LATER,
    ),
    (
        "the card's day is below the amount",
        route(rule("a", card_daily_limit=900)),
        FailureCode.CARD_LIMIT_EXCEEDED,
        Advice.RETRY_TOMORROW,
    ),
    ("the card's single limit", route(rule("a", card_single_limit=900)), FailureCode.CARD_LIMIT_EXCEEDED,
     Advice.CHANGE_AMOUNT),
    (
        "each a limit of its own",
        route(rule("a", single_limit=900), rule("b", daily_limit=900)),
        FailureCode.NO_ELIGIBLE_CHANNEL,
        Advice.RETRY_LATER,
    ),
    (
        "each a limit of its own, and another card helps",
        route(rule("a", single_limit=900), rule("b", card_daily_limit=1500), b=ChannelFacts(card_used_today=900)),
        FailureCode.NO_ELIGIBLE_CHANNEL,
        Advice.CHANGE_CARD,
    ),
    ("no rule at all", route(), FailureCode.NO_CHANNEL_AVAILABLE, Advice.NONE),
    ("none available now", route(rule("a", channel_on=False)), FailureCode.NO_CHANNEL_AVAILABLE, Advice.RETRY_LATER),
    ("not signed", route(rule("a", signing="needs_signing")), FailureCode.CARD_NEEDS_SIGNING, Advice.SIGN_CARD),
    ("blocked", decide(request(blocked=("user",)), [], {}, 1), FailureCode.BLOCKED, Advice.NONE),
]  # fmt: skip


@pytest.mark.parametrize(("decision", "code", "advice"), [pytest.param(*each[1:], id=each[0]) for each in ADVICE])
def test_a_refusal_advises_what_helps(decision: Decision, code: FailureCode, advice: Advice) -> None:
    why = refusal_of(decision)
    assert why is not None
    assert (why.code, why.blame, why.advice) == (code, Blame.PLATFORM, advice)
    assert (why.limit is not None) == (decision.refused_by_step in {2, 3, 4, 5}) == (why.max_amount_now is not None)


def test_who_is_chosen_is_no_refusal() -> None:
    assert refusal_of(route(rule("a"))) is None


def test_a_failure_shows_its_limit_and_others_are_shown_as_before() -> None:
    limited = refusal_of(route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=900, in_flight_today=400)))
    off = refusal_of(route(rule("a", channel_on=False)))
    assert limited is not None
    assert off is not None
    assert limited.limit == ToldLimit("daily_limit", 1500, 600, 400)
    shown: dict[str, Any] = failure_object(limited, "en")
    assert shown["limit"] == {"kind": "daily_limit", "limit": 1500, "left": 600, "in_flight": 400}
    assert shown["max_amount_now"] == 600
    assert shown.keys() - failure_object(off, "en").keys() == {"limit", "max_amount_now"}
