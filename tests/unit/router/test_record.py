"""The stored record and the API's answer: their exact form, because payments keep them for years.

Not tested here: that every decision survives the round trip (test_against_naive), and storing it (storage).
"""

import json
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import orjson
import pytest

from router import ChannelFacts, LastAttempt, RecordError, decide, from_record, replay, to_answer, to_record
from tests.unit.router.cases import NOW, request, route, rule


def test_a_record_leaves_out_what_is_at_its_default() -> None:
    assert to_record(route(rule("a"))) == {
        "format": 2,
        "config_version": 7,
        "request": {
            "user_id": "u1",
            "scene": "withhold",
            "bank": "ICBC",
            "amount": 1000,
            "now": "2025-06-03T04:05:06+00:00",
        },
        "candidates": [{"channel": "a", "fee": {"type": "fixed", "amount": 100}}],
        "trace": [{"channel": "a", "fee": 100, "rank": 1}],
        "chosen": "a",
        "chosen_by_step": 5,
        "fee": 100,
    }


def test_a_record_holds_all_that_is_needed_to_decide_again() -> None:
    facts = ChannelFacts(1, 2, LastAttempt("failed", "channel", NOW - timedelta(hours=1)), 3, 4)
    decision = decide(
        request(1000, customer_present=True, last_attempt_max_age=timedelta(days=1)),
        [
            rule("a", 10, priority=-2, daily_limit=5000, channel_daily_total=9000),
            rule("b", 12),
            rule("c", signing="needs_signing"),
        ],
        {"a": facts, "b": ChannelFacts()},
        9,
    )
    assert to_record(decision) == {
        "format": 2,
        "config_version": 9,
        "request": {
            "user_id": "u1",
            "scene": "withhold",
            "bank": "ICBC",
            "amount": 1000,
            "now": "2025-06-03T04:05:06+00:00",
            "customer_present": True,
            "last_attempt_max_age_us": 86_400_000_000,
        },
        "candidates": [
            {
                "channel": "a",
                "fee": {"type": "fixed", "amount": 10},
                "priority": -2,
                "limits": {"daily_limit": 5000},
                "channel_limits": {"daily_total": 9000},
            },
            {"channel": "b", "fee": {"type": "fixed", "amount": 12}},
            {"channel": "c", "fee": {"type": "fixed", "amount": 100}, "signing": "needs_signing"},
        ],
        "facts": {
            "a": {
                "used_today": 1,
                "insufficient_today": 2,
                "channel_used_today": 3,
                "card_used_today": 4,
                "last_attempt": {
                    "status": "failed",
                    "blame": "channel",
                    "finished_at": "2025-06-03T03:05:06+00:00",
                },
            }
        },
        "trace": [
            {"channel": "a", "fee": 10, "rank": 1},
            {"channel": "b", "fee": 12, "rank": 2},
            {"channel": "c", "fee": 100, "removed_by_step": 1, "reason": "needs_signing"},
        ],
        "chosen": "b",
        "chosen_by_step": 9,
        "fee": 12,
        "saved_against_next": -2,
    }


def test_a_record_from_before_rooms_and_unusable_accounts_were_known_is_replayed_as_it_was() -> None:
    record = to_record(route(rule("a", 1), rule("b", 2)))
    assert not {"full", "account_usable"} & {name for told in cast("Any", record["candidates"]) for name in told}
    assert replay(record) == from_record(record)


def test_that_a_channel_was_full_or_its_account_unusable_is_kept_and_decides_again() -> None:
    record = to_record(route(rule("a", 1, full=True), rule("b", 2, account_usable=False), rule("c", 3)))
    candidates = cast("Any", record["candidates"])
    assert [candidates[0]["full"], candidates[1]["account_usable"]] == [True, False]
    assert replay(json.loads(json.dumps(record))).chosen == "c"


def test_a_record_is_plain_json_for_every_encoder() -> None:
    record = to_record(route(rule("a", single_limit=1)))
    assert json.loads(json.dumps(record)) == record == orjson.loads(orjson.dumps(record))
    assert type(record["refusal"]) is str


def test_times_of_another_zone_are_stored_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    decision = decide(request(now=datetime(2025, 6, 3, 12, 5, 6, tzinfo=shanghai)), [rule("a")], {}, 1)
    record: dict[str, Any] = to_record(decision)
    assert record["request"]["now"] == "2025-06-03T04:05:06+00:00"
    assert from_record(record) == decision


def test_reading_gives_the_decision_as_it_was_made_and_replay_makes_it_again() -> None:
    record = {**to_record(route(rule("a", 1), rule("b", 2))), "chosen": "b"}
    assert from_record(record).chosen == "b"
    assert replay(record).chosen == "a"


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 3},
        {"format": "2"},
        {"format": [2]},
        {"candidates": [{"channel": "a", "fee": 1, "single_limit": 1}]},
        {"candidates": [{"channel": "a", "fee": 1, "limits": {"colour": 1}}]},
        {"candidates": [{"channel": "a", "fee": 1, "limits": {"daily_total": 1}}]},
        {"candidates": [{"channel": "a", "fee": 1, "limits": 1}]},
        {"request": None},
        {"request": {}},
        {"candidates": [{"channel": "a"}]},
        {"candidates": [{"channel": "a", "fee": -1}]},
        {"candidates": [{"channel": "a", "fee": 1, "colour": "red"}]},
        {"candidates": None},
        {"facts": {"a": {"last_attempt": {}}}},
        {"facts": []},
        {"trace": [{"channel": "a"}]},
        {"refusal": "because"},
    ],
)
def test_a_damaged_record_is_refused_by_name(damage: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        from_record({**to_record(route(rule("a"))), **damage})
    with pytest.raises(RecordError):
        replay({})


def test_the_answer_has_every_field() -> None:
    def rest(fee: int) -> dict[str, object]:
        return {"limit": None, "authentication_share": 0, "compared": fee, "ailing": None}

    assert to_answer(route(rule("a", 10), rule("b", 12), rule("c", enabled=False))) == {
        "chosen": "a",
        "refusal": None,
        "chosen_by_step": 7,
        "refused_by_step": None,
        "max_single_limit": None,
        "limit": None,
        "max_amount_now": None,
        "candidates": [
            {"channel": "a", "removed_by_step": None, "reason": None, "fee": 10, "rank": 1} | rest(10),
            {"channel": "b", "removed_by_step": None, "reason": None, "fee": 12, "rank": 2} | rest(12),
            {"channel": "c", "removed_by_step": 1, "reason": "rule_disabled", "fee": 100, "rank": None} | rest(100),
        ],
        "config_version": 7,
    }


def test_the_answer_of_a_refusal_tells_the_largest_single_limit() -> None:
    answer = to_answer(route(rule("a", single_limit=500)))
    assert (answer["chosen"], answer["refusal"], answer["refused_by_step"]) == (None, "single_limit_exceeded", 2)
    assert answer["max_single_limit"] == 500
