"""Recorded routes over HTTP. Not tested here: what stands in the books (tests/storage), what a report means (unit)."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.api.http.route_answers import RecordedRouteAnswer
from gateway.domain.failures import FailureCode
from gateway.domain.ids import CARD as CARD_PREFIX
from gateway.domain.ids import show
from tests.api.client import Client
from tests.api.fakes import CARD, ICBC_CARD_ID, OTHER_APP_KEY, OTHER_MERCHANT_KEY, FakeGateway

ASKED: dict[str, Any] = {
    "record": True, "merchant_order_no": "r-1", "user_id": "u1", "scene": "withhold", "amount": 10_000, "card": CARD,
}  # fmt: skip


def asked(**changes: object) -> dict[str, object]:
    """The body of a recorded route; a change to `...` takes a field away."""
    return {name: value for name, value in (ASKED | changes).items() if value is not ...}


async def recorded(client: Client, **changes: object) -> Any:
    got = await client.post("/v1/routes", asked(**changes))
    assert got.status == 201, got
    return got.json


async def test_what_is_recorded_is_answered_with_its_decision(client: Client, gateway: FakeGateway) -> None:
    route = await recorded(client, description="借款", metadata={"loan": 7})
    assert set(route) == set(RecordedRouteAnswer.model_fields)
    assert route["id"].startswith("rt_")
    assert (route["object"], route["status"], route["unreported"], route["channel"]) == ("route", "open", False, "tlt")
    assert (route["expected_fee"], route["fee"], route["failure"], route["finished_at"]) == (50, None, None, None)
    assert (route["description"], route["metadata"], route["card"]["bank"]) == ("借款", {"loan": 7}, "ICBC")
    assert (route["decision"]["chosen"], len(route["decision"]["candidates"])) == ("tlt", 2)
    assert route["decision"]["notes"][0].startswith("executed elsewhere")
    assert (await client.get(f"/v1/routes/{route['id']}")).json == route
    assert gateway.books.orders == []


async def test_the_same_again_is_a_replay_and_other_content_a_conflict(client: Client) -> None:
    route = await recorded(client)
    again = await client.post("/v1/routes", asked(customer_present=False, report_within_s=86_400))
    assert (again.status, again.headers["Idempotent-Replayed"], again.json) == (200, "true", route)
    for other in ({"amount": 10_001}, {"report_within_s": 60}, {"description": "x"}):
        got = await client.post("/v1/routes", asked(**other))
        assert (got.status, got.problem["code"]) == (409, "order_conflict")


async def test_a_refusal_of_the_router_is_a_failed_route(client: Client) -> None:
    route = await recorded(client, amount=1_000_001)
    assert (route["status"], route["channel"], route["expected_fee"]) == ("failed", None, None)
    assert (route["failure"]["code"], route["decision"]["refusal"]) == ("single_limit_exceeded",) * 2
    assert route["failure"]["max_amount_now"] == 1_000_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"merchant_order_no": ...}, "merchant_order_no"),
        ({"merchant_order_no": "with space"}, "merchant_order_no"),
        ({"what_if": {"rules": []}}, "what_if"),
        ({"card": ..., "bank": "ICBC"}, "card"),
        ({"scene": "netbank_charge"}, "card"),
        ({"scene": "netbank_charge", "card": ...}, "bank"),
        ({"scene": "custody_withhold", "card": ..., "bank": "NOBANK"}, "bank"),
        ({"custody_user_no": "c-1"}, "custody_user_no"),
        ({"report_within_s": 59}, "report_within_s"),
        ({"report_within_s": 604_801}, "report_within_s"),
        ({"record": False}, "merchant_order_no"),
        ({"record": ..., "merchant_order_no": ..., "report_within_s": 86_400}, "report_within_s"),
        ({"record": "yes"}, "record"),
        ({"currency": "USD"}, "currency"),
        ({"amount": 0}, "amount"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_cannot_be_recorded_is_refused(
    client: Client, gateway: FakeGateway, changes: dict[str, object], field: str
) -> None:
    got = await client.post("/v1/routes", asked(**changes))
    assert (got.status, got.fields) == (422, [field])
    assert gateway.routes.orders == []


async def test_the_body_of_a_payment_is_taken_as_it_is(client: Client, gateway: FakeGateway) -> None:
    await recorded(
        client, currency="CNY", customer_present=True, expires_in_s=600, return_url="https://shop.example/back",
        send_before="2030-01-01T00:00:00Z", report_within_s=3600,
    )  # fmt: skip
    ((order, within),) = gateway.routes.orders
    assert (order.customer_present, within) == (True, timedelta(hours=1))


@pytest.mark.parametrize("bank", ["ICBC", None])
async def test_a_custody_route_names_the_payer_at_the_bank(
    client: Client, gateway: FakeGateway, bank: str | None
) -> None:
    changes = {"card": ..., "scene": "custody_netbank_charge", "bank": bank, "custody_user_no": "c-1"}
    route = await recorded(client, **changes)
    assert (route["bank"], route["custody_user_no"], route["card"]) == (bank or "ANY", "c-1", None)


async def test_a_card_may_be_named_by_its_id(client: Client) -> None:
    known = show(CARD_PREFIX, ICBC_CARD_ID)
    assert (await recorded(client, card=..., card_id=known))["card"]["id"] == known
    got = await client.post("/v1/routes", asked(card=..., card_id=known, user_id="u2", merchant_order_no="r-2"))
    assert (got.status, got.fields) == (422, ["card_id"])


async def test_a_result_ends_it_and_the_same_again_is_taken(client: Client) -> None:
    route = await recorded(client)
    path = f"/v1/routes/{route['id']}/result"
    failed = {"status": "failed", "failure_code": "insufficient_balance", "channel_code": "F1"}
    done = await client.post(path, failed)
    assert (done.status, "Idempotent-Replayed" in done.headers) == (200, False)
    assert (done.json["status"], done.json["failure"]["blame"], done.json["failure"]["channel_code"]) == (
        "failed", "payer", "F1",
    )  # fmt: skip
    again = await client.post(path, failed)
    assert (again.status, again.headers["Idempotent-Replayed"], again.json) == (200, "true", done.json)
    for other in ({"status": "succeeded"}, {"status": "failed"}, {"status": "failed", "failure_code": "card_lost"}):
        got = await client.post(path, other)
        assert (got.status, got.problem["code"]) == (409, "result_conflict")


async def test_a_success_owes_the_fee_that_is_said_or_that_was_counted_with(client: Client) -> None:
    for number, (said, fee) in enumerate((({}, 50), ({"fee": 0}, 0), ({"fee": 77}, 77))):
        route = await recorded(client, merchant_order_no=f"r-{number}")
        done = await client.post(f"/v1/routes/{route['id']}/result", {"status": "succeeded", **said})
        assert (done.json["status"], done.json["fee"]) == ("succeeded", fee)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "status"),
        ({"status": "open"}, "status"),
        ({"status": "failed", "failure_code": "no_money"}, "failure_code"),
        ({"status": "failed", "fee": 5}, "fee"),
        ({"status": "succeeded", "failure_code": "card_lost"}, "failure_code"),
        ({"status": "succeeded", "channel_code": "00"}, "channel_code"),
        ({"status": "succeeded", "fee": -1}, "fee"),
        ({"status": "succeeded", "fee": 1.5}, "fee"),
    ],
)
async def test_a_result_that_says_nothing_sensible_is_refused(client: Client, said: Any, field: str) -> None:
    route = await recorded(client)
    got = await client.post(f"/v1/routes/{route['id']}/result", said)
    assert (got.status, got.fields) == (422, [field])
    assert (await client.get(f"/v1/routes/{route['id']}")).json == route


async def test_a_code_that_is_not_known_is_answered_with_those_that_are(client: Client) -> None:
    route = await recorded(client)
    got = await client.post(f"/v1/routes/{route['id']}/result", {"status": "failed", "failure_code": "no_money"})
    (error,) = got.problem["errors"]
    assert error["code"] == "not_one_of"
    assert all(f"'{code}'" in error["message"] for code in FailureCode)


@pytest.mark.parametrize("key", [OTHER_APP_KEY, OTHER_MERCHANT_KEY])
async def test_a_route_of_another_app_or_merchant_is_not_there(client: Client, key: str) -> None:
    path = f"/v1/routes/{(await recorded(client))['id']}"
    assert (await client.get(path, key=key)).status == 404
    assert (await client.post(f"{path}/result", {"status": "succeeded"}, key=key)).status == 404


@pytest.mark.parametrize("wrong", ["rt_1", "pay_01jd2h8e1nfhs8kv1m5y7x9f3b", "rt_01jd2h8e1nfhs8kv1m5y7x9f3b"])
async def test_what_is_no_route_is_not_there(client: Client, wrong: str) -> None:
    assert (await client.get(f"/v1/routes/{wrong}")).status == 404
    assert (await client.post(f"/v1/routes/{wrong}/result", {"status": "succeeded"})).status == 404


async def test_messages_are_in_the_language_that_is_asked_for(client: Client) -> None:
    route = await recorded(client, amount=1_000_001)
    got = await client.get(f"/v1/routes/{route['id']}", Accept_Language="zh")
    assert got.json["failure"]["message"] == "超出单笔限额"
