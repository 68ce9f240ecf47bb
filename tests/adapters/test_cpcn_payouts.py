"""CPCN's payouts (1341, 1350, 1348): what their XML says, returns, and notices that are of nothing else.

What they have in common with the payouts of others is in `contract_payouts`.
"""

from dataclasses import replace

import pytest

from adapters.account import AccountError
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Outcome, Processing, Returned, ReturnReason, Succeeded, Unknown
from gateway.domain.terms import Product
from gateway.ports import CallbackRejectedError, Provider
from tests.adapters.case import AMOUNT, FIRM, NUMBER, PERSON, Psp, Wire, a_payout, a_payouts_question, callbacks_of, do
from tests.adapters.cpcn_case import (
    STRANGER,
    CpcnCase,
    document,
    fields_of,
    form_of,
    notice_of,
    page_notice_of,
    payout_notice_of,
)

CASE = CpcnCase()


def an_adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


def told(text: bytes) -> Outcome:
    """What a notice with this text says of its payout."""
    callback = callbacks_of(an_adapter()[0]).read(form_of(text))
    assert (callback.number, callback.verb) == (NUMBER, Verb.PAYOUT)
    return callback.outcome


async def test_a_payout_to_a_person_and_to_a_firm_say_this() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_payout(purpose="三月\n还款 <b>"))
    await do(adapter, a_payout(payee=FIRM))
    person, firm = map(fields_of, wire.sent)
    assert person == {
        "TxCode": "1341",
        "InstitutionID": "900001",
        "SerialNumber": NUMBER,
        "OrderNo": NUMBER,
        "Amount": str(AMOUNT),
        "Remark": "三月 还款 <b>",
        "AccountType": "11",
        "PaymentAccountName": "",
        "PaymentAccountNumber": "",
        "BankID": "102",
        "AccountName": PERSON.name,
        "AccountNumber": PERSON.account_no,
        "BranchName": "",
        "Province": "",
        "City": "",
    }
    assert (firm["AccountType"], firm["AccountNumber"]) == ("12", FIRM.account_no)
    assert (firm["BranchName"], firm["Province"], firm["City"]) == (FIRM.branch, "浙江省", "杭州市")


async def test_an_account_may_name_the_market_order_that_its_payouts_settle() -> None:
    adapter, wire = an_adapter(market_order_no="MARKET20260301")
    await do(adapter, a_payout())
    assert fields_of(wire.sent[0])["OrderNo"] == "MARKET20260301"
    with pytest.raises(AccountError, match="market_order_no"):
        an_adapter(market_order_no="a b")
    with pytest.raises(AccountError, match="payout_declines"):
        an_adapter(payout_declines={"2000": "payee_invalid"})


async def test_a_payout_that_came_back_is_told_by_notice_and_by_question_alike() -> None:
    words = {"ErrorMessage": "收款人户名与账号不符"}
    returned = Returned(ReturnReason.PAYEE_NAME_MISMATCH, "50", "收款人户名与账号不符")
    assert isinstance(told(payout_notice_of(NUMBER, AMOUNT)), Succeeded)
    assert told(payout_notice_of(NUMBER, AMOUNT, "50", **words)) == returned
    adapter, _ = an_adapter(lambda request: CASE.told(request, Status="50", Amount=str(AMOUNT), **words))
    assert await do(adapter, a_payouts_question()) == returned


def test_a_notice_without_a_readable_amount_pays_nothing() -> None:
    for amount in ("", "12.5", "-1"):
        assert isinstance(told(payout_notice_of(NUMBER, amount)), Unknown)


def test_a_state_means_what_it_means_of_payouts_whatever_other_notices_call_so() -> None:
    reader = callbacks_of(an_adapter()[0])
    for text in (notice_of(NUMBER, AMOUNT, "40"), page_notice_of(NUMBER, AMOUNT)):
        assert reader.read(form_of(text)).verb is Verb.PAY
    assert isinstance(told(payout_notice_of(NUMBER, AMOUNT, "30")), Processing)
    assert isinstance(told(payout_notice_of(NUMBER, AMOUNT, "20")), Unknown)


@pytest.mark.parametrize("tx", ["1131", "1350", "1341", "2838"])
def test_a_notice_about_something_else_is_rejected(tx: str) -> None:
    text = payout_notice_of(NUMBER, AMOUNT).replace(b"1348", tx.encode())
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()[0]).read(form_of(text))


def test_a_notice_that_somebody_else_signed_or_about_another_institution_is_rejected() -> None:
    reader = callbacks_of(an_adapter()[0])
    foreign = document("Request", {"TxCode": "1348"}, {"InstitutionID": "900002", "SerialNumber": NUMBER})
    for request in (form_of(payout_notice_of(NUMBER, AMOUNT), by=STRANGER), form_of(foreign)):
        with pytest.raises(CallbackRejectedError):
            reader.read(request)


def test_no_such_payout_proves_nothing_however_often_it_is_heard() -> None:
    assert not an_adapter()[0].declaration.terms[Product.PAYOUT].proves_lost(10_000, 1e9)
