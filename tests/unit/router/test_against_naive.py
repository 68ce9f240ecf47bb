"""Whole decisions at random: the router against a second implementation of the same text, and what must always hold.

Not tested here: the single edges of each step, which test_steps names one by one.
"""

import json
from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from router import (
    Decision,
    Fee,
    ToldLimit,
    decide,
    explain,
    fee_for,
    fee_to_json,
    from_record,
    parse_fee,
    replay,
    to_answer,
    to_record,
)
from tests.examples import examples
from tests.unit.router.cases import removed
from tests.unit.router.naive import naive_decide, naive_fee
from tests.unit.router.strategies import Case, cases, fees

# A busy machine draws slowly; that says nothing about the router.
MANY = examples(120, suppress_health_check=[HealthCheck.too_slow])
SOME = examples(40, suppress_health_check=[HealthCheck.too_slow])


def decided(case: Case) -> Decision:
    return decide(case.request, case.candidates, case.facts, config_version=3)


@MANY
@given(cases())
def test_both_routers_answer_the_same(case: Case) -> None:
    decision, naive = decided(case), naive_decide(*case)
    assert (decision.chosen, decision.refusal) == (naive.chosen, naive.refusal)
    assert decision.chosen_by_step == (None if naive.chosen is None else naive.step)
    assert decision.refused_by_step == (naive.step if naive.chosen is None else None)
    assert decision.wants_room == naive.wants_room
    assert decision.max_single_limit == naive.max_single_limit
    assert removed(decision) == naive.removed
    assert [seen.channel for seen in decision.ranked] == naive.ranking
    assert {seen.channel: seen.fee for seen in decision.trace} == naive.fees
    assert {seen.channel: seen.compared for seen in decision.trace} == naive.compared
    told = decision.told
    assert (None if told is None else _shown(told.limit)) == naive.limit
    assert (None if told is None else told.max_amount_now) == naive.max_amount_now
    assert (None if told is None else told.in_flight_only) == naive.waits_only
    assert (None if told is None else told.other_card_helps) == naive.other_card
    limits = {seen.channel: limit for seen in decision.trace if (limit := decision.limit_of(seen)) is not None}
    assert {channel: _shown(limit) for channel, limit in limits.items()} == naive.limits


def _shown(limit: ToldLimit) -> tuple[str, int, int, int | None]:
    return limit.kind, limit.limit, limit.left, limit.in_flight


@MANY
@given(cases())
def test_what_may_go_now_goes_and_one_fen_more_does_not(case: Case) -> None:
    told = decided(case).told
    if told is None:
        return
    if told.max_amount_now:
        assert decided(case._replace(request=replace(case.request, amount=told.max_amount_now))).chosen is not None
    assert decided(case._replace(request=replace(case.request, amount=told.max_amount_now + 1))).chosen is None


@SOME
@given(cases())
def test_nothing_but_a_limit_tells_one(case: Case) -> None:
    decision = decided(case)
    assert (decision.told is not None) == (decision.refused_by_step in {2, 3, 4, 5})


@MANY
@given(fees(), st.integers(1, 10**13))
def test_both_count_the_same_fee(fee: Fee, amount: int) -> None:
    assert fee_for(fee, amount) == naive_fee(fee, amount)


@SOME
@given(fees())
def test_a_fee_survives_json(fee: Fee) -> None:
    assert parse_fee(json.loads(json.dumps(fee_to_json(fee)))) == fee


@SOME
@given(cases())
def test_a_decision_is_a_channel_or_a_refusal_and_every_channel_is_ranked_or_removed(case: Case) -> None:
    decision = decided(case)
    assert (decision.chosen is None) == (decision.refusal is not None)
    assert (decision.chosen_by_step is None) == (decision.refused_by_step is not None)
    for seen in decision.trace:
        assert (seen.rank is None) == (seen.removed_by_step is not None) == (seen.reason is not None)


@SOME
@given(cases())
def test_that_channels_ail_never_leaves_none_and_hides_none_that_is_well(case: Case) -> None:
    well = case._replace(candidates=[replace(each, ailing=None) for each in case.candidates])
    before, after = removed(decided(well)), removed(decided(case))
    out_before = {channel for channel, (step, _) in before.items() if step == 1}
    out_now = {channel for channel, (step, _) in after.items() if step == 1}
    assert out_before <= out_now
    assert (decided(well).refused_by_step == 1) == (decided(case).refused_by_step == 1)
    for each in case.candidates:
        if each.channel in out_now - out_before:
            assert each.ailing is not None
            assert not each.ailing.passes


@SOME
@given(cases())
def test_a_third_is_never_chosen(case: Case) -> None:
    decision = decided(case)
    if decision.chosen is not None:
        assert decision.chosen in [seen.channel for seen in decision.ranked[:2]]


@SOME
@given(cases(), st.integers())
def test_the_order_of_the_candidates_never_matters(case: Case, seed: int) -> None:
    shuffled = list(case.candidates)
    Random(seed).shuffle(shuffled)
    again = decide(case.request, shuffled, case.facts, config_version=3)
    assert again == decided(case)
    assert to_record(again) == to_record(decided(case))


@SOME
@given(cases())
def test_a_stored_decision_is_read_back_and_replayed_to_the_same_answer(case: Case) -> None:
    decision = decided(case)
    record = json.loads(json.dumps(to_record(decision)))
    assert from_record(record) == decision
    assert replay(record) == decision
    assert to_record(replay(record)) == record
    assert to_answer(from_record(record)) == to_answer(decision)


@SOME
@given(cases())
def test_every_decision_can_be_explained(case: Case) -> None:
    decision = decided(case)
    told = explain(decision)
    steps = [sentence.split(":")[0] for sentence in told]
    assert steps == sorted(set(steps))
    assert steps[-1] == f"Step {decision.chosen_by_step or decision.refused_by_step}"
    assert ("is chosen" in told[-1]) == (decision.chosen is not None)
    assert ("refused" in told[-1]) == (decision.refusal is not None)
    for seen in decision.trace:
        assert any(seen.channel in sentence for sentence in told) or decision.refused_by_step == 2
