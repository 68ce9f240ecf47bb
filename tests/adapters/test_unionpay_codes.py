"""UnionPay by SMS: the exact forms, fields under its public key, and a question that might be answered about an SMS.

Not tested here: what the contract holds for every provider (test_contract.py), and the sandbox (test_on_sandbox.py).
"""

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from adapters.account import AccountError
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, Processing, SmsNeeded, Succeeded, Unbound
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, Command, Provider, SendPaymentCode, SendSigningCode, Sign
from tests.adapters.certificates import identity
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    NOTIFY_URL,
    NUMBER,
    SMS_CODE,
    Psp,
    Wire,
    a_payment,
    a_payment_code,
    a_signing,
    a_signing_code,
    an_authentication,
    an_unbinding,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.unionpay_case import MER_IDS, TR_ID, UnionPayCase, customer_of

CASE = UnionPayCase()
ENCRYPTION = identity("041@Z12@test:ENC")
IN_COMMON = {
    "version": "5.1.0",
    "encoding": "UTF-8",
    "signMethod": "01",
    "channelType": "07",
    "accessType": "0",
    "merId": MER_IDS["first"],
    "orderId": NUMBER,
    "txnTime": "20260302003015",
}
TOKEN = f"{{token={AGREEMENT_NO}&trId={TR_ID}}}"
A_CHARGE = a_payment(Scene.QUICK_CHARGE)


def an_adapter(psp: Psp = CASE.processing, account: AccountSettings | None = None) -> tuple[Provider, Wire]:
    wire = Wire(psp)
    return CASE.build(account or CASE.account(), wire), wire


def kind(txn_type: str, subtype: str) -> dict[str, str]:
    return {"txnType": txn_type, "txnSubType": subtype, "bizType": "000902"}


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (a_signing_code(), {**kind("77", "00"), "accType": "01", "accNo": CARD.card_no}),
        (
            a_signing(),
            {
                **kind("79", "00"),
                "accType": "01",
                "accNo": CARD.card_no,
                "tokenPayData": f"{{trId={TR_ID}&tokenType=01}}",
            },
        ),
        (
            a_payment_code(Scene.QUICK_CHARGE, AGREEMENT_NO),
            {
                **kind("77", "02"),
                "accType": "01",
                "tokenPayData": TOKEN,
                "txnAmt": str(AMOUNT),
                "currencyCode": "156",
            },
        ),
        (
            replace(A_CHARGE, sms_code=SMS_CODE),
            {
                **kind("01", "01"),
                "tokenPayData": TOKEN,
                "txnAmt": str(AMOUNT),
                "currencyCode": "156",
                "backUrl": NOTIFY_URL,
            },
        ),
        (an_unbinding(), {**kind("74", "01"), "tokenPayData": TOKEN}),
    ],
    ids=["77/00", "79/00", "77/02", "01/01", "74/01"],
)
async def test_a_transaction_is_this_form(command: Command[Any], own: dict[str, str]) -> None:
    adapter, wire = an_adapter()
    await do(adapter, command)
    fields = CASE.checked(wire.sent[0])
    assert {k: v for k, v in fields.items() if k not in {"certId", "signature", "customerInfo"}} == IN_COMMON | own


async def test_a_charge_without_a_code_says_nothing_of_the_payer() -> None:
    adapter, wire = an_adapter()
    await do(adapter, A_CHARGE)
    assert "customerInfo" not in CASE.checked(wire.sent[0])


@pytest.mark.parametrize("ordinal", [1, 2, 3])
async def test_an_sms_sent_again_and_what_uses_its_code_keep_the_orders_number_and_time(ordinal: int) -> None:
    adapter, wire = an_adapter()
    for command in (
        a_signing_code(ordinal),
        a_signing(None, ordinal),
        a_payment_code(Scene.QUICK_CHARGE, "6", ordinal),
    ):
        wire.psp = lambda request: httpx.Response(500)
        await do(adapter, command)
    told = [dict(parse_qsl(request.content.decode())) for request in wire.sent]
    assert {(each["orderId"], each["txnTime"]) for each in told} == {(NUMBER, IN_COMMON["txnTime"])}


async def test_a_withhold_knows_no_code_and_a_code_no_withhold() -> None:
    adapter, wire = an_adapter()
    for command in (
        replace(a_payment(Scene.WITHHOLD), sms_code=SMS_CODE),
        a_payment_code(Scene.WITHHOLD, AGREEMENT_NO),
    ):
        assert await do(adapter, command) == Declined(F.CARD_UNSUPPORTED)
    assert await do(adapter, a_payment_code(Scene.QUICK_CHARGE, None)) == Declined(F.AGREEMENT_VOID)
    assert wire.sent == []


def test_no_sms_is_sent_before_the_account_says_that_one_order_may_have_several() -> None:
    account = CASE.account()
    unsaid = replace(account, settings={k: v for k, v in account.settings.items() if k != "assumed"})
    assert not {SendSigningCode, Sign, SendPaymentCode} & an_adapter(account=unsaid)[0].commands.keys()
    with pytest.raises(AccountError, match="one_order_for_sms"):
        an_adapter(account=replace(account, settings={**account.settings, "assumed": ["x"]}))


async def test_71_asks_a_silent_opening_for_a_code_and_says_wrong_of_one_that_was_typed() -> None:
    adapter, _ = an_adapter(CASE.sms_needed)
    assert isinstance(await do(adapter, an_authentication()), SmsNeeded)
    assert await do(adapter, a_signing()) == Declined(F.SMS_CODE_WRONG, "71", "说明[71]")


@pytest.mark.parametrize("code", ["40", "72", "77", "80"])
async def test_a_token_that_is_none_any_more_is_unbound(code: str) -> None:
    adapter, _ = an_adapter(lambda request: CASE.answer(request, code))
    assert await do(adapter, an_unbinding()) == Unbound(code)


# A question about a payment whose number an SMS has, too


def answered(**said: str) -> Psp:
    paid = {"origRespCode": "00", "txnAmt": str(AMOUNT), "currencyCode": "156", "queryId": "Q1"}
    return lambda request: CASE._reply(request, "00", **paid | said)


@pytest.mark.parametrize(("scene", "txn_type"), [(Scene.QUICK_CHARGE, "01"), (Scene.WITHHOLD, "11")])
@pytest.mark.parametrize("stated", ["settleAmt", "origTxnType"])
async def test_a_payment_succeeded_where_the_answer_states_what_no_sms_can(
    scene: Scene, txn_type: str, stated: str
) -> None:
    said = {"settleAmt": {"settleAmt": str(AMOUNT)}, "origTxnType": {"origTxnType": txn_type}}[stated]
    adapter, _ = an_adapter(answered(**said))
    assert await do(adapter, its_question(scene)) == Succeeded(AMOUNT, "Q1", channel_code="00")


@pytest.mark.parametrize("said", [{}, {"settleAmt": ""}, {"settleAmt": "x"}, {"origTxnType": ""}])
@pytest.mark.parametrize("scene", [Scene.QUICK_CHARGE, Scene.WITHHOLD])
async def test_a_success_that_may_be_the_sms_is_unknown_and_no_later_not_found_proves_anything(
    scene: Scene, said: dict[str, str]
) -> None:
    adapter, _ = an_adapter(answered(**said))
    assert is_unknown(await do(adapter, its_question(scene)), received=True)


@pytest.mark.parametrize("code", ["00", "A6", "64", "79", "03", "05", "Z9"])
async def test_what_is_said_of_the_sms_says_nothing_of_the_payment(code: str) -> None:
    for said in ({}, {"settleAmt": str(AMOUNT)}):
        adapter, _ = an_adapter(answered(origTxnType="77", origRespCode=code, **said))
        assert is_unknown(await do(adapter, its_question(Scene.QUICK_CHARGE)), received=False)


async def test_what_is_no_success_needs_no_settlement() -> None:
    for code, outcome in (("64", Declined), ("05", Processing)):
        adapter, _ = an_adapter(answered(origRespCode=code))
        assert isinstance(await do(adapter, its_question(Scene.QUICK_CHARGE)), outcome)
    adapter, _ = an_adapter(lambda request: CASE._reply(request, "34", origTxnType="77"))
    assert isinstance(await do(adapter, its_question(Scene.QUICK_CHARGE)), NotFound)


# Under UnionPay's public key


def encrypting(pem: str = ENCRYPTION.pem) -> AccountSettings:
    account = CASE.account()
    return replace(account, secrets={**account.secrets, "encryption_certificate": pem})


def opened(sealed: str) -> str:
    return ENCRYPTION.key.decrypt(base64.b64decode(sealed, validate=True), PKCS1v15()).decode()


async def test_with_a_certificate_number_and_phone_go_out_encrypted_and_nothing_else_changes() -> None:
    plain, secret = an_adapter(), an_adapter(account=encrypting())
    commands = (
        an_authentication(),
        a_signing_code(),
        a_signing(),
        a_payment(Scene.WITHHOLD),
        a_payment_code(Scene.QUICK_CHARGE, AGREEMENT_NO),
        replace(A_CHARGE, sms_code=SMS_CODE),
        an_unbinding(),
    )
    for command in commands:
        for adapter, wire in (plain, secret):
            wire.psp = lambda request: httpx.Response(500)
            await do(adapter, command)
        before, after = (dict(parse_qsl(wire.sent[-1].content.decode())) for _, wire in (plain, secret))
        customer = customer_of(after)
        if sealed := customer.pop("encryptedInfo", None):
            customer["phoneNo"] = opened(sealed).removeprefix("phoneNo=")
        assert customer == customer_of(before)
        has_secret = "accNo" in before or "phoneNo" in customer
        assert after.pop("encryptCertId", None) == (str(ENCRYPTION.certificate.serial_number) if has_secret else None)
        if "accNo" in after:
            after["accNo"] = opened(after["accNo"])
        unsigned = {"signature", "customerInfo"}
        assert {k: v for k, v in after.items() if k not in unsigned} == {
            k: v for k, v in before.items() if k not in unsigned
        }
        if has_secret:
            body = secret[1].sent[-1].content.decode()
            assert CARD.card_no not in body
            assert CARD.phone not in body
            assert CARD.phone not in base64.b64decode(after["customerInfo"]).decode()


@pytest.mark.parametrize("pem", ["", "rubbish", ENCRYPTION.key_pem])
def test_an_encryption_certificate_that_is_none_is_refused_by_name(pem: str) -> None:
    with pytest.raises(AccountError, match="encryption_certificate"):
        an_adapter(account=encrypting(pem))
