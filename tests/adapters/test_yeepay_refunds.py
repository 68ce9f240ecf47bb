"""YeePay's refunds: what goes out, and what the contract (test_yeepay) cannot say of all adapters."""

from dataclasses import replace

import httpx
import pytest

from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, Processing, Returned, ReturnReason, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from tests.adapters.contract import (
    NUMBER,
    OTHER_NUMBER,
    TRANSACTION_NO,
    Psp,
    Wire,
    a_refund,
    a_refunds_question,
    do,
    is_unknown,
)
from tests.adapters.yeepay_case import COMMAND, MER_IDS, NODE, YeePayCase, refund_found, taken, told

CASE = YeePayCase()
PAGE = Scene.NETBANK_CHARGE


async def answered(psp: Psp, *, asks: bool = False) -> object:
    adapter = CASE.build(CASE.account(), Wire(psp))
    return await do(adapter, a_refunds_question(PAGE) if asks else a_refund(PAGE))


def saying(answer: httpx.Response) -> Psp:
    return lambda request: answer


async def test_a_refund_names_its_payment_by_yeepays_number_and_so_does_its_question_at_another_address() -> None:
    wire = Wire(CASE.processing)
    adapter = CASE.build(CASE.account(), wire)
    await do(adapter, replace(a_refund(PAGE), reason='多收 "A#B" 𠮷'))
    await do(adapter, a_refunds_question(PAGE))
    refund, question = (
        {name: text for name, text in CASE.checked(request).items() if not name.startswith("hmac")}
        for request in wire.sent
    )
    itself = {"p1_MerId": MER_IDS["first"], "p2_Order": NUMBER, "pb_TrxId": TRANSACTION_NO}
    assert refund == {
        "p0_Cmd": "RefundOrd", **itself, "p3_Amt": "123.45", "p4_Cur": "CNY", "p5_Desc": '多收 "A＃B" ?',
    }  # fmt: skip
    assert question == {"p0_Cmd": "RefundResults", **itself}
    assert [str(request.url) for request in wire.sent] == [COMMAND, NODE]


@pytest.mark.parametrize("number", [None, ""])
async def test_without_yeepays_number_of_the_payment_nothing_is_sent(number: str | None) -> None:
    wire = Wire(CASE.processing)
    adapter = CASE.build(CASE.account(), wire)
    refused = await do(adapter, replace(a_refund(PAGE), original_transaction_no=number))
    assert isinstance(refused, Declined)
    assert refused.code is F.CHANNEL_REFUSED
    assert isinstance(await do(adapter, a_refund(Scene.QUICK_CHARGE)), Declined)
    asked = await do(adapter, replace(a_refunds_question(PAGE), original_transaction_no=number))
    assert is_unknown(asked, received=False)
    assert not wire.sent


async def test_taken_on_is_not_given_back_and_says_what_of_the_fee_is() -> None:
    assert await answered(saying(taken(NUMBER, "123.45", fee="1.05"))) == Processing(
        "1", channel_transaction_no=TRANSACTION_NO, fee_returned=105
    )


@pytest.mark.parametrize("fee", ["", "-0.12", "1e3", "0.123", "一", "9" * 20])
async def test_a_fee_that_is_none_is_none(fee: str) -> None:
    outcome = await answered(saying(taken(NUMBER, "123.45", fee=fee)))
    assert isinstance(outcome, Processing)
    assert outcome.fee_returned is None


@pytest.mark.parametrize("answer", [taken(NUMBER, "123.46"), taken(NUMBER, "")])
async def test_taken_on_with_another_amount_is_unknown(answer: httpx.Response) -> None:
    assert is_unknown(await answered(saying(answer)), received=True)


@pytest.mark.parametrize("code", ["1", "10", "18"])
async def test_what_stands_outside_of_the_signatures_can_only_make_an_answer_less_believed(code: str) -> None:
    assert is_unknown(await answered(saying(taken(OTHER_NUMBER, "123.45", code))), received=False)
    assert not isinstance(await answered(saying(taken("", "123.45", code))), Unknown)


async def test_how_it_stands_at_the_bank_is_how_it_stands() -> None:
    for state, expected in (
        ("1", Processing("1", channel_transaction_no=TRANSACTION_NO)),
        ("2", Succeeded(None, TRANSACTION_NO, channel_code="2")),
        ("3", Declined(F.CHANNEL_REFUSED, "3", channel_transaction_no=TRANSACTION_NO)),
        ("4", Returned(ReturnReason.BANK_REJECTED, "4")),
    ):
        assert await answered(saying(told(refund_found(NUMBER, state))), asks=True) == expected


@pytest.mark.parametrize(("state", "taken_on"), [("", "1"), ("0", "1"), ("2", ""), ("2", "0"), ("3", "2")])
async def test_a_status_without_a_meaning_ends_nothing(state: str, taken_on: str) -> None:
    assert is_unknown(
        await answered(saying(told(refund_found(NUMBER, state, taken_on=taken_on))), asks=True), received=True
    )


async def test_no_such_refund_is_not_found_and_proves_nothing() -> None:
    assert await answered(saying(told(refund_found("", "", "-3", ""))), asks=True) == NotFound("-3")
    assert CASE.adapter.DECLARATION.terms[Product.REFUND].not_found is None
    other = refund_found(OTHER_NUMBER, "", "-3", "")
    assert is_unknown(await answered(saying(told(other)), asks=True), received=False)


async def test_an_answer_to_another_command_is_no_word_on_a_refund() -> None:
    assert is_unknown(await answered(saying(told(refund_found(NUMBER, "2")))), received=False)
    assert is_unknown(await answered(saying(taken(NUMBER, "123.45")), asks=True), received=False)


def test_what_was_paid_out_is_asked_about_for_a_month() -> None:
    watch = CASE.adapter.DECLARATION.terms[Product.REFUND].watch
    assert watch is not None
    assert watch.for_s == 30 * 86_400
    assert sum(watch.gaps_s) <= watch.for_s
