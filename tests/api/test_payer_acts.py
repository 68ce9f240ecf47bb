"""What the API takes and says of codes. Not tested here: what a wish does (tests/storage/test_payer_acts.py)."""

from typing import get_args
from uuid import UUID

import pytest
from pydantic import ValidationError

from gateway.api.app.authentications import AuthenticationAnswer
from gateway.api.app.payer_acts import _DETAILS, ConfirmRequest, granted
from gateway.api.http.chinese import in_chinese
from gateway.api.http.payment_answers import PaymentStatus
from gateway.api.http.problems import Problem, ProblemCode
from gateway.domain.ids import CARD, show
from gateway.domain.statuses import Status
from gateway.flows.payer import ActRefusedError
from gateway.objects.authentications import authentication_object
from gateway.ports import ActRefusal
from tests.api.client import Client
from tests.api.fakes import FakeCards
from tests.unit.domain.samples import authentication


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("１２３４５６", "123456"),
        ("1234", "1234"),
        ("12345678", "12345678"),
    ],
)
def test_a_code_is_brought_to_one_form(typed: str, code: str) -> None:
    asked = ConfirmRequest.model_validate({"sms_code": typed})
    assert asked.sms_code == code
    assert code not in repr(asked)


@pytest.mark.parametrize("typed", ["", "123", "123456789", "12345a", "１２３", "-12345", 123456, None, "²³⁴⁵"])
def test_what_is_not_4_to_8_digits_is_refused_and_not_repeated(typed: object) -> None:
    with pytest.raises(ValidationError) as refused:
        ConfirmRequest.model_validate({"sms_code": typed})
    assert [error["loc"] for error in refused.value.errors()] == [("sms_code",)]


@pytest.mark.parametrize("why", ActRefusal)
async def test_whatever_is_not_granted_is_a_conflict_with_words_in_both_languages(why: ActRefusal) -> None:
    async def refuse() -> None:
        raise ActRefusedError(why, 17)

    with pytest.raises(Problem) as problem:
        await granted(refuse())
    assert why.value in get_args(ProblemCode)
    assert (problem.value.status, problem.value.code, problem.value.detail) == (409, why.value, _DETAILS[why])
    assert problem.value.headers["Retry-After"] == "17"
    assert in_chinese(problem.value).detail != _DETAILS[why]


@pytest.mark.parametrize("status", get_args(PaymentStatus))
def test_an_authentication_is_shown_as_the_document_says(status: Status) -> None:
    known = {"app": "shop", "merchant_order_no": "sign-1", "card_masked": "622202******1234"}
    shown = authentication_object(authentication(status, **known))
    assert set(shown) == set(AuthenticationAnswer.model_fields)
    AuthenticationAnswer.model_validate(shown)


async def test_a_named_card_that_is_gone_is_unknown_to_a_new_order_and_nothing_to_one_that_was_taken(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(FakeCards, "find_card", gone)
    taken = {"merchant_order_no": "sign-1", "user_id": "u1", "card_id": show(CARD, UUID(int=7))}
    again = await client.post("/v1/authentications", taken)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    new = await client.post("/v1/authentications", taken | {"merchant_order_no": "sign-2"})
    assert (new.status, new.fields) == (422, ["card_id"])


async def test_the_document_has_the_calls_of_payers_and_cards(client: Client) -> None:
    paths = (await client.send("GET", "/openapi.json", key=None)).json["paths"]
    for noun in ("payments", "authentications"):
        for wish in ("confirm", "resend-sms", "close"):
            call = paths[f"/v1/{noun}/{{id}}/{wish}"]["post"]
            assert {"200", "404", "409", "503"} <= set(call["responses"])
    assert set(paths["/v1/cards/{id}"]) == {"get", "delete"}
    assert {"/v1/authentications", "/v1/authentications/{id}", "/v1/cards"} <= set(paths)
