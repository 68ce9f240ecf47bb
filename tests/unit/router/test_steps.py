"""The nine steps, one table or a few sentences each, with their edges.

Not tested here: how the facts are counted and reserved (storage), how signing is known (flows), fees (test_fees), and
whole decisions at random (test_against_naive).
"""

from datetime import timedelta
from typing import Any

import pytest

from router import (
    Candidate,
    ChannelFacts,
    LastAttempt,
    Refusal,
    RouteRequest,
    decide,
    explain,
    replay,
    to_record,
)
from tests.unit.router.cases import (
    CHANNEL_FAILED,
    NOW,
    PAYER_FAILED,
    PLATFORM_FAILED,
    SUCCEEDED,
    UNBLAMED_FAILURE,
    last,
    removed,
    request,
    route,
    rule,
)

HIDING: list[tuple[dict[str, Any], str]] = [
    ({"enabled": False}, "rule_disabled"),
    ({"channel_on": False}, "channel_off"),
    ({"in_maintenance": True}, "in_maintenance"),
    ({"account_usable": False}, "account_unusable"),
    ({"unfit": "bank_unsupported"}, "bank_unsupported"),
    ({"unfit": "name_unwritable"}, "name_unwritable"),
    ({"unfit": "id_type_unsupported", "signing": "needs_signing"}, "id_type_unsupported"),
    ({"signing": "needs_signing"}, "needs_signing"),
    ({"signing": "signing_in_progress"}, "signing_in_progress"),
    ({"full": True}, "channel_full"),
]

LIMITS: list[tuple[dict[str, Any], ChannelFacts, int, Refusal]] = [
    ({"single_limit": 999}, ChannelFacts(), 2, Refusal.SINGLE_LIMIT_EXCEEDED),
    ({"daily_limit": 1500}, ChannelFacts(used_today=501), 3, Refusal.DAILY_LIMIT_EXCEEDED),
    (
        {"daily_insufficient_limit": 2},
        ChannelFacts(insufficient_today=2),
        4,
        Refusal.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
    ),
    ({"channel_daily_total": 1500}, ChannelFacts(channel_used_today=501), 4, Refusal.CHANNEL_TOTAL_EXCEEDED),
    ({"card_daily_limit": 1500}, ChannelFacts(card_used_today=501), 4, Refusal.CARD_LIMIT_EXCEEDED),
    ({"card_single_limit": 999}, ChannelFacts(), 4, Refusal.CARD_LIMIT_EXCEEDED),
]


class TestBeforeTheSteps:
    def test_a_payer_on_the_block_list_is_refused_whatever_the_channels(self) -> None:
        asked = request(blocked=("card_no", "phone"))
        decision = decide(asked, [rule("cheap")], {}, 7)
        assert (decision.chosen, decision.refusal, decision.refused_by_step) == (None, Refusal.BLOCKED, 0)
        assert explain(decision) == [
            "Step 0: refused before routing, the merchant's block list has the card number and the phone."
        ]
        assert replay(to_record(decision)) == decision

    def test_a_payer_who_is_not_is_decided_and_recorded_as_ever(self) -> None:
        record: dict[str, Any] = dict(to_record(route(rule("cheap"))))
        assert "blocked" not in record["request"]


class TestStep1:
    @pytest.mark.parametrize(("state", "reason"), HIDING)
    def test_a_channel_that_is_not_available_stands_in_the_trace_only(self, state: dict[str, Any], reason: str) -> None:
        decision = route(rule("cheap", fee=1, **state), rule("dear", fee=200))
        assert decision.chosen == "dear"
        assert removed(decision) == {"cheap": (1, reason)}
        assert decision.trace[0].fee == 1
        assert decision.trace[0].rank is None

    @pytest.mark.parametrize(("state", "reason"), HIDING)
    def test_with_no_channel_available_the_request_is_refused(self, state: dict[str, Any], reason: str) -> None:
        decision = route(rule("a", **state))
        assert (decision.chosen, decision.chosen_by_step, decision.refused_by_step) == (None, None, 1)
        told = {"needs_signing": "card_needs_signing", "signing_in_progress": "signing_in_progress"}
        assert decision.refusal == told.get(reason, "no_channel_available")
        assert removed(decision) == {"a": (1, reason)}

    def test_the_card_needs_signing_when_that_alone_keeps_one_channel_out(self) -> None:
        decision = route(rule("a", channel_on=False), rule("b", signing="needs_signing"))
        assert decision.refusal is Refusal.CARD_NEEDS_SIGNING

    def test_a_signing_in_progress_is_told_before_one_that_is_needed(self) -> None:
        decision = route(rule("a", signing="needs_signing"), rule("b", signing="signing_in_progress"))
        assert decision.refusal is Refusal.SIGNING_IN_PROGRESS
        assert removed(decision) == {"a": (1, "needs_signing"), "b": (1, "signing_in_progress")}

    def test_a_signing_in_progress_is_not_told_where_something_else_hides_the_channel(self) -> None:
        decision = route(rule("a", signing="needs_signing"), rule("b", signing="signing_in_progress", enabled=False))
        assert decision.refusal is Refusal.CARD_NEEDS_SIGNING

    def test_signing_would_not_help_a_channel_that_is_off(self) -> None:
        decision = route(rule("a", channel_on=False, signing="needs_signing"))
        assert decision.refusal is Refusal.NO_CHANNEL_AVAILABLE
        assert removed(decision) == {"a": (1, "channel_off")}

    def test_a_channel_that_is_only_full_is_told_before_a_signing(self) -> None:
        decision = route(rule("a", full=True), rule("b", signing="needs_signing"))
        assert decision.wants_room
        assert decision.refusal is Refusal.NO_CHANNEL_AVAILABLE

    @pytest.mark.parametrize("state", [state for state, _ in HIDING if "full" not in state], ids=str)
    def test_room_would_not_help_a_channel_that_something_else_hides(self, state: dict[str, Any]) -> None:
        decision = route(rule("a", full=True, **state))
        assert not decision.wants_room
        assert removed(decision)["a"][1] != "channel_full"

    def test_a_full_channel_beside_one_that_has_room_is_left_out_and_no_more(self) -> None:
        decision = route(rule("a", fee=1, full=True), rule("b", fee=2))
        assert decision.chosen == "b"
        assert not decision.wants_room

    def test_the_first_reason_in_the_order_of_the_step_is_told(self) -> None:
        everything = {name: value for state, _ in HIDING for name, value in state.items()}
        assert removed(route(rule("a", **everything))) == {"a": (1, "rule_disabled")}

    def test_without_any_rule_there_is_no_channel(self) -> None:
        decision = route()
        assert decision.refusal is Refusal.NO_CHANNEL_AVAILABLE
        assert decision.trace == ()

    def test_rules_of_another_scene_or_bank_are_not_of_this_decision(self) -> None:
        decision = route(rule("a", scene="quick_charge"), rule("b", bank="CCB"), rule("c"), a=last(SUCCEEDED))
        assert [seen.channel for seen in decision.trace] == ["c"]
        assert [candidate.channel for candidate in decision.candidates] == ["c"]
        assert set(decision.facts) == {"c"}

    def test_the_same_channel_may_have_rules_for_other_scenes_but_not_two_for_this_one(self) -> None:
        assert route(rule("a"), rule("a", scene="quick_charge")).chosen == "a"
        with pytest.raises(ValueError, match="more than one rule"):
            route(rule("a"), rule("a", fee=1))


class TestSteps2To4:
    @pytest.mark.parametrize(("limit", "facts", "step", "refusal"), LIMITS)
    def test_a_limit_that_no_available_channel_keeps_refuses_the_request(
        self, limit: dict[str, Any], facts: ChannelFacts, step: int, refusal: Refusal
    ) -> None:
        decision = route(rule("a", **limit), rule("b", **limit), a=facts, b=facts)
        assert (decision.refusal, decision.refused_by_step, decision.chosen_by_step) == (refusal, step, None)
        assert removed(decision) == {"a": (step, refusal), "b": (step, refusal)}
        assert [seen.rank for seen in decision.trace] == [None, None]

    @pytest.mark.parametrize(
        ("limit", "facts"),
        [
            ({"single_limit": 1000}, ChannelFacts()),
            ({"daily_limit": 1000}, ChannelFacts()),
            ({"daily_limit": 1500}, ChannelFacts(used_today=500)),
            ({"daily_insufficient_limit": 1}, ChannelFacts()),
            ({"daily_insufficient_limit": 3}, ChannelFacts(insufficient_today=2)),
            ({"channel_daily_total": 1500}, ChannelFacts(channel_used_today=500)),
            ({"card_daily_limit": 1500}, ChannelFacts(card_used_today=500)),
            ({"card_single_limit": 1000}, ChannelFacts(card_used_today=5000)),
        ],
    )
    def test_limits_are_inclusive(self, limit: dict[str, Any], facts: ChannelFacts) -> None:
        assert route(rule("a", **limit), a=facts).chosen == "a"

    def test_a_limit_that_is_absent_is_no_limit(self) -> None:
        much = ChannelFacts(10**15, 10**6, None, 10**15, 10**15)
        assert route(rule("a"), amount=10**15, a=much).chosen == "a"

    @pytest.mark.parametrize("limit", ["single_limit", "daily_limit", "channel_daily_total", "card_daily_limit"])
    def test_a_limit_of_zero_is_a_limit(self, limit: str) -> None:
        limits: dict[str, Any] = {limit: 0}
        assert route(rule("a", **limits), amount=1).refusal is not None

    def test_an_insufficient_limit_of_zero_admits_nobody(self) -> None:
        decision = route(rule("a", daily_insufficient_limit=0))
        assert decision.refusal is Refusal.DAILY_INSUFFICIENT_BALANCE_EXCEEDED

    def test_the_answer_tells_the_largest_single_limit_of_the_available_channels(self) -> None:
        decision = route(
            rule("a", single_limit=500), rule("b", single_limit=999), rule("off", single_limit=5000, channel_on=False)
        )
        assert decision.refusal is Refusal.SINGLE_LIMIT_EXCEEDED
        assert decision.max_single_limit == 999
        assert removed(decision)["off"] == (1, "channel_off")

    def test_no_single_limit_is_told_where_another_step_refuses(self) -> None:
        assert route(rule("a", single_limit=5000, daily_limit=1)).max_single_limit is None

    @pytest.mark.parametrize(("limit", "facts", "step", "refusal"), LIMITS)
    def test_one_channel_that_keeps_the_limit_is_enough(
        self, limit: dict[str, Any], facts: ChannelFacts, step: int, refusal: Refusal
    ) -> None:
        decision = route(rule("a", **limit), rule("b"), a=facts)
        assert decision.chosen == "b"
        assert removed(decision) == {"a": (5, refusal)}

    def test_the_earlier_step_refuses_when_several_would(self) -> None:
        every = {name: value for limit, *_ in LIMITS for name, value in limit.items()}
        facts = ChannelFacts(501, 2, None, 501, 501)
        refusals = []
        for name in list(every):
            refusals.append(route(rule("a", **every), a=facts).refusal)
            del every[name]
        assert refusals == [refusal for *_, refusal in LIMITS]

    def test_step_3_looks_at_what_step_1_left_and_not_at_the_survivors_of_step_2(self) -> None:
        decision = route(rule("a", single_limit=1), rule("b", daily_limit=1))
        assert (decision.refusal, decision.refused_by_step) == (Refusal.NO_ELIGIBLE_CHANNEL, 5)

    def test_step_4_looks_at_what_step_1_left_and_not_at_the_survivors_of_step_3(self) -> None:
        decision = route(rule("a", daily_limit=1), rule("b", daily_insufficient_limit=0))
        assert (decision.refusal, decision.refused_by_step) == (Refusal.NO_ELIGIBLE_CHANNEL, 5)

    def test_the_optional_totals_look_at_what_step_1_left_too(self) -> None:
        decision = route(rule("a", channel_daily_total=1), rule("b", card_daily_limit=1))
        assert decision.refusal is Refusal.NO_ELIGIBLE_CHANNEL

    def test_what_step_1_removed_does_not_count_for_a_limit(self) -> None:
        decision = route(rule("a", daily_limit=1), rule("off", enabled=False))
        assert decision.refusal is Refusal.DAILY_LIMIT_EXCEEDED
        assert removed(decision) == {"a": (3, "daily_limit_exceeded"), "off": (1, "rule_disabled")}


class TestStep5:
    def test_when_none_is_left_each_channel_has_its_reason(self) -> None:
        decision = route(
            rule("a", single_limit=1),
            rule("b", daily_limit=1),
            rule("c", daily_insufficient_limit=0),
            rule("d", channel_daily_total=1),
            rule("e", card_daily_limit=1),
        )
        assert decision.refusal is Refusal.NO_ELIGIBLE_CHANNEL
        assert removed(decision) == {
            "a": (5, "single_limit_exceeded"),
            "b": (5, "daily_limit_exceeded"),
            "c": (5, "daily_insufficient_balance_exceeded"),
            "d": (5, "channel_total_exceeded"),
            "e": (5, "card_limit_exceeded"),
        }

    def test_a_channel_that_fails_several_limits_tells_the_first(self) -> None:
        decision = route(rule("a", daily_limit=1, single_limit=1, daily_insufficient_limit=0), rule("b"))
        assert removed(decision) == {"a": (5, "single_limit_exceeded")}

    @pytest.mark.parametrize("attempt", [None, SUCCEEDED, PAYER_FAILED, CHANNEL_FAILED])
    def test_the_only_one_left_is_chosen_without_looking_at_the_rest(self, attempt: LastAttempt | None) -> None:
        decision = route(rule("a"), rule("b", fee=1, single_limit=1), a=last(attempt))
        assert (decision.chosen, decision.chosen_by_step, decision.refused_by_step) == ("a", 5, None)
        assert [(seen.channel, seen.rank) for seen in decision.trace] == [("a", 1), ("b", None)]
        assert decision.saved_against_next is None

    def test_the_only_one_available_is_chosen_by_step_5(self) -> None:
        assert route(rule("a"), a=last(CHANNEL_FAILED)).chosen_by_step == 5


class TestStep6:
    @pytest.mark.parametrize(
        ("rules", "ranking"),
        [
            ([rule("a", 3), rule("b", 1), rule("c", 2)], ["b", "c", "a"]),
            ([rule("a", 1, priority=1), rule("b", 1, priority=2), rule("c", 1)], ["b", "a", "c"]),
            ([rule("c", 1), rule("b", 1), rule("a", 1)], ["a", "b", "c"]),
            ([rule("a", 2, priority=99), rule("b", 1, priority=-5)], ["b", "a"]),
            ([rule("a", 1, priority=-1), rule("b", 1)], ["b", "a"]),
        ],
        ids=["lowest fee", "same fee: larger priority", "same again: code", "fee before priority", "negative priority"],
    )
    def test_ranking(self, rules: list[Candidate], ranking: list[str]) -> None:
        assert [seen.channel for seen in route(*rules).ranked] == ranking

    def test_fees_are_compared_after_rounding(self) -> None:
        dear = rule("a", percent="0.0014")
        cheap = rule("b", percent="0.0013")
        assert [seen.channel for seen in route(cheap, dear, amount=100).ranked] == ["a", "b"]

    def test_the_fee_of_the_chosen_and_what_it_saved_are_told(self) -> None:
        decision = route(rule("a", 100), rule("b", 120), rule("c", 500))
        assert (decision.fee, decision.saved_against_next) == (100, 20)

    def test_choosing_the_second_best_costs_what_the_best_would_have_saved(self) -> None:
        decision = route(rule("a", 100), rule("b", 120), rule("c", 500), a=last(CHANNEL_FAILED))
        assert (decision.chosen, decision.fee, decision.saved_against_next) == ("b", 120, -20)

    def test_a_refusal_has_no_fee_and_saves_nothing(self) -> None:
        decision = route(rule("a", single_limit=1), rule("b", single_limit=1))
        assert (decision.fee, decision.saved_against_next) == (None, None)


class TestSteps7To9:
    @pytest.mark.parametrize("second", [None, SUCCEEDED, PAYER_FAILED, CHANNEL_FAILED, PLATFORM_FAILED])
    @pytest.mark.parametrize(("best", "step"), [(None, 7), (SUCCEEDED, 7), (PAYER_FAILED, 8)])
    def test_the_best_is_chosen_unless_it_failed_by_other_than_the_payer(
        self, best: LastAttempt | None, second: LastAttempt | None, step: int
    ) -> None:
        decision = route(rule("best", 1), rule("second", 2), best=last(best), second=last(second))
        assert (decision.chosen, decision.chosen_by_step) == ("best", step)

    @pytest.mark.parametrize("best", [CHANNEL_FAILED, PLATFORM_FAILED, UNBLAMED_FAILURE])
    @pytest.mark.parametrize(
        ("second", "chosen"),
        [
            (None, "second"),
            (SUCCEEDED, "second"),
            (PAYER_FAILED, "second"),
            (CHANNEL_FAILED, "best"),
            (PLATFORM_FAILED, "best"),
            (UNBLAMED_FAILURE, "best"),
        ],
    )
    def test_the_second_best_takes_over_unless_it_failed_likewise(
        self, best: LastAttempt, second: LastAttempt | None, chosen: str
    ) -> None:
        decision = route(rule("best", 1), rule("second", 2), best=last(best), second=last(second))
        assert (decision.chosen, decision.chosen_by_step) == (chosen, 9)

    def test_a_third_is_not_chosen_even_when_it_alone_never_failed(self) -> None:
        bad = last(CHANNEL_FAILED)
        decision = route(rule("a", 1), rule("b", 2), rule("c", 3), a=bad, b=bad, c=last(SUCCEEDED))
        assert (decision.chosen, decision.chosen_by_step) == ("a", 9)

    def test_a_dropped_channel_is_not_the_second_best(self) -> None:
        decision = route(
            rule("a", 1), rule("b", 2, single_limit=1), rule("c", 3), a=last(CHANNEL_FAILED), b=last(SUCCEEDED)
        )
        assert (decision.chosen, decision.chosen_by_step) == ("c", 9)

    @pytest.mark.parametrize(
        ("age", "chosen"),
        [
            (timedelta(0), "second"),
            (timedelta(hours=1), "second"),
            (timedelta(hours=1, microseconds=1), "best"),
            (timedelta(days=400), "best"),
            (timedelta(hours=-1), "second"),
            (None, "second"),
        ],
        ids=["just now", "exactly the age", "a moment older", "long ago", "ahead of our clock", "no finish time"],
    )
    def test_a_last_attempt_older_than_the_given_age_counts_as_none(self, age: timedelta | None, chosen: str) -> None:
        failed = LastAttempt("failed", "channel", None if age is None else NOW - age)
        decision = decide(
            request(last_attempt_max_age=timedelta(hours=1)),
            [rule("best", 1), rule("second", 2)],
            {"best": last(failed)},
            1,
        )
        assert decision.chosen == chosen

    def test_the_age_counts_for_the_second_best_too(self) -> None:
        old = last(LastAttempt("failed", "channel", NOW - timedelta(days=2)))
        decision = decide(
            request(last_attempt_max_age=timedelta(days=1)),
            [rule("best", 1), rule("second", 2)],
            {"best": last(LastAttempt("failed", "channel", NOW)), "second": old},
            1,
        )
        assert (decision.chosen, decision.chosen_by_step) == ("second", 9)

    def test_without_an_age_an_attempt_counts_for_ever(self) -> None:
        ancient = LastAttempt("failed", "channel", NOW - timedelta(days=3650))
        assert route(rule("best", 1), rule("second", 2), best=last(ancient)).chosen == "second"


class TestTheRequest:
    @pytest.mark.parametrize("amount", [0, -1])
    def test_its_amount_is_positive(self, amount: int) -> None:
        with pytest.raises(ValueError, match="positive"):
            request(amount)

    def test_its_times_are_aware(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            request(now=NOW.replace(tzinfo=None))
        with pytest.raises(ValueError, match="aware"):
            LastAttempt("failed", "channel", NOW.replace(tzinfo=None))

    def test_it_stands_in_the_decision_with_the_configuration_version(self) -> None:
        asked: RouteRequest = request(5, customer_present=True)
        decision = decide(asked, [rule("a")], {}, 42)
        assert (decision.request, decision.config_version) == (asked, 42)
        assert decision.facts == {"a": ChannelFacts()}
