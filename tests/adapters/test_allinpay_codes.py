"""Allinpay's agreements: the exact XML of 310001, 310002, 310003 and 310011, which SMS a code answers, what texts tell.

Not tested here: what the contract holds for every provider (test_allinpay.py), and the sandbox (test_on_sandbox.py).
"""

from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Authenticated, CodeSent, Declined, Processing, Unbound, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import Command, Pay, Provider, SendSigningCode, Sign, Unbind
from tests.adapters.allinpay_case import SIGNED_MSG, URL, AllinpayCase, field
from tests.adapters.contract import (
    AGREEMENT_NO,
    CARD,
    NUMBER,
    SMS_CODE,
    OnTheWire,
    Psp,
    Wire,
    a_payment,
    a_signing,
    a_signing_code,
    an_unbinding,
    do,
)

CASE = AllinpayCase()
HOLDER = "<ID_TYPE>0</ID_TYPE><ID>110101199003074477</ID><TEL>13812340077</TEL>"


def an_adapter(psp: Psp = CASE.processing) -> tuple[Provider, Wire]:
    wire = Wire(psp)
    return CASE.build(CASE.account(), wire), wire


def _told(code: str, request: httpx.Request) -> httpx.Response:
    return CASE.in_body(request, code)


def envelope(trx_code: str, req_sn: str, body: str) -> str:
    return (
        f'<?xml version="1.0" encoding="GBK"?><AIPG><INFO><TRX_CODE>{trx_code}</TRX_CODE><VERSION>03</VERSION>'
        "<DATA_TYPE>2</DATA_TYPE><LEVEL>5</LEVEL><MERCHANT_ID>100000000000001</MERCHANT_ID>"
        "<USER_NAME>10000000000000104</USER_NAME><USER_PASS>the password of the merchant</USER_PASS>"
        f"<REQ_SN>{req_sn}</REQ_SN></INFO>{body}</AIPG>"
    )


@pytest.mark.parametrize(
    ("command", "trx_code", "suffix", "body"),
    [
        (
            a_signing_code(),
            "310001",
            "S1",
            (
                "<FAGRA><MERCHANT_ID>100000000000001</MERCHANT_ID><BANK_CODE>0102</BANK_CODE><ACCOUNT_TYPE>00</ACCOUNT_TYPE>"
                "<ACCOUNT_NO>6222020200098761234</ACCOUNT_NO><ACCOUNT_NAME>张三丰</ACCOUNT_NAME>"
                f"<ACCOUNT_PROP>0</ACCOUNT_PROP>{HOLDER}</FAGRA>"
            ),
        ),
        (
            a_signing(f"{NUMBER}S2", ordinal=3),
            "310002",
            "C3",
            (
                f"<FAGRC><MERCHANT_ID>100000000000001</MERCHANT_ID><SRCREQSN>{NUMBER}S2</SRCREQSN>"
                f"<VERCODE>{SMS_CODE}</VERCODE></FAGRC>"
            ),
        ),
        (
            an_unbinding(),
            "310003",
            "",
            f"<FAGRCNL><MERCHANT_ID>100000000000001</MERCHANT_ID><AGRMNO>{AGREEMENT_NO}</AGRMNO></FAGRCNL>",
        ),
        (
            a_payment(Scene.QUICK_CHARGE),
            "310011",
            "",
            (
                "<FASTTRX><BUSINESS_CODE>19900</BUSINESS_CODE><MERCHANT_ID>100000000000001</MERCHANT_ID>"
                f"<SUBMIT_TIME>20260302003015</SUBMIT_TIME><AGRMNO>{AGREEMENT_NO}</AGRMNO>"
                "<ACCOUNT_NO>6222020200098761234</ACCOUNT_NO><ACCOUNT_NAME>张三丰</ACCOUNT_NAME><AMOUNT>12345</AMOUNT>"
                f"<CURRENCY>CNY</CURRENCY>{HOLDER}<CUST_USERID>user-1</CUST_USERID></FASTTRX>"
            ),
        ),
    ],
    ids=["310001", "310002", "310003", "310011"],
)
async def test_a_request_is_this_xml(command: Command[Any], trx_code: str, suffix: str, body: str) -> None:
    adapter, wire = an_adapter()
    await do(adapter, command)
    told = SIGNED_MSG.sub(b"", wire.sent[0].content).decode("gbk")
    assert told == envelope(trx_code, NUMBER + suffix, body)
    assert str(wire.sent[0].url) == f"{URL}?MERCHANT_ID=100000000000001&REQ_SN={NUMBER}{suffix}"


async def test_a_withhold_pays_by_the_agreement_where_there_is_one_and_a_charge_only_so() -> None:
    adapter, wire = an_adapter()
    withhold = a_payment(Scene.WITHHOLD)
    for payment in (withhold, replace(withhold, agreement_no=AGREEMENT_NO)):
        assert isinstance(await do(adapter, payment), Processing)
    assert [field(request, "INFO/TRX_CODE") for request in wire.sent] == ["100011", "310011"]
    assert [CASE.read(request) for request in wire.sent] == [OnTheWire(NUMBER, withhold.amount)] * 2
    charge = replace(a_payment(Scene.QUICK_CHARGE), agreement_no=None)
    assert await do(adapter, charge) == Declined(F.AGREEMENT_VOID)
    assert len(wire.sent) == 2


async def test_a_code_answers_the_newest_sms_and_every_request_has_a_number_of_its_own() -> None:
    adapter, wire = an_adapter(lambda request: CASE.in_body(request, "0000"))
    first = await do(adapter, a_signing_code())
    assert isinstance(first, CodeSent)
    second = await do(adapter, a_signing_code(2, first.continuation))
    assert isinstance(second, CodeSent)
    for ordinal, continuation in ((1, second.continuation), (2, second.continuation)):
        assert await do(adapter, a_signing(continuation, ordinal)) == Authenticated(AGREEMENT_NO, "0000")
    numbers = [field(request, "INFO/REQ_SN") for request in wire.sent]
    assert numbers == [f"{NUMBER}{own}" for own in ("S1", "S2", "C1", "C2")]
    assert [CASE.continued(request) for request in wire.sent] == [None, None, f"{NUMBER}S2", f"{NUMBER}S2"]


async def test_a_code_whose_sms_had_no_readable_answer_answers_the_first_one() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_signing(None))
    assert CASE.continued(wire.sent[0]) == f"{NUMBER}S1"


async def test_numbers_of_requests_stay_within_forty_characters() -> None:
    adapter, wire = an_adapter()
    for ordinal in (1, 10, 9_999_999):
        await do(adapter, a_signing_code(ordinal))
        await do(adapter, a_signing(None, ordinal))
    assert max(len(field(request, "INFO/REQ_SN")) for request in wire.sent) == 40


@pytest.mark.parametrize(
    ("code", "text", "failure"),
    [
        ("3999", "短信验证码错误", F.SMS_CODE_WRONG),
        ("3999", "验证码不正确", F.SMS_CODE_WRONG),
        ("3999", "验证码已过期，请重新获取", F.SMS_CODE_EXPIRED),
        ("3071", "验证码已失效", F.SMS_CODE_EXPIRED),
        ("3999", "验证码超时", F.SMS_CODE_EXPIRED),
        ("3999", "其他错误", F.CHANNEL_REFUSED),
        ("3031", "账户名不符", F.NAME_MISMATCH),
    ],
)
async def test_the_text_tells_a_wrong_code_from_an_expired_one_and_from_other_refusals(
    code: str, text: str, failure: F
) -> None:
    adapter, _ = an_adapter(lambda request: CASE.in_body(request, code, text))
    assert await do(adapter, a_signing()) == Declined(failure, code, text)


@pytest.mark.parametrize(
    ("code", "text"), [("3051", "验证码重复提交"), ("2000", "验证码校验中"), ("4000", "验证码错误")]
)
async def test_no_text_makes_a_refusal_of_what_is_none(code: str, text: str) -> None:
    adapter, _ = an_adapter(lambda request: CASE.in_body(request, code, text))
    assert isinstance(await do(adapter, a_signing()), Unknown)


async def test_a_signing_that_worked_without_an_agreement_number_is_unknown() -> None:
    body = "<FAGRCRET><RET_CODE>0000</RET_CODE><AGRMNO> </AGRMNO></FAGRCRET>"
    adapter, _ = an_adapter(lambda request: CASE.said(request, "0000", body))
    assert isinstance(await do(adapter, a_signing()), Unknown)


@pytest.mark.parametrize(
    "command", [a_signing_code(), a_signing(), an_unbinding()], ids=lambda each: type(each).__name__
)
async def test_a_request_that_was_taken_without_a_word_in_the_body_is_unknown(command: Command[Any]) -> None:
    adapter, _ = an_adapter(lambda request: CASE.said(request, "0000"))
    assert isinstance(await do(adapter, command), Unknown)


async def test_an_agreement_that_is_gone_is_unbound_and_one_not_yet_in_force_is_refused() -> None:
    for code in ("3043", "3045", "3047"):
        adapter, _ = an_adapter(partial(_told, code))
        assert await do(adapter, an_unbinding()) == Unbound(code)
    adapter, _ = an_adapter(lambda request: CASE.in_body(request, "3046"))
    assert isinstance(await do(adapter, an_unbinding()), Declined)


async def test_a_card_that_cannot_be_written_gets_no_sms() -> None:
    adapter, wire = an_adapter()
    unwritable = replace(a_signing_code(), card=replace(CARD, holder_name="王一䶮"))
    for command in (unwritable, replace(a_signing_code(), bank="BJBANK")):
        outcome = await do(adapter, command)
        assert isinstance(outcome, Declined)
        assert outcome.code is F.CARD_UNSUPPORTED
    assert wire.sent == []


def test_no_card_is_signed_before_the_account_says_how_a_wrong_code_is_told() -> None:
    account = CASE.account()
    unsaid = replace(account, settings={k: v for k, v in account.settings.items() if k != "assumed"})
    commands = CASE.build(unsaid, Wire(CASE.processing)).commands.keys()
    assert not {SendSigningCode, Sign} & commands
    assert {Unbind, Pay} <= commands
