"""Allinpay's refunds (REFUND): what their XML says, and what only they can be told: a merchant without money, a return.

What they have in common with the refunds of others is in `contract`.
"""

from dataclasses import replace

import pytest

from adapters.account import AccountError
from adapters.allinpay.codes import DECLINES, REFUND_DECLINES
from gateway.domain.failures import MEANINGS, Blame, FailureCode
from gateway.domain.outcomes import Declined, NotFound, Processing, Returned, ReturnReason, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import AskPayment, AskRefund, Provider, Refund
from tests.adapters.allinpay_case import AllinpayCase, field, read_xml
from tests.adapters.case import (
    AMOUNT,
    NUMBER,
    OTHER_NUMBER,
    Psp,
    Wire,
    a_payment,
    a_refund,
    a_refunds_question,
    do,
    is_unknown,
    its_question,
)

CASE = AllinpayCase()
SCENES = (Scene.WITHHOLD, Scene.QUICK_CHARGE)


def an_adapter(psp: Psp, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


@pytest.mark.parametrize("scene", SCENES)
async def test_a_refund_names_its_payment_by_our_number_and_says_this(scene: Scene) -> None:
    adapter, wire = an_adapter(CASE.processing)
    await do(adapter, replace(a_refund(scene), original_transaction_no=None))
    body = read_xml(wire.sent[0].content).find("REFUND")
    assert body is not None
    assert {str(leaf.tag): leaf.text for leaf in body} == {
        "BUSINESS_CODE": "09200",
        "MERCHANT_ID": CASE.account().settings["merchant_id"],
        "SUBMIT_TIME": "20260302003015",
        "ORGBATCHID": OTHER_NUMBER,
        "ORGBATCHSN": "0",
        "AMOUNT": str(AMOUNT),
        "REMARK": "退款 March",
    }
    assert [field(wire.sent[0], f"INFO/{name}") for name in ("TRX_CODE", "VERSION", "DATA_TYPE")] == [
        "REFUND",
        "04",
        "2",
    ]
    assert field(wire.sent[0], "INFO/REQ_SN") == NUMBER


async def test_any_reason_is_sent_and_none_leaves_its_element_out() -> None:
    adapter, wire = an_adapter(CASE.processing, refund_business_code="09201")
    for reason in ("", "䶮" * 99, "多收\r\n<b>&", "\ud800\x00"):
        assert isinstance(await do(adapter, replace(a_refund(Scene.WITHHOLD), reason=reason)), Processing)
    told = [read_xml(request.content).findtext("REFUND/REMARK") for request in wire.sent]
    assert told == [None, "?" * 15, "多收\n<b>&", "??"]
    assert field(wire.sent[0], "REFUND/BUSINESS_CODE") == "09201"


async def test_what_is_not_paid_here_is_declined_and_nothing_is_sent() -> None:
    adapter, wire = an_adapter(CASE.processing)
    outcome = await do(adapter, a_refund(Scene.NETBANK_CHARGE))
    assert isinstance(outcome, Declined)
    assert outcome.code is FailureCode.CHANNEL_REFUSED
    assert wire.sent == []


async def test_a_question_is_about_the_refund_and_never_about_its_payment() -> None:
    adapter, wire = an_adapter(CASE.succeeded)
    for tries in (0, 1, 12):
        assert isinstance(await do(adapter, a_refunds_question(Scene.WITHHOLD, tries)), Succeeded)
    assert {field(request, "QTRANSREQ/QUERY_SN") for request in wire.sent} == {NUMBER}
    assert len({field(request, "INFO/REQ_SN") for request in wire.sent}) == 3
    # The payment's line beside it, or alone, says nothing of the refund.
    payment, refund = CASE.detail(OTHER_NUMBER, "0000", 2 * AMOUNT), CASE.detail(NUMBER, "3008", AMOUNT)
    wire.psp = lambda request: CASE.told(request, payment, refund)
    outcome = await do(adapter, a_refunds_question(Scene.WITHHOLD))
    assert isinstance(outcome, Declined)
    assert outcome.code is FailureCode.MERCHANT_BALANCE_SHORT
    wire.psp = lambda request: CASE.told(request, payment)
    assert is_unknown(await do(adapter, a_refunds_question(Scene.WITHHOLD)), received=False)


async def test_a_refund_that_came_back_is_told_by_a_question_alone_and_never_of_a_payment() -> None:
    told = CASE.detail(NUMBER, "3056", AMOUNT).replace("说明", "账户已销户")
    adapter, wire = an_adapter(lambda request: CASE.told(request, told))
    back = Returned(ReturnReason.PAYEE_ACCOUNT_ABNORMAL, "3056", "账户已销户")
    assert await do(adapter, a_refunds_question(Scene.WITHHOLD)) == back
    assert is_unknown(await do(adapter, its_question(Scene.WITHHOLD)), received=True)
    wire.psp = lambda request: CASE.answer(request, "3056")
    assert is_unknown(await do(adapter, a_refund(Scene.WITHHOLD)), received=True)


async def test_a_code_may_mean_one_thing_of_refunds_and_another_of_payments() -> None:
    adapter, _ = an_adapter(lambda request: CASE.answer(request, "3998"), refund_declines={"3998": "channel_refused"})
    assert isinstance(await do(adapter, a_refund(Scene.WITHHOLD)), Declined)
    assert isinstance(await do(adapter, a_refunds_question(Scene.WITHHOLD)), Declined)
    assert isinstance(await do(adapter, a_payment(Scene.WITHHOLD)), Unknown)
    adapter, _ = an_adapter(lambda request: CASE.answer(request, "3998"), declines={"3998": "insufficient_balance"})
    assert isinstance(await do(adapter, a_refund(Scene.WITHHOLD)), Unknown)
    with pytest.raises(AccountError, match="refund_declines"):
        an_adapter(CASE.processing, refund_declines={"3051": "channel_refused"})


def test_every_refusal_of_a_payment_has_a_meaning_of_a_refund_that_blames_no_payer() -> None:
    assert REFUND_DECLINES.keys() == DECLINES.keys()
    of_the_card = {
        FailureCode(f"card_{name}") for name in ("invalid", "lost", "expired", "frozen", "closed", "unsupported")
    }
    rest = set(REFUND_DECLINES.values()) - of_the_card - {FailureCode.RISK_REJECTED}
    assert {MEANINGS[code].blame for code in rest} == {Blame.CHANNEL, Blame.PLATFORM}


async def test_an_empty_answer_proves_nothing_before_a_day_is_over() -> None:
    adapter, _ = an_adapter(CASE.not_found)
    assert isinstance(await do(adapter, a_refunds_question(Scene.WITHHOLD)), NotFound)
    terms = adapter.declaration.terms[Product.REFUND]
    assert not terms.proves_lost(1000, 24 * 3600.0)
    assert terms.proves_lost(6, 25 * 3600.0)


def test_there_are_refunds_only_where_the_account_says_how_they_are_told() -> None:
    for assumed in ([], ["refund_question"], ["refund_codes"]):
        adapter, _ = an_adapter(CASE.processing, assumed=assumed)
        assert AskPayment in adapter.commands
        assert not {Refund, AskRefund} & adapter.commands.keys()
