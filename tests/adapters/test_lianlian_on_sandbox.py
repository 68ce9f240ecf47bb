"""LianLian over a real socket against the sandbox: what `test_on_sandbox` does not ask of every protocol.

Codes by SMS to bind and to pay with, agreements, unbinding, and which of LianLian's answers make nothing final.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from adapters.registry import build
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import CallbackRejectedError, CallbackRequest, Command, Pay, SendSigningCode, Sign, Unbind
from tests.adapters.contract import callbacks_of, do, is_unknown
from tests.adapters.test_on_sandbox import AMOUNT, CARD, World, its_question, now, world

__all__ = ["world"]

pytestmark = pytest.mark.parametrize("world", ["lianlian"], indirect=True)
OTHER_CARD = replace(CARD, card_no="6222020200098768888")
"""Its payments want a code with an agreement, too."""


@dataclass
class Payer:
    """A user who gets SMS and types codes."""

    world: World
    user_id: str

    def wish(self, card: Any = CARD) -> SendSigningCode:
        return SendSigningCode(uuid4().hex, now(), "ICBC", card, self.user_id, self.world.notify_url)

    def signing(self, wish: SendSigningCode, sent: CodeSent, code: str, ordinal: int = 1) -> Sign:
        return Sign(
            wish.number, wish.told_at, wish.bank, wish.card, self.user_id, wish.notify_url, code, ordinal,
            sent.continuation,
        )  # fmt: skip

    async def bound(self, card: Any = CARD) -> str:
        """The agreement of a card that is bound now."""
        wish = self.wish(card)
        sent = await self.does(wish)
        bound = await self.does(self.signing(wish, sent, await self.world.code()))
        assert isinstance(bound, Authenticated)
        return bound.agreement_no

    def payment(self, agreement_no: str | None, card: Any = CARD) -> Pay:
        return Pay(
            uuid4().hex, now(), Scene.QUICK_CHARGE, AMOUNT, "ICBC", card, agreement_no, self.user_id, "还款",
            self.world.notify_url,
        )  # fmt: skip

    async def does(self, command: Command[Any]) -> Any:
        return await do(self.world.adapter, command)

    async def asked_for_a_code(self, payment: Pay) -> Pay:
        """The payment with the code of the SMS that it made LianLian send."""
        needed = await self.does(payment)
        assert isinstance(needed, SmsNeeded)
        assert needed.sent
        return replace(payment, sms_code=await self.world.code(), continuation=needed.continuation)

    async def stands(self, payment: Pay) -> Outcome:
        """What LianLian says of the payment when it is asked."""
        outcome: Outcome = await do(self.world.adapter, its_question(payment))
        return outcome


@pytest.fixture
def payer(world: World) -> Payer:
    return Payer(world, f"user-{uuid4().hex[:8]}")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# Binding


async def test_a_card_is_bound_by_one_sms_and_pays_at_once_afterwards(payer: Payer) -> None:
    payment = payer.payment(await payer.bound())
    paid = await payer.does(payment)
    assert isinstance(paid, Succeeded)
    assert (paid.amount, paid.channel_transaction_no is not None) == (AMOUNT, True)
    [order] = await payer.world.books(payment.number)
    assert (order["kind"], order["state"], order["submissions"]) == ("consume", "succeeded", 1)


async def test_a_wrong_code_binds_nothing_and_the_right_one_still_does(payer: Payer) -> None:
    wish = payer.wish()
    sent = await payer.does(wish)
    code = await payer.world.code()
    wrong = await payer.does(payer.signing(wish, sent, other_than(code)))
    assert isinstance(wrong, Declined)
    assert wrong.code is F.SMS_CODE_WRONG
    assert isinstance(await payer.does(payer.signing(wish, sent, code, ordinal=2)), Authenticated)


async def test_after_a_second_sms_its_own_token_and_code_count(payer: Payer) -> None:
    wish = payer.wish()
    first = await payer.does(wish)
    old = await payer.world.code()
    second = await payer.does(replace(wish, ordinal=2, continuation=first.continuation))
    new = await payer.world.code()
    late = await payer.does(payer.signing(wish, first, new))
    assert isinstance(late, Declined)
    assert late.code is F.SMS_CODE_EXPIRED
    if old != new:
        wrong = await payer.does(payer.signing(wish, second, old, ordinal=2))
        assert isinstance(wrong, Declined)
        assert wrong.code is F.SMS_CODE_WRONG
    assert isinstance(await payer.does(payer.signing(wish, second, new, ordinal=3)), Authenticated)


async def test_a_code_whose_answer_was_lost_is_unknown_and_the_same_card_can_be_bound_again(payer: Payer) -> None:
    wish = payer.wish()
    sent = await payer.does(wish)
    signing = payer.signing(wish, sent, await payer.world.code())
    await payer.world.fault("reset_after", match={"operation": "authenticate", "order_no": wish.number})
    assert isinstance(await payer.does(signing), Unknown)
    assert await payer.bound()


@pytest.mark.parametrize(
    ("tail", "code"), [("1113", F.NAME_MISMATCH), ("1114", F.PHONE_MISMATCH), ("1112", F.ID_MISMATCH)]
)
async def test_a_holder_whom_the_bank_does_not_know_gets_no_sms(payer: Payer, tail: str, code: F) -> None:
    refused = await payer.does(payer.wish(replace(CARD, card_no=f"622202020009876{tail}")))
    assert isinstance(refused, Declined)
    assert refused.code is code


async def test_an_agreement_is_given_up_once_and_pays_nothing_any_more(payer: Payer) -> None:
    agreement_no = await payer.bound()
    unbind = Unbind(uuid4().hex, now(), "ICBC", CARD, payer.user_id, agreement_no)
    assert isinstance(await payer.does(unbind), Unbound)
    assert isinstance(await payer.does(unbind), Unbound)
    refused = await payer.does(payer.payment(agreement_no))
    assert refused == Declined(F.AGREEMENT_VOID, "3003", "签约信息不存在")
    assert await payer.bound() != agreement_no


async def test_an_agreement_belongs_to_its_user(payer: Payer) -> None:
    agreement_no = await payer.bound()
    stranger = Payer(payer.world, "somebody-else")
    refused = await stranger.does(stranger.payment(agreement_no))
    assert isinstance(refused, Declined)
    assert refused.code is F.AGREEMENT_VOID


# Paying with a code


@pytest.mark.parametrize("is_bound", [False, True])
async def test_a_payment_waits_for_its_code_and_then_pays_once(payer: Payer, is_bound: bool) -> None:
    card = OTHER_CARD if is_bound else CARD
    payment = payer.payment(await payer.bound(card) if is_bound else None, card)
    by_code = await payer.asked_for_a_code(payment)
    assert isinstance(await payer.stands(payment), Processing)
    assert isinstance(await payer.does(by_code), Succeeded)
    assert isinstance(await payer.stands(payment), Succeeded)
    again = await payer.does(by_code)
    assert is_unknown(again, received=True)
    [order] = await payer.world.books(payment.number)
    assert (order["amount"], order["state"]) == (AMOUNT, "succeeded")


async def test_a_wrong_code_pays_nothing_and_the_right_one_still_does(payer: Payer) -> None:
    by_code = await payer.asked_for_a_code(payer.payment(None))
    assert by_code.sms_code
    wrong = await payer.does(replace(by_code, sms_code=other_than(by_code.sms_code)))
    assert isinstance(wrong, Declined)
    assert wrong.code is F.SMS_CODE_WRONG
    assert isinstance(await payer.stands(by_code), Processing)
    assert isinstance(await payer.does(replace(by_code, ordinal=2)), Succeeded)


async def test_too_many_wrong_codes_want_another_sms(payer: Payer) -> None:
    payment = payer.payment(None)
    by_code = await payer.asked_for_a_code(payment)
    assert by_code.sms_code
    for _ in range(5):
        assert isinstance(await payer.does(replace(by_code, sms_code=other_than(by_code.sms_code))), Declined)
    used_up = await payer.does(by_code)
    assert isinstance(used_up, Declined)
    assert (used_up.code, used_up.channel_code) == (F.SMS_CODE_EXPIRED, "9702")
    assert isinstance(await payer.does(await payer.asked_for_a_code(replace(payment, ordinal=2))), Succeeded)


async def test_an_expired_code_leaves_the_order_and_another_sms_pays_it(payer: Payer) -> None:
    payment = payer.payment(None)
    by_code = await payer.asked_for_a_code(payment)
    await payer.world.fault("decline", code="1901", match={"operation": "pay", "order_no": payment.number})
    expired = await payer.does(by_code)
    assert isinstance(expired, Declined)
    assert expired.code is F.SMS_CODE_EXPIRED
    assert isinstance(await payer.does(await payer.asked_for_a_code(replace(payment, ordinal=2))), Succeeded)
    [order] = await payer.world.books(payment.number)
    assert (order["state"], order["submissions"]) == ("succeeded", 2)


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "garbage", "wrong_signature"])
async def test_a_lost_answer_to_the_wish_or_to_the_code_is_unknown_and_told_by_asking(payer: Payer, fault: str) -> None:
    waiting, paid = payer.payment(None), payer.payment(None)
    await payer.world.fault(fault, match={"operation": "pay"})
    assert is_unknown(await payer.does(waiting), received=False)
    assert isinstance(await payer.stands(waiting), Processing)
    by_code = await payer.asked_for_a_code(paid)
    await payer.world.fault(fault, match={"operation": "pay"})
    assert is_unknown(await payer.does(by_code), received=False)
    assert isinstance(await payer.world.final(paid), Succeeded)


async def test_a_payment_by_code_may_be_refused_at_once_or_later(payer: Payer) -> None:
    for when, told in (("sync", "6001"), ("final", "FAILURE")):
        by_code = await payer.asked_for_a_code(payer.payment(None))
        await payer.world.fault("decline", code="6001", when=when, match={"operation": "pay"})
        at_once = await payer.does(by_code)
        refused = at_once if when == "sync" else await payer.world.final(by_code)
        assert isinstance(refused, Declined)
        assert (refused.code, refused.channel_code) == (F.INSUFFICIENT_BALANCE, told)
        assert refused.channel_message == "卡余额不足"


# What makes nothing final


async def test_lianlians_own_answers_sent_to_our_callback_address_are_rejected(payer: Payer) -> None:
    heard: list[bytes] = []

    async def listening(request: httpx.Request) -> httpx.Response:
        answer = await payer.world.transport(request)
        heard.append(answer.content)
        return answer

    adapter = build(payer.world.account, listening)
    payment = payer.payment(await payer.bound())
    assert isinstance(await do(adapter, payment), Succeeded)
    assert isinstance(await do(adapter, its_question(payment)), Succeeded)
    assert len(heard) == 2
    for content in heard:
        with pytest.raises(CallbackRejectedError):
            callbacks_of(adapter).read(CallbackRequest("POST", "", {}, content))


async def test_what_another_merchant_signed_is_refused_and_leaves_no_order(payer: Payer) -> None:
    agreement_no = await payer.bound()
    stranger = build(replace(payer.world.account, settings={**payer.world.account.settings, "oid_partner": "2" * 18}),
                     payer.world.transport)  # fmt: skip
    payment = payer.payment(agreement_no)
    refused = await do(stranger, payment)
    assert isinstance(refused, Declined)
    assert (refused.code, refused.channel_code) == (F.CHANNEL_REFUSED, "3001")
    assert await payer.world.books(payment.number) == []
