"""Allinpay TLT: the contract suite on respx, and what only its protocol has.

Not tested here: sockets (`test_http`), a PSP with a memory of its own (`test_on_sandbox`), and the real platform, whose
bank codes and meanings of 3xxx are known from third parties only.
"""

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from adapters.account import AccountError
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    Pay,
    Payout,
    Provider,
    Refund,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.allinpay_case import SIGNED_MSG, URL, AllinpayCase, field, signed
from tests.adapters.contract import (
    AMOUNT,
    CARD,
    NUMBER,
    OTHER_NUMBER,
    Contract,
    OnTheWire,
    Psp,
    Wire,
    a_payment,
    do,
    is_unknown,
    its_question,
)

CASE = AllinpayCase()


class TestAllinpay(Contract):
    case = CASE


def adapter(psp: Psp = CASE.processing) -> tuple[Provider, Wire]:
    wire = Wire(psp)
    return CASE.build(CASE.account(), wire), wire


async def queried(psp: Psp) -> Outcome:
    return await do(adapter(psp)[0], its_question(Scene.WITHHOLD))


async def paid(psp: Psp) -> Outcome:
    return await do(adapter(psp)[0], a_payment(Scene.WITHHOLD))


# What goes out


async def test_a_collect_is_this_xml() -> None:
    provider, wire = adapter()
    await do(provider, a_payment(Scene.WITHHOLD))
    assert SIGNED_MSG.sub(b"", wire.sent[0].content).decode("gbk") == (
        '<?xml version="1.0" encoding="GBK"?><AIPG><INFO><TRX_CODE>100011</TRX_CODE><VERSION>03</VERSION>'
        "<DATA_TYPE>2</DATA_TYPE><LEVEL>5</LEVEL><USER_NAME>10000000000000104</USER_NAME>"
        "<USER_PASS>the password of the merchant</USER_PASS>"
        "<REQ_SN>0190a1b2c3d47e5f8a9b0c1d2e3f4a5b</REQ_SN></INFO><TRANS><BUSINESS_CODE>19900</BUSINESS_CODE>"
        "<MERCHANT_ID>100000000000001</MERCHANT_ID><SUBMIT_TIME>20260302003015</SUBMIT_TIME><BANK_CODE>0102</BANK_CODE>"
        "<ACCOUNT_TYPE>00</ACCOUNT_TYPE><ACCOUNT_NO>6222020200098761234</ACCOUNT_NO>"
        "<ACCOUNT_NAME>张三丰</ACCOUNT_NAME><ACCOUNT_PROP>0</ACCOUNT_PROP><AMOUNT>12345</AMOUNT>"
        "<CURRENCY>CNY</CURRENCY><ID_TYPE>0</ID_TYPE><ID>110101199003074477</ID><TEL>13812340077</TEL>"
        "<CUST_USERID>user-1</CUST_USERID></TRANS></AIPG>"
    )
    assert str(wire.sent[0].url) == f"{URL}?MERCHANT_ID=100000000000001&REQ_SN={NUMBER}"


async def test_its_question_is_this_xml() -> None:
    provider, wire = adapter()
    await do(provider, its_question(Scene.WITHHOLD, tries=3))
    assert SIGNED_MSG.sub(b"", wire.sent[0].content).decode("gbk") == (
        '<?xml version="1.0" encoding="GBK"?><AIPG><INFO><TRX_CODE>200004</TRX_CODE><VERSION>04</VERSION>'
        "<DATA_TYPE>2</DATA_TYPE><LEVEL>5</LEVEL><USER_NAME>10000000000000104</USER_NAME>"
        "<USER_PASS>the password of the merchant</USER_PASS>"
        "<REQ_SN>0190a1b2c3d47e5f8a9b0c1d2e3f4a5bQ3</REQ_SN></INFO><QTRANSREQ>"
        "<MERCHANT_ID>100000000000001</MERCHANT_ID><QUERY_SN>0190a1b2c3d47e5f8a9b0c1d2e3f4a5b</QUERY_SN>"
        "<STATUS>2</STATUS><TYPE>1</TYPE></QTRANSREQ></AIPG>"
    )


async def test_every_query_of_an_order_has_a_number_of_its_own_within_forty_characters() -> None:
    provider, wire = adapter()
    for tries in (0, 1, 9, 10, 9_999_999):
        await do(provider, its_question(Scene.WITHHOLD, tries))
    numbers = [field(request, "INFO/REQ_SN") for request in wire.sent]
    assert len({NUMBER, *numbers}) == 6
    assert max(map(len, numbers)) <= 40


@pytest.mark.parametrize("name", ["朱镕", "买买提·艾力", "A<B>&'\"C", "]]>", "<SIGNED_MSG>00</SIGNED_MSG>", "</INFO>"])
async def test_a_name_that_gbk_can_write_arrives_as_it_is(name: str) -> None:
    provider, wire = adapter()
    payment = replace(a_payment(Scene.WITHHOLD), card=replace(CARD, holder_name=name))
    assert isinstance(await do(provider, payment), Processing)
    assert field(wire.sent[0], "TRANS/ACCOUNT_NAME") == name
    assert CASE.read(wire.sent[0]) == OnTheWire(NUMBER, AMOUNT)


@pytest.mark.parametrize("name", ["王一䶮", "𠮷野", "张\x00三", "\ud800"])
async def test_a_name_that_gbk_cannot_write_is_declined_and_nothing_is_sent(name: str) -> None:
    provider, wire = adapter()
    outcome = await do(provider, replace(a_payment(Scene.WITHHOLD), card=replace(CARD, holder_name=name)))
    assert isinstance(outcome, Declined)
    assert outcome.code is F.CARD_UNSUPPORTED
    assert name not in repr(outcome)
    assert wire.sent == []


async def test_a_strange_user_id_costs_no_payment() -> None:
    provider, wire = adapter()
    assert isinstance(await do(provider, replace(a_payment(Scene.WITHHOLD), user_id="用户😀\x01")), Processing)
    assert field(wire.sent[0], "TRANS/CUST_USERID") == "用户??"


async def test_a_bank_without_a_code_here_or_another_scene_is_declined_and_nothing_is_sent() -> None:
    provider, wire = adapter()
    for payment in (replace(a_payment(Scene.WITHHOLD), bank="BJBANK"), a_payment(Scene.NETBANK_CHARGE)):
        assert await do(provider, payment) == Declined(F.CARD_UNSUPPORTED)
    assert wire.sent == []


def test_it_signs_by_sms_collects_gives_back_pays_out_and_is_asked_about_money_and_the_balance() -> None:
    provider, _ = adapter()
    about_money = {Pay, AskPayment, Refund, AskRefund, Payout, AskPayout}
    assert set(provider.commands) == {SendSigningCode, Sign, Unbind, *about_money, AskBalance}
    assert provider.callbacks is None


# What comes back


async def test_its_question_tells_amount_and_time_and_the_words_of_a_refusal() -> None:
    assert await queried(CASE.succeeded) == Succeeded(
        AMOUNT, channel_finished_at=datetime(2026, 3, 1, 16, 31, tzinfo=UTC), channel_code="0000"
    )
    refused = await queried(lambda request: CASE.answer(request, "3008"))
    assert refused == Declined(F.INSUFFICIENT_BALANCE, "3008", "说明")


async def test_a_refusal_in_the_head_of_a_submission_reads_by_the_same_table() -> None:
    assert await paid(lambda request: CASE.said(request, "3058")) == Declined(F.CHANNEL_REFUSED, "3058", "处理完成")
    assert is_unknown(await paid(lambda request: CASE.said(request, "3051")), received=True)


@pytest.mark.parametrize("code", ["3044", "3050"])
async def test_a_refusal_that_may_hide_moved_money_is_believed_only_from_its_question(code: str) -> None:
    assert isinstance(await paid(lambda request: CASE.answer(request, code)), Unknown)
    assert isinstance(await queried(lambda request: CASE.answer(request, code)), Declined)


async def test_an_accepted_submission_without_a_result_is_unknown() -> None:
    assert is_unknown(await paid(lambda request: CASE.said(request, "0000")), received=True)
    assert is_unknown(await paid(lambda request: CASE.said(request, "")), received=True)


async def test_a_rightly_signed_answer_to_another_request_is_unknown() -> None:
    first = adapter()
    await do(first[0], a_payment(Scene.WITHHOLD, number=OTHER_NUMBER))
    replayed = CASE.answer(first[1].sent[0], "0000")
    assert isinstance(await paid(lambda request: replayed), Unknown)


async def test_its_question_without_exactly_one_line_about_the_order_is_unknown() -> None:
    ours, other = CASE.detail(NUMBER, "0000", AMOUNT), CASE.detail(OTHER_NUMBER, "3008", 1)
    assert is_unknown(await queried(lambda request: CASE.told(request)), received=False)
    assert is_unknown(await queried(lambda request: CASE.told(request, ours, ours)), received=True)
    assert isinstance(await queried(lambda request: CASE.told(request, other, ours)), Succeeded)


@pytest.mark.parametrize("amount", ["", "123.45", "-12345", "12345元", "1e5", "１２３", "9" * 40])
async def test_a_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    told = await queried(lambda request: CASE.told(request, CASE.detail(NUMBER, "0000", amount)))
    assert is_unknown(told, received=True)


async def test_an_unreadable_finishing_time_costs_nothing_but_itself() -> None:
    def told(request: httpx.Request) -> httpx.Response:
        return CASE.told(request, CASE.detail(NUMBER, "0000", AMOUNT).replace("20260302003100", "yesterday"))

    assert await queried(told) == Succeeded(AMOUNT, channel_code="0000")


async def test_entities_are_never_expanded_even_when_rightly_signed() -> None:
    bomb = '<!DOCTYPE AIPG [<!ENTITY a "0000">]>'

    def told(request: httpx.Request) -> httpx.Response:
        text = SIGNED_MSG.sub(b"@", CASE.succeeded(request).content).decode("gbk")
        return signed(text.replace("?>", f"?>{bomb}", 1), head="")

    assert isinstance(await queried(told), Unknown)


async def test_a_signature_moved_into_another_element_hides_nothing() -> None:
    def told(request: httpx.Request) -> httpx.Response:
        genuine = CASE.answer(request, "3008").content
        found = SIGNED_MSG.search(genuine)
        assert found
        rest = SIGNED_MSG.sub(b"", genuine)
        return httpx.Response(200, content=rest.replace(b"3008", b"30" + found[0] + b"08"))

    assert await queried(told) == Declined(F.INSUFFICIENT_BALANCE, "3008", "说明")


@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>'])
async def test_an_answer_that_does_not_declare_gbk_is_unknown(head: str) -> None:
    def told(request: httpx.Request) -> httpx.Response:
        text = SIGNED_MSG.sub(b"@", CASE.succeeded(request).content).decode("gbk")
        return signed(text.partition("?>")[2], head=head)

    assert isinstance(await queried(told), Unknown)


async def test_an_answer_beyond_all_measure_is_unknown_and_a_long_message_is_cut() -> None:
    def told(request: httpx.Request, length: int) -> httpx.Response:
        return CASE.told(request, CASE.detail(NUMBER, "3008", AMOUNT).replace("说明", "长" * length))

    assert isinstance(await queried(lambda request: told(request, 200_000)), Unknown)
    outcome = await queried(lambda request: told(request, 5_000))
    assert isinstance(outcome, Declined)
    assert outcome.channel_message == "长" * 256


# The account


@pytest.mark.parametrize(
    ("field_name", "value"),
    [
        ("url", None),
        ("url", "tlt.example.com"),
        ("url", "ftp://tlt.example.com/"),
        ("merchant_id", None),
        ("merchant_id", 100000000000001),
        ("user_name", ""),
        ("user_name", "䶮"),
        ("business_code", 19900),
        ("declines", "3998"),
        ("declines", {"0000": "card_invalid"}),
        ("declines", {"3998": "no_such_code"}),
        ("declines", {"3998": ["card_invalid"]}),
        ("declines", {"3051": "channel_refused"}),
    ],
)
def test_a_wrong_setting_is_named(field_name: str, value: object) -> None:
    account = CASE.account()
    settings = {**account.settings, field_name: value}
    with pytest.raises(AccountError, match=field_name):
        CASE.build(replace(account, settings=settings), Wire(CASE.processing))


@pytest.mark.parametrize("field_name", ["user_pass", "merchant_private_key", "psp_certificate"])
def test_a_missing_or_wrong_secret_is_named_and_not_shown(field_name: str) -> None:
    account = CASE.account()
    for value in ("", "rubbish 䶮"):
        with pytest.raises(AccountError, match=field_name) as raised:
            CASE.build(replace(account, secrets={**account.secrets, field_name: value}), Wire(CASE.processing))
        assert "rubbish" not in str(raised.value)


async def test_an_account_may_explain_codes_of_its_own_products() -> None:
    account = CASE.account()
    account = replace(account, settings={**account.settings, "declines": {"3998": "card_unsupported"}})
    provider = CASE.build(account, Wire(lambda request: CASE.answer(request, "3998")))
    outcome = await do(provider, its_question(Scene.WITHHOLD))
    assert outcome == Declined(F.CARD_UNSUPPORTED, "3998", "说明")


async def test_an_account_may_override_plan_rule_business_code_and_patience() -> None:
    account = CASE.account()
    settings = {**account.settings, "business_code": "10600"}
    terms = {Product.PAYMENT: OwnTerms(poll_gaps_s=(1.0,), answer_timeout_s=2)}
    wire = Wire(CASE.processing)
    provider = CASE.build(replace(account, settings=settings, terms=terms), wire)
    await do(provider, a_payment(Scene.WITHHOLD))
    assert provider.declaration.terms[Product.PAYMENT].poll_gaps_s[-1] == 1
    assert wire.sent[0].extensions["timeout"] == {"connect": 5.0, "read": 2, "write": 2, "pool": 2}
    assert field(wire.sent[0], "TRANS/BUSINESS_CODE") == "10600"
