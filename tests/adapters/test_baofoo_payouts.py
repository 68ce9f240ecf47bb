"""Baofoo's payouts: what their JSON says, reasons in words, the list of a day, and letters that nobody believes.

What they have in common with the payouts of others is in `contract_payouts`.
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, Returned, ReturnedPayout, ReturnReason, ReturnsListed, Succeeded, Unknown
from gateway.domain.terms import Product
from gateway.ports import CallbackRejectedError, CallbackRequest, Provider
from tests.adapters.baofoo_case import MEMBERS, PSP, BaofooCase, a_payout_told, about_payouts, letter
from tests.adapters.case import (
    AMOUNT,
    FIRM,
    NUMBER,
    OTHER_NUMBER,
    PERSON,
    Psp,
    Wire,
    a_days_returns,
    a_payout,
    a_payouts_question,
    callbacks_of,
    do,
    is_unknown,
)

CASE = BaofooCase()


def an_adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


def saying(*items: dict[str, object], code: str = "0000", block: int = 117) -> Psp:
    return lambda request: httpx.Response(200, content=letter(about_payouts([*items], code), block=block))


async def asked(*items: dict[str, object], **settings: object) -> Any:
    return await do(an_adapter(saying(*items), **settings)[0], a_payouts_question())


async def listed(*items: dict[str, object], code: str = "0000") -> Any:
    return await do(an_adapter(saying(*items, code=code))[0], a_days_returns())


async def test_a_payout_says_this_in_yuan_with_the_banks_name() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_payout(purpose="三月\n还款"))
    await do(adapter, a_payout(payee=FIRM))
    assert str(wire.sent[0].url) == "https://baofoo.test/baofoo-fopay/pay/BF0040001.do"
    person, firm = map(CASE.payout_of, wire.sent)
    assert person == {
        "trans_no": NUMBER,
        "trans_money": "123.45",
        "to_acc_name": PERSON.name,
        "to_acc_no": PERSON.account_no,
        "to_bank_name": "中国工商银行",
        "to_pro_name": "",
        "to_city_name": "",
        "to_acc_dept": "",
        "trans_card_id": "",
        "trans_mobile": "",
        "trans_summary": "三月 还款",
    }
    assert [firm[name] for name in ("to_acc_name", "to_pro_name", "to_city_name", "to_acc_dept")] == [
        *(FIRM.name, FIRM.province, FIRM.city, FIRM.branch)
    ]


async def test_payouts_may_have_an_address_and_a_terminal_of_their_own() -> None:
    adapter, wire = an_adapter(payout_url="https://public.baofoo.test", payout_terminal_id="200001999")
    wire.psp = saying(a_payout_told())
    await do(adapter, a_payouts_question())
    assert str(wire.sent[0].url) == "https://public.baofoo.test/baofoo-fopay/pay/BF0040002.do"
    assert b"terminal_id=200001999" in wire.sent[0].content


async def test_a_question_tells_amount_time_and_their_number() -> None:
    item = a_payout_told(trans_orderid=17098873, trans_endtime="2026-03-02 00:31:00")
    assert await asked(item) == Succeeded(AMOUNT, "17098873", datetime(2026, 3, 1, 16, 31, tzinfo=UTC), "1")
    assert await asked(a_payout_told(OTHER_NUMBER), item) == await asked(item)


async def test_one_payout_alone_may_stand_outside_of_a_list() -> None:
    content = about_payouts([]) | {"trans_reqDatas": [{"trans_reqData": a_payout_told()}]}
    adapter, _ = an_adapter(lambda request: httpx.Response(200, content=letter(content)))
    assert isinstance(await do(adapter, a_payouts_question()), Succeeded)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("商户账户余额不足", F.MERCHANT_BALANCE_SHORT),
        ("收款帐号与银行名称不匹配", F.PAYEE_INVALID),
        ("收款人户名不符", F.PAYEE_INVALID),
        ("账户已冻结", F.PAYEE_INVALID),
        ("银行拒绝", F.CHANNEL_REFUSED),
        ("", F.CHANNEL_REFUSED),
    ],
)
async def test_why_a_payout_failed_is_read_from_words(words: str, failure: F) -> None:
    outcome = await asked(a_payout_told(state="-1", trans_remark=words))
    assert outcome == Declined(failure, "-1", words or None)


async def test_an_account_may_explain_more_words() -> None:
    item = a_payout_told(state="-1", trans_remark="渠道维护中")
    outcome = await asked(item, payout_declines={"维护": "channel_unavailable"})
    assert outcome.code is F.CHANNEL_UNAVAILABLE


async def test_a_payout_that_came_back_is_told_with_its_reason() -> None:
    item = a_payout_told(state="2", trans_remark="收款账号不存在")
    assert await asked(item) == Returned(ReturnReason.PAYEE_ACCOUNT_INVALID, "2", "收款账号不存在")


# The list of a day


async def test_the_list_of_a_day_is_asked_for_by_that_day_and_told_whole() -> None:
    items = (
        a_payout_told(state="2", trans_remark="户名不符", trans_orderid=7),
        a_payout_told("madebyhand01", "2", 1_005),
    )
    adapter, wire = an_adapter(saying(*items))
    assert await do(adapter, a_days_returns(date(2026, 3, 5))) == ReturnsListed(
        (
            ReturnedPayout(NUMBER, AMOUNT, Returned(ReturnReason.PAYEE_NAME_MISMATCH, "2", "户名不符"), "7"),
            ReturnedPayout("madebyhand01", 1_005, Returned(ReturnReason.OTHER, "2", None)),
        ),
        "0000",
    )
    assert str(wire.sent[0].url).endswith("/BF0040003.do")
    assert CASE.payout_of(wire.sent[0]) == {"trans_btime": "20260305", "trans_etime": "20260305"}


async def test_a_day_without_returns_is_an_empty_list() -> None:
    assert await listed(code="0401") == ReturnsListed((), "0401")
    assert await listed() == ReturnsListed((), "0000")


@pytest.mark.parametrize(
    "item",
    [
        a_payout_told(state="1"),
        a_payout_told(state="2") | {"trans_no": ""},
        a_payout_told(state="2") | {"trans_money": "-1.00"},
        {},
    ],
)
async def test_a_list_with_a_line_that_cannot_be_read_is_not_taken_at_all(item: dict[str, object]) -> None:
    assert isinstance(await listed(a_payout_told(OTHER_NUMBER, "2"), item), Unknown)
    assert isinstance(await listed(code="0999"), Unknown)


# Who speaks


@pytest.mark.parametrize("block", [32, 64, 117])
async def test_blocks_of_any_length_are_read(block: int) -> None:
    adapter, _ = an_adapter(saying(a_payout_told(), block=block))
    assert isinstance(await do(adapter, a_payouts_question()), Succeeded)


async def test_what_is_told_in_plain_text_is_not_baofoos_word() -> None:
    for content in (about_payouts([], "0401"), about_payouts([], "0001"), about_payouts([a_payout_told()])):
        plain = json.dumps({"trans_content": content}).encode()
        adapter, _ = an_adapter(lambda request, plain=plain: httpx.Response(200, content=plain))  # type: ignore[misc]
        for command in (a_payout(), a_payouts_question(), a_days_returns()):
            assert is_unknown(await do(adapter, command), received=False)


def test_a_notice_of_a_payout_is_rejected_since_it_says_nothing_of_whose_it_is() -> None:
    content = letter(about_payouts([a_payout_told()]), by=PSP).decode()
    member_id, terminal_id = MEMBERS["first"]
    form = {"member_id": member_id, "terminal_id": terminal_id, "data_type": "json", "data_content": content}
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()[0]).read(CallbackRequest("POST", "", {}, urlencode(form).encode()))


def test_no_such_payout_is_never_proof() -> None:
    terms = an_adapter()[0].declaration.terms[Product.PAYOUT]
    assert not terms.proves_lost(10_000, 1e9)
