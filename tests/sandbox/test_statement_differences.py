"""Differences between a statement and the books: each is planted as asked for, listed with its class, and taken back.

By rows, as in test_statements.py. What reconciliation makes of them is tested with the gateway.
"""

import time
from collections import Counter
from typing import Any

import pytest

from sandbox.allinpay import Allinpay
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_statements import DAY, NEXT, collected, done_at, numbers, paid_out, rows_of

BEFORE = "2026-02-28"
NOON = f"{DAY}T12:00:00+08:00"
PLANTED = "allinpay/statement_differences"


@pytest.fixture(autouse=True)
def failures_are_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allinpay, "states_failures", True)
    monkeypatch.setattr(Allinpay, "states_fees", True)
    monkeypatch.setattr(Allinpay, "day_cut", "00:00")


async def plant(sandbox: Sandbox, *asked: dict[str, Any]) -> list[dict[str, Any]]:
    status, answer = await sandbox.control("POST", PLANTED, list(asked))
    assert status == 201, answer
    return list(answer["differences"])


async def refused(sandbox: Sandbox, *asked: dict[str, Any]) -> str:
    status, answer = await sandbox.control("POST", PLANTED, list(asked))
    assert status == 422, answer
    return str(answer["error"])


async def listed(sandbox: Sandbox, day: str = "") -> list[dict[str, Any]]:
    _, answer = await sandbox.control("GET", f"{PLANTED}?day={day}" if day else PLANTED)
    return list(answer["differences"])


async def many(sandbox: Sandbox, count: int, day: str = DAY, prefix: str = "many") -> None:
    like = await collected(sandbox, "2020-01-01T12:00:00+08:00")
    asked = {"count": count, "day": day, "prefix": prefix, "like": like}
    status, answer = await sandbox.control("POST", "allinpay/orders", asked)
    assert status == 201, answer


async def test_what_is_short_is_left_out(sandbox: Sandbox) -> None:
    left_out, there = await collected(sandbox, NOON), await collected(sandbox, NOON)
    [planted] = await plant(sandbox, {"difference": "short", "order_no": left_out})
    assert numbers(await rows_of(sandbox)) == [there]
    assert planted == {
        "difference": "short",
        "order_no": left_out,
        "of": "success",
        "class": "short",
        "day": DAY,
        "stands_on": None,
    }


async def test_what_is_not_paid_says_so_and_costs_nothing(sandbox: Sandbox) -> None:
    order_no = await collected(sandbox, NOON)
    await sandbox.control("POST", "allinpay/fees", {"payment": {"fixed": 30}})
    [planted] = await plant(sandbox, {"difference": "not_paid", "order_no": order_no})
    [row] = await rows_of(sandbox)
    assert (row["paid"], row["fee"], row["amount"]) == (False, 0, 1000)
    assert planted["class"] == "status_mismatch"


async def test_a_duplicate_is_the_same_row_twice(sandbox: Sandbox) -> None:
    order_no = await collected(sandbox, NOON)
    [planted] = await plant(sandbox, {"difference": "duplicate", "order_no": order_no})
    first, second = await rows_of(sandbox)
    assert first == second
    assert planted["class"] == "duplicate"


@pytest.mark.parametrize(("by", "amount"), [(1, 1001), (-1000, 0), (99_000, 100_000)])
async def test_an_amount_differs_and_the_fee_does_not(sandbox: Sandbox, by: int, amount: int) -> None:
    order_no = await collected(sandbox, NOON)
    await sandbox.control("POST", "allinpay/fees", {"payment": {"rate_ppm": 2_000}})
    [planted] = await plant(sandbox, {"difference": "amount", "order_no": order_no, "by": by})
    [row] = await rows_of(sandbox)
    assert (row["amount"], row["fee"]) == (amount, 2)
    assert (planted["class"], planted["by"]) == ("amount_mismatch", by)


async def test_a_fee_differs_and_the_amount_does_not(sandbox: Sandbox) -> None:
    order_no = await collected(sandbox, NOON)
    [planted] = await plant(sandbox, {"difference": "fee", "order_no": order_no, "by": -3})
    [row] = await rows_of(sandbox)
    assert (row["amount"], row["fee"]) == (1000, -3)
    assert (planted["class"], planted["by"]) == ("fee_mismatch", -3)


@pytest.mark.parametrize(("name", "stands_on"), [("late", NEXT), ("early", BEFORE)])
async def test_what_is_late_or_early_stands_on_another_day_with_its_own_time(
    sandbox: Sandbox, name: str, stands_on: str
) -> None:
    order_no = await collected(sandbox, NOON)
    [planted] = await plant(sandbox, {"difference": name, "order_no": order_no})
    assert await rows_of(sandbox) == []
    [row] = await rows_of(sandbox, stands_on)
    assert (row["number"], row["at"], row["day"]) == (order_no, NOON, stands_on)
    assert (planted["class"], planted["day"], planted["stands_on"]) == ("suspense", DAY, stands_on)
    assert await listed(sandbox, DAY) == await listed(sandbox, stands_on) == [planted]
    assert await listed(sandbox, "2026-03-03") == []


async def test_what_is_long_is_like_the_orders_of_the_books_and_in_none_of_them(sandbox: Sandbox) -> None:
    order_no = await collected(sandbox, NOON)
    [planted] = await plant(sandbox, {"difference": "long", "day": DAY, "amount": 777})
    [long_one] = [row for row in await rows_of(sandbox) if row["number"] != order_no]
    assert (long_one["number"], long_one["amount"], long_one["paid"]) == (planted["order_no"], 777, True)
    assert (len(long_one["number"]), long_one["card"]) == (len(order_no), "622202******7890")
    assert (planted["class"], planted["day"], planted["stands_on"]) == ("long", DAY, DAY)
    assert await sandbox.order("allinpay", long_one["number"]) is None


@pytest.mark.parametrize("kind", ["payment", "refund", "payout"])
async def test_what_is_long_can_be_of_any_kind_and_time_though_the_books_are_empty(sandbox: Sandbox, kind: str) -> None:
    at = f"{DAY}T23:59:30+08:00"
    await plant(sandbox, {"difference": "long", "kind": kind, "at": at, "order_no": "NEVER-1"})
    [row] = await rows_of(sandbox)
    assert (row["kind"], row["number"], row["at"]) == (kind, "NEVER-1", at)


async def test_an_order_that_failed_can_be_long(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "decline", code="3008", times=1)
    order_no = await collected(sandbox, NOON)
    assert [row["paid"] for row in await rows_of(sandbox)] == [False]
    [planted] = await plant(sandbox, {"difference": "long", "order_no": order_no})
    [row] = await rows_of(sandbox)
    assert (row["number"], row["paid"], planted["class"]) == (order_no, True, "long")


async def test_the_two_rows_of_what_came_back_differ_each_by_itself(sandbox: Sandbox) -> None:
    order_no = await paid_out(sandbox, f"{DAY}T10:00:00+08:00")
    await sandbox.control("POST", "allinpay/returns", {"order_no": order_no})
    await done_at(sandbox, order_no, NOON, "returned_at")
    await plant(sandbox, {"difference": "short", "order_no": order_no, "of": "return"})
    assert [row["kind"] for row in await rows_of(sandbox)] == ["payout"]
    await plant(sandbox, {"difference": "duplicate", "order_no": order_no})
    assert [row["kind"] for row in await rows_of(sandbox)] == ["payout", "payout"]


async def test_a_difference_waits_for_an_order_that_is_open(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "late_final", seconds=0.1, times=1)
    order_no = sandbox.allinpay.number()
    await sandbox.allinpay.collect(order_no)
    [planted] = await plant(sandbox, {"difference": "duplicate", "order_no": order_no})
    assert (planted["day"], planted["stands_on"]) == (None, None)
    await sandbox.final("allinpay", order_no)
    await done_at(sandbox, order_no, NOON)
    assert numbers(await rows_of(sandbox)) == [order_no, order_no]


async def test_by_chance_is_the_same_again_for_the_same_seed(sandbox: Sandbox) -> None:
    await many(sandbox, 40)
    asked = {"difference": "short", "day": DAY, "count": 5, "seed": 7}
    first = await plant(sandbox, asked)
    await sandbox.control("DELETE", PLANTED)
    assert await plant(sandbox, asked) == first
    await sandbox.control("DELETE", PLANTED)
    other = await plant(sandbox, {**asked, "seed": 8})
    assert {one["order_no"] for one in other} != {one["order_no"] for one in first}
    assert len({one["order_no"] for one in first}) == 5


async def test_every_class_at_once_and_no_row_has_two(sandbox: Sandbox) -> None:
    await many(sandbox, 60)
    names = ("short", "not_paid", "duplicate", "late", "early")
    planted = await plant(
        sandbox,
        *({"difference": name, "day": DAY, "count": 6} for name in names),
        {"difference": "amount", "by": 5, "day": DAY, "count": 6},
        {"difference": "fee", "by": 1, "day": DAY, "count": 6},
        {"difference": "long", "day": DAY, "count": 6},
    )
    assert len({one["order_no"] for one in planted}) == 48
    assert Counter(one["class"] for one in planted) == {
        **dict.fromkeys(("short", "status_mismatch", "duplicate", "amount_mismatch", "fee_mismatch", "long"), 6),
        "suspense": 12,
    }
    rows = await rows_of(sandbox)
    assert len(rows) == 60 - 6 - 6 - 6 + 6 + 6
    assert sum(not row["paid"] for row in rows) == 6
    assert (len(await rows_of(sandbox, BEFORE)), len(await rows_of(sandbox, NEXT))) == (6, 6)
    assert await rows_of(sandbox) == rows
    assert len(await listed(sandbox, DAY)) == 48


async def test_what_cannot_all_be_planted_is_not_planted_at_all(sandbox: Sandbox) -> None:
    order_no = await collected(sandbox, NOON)
    told = await refused(
        sandbox,
        {"difference": "short", "order_no": order_no},
        {"difference": "long", "day": DAY},
        {"difference": "duplicate", "order_no": order_no},
    )
    assert "has a difference already" in told
    assert await listed(sandbox) == []
    assert "1 rows for short, not 2" in await refused(sandbox, {"difference": "short", "day": DAY, "count": 2})


async def test_differences_are_taken_back_all_or_one_or_those_of_a_day(sandbox: Sandbox) -> None:
    orders = [await collected(sandbox, at) for at in (NOON, NOON, f"{NEXT}T12:00:00+08:00")]
    await plant(sandbox, *({"difference": "short", "order_no": order_no} for order_no in orders))
    await sandbox.control("DELETE", f"{PLANTED}?order_no={orders[0]}")
    assert numbers(await rows_of(sandbox)) == orders[:1]
    await sandbox.control("DELETE", f"{PLANTED}?day={DAY}")
    assert numbers(await rows_of(sandbox)) == orders[:2]
    assert await rows_of(sandbox, NEXT) == []
    assert (await sandbox.control("DELETE", PLANTED))[0] == 204
    assert numbers(await rows_of(sandbox, NEXT)) == orders[2:]


async def test_a_reset_forgets_them_and_the_fees(sandbox: Sandbox) -> None:
    await plant(sandbox, {"difference": "long", "day": DAY})
    await sandbox.control("POST", "allinpay/fees", {"payment": {"fixed": 30}})
    await sandbox.control("POST", "reset")
    assert (await listed(sandbox), await rows_of(sandbox)) == ([], [])
    assert (await sandbox.control("GET", "allinpay/fees"))[1] == {}


@pytest.mark.parametrize(
    "asked",
    [
        {"difference": "wrong"},
        {"difference": "short"},
        {"difference": "short", "day": "yesterday"},
        {"difference": "short", "order_no": "NONE"},
        {"difference": "short", "order_no": "NONE", "count": 2},
        {"difference": "short", "day": DAY, "by": 1},
        {"difference": "amount", "day": DAY},
        {"difference": "fee", "day": DAY, "by": 0},
        {"difference": "fee", "day": DAY, "by": "1"},
        {"difference": "short", "day": DAY, "count": 0},
        {"difference": "short", "day": DAY, "count": True},
        {"difference": "short", "day": DAY, "amount": 5},
        {"difference": "short", "day": DAY, "kind": "return"},
        {"difference": "long"},
        {"difference": "long", "day": DAY, "of": "return"},
        {"difference": "long", "day": DAY, "amount": 0},
        {"difference": "short", "day": DAY, "of": "both"},
        {"difference": "short", "day": DAY, "times": 1},
    ],
)
async def test_what_is_no_difference_is_refused(sandbox: Sandbox, asked: dict[str, Any]) -> None:
    await refused(sandbox, asked)


async def test_an_order_is_refused_that_the_difference_does_not_fit(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = await collected(sandbox, NOON)
    assert "only one that failed" in await refused(sandbox, {"difference": "long", "order_no": paid})
    assert "did not come back" in await refused(sandbox, {"difference": "short", "order_no": paid, "of": "return"})
    assert "no row on" in await refused(sandbox, {"difference": "short", "order_no": paid, "day": NEXT})
    assert "below zero" in await refused(sandbox, {"difference": "amount", "order_no": paid, "by": -1001})
    monkeypatch.setattr(Allinpay, "states_failures", False)
    assert "no rows of what was not done" in await refused(sandbox, {"difference": "not_paid", "order_no": paid})
    monkeypatch.setattr(Allinpay, "states_fees", False)
    assert "nothing of fees" in await refused(sandbox, {"difference": "fee", "order_no": paid, "by": 1})


async def test_a_day_of_a_hundred_thousand_orders_is_written_in_seconds(sandbox: Sandbox) -> None:
    await many(sandbox, 100_000)
    await plant(sandbox, {"difference": "late", "day": DAY, "count": 1_000})
    began = time.monotonic()
    rows = await rows_of(sandbox)
    assert time.monotonic() - began < 20
    assert len(rows) == 99_000
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
