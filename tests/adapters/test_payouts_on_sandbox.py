"""Payouts over a real socket against the sandbox, for every adapter that has them; one sandbox of each for all tests.

Not tested here: complete code tables (`contract`), the wire of each protocol (`test_…_payouts`), and what the flows do
with the outcomes.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from adapters.registry import PROVIDERS, build
from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    ReturnsListed,
    Succeeded,
    Unknown,
)
from gateway.domain.payees import Payee
from gateway.domain.terms import Product
from gateway.ports import AskPayout, AskReturnedPayouts, Payout
from tests.adapters.case import FIRM, PERSON, callbacks_of, do
from tests.adapters.test_on_sandbox import AMOUNT, IN_TIME_S, World, a_world, now, patience

LATE_S = 0.6
"""Long enough for a loaded machine to see what comes before."""
PAYS_OUT = sorted(name for name, provider in PROVIDERS.items() if Payout in provider.COMMANDS)
NOTIFIES = frozenset({"cpcn", "lianlian", "unionpay"})
NOTIFIES_RETURNS = frozenset({"cpcn", "lianlian"})
ASKED_AFTERWARDS = sorted(
    name
    for name in PAYS_OUT
    if (watch := PROVIDERS[name].DECLARATION.terms[Product.PAYOUT].watch) is not None and watch.gaps_s
)
BALANCE_SHORT: Mapping[str, str] = {
    "allinpay": "3008",
    "baofoo": "BF00103",
    "cpcn": "240090",
    "lianlian": "9104",
    "unionpay": "64",
}
"""The merchant's own."""


@pytest.fixture(scope="module", params=PAYS_OUT)
async def world(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[World]:
    async with a_world(request.param, keys) as world:
        yield world


having_notices = pytest.mark.parametrize("world", sorted(NOTIFIES & set(PAYS_OUT)), indirect=True)
listed_by_day = pytest.mark.parametrize(
    "world", [name for name in PAYS_OUT if AskReturnedPayouts in PROVIDERS[name].COMMANDS], indirect=True
)
asked_afterwards = pytest.mark.parametrize("world", ASKED_AFTERWARDS, indirect=True)


AMOUNTS = itertools.count(AMOUNT)
"""Each its own: two payouts of one amount to one account in a day are suspected at LianLian."""


def a_payout(world: World, amount: int | None = None, payee: Payee = PERSON) -> Payout:
    amount = next(AMOUNTS) if amount is None else amount
    return Payout(uuid4().hex, now(), amount, payee, "货款", world.notify_url)


async def ask(world: World, payout: Payout, tries: int = 0) -> Outcome:
    return await do(world.adapter, AskPayout(payout.number, payout.told_at, payout.amount, tries))


async def until(world: World, payout: Payout, *kinds: type) -> Outcome:
    """Ask until it stands so."""
    async with asyncio.timeout(IN_TIME_S):
        for tries in range(10_000):
            outcome = await ask(world, payout, tries)
            if isinstance(outcome, kinds):
                return outcome
            await asyncio.sleep(0.01)
    raise AssertionError


async def give_back(world: World, payout: Payout, reason: str) -> None:
    """The bank returns it now."""
    url = f"{world.address}/_sandbox/{world.name}/returns"
    async with world.session.post(url, json={"order_no": payout.number, "reason": reason}) as answer:
        assert answer.status == 200, await answer.text()


async def test_every_payee_that_can_be_said_is_paid_the_exact_amount(world: World) -> None:
    rules = world.adapter.declaration.payees
    assert rules is not None
    for payee in (PERSON, FIRM):
        if rules.why_not(payee) is not None:
            continue
        for amount in (1, 1_005, 9_999_999):
            payout = a_payout(world, amount, payee)
            assert isinstance(await do(world.adapter, payout), (Processing, Succeeded))
            outcome = await until(world, payout, Succeeded, Declined)
            assert isinstance(outcome, Succeeded)
            assert outcome.amount in (amount, None)
            [order] = await world.books(payout.number)
            told = (order["kind"], order["amount"], order["state"], order["submissions"])
            assert told == ("payout", amount, "succeeded", 1)
            assert payee.account_no not in str(order)


async def test_the_same_payout_twice_is_one(world: World) -> None:
    payout = a_payout(world)
    await do(world.adapter, payout)
    assert isinstance(await do(world.adapter, payout), (Unknown, Processing, Succeeded))
    [order] = await world.books(payout.number)
    assert order["submissions"] == 2
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)


@pytest.mark.parametrize(
    ("fault", "params"),
    [("reset_after", {}), ("error_after", {}), ("wrong_signature", {}), ("garbage", {"body": "truncated"})],
)
async def test_a_payout_whose_answer_is_lost_is_unknown_sent_once_and_found_by_asking(
    world: World, fault: str, params: dict[str, object]
) -> None:
    payout = a_payout(world)
    await world.fault(fault, **params, match={"operation": "payout"})
    assert isinstance(await do(world.adapter, payout), Unknown)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)
    [order] = await world.books(payout.number)
    assert order["submissions"] == 1


async def test_a_payout_that_never_arrived_is_not_found_and_no_proof_by_itself(world: World) -> None:
    payout = a_payout(world)
    await world.fault("reset_before", match={"operation": "payout"})
    assert isinstance(await do(world.adapter, payout), Unknown)
    assert isinstance(await ask(world, payout), NotFound)
    assert await world.books(payout.number) == []
    assert not world.adapter.declaration.terms[Product.PAYOUT].proves_lost(5, 3600.0)


async def test_a_payout_that_is_not_found_for_a_while_is_there_in_the_end(world: World) -> None:
    payout = a_payout(world)
    await world.fault("not_found", seconds=LATE_S, match={"operation": "payout"})
    await do(world.adapter, payout)
    assert isinstance(await ask(world, payout), NotFound)
    await asyncio.sleep(LATE_S - 0.1)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)


async def test_an_answer_after_the_timeout_is_unknown_and_sent_once(world: World) -> None:
    payout = a_payout(world)
    await world.fault("delay", seconds=1, match={"operation": "payout"})
    hasty = build(replace(world.account, terms=patience(world.name, 0.1)), world.transport)
    assert isinstance(await do(hasty, payout), Unknown)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)
    [order] = await world.books(payout.number)
    assert order["submissions"] == 1


async def test_a_final_word_may_be_late(world: World) -> None:
    payout = a_payout(world)
    await world.fault("late_final", seconds=LATE_S, match={"operation": "payout"})
    assert isinstance(await do(world.adapter, payout), Processing)
    assert isinstance(await ask(world, payout), Processing)
    await asyncio.sleep(LATE_S - 0.1)
    assert isinstance(await until(world, payout, Succeeded, Declined), Succeeded)


async def test_a_merchant_without_money_is_told_so_and_no_payer_is_blamed(world: World) -> None:
    for when in ("sync", "final"):
        payout = a_payout(world)
        await world.fault("decline", code=BALANCE_SHORT[world.name], when=when, match={"operation": "payout"})
        at_once = await do(world.adapter, payout)
        outcome = at_once if isinstance(at_once, Declined) else await until(world, payout, Succeeded, Declined)
        assert isinstance(outcome, Declined)
        assert outcome.code is FailureCode.MERCHANT_BALANCE_SHORT


@asked_afterwards
@pytest.mark.parametrize("reason", ReturnReason)
async def test_a_payout_that_was_paid_comes_back_with_its_reason(world: World, reason: ReturnReason) -> None:
    payout = a_payout(world)
    await do(world.adapter, payout)
    assert isinstance(await until(world, payout, Succeeded), Succeeded)
    await give_back(world, payout, reason)
    outcome = await ask(world, payout, 7)
    assert isinstance(outcome, Returned)
    assert outcome.reason is reason
    [order] = await world.books(payout.number)
    assert (order["state"], bool(order["returned_at"])) == ("returned", True)


@asked_afterwards
@pytest.mark.parametrize(("tail", "amount"), [("9833", None), ("7766", 980_007)])
async def test_an_account_or_an_amount_may_ask_for_a_return(world: World, tail: str, amount: int | None) -> None:
    payout = a_payout(world, amount, replace(PERSON, account_no=f"621700001009988{tail}"))
    await do(world.adapter, payout)
    outcome = await until(world, payout, Returned)
    assert isinstance(outcome, Returned)
    assert outcome.reason is (
        ReturnReason.PAYEE_ACCOUNT_ABNORMAL if tail == "9833" else ReturnReason.PAYEE_NAME_MISMATCH
    )


@listed_by_day
async def test_a_return_is_listed_on_the_day_on_which_it_came_back_and_on_no_other(world: World) -> None:
    payout = a_payout(world)
    await do(world.adapter, payout)
    assert isinstance(await until(world, payout, Succeeded), Succeeded)
    day = now().astimezone(ZoneInfo("Asia/Shanghai")).date()
    await give_back(world, payout, "bank_rejected")
    told = [
        await do(world.adapter, AskReturnedPayouts(f"returns-{each}", now(), each))
        for each in (day - timedelta(days=1), day, day + timedelta(days=1))
    ]
    assert all(isinstance(each, ReturnsListed) for each in told), told
    [mine] = [each for lists in told for each in getattr(lists, "payouts", ()) if each.number == payout.number]
    assert (mine.amount, mine.outcome.reason) == (payout.amount, ReturnReason.BANK_REJECTED)
    if day == now().astimezone(ZoneInfo("Asia/Shanghai")).date():
        assert [len(getattr(lists, "payouts", ())) > 0 for lists in told] == [False, True, False]


@having_notices
async def test_a_notice_tells_of_a_payout_and_of_its_return_as_of_payouts(world: World) -> None:
    payout = a_payout(world)
    await do(world.adapter, payout)
    reader = callbacks_of(world.adapter)
    paid = reader.read(await asyncio.wait_for(world.callbacks.get(), IN_TIME_S))
    while paid.number != payout.number:  # of the tests before
        paid = reader.read(await asyncio.wait_for(world.callbacks.get(), IN_TIME_S))
    assert paid.verb is Verb.PAYOUT
    assert isinstance(paid.outcome, Succeeded)
    assert paid.outcome.amount == payout.amount
    if world.name not in NOTIFIES_RETURNS:
        return
    await give_back(world, payout, "payee_account_invalid")
    back = reader.read(await asyncio.wait_for(world.callbacks.get(), IN_TIME_S))
    assert (back.number, back.verb) == (payout.number, Verb.PAYOUT)
    assert isinstance(back.outcome, Returned)
    late = {"order_no": payout.number, "of_success": True}
    async with world.session.post(f"{world.address}/_sandbox/{world.name}/callbacks", json=late) as answer:
        assert answer.status == 200, await answer.text()
    paid_again = reader.read(await asyncio.wait_for(world.callbacks.get(), IN_TIME_S))
    assert (paid_again.number, paid_again.outcome) == (payout.number, paid.outcome)
