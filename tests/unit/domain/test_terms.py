"""The terms of a product: what a contract says over a provider's own, and what none can mean.

Not tested here: what they do to what was sent (test_hearing), how a file says them (tests/unit/test_catalogue_file).
"""

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.terms import (
    ANSWER_MARGIN_S,
    MAX_ANSWER_TIMEOUT_S,
    MAX_LATE_LOOKS,
    MAX_POLL_GAPS,
    NEVER,
    NotFoundRule,
    OwnTerms,
    Product,
    Terms,
    Watch,
    terms_from_json,
    terms_to_json,
)
from tests.unit.domain.samples import NOW, later

PROVIDERS = Terms((1.0, 5.0), NotFoundRule(3, 60.0), 30.0)


@pytest.mark.parametrize(
    ("own", "terms"),
    [
        (OwnTerms(), PROVIDERS),
        (OwnTerms(poll_gaps_s=(9.0,)), Terms((9.0,), NotFoundRule(3, 60.0), 30.0)),
        (OwnTerms(not_found=NotFoundRule(1, 1.0)), Terms((1.0, 5.0), NotFoundRule(1, 1.0), 30.0)),
        (OwnTerms(not_found=NEVER), Terms((1.0, 5.0), None, 30.0)),
        (OwnTerms(answer_timeout_s=2.0), Terms((1.0, 5.0), NotFoundRule(3, 60.0), 2.0)),
        (OwnTerms((9.0,), NEVER, 2.0), Terms((9.0,), None, 2.0)),
    ],
)
def test_a_contract_says_what_it_says_and_the_rest_is_the_providers(own: OwnTerms, terms: Terms) -> None:
    assert own.over(PROVIDERS) == terms


def test_the_gaps_come_in_turn_and_the_last_one_for_ever() -> None:
    assert [PROVIDERS.after(asked, NOW) for asked in (0, 1, 2, 100)] == [later(seconds=s) for s in (1, 5, 5, 5)]


def test_what_was_sent_by_somebody_who_fell_silent_is_taken_up_after_the_answers_own_limit() -> None:
    assert PROVIDERS.unanswered(NOW) == later(seconds=PROVIDERS.answer_timeout_s + ANSWER_MARGIN_S)


def test_how_often_a_provider_can_be_asked_afterwards_is_not_for_a_contract_to_say() -> None:
    once = replace(PROVIDERS, late_looks=1)
    assert OwnTerms((9.0,), NEVER, 2.0).over(once).late_looks == 1
    assert PROVIDERS.late_looks == MAX_LATE_LOOKS == 28


@pytest.mark.parametrize("late_looks", [-1, MAX_LATE_LOOKS + 1])
def test_late_looks_are_none_to_all_of_a_day_and_the_next_morning(late_looks: int) -> None:
    with pytest.raises(ValueError, match="late_looks"):
        replace(PROVIDERS, late_looks=late_looks)


@pytest.mark.parametrize(
    ("answers", "waited_s", "proves"),
    [(3, 70.0, True), (2, 70.0, False), (3, 69.999, False), (3, 60.0, False), (9, 600.0, True)],
)
def test_a_rule_wants_enough_answers_over_enough_time(answers: int, waited_s: float, proves: bool) -> None:
    assert PROVIDERS.proves_lost(answers, waited_s) is proves


@pytest.mark.parametrize("answers", [0, 3, 10**6])
def test_without_a_rule_nothing_is_proof(answers: int) -> None:
    assert not OwnTerms(not_found=NEVER).over(PROVIDERS).proves_lost(answers, 1e9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"poll_gaps_s": ()},
        {"poll_gaps_s": (0.0,)},
        {"poll_gaps_s": (1.0, -1.0)},
        {"poll_gaps_s": (1.0,) * (MAX_POLL_GAPS + 1)},
        {"poll_gaps_s": (float("nan"),)},
        {"answer_timeout_s": 0.0},
        {"answer_timeout_s": MAX_ANSWER_TIMEOUT_S + 0.1},
        {"answer_timeout_s": float("nan")},
    ],
    ids=str,
)
def test_terms_that_nobody_can_mean_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OwnTerms(**wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Terms(**{"poll_gaps_s": (1.0,), "not_found": None, "answer_timeout_s": 1.0, **wrong})


@pytest.mark.parametrize("wrong", [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan"))])
def test_a_not_found_rule_that_is_met_by_nothing_is_refused(wrong: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="not-found rule"):
        NotFoundRule(*wrong)


def test_only_what_is_said_is_stored_and_it_is_read_again() -> None:
    said = {
        Product.PAYMENT: OwnTerms((1.0, 2.5), NotFoundRule(3, 6.0), 10.0),
        Product.AUTHENTICATION: OwnTerms(not_found=NEVER),
        Product.REFUND: OwnTerms(answer_timeout_s=9.0),
    }
    stored = terms_to_json(said)
    assert stored == {
        "authentication": {"not_found": "never"},
        "payment": {
            "poll_gaps_s": [1.0, 2.5],
            "not_found": {"answers": 3, "over_s": 6.0},
            "answer_timeout_s": 10.0,
        },
        "refund": {"answer_timeout_s": 9.0},
    }
    assert terms_from_json(stored) == said
    assert terms_to_json({Product.PAYMENT: OwnTerms()}) == {}


def test_a_product_of_a_newer_program_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="barter"):
        terms_from_json({"barter": {}})


def test_what_succeeded_is_asked_about_by_its_own_gaps_until_its_time_is_over() -> None:
    watch = Watch((10.0, 60.0), for_s=200.0)
    assert [watch.next_at(NOW, looks) for looks in range(6)] == [
        *(later(seconds=s) for s in (10, 70, 130, 190)),
        None,
        None,
    ]


def test_what_a_list_alone_tells_is_never_asked_about() -> None:
    assert Watch(listed_days=7).next_at(NOW, 0) is None


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"for_s": 5.0},
        {"gaps_s": (1.0,)},
        {"gaps_s": (0.0,), "for_s": 5.0},
        {"gaps_s": (1.0,), "for_s": -1.0},
        {"listed_days": -1},
        {"gaps_s": (1.0,), "for_s": 5.0, "listed_days": -1},
    ],
)
def test_a_watch_that_means_nothing_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"watched|gaps"):
        Watch(**said)


def test_how_long_payouts_may_come_back_is_not_lost_under_a_contract() -> None:
    watched = replace(PROVIDERS, watch=Watch((9.0,), 90.0))
    assert OwnTerms((9.0,), NEVER, 2.0).over(watched).watch == watched.watch
