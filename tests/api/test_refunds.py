"""Opening and reading refunds over HTTP, on books in memory.

Not tested here: problems of the wire (test_problems), the flow (tests/unit/flows), sums under locks (tests/storage).
"""

from collections.abc import Callable
from dataclasses import replace

import jsonschema_rs
import pytest

from gateway.api.app.refunds import RefundAnswer, RefundRequest
from gateway.api.application import routes_of
from gateway.api.http.openapi import document
from gateway.api.http.reading_json import checked
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import PAYMENT, REFUND, number_of, read
from gateway.domain.outcomes import ReturnReason
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.ports import OverloadedError
from tests.api.client import Client
from tests.api.fakes import (
    MERCHANT,
    NOW,
    OTHER_APP_KEY,
    OTHER_MERCHANT_KEY,
    FakeGateway,
    order,
    refused,
    succeeded,
)

NOBODYS = "pay_01h2xcejqtf2nbrexx3vqjhp41"


@pytest.fixture
async def paid(client: Client, gateway: FakeGateway) -> str:
    """The id of a payment of 10000 fen that succeeded."""
    gateway.books.becomes = succeeded
    payment_id: str = (await client.post("/v1/withholds", order())).json["id"]
    return payment_id


def refund(payment: str, /, **changes: object) -> dict[str, object]:
    """The body of a refund; a change to `...` takes a field away."""
    body = {"merchant_order_no": "R-1", "payment": payment, "amount": 6000}
    return {name: value for name, value in (body | changes).items() if value is not ...}


# --- opening ---


async def test_a_new_refund_is_answered_201_with_the_refund(client: Client, gateway: FakeGateway, paid: str) -> None:
    got = await client.post("/v1/refunds", refund(paid, reason="贷款取消", metadata={"b": 1, "a": "x"}))
    assert (got.status, got.json["status"], got.json["object"]) == (201, "processing", "refund")
    assert "Idempotent-Replayed" not in got.headers
    assert (got.json["merchant_order_no"], got.json["app"], got.json["user_id"]) == ("R-1", "shop", "u1")
    assert (got.json["payment"], got.json["amount"], got.json["currency"]) == (paid, 6000, "CNY")
    assert (got.json["reason"], got.json["metadata"]) == ("贷款取消", {"a": "x", "b": 1})
    assert (got.json["channel"], got.json["failure"], got.json["returned"]) == ("tlt", None, None)
    ((asked, _),) = gateway.books.refunds.values()
    assert (asked.merchant_id, asked.app, asked.payment_id) == (MERCHANT, "shop", read(PAYMENT, paid))


async def test_a_refund_is_an_order_of_its_own_at_the_payment_company(client: Client, paid: str) -> None:
    got = (await client.post("/v1/refunds", refund(paid))).json
    assert got["channel_order_no"] == number_of(read(REFUND, got["id"]))
    assert got["channel_order_no"] != (await client.get(f"/v1/payments/{paid}")).json["channel_order_no"]


async def test_the_answer_is_what_the_document_says(client: Client, paid: str) -> None:
    got = await client.post("/v1/refunds", refund(paid))
    RefundAnswer.model_validate(got.json)
    assert set(got.json) == set(RefundAnswer.model_fields)


async def test_the_same_order_again_is_answered_200_and_marked(client: Client, gateway: FakeGateway, paid: str) -> None:
    first = await client.post("/v1/refunds", refund(paid))
    again = await client.post("/v1/refunds", refund(paid, reason=None, metadata={}))
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json
    assert len(gateway.books.refunds) == 1


@pytest.mark.parametrize("change", [{"amount": 5999}, {"reason": "x"}, {"metadata": {"a": None}}])
async def test_the_same_number_for_another_refund_is_a_conflict(
    client: Client, paid: str, change: dict[str, object]
) -> None:
    await client.post("/v1/refunds", refund(paid))
    got = await client.post("/v1/refunds", refund(paid, **change))
    assert (got.status, got.problem["code"]) == (409, "order_conflict")


async def test_the_same_number_for_another_payment_is_a_conflict(client: Client, paid: str) -> None:
    other = (await client.post("/v1/withholds", order(merchant_order_no="A-2"))).json["id"]
    await client.post("/v1/refunds", refund(paid))
    assert (await client.post("/v1/refunds", refund(other))).problem["code"] == "order_conflict"


async def test_payments_and_refunds_have_their_numbers_in_one_space(client: Client, paid: str) -> None:
    got = await client.post("/v1/refunds", refund(paid, merchant_order_no="A-1"))
    assert (got.status, got.problem["code"]) == (409, "order_conflict")
    assert (await client.post("/v1/refunds", refund(paid))).status == 201
    got = await client.post("/v1/withholds", order(merchant_order_no="R-1"))
    assert (got.status, got.problem["code"]) == (409, "order_conflict")


async def test_overload_says_when_to_come_back(client: Client, gateway: FakeGateway, paid: str) -> None:
    def overloaded(_refund: Refund) -> Refund:
        raise OverloadedError(3)

    gateway.refunds.becomes = overloaded
    got = await client.post("/v1/refunds", refund(paid))
    assert (got.status, got.problem["code"], got.headers["Retry-After"]) == (503, "overloaded", "3")


# --- what is refused ---


@pytest.mark.parametrize("amount", [0, -1, 1.5, 1.0, "100", True, None, 10**15, ...], ids=repr)
async def test_an_amount_that_is_none_is_refused(
    client: Client, gateway: FakeGateway, paid: str, amount: object
) -> None:
    got = await client.post("/v1/refunds", refund(paid, amount=amount))
    assert (got.status, got.problem["code"], got.fields) == (422, "invalid_request", ["amount"])
    assert gateway.books.refunds == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payment": ...}, "payment"),
        ({"payment": None}, "payment"),
        ({"payment": "7"}, "payment"),
        ({"payment": "ref_01h2xcejqtf2nbrexx3vqjhp41"}, "payment"),
        ({"merchant_order_no": ...}, "merchant_order_no"),
        ({"merchant_order_no": "with a blank"}, "merchant_order_no"),
        ({"merchant_order_no": ""}, "merchant_order_no"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": 7}, "reason"),
        ({"metadata": []}, "metadata"),
        ({"currency": "CNY"}, "currency"),
        ({"channel": "unionpay"}, "channel"),
    ],
)
async def test_a_field_that_is_not_right_is_named(
    client: Client, gateway: FakeGateway, paid: str, change: dict[str, object], field: str
) -> None:
    got = await client.post("/v1/refunds", refund(paid, **change))
    assert (got.status, got.fields) == (422, [field])
    assert gateway.books.refunds == {}


@pytest.mark.parametrize("key", [OTHER_APP_KEY, OTHER_MERCHANT_KEY])
async def test_a_payment_of_somebody_else_is_no_payment_of_this_app(client: Client, paid: str, key: str) -> None:
    theirs = await client.post("/v1/refunds", refund(paid), key=key)
    nobodys = await client.post("/v1/refunds", refund(NOBODYS), key=key)
    for got in (theirs, nobodys):
        assert (got.status, got.fields) == (422, ["payment"])
    # Whether it exists is not told.
    assert theirs.problem["errors"] == nobodys.problem["errors"]


async def test_more_than_is_left_is_refused_with_what_is_left_and_burns_no_number(client: Client, paid: str) -> None:
    assert (await client.post("/v1/refunds", refund(paid))).status == 201
    got = await client.post("/v1/refunds", refund(paid, merchant_order_no="R-2"))
    problem = got.problem_with("left")
    assert (got.status, problem["code"], problem["left"]) == (409, "amount_exceeds_rest", 4000)
    assert "4000" in problem["detail"]
    assert (await client.post("/v1/refunds", refund(paid, merchant_order_no="R-2", amount=4000))).status == 201
    nothing = await client.post("/v1/refunds", refund(paid, merchant_order_no="R-3", amount=1))
    assert nothing.problem_with("left")["left"] == 0


async def test_what_was_opened_before_is_answered_though_nothing_is_left(client: Client, paid: str) -> None:
    await client.post("/v1/refunds", refund(paid, amount=10_000))
    assert (await client.post("/v1/refunds", refund(paid, amount=10_000))).status == 200


@pytest.mark.parametrize("status", [Status.FAILED, Status.RETURNED])
async def test_what_did_not_stay_with_the_payer_can_be_refunded_again(
    client: Client, gateway: FakeGateway, paid: str, status: Status
) -> None:
    gateway.refunds.becomes = lambda refund: replace(refund, status=status, finished_at=NOW)
    await client.post("/v1/refunds", refund(paid, amount=10_000))
    again = refund(paid, amount=10_000, merchant_order_no="R-2")
    assert (await client.post("/v1/refunds", again)).status == 201


@pytest.mark.parametrize("becomes", [refused, lambda payment: payment], ids=["failed", "processing"])
async def test_a_payment_that_has_not_succeeded_cannot_be_refunded(
    client: Client, gateway: FakeGateway, becomes: Callable[[Payment], Payment]
) -> None:
    gateway.books.becomes = becomes
    payment = (await client.post("/v1/withholds", order())).json["id"]
    got = await client.post("/v1/refunds", refund(payment))
    assert (got.status, got.problem["code"]) == (409, "payment_not_succeeded")
    assert "has not succeeded" in got.problem["detail"]
    assert gateway.books.refunds == {}


async def test_a_payment_with_an_open_anomaly_waits_for_an_operator(
    client: Client, gateway: FakeGateway, paid: str
) -> None:
    gateway.refunds.with_anomalies = {read(PAYMENT, paid)}
    got = await client.post("/v1/refunds", refund(paid))
    assert (got.status, got.problem["code"]) == (409, "payment_has_anomaly")
    assert "operator" in got.problem["detail"]
    gateway.refunds.with_anomalies = set()
    assert (await client.post("/v1/refunds", refund(paid))).status == 201


async def test_a_payment_company_without_refunds_makes_the_payment_the_wrong_field(
    client: Client, gateway: FakeGateway, paid: str
) -> None:
    gateway.refunds.supported = False
    got = await client.post("/v1/refunds", refund(paid))
    assert (got.status, got.problem["code"]) == (422, "invalid_request")
    (error,) = got.problem["errors"]
    assert (error["field"], error["code"]) == ("payment", "refunds_not_supported")
    assert "has no refunds" in error["message"]


async def test_refunds_are_for_apps(client: Client, paid: str) -> None:
    assert (await client.post("/v1/refunds", refund(paid), key=None)).problem["code"] == "unauthorized"


# --- reading ---


async def test_a_refund_is_read_by_its_own_app_only(client: Client, paid: str) -> None:
    opened = (await client.post("/v1/refunds", refund(paid))).json
    path = f"/v1/refunds/{opened['id']}"
    read_again = await client.get(path)
    assert (read_again.status, read_again.json) == (200, opened)
    for key in (OTHER_APP_KEY, OTHER_MERCHANT_KEY):
        got = await client.get(path, key=key)
        assert (got.status, got.problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["ref_01h2xcejqtf2nbrexx3vqjhp41", NOBODYS, "7", "ref_%00"])
async def test_what_is_no_refund_is_not_found(client: Client, name: str) -> None:
    assert (await client.get(f"/v1/refunds/{name}")).problem["code"] == "not_found"


async def test_a_payment_is_no_refund_and_a_refund_is_no_payment(client: Client, paid: str) -> None:
    opened = (await client.post("/v1/refunds", refund(paid))).json["id"]
    assert (await client.get(f"/v1/refunds/{paid}")).status == 404
    assert (await client.get(f"/v1/payments/{opened}")).status == 404


@pytest.mark.parametrize(
    ("header", "message"), [("", "The channel refused the request."), ("zh-CN", "支付渠道拒绝了请求")]
)
async def test_why_a_refund_failed_is_said_in_the_language_that_is_asked_for(
    client: Client, gateway: FakeGateway, paid: str, header: str, message: str
) -> None:
    why = failure(FailureCode.CHANNEL_REFUSED, channel_code="26", channel_message="refund too late")
    gateway.refunds.becomes = lambda refund: replace(refund, status=Status.FAILED, failure=why, finished_at=NOW)
    got = await client.post("/v1/refunds", refund(paid), Accept_Language=header)
    again = await client.get(f"/v1/refunds/{got.json['id']}", Accept_Language=header)
    for answer in (got, again):
        assert answer.json["failure"]["message"] == message
        assert (answer.json["failure"]["channel_code"], answer.json["status"]) == ("26", "failed")


async def test_a_refund_that_came_back_says_why(client: Client, gateway: FakeGateway, paid: str) -> None:
    gateway.refunds.becomes = lambda refund: replace(
        refund, status=Status.RETURNED, returned=ReturnReason.PAYEE_ACCOUNT_INVALID, finished_at=NOW
    )
    got = await client.post("/v1/refunds", refund(paid))
    assert (got.json["status"], got.json["returned"]) == ("returned", "payee_account_invalid")
    RefundAnswer.model_validate(got.json)


async def test_the_events_of_a_refund_are_found_by_its_id(client: Client, gateway: FakeGateway, paid: str) -> None:
    gateway.refunds.becomes = lambda refund: replace(refund, status=Status.SUCCEEDED, sequence=1, finished_at=NOW)
    opened = (await client.post("/v1/refunds", refund(paid))).json
    (event,) = (await client.get(f"/v1/events?object_id={opened['id']}")).json["data"]
    assert (event["type"], event["object_id"], event["sequence"]) == ("refund.succeeded", opened["id"], 1)
    assert event["body"]["data"] == opened


# --- the document ---


async def test_the_document_has_both_calls_with_their_problems(gateway: FakeGateway) -> None:
    openapi = document(routes_of(gateway.api()))
    opening = openapi["paths"]["/v1/refunds"]["post"]
    statuses = {200, 201, 400, 401, 403, 408, 409, 413, 415, 422, 500, 503}
    assert {str(status) for status in statuses} == set(opening["responses"])
    assert "amount_exceeds_rest" in opening["description"]
    assert {"200", "401", "403", "404"} <= set(openapi["paths"]["/v1/refunds/{id}"]["get"]["responses"])
    schema = openapi["components"]["schemas"]["RefundRequest"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"merchant_order_no", "payment", "amount"}
    assert schema["properties"]["amount"]["minimum"] == 1


async def test_the_example_works(client: Client, gateway: FakeGateway, paid: str) -> None:
    (example,) = document(routes_of(gateway.api()))["components"]["schemas"]["RefundRequest"]["examples"]
    checked(RefundRequest, example)
    assert (await client.post("/v1/refunds", example | {"payment": paid})).status == 201


async def test_every_answer_is_what_the_document_says(client: Client, gateway: FakeGateway, paid: str) -> None:
    openapi = document(routes_of(gateway.api()))

    def conforms(path: str, method: str, status: int, body: object) -> None:
        (content,) = openapi["paths"][path][method]["responses"][str(status)]["content"].values()
        schema = {"$ref": content["schema"]["$ref"], "components": openapi["components"]}
        jsonschema_rs.validate(schema, body)

    opened = await client.post("/v1/refunds", refund(paid))
    conforms("/v1/refunds", "post", 201, opened.json)
    conforms("/v1/refunds", "post", 200, (await client.post("/v1/refunds", refund(paid))).json)
    too_much = await client.post("/v1/refunds", refund(paid, merchant_order_no="R-2"))
    conforms("/v1/refunds", "post", 409, too_much.json)
    conforms("/v1/refunds", "post", 422, (await client.post("/v1/refunds", {})).json)
    conforms("/v1/refunds/{id}", "get", 200, (await client.get(f"/v1/refunds/{opened.json['id']}")).json)
    conforms("/v1/refunds/{id}", "get", 404, (await client.get(f"/v1/refunds/{NOBODYS}")).json)
