"""Statements of CPCN and Baofoo over a real socket against the sandbox: what was done is what stands in them.

Not tested here: what each line and each broken file means (`test_cpcn_statement`, `test_baofoo_statement`), and which
rows a day of the sandbox has (`tests/sandbox/test_statements`).
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.registry import build
from gateway.domain.outcomes import Declined, Returned, Succeeded
from gateway.domain.statements import PSP_ZONE, LineKind, StatementLine
from gateway.ports import Pay, Payout, Refund, TransportError
from gateway.ports.statements import (
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
    Statements,
    statements_of,
)
from tests.adapters.case import PERSON, do
from tests.adapters.test_on_sandbox import World, a_world, now
from tests.adapters.test_payouts_on_sandbox import until

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture(params=["cpcn", "baofoo"])
async def world(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[World]:
    async with a_world(request.param, keys) as world:
        yield world


def statements(world: World, **settings: object) -> Statements:
    more = {"client_ip": "127.0.0.1"} if world.name == "baofoo" else {}
    account = replace(world.account, settings={**world.account.settings, **more, **settings})
    found = statements_of(build(account, world.transport))
    assert found is not None
    return found


async def fetched(world: World, folder: Path, day: date = DAY, **settings: object) -> list[StatementLine]:
    own = statements(world, **settings)
    return list(own.read(await own.fetch(day, folder, world.transport.download, now()), day))


async def control(world: World, method: str, call: str, body: object = None) -> Any:
    async with world.session.request(method, f"{world.address}/_sandbox/{world.name}/{call}", json=body) as answer:
        assert answer.status in (200, 201), await answer.text()
        return await answer.json()


async def done_at(world: World, number: str, at: str, what: str = "finished_at") -> None:
    await control(world, "POST", f"orders/{number}/{what}", {"at": at})


async def paid(world: World, amount: int = 12_345, at: str = "2026-03-02T10:30:15+08:00") -> Pay:
    payment = await world.payment(amount=amount)
    await do(world.adapter, payment)
    assert isinstance(await world.final(payment), Succeeded)
    await done_at(world, payment.number, at)
    return payment


async def given_back(world: World, payment: Pay, at: str) -> tuple[Refund, str | None]:
    """A refund of all of it, and the PSP's own number of the refund."""
    refund = Refund(
        uuid4().hex, now(), payment.scene, payment.amount, payment.number, payment.told_at, None, payment.amount,
        world.notify_url,
    )  # fmt: skip
    await do(world.adapter, refund)
    assert isinstance(await world.final(refund), Succeeded)
    await done_at(world, refund.number, at)
    [order] = await world.books(refund.number)
    return refund, order["transaction_no"]


async def paid_out(world: World, at: str) -> Payout:
    payout = Payout(uuid4().hex, now(), 5_000, replace(PERSON), "货款", world.notify_url)
    await do(world.adapter, payout)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)
    await done_at(world, payout.number, at)
    return payout


def told(lines: list[StatementLine]) -> list[tuple[LineKind, str | None, int, bool]]:
    return sorted((line.kind, line.number or line.original, line.amount, line.paid) for line in lines)


async def test_a_day_of_payments_refunds_payouts_and_returns_is_fetched_and_read(world: World, tmp_path: Path) -> None:
    payment = await paid(world)
    refund, theirs = await given_back(world, payment, "2026-03-02T11:00:00+08:00")
    payout = await paid_out(world, "2026-03-02T12:00:00+08:00")
    await control(world, "POST", "returns", {"order_no": payout.number})
    assert isinstance(await until(world, payout, Returned), Returned)
    await done_at(world, payout.number, "2026-03-03T09:00:00+08:00", "returned_at")
    lines = await fetched(world, tmp_path)
    named = refund.number if world.name == "cpcn" else payment.number
    assert told(lines) == sorted([
        (LineKind.PAYMENT, payment.number, payment.amount, True),
        (LineKind.REFUND, named, payment.amount, True),
        (LineKind.PAYOUT, payout.number, 5_000, True),
    ])  # fmt: skip
    [line] = [line for line in lines if line.kind is LineKind.REFUND]
    if world.name == "cpcn":
        assert (line.number, line.original, line.at) == (refund.number, None, datetime(2026, 3, 2, 3, tzinfo=UTC))
    else:
        assert (line.number, line.original, line.transaction_no) == (None, payment.number, theirs)
    assert told(await fetched(world, tmp_path, NEXT)) == [(LineKind.RETURN, payout.number, 5_000, True)]


async def test_the_file_that_a_person_is_given_has_the_same_lines(world: World, tmp_path: Path) -> None:
    payments = [await paid(world, amount) for amount in (1, 29, 820)]
    async with world.session.get(
        f"{world.address}/_sandbox/{world.name}/statement", params={"day": DAY.isoformat()}
    ) as answer:
        name = answer.content_disposition.filename if answer.content_disposition else None
        path = tmp_path / "given"
        path.write_bytes(await answer.read())
    lines = list(statements(world).read([StatementFile(name or "", path)], DAY))
    assert told(lines) == sorted((LineKind.PAYMENT, each.number, each.amount, True) for each in payments)
    assert lines == await fetched(world, tmp_path)


async def test_what_is_fetched_twice_is_the_same_bytes(world: World, tmp_path: Path) -> None:
    await paid(world)
    kept = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        files = await statements(world).fetch(DAY, tmp_path / name, world.transport.download, now())
        kept.append([(file.name, file.path.read_bytes()) for file in files])
    assert kept[0] == kept[1]


async def test_a_payment_after_midnight_stands_in_the_next_day(world: World, tmp_path: Path) -> None:
    late = await paid(world, 1, "2026-03-02T23:59:59+08:00")
    early = await paid(world, 2, "2026-03-03T00:00:00+08:00")
    assert [line.number for line in await fetched(world, tmp_path)] == [late.number]
    assert [line.number for line in await fetched(world, tmp_path, NEXT)] == [early.number]


async def test_a_day_on_which_nothing_was_done_is_an_empty_statement(world: World, tmp_path: Path) -> None:
    assert await fetched(world, tmp_path, date(2026, 1, 1)) == []


async def test_a_payment_that_failed_stands_at_baofoo_as_not_done_and_at_cpcn_not_at_all(
    world: World, tmp_path: Path
) -> None:
    payment = await world.payment()
    await world.fault("decline", code={"cpcn": "51", "baofoo": "BF00103"}[world.name], match={"operation": "pay"})
    await do(world.adapter, payment)
    assert isinstance(await world.final(payment), Declined)
    lines = await fetched(world, tmp_path, now().astimezone(PSP_ZONE).date())
    failed = [(line.number, line.paid) for line in lines]
    assert failed == ([(payment.number, False)] if world.name == "baofoo" else [])


async def test_a_day_that_is_not_there_yet_is_there_later(world: World, tmp_path: Path) -> None:
    await paid(world)
    await world.fault("late_statement")
    with pytest.raises(StatementNotReadyError, match="未生成"):
        await fetched(world, tmp_path)
    assert len(await fetched(world, tmp_path)) == 1


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("garbage", {"body": "html"}),
        ("garbage", {"body": "empty"}),
        ("garbage", {"body": "truncated"}),
        ("garbage", {"body": "wrong_charset"}),
        ("error_after", {}),
        ("error_before", {}),
        ("broken_statement", {"cut": "byte"}),
    ],
)
async def test_an_answer_that_is_none_is_refused_whole_and_the_next_one_is_read(
    world: World, tmp_path: Path, fault: str, params: dict[str, Any]
) -> None:
    await paid(world)
    match = {} if fault == "broken_statement" else {"match": {"operation": "statement"}}
    await world.fault(fault, **params, **match)
    with pytest.raises(StatementRefusedError):
        await fetched(world, tmp_path)
    assert len(await fetched(world, tmp_path)) == 1


async def test_a_connection_that_is_lost_is_an_error_of_the_wire(world: World, tmp_path: Path) -> None:
    for fault in ("reset_before", "reset_after"):
        await world.fault(fault, match={"operation": "statement"})
        with pytest.raises(TransportError):
            await fetched(world, tmp_path)


@pytest.mark.parametrize("world", ["cpcn"], indirect=True)
async def test_cpcn_brings_a_day_by_pages_and_each_is_signed(world: World, tmp_path: Path) -> None:
    payments = [await paid(world, amount, f"2026-03-02T10:00:0{amount}+08:00") for amount in range(1, 6)]
    for size in (1, 2, 5, 6):
        lines = await fetched(world, tmp_path, statement_page_rows=size)
        assert [(line.line, line.number) for line in lines] == [(n, each.number) for n, each in enumerate(payments, 1)]
    await world.fault("wrong_signature", match={"operation": "statement"})
    with pytest.raises(StatementRefusedError, match="the signature is wrong"):
        await fetched(world, tmp_path)
    await world.fault("broken_statement", cut="line")
    with pytest.raises(StatementRefusedError):
        await fetched(world, tmp_path)


@pytest.mark.parametrize("world", ["baofoo"], indirect=True)
async def test_baofoo_refuses_another_merchant_in_words_that_are_told(world: World, tmp_path: Path) -> None:
    with pytest.raises(StatementRefusedError, match="0202 商户不存在"):
        await fetched(world, tmp_path, member_id="1")
