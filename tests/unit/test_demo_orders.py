"""The demonstration's made-up orders are such as a gateway takes. Not tested here: that the sandbox obeys them."""

import random

from stdnum import luhn
from stdnum.cn import ric

from gateway.api.app.payments import ChargeRequest, WithholdRequest
from gateway.domain.cards import bank_of
from gateway.run.demo.orders import MAGIC_AMOUNTS, make_orders

ORDERS = list(make_orders(300, "test", random.Random(7)))


def test_cards_and_people_are_well_formed() -> None:
    for order in ORDERS:
        card = order.body["card"]
        assert luhn.is_valid(card["card_no"])
        assert bank_of(card["card_no"]) is not None
        assert ric.is_valid(card["id_no"])


def test_every_order_is_one_that_the_api_reads() -> None:
    for order in ORDERS:
        (WithholdRequest if order.path == "/v1/withholds" else ChargeRequest).model_validate(order.body)


def test_order_numbers_differ_and_the_same_dice_make_the_same_orders() -> None:
    assert len({order.body["merchant_order_no"] for order in ORDERS}) == 300
    assert list(make_orders(300, "test", random.Random(7))) == ORDERS


def test_both_scenes_and_every_kind_of_trouble_come_up() -> None:
    assert {order.body["scene"] for order in ORDERS} == {"withhold", "quick_charge"}
    assert {order.trouble for order in ORDERS} >= {None, "balance short", *MAGIC_AMOUNTS.values()}
