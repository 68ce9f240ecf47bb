"""The contract suite for YeePay net-bank, and what only its protocol has.

Not tested here: sockets, and a PSP with a memory of its own (`test_yeepay_on_sandbox`).
"""

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from adapters.account import AccountError
from adapters.registry import offer_for
from adapters.yeepay import YeePay
from adapters.yeepay.codes import BANKS
from adapters.yeepay.form import in_gbk
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.outcomes import Closed, NotFound, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, CallbackRejectedError, CallbackRequest, Cancel
from tests.adapters.contract import (
    AMOUNT,
    NUMBER,
    OTHER_NUMBER,
    Contract,
    Wire,
    a_cancel,
    a_redirect,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.yeepay_case import KEYS, TRX_ID, YeePayCase, by_browser, by_server, found, notice, told

CASE = YeePayCase()
PAGE = Scene.NETBANK_CHARGE
ODD_AMOUNTS = ("", "123.456", "1e3", "1,234.56", "-1.00", "１.00", "0x10", " 1.00", "1.00 ", ".50", "12.", "NaN")


class TestYeePay(Contract):
    case = CASE


def an_adapter(answer: httpx.Response | None = None) -> YeePay:
    return YeePay(CASE.account(), Wire(lambda request: answer or httpx.Response(500)))


def read(request: CallbackRequest) -> object:
    return callbacks_of(an_adapter()).read(request).outcome


# The form


async def test_the_form_of_a_payment_is_this() -> None:
    form = await an_adapter().redirect(a_redirect(PAGE, description="三月还款"))
    fields = dict(form.fields)
    assert (form.method, form.charset) == ("POST", "gbk")
    assert len(fields.pop("hmac")) == len(fields.pop("hmac_safe")) == 32
    assert fields == {
        "p0_Cmd": "Buy",
        "p1_MerId": "10000000001",
        "p2_Order": NUMBER,
        "p3_Amt": "123.45",
        "p4_Cur": "CNY",
        "p5_Pid": "三月还款",
        "p6_Pcat": "",
        "p7_Pdesc": "",
        "p8_Url": "https://pay.example.com/return/m1.acc_1",
        "p9_SAF": "0",
        "pa_MP": "",
        "pb_ServerNotifyUrl": "https://pay.example.com/c/abcdefgh",
        "pd_FrpId": "ICBC-NET-B2C",
        "pm_Period": "900",
        "pn_Unit": "second",
        "pr_NeedResponse": "1",
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("三月还款", "三月还款"),
        ("一二三四五六七八九十末", "一二三四五六七八九十"),
        ("a一二三四五六七八九十", "a一二三四五六七八九"),
        ("x" * 21, "x" * 20),
        ("測試 𠮷 €", "測試 ? ?"),
        ("a#b", "a＃b"),
        ("第一行\r\n第二行\t\x00末", "第一行 第二行 末"),
        (" \u3000 ", ""),
        ("x" * 19 + " y", "x" * 19),
    ],
)
def test_a_text_is_brought_to_gbk_before_it_is_signed(text: str, written: str) -> None:
    assert " ".join(in_gbk(text, 20).split()) == written
    assert len(in_gbk(text, 20).encode("gbk")) <= 20


async def test_every_bank_has_a_page_of_its_own_and_an_unknown_one_is_chosen_at_yeepay() -> None:
    told = {}
    for bank in (*BANKS, "ANY", "*", "HSBANK"):
        told[bank] = (await an_adapter().redirect(a_redirect(PAGE, bank=bank))).fields["pd_FrpId"]
    assert {told.pop(bank) for bank in ("ANY", "*", "HSBANK")} == {""}
    assert len(set(told.values())) == len(BANKS) == 17
    assert all(code.endswith("-NET-B2C") for code in told.values())
    assert (told["CMB"], told["CMBC"]) == ("CMBCHINA-NET-B2C", "CMBC-NET-B2C")


@pytest.mark.parametrize(("length", "told"), [(50, True), (51, False)])
async def test_an_address_that_does_not_fit_is_left_out_and_the_length_is_declared(length: int, told: bool) -> None:
    address = "https://pay.example.com/c/".ljust(length, "x")
    form = await an_adapter().redirect(replace(a_redirect(PAGE), notify_url=address))
    assert form.fields["pb_ServerNotifyUrl"] == (address if told else "")
    assert YeePay.DECLARATION.callback_url_chars == 50


# Answers


async def test_an_order_that_is_paid_tells_their_number_and_when() -> None:
    outcome = await do(an_adapter(told(found(NUMBER, "SUCCESS", "123.45"))), its_question(PAGE))
    assert outcome == Succeeded(AMOUNT, TRX_ID, datetime(2026, 3, 1, 16, 31, 2, tzinfo=UTC), "SUCCESS")


@pytest.mark.parametrize(("said", "fen"), [("0.29", 29), ("8.20", 820), ("8.2", 820), ("1000000", 100_000_000)])
async def test_an_amount_is_read_exactly(said: str, fen: int) -> None:
    outcome = await do(an_adapter(told(found(NUMBER, "SUCCESS", said))), its_question(PAGE))
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == fen


@pytest.mark.parametrize("amount", ODD_AMOUNTS)
async def test_a_success_with_an_odd_amount_is_unknown(amount: str) -> None:
    answer = told(found(NUMBER, "SUCCESS", amount))
    assert is_unknown(await do(an_adapter(answer), its_question(PAGE)), received=True)
    assert is_unknown(read(by_browser(notice(NUMBER, amount))), received=True)


async def test_a_success_in_another_currency_is_unknown() -> None:
    fields = found(NUMBER, "SUCCESS", "123.45") | {"r4_Cur": "USD"}
    assert is_unknown(await do(an_adapter(told(fields)), its_question(PAGE)), received=True)
    assert is_unknown(read(by_browser(notice(NUMBER, "123.45", r4_Cur="USD"))), received=True)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01 00:00:00"])
async def test_a_success_without_a_readable_time_is_a_success(time: str) -> None:
    fields = found(NUMBER, "SUCCESS", "123.45") | {"ry_FinshTime": time}
    assert await do(an_adapter(told(fields)), its_question(PAGE)) == Succeeded(AMOUNT, TRX_ID, None, "SUCCESS")


async def test_no_such_order_is_believed_without_a_number_and_not_about_another() -> None:
    unnumbered, other = (found(number, "", "", pid="", code="50") for number in ("", OTHER_NUMBER))
    assert isinstance(await do(an_adapter(told(unnumbered)), its_question(PAGE)), NotFound)
    assert is_unknown(await do(an_adapter(told(other)), its_question(PAGE)), received=False)


async def test_an_answer_that_names_no_order_says_nothing_of_ours() -> None:
    assert is_unknown(await do(an_adapter(told(found("", "SUCCESS", "123.45"))), its_question(PAGE)), received=False)


@pytest.mark.parametrize("code", ["1", "50", "53"])
async def test_an_answer_to_giving_up_is_none_to_a_question_though_its_signature_fits(code: str) -> None:
    answer = told({"r0_Cmd": "CancelOrd", "r1_Code": code})
    assert is_unknown(await do(an_adapter(answer), its_question(PAGE)), received=False)


async def test_both_signatures_must_be_right() -> None:
    for spoiled in ("hmac", "hmac_safe"):
        lines = told(found(NUMBER, "SUCCESS", "123.45")).text.splitlines()
        text = "\n".join(f"{spoiled}={'0' * 32}" if line.startswith(f"{spoiled}=") else line for line in lines)
        answer = httpx.Response(200, content=text.encode("ascii"))
        assert is_unknown(await do(an_adapter(answer), its_question(PAGE)), received=False)
        with pytest.raises(CallbackRejectedError):
            read(by_browser(notice(NUMBER, "123.45") | {spoiled: "0" * 32}))


async def test_what_stands_in_one_field_cannot_be_moved_into_the_next() -> None:
    fields = notice(NUMBER, "123.45")
    moved = fields | {"r2_TrxId": f"{TRX_ID}1", "r3_Amt": "23.45"}  # the same text without separators
    with pytest.raises(CallbackRejectedError):
        read(by_browser(moved))


async def test_a_line_that_is_there_twice_is_not_believed() -> None:
    answer = told(found(NUMBER, "SUCCESS", "123.45"))
    twice = httpx.Response(200, content=answer.content + b"r3_Amt=1.00\n")
    assert isinstance(await do(an_adapter(twice), its_question(PAGE)), Unknown)


async def test_an_order_that_was_given_up_is_closed_to_a_question() -> None:
    assert await do(an_adapter(told(found(NUMBER, "CANCELED", "123.45"))), its_question(PAGE)) == Closed("CANCELED")


# Notices


@pytest.mark.parametrize("description", ['"A&B"=1', "还款 50% + 1", "a b+c", "＃é"])
def test_notices_bring_our_text_back_by_either_way(description: str) -> None:
    written = in_gbk(description, 20)
    for by, way in (("1", by_browser), ("2", by_server)):
        assert isinstance(read(way(notice(NUMBER, "123.45", by, r5_Pid=written))), Succeeded)


def test_what_our_own_address_brings_along_is_left_alone() -> None:
    browser, server = (by_browser(notice(NUMBER, "1.00")), by_server(notice(NUMBER, "1.00", "2")))
    assert isinstance(read(replace(browser, query="merchant=m1&x=%20y&x=2")), Succeeded)
    assert isinstance(read(replace(server, query=f"merchant=m1&x=+y&{server.query}&x=2")), Succeeded)


def test_a_field_that_comes_by_both_ways_is_not_believed() -> None:
    with pytest.raises(CallbackRejectedError):
        read(replace(by_browser(notice(NUMBER, "1.00")), query="r3_Amt=1.00"))


@pytest.mark.parametrize(
    "changed",
    [{"r0_Cmd": "QueryOrdDetail"}, {"r0_Cmd": "RefundOrd"}, {"r9_BType": ""}, {"r9_BType": "9"}, {"r6_Order": "a_b"},
     {"r6_Order": ""}, {"r6_Order": "x" * 51}, {"p1_MerId": "10000000002"}],
    ids=lambda changed: "=".join(*changed.items()),
)  # fmt: skip
def test_a_signed_message_that_is_no_notice_of_ours_is_rejected(changed: dict[str, str]) -> None:
    with pytest.raises(CallbackRejectedError):
        read(by_browser(notice(NUMBER, "123.45", **changed)))


def test_a_notice_that_is_none_of_success_ends_nothing() -> None:
    assert is_unknown(read(by_browser(notice(NUMBER, "123.45", r1_Code="0"))), received=True)


@pytest.mark.parametrize(
    "request_",
    [
        CallbackRequest("POST", "", {}, b"\xff\xfe"),
        CallbackRequest("GET", "r5_Pid=%FF%FF", {}, b""),
        CallbackRequest("GET", "x=1&" * 5000, {}, b""),
        CallbackRequest("GET", "&".join(f"a{n}=1" for n in range(100)), {}, b""),
    ],
    ids=["bytes", "no GBK", "long", "many"],
)
def test_what_is_no_form_is_rejected(request_: CallbackRequest) -> None:
    with pytest.raises(CallbackRejectedError):
        read(request_)


def test_a_notice_is_thanked_with_the_word_that_stops_the_sends() -> None:
    reader = callbacks_of(an_adapter())
    assert (reader.answer(accepted=True).status, reader.answer(accepted=True).body) == (200, b"SUCCESS")
    refused = reader.answer(accepted=False)
    assert (refused.status, b"SUCCESS" in refused.body) == (400, False)


# The account


def test_giving_up_waits_for_the_accounts_word() -> None:
    unsure = AccountContent("main", "yeepay", {"assumed": []}, {})
    assert Cancel not in offer_for(unsure).commands
    assert Cancel in offer_for(replace(unsure, settings={"assumed": ["cancelled_stays_unpaid"]})).commands


@pytest.mark.parametrize(
    ("field", "value"),
    [("node_url", None), ("node_url", "ftp://x"), ("command_url", " "), ("mer_id", "12a"), ("mer_id", None),
     ("key", None), ("key", " ")],
)  # fmt: skip
def test_a_wrong_account_is_refused_by_name_without_its_content(field: str, value: str | None) -> None:
    account = CASE.account()
    changed = {name: dict(getattr(account, name)) for name in ("settings", "secrets")}
    place = changed["secrets" if field == "key" else "settings"]
    if value is None:
        del place[field]
    else:
        place[field] = value
    broken = AccountSettings(account.code, account.provider, changed["settings"], changed["secrets"])
    with pytest.raises(AccountError, match=f"yeepay-first: {field}") as refused:
        YeePay(broken, Wire(CASE.succeeded))
    assert KEYS["first"] not in str(refused.value)


async def test_giving_up_names_the_order_by_our_number() -> None:
    wire = Wire(CASE.cancelled)
    await do(CASE.build(CASE.account(), wire), a_cancel(PAGE))
    fields = CASE.checked(wire.sent[0])
    assert {name: fields[name] for name in ("p0_Cmd", "pb_TrxId", "pv_Ver")} == {
        "p0_Cmd": "CancelOrd",
        "pb_TrxId": NUMBER,
        "pv_Ver": "1",
    }
