"""An SMS code for each payment, over a real socket against the sandbox.

What all adapters do there: `test_on_sandbox`. The code tables and altered bytes: `test_jd`.
"""

from dataclasses import replace

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, Succeeded, Unknown
from tests.adapters.contract import do
from tests.adapters.test_on_sandbox import CODE_FOR_EACH, World, its_sms, world

__all__ = ["world"]  # a fixture

with_codes = pytest.mark.parametrize("world", sorted(CODE_FOR_EACH), indirect=True)


@with_codes
async def test_a_wrong_code_pays_nothing_and_the_right_one_pays_under_the_same_number(world: World) -> None:
    payment = await world.payment()
    wrong = replace(payment, sms_code="000000" if payment.sms_code != "000000" else "111111")
    outcome = await do(world.adapter, wrong)
    assert isinstance(outcome, Declined)
    assert outcome.code is FailureCode.SMS_CODE_WRONG
    assert await world.books(payment.number) == []
    assert isinstance(await do(world.adapter, payment), Succeeded)


@with_codes
async def test_the_code_of_another_sms_pays_and_the_first_is_wrong(world: World) -> None:
    first = second = await world.payment()
    while first.sms_code == second.sms_code:  # one in a million
        second = await world.with_a_code(first)
    outcome = await do(world.adapter, first)
    assert isinstance(outcome, Declined)
    assert outcome.code is FailureCode.SMS_CODE_WRONG
    assert isinstance(await do(world.adapter, second), Succeeded)


@with_codes
async def test_an_sms_whose_answer_is_lost_is_unknown_and_its_code_pays_all_the_same(world: World) -> None:
    payment = await world.payment()
    await world.fault("reset_after", match={"operation": "send_code"})
    assert isinstance(await do(world.adapter, its_sms(payment)), Unknown)
    assert isinstance(await do(world.adapter, replace(payment, sms_code=await world.code())), Succeeded)
