"""Every limit that there is, unnamed: whoever adds one is told here what is still missing.

Not tested here: their edges, one by one (test_steps), and their way from a file to the admin API (tests/storage).
"""

from pathlib import Path

import pytest

from router import Candidate, ChannelFacts, ChannelLimits, FixedFee, RuleLimits, decide, explain, from_record, to_record
from router.limits import About
from tests.unit.router.cases import BANK, SCENE, request

RULE, CHANNEL = RuleLimits.each(), ChannelLimits.each()
ROUTED = tuple(limit for limit in RULE + CHANNEL if limit.routed)
KEPT_ELSEWHERE = tuple(limit for limit in RULE + CHANNEL if not limit.routed)
AMOUNT = 1000
MUCH = ChannelFacts(AMOUNT, AMOUNT, None, AMOUNT, AMOUNT)
DOCUMENT = Path(__file__).parents[3] / "docs" / "catalogue.md"


def _candidate(limit: About, value: int) -> Candidate:
    fee = FixedFee(1)
    if limit in RULE:
        return Candidate("a", SCENE, BANK, fee, limits=RuleLimits(**{limit.name: value}))
    return Candidate("a", SCENE, BANK, fee, channel_limits=ChannelLimits(**{limit.name: value}))


def _ends(limit: About) -> list[Candidate]:
    """The channel with the smallest and with the largest limit: one of them must stop a payment after much."""
    return [_candidate(limit, 1), _candidate(limit, limit.most)]


@pytest.mark.parametrize("limit", ROUTED, ids=lambda limit: limit.name)
def test_the_router_sees_it_and_its_refusal_is_explained(limit: About) -> None:
    other = Candidate("b", SCENE, BANK, FixedFee(2))
    decisions = [decide(request(AMOUNT), [end, other], {"a": MUCH}, 1) for end in _ends(limit)]
    refusing = [decision for decision in decisions if decision.trace[0].removed_by_step == 5]
    assert len(refusing) == 1
    assert any(sentence.startswith("Step 5: ") and " a " in sentence for sentence in explain(refusing[0]))


@pytest.mark.parametrize("limit", KEPT_ELSEWHERE, ids=lambda limit: limit.name)
def test_a_limit_that_is_kept_where_calls_are_made_changes_no_decision(limit: About) -> None:
    decisions = [decide(request(AMOUNT), [end], {"a": MUCH}, 1) for end in _ends(limit)]
    assert [decision.chosen for decision in decisions] == ["a", "a"]


@pytest.mark.parametrize("limit", RULE + CHANNEL, ids=lambda limit: limit.name)
def test_it_stands_in_the_record_and_is_read_again(limit: About) -> None:
    for end in _ends(limit):
        decision = decide(request(AMOUNT), [end], {"a": MUCH}, 1)
        assert from_record(to_record(decision)) == decision


@pytest.mark.parametrize("limit", RULE + CHANNEL, ids=lambda limit: limit.name)
def test_it_has_words_and_stands_in_the_documentation(limit: About) -> None:
    assert limit.text
    assert f"`{limit.name}`" in DOCUMENT.read_text()


def test_only_what_is_set_is_told() -> None:
    assert RuleLimits().to_json() == {}
    assert RuleLimits(single_limit=0, daily_limit=5).to_json() == {"single_limit": 0, "daily_limit": 5}
    assert ChannelLimits.from_json({"daily_total": 5}) == ChannelLimits(daily_total=5)


def test_a_limit_of_a_newer_program_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there is no limit monthly_limit here"):
        RuleLimits.from_json({"single_limit": 1, "monthly_limit": 2})


@pytest.mark.parametrize("limit", ["5", 5.0, True, -1, 10**19])
def test_a_limit_that_is_no_amount_is_refused_where_it_is_read(limit: object) -> None:
    with pytest.raises(ValueError, match="daily_total must be a whole number from 0 to"):
        ChannelLimits.from_json({"daily_total": limit})  # type: ignore[dict-item]
