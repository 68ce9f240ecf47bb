"""POST /v1/routes over HTTP. Not tested here: the nine steps (tests/unit/router), facts from the database (storage)."""

from typing import Any

import pytest

from gateway.api.http.route_answers import RouteAnswer
from tests.api.client import Client
from tests.api.fakes import CARD, FakeGateway

QUESTION: dict[str, Any] = {"user_id": "u1", "scene": "withhold", "amount": 10_000, "bank": "ICBC"}


def rule(channel: str, fee: object, **changes: object) -> dict[str, object]:
    return {"channel": channel, "scene": "withhold", "bank": "ICBC", "fee": fee} | changes


async def test_a_dry_run_decides_by_the_catalogue_and_records_nothing(client: Client, gateway: FakeGateway) -> None:
    got = await client.post("/v1/routes", QUESTION | {"card": CARD})
    assert got.status == 200
    assert set(got.json) == set(RouteAnswer.model_fields)
    assert (got.json["chosen"], got.json["chosen_by_step"], got.json["config_version"]) == ("tlt", 7, 7)
    assert [(c["channel"], c["fee"], c["rank"]) for c in got.json["candidates"]] == [
        ("tlt", 50, 1),
        ("unionpay", 100, 2),
    ]
    assert gateway.books.orders == []


async def test_a_dry_run_needs_no_card_when_the_bank_is_said(client: Client) -> None:
    assert (await client.post("/v1/routes", QUESTION)).json["chosen"] == "tlt"


async def test_the_bank_may_come_from_the_card(client: Client) -> None:
    question = {name: value for name, value in QUESTION.items() if name != "bank"}
    assert (await client.post("/v1/routes", question | {"card": CARD})).json["chosen"] == "tlt"
    assert (await client.post("/v1/routes", question)).fields == ["bank"]


async def test_a_refusal_is_an_answer(client: Client) -> None:
    got = await client.post("/v1/routes", QUESTION | {"amount": 1_000_001})
    assert (got.status, got.json["refusal"], got.json["refused_by_step"]) == (200, "single_limit_exceeded", 2)
    assert got.json["max_single_limit"] == got.json["max_amount_now"] == 1_000_000
    limit = {"kind": "single_limit", "limit": 1_000_000, "left": 1_000_000, "in_flight": 0}
    assert got.json["limit"] == limit
    assert [seen["limit"] for seen in got.json["candidates"]] == [limit, limit]


async def test_a_refusal_on_given_facts_tells_the_limit_and_the_most_that_goes(client: Client) -> None:
    rules = [rule("a", 1, daily_limit=10_500), rule("b", 2, single_limit=3_000)]
    what_if = {"rules": rules, "facts": {"a": {"used_today": 4_000}}}
    got = (await client.post("/v1/routes", QUESTION | {"what_if": what_if})).json
    limit = {"kind": "daily_limit", "limit": 10_500, "left": 6_500, "in_flight": 0}
    assert (got["refusal"], got["limit"], got["max_amount_now"]) == ("no_eligible_channel", limit, 6_500)
    taken = (await client.post("/v1/routes", QUESTION | {"what_if": what_if, "amount": 6_500})).json
    assert (taken["chosen"], taken["limit"], taken["max_amount_now"]) == ("a", None, None)
    assert [seen["limit"] and seen["limit"]["kind"] for seen in taken["candidates"]] == [None, "single_limit"]
    more = (await client.post("/v1/routes", QUESTION | {"what_if": what_if, "amount": 6_501})).json
    assert more["refusal"] == "no_eligible_channel"


@pytest.mark.parametrize(
    ("given", "bound", "chosen"),
    [({}, False, "a"), ({"authentication_spread": 1}, False, "b"), ({"authentication_spread": 1}, True, "a")],
)
async def test_the_fee_of_an_authentication_may_be_given_and_spread(
    client: Client, given: dict[str, int], bound: bool, chosen: str
) -> None:
    facts = {"a": {"bound": bound}}
    what_if = {"rules": [rule("a", 100, authentication_fee=100), rule("b", 120)], "facts": facts, **given}
    got = await client.post("/v1/routes", QUESTION | {"what_if": what_if})
    assert got.json["chosen"] == chosen
    share = 100 if given and not bound else 0
    assert [(c["fee"], c["authentication_share"], c["compared"]) for c in got.json["candidates"]] == [
        (100, share, 100 + share),
        (120, 0, 120),
    ]


@pytest.mark.parametrize(
    ("now", "chosen"), [("2026-03-31T23:59:59.999+08:00", "a"), ("2026-04-01T00:00:00+08:00", "b")]
)
async def test_given_prices_begin_with_their_day(client: Client, now: str, chosen: str) -> None:
    later = [{"effective_from": "2026-04-01", "fee": 200}]
    what_if = {"now": now, "rules": [rule("a", 100, fees=later), rule("b", 120, authentication_fees=later)]}
    assert (await client.post("/v1/routes", QUESTION | {"what_if": what_if})).json["chosen"] == chosen


@pytest.mark.parametrize(("age_s", "chosen"), [(None, "b"), (3600, "b"), (3599, "a")])
async def test_how_long_last_attempts_count_may_be_given(client: Client, age_s: int | None, chosen: str) -> None:
    last = {"status": "failed", "blame": "channel", "finished_at": "2026-03-01T11:00:00+08:00"}
    what_if = {
        "now": "2026-03-01T12:00:00+08:00",
        "last_attempt_max_age_s": age_s,
        "rules": [rule("a", 10), rule("b", 20)],
        "facts": {"a": {"last_attempt": last}},
    }
    assert (await client.post("/v1/routes", QUESTION | {"what_if": what_if})).json["chosen"] == chosen


async def test_given_rules_and_facts_are_the_only_ones(client: Client) -> None:
    what_if = {
        "now": "2026-03-01T12:00:00+08:00",
        "rules": [
            rule("a", 10),
            rule("b", {"type": "fixed", "amount": 20}),
            rule("c", {"type": "percent", "rate": 0.002}),
        ],
        "facts": {"a": {"last_attempt": {"status": "failed", "blame": "channel"}}},
    }
    got = await client.post("/v1/routes", QUESTION | {"what_if": what_if})
    assert (got.json["chosen"], got.json["chosen_by_step"]) == ("b", 9)
    assert [c["fee"] for c in got.json["candidates"]] == [10, 20, 20]


async def test_given_banks_and_channels_need_not_exist(client: Client) -> None:
    what_if = {"rules": [rule("Z9", 1, bank="NOSUCH")], "facts": {"elsewhere": {"used_today": 5}}}
    got = await client.post("/v1/routes", QUESTION | {"bank": "NOSUCH", "what_if": what_if})
    assert got.json["chosen"] == "Z9"


async def test_no_rules_at_all_refuse(client: Client) -> None:
    got = await client.post("/v1/routes", QUESTION | {"what_if": {}})
    assert (got.json["refusal"], got.json["candidates"]) == ("no_channel_available", [])


async def test_limits_of_given_rules_hold(client: Client) -> None:
    rules = [
        rule("a", 1, daily_limit=10_000),
        rule("b", 2, daily_insufficient_limit=1),
        rule("c", 3, in_maintenance=True),
        rule("d", 4, enabled=False),
        rule("e", 5, signing="needs_signing"),
        rule("f", 6),
    ]
    facts = {"a": {"used_today": 1}, "b": {"insufficient_today": 1}}
    got = await client.post("/v1/routes", QUESTION | {"what_if": {"rules": rules, "facts": facts}})
    reasons = {c["channel"]: c["reason"] for c in got.json["candidates"]}
    assert got.json["chosen"] == "f"
    assert reasons == {
        "a": "daily_limit_exceeded",
        "b": "daily_insufficient_balance_exceeded",
        "c": "in_maintenance",
        "d": "rule_disabled",
        "e": "needs_signing",
        "f": None,
    }


@pytest.mark.parametrize(
    ("what_if", "field"),
    [
        ({"rules": [rule("a", 1), rule("a", 2)]}, "what_if.rules.1"),
        ({"rules": [rule("a", {"type": "percent", "rate": 2})]}, "what_if.rules.0.fee"),
        ({"rules": [rule("a", -1)]}, "what_if.rules.0.fee"),
        ({"rules": [rule("a", {"type": "tiered", "tiers": []})]}, "what_if.rules.0.fee"),
        ({"rules": [rule("a", 1, daily_limit=-1)]}, "what_if.rules.0.daily_limit"),
        ({"rules": [rule("a", 1, priority=1.5)]}, "what_if.rules.0.priority"),
        ({"rules": [rule("a", 1, priority="1")]}, "what_if.rules.0.priority"),
        ({"rules": {}}, "what_if.rules"),
        ({"now": "2026-03-01T12:00:00"}, "what_if.now"),
        ({"now": 1_700_000_000}, "what_if.now"),
        ({"facts": {"a": {"last_attempt": {"status": "processing"}}}}, "what_if.facts.a.last_attempt.status"),
        ({"facts": {"a": {"used_today": -1}}}, "what_if.facts.a.used_today"),
        ({"rulez": []}, "what_if.rulez"),
    ],
)
async def test_what_is_given_wrongly_is_named(client: Client, what_if: object, field: str) -> None:
    got = await client.post("/v1/routes", QUESTION | {"what_if": what_if})
    assert (got.status, got.fields) == (422, [field])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bank": "NOSUCH"}, "bank"),
        ({"amount": 0}, "amount"),
        ({"scene": "loan"}, "scene"),
        ({"currency": "USD"}, "currency"),
    ],
)
async def test_a_question_is_checked_as_a_payment_is(client: Client, change: dict[str, object], field: str) -> None:
    assert (await client.post("/v1/routes", QUESTION | change)).fields == [field]
