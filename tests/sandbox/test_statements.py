"""What a day's statement has: which orders, on which day, in the order of time. By rows, which every mock writes in its
own format; the formats have tests of their own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.allinpay import Allinpay
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import Sandbox
from tests.sandbox.test_payouts import pay_out

DAY, NEXT = "2026-03-01", "2026-03-02"


async def rows_of(sandbox: Sandbox, day: str = DAY) -> list[dict[str, Any]]:
    status, answer = await sandbox.control("GET", f"allinpay/statement_rows?day={day}")
    assert status == 200, answer
    return list(answer["rows"])


async def done_at(sandbox: Sandbox, order_no: str, at: str, what: str = "finished_at") -> None:
    status, answer = await sandbox.control("POST", f"allinpay/orders/{order_no}/{what}", {"at": at})
    assert status == 200, answer


async def collected(sandbox: Sandbox, at: str, amount: int = 1000) -> str:
    """A payment that became final at this moment."""
    order_no = sandbox.allinpay.number()
    await sandbox.allinpay.collect(order_no, amount)
    await done_at(sandbox, order_no, at)
    return order_no


async def paid_out(sandbox: Sandbox, at: str) -> str:
    order_no = sandbox.allinpay.number()
    await pay_out(sandbox.allinpay, order_no)
    await done_at(sandbox, order_no, at)
    return order_no


def numbers(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["number"] for row in rows]


@pytest.mark.parametrize(
    ("day_cut", "at", "day"),
    [
        ("00:00", "2026-03-01T00:00:00+08:00", DAY),
        ("00:00", "2026-03-01T23:59:59.999+08:00", DAY),
        ("00:00", "2026-02-28T16:00:00Z", DAY),
        ("00:00", "2026-03-02T00:00:00+08:00", NEXT),
        ("23:00", "2026-02-28T23:00:00+08:00", DAY),
        ("23:00", "2026-03-01T22:59:59+08:00", DAY),
        ("23:00", "2026-03-01T23:00:00+08:00", NEXT),
        ("23:50", "2026-03-01T23:49:59+08:00", DAY),
        ("23:50", "2026-03-01T23:50:00+08:00", NEXT),
    ],
)
async def test_an_order_stands_on_the_providers_day_on_which_it_was_done(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, day_cut: str, at: str, day: str
) -> None:
    monkeypatch.setattr(Allinpay, "day_cut", day_cut)
    order_no = await collected(sandbox, at)
    stands = {on: numbers(await rows_of(sandbox, on)) for on in ("2026-02-28", DAY, NEXT, "2026-03-03")}
    assert {on: found for on, found in stands.items() if found} == {day: [order_no]}


async def test_the_rows_stand_in_the_order_of_time_and_tell_what_the_books_have(sandbox: Sandbox) -> None:
    later = await collected(sandbox, f"{DAY}T15:00:00+08:00", 2_000)
    sooner = await paid_out(sandbox, f"{DAY}T09:30:00+08:00")
    first, second = await rows_of(sandbox)
    assert (first["kind"], first["number"], first["at"]) == ("payout", sooner, f"{DAY}T09:30:00+08:00")
    assert second == {
        "kind": "payment",
        "number": later,
        "amount": 2_000,
        "fee": 0,
        "paid": True,
        "at": f"{DAY}T15:00:00+08:00",
        "day": DAY,
        "transaction_no": "",
        "card": "622202******7890",
        "original": None,
    }


async def test_a_refund_has_a_row_of_its_own_that_names_the_payment(sandbox: Sandbox) -> None:
    payment = await collected(sandbox, f"{DAY}T10:00:00+08:00")
    refund = sandbox.allinpay.number()
    await sandbox.allinpay.refund(refund, payment, 300)
    await sandbox.final("allinpay", refund)
    await done_at(sandbox, refund, f"{NEXT}T10:00:00+08:00")
    assert numbers(await rows_of(sandbox)) == [payment]
    [row] = await rows_of(sandbox, NEXT)
    assert (row["kind"], row["number"], row["original"], row["amount"]) == ("refund", refund, payment, 300)


async def test_a_payout_that_came_back_is_paid_on_one_day_and_returned_on_another(sandbox: Sandbox) -> None:
    order_no = await paid_out(sandbox, f"{DAY}T10:00:00+08:00")
    await sandbox.control("POST", "allinpay/returns", {"order_no": order_no})
    await done_at(sandbox, order_no, f"{NEXT}T08:00:00+08:00", "returned_at")
    [success] = await rows_of(sandbox)
    [back] = await rows_of(sandbox, NEXT)
    assert (success["kind"], success["number"], success["paid"]) == ("payout", order_no, True)
    assert (back["kind"], back["number"], back["amount"]) == ("return", order_no, success["amount"])


async def test_a_moment_that_was_moved_is_kept_over_a_restart(start: Start, tmp_path: Path) -> None:
    before = await start(data_dir=tmp_path)
    order_no = await collected(before, f"{DAY}T10:00:00+08:00")
    await before.stop()
    after = await start(data_dir=tmp_path)
    assert numbers(await rows_of(after)) == [order_no]
    order = await after.order("allinpay", order_no)
    assert order is not None
    assert order["finished_at"] == f"{DAY}T02:00:00.000Z"


async def test_what_failed_stands_there_only_where_the_provider_states_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox.fault("allinpay", "decline", code="3008", times=1)
    order_no = await collected(sandbox, f"{DAY}T10:00:00+08:00")
    monkeypatch.setattr(Allinpay, "states_failures", False)
    assert await rows_of(sandbox) == []
    monkeypatch.setattr(Allinpay, "states_failures", True)
    [row] = await rows_of(sandbox)
    assert (row["number"], row["paid"]) == (order_no, False)


async def test_what_is_open_and_what_moves_no_money_stands_nowhere(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    await sandbox.fault("allinpay", "late_final", seconds=600, times=1)
    open_one, signing = merchant.number(), merchant.number()
    await merchant.collect(open_one)
    assert (await sandbox.control("POST", f"allinpay/orders/{open_one}/finished_at", {"at": f"{DAY}T10:00:00Z"}))[
        0
    ] == 422
    await merchant.send(merchant.signing_sms(signing))
    [sms] = await sandbox.inbox()
    await merchant.send(merchant.signing(signing, sms["code"], bound := merchant.number()))
    await done_at(sandbox, bound, f"{DAY}T10:00:00+08:00")
    assert await rows_of(sandbox) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "statement_rows", None, 422),
        ("GET", "statement_rows?day=20260301", None, 422),
        ("GET", "statement_rows?day=2026-02-30", None, 422),
        ("GET", "statement", None, 422),
        ("POST", "orders/none/finished_at", {"at": f"{DAY}T10:00:00Z"}, 404),
        ("POST", "orders/none/finished_at", {"at": "at noon"}, 422),
        ("POST", "orders/none/finished_at", {}, 422),
        ("POST", "orders/none/returned_at", {"at": f"{DAY}T10:00:00Z"}, 404),
        ("POST", "faults", {"fault": "late_statement", "match": {"day": "tomorrow"}}, 422),
        ("POST", "faults", {"fault": "broken_statement", "cut": "word"}, 422),
    ],
)
async def test_what_is_no_day_and_no_moment_is_refused(
    sandbox: Sandbox, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    assert (await sandbox.control(method, f"allinpay/{path}", body))[0] == status
