"""Baofoo over a real socket against the sandbox: binding and paying by SMS, agreements that become void.

Not tested here: what every adapter does there (`test_on_sandbox`) and the complete code table (`test_baofoo`).
"""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from adapters.registry import build
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    Processing,
    SmsNeeded,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import AskAuthentication, Command, Pay, SendPaymentCode, SendSigningCode, Sign, Unbind
from sandbox import sms
from tests.adapters import test_on_sandbox
from tests.adapters.contract import do, is_unknown
from tests.adapters.test_on_sandbox import AMOUNT, CARD, USER, World, its_question, now

world = test_on_sandbox.world
pytestmark = pytest.mark.parametrize("world", ["baofoo"], indirect=True)


def a_wish_to_sign(ordinal: int = 1) -> SendSigningCode:
    return SendSigningCode(uuid4().hex, now(), "ICBC", CARD, USER, "", ordinal)


async def continued(world: World, command: SendSigningCode | SendPaymentCode) -> str:
    """Have an SMS sent; what its confirmation must name."""
    outcome = await do(world.adapter, command)
    assert isinstance(outcome, CodeSent)
    assert outcome.continuation
    return outcome.continuation


def signing(asked: SendSigningCode, continuation: str, code: str, ordinal: int = 1) -> Sign:
    return Sign(asked.number, asked.told_at, "ICBC", CARD, USER, "", code, ordinal, continuation)


def a_wish_to_pay(payment: Pay, ordinal: int = 1) -> SendPaymentCode:
    return SendPaymentCode(
        payment.number, payment.told_at, payment.scene, payment.amount, "ICBC", CARD, payment.agreement_no, USER,
        "", payment.notify_url, ordinal,
    )  # fmt: skip


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def declined(world: World, command: Command[Any]) -> F:
    outcome = await do(world.adapter, command)
    assert isinstance(outcome, Declined), outcome
    return outcome.code


async def test_a_card_is_bound_by_the_code_of_the_newest_sms_and_by_no_other(world: World) -> None:
    asked = a_wish_to_sign()
    first, first_code = await continued(world, asked), await world.code()
    assert await declined(world, signing(asked, first, wrong(first_code))) is F.SMS_CODE_WRONG
    second = await continued(world, replace(asked, ordinal=2))
    second_code = await world.code()
    if first_code != second_code:
        assert await declined(world, signing(asked, second, first_code, 2)) is F.SMS_CODE_WRONG
    assert await declined(world, signing(asked, first, first_code, 3)) is F.SMS_CODE_EXPIRED
    assert isinstance(await do(world.adapter, signing(asked, second, second_code, 4)), Authenticated)


async def test_a_code_that_came_too_late_is_told_as_expired(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, payment = a_wish_to_sign(), await world.payment(Scene.QUICK_CHARGE)
    monkeypatch.setattr(sms, "SMS_VALID_S", -1.0)
    signed_by, code = await continued(world, asked), await world.code()
    paid_by, pay_code = await continued(world, a_wish_to_pay(payment)), await world.code()
    assert await declined(world, signing(asked, signed_by, code)) is F.SMS_CODE_EXPIRED
    assert await declined(world, replace(payment, sms_code=pay_code, continuation=paid_by)) is F.SMS_CODE_EXPIRED
    assert await world.books(payment.number) == []


async def test_binding_a_bound_card_voids_the_agreement_of_before(world: World) -> None:
    old = await world.payment()
    new = await world.payment()
    assert old.agreement_no != new.agreement_no
    assert await declined(world, old) is F.AGREEMENT_VOID
    assert await declined(world, a_wish_to_pay(old)) is F.AGREEMENT_VOID
    assert isinstance(await do(world.adapter, new), Succeeded)
    assert await world.books(old.number) == []


async def test_an_agreement_is_its_users_alone(world: World) -> None:
    payment = await world.payment()
    assert await declined(world, replace(payment, user_id="user-2")) is F.AGREEMENT_VOID
    assert isinstance(await do(world.adapter, payment), Succeeded)


async def test_a_signing_whose_answer_is_lost_is_found_by_its_card(world: World) -> None:
    asked = a_wish_to_sign()
    question = AskAuthentication(asked.number, asked.told_at, "ICBC", CARD, USER)
    assert isinstance(await do(world.adapter, question), NotFound)
    continuation, code = await continued(world, asked), await world.code()
    await world.fault("reset_before", match={"operation": "authenticate"})
    assert isinstance(await do(world.adapter, signing(asked, continuation, code)), Unknown)
    assert isinstance(await do(world.adapter, question), NotFound)
    await world.fault("reset_after", match={"operation": "authenticate"})
    assert isinstance(await do(world.adapter, signing(asked, continuation, code, 2)), Unknown)
    found = await do(world.adapter, question)
    assert isinstance(found, Authenticated)
    assert isinstance(await do(world.adapter, replace(question, user_id="user-2")), NotFound)
    payment = Pay(uuid4().hex, now(), Scene.WITHHOLD, AMOUNT, "ICBC", CARD, found.agreement_no, USER, "", "")
    assert isinstance(await do(world.adapter, payment), Succeeded)
    await world.fault("decline", code="BF00112", match={"operation": "query_authentication"})
    assert isinstance(await do(world.adapter, question), Unknown)


async def test_an_agreement_that_was_given_up_pays_nothing_and_may_be_given_up_again(world: World) -> None:
    payment = await world.payment()
    assert payment.agreement_no
    unbinding = Unbind(uuid4().hex, now(), "ICBC", CARD, USER, payment.agreement_no)
    await world.fault("reset_after", match={"operation": "unbind"})
    assert isinstance(await do(world.adapter, unbinding), Unknown)
    assert isinstance(await do(world.adapter, unbinding), Unbound)
    assert await declined(world, payment) is F.AGREEMENT_VOID
    question = AskAuthentication(uuid4().hex, now(), "ICBC", CARD, USER)
    assert isinstance(await do(world.adapter, question), NotFound)


async def test_a_payment_by_sms_is_paid_once_by_the_newest_code(world: World) -> None:
    payment = await world.payment(Scene.QUICK_CHARGE)
    first, first_code = await continued(world, a_wish_to_pay(payment)), await world.code()
    by_first = replace(payment, sms_code=wrong(first_code), continuation=first)
    assert await declined(world, by_first) is F.SMS_CODE_WRONG
    assert isinstance(await do(world.adapter, its_question(payment)), Processing)
    second = await continued(world, a_wish_to_pay(payment, 2))
    by_second = replace(payment, sms_code=await world.code(), continuation=second, ordinal=2)
    assert await declined(world, replace(by_first, sms_code=first_code)) is F.SMS_CODE_EXPIRED
    paid = await do(world.adapter, by_second)
    assert isinstance(paid, Succeeded)
    assert (await do(world.adapter, replace(by_second, ordinal=3))) == replace(paid, channel_code="BF00114")
    assert (await world.final(payment)) == paid
    [order] = await world.books(payment.number)
    assert (order["kind"], order["amount"], order["state"]) == ("consume", AMOUNT, "succeeded")


async def test_a_confirmation_whose_answer_is_lost_is_found_by_asking(world: World) -> None:
    payment = await world.payment(Scene.QUICK_CHARGE)
    continuation = await continued(world, a_wish_to_pay(payment))
    confirmed = replace(payment, sms_code=await world.code(), continuation=continuation)
    await world.fault("reset_after", match={"operation": "pay"})
    assert isinstance(await do(world.adapter, confirmed), Unknown)
    assert isinstance(await world.final(payment), Succeeded)


async def test_a_payment_may_be_told_to_need_a_code(world: World) -> None:
    payment = await world.payment()
    await world.fault("sms_needed", match={"operation": "pay"})
    outcome = await do(world.adapter, payment)
    assert isinstance(outcome, SmsNeeded)
    assert not outcome.sent
    assert await world.books(payment.number) == []


async def test_a_question_that_fails_once_says_nothing_and_the_next_one_tells(world: World) -> None:
    payment = await world.payment()
    await do(world.adapter, payment)
    await world.fault("decline", code="BF00103", match={"operation": "query"})
    assert is_unknown(await do(world.adapter, its_question(payment)), received=False)
    assert isinstance(await do(world.adapter, its_question(payment, 1)), Succeeded)


@pytest.mark.parametrize("code", ["BF00100", "BF00113", "BF00126", "BF00190", "BF00202", "BF00238", "BF00373"])
async def test_an_answer_that_leaves_the_result_open_ends_nothing_and_the_money_moves_once(
    world: World, code: str
) -> None:
    payment = await world.payment()
    await world.fault("decline", code=code, match={"operation": "pay"})
    outcome = await do(world.adapter, payment)
    assert isinstance(outcome, Unknown)
    assert outcome.channel_code == code
    assert isinstance(await world.final(payment), Succeeded)


async def test_an_order_that_was_not_paid_may_be_tried_again_under_its_number_but_not_with_another_amount(
    world: World,
) -> None:
    payment = await world.payment()
    await world.fault("decline", code="BF00103", match={"operation": "pay"})
    assert await declined(world, payment) is F.INSUFFICIENT_BALANCE
    assert is_unknown(await do(world.adapter, replace(payment, amount=AMOUNT + 1)), received=True)
    assert isinstance(await do(world.adapter, payment), Succeeded)
    [order] = await world.books(payment.number)
    assert (order["amount"], order["state"], order["submissions"]) == (AMOUNT, "succeeded", 3)


async def test_a_terminal_that_is_not_ours_is_refused(world: World) -> None:
    adapter = build(replace(world.account, settings={**world.account.settings, "terminal_id": "1"}), world.transport)
    assert await do(adapter, a_wish_to_sign()) == Declined(F.CHANNEL_REFUSED, "BF00124", "商户与终端号不匹配")
