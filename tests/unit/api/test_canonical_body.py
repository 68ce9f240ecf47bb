"""Two requests that mean the same have the same canonical body; any other meaning has another."""

from typing import Any

import pytest

from gateway.api.app.ordering import canonical_body
from gateway.api.app.payments import ChargeRequest, WithholdRequest
from gateway.api.http.reading_json import checked
from tests.unit.api.test_fields import CARD, ORDER


def body(**changes: object) -> bytes:
    return canonical_body(checked(WithholdRequest, ORDER | changes))


@pytest.mark.parametrize(
    "same",
    [
        {"metadata": {}},
        {"description": None},
        {"customer_present": False},
        {"customer_present": None},
        {"card_id": None},
        {"card": dict(reversed(CARD.items()))},
    ],
)
def test_saying_what_goes_without_saying_changes_nothing(same: dict[str, Any]) -> None:
    assert body(**same) == body()


def test_the_order_of_names_changes_nothing() -> None:
    shuffled = dict(reversed(ORDER.items()))
    assert canonical_body(checked(WithholdRequest, shuffled)) == body()
    assert body(metadata={"a": 1, "b": 2}) == body(metadata={"b": 2, "a": 1})


def test_a_small_x_is_the_same_id_number() -> None:
    assert body(card=CARD | {"id_no": "11010519491231002x"}) == body(card=CARD | {"id_no": "11010519491231002X"})


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 10_001},
        {"user_id": "u2"},
        {"bank": "ICBC"},
        {"card": CARD | {"phone": "13900000000"}},
        {"customer_present": True},
        {"description": "x"},
        {"metadata": {"a": None}},
        {"return_url": "https://shop.example.com"},
        {"expires_in_s": 60},
    ],
)
def test_every_other_meaning_is_another_body(other: dict[str, Any]) -> None:
    assert body(**other) != body()


def test_what_goes_without_saying_depends_on_the_call() -> None:
    charge = ORDER | {"scene": "quick_charge"}
    plain = canonical_body(checked(ChargeRequest, charge))
    assert canonical_body(checked(ChargeRequest, charge | {"customer_present": True})) == plain
    assert canonical_body(checked(ChargeRequest, charge | {"customer_present": False})) != plain


def test_the_body_is_written_down_once_for_all() -> None:
    # Stored hashes are of exactly these bytes: a change here turns every repeat into a conflict.
    assert (
        body()
        == (
            '{"amount":10000,"card":{"card_no":"6222020000000000000","holder_name":"张三","id_no":"110101199003077774",'
            '"phone":"13800000000"},"currency":"CNY","merchant_order_no":"A-1","scene":"withhold","user_id":"u1"}'
        ).encode()
    )
