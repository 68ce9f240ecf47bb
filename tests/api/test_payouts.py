"""The calls of payouts over HTTP: what is asked for, what is refused with which words, and what is shown.

Over fakes. Not tested here: what the books refuse (tests/storage), what reaches a PSP (tests/e2e).
"""

from typing import Any
from uuid import UUID

import pytest

from gateway.domain.ids import PAYMENT, PAYOUT, show
from gateway.domain.payees import PayeeType
from gateway.domain.payouts import Part
from gateway.flows.payout_acts import PayoutRefusedError
from tests.api.client import Client
from tests.api.fakes import FakeGateway

PAID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ONE = show(PAYOUT, UUID(int=PAID.int + 9))
ACCOUNT = {"type": "personal", "account_no": "6222021001112222335", "name": "张三", "bank": "ICBC"}


def asked(**changes: Any) -> dict[str, Any]:
    order = {
        "merchant_order_no": "payout-1",
        "channel": "tlt",
        "amount": 1000,
        "currency": "CNY",
        "account": ACCOUNT,
        "purpose": "放款",
    }
    return {name: value for name, value in (order | changes).items() if value is not None}


def settles(*amounts: int) -> list[dict[str, Any]]:
    return [{"payment": show(PAYMENT, UUID(int=PAID.int + n)), "amount": amount} for n, amount in enumerate(amounts)]


async def test_an_order_is_passed_on_with_its_payee_in_one_form_and_shown_masked(
    gateway: FakeGateway, client: Client
) -> None:
    typed = ACCOUNT | {"account_no": "６２２２ 0210 0111 2222 335", "name": "张\u3000三"}
    answer = await client.post("/v1/payouts", asked(account=typed, hold=True, settles=settles(400)))
    assert answer.status == 201, answer.json
    (order,) = gateway.payouts.asked
    assert (order.payee.type, order.payee.account_no, order.payee.name) == (
        PayeeType.PERSONAL, "6222021001112222335", "张三",
    )  # fmt: skip
    assert (order.parts, order.hold, order.channel, order.amount) == ((Part(PAID, 400),), True, "tlt", 1000)
    assert answer.json["account"] == {"type": "personal", "account_no": "622202*********2335", "bank": "ICBC"}
    assert "1222233" not in str(answer.json)


async def test_requests_that_mean_the_same_have_the_same_body(gateway: FakeGateway, client: Client) -> None:
    for order in (
        asked(settles=settles(400, 600)),
        asked(settles=settles(400, 600)[::-1], hold=False, account=ACCOUNT | {"account_no": "62220210011 12222335"}),
    ):
        assert (await client.post("/v1/payouts", order)).status == 201
    await client.post("/v1/payouts", asked(settles=settles(399, 601)))
    first, same, other = (order.body for order in gateway.payouts.asked)
    assert (first == same, first == other) == (True, False)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"amount": 0}, "amount", "out_of_range"),
        ({"amount": 1.5}, "amount", "wrong_type"),
        ({"amount": "100"}, "amount", "wrong_type"),
        ({"amount": True}, "amount", "wrong_type"),
        ({"currency": "USD"}, "currency", "not_one_of"),
        ({"purpose": ""}, "purpose", "too_short"),
        ({"purpose": None}, "purpose", "missing"),
        ({"merchant_order_no": "a b"}, "merchant_order_no", "wrong_format"),
        ({"account": ACCOUNT | {"type": "church"}}, "account.type", "not_one_of"),
        ({"account": ACCOUNT | {"account_no": "1234"}}, "account.account_no", "wrong_format"),
        ({"account": ACCOUNT | {"account_no": "12/34567"}}, "account.account_no", "wrong_format"),
        ({"account": ACCOUNT | {"bank": "NOBANK"}}, "account.bank", "bank"),
        ({"account": ACCOUNT | {"cnaps": "123"}}, "account.cnaps", "wrong_format"),
        ({"account": ACCOUNT | {"phone": "1"}}, "account.phone", "unknown_field"),
        ({"settles": []}, "settles", "too_few"),
        ({"settles": settles(400)}, "settles", "out_of_range"),
        ({"settles": settles(1001)}, "settles", "out_of_range"),
        ({"settles": settles(1001), "hold": True}, "settles", "out_of_range"),
        ({"settles": [*settles(500), *settles(500)]}, "settles", "repeated"),
        ({"settles": [{"payment": ONE, "amount": 1000}]}, "settles.0.payment", "id"),
    ],
)
async def test_a_field_that_is_not_right_is_named_and_nothing_is_asked_for(
    gateway: FakeGateway, client: Client, changes: dict[str, Any], field: str, code: str
) -> None:
    answer = await client.post("/v1/payouts", asked(**changes))
    assert answer.status == 422
    assert [(error["field"], error["code"]) for error in answer.json["errors"]] == [(field, code)]
    assert gateway.payouts.asked == []


@pytest.mark.parametrize(
    ("why", "status", "code", "more"),
    [
        (PayoutRefusedError("not_found", field="channel"), 422, "invalid_request", {}),
        (PayoutRefusedError("payouts_not_supported", field="channel"), 422, "invalid_request", {}),
        (PayoutRefusedError("missing", field="account.branch"), 422, "invalid_request", {}),
        (PayoutRefusedError("not_found", payment_id=PAID), 422, "invalid_request", {}),
        (PayoutRefusedError("no_payout_rule", field="channel"), 422, "invalid_request", {}),
        (PayoutRefusedError("payout_rule_disabled", field="account.branch"), 422, "invalid_request", {}),
        (PayoutRefusedError("channel_off"), 409, "channel_off", {}),
        (PayoutRefusedError("account_unusable"), 409, "account_unusable", {}),
        (PayoutRefusedError("payout_limit_exceeded", left=0), 409, "payout_limit_exceeded", {"left": 0}),
        (PayoutRefusedError("amount_exceeds_rest", payment_id=PAID, left=7), 409, "amount_exceeds_rest",
         {"left": 7, "part": 0}),
        (PayoutRefusedError("settle_conflict", payment_id=PAID), 409, "settle_conflict", {"part": 0}),
        (PayoutRefusedError("payment_has_anomaly", payment_id=PAID), 409, "payment_has_anomaly", {"part": 0}),
        (PayoutRefusedError("payment_not_succeeded", payment_id=PAID), 409, "payment_not_succeeded", {"part": 0}),
        (PayoutRefusedError("settles_exceed_payout", left=3), 409, "settles_exceed_payout", {"left": 3}),
        (PayoutRefusedError("payout_not_held"), 409, "payout_not_held", {}),
    ],
)  # fmt: skip
async def test_each_refusal_has_its_code(
    gateway: FakeGateway, client: Client, why: PayoutRefusedError, status: int, code: str, more: dict[str, int]
) -> None:
    gateway.payouts.refuses = why
    for path, body in (("/v1/payouts", asked(settles=settles(1000))), (f"/v1/payouts/{ONE}/settles",
                       {"settles": settles(1000)})):  # fmt: skip
        answer = await client.post(path, body)
        assert (answer.status, answer.json["code"]) == (status, code)
        assert {name: answer.json[name] for name in more} == more
        assert status == 409 or answer.json["errors"][0]["field"] in {"channel", "account.branch", "settles.0.payment"}


async def test_release_tells_what_lacks(gateway: FakeGateway, client: Client) -> None:
    gateway.payouts.refuses = PayoutRefusedError("settles_incomplete", left=500)
    answer = await client.post(f"/v1/payouts/{ONE}/release")
    assert (answer.status, answer.json["code"], answer.json["left"]) == (409, "settles_incomplete", 500)


async def test_a_release_has_no_field_to_be_wrong_when_rules_carry_the_payout_no_more(
    gateway: FakeGateway, client: Client
) -> None:
    gateway.payouts.refuses = PayoutRefusedError("no_payout_rule", field="account.bank")
    answer = await client.post(f"/v1/payouts/{ONE}/release")
    assert (answer.status, answer.json["code"], answer.json["errors"]) == (409, "payout_not_allowed", [])


@pytest.mark.parametrize("payout", [ONE, show(PAYMENT, PAID), "po_nonsense", "1"])
async def test_what_is_not_there_is_404(client: Client, payout: str) -> None:
    assert (await client.get(f"/v1/payouts/{payout}")).status == 404
    for path, body in (("settles", {"settles": settles(1)}), ("release", None)):
        assert (await client.post(f"/v1/payouts/{payout}/{path}", body)).status == 404


async def test_a_number_with_the_mark_of_a_try_is_refused(client: Client) -> None:
    answer = await client.post("/v1/payouts", asked(merchant_order_no="a~1"))
    assert [error["field"] for error in answer.json["errors"]] == ["merchant_order_no"]
