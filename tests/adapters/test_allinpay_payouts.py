"""Allinpay's payouts (100014): what their XML says, and what only they can be told: a return, a merchant without money.

What they have in common with the payouts of others is in `contract_payouts`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.account import AccountError
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, Returned, ReturnReason, Succeeded, Unknown
from gateway.domain.terms import Product
from gateway.ports import Payout, Provider
from tests.adapters.allinpay_case import AllinpayCase, read_xml
from tests.adapters.case import AMOUNT, FIRM, NUMBER, PERSON, Psp, Wire, a_payout, a_payouts_question, do, is_unknown

CASE = AllinpayCase()


def an_adapter(psp: Psp, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


async def said_of(payout: Payout, **settings: object) -> Mapping[str, str]:
    """The leaves of the body that is sent."""
    adapter, wire = an_adapter(CASE.processing, **settings)
    await do(adapter, payout)
    trans = read_xml(wire.sent[0].content).find("TRANS")
    assert trans is not None
    return {str(leaf.tag): leaf.text or "" for leaf in trans}


PERSONS: Mapping[str, Any] = {
    "BUSINESS_CODE": "00600",
    "MERCHANT_ID": CASE.account().settings["merchant_id"],
    "SUBMIT_TIME": "20260302003015",
    "BANK_CODE": "0102",
    "ACCOUNT_NO": PERSON.account_no,
    "ACCOUNT_NAME": PERSON.name,
    "ACCOUNT_PROP": "0",
    "AMOUNT": str(AMOUNT),
    "CURRENCY": "CNY",
    "SUMMARY": "还款 March",
}


async def test_a_payout_to_a_person_says_this() -> None:
    assert await said_of(a_payout()) == PERSONS
    told = await said_of(a_payout(purpose="䶮" * 99), payout_business_code="09400")
    assert (told["BUSINESS_CODE"], told["SUMMARY"]) == ("09400", "?" * 15)


async def test_a_payout_to_a_firm_says_where_its_account_is_kept_too() -> None:
    assert await said_of(a_payout(payee=FIRM)) == {
        **PERSONS,
        "ACCOUNT_NO": FIRM.account_no,
        "ACCOUNT_NAME": FIRM.name,
        "ACCOUNT_PROP": "1",
        "PROVINCE": "浙江省",
        "CITY": "杭州市",
        "BANK_NAME": "中国工商银行杭州西湖支行",
        "UNION_BANK": "102331000013",
    }


@pytest.mark.parametrize(
    ("words", "reason"),
    [("户名不符", ReturnReason.PAYEE_NAME_MISMATCH), ("账户已销户", ReturnReason.PAYEE_ACCOUNT_ABNORMAL)],
)
async def test_a_payout_that_came_back_days_later_is_found_by_asking_again(words: str, reason: ReturnReason) -> None:
    told = CASE.detail(NUMBER, "3056", AMOUNT).replace("说明", words)
    adapter, wire = an_adapter(CASE.succeeded)
    assert isinstance(await do(adapter, a_payouts_question(tries=3)), Succeeded)
    wire.psp = lambda request: CASE.told(request, told)
    assert await do(adapter, a_payouts_question(tries=40)) == Returned(reason, "3056", words)


async def test_a_return_is_believed_of_a_question_alone() -> None:
    adapter, _ = an_adapter(lambda request: CASE.answer(request, "3056"))
    assert is_unknown(await do(adapter, a_payout()), received=True)


async def test_a_code_may_mean_one_thing_of_payouts_and_another_of_payments() -> None:
    adapter, _ = an_adapter(
        lambda request: CASE.answer(request, "3998"), payout_declines={"3998": "merchant_balance_short"}
    )
    outcome = await do(adapter, a_payout())
    assert isinstance(outcome, Declined)
    assert outcome.code is FailureCode.MERCHANT_BALANCE_SHORT
    adapter, _ = an_adapter(lambda request: CASE.answer(request, "3998"), declines={"3998": "insufficient_balance"})
    assert isinstance(await do(adapter, a_payout()), Unknown)
    with pytest.raises(AccountError, match="payout_declines"):
        an_adapter(CASE.processing, payout_declines={"3056": "payee_invalid"})


def test_an_empty_answer_proves_nothing_before_a_day_is_over() -> None:
    terms = an_adapter(CASE.processing)[0].declaration.terms
    assert not terms[Product.PAYOUT].proves_lost(1000, 24 * 3600.0)
    assert terms[Product.PAYOUT].proves_lost(6, 25 * 3600.0)
