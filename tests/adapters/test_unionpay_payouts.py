"""UnionPay's payouts (12/00): their form, codes that are no final word, notices that are of payouts alone.

What they have in common with the payouts of others is in `contract_payouts`.
"""

import base64
from dataclasses import replace
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, Processing, Succeeded
from gateway.domain.payees import PayeeType
from gateway.domain.terms import Product
from gateway.ports import CallbackRejectedError, Provider
from tests.adapters.case import (
    AMOUNT,
    FIRM,
    NOTIFY_URL,
    NUMBER,
    PERSON,
    Psp,
    Wire,
    a_payout,
    a_payouts_question,
    callbacks_of,
    do,
    is_unknown,
)
from tests.adapters.certificates import identity
from tests.adapters.unionpay_case import UnionPayCase, a_notice, a_payouts_notice, customer_of, notification

CASE = UnionPayCase()


def an_adapter(psp: Psp = CASE.processing) -> tuple[Provider, Wire]:
    wire = Wire(psp)
    return CASE.build(CASE.account(), wire), wire


async def test_a_payout_is_this_form() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_payout(purpose="三月 还款 {a=b&c}"))
    fields = CASE.checked(wire.sent[0])
    assert {name: value for name, value in fields.items() if name not in {"certId", "signature", "customerInfo"}} == {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "01",
        "txnType": "12",
        "txnSubType": "00",
        "bizType": "000401",
        "channelType": "07",
        "accessType": "0",
        "accType": "01",
        "merId": CASE.account().settings["mer_id"],
        "orderId": NUMBER,
        "txnTime": "20260302003015",
        "accNo": PERSON.account_no,
        "txnAmt": str(AMOUNT),
        "currencyCode": "156",
        "backUrl": NOTIFY_URL,
        "billNo": "三月 还款 ｛a＝b＆c｝",
    }
    assert customer_of(fields) == {"customerNm": PERSON.name}


async def test_a_payees_number_goes_out_encrypted_where_the_account_has_a_key_for_it() -> None:
    key, account, wire = identity("Test encryption"), CASE.account(), Wire(lambda request: httpx.Response(500))
    secrets = {**account.secrets, "encryption_certificate": key.pem}
    await do(CASE.build(replace(account, secrets=secrets), wire), a_payout())
    fields = dict(parse_qsl(wire.sent[0].content.decode("ascii"), strict_parsing=True))
    assert key.key.decrypt(base64.b64decode(fields["accNo"]), PKCS1v15()).decode() == PERSON.account_no
    assert fields["encryptCertId"] == str(key.certificate.serial_number)


async def test_a_firm_is_not_paid_and_nothing_is_sent() -> None:
    adapter, wire = an_adapter()
    assert isinstance(await do(adapter, a_payout(payee=FIRM)), Declined)
    assert wire.sent == []
    rules = adapter.declaration.payees
    assert rules is not None
    assert set(rules.needs) == {PayeeType.PERSONAL}


@pytest.mark.parametrize("code", ["01", "12", "34", "60"])
async def test_what_would_end_a_payment_ends_no_payout(code: str) -> None:
    adapter, _ = an_adapter(lambda request: CASE.answer(request, code))
    assert is_unknown(await do(adapter, a_payout()), received=True)
    assert is_unknown(await do(adapter, a_payouts_question()), received=True)


def test_a_notice_is_about_what_its_type_says() -> None:
    reader = callbacks_of(an_adapter()[0])
    payout = reader.read(notification(a_payouts_notice()))
    assert (payout.verb, type(payout.outcome)) == (Verb.PAYOUT, Succeeded)
    assert reader.read(notification(a_notice())).verb is Verb.PAY
    unsettled = reader.read(notification(a_payouts_notice() | {"settleAmt": ""}))
    assert (unsettled.verb, type(unsettled.outcome)) == (Verb.PAYOUT, Processing)
    with pytest.raises(CallbackRejectedError):
        reader.read(notification(a_payouts_notice() | {"txnSubType": "01"}))


def test_nobody_asks_after_a_success_whether_it_came_back() -> None:
    assert an_adapter()[0].declaration.terms[Product.PAYOUT].watch is None
