"""The demonstration's made-up payouts are such as a gateway takes, and its comparison says what differs.

Not here: that the sandbox obeys them, and the whole of it (tests/e2e/test_run).
"""

import random
from io import StringIO
from typing import Any

from rich.console import Console

from gateway.api.app.payouts import PayoutRequest
from gateway.run.demo.final_books import CAME_BACK, PAYMENTS, PAYOUTS, FinalBooks
from gateway.run.demo.out_orders import AT_SETTLEMENT, TROUBLES, PayoutOrder, make_payouts, settlement
from reconciliation.comparison import Entry

EVERYBODY = [(channel, payee) for channel in ("allinpay", "cpcn", "lianlian") for payee in ("personal", "corporate")]


def made(*paid: tuple[str, str]) -> list[PayoutOrder]:
    return [*make_payouts(paid, "test", random.Random(7)), settlement("test", 700, random.Random(7))]


def test_every_payout_is_one_that_the_api_reads() -> None:
    orders = made(*EVERYBODY)
    for order in orders:
        PayoutRequest.model_validate(order.body)
    assert len({order.body["merchant_order_no"] for order in orders}) == len(orders)


def test_each_kind_of_payee_of_each_channel_is_paid_and_every_trouble_asked_for_where_its_channel_pays_persons() -> (
    None
):
    orders = made(*EVERYBODY)
    assert {order.paid for order in orders if not order.trouble} == set(EVERYBODY)
    assert [order.trouble for order in orders if order.trouble] == [each.what for each in TROUBLES]
    assert {order.ends for order in orders} == {"succeeded", "returned", "failed"}
    assert [order.trouble for order in made(AT_SETTLEMENT)] == [None, None]


def test_the_same_dice_make_the_same_payouts() -> None:
    assert made(*EVERYBODY) == made(*EVERYBODY)


def line(provider: str, kind: str, *entry: Any) -> tuple[tuple[str, str], Entry]:
    return (provider, kind), Entry(*entry)


def test_the_table_counts_what_moved_on_either_side_and_what_differs() -> None:
    both = [
        line("jd", PAYMENTS, "1", 1_000, "succeeded"),
        line("jd", PAYMENTS, "2", 2_000, "failed"),
        line("cpcn", PAYOUTS, "3", 300, "returned"),
    ]
    mine = [*both, line("jd", PAYMENTS, "4", 4_000, "succeeded"), line("jd", PAYMENTS, "6", 1, "closed")]
    theirs = [*both, line("jd", PAYMENTS, "4", 4_001, "succeeded"), line("cpcn", PAYOUTS, "5", 5, "succeeded")]
    books = FinalBooks(tuple(mine), tuple(theirs), ())
    assert [difference.number for difference in books.differences] == ["4", "5"]
    assert books.rows() == [
        ("cpcn", PAYOUTS, 1, 300, 2, 305, 1),
        ("cpcn", CAME_BACK, 1, 300, 1, 300, 0),
        ("jd", PAYMENTS, 2, 5_000, 2, 5_001, 1),
    ]
    out = Console(width=80, file=StringIO())
    out.print(books.table())
    assert "5,001" in out.file.getvalue()  # type: ignore[attr-defined]


def test_books_that_agree_differ_nowhere() -> None:
    books = FinalBooks((line("jd", PAYMENTS, "1", 1, "succeeded"),), (line("jd", PAYMENTS, "1", 1, "succeeded"),), ())
    assert books.differences == []
    assert books.rows() == [("jd", PAYMENTS, 1, 1, 1, 1, 0)]
