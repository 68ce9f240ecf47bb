"""CPCN over a real socket against the sandbox: binding, codes by SMS, unbinding, quick payments, giving back.

What every protocol has (faults of payments, withholds, notices) is in `test_on_sandbox`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
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
from gateway.ports import (
    AskAuthentication,
    Authenticate,
    Pay,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Unbind,
)
from sandbox import sms
from tests.adapters.case import do, is_unknown, meaning_of
from tests.adapters.test_on_sandbox import AMOUNT, CARD, World, a_world, an_authentication, its_question, now

QUICK = Scene.QUICK_CHARGE
NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture
async def cpcn(keys: Path) -> AsyncIterator[World]:
    async with a_world("cpcn", keys) as world:
        yield world


def tailed(tail: str) -> str:
    """A card whose last digits ask the sandbox for something."""
    return f"622202020009876{tail}"


async def messages(world: World) -> list[dict[str, Any]]:
    """Every SMS that went to the payer's phone."""
    url = f"{world.address}/_sandbox/cpcn/sms"
    async with world.session.get(url, params={"phone": CARD.phone}) as answer:
        sent: list[dict[str, Any]] = (await answer.json())["sms"]
        return sent


async def newest_code(world: World) -> str:
    return str((await messages(world))[-1]["code"])


def another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def a_signing_code(tail: str | None = None) -> SendSigningCode:
    card = CARD if tail is None else replace(CARD, card_no=tailed(tail))
    return SendSigningCode(uuid4().hex, now(), "ICBC", card, "u-1", NOWHERE)


def signing(sent: SendSigningCode, code: str, continuation: str | None = None, ordinal: int = 1) -> Sign:
    return Sign(sent.number, sent.told_at, "ICBC", sent.card, "u-1", NOWHERE, code, ordinal, continuation)


def question(sent: Authenticate | SendSigningCode, continuation: str | None = None) -> AskAuthentication:
    return AskAuthentication(sent.number, sent.told_at, sent.bank, sent.card, sent.user_id, continuation)


def code_for(payment: Pay, ordinal: int = 1) -> SendPaymentCode:
    assert payment.card is not None
    return SendPaymentCode(
        payment.number, payment.told_at, payment.scene, payment.amount, payment.bank, payment.card,
        payment.agreement_no, payment.user_id, payment.description, payment.notify_url, ordinal,
    )  # fmt: skip


# Binding


async def test_a_card_that_is_bound_silently_pays_until_it_is_unbound(cpcn: World) -> None:
    payment = await cpcn.payment(QUICK)
    assert isinstance(await do(cpcn.adapter, payment), Succeeded)
    unbinding = Unbind(uuid4().hex, now(), "ICBC", CARD, "u-1", payment.agreement_no or "")
    assert isinstance(await do(cpcn.adapter, unbinding), Unbound)
    assert isinstance(await do(cpcn.adapter, unbinding), Unbound)
    refused = await do(cpcn.adapter, replace(payment, number=uuid4().hex))
    assert (meaning_of(refused), getattr(refused, "channel_code", "")) == (F.AGREEMENT_VOID, "30251109")
    unheard_of = await do(cpcn.adapter, replace(payment, number=uuid4().hex, agreement_no=uuid4().hex))
    assert (meaning_of(unheard_of), getattr(unheard_of, "channel_code", "")) == (F.AGREEMENT_VOID, "30251108")


async def test_a_lost_binding_is_found_by_its_number_and_one_that_never_arrived_is_not(cpcn: World) -> None:
    command = an_authentication()
    await cpcn.fault("reset_after", match={"operation": "authenticate"})
    assert isinstance(await do(cpcn.adapter, command), Unknown)
    assert await do(cpcn.adapter, question(command)) == Authenticated(command.number, "00")
    assert is_unknown(await do(cpcn.adapter, command), received=True)
    await cpcn.fault("reset_before", match={"operation": "authenticate"})
    lost = an_authentication()
    assert isinstance(await do(cpcn.adapter, lost), Unknown)
    assert isinstance(await do(cpcn.adapter, question(lost)), NotFound)


async def test_a_binding_can_be_refused_at_once_or_need_the_user(cpcn: World) -> None:
    for tail, meaning in (("6082", F.ID_MISMATCH), ("6081", F.AUTHENTICATION_REJECTED), ("6071", SmsNeeded)):
        command = replace(an_authentication(), card=replace(CARD, card_no=tailed(tail)))
        assert meaning_of(await do(cpcn.adapter, command)) == meaning
        assert meaning_of(await do(cpcn.adapter, question(command))) == meaning
    await cpcn.fault("decline", code="82", match={"operation": "authenticate"})
    assert meaning_of(await do(cpcn.adapter, an_authentication())) == F.ID_MISMATCH


async def test_a_card_is_signed_by_an_sms_after_a_wrong_code(cpcn: World) -> None:
    command = a_signing_code("6071")
    assert await do(cpcn.adapter, command) == CodeSent(None, "2000")
    assert isinstance(await do(cpcn.adapter, question(command)), Unknown)
    [told] = await messages(cpcn)
    assert told["purpose"] == "sign"
    for ordinal in (1, 2):
        wrong = await do(cpcn.adapter, signing(command, another(told["code"]), ordinal=ordinal))
        assert wrong == Declined(F.SMS_CODE_WRONG, "30", "验证未通过")
    signed = await do(cpcn.adapter, signing(command, told["code"], ordinal=3))
    assert signed == Authenticated(command.number, "00")
    assert is_unknown(await do(cpcn.adapter, signing(command, told["code"])), received=True)
    assert await do(cpcn.adapter, question(command)) == signed


async def test_after_a_resend_the_newest_sms_counts_and_a_lost_signing_is_found(cpcn: World) -> None:
    command = a_signing_code()
    await do(cpcn.adapter, command)
    first = await newest_code(cpcn)
    again = await do(cpcn.adapter, replace(command, ordinal=2))
    assert isinstance(again, CodeSent)
    second = await newest_code(cpcn)
    if first != second:
        assert meaning_of(await do(cpcn.adapter, signing(command, first, again.continuation))) == F.SMS_CODE_WRONG
    await cpcn.fault("reset_after", match={"operation": "authenticate"})
    assert isinstance(await do(cpcn.adapter, signing(command, second, again.continuation, 2)), Unknown)
    found = await do(cpcn.adapter, question(command, again.continuation))
    assert found == Authenticated(again.continuation or "", "00")
    payment = replace(await cpcn.payment(QUICK), agreement_no=again.continuation)
    assert isinstance(await do(cpcn.adapter, payment), Succeeded)


async def test_a_code_expires(cpcn: World, monkeypatch: pytest.MonkeyPatch) -> None:
    command = a_signing_code("6020")
    await do(cpcn.adapter, command)
    assert meaning_of(await do(cpcn.adapter, signing(command, await newest_code(cpcn)))) == F.SMS_CODE_EXPIRED
    payment = await cpcn.payment(QUICK)
    monkeypatch.setattr(sms, "SMS_VALID_S", -1.0)
    await do(cpcn.adapter, code_for(payment))
    paid = await do(cpcn.adapter, replace(payment, sms_code=await newest_code(cpcn)))
    assert paid == Declined(F.SMS_CODE_EXPIRED, "20", "验证码超时")
    assert await cpcn.books(payment.number) == []


# An SMS at each payment


async def test_a_payment_with_a_code_is_paid_once_with_the_newest_code(cpcn: World) -> None:
    payment = await cpcn.payment(QUICK)
    assert await do(cpcn.adapter, code_for(payment)) == CodeSent(None, "2000")
    first = await newest_code(cpcn)
    assert isinstance(await do(cpcn.adapter, its_question(payment)), Processing)
    assert await do(cpcn.adapter, code_for(payment, 2)) == CodeSent(None, "2000")
    told = await messages(cpcn)
    assert [message["purpose"] for message in told] == ["pay", "pay"]
    second = told[-1]["code"]
    if first != second:
        assert meaning_of(await do(cpcn.adapter, replace(payment, sms_code=first))) == F.SMS_CODE_WRONG
    assert await cpcn.books(payment.number) == []
    twice = await asyncio.gather(*(do(cpcn.adapter, replace(payment, sms_code=second)) for _ in range(2)))
    assert sorted(type(outcome).__name__ for outcome in twice) == ["Succeeded", "Unknown"]
    assert isinstance(await do(cpcn.adapter, its_question(payment)), Succeeded)
    [order] = await cpcn.books(payment.number)
    assert (order["kind"], order["amount"], order["state"]) == ("consume", AMOUNT, "succeeded")


async def test_a_payment_that_a_code_was_sent_for_is_not_paid_without_it_nor_with_another_amount(cpcn: World) -> None:
    payment = await cpcn.payment(QUICK)
    await do(cpcn.adapter, code_for(payment))
    assert is_unknown(await do(cpcn.adapter, payment), received=True)
    assert is_unknown(await do(cpcn.adapter, code_for(replace(payment, amount=AMOUNT + 1))), received=True)
    assert await cpcn.books(payment.number) == []


async def test_a_payment_with_a_code_whose_answer_is_lost_is_found_by_asking(cpcn: World) -> None:
    payment = await cpcn.payment(QUICK)
    await do(cpcn.adapter, code_for(payment))
    by_code = replace(payment, sms_code=await newest_code(cpcn))
    await cpcn.fault("reset_before", match={"operation": "pay"})
    assert isinstance(await do(cpcn.adapter, by_code), Unknown)
    assert isinstance(await do(cpcn.adapter, its_question(payment)), Processing)
    await cpcn.fault("error_after", status=500, match={"operation": "pay"})
    assert isinstance(await do(cpcn.adapter, by_code), Unknown)
    assert isinstance(await cpcn.final(payment), Succeeded)


async def test_a_payer_without_money_is_declined_with_a_code_and_without(cpcn: World) -> None:
    for with_code in (False, True):
        payment = await cpcn.payment(QUICK, 996_051)
        if with_code:
            await do(cpcn.adapter, code_for(payment))
            payment = replace(payment, sms_code=await newest_code(cpcn))
        for outcome in (await do(cpcn.adapter, payment), await do(cpcn.adapter, its_question(payment))):
            assert isinstance(outcome, Declined)
            assert (outcome.code, outcome.channel_code) == (F.INSUFFICIENT_BALANCE, "51")


# Giving back


async def a_refund(world: World, amount: int = AMOUNT, scene: Scene = QUICK) -> Refund:
    payment = await world.payment(scene)
    await do(world.adapter, payment)
    assert isinstance(await world.final(payment), Succeeded)
    return Refund(
        uuid4().hex, now(), scene, amount, payment.number, payment.told_at, None, payment.amount, NOWHERE
    )  # fmt: skip


async def test_a_payment_is_given_back_once_whole_or_in_part(cpcn: World) -> None:
    for amount, scene in ((AMOUNT, QUICK), (1, QUICK), (400, Scene.WITHHOLD)):
        refund = await a_refund(cpcn, amount, scene)
        assert isinstance(await do(cpcn.adapter, refund), Processing)
        outcome = await cpcn.final(refund)
        assert isinstance(outcome, Succeeded)
        assert outcome.amount == amount
        assert is_unknown(await do(cpcn.adapter, refund), received=True)
        [order] = await cpcn.books(refund.number)
        assert (order["kind"], order["original"], order["amount"]) == ("refund", refund.original_number, amount)
        again = await do(cpcn.adapter, replace(refund, number=uuid4().hex, amount=1))
        assert (meaning_of(again), getattr(again, "channel_code", "")) == (F.CHANNEL_REFUSED, "30252108")


async def test_a_refund_of_more_than_was_paid_or_of_nothing_is_declined(cpcn: World) -> None:
    refund = await a_refund(cpcn, AMOUNT + 1)
    failed = await cpcn.payment(QUICK, 996_051)
    await do(cpcn.adapter, failed)
    for wrong, code in (
        (refund, "30252109"),
        (replace(refund, original_number=uuid4().hex), "30252106"),
        (replace(refund, original_number=failed.number), "30252107"),
    ):
        outcome = await do(cpcn.adapter, replace(wrong, number=uuid4().hex))
        assert (meaning_of(outcome), getattr(outcome, "channel_code", "")) == (F.CHANNEL_REFUSED, code)


async def test_a_refund_whose_answer_is_lost_is_found_and_one_that_never_arrived_is_not(cpcn: World) -> None:
    refund = await a_refund(cpcn)
    await cpcn.fault("reset_before", match={"operation": "refund"})
    assert isinstance(await do(cpcn.adapter, refund), Unknown)
    assert isinstance(await do(cpcn.adapter, its_question(refund)), NotFound)
    await cpcn.fault("reset_after", match={"operation": "refund"})
    assert isinstance(await do(cpcn.adapter, refund), Unknown)
    assert isinstance(await cpcn.final(refund), Succeeded)


async def test_a_refund_may_fail_later_and_then_be_made_anew(cpcn: World) -> None:
    refund = await a_refund(cpcn)
    await cpcn.fault("decline", code="51", when="final", match={"operation": "refund"})
    assert isinstance(await do(cpcn.adapter, refund), Processing)
    assert meaning_of(await cpcn.final(refund)) == F.CHANNEL_REFUSED
    anew = replace(refund, number=uuid4().hex)
    assert isinstance(await do(cpcn.adapter, anew), Processing)
    assert isinstance(await cpcn.final(anew), Succeeded)


# The account


async def test_an_account_of_another_institution_is_refused_in_the_head(cpcn: World) -> None:
    settings = {**cpcn.account.settings, "institution_id": "000000"}
    stranger = build(replace(cpcn.account, settings=settings), cpcn.transport)
    for command in (an_authentication(), a_signing_code()):
        outcome = await do(stranger, command)
        assert (meaning_of(outcome), getattr(outcome, "channel_code", "")) == (F.CHANNEL_REFUSED, "240003")
