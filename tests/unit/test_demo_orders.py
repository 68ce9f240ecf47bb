"""The demonstration's made-up orders are such as a gateway takes. Not tested here: that the sandbox obeys them."""

import random

from stdnum import luhn
from stdnum.cn import ric

from gateway.api.app.payments import ChargeRequest, WithholdRequest
from gateway.domain.cards import bank_of
from gateway.domain.scenes import Scene
from gateway.run.demo.orders import MAGIC_AMOUNTS, Paging, card_of, make_orders
from gateway.run.demo.tour import LENGTH, make_tour

ORDERS = [*make_tour("test", random.Random(7)), *make_orders(300, "test", random.Random(7))]
SOME_CARD = card_of("6222020000000001230", random.Random(7))


def test_cards_and_people_are_well_formed() -> None:
    for order in ORDERS:
        card = order.body.get("card", SOME_CARD)
        assert luhn.is_valid(card["card_no"])
        assert bank_of(card["card_no"]) is not None
        assert ric.is_valid(card["id_no"])


def test_every_order_is_one_that_the_api_reads() -> None:
    for order in ORDERS:
        (WithholdRequest if order.path == "/v1/withholds" else ChargeRequest).model_validate(order.body)


def test_order_numbers_differ_and_the_same_dice_make_the_same_orders() -> None:
    assert len({order.body["merchant_order_no"] for order in ORDERS}) == 300 + LENGTH
    assert [*make_tour("test", random.Random(7)), *make_orders(300, "test", random.Random(7))] == ORDERS


def test_every_scene_and_every_kind_of_trouble_come_up() -> None:
    assert {order.body["scene"] for order in ORDERS} == set(Scene)
    pages = {str(paging) for paging in Paging if paging is not Paging.PAYS}
    assert {order.trouble for order in ORDERS} >= {None, "balance short", *MAGIC_AMOUNTS.values(), *pages}


def test_nobody_waits_for_an_order_that_comes_later() -> None:
    seen = set()
    for order in ORDERS:
        assert order.after is None or order.after in seen
        seen.add(order.body["merchant_order_no"])
