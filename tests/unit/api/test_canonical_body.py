"""Two requests that mean the same have the same canonical body; any other meaning has another."""

from typing import Any
from uuid import UUID

import pytest

from gateway.api.app.ordering import canonical_body, order_of
from gateway.api.app.payments import ChargeRequest, WithholdRequest
from gateway.api.http.reading_json import checked
from gateway.api.http.routing import Caller
from gateway.domain.cards import CardElements
from gateway.domain.one_form import one_form
from gateway.domain.orders import AS_TYPED, IN_ONE_FORM
from gateway.domain.scenes import Kind
from tests.api.fakes import MERCHANT, FakeCards
from tests.unit.api.test_fields import CARD, ORDER

CALLER = Caller(MERCHANT, "shop", UUID(int=1))


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


def test_the_card_can_be_given_in_one_form_and_then_only_its_meaning_counts() -> None:
    typed = checked(WithholdRequest, ORDER | {"card": CARD | {"holder_name": "张 三", "phone": "138 0000 0000"}})
    assert canonical_body(typed) != body()
    card = one_form(CardElements(**typed.card.model_dump())) if typed.card else None
    assert canonical_body(typed, card) == body() == canonical_body(checked(WithholdRequest, ORDER), card)


async def test_an_order_has_both_forms_and_they_are_one_object_where_nothing_changes() -> None:
    plain = await order_of(checked(WithholdRequest, ORDER | {"bank": "ICBC"}), Kind.WITHHOLD, CALLER, FakeCards())
    assert plain.body_as_typed is None
    assert plain.body_in(AS_TYPED) is plain.body_in(IN_ONE_FORM) is plain.body
    request = checked(WithholdRequest, ORDER | {"bank": "ICBC", "card": CARD | {"holder_name": "张 三"}})
    typed = await order_of(request, Kind.WITHHOLD, CALLER, FakeCards())
    assert typed.card == plain.card
    assert typed.body_in(IN_ONE_FORM) == plain.body
    assert typed.body_in(AS_TYPED) == canonical_body(request) != plain.body


async def test_an_id_number_of_15_digits_is_the_same_order_as_its_18_and_is_sent_as_typed() -> None:
    def asked(id_no: str) -> WithholdRequest:
        return checked(WithholdRequest, ORDER | {"bank": "ICBC", "card": CARD | {"id_no": id_no}})

    old, new = [
        await order_of(asked(number), Kind.WITHHOLD, CALLER, FakeCards())
        for number in ("110101900307777", "110101199003077774")
    ]
    assert (old.body, old.card and old.card.id_no) == (new.body, "110101900307777")
    assert old.body_in(AS_TYPED) == canonical_body(asked("110101900307777"))


async def test_another_paper_is_another_order_and_an_id_card_goes_without_saying() -> None:
    assert body(card=CARD | {"id_type": "id_card"}) == body()
    assert body(card=CARD | {"id_type": "passport"}) != body()


async def test_what_is_odd_about_a_card_is_noted_and_not_refused() -> None:
    odd = CARD | {"card_no": "60142800000000000", "id_no": "110101199003077775"}
    order = await order_of(
        checked(WithholdRequest, ORDER | {"bank": "COMM", "card": odd}), Kind.WITHHOLD, CALLER, FakeCards()
    )
    assert order.notes == (
        "the card number's last digit does not fit the others (Luhn)",
        "the ID number's last character does not fit the others",
    )


def test_the_body_is_written_down_once_for_all() -> None:
    # Stored hashes are of exactly these bytes: a change here turns every repeat into a conflict.
    assert (
        body()
        == (
            '{"amount":10000,"card":{"card_no":"6222020000000000000","holder_name":"张三","id_no":"110101199003077774",'
            '"phone":"13800000000"},"currency":"CNY","merchant_order_no":"A-1","scene":"withhold","user_id":"u1"}'
        ).encode()
    )
