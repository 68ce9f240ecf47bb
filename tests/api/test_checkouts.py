"""What the calls of checkouts take, and whose numbers `~` is, on books in memory.

Not tested here: what becomes of a checkout (tests/storage/test_checkouts), its pages (test_cashier_pages), the calls
over a real system (tests/e2e/test_checkouts).
"""

from typing import Any

import pytest

from gateway.api.app import payments
from gateway.api.app.checkouts import CheckoutAnswer, CheckoutRequest, canonical_body
from gateway.domain.checkouts import CheckoutRef, Method
from gateway.objects.checkouts import checkout_object
from tests.api.cashiers import CHECKOUT_ID, checkout
from tests.api.client import Client
from tests.api.fakes import CARD, order
from tests.unit.domain.samples import authentication, payment

PAY: dict[str, Any] = {
    "merchant_order_no": "recharge-1",
    "user_id": "u1",
    "amount": 1000,
    "currency": "CNY",
    "description": "充值",
    "return_url": "https://shop.example/done",
}
SIGN: dict[str, Any] = {
    "merchant_order_no": "sign-1",
    "user_id": "u1",
    "purpose": "sign",
    "return_url": "https://shop.example/done",
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PAY.items() if key != name}


@pytest.mark.parametrize(
    "body",
    [
        PAY,
        SIGN,
        PAY | {"purpose": "pay"},
        SIGN | {"description": "绑卡"},
        *(PAY | {"methods": [each]} for each in ("quick", "netbank", "custody_quick", "custody_netbank")),
        PAY | {"methods": ["netbank", "quick"]},
        PAY | {"methods": None},
        PAY | {"expires_in_s": 60},
        PAY | {"expires_in_s": 604_800},
        PAY | {"custody_user_no": "c-1", "metadata": {"a": 1}},
        PAY | {"merchant_order_no": "x" * 64},
    ],
)
def test_what_is_right_is_taken(body: dict[str, Any]) -> None:
    assert CheckoutRequest.model_validate(body).user_id == "u1"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *((without(name), name) for name in PAY),
        (PAY | {"merchant_order_no": "x" * 65}, "merchant_order_no"),
        (PAY | {"merchant_order_no": "a b"}, "merchant_order_no"),
        *((PAY | {"amount": bad}, "amount") for bad in (0, -1, 1.5, "1000", True, 2**63)),
        (PAY | {"currency": "USD"}, "currency"),
        (PAY | {"purpose": "refund"}, "purpose"),
        *((PAY | {"methods": bad}, "methods") for bad in ([], ["quick", "quick"], ["cash"], "quick", [None])),
        *((PAY | {"expires_in_s": bad}, "expires_in_s") for bad in (59, 604_801, 0, -1, 60.5, "60", None)),
        (PAY | {"description": "x\ny"}, "description"),
        (PAY | {"metadata": []}, "metadata"),
        (PAY | {"return_url": "javascript:alert(1)"}, "return_url"),
        (PAY | {"return_url": ""}, "return_url"),
        (PAY | {"card": CARD}, "card"),
        (PAY | {"bank": "ICBC"}, "bank"),
        (SIGN | {"amount": 1000}, "amount"),
        (SIGN | {"currency": "CNY"}, "currency"),
        (SIGN | {"methods": ["quick"]}, "methods"),
        (SIGN | {"custody_user_no": "c-1"}, "custody_user_no"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(client: Client, body: dict[str, Any], field: str) -> None:
    got = await client.post("/v1/checkouts", body)
    assert (got.status, got.problem["code"]) == (422, "invalid_request"), got
    assert {each.partition(".")[0].partition("[")[0] for each in got.fields} == {field}


NUMBERED: dict[str, tuple[str, dict[str, Any]]] = {
    "a withhold": ("/v1/withholds", order()),
    "a charge": ("/v1/charges", order(scene="quick_charge")),
    "a refund": ("/v1/refunds", {"payment": "pay_01kjp4c580e199c4kxscnnnfx6", "amount": 1}),
    "an authentication": ("/v1/authentications", {"user_id": "u1", "card": CARD}),
    "a recorded route": ("/v1/routes", order() | {"record": True}),
    "a checkout": ("/v1/checkouts", PAY),
    "a checkout to sign": ("/v1/checkouts", SIGN),
}


@pytest.mark.parametrize("number", ["a~1", "~", "~1", "a~", "a~b~c"])
@pytest.mark.parametrize("name", NUMBERED)
async def test_a_new_number_of_an_app_has_no_mark_of_tries(client: Client, name: str, number: str) -> None:
    path, body = NUMBERED[name]
    got = await client.post(path, body | {"merchant_order_no": number})
    assert (got.status, got.fields) == (422, ["merchant_order_no"]), got
    [error] = got.problem["errors"]
    assert "~" in error["message"]


async def test_one_that_was_used_before_is_answered_as_ever(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def as_before(*_: object) -> None:
        """The first version took every number."""

    body: dict[str, Any] = order(merchant_order_no="old~7")
    with monkeypatch.context() as patch:
        patch.setattr(payments, "refuse_number_of_try", as_before)
        first = await client.post("/v1/withholds", body)
    assert first.status == 201
    again = await client.post("/v1/withholds", body)
    assert (again.status, again.headers["Idempotent-Replayed"], again.json) == (200, "true", first.json)
    other = await client.post("/v1/withholds", body | {"amount": 1})
    assert (other.status, other.problem["code"]) == (409, "order_conflict")


def test_to_name_every_method_is_to_name_none() -> None:
    """So that the same order comes again either way."""
    none, every, some = (
        CheckoutRequest.model_validate(PAY | {"methods": methods})
        for methods in (None, [each.value for each in reversed(Method)], ["quick"])
    )
    assert canonical_body(none) == canonical_body(every) != canonical_body(some)


@pytest.mark.parametrize("url", [None, "https://pay.example/checkout/tok"])
def test_a_checkout_is_shown_as_the_document_says(url: str | None) -> None:
    ref = CheckoutRef(CHECKOUT_ID)
    known: dict[str, Any] = {"app": "shop", "merchant_order_no": "recharge-1~2", "card_masked": "622202******1234"}
    shown = checkout_object(checkout(), [payment(checkout=ref), authentication(checkout=ref, **known)], url)
    assert set(shown) == set(CheckoutAnswer.model_fields) - (set() if url else {"url"})
    if url:
        CheckoutAnswer.model_validate(shown)
    of_try = {"id": shown["id"], "status": "open"}
    assert [each["checkout"] for each in (*shown["payments"], *shown["authentications"])] == [of_try, of_try]
