"""Statements of the card acquirers (UnionPay, Allinpay) over a real socket against the sandbox.

Each day of a test is its own, in the past: orders are moved to it after they became final. Not tested here: what each
column may be (`test_…_statement`), and what reconciliation makes of the lines.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.http import AiohttpTransport
from adapters.registry import build
from gateway.domain.outcomes import Declined, Succeeded
from gateway.domain.statements import PSP_ZONE, LineKind, StatementLine, ends_at
from gateway.ports import Pay, Payout, Refund
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    Statements,
    statements_of,
)
from tests.adapters.case import PERSON, do
from tests.adapters.test_on_sandbox import AMOUNT, World, a_world, now
from tests.adapters.test_payouts_on_sandbox import until

DAYS = itertools.count(2)
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "unionpay": ("unionpay", {}),
    "allinpay": ("allinpay", {}),
    "allinpay without fees": ("allinpay", {"statement_fees": False}),
    "allinpay, version 05": ("allinpay", {"statement_version": "05"}),
    "allinpay, by file": ("allinpay", {"statement_by": "file"}),
}


@pytest.fixture(scope="module", params=FORMS)
async def world(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[World]:
    name, settings = FORMS[request.param]
    async with a_world(name, keys) as world:
        account = replace(world.account, settings={**world.account.settings, **settings})
        yield replace(world, account=account, adapter=build(account, world.transport))


@pytest.fixture
def day() -> date:
    """One that no other test has."""
    return now().astimezone(PSP_ZONE).date() - timedelta(days=2 * next(DAYS))


def ours(world: World) -> Statements:
    found = statements_of(world.adapter)
    assert found is not None
    return found


async def fetched(world: World, folder: Path, day: date) -> list[StatementLine]:
    async with AiohttpTransport() as transport:
        files = await ours(world).fetch(day, folder, transport.download, now())
    return list(ours(world).read(files, day))


async def control(world: World, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
    url, method = f"{world.address}/_sandbox/{world.name}/{path}", "GET" if body is None else "POST"
    async with world.session.request(method, url, json=body, params=query) as answer:
        assert answer.status in {200, 201}, await answer.text()
        return await answer.json()


async def moved(world: World, number: str, at: datetime, what: str = "finished_at") -> None:
    await control(world, f"orders/{number}/{what}", {"at": at.isoformat()})


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=PSP_ZONE)


async def paid(world: World, at: datetime, amount: int = AMOUNT) -> Pay:
    payment = await world.payment(amount=amount)
    await do(world.adapter, payment)
    assert isinstance(await world.final(payment), Succeeded)
    await moved(world, payment.number, at)
    return payment


async def paid_out(world: World, at: datetime, amount: int = 700) -> Payout:
    payout = Payout(uuid4().hex, now(), amount, PERSON, "货款", world.notify_url)
    await do(world.adapter, payout)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)
    await moved(world, payout.number, at)
    return payout


async def refunded(world: World, payment: Pay, at: datetime, amount: int) -> Refund:
    outcome = await world.final(payment)
    assert isinstance(outcome, Succeeded)
    refund = Refund(
        uuid4().hex,
        now(),
        payment.scene,
        amount,
        payment.number,
        payment.told_at,
        outcome.channel_transaction_no,
        payment.amount,
        world.notify_url,
    )
    await do(world.adapter, refund)
    assert isinstance(await world.final(refund), Succeeded)
    await moved(world, refund.number, at)
    return refund


async def test_a_day_has_what_moved_on_it_each_with_its_own_kind_and_nothing_else(
    world: World, day: date, tmp_path: Path
) -> None:
    at = noon(day)
    payment = await paid(world, at)
    refund = await refunded(world, payment, at + timedelta(seconds=1), 345)
    again = await refunded(world, payment, at + timedelta(seconds=2), 345)
    payout = await paid_out(world, at + timedelta(seconds=3))
    await control(world, "returns", {"order_no": payout.number})
    await moved(world, payout.number, at + timedelta(seconds=4), "returned_at")
    await paid(world, at + timedelta(days=1))
    unionpay = world.name == "unionpay"
    lines = await fetched(world, tmp_path, day)
    assert [(line.number, line.kind, line.amount, line.paid, line.at) for line in lines] == [
        (payment.number, LineKind.PAYMENT, AMOUNT, True, at),
        (refund.number, LineKind.REFUND if unionpay else LineKind.OUT, 345, True, at + timedelta(seconds=1)),
        (again.number, LineKind.REFUND if unionpay else LineKind.OUT, 345, True, at + timedelta(seconds=2)),
        (payout.number, LineKind.PAYOUT if unionpay else LineKind.OUT, 700, True, at + timedelta(seconds=3)),
        (payout.number, LineKind.RETURN, 700, True, at + timedelta(seconds=4)),
    ]
    rows = (await control(world, "statement_rows", day=day.isoformat()))["rows"]
    has_fees = world.account.settings.get("statement_fees", True)
    assert [line.fee for line in lines] == [row["fee"] if has_fees else None for row in rows]


async def test_what_is_paid_after_the_day_cut_is_the_next_days(world: World, day: date, tmp_path: Path) -> None:
    cut = ends_at(day, ours(world).rules.day_cut)
    before, after = await paid(world, cut - timedelta(seconds=1)), await paid(world, cut)
    assert [line.number for line in await fetched(world, tmp_path, day)] == [before.number]
    assert [line.number for line in await fetched(world, tmp_path, day + timedelta(days=1))] == [after.number]


async def test_an_empty_day_is_an_empty_statement(world: World, day: date, tmp_path: Path) -> None:
    assert await fetched(world, tmp_path, day) == []


async def test_a_refused_payment_is_told_as_not_done_where_the_statement_has_such_lines(
    world: World, day: date, tmp_path: Path
) -> None:
    code = "64" if world.name == "unionpay" else "3008"
    await world.fault("decline", code=code, match={"operation": "pay"})
    payment = await world.payment()
    await do(world.adapter, payment)
    assert isinstance(await world.final(payment), Declined)
    await moved(world, payment.number, noon(day))
    lines = await fetched(world, tmp_path, day)
    assert [(line.number, line.paid) for line in lines] == (
        [] if world.name == "unionpay" else [(payment.number, False)]
    )


async def test_a_late_file_is_not_ready_and_then_it_is(world: World, day: date, tmp_path: Path) -> None:
    await paid(world, noon(day))
    await world.fault("late_statement")
    with pytest.raises(StatementNotReadyError):
        await fetched(world, tmp_path, day)
    assert len(await fetched(world, tmp_path, day)) == 1


@pytest.mark.parametrize("cut", ["byte", "line"])
async def test_a_file_that_is_cut_is_refused_wherever_it_was_cut(
    world: World, day: date, tmp_path: Path, cut: str
) -> None:
    for second in range(3):
        await paid(world, noon(day) + timedelta(seconds=second))
    await world.fault("broken_statement", cut=cut)
    with pytest.raises(StatementRefusedError):
        await fetched(world, tmp_path, day)
    assert len(await fetched(world, tmp_path, day)) == 3


@pytest.mark.parametrize("fault", ["html", "truncated", "empty", "wrong_signature", "error_after"])
async def test_an_answer_that_is_no_statement_is_refused_or_asked_for_again(
    world: World, day: date, tmp_path: Path, fault: str
) -> None:
    await paid(world, noon(day))
    if fault == "wrong_signature" and world.account.settings.get("statement_by") == "file":
        pytest.skip("the simple answer has no signature")
    is_garbage = fault in {"html", "truncated", "empty"}
    await world.fault(
        "garbage" if is_garbage else fault,
        match={"operation": "statement"},
        **({"body": fault} if is_garbage else {}),
    )
    with pytest.raises((StatementRefusedError, StatementNotReadyError)):
        await fetched(world, tmp_path, day)
    assert len(await fetched(world, tmp_path, day)) == 1


async def test_what_a_person_is_given_reads_as_what_was_fetched(world: World, day: date, tmp_path: Path) -> None:
    if world.account.settings.keys() & {"statement_fees", "statement_version"}:
        pytest.skip("the merchant's own site gives the usual form")
    await paid(world, noon(day))
    url = f"{world.address}/_sandbox/{world.name}/statement"
    given = []
    for _ in range(2):
        async with world.session.get(url, params={"day": day.isoformat()}) as answer:
            assert answer.status == 200
            given.append(await answer.read())
            assert answer.content_disposition is not None
            name = answer.content_disposition.filename or ""
    assert given[0] == given[1], "a day is the same bytes each time"
    await asyncio.to_thread((tmp_path / "given").write_bytes, given[0])
    lines = list(ours(world).read([StatementFile(name, tmp_path / "given")], day))
    assert lines == await fetched(world, tmp_path, day)
    assert len(lines) == 1
