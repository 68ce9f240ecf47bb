"""Taking and reading payments over HTTP, on books in memory.

Not tested here: each field's rule (tests/unit/api), problems of the wire (test_problems), SQL (tests/storage).
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientSession, web
from stdnum import luhn

from gateway.api.app.payments import PaymentAnswer
from gateway.api.application import build_app
from gateway.api.http.runner import ProblemRunner
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import CARD as CARD_PREFIX
from gateway.domain.ids import PAYMENT, number_of, read, show
from gateway.domain.payments import Payment, Status
from gateway.ports import OverloadedError
from tests.api.client import Client
from tests.api.fakes import (
    CARD,
    CARD_NO,
    ICBC_CARD_ID,
    MERCHANT,
    NOW,
    OTHER_APP_KEY,
    OTHER_MERCHANT_KEY,
    FakeCards,
    FakeGateway,
    order,
    refused,
    succeeded,
)


async def test_a_new_withhold_is_answered_201_with_the_payment(client: Client, gateway: FakeGateway) -> None:
    got = await client.post("/v1/withholds", order(metadata={"b": 1, "a": "x"}, description="月供"))
    assert got.status == 201
    assert got.json["status"] == "processing"
    assert got.json["merchant_order_no"] == "A-1"
    assert got.json["card"]["masked"] == f"622202*********{CARD_NO[-4:]}"
    assert got.json["metadata"] == {"a": "x", "b": 1}
    assert "Idempotent-Replayed" not in got.headers
    taken = gateway.books.orders[0]
    assert (taken.merchant_id, taken.app, taken.amount, taken.customer_present) == (MERCHANT, "shop", 10_000, False)


async def test_the_answer_is_what_the_document_says(client: Client) -> None:
    got = await client.post("/v1/withholds", order())
    PaymentAnswer.model_validate(got.json)
    assert set(got.json) == set(PaymentAnswer.model_fields)


async def test_a_fee_is_expected_until_the_money_is_known_to_have_moved(client: Client, gateway: FakeGateway) -> None:
    open_ = (await client.post("/v1/withholds", order())).json
    gateway.books.becomes = succeeded
    paid = (await client.post("/v1/withholds", order(merchant_order_no="A-2"))).json
    assert [(one["expected_fee"], one["fee"]) for one in (open_, paid)] == [(50, None), (50, 50)]
    assert (paid["authentication_fee"], paid["refunded"], paid["settled"]) == (None, 0, 0)


async def test_a_payment_has_the_number_of_its_order_at_the_payment_company(
    client: Client, gateway: FakeGateway
) -> None:
    got = (await client.post("/v1/withholds", order())).json
    assert got["channel_order_no"] == number_of(read(PAYMENT, got["id"]))
    gateway.books.becomes = refused
    assert (await client.post("/v1/withholds", order(merchant_order_no="A-2"))).json["channel_order_no"] is None


async def test_the_same_order_again_is_answered_200_and_marked(client: Client, gateway: FakeGateway) -> None:
    first = await client.post("/v1/withholds", order())
    again = await client.post("/v1/withholds", order(description=None, metadata={}, customer_present=False))
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json
    assert len(gateway.books.orders) == 1


async def test_the_same_number_for_another_order_is_a_conflict(client: Client) -> None:
    await client.post("/v1/withholds", order())
    got = await client.post("/v1/withholds", order(amount=10_001))
    assert (got.status, got.problem["code"]) == (409, "order_conflict")


async def test_apps_have_order_numbers_of_their_own(client: Client) -> None:
    await client.post("/v1/withholds", order())
    assert (await client.post("/v1/withholds", order(amount=5), key=OTHER_APP_KEY)).status == 201


async def test_a_payment_that_the_router_refused_is_a_payment(client: Client, gateway: FakeGateway) -> None:
    gateway.books.becomes = refused
    got = await client.post("/v1/withholds", order())
    assert (got.status, got.json["status"], got.json["channel"]) == (201, "failed", None)
    assert got.json["failure"]["code"] == "single_limit_exceeded"
    assert got.json["failure"]["advice"] == "change_amount"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "The amount is above the limit of one payment."),
        ("zh-CN,zh;q=0.9,en;q=0.8", "超出单笔限额"),
        ("en;q=0.5, zh;q=0.6", "超出单笔限额"),
        ("de", "The amount is above the limit of one payment."),
    ],
)
async def test_the_message_is_in_the_language_that_is_asked_for(
    client: Client, gateway: FakeGateway, header: str, message: str
) -> None:
    gateway.books.becomes = refused
    got = await client.post("/v1/withholds", order(), Accept_Language=header)
    assert got.json["failure"]["message"] == message
    read = await client.get(f"/v1/payments/{got.json['id']}", Accept_Language=header)
    assert read.json["failure"]["message"] == message


async def test_a_charge_assumes_that_the_customer_is_there(client: Client, gateway: FakeGateway) -> None:
    got = await client.post("/v1/charges", order(scene="quick_charge"))
    assert (got.status, got.json["kind"]) == (201, "charge")
    assert gateway.books.orders[0].customer_present


@pytest.mark.parametrize(
    ("path", "scene"), [("/v1/withholds", "quick_charge"), ("/v1/charges", "withhold"), ("/v1/charges", "payout")]
)
async def test_a_scene_of_the_other_call_is_refused(client: Client, path: str, scene: str) -> None:
    got = await client.post(path, order(scene=scene))
    assert (got.status, got.fields) == (422, ["scene"])
    assert "must be one of" in got.problem["errors"][0]["message"]


async def test_a_bank_scene_is_taken_without_a_card(client: Client, gateway: FakeGateway) -> None:
    got = await client.post("/v1/charges", order(scene="netbank_charge", card=...))
    assert (got.status, got.json["card"]) == (201, None)
    assert gateway.books.orders[0].bank_by_bin is None


async def test_the_bank_comes_from_the_card_number_when_it_is_not_said(client: Client, gateway: FakeGateway) -> None:
    assert (await client.post("/v1/withholds", order(bank=...))).json["bank"] == "ICBC"


async def test_the_bank_that_is_said_wins_over_the_card_number(client: Client, gateway: FakeGateway) -> None:
    assert (await client.post("/v1/withholds", order(bank="ABC"))).json["bank"] == "ABC"
    assert gateway.books.orders[0].bank_by_bin == "ICBC"


async def test_a_card_of_no_known_bank_needs_the_bank(client: Client, gateway: FakeGateway) -> None:
    stranger = "999999999999" + luhn.calc_check_digit("999999999999")
    got = await client.post("/v1/withholds", order(bank=..., card=CARD | {"card_no": stranger}))
    assert (got.status, got.fields) == (422, ["bank"])
    assert gateway.books.orders == []


async def test_a_card_that_is_known_is_named_by_its_id(client: Client, gateway: FakeGateway) -> None:
    card_id = show(CARD_PREFIX, ICBC_CARD_ID)
    got = await client.post("/v1/withholds", order(card=..., bank=..., card_id=card_id))
    assert (got.status, got.json["card"]["id"], got.json["bank"]) == (201, card_id, "ICBC")
    taken = gateway.books.orders[0]
    assert taken.card is not None
    assert taken.card.card_no == CARD_NO


async def test_a_card_of_somebody_else_is_not_a_card_of_this_user(client: Client) -> None:
    got = await client.post("/v1/withholds", order(card=..., user_id="u2", card_id=show(CARD_PREFIX, ICBC_CARD_ID)))
    assert (got.status, got.fields) == (422, ["card_id"])


async def test_overload_says_when_to_come_back(client: Client, gateway: FakeGateway) -> None:
    def overloaded(_payment: Payment) -> Payment:
        raise OverloadedError(3)

    gateway.books.becomes = overloaded
    got = await client.post("/v1/withholds", order())
    assert (got.status, got.problem["code"], got.headers["Retry-After"]) == (503, "overloaded", "3")


@pytest.mark.parametrize("cuts", [1, 2])
async def test_a_read_that_loses_its_connection_is_done_once_more(
    client: Client, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, cuts: int
) -> None:
    path = f"/v1/payments/{(await client.post('/v1/withholds', order())).json['id']}"
    read, asked = gateway.books.payment, []

    async def lost_at_first(*about: Any) -> Any:
        asked.append(about)
        if len(asked) <= cuts:
            raise ConnectionResetError
        return await read(*about)

    monkeypatch.setattr(gateway.books, "payment", lost_at_first)
    got = await client.get(path)
    assert len(asked) == 2
    if cuts == 1:
        assert got.status == 200
    else:
        assert (got.status, got.problem["code"]) == (503, "database_unavailable")
        assert int(got.headers["Retry-After"]) > 0


async def test_an_order_that_loses_its_connection_is_left_to_its_sender(client: Client, gateway: FakeGateway) -> None:
    asked = []

    def lost(payment: Payment) -> Payment:
        asked.append(payment)
        raise ConnectionResetError

    gateway.books.becomes = lost
    got = await client.post("/v1/withholds", order())
    assert (got.status, got.problem["code"]) == (503, "database_unavailable")
    assert len(asked) == 1


async def test_a_payment_is_read_by_its_own_app_only(client: Client) -> None:
    path = f"/v1/payments/{(await client.post('/v1/withholds', order())).json['id']}"
    for part in ("", "/decision", "/timeline"):
        assert (await client.get(path + part)).status == 200
        for key in (OTHER_APP_KEY, OTHER_MERCHANT_KEY):
            got = await client.get(path + part, key=key)
            assert (got.status, got.problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["pay_01h2xcejqtf2nbrexx3vqjhp41", "evt_01h2xcejqtf2nbrexx3vqjhp41", "7", "pay_%00"])
async def test_what_is_no_payment_is_not_found(client: Client, name: str) -> None:
    assert (await client.get(f"/v1/payments/{name}")).problem["code"] == "not_found"


@pytest.mark.parametrize("after", ["7", "1-2", "1-2-g", "999999999999999999-0-0", "1-2-3-4", "-1-0-0"])
async def test_a_timeline_goes_on_only_where_a_page_of_it_ended(client: Client, after: str) -> None:
    path = f"/v1/payments/{(await client.post('/v1/withholds', order())).json['id']}/timeline"
    whole = (await client.get(path)).json
    assert ([entry["what"] for entry in whole["data"]], whole["next"]) == (["payment_taken"], None)
    got = await client.get(f"{path}?after={after}")
    assert (got.status, got.fields) == (422, ["after"])
    assert (await client.get(f"{path}?after=1764000000000000-6-ff&limit=1")).status == 200


async def test_the_decision_tells_the_channel_and_how_it_came_about(client: Client) -> None:
    payment_id = (await client.post("/v1/withholds", order())).json["id"]
    told = (await client.get(f"/v1/payments/{payment_id}/decision")).json
    assert (told["payment"], told["chosen"], told["chosen_by_step"]) == (payment_id, "tlt", 5)
    assert told["explanation"]
    assert told["record"]["config_version"] == 7


async def test_pages_follow_each_other_to_the_end(client: Client) -> None:
    made = [(await client.post("/v1/withholds", order(merchant_order_no=f"A-{n}"))).json["id"] for n in range(5)]
    seen, after = [], ""
    for _ in range(3):
        page = (await client.get(f"/v1/payments?limit=2{after}")).json
        seen += [payment["id"] for payment in page["data"]]
        after = f"&after={page['next']}"
    assert seen == made[::-1]
    assert page["next"] is None


async def test_a_search_takes_its_filters(client: Client, gateway: FakeGateway) -> None:
    await client.post("/v1/withholds", order())
    gateway.books.becomes = lambda payment: replace(
        payment, status=Status.FAILED, failure=failure(FailureCode.CARD_LOST), finished_at=NOW
    )
    await client.post("/v1/withholds", order(merchant_order_no="A-2", user_id="u2"))
    for query in ("status=failed", "user_id=u2", "merchant_order_no=A-2"):
        page = (await client.get(f"/v1/payments?{query}&created_from=2026-01-01T00:00:00%2B08:00")).json
        assert [payment["merchant_order_no"] for payment in page["data"]] == ["A-2"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("after=evt_01h2xcejqtf2nbrexx3vqjhp41", "after"),
        ("status=paid", "status"),
        ("status=open", "status"),
        ("created_from=2026-01-01", "created_from"),
        ("created_until=2026-01-01T00:00:00", "created_until"),
        ("created_from=0001-01-01T00:00:00%2B08:00", "created_from"),
        ("user_id=a%00b", "user_id"),
        ("page=2", "page"),
    ],
)
async def test_a_search_that_is_not_understood_is_refused(client: Client, query: str, field: str) -> None:
    got = await client.get(f"/v1/payments?{query}")
    assert (got.status, got.fields) == (422, [field])


async def test_a_client_that_goes_away_cancels_nothing(gateway: FakeGateway) -> None:
    gateway.books.pause = asyncio.Event()
    runner = ProblemRunner(build_app(gateway.api()), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with ClientSession(f"http://{host}:{port}") as http:
            asking = asyncio.create_task(
                http.post("/v1/withholds", json=order(), headers={"Authorization": "Bearer sk_test_shop"})
            )
            await gateway.books.entered.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        asyncio.get_running_loop().call_later(0.05, gateway.books.pause.set)
    finally:
        await runner.cleanup()
    # The server is down now; it waited for what it had in hand.
    assert [taken.merchant_order_no for taken in gateway.books.orders] == ["A-1"]


async def test_every_answer_is_observed_by_its_route(client: Client, gateway: FakeGateway) -> None:
    payment_id = (await client.post("/v1/withholds", order())).json["id"]
    await client.get(f"/v1/payments/{payment_id}")
    await client.get("/nowhere")
    assert gateway.observed == [("POST", "/v1/withholds", 201), ("GET", "/v1/payments/{id}", 200), ("GET", "", 404)]
    assert payment_id.startswith(f"{PAYMENT}_")


async def test_a_card_that_is_gone_is_unknown_to_a_new_order_and_nothing_to_one_that_was_taken(
    gateway: FakeGateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = order(card=..., bank=..., card_id=show(CARD_PREFIX, ICBC_CARD_ID))
    first = await client.post("/v1/withholds", taken)
    assert first.status == 201

    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(FakeCards, "find_card", gone)
    again = await client.post("/v1/withholds", taken)
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert (await client.post("/v1/withholds", taken | {"amount": 1})).status == 409
    new = await client.post("/v1/withholds", taken | {"merchant_order_no": "another"})
    assert (new.status, new.fields) == (422, ["card_id"])
    assert len(gateway.books.orders) == 1
