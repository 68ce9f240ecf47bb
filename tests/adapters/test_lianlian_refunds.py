"""LianLian's refunds: what goes out, and what the contract (test_lianlian) cannot say of all adapters."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AskRefund, Callback, CallbackReader, CallbackRejectedError, Refund
from tests.adapters.contract import (
    AMOUNT,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    Wire,
    a_refund,
    a_refunds_question,
    callbacks_of,
    do,
    is_unknown,
)
from tests.adapters.lianlian_case import PARTNERS, LianLianCase, a_refunds_notice, as_json, notice, signed

CASE = LianLianCase()
QUICK = Scene.QUICK_CHARGE
REFUND_NO = "2026030213121299"


def reader(*without: str) -> CallbackReader:
    account = CASE.account()
    assumed: Any = account.settings["assumed"]
    settings = {**account.settings, "assumed": [name for name in assumed if name not in without]}
    return callbacks_of(CASE.build(replace(account, settings=settings), Wire(CASE.processing)))


async def test_a_refund_names_its_payment_by_our_number_and_its_question_itself() -> None:
    wire = Wire(CASE.processing)
    adapter = CASE.build(CASE.account(), wire)
    await do(adapter, a_refund(QUICK))
    await do(adapter, a_refunds_question(QUICK))
    itself = {"oid_partner": PARTNERS["first"], "sign_type": "RSA", "no_refund": NUMBER, "dt_refund": "20260302003015"}
    refund, question = (
        {name: text for name, text in CASE.checked(request).items() if name != "sign"} for request in wire.sent
    )
    assert refund == {
        **itself,
        "no_order": OTHER_NUMBER,
        "dt_order": "20260301003015",
        "money_refund": "123.45",
        "notify_url": NOTIFY_URL,
    }
    assert question == itself
    assert [request.url.path for request in wire.sent] == ["/ll/traderapi/refund.htm", "/ll/queryapi/refundquery.htm"]


async def test_a_refund_of_another_scene_or_with_too_long_an_address_is_declined_unsent() -> None:
    wire = Wire(CASE.processing)
    adapter = CASE.build(CASE.account(), wire)
    too_long = replace(a_refund(QUICK), notify_url="https://pay.example.com/" + "c" * 128)
    for unwritable in (a_refund(Scene.WITHHOLD), too_long):
        outcome = await do(adapter, unwritable)
        assert isinstance(outcome, Declined)
        assert outcome.code is F.CHANNEL_REFUSED
    assert not wire.sent


async def test_a_refund_may_be_answered_finally_and_its_number_there_is_kept() -> None:
    for state, expected in (
        ("0", Processing("0", channel_transaction_no=REFUND_NO)),
        ("2", Succeeded(AMOUNT, REFUND_NO, channel_code="2")),
        ("3", Declined(F.CHANNEL_REFUSED, "3", channel_transaction_no=REFUND_NO)),
    ):
        adapter = CASE.build(CASE.account(), Wire(partial(CASE.refund_state, state=state)))
        assert await do(adapter, a_refund(QUICK)) == await do(adapter, a_refunds_question(QUICK)) == expected


@pytest.mark.parametrize("money", ["", "1e3", "-123.45", "123.456", "一百"])
async def test_what_was_given_back_states_its_amount_or_is_unknown(money: str) -> None:
    adapter = CASE.build(CASE.account(), Wire(lambda request: CASE.refund_state(request, "2", money_refund=money)))
    assert is_unknown(await do(adapter, a_refunds_question(QUICK)), received=True)
    told = {**a_refunds_notice(), "money_refund": money}
    assert isinstance(reader().read(notice(told)).outcome, Unknown)


async def test_an_answer_that_names_no_refund_is_not_believed() -> None:
    said = {"oid_partner": PARTNERS["first"], "ret_code": "0000", "sta_refund": "2", "money_refund": "123.45"}
    adapter = CASE.build(CASE.account(), Wire(lambda request: as_json(signed(said))))
    for command in (a_refund(QUICK), a_refunds_question(QUICK)):
        assert is_unknown(await do(adapter, command), received=False)


def test_a_refunds_notice_is_about_the_refund_alone_with_a_return_code_or_without() -> None:
    told = a_refunds_notice()
    without = {name: text for name, text in told.items() if name not in {"ret_code", "ret_msg"}}
    for fields in (told, without):
        assert reader().read(notice(fields)) == Callback(
            NUMBER, Verb.REFUND, Succeeded(AMOUNT, REFUND_NO, channel_code="2")
        )


@pytest.mark.parametrize("more", [{"no_order": OTHER_NUMBER}, {"result_pay": "SUCCESS"}])
def test_what_names_a_payment_is_no_refunds_notice(more: dict[str, str]) -> None:
    try:
        callback = reader().read(notice({**a_refunds_notice(), **more}))
    except CallbackRejectedError:
        return
    assert callback.verb is not Verb.REFUND


def test_without_its_assumption_nothing_goes_back_and_no_notice_of_one_is_believed() -> None:
    account = CASE.account()
    settings = {**account.settings, "assumed": ["short_risk_item", "same_number_again"]}
    commands = CASE.build(replace(account, settings=settings), Wire(CASE.processing)).commands
    assert not {Refund, AskRefund} & commands.keys()
    with pytest.raises(CallbackRejectedError):
        reader("refund_product").read(notice(a_refunds_notice()))


def test_a_refunds_notice_that_is_not_signed_by_lianlian_is_rejected() -> None:
    request = notice(a_refunds_notice())
    body = json.loads(request.body)
    for altered in ({**body, "sta_refund": "3"}, {**body, "no_refund": OTHER_NUMBER}, {**body, "sign": ""}):
        with pytest.raises(CallbackRejectedError):
            reader().read(replace(request, body=json.dumps(altered).encode()))
