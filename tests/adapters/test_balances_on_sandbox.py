"""What a merchant has, over a real socket against the sandbox: every adapter that can ask, one sandbox of each.

Not tested here: what no balance is (`contract_balances`), and what the gateway does with one (tests/e2e).
"""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.registry import PROVIDERS, build
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import BalanceStated, Declined, Outcome, Returned, Succeeded, Unknown
from gateway.ports import AskBalance, Payout
from tests.adapters.case import PERSON, do
from tests.adapters.test_on_sandbox import World, a_world, now, patience
from tests.adapters.test_payouts_on_sandbox import until

TELLS = sorted(name for name, provider in PROVIDERS.items() if AskBalance in provider.COMMANDS)
ACCOUNTS = itertools.count(6_217_000_010_099_880_011, 7)
"""Each its own: the same amount to the same account is suspected at LianLian."""


@pytest.fixture(scope="module", params=TELLS)
async def world(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[World]:
    async with a_world(request.param, keys) as world:
        yield world


async def asked(world: World) -> BalanceStated:
    outcome = await do(world.adapter, AskBalance(uuid4().hex, now()))
    assert isinstance(outcome, BalanceStated), outcome
    return outcome


async def has(world: World, **amounts: int) -> dict[str, int]:
    """Say what the merchant has from now on; without amounts only look."""
    url, method = f"{world.address}/_sandbox/{world.name}/balance", "POST" if amounts else "GET"
    async with world.session.request(method, url, json=amounts or None) as answer:
        assert answer.status == 200, await answer.text()
        shown: dict[str, int] = await answer.json()
        return shown


async def pay_out(world: World, amount: int) -> tuple[Payout, Outcome]:
    payee = replace(PERSON, account_no=str(next(ACCOUNTS)))
    payout = Payout(uuid4().hex, now(), amount, payee, "货款", world.notify_url)
    at_once = await do(world.adapter, payout)
    return payout, at_once if isinstance(at_once, Declined) else await until(world, payout, Succeeded, Declined)


async def test_it_has_plenty_until_somebody_says_what_it_has_and_that_is_stated_to_the_fen(world: World) -> None:
    assert (await asked(world)).payable == (await has(world))["for_payouts"] >= 10**12
    for amount in (0, 1, 123_456_789):
        await has(world, for_payouts=amount)
        assert (await asked(world)).payable == amount


async def test_payouts_take_from_it_until_it_is_short_and_one_that_comes_back_gives_back(world: World) -> None:
    await has(world, for_payouts=1_000)
    first, paid = await pay_out(world, 700)
    assert isinstance(paid, Succeeded)
    assert (await asked(world)).payable == 300
    _, short = await pay_out(world, 301)
    assert isinstance(short, Declined)
    assert short.code is FailureCode.MERCHANT_BALANCE_SHORT
    assert (await asked(world)).payable == 300, "nothing was taken"
    assert isinstance((await pay_out(world, 300))[1], Succeeded)
    assert (await asked(world)).payable == 0
    url = f"{world.address}/_sandbox/{world.name}/returns"
    async with world.session.post(url, json={"order_no": first.number}) as answer:
        assert answer.status == 200
    assert isinstance(await until(world, first, Returned), Returned)
    assert (await asked(world)).payable == 700


async def test_payments_add_to_it_or_where_refunds_have_money_of_their_own_to_that(world: World) -> None:
    await has(world, for_payouts=500)
    before = await asked(world)
    payment = await world.payment()
    assert isinstance(await do(world.adapter, payment), object)
    assert isinstance(await world.final(payment), Succeeded)
    after = await asked(world)
    if world.name == "lianlian":
        assert (before.for_refunds is not None, after.for_payouts) == (True, 500)
        assert after.for_refunds == (before.for_refunds or 0) + payment.amount
    else:
        assert after.payable == 500 + payment.amount


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("garbage", {"body": "truncated"}),
        ("garbage", {"body": "html"}),
        ("error_after", {}),
        ("reset_before", {}),
        ("decline", {"code": "BF00123"}),
    ],
)
async def test_a_question_that_goes_wrong_is_unknown_and_may_be_asked_again(
    world: World, fault: str, params: dict[str, Any]
) -> None:
    if fault == "decline":
        params = {"code": "BF00123" if world.name == "baofoo" else "2001"}
    await world.fault(fault, **params, match={"operation": "query_balance"})
    assert isinstance(await do(world.adapter, AskBalance(uuid4().hex, now())), Unknown)
    await asked(world)


async def test_a_psp_that_hangs_is_unknown_in_time(world: World) -> None:
    await world.fault("delay", seconds=1, match={"operation": "query_balance"})
    hasty = build(replace(world.account, terms=patience(world.name, 0.1)), world.transport)
    assert isinstance(await do(hasty, AskBalance(uuid4().hex, now())), Unknown)


async def test_the_control_api_takes_nothing_that_is_no_balance(world: World) -> None:
    url = f"{world.address}/_sandbox/{world.name}/balance"
    before = await has(world)
    for wrong in ({}, {"for_payouts": -1}, {"for_payouts": 1.5}, {"for_payouts": True}, {"other": 1}):
        async with world.session.post(url, json=wrong) as answer:
            assert answer.status == 422, wrong
    async with world.session.post(f"{world.address}/_sandbox/jd/balance", json={"for_payouts": 1}) as answer:
        assert answer.status == 422
    assert await has(world) == before
