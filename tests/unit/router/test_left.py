"""What a refusal for a limit tells: which limit, the most that goes now, and what would help.

Not tested here: the advice that is made of it (tests/unit/flows), and all of it at random (test_against_naive).
"""

import json
from datetime import timedelta
from typing import Any

import pytest

from router import (
    ChannelFacts,
    Decision,
    LastAttempt,
    Refusal,
    Told,
    ToldLimit,
    decide,
    explain,
    from_record,
    or_unresolved,
    replay,
    to_answer,
    to_record,
)
from tests.unit.router.cases import CHANNEL_FAILED, NOW, PAYER_FAILED, SUCCEEDED, request, route, rule

BY_CARD: dict[str, Any] = {"daily_insufficient_limit": 2, "daily_insufficient_by": "card"}


def told(decision: Decision) -> Told:
    assert decision.told is not None
    return decision.told


ONE_CHANNEL: list[tuple[str, dict[str, Any], ChannelFacts, ToldLimit, int, bool, bool]] = [
    ("single", {"single_limit": 900}, ChannelFacts(), ToldLimit("single_limit", 900, 900, 0), 900, False, False),
    (
        "single, of which little is left today",
        {"single_limit": 900, "daily_limit": 1500},
        ChannelFacts(used_today=1200, in_flight_today=1200),
        ToldLimit("single_limit", 900, 900, 0),
        300,
        False,
        False,
    ),
    (
        "daily, used up for good",
        {"daily_limit": 1500},
        ChannelFacts(used_today=600, in_flight_today=0),
        ToldLimit("daily_limit", 1500, 900, 0),
        900,
        False,
        False,
    ),
    (
        "daily, what is in flight is too little to help",
        {"daily_limit": 1500},
        ChannelFacts(used_today=700, in_flight_today=199),
        ToldLimit("daily_limit", 1500, 800, 199),
        800,
        False,
        False,
    ),
    (
        "daily, what is in flight is just enough",
        {"daily_limit": 1500},
        ChannelFacts(used_today=700, in_flight_today=200),
        ToldLimit("daily_limit", 1500, 800, 200),
        800,
        True,
        False,
    ),
    (
        "daily, passed by a late success",
        {"daily_limit": 1500},
        ChannelFacts(used_today=9000, in_flight_today=0),
        ToldLimit("daily_limit", 1500, 0, 0),
        0,
        False,
        False,
    ),
    (
        "daily, in flight, and a card limit besides",
        {"daily_limit": 1500, "card_daily_limit": 500},
        ChannelFacts(used_today=700, in_flight_today=700),
        ToldLimit("daily_limit", 1500, 800, 700),
        500,
        False,
        False,
    ),
    (
        "too often without balance",
        {"daily_insufficient_limit": 2, "single_limit": 5000},
        ChannelFacts(insufficient_today=2),
        ToldLimit("daily_insufficient_limit", 2, 0, 0),
        0,
        False,
        False,
    ),
    (
        "the card was too often without balance",
        BY_CARD,
        ChannelFacts(card_insufficient_today=3),
        ToldLimit("daily_insufficient_limit", 2, 0, 0),
        0,
        False,
        True,
    ),
    (
        "the channel's total",
        {"channel_daily_total": 10_000},
        ChannelFacts(channel_used_today=9600, channel_in_flight_today=100),
        ToldLimit("daily_total", 10_000, 400, 100),
        400,
        False,
        False,
    ),
    (
        "the channel's total, in flight",
        {"channel_daily_total": 10_000},
        ChannelFacts(channel_used_today=9600, channel_in_flight_today=600),
        ToldLimit("daily_total", 10_000, 400, 600),
        400,
        True,
        False,
    ),
    (
        "the card's day",
        {"card_daily_limit": 1500},
        ChannelFacts(card_used_today=600, card_in_flight_today=0),
        ToldLimit("card_daily_limit", 1500, 900, 0),
        900,
        False,
        True,
    ),
    (
        "the card's day, in flight",
        {"card_daily_limit": 1500},
        ChannelFacts(card_used_today=600, card_in_flight_today=600),
        ToldLimit("card_daily_limit", 1500, 900, 600),
        900,
        True,
        True,
    ),
    (
        "the card's day is smaller than the amount: another one has the same",
        {"card_daily_limit": 999},
        ChannelFacts(card_used_today=600, card_in_flight_today=600),
        ToldLimit("card_daily_limit", 999, 399, 600),
        399,
        False,
        False,
    ),
    (
        "the card's single limit: another one has the same",
        {"card_single_limit": 999, "card_daily_limit": 1500},
        ChannelFacts(card_used_today=600, card_in_flight_today=0),
        ToldLimit("card_single_limit", 999, 999, 0),
        900,
        False,
        False,
    ),
]


@pytest.mark.parametrize(
    ("limits", "facts", "limit", "most", "in_flight_only", "other_card"),
    [pytest.param(*each[1:], id=each[0]) for each in ONE_CHANNEL],
)
def test_a_refusal_tells_the_limit_what_goes_now_and_what_would_help(
    limits: dict[str, Any], facts: ChannelFacts, limit: ToldLimit, most: int, in_flight_only: bool, other_card: bool
) -> None:
    decision = route(rule("a", **limits), a=facts)
    assert told(decision) == Told(limit, most, in_flight_only, other_card)
    assert decision.limit_of(decision.trace[0]) == limit


class TestSeveralChannels:
    def test_the_most_is_that_of_the_channel_that_takes_most_each_by_the_least_of_its_rests(self) -> None:
        decision = route(
            rule("a", single_limit=900, daily_limit=700),
            rule("b", daily_limit=600),
            rule("c", daily_limit=2000, card_daily_limit=650),
            c=ChannelFacts(used_today=1200),
        )
        assert (decision.refusal, told(decision).max_amount_now) == (Refusal.DAILY_LIMIT_EXCEEDED, 700)
        assert told(decision).limit == ToldLimit("daily_limit", 2000, 800, None)

    def test_a_hidden_channel_would_take_nothing(self) -> None:
        decision = route(rule("a", single_limit=1), rule("off", channel_on=False), rule("full", full=True))
        assert told(decision).max_amount_now == 1

    def test_the_largest_single_limit_is_told(self) -> None:
        decision = route(rule("a", single_limit=500), rule("b", single_limit=900))
        assert told(decision).limit == ToldLimit("single_limit", 900, 900, 0)
        assert decision.max_single_limit == 900

    def test_a_channel_that_waits_only_for_what_is_in_flight_is_told_first(self) -> None:
        decision = route(
            rule("a", daily_limit=1900),
            rule("b", daily_limit=1500),
            a=ChannelFacts(used_today=1000, in_flight_today=0),
            b=ChannelFacts(used_today=1000, in_flight_today=600),
        )
        assert told(decision) == Told(ToldLimit("daily_limit", 1500, 500, 600), 900, True, False)

    def test_what_waits_and_would_fail_another_limit_all_the_same_does_not_help(self) -> None:
        decision = route(
            rule("a", daily_limit=1500, single_limit=999),
            rule("b", daily_limit=1500),
            a=ChannelFacts(used_today=1000, in_flight_today=1000),
            b=ChannelFacts(used_today=1000, in_flight_today=0),
        )
        assert not told(decision).in_flight_only

    def test_where_each_fails_a_limit_of_its_own_the_channel_that_would_take_most_is_told(self) -> None:
        decision = route(
            rule("a", single_limit=400),
            rule("b", daily_limit=1500),
            rule("c", daily_insufficient_limit=0),
            b=ChannelFacts(used_today=700, in_flight_today=0),
        )
        assert decision.refusal is Refusal.NO_ELIGIBLE_CHANNEL
        assert told(decision) == Told(ToldLimit("daily_limit", 1500, 800, 0), 800, False, False)
        assert [limit.kind for seen in decision.trace if (limit := decision.limit_of(seen))] == [
            "single_limit",
            "daily_limit",
            "daily_insufficient_limit",
        ]

    def test_or_the_one_that_waits_only_for_what_is_in_flight(self) -> None:
        decision = route(
            rule("a", single_limit=900),
            rule("b", daily_limit=1500),
            b=ChannelFacts(used_today=1500, in_flight_today=1000),
        )
        assert told(decision) == Told(ToldLimit("daily_limit", 1500, 0, 1000), 900, True, False)

    def test_another_card_helps_where_one_channel_would_take_it(self) -> None:
        decision = route(
            rule("a", single_limit=400),
            rule("b", card_daily_limit=1500),
            b=ChannelFacts(card_used_today=700, card_in_flight_today=0),
        )
        assert told(decision) == Told(ToldLimit("card_daily_limit", 1500, 800, 0), 800, False, True)

    def test_a_channel_that_was_dropped_beside_the_chosen_one_tells_its_limit_in_the_trace(self) -> None:
        decision = route(rule("a", daily_limit=1500), rule("b"), a=ChannelFacts(used_today=700, in_flight_today=100))
        assert (decision.chosen, decision.told) == ("b", None)
        assert [seen["limit"] for seen in to_answer(decision)["candidates"]] == [  # type: ignore[attr-defined]
            {"kind": "daily_limit", "limit": 1500, "left": 800, "in_flight": 100},
            None,
        ]


@pytest.mark.parametrize(
    "decision",
    [
        route(),
        route(rule("a", channel_on=False)),
        route(rule("a", signing="needs_signing", single_limit=1)),
        route(rule("a", full=True, single_limit=1)),
        decide(request(blocked=("user",)), [rule("a", single_limit=1)], {}, 1),
        route(rule("a")),
    ],
    ids=["no rule", "off", "not signed", "full", "blocked", "chosen"],
)
def test_without_a_limit_in_the_way_none_is_told(decision: Decision) -> None:
    answer = to_answer(decision)
    assert (decision.told, answer["limit"], answer["max_amount_now"]) == (None, None, None)
    assert [decision.limit_of(seen) for seen in decision.trace] == [None] * len(decision.trace)


def test_the_answer_and_the_sentences_tell_what_is_in_flight() -> None:
    decision = route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=700, in_flight_today=200))
    answer = to_answer(decision)
    assert answer["limit"] == {"kind": "daily_limit", "limit": 1500, "left": 800, "in_flight": 200}
    assert answer["max_amount_now"] == 800
    assert explain(decision)[-1].endswith(
        "a takes at most 15.00 yuan a day, of which 7.00 yuan are used (2.00 yuan in flight)."
    )


def test_a_record_from_before_flights_were_told_is_replayed_to_the_same_answer() -> None:
    decision = route(rule("a", daily_limit=1500), a=ChannelFacts(used_today=700, in_flight_today=200))
    record: dict[str, Any] = json.loads(json.dumps(to_record(decision)))
    del record["facts"]["a"]["in_flight_today"]
    assert replay(record) == from_record(record)
    assert to_answer(replay(record))["limit"] == {"kind": "daily_limit", "limit": 1500, "left": 800, "in_flight": None}
    assert replay(record).refusal is decision.refusal


class TestByCard:
    def test_each_card_number_counts_for_itself_and_the_user_does_not(self) -> None:
        facts = ChannelFacts(insufficient_today=5, card_insufficient_today=1)
        assert route(rule("a", **BY_CARD), a=facts).chosen == "a"
        assert route(rule("a", daily_insufficient_limit=2), a=facts).refusal is not None

    def test_without_the_rule_the_card_does_not_count(self) -> None:
        assert route(rule("a", daily_insufficient_limit=2), a=ChannelFacts(card_insufficient_today=5)).chosen == "a"

    def test_it_is_explained_recorded_and_replayed(self) -> None:
        decision = route(rule("a", **BY_CARD), rule("b"), a=ChannelFacts(card_insufficient_today=2))
        assert decision.chosen == "b"
        assert explain(decision)[-1].endswith(
            "a has 2 of 2 failures for insufficient balance that are allowed a day to this card."
        )
        record: dict[str, Any] = json.loads(json.dumps(to_record(decision)))
        assert record["candidates"][0]["daily_insufficient_by"] == "card"
        assert replay(record) == decision


class TestUnresolved:
    AFTER = timedelta(minutes=10)

    @pytest.mark.parametrize(
        ("age", "last", "counts"),
        [
            (timedelta(minutes=10), None, False),
            (timedelta(minutes=10, microseconds=1), None, True),
            (timedelta(minutes=11), LastAttempt("succeeded", None, NOW - timedelta(minutes=12)), True),
            (timedelta(minutes=11), LastAttempt("succeeded", None, NOW - timedelta(minutes=11)), False),
            (timedelta(minutes=11), LastAttempt("failed", "payer", NOW - timedelta(minutes=1)), False),
            (timedelta(days=40), LastAttempt("succeeded", None, NOW - timedelta(days=41)), True),
        ],
        ids=["just so long", "longer", "newer than the last", "as old as the last", "older than the last", "long ago"],
    )
    def test_an_open_attempt_counts_when_it_is_older_than_said_and_newer_than_the_last(
        self, age: timedelta, last: LastAttempt | None, counts: bool
    ) -> None:
        counted = or_unresolved(last, NOW - age, NOW, self.AFTER)
        assert counted == (LastAttempt("failed", "channel", unresolved_since=NOW - age) if counts else last)

    def test_it_counts_as_failed_by_the_channel_and_is_never_too_old(self) -> None:
        open_since = NOW - timedelta(days=3)
        facts = {"best": ChannelFacts(last_attempt=or_unresolved(None, open_since, NOW, self.AFTER))}
        asked = request(last_attempt_max_age=timedelta(hours=1))
        decision = decide(asked, [rule("best", 1), rule("second", 2)], facts, 1)
        assert (decision.chosen, decision.chosen_by_step) == ("second", 9)
        assert explain(decision)[-1] == (
            "Step 9: second is chosen instead of best, the user's last attempt on best has had no result since "
            "2025-05-31T04:05:06+00:00 and counts as failed (blame: channel)."
        )
        record: dict[str, Any] = json.loads(json.dumps(to_record(decision)))
        assert record["facts"]["best"]["last_attempt"] == {
            "status": "failed",
            "blame": "channel",
            "unresolved_since": "2025-05-31T04:05:06+00:00",
        }
        assert replay(record) == decision == from_record(record)

    def test_both_of_the_best_are_told_by_how_they_failed(self) -> None:
        unresolved = LastAttempt("failed", "channel", unresolved_since=NOW)
        facts = {"a": ChannelFacts(last_attempt=CHANNEL_FAILED), "b": ChannelFacts(last_attempt=unresolved)}
        decision = decide(request(), [rule("a", 1), rule("b", 2)], facts, 1)
        assert explain(decision)[-1] == (
            "Step 9: a is chosen, the user's last attempt on a failed (blame: channel), and the one on b has had no "
            "result since 2025-06-03T04:05:06+00:00 and counts as failed (blame: channel)."
        )

    @pytest.mark.parametrize("last", [SUCCEEDED, PAYER_FAILED])
    def test_a_last_attempt_without_a_time_gives_way(self, last: LastAttempt) -> None:
        counted = or_unresolved(last, NOW - timedelta(hours=1), NOW, self.AFTER)
        assert counted is not None
        assert counted.unresolved_since is not None

    def test_its_time_is_aware(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            LastAttempt("failed", "channel", unresolved_since=NOW.replace(tzinfo=None))
