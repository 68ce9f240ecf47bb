"""Custody banks of the lanmao family: the contract suite on respx, and what only this protocol has.

Not tested here: a bank with a memory and pages of its own (`test_lanmao_on_sandbox`), and a real one, whose codes are
not public.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.account import AccountError
from adapters.lanmao.answers import read_charge, read_question
from adapters.lanmao.codes import Reasons
from adapters.lanmao.letter import UnreadableError, fen, opened, texts_of
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import AskPayment, Callback, CallbackRejectedError, CallbackRequest, Redirect
from tests.adapters.case import CUSTODY_USER_NO, PSP_CODE
from tests.adapters.contract import (
    AMOUNT,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    Contract,
    Wire,
    a_payment,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.lanmao_case import (
    BASE,
    NO_RECORD,
    NUMBER_USED,
    PSP,
    STRANGER,
    Fields,
    LanmaoCase,
    a_state,
    direct,
    not_called,
    notice,
    sign,
)

CASE = LanmaoCase()
WITHHOLD, NETBANK, QUICK = CASE.scenes
RETURN_URL = "https://pay.example.com/return/m1.custody"


class TestLanmao(Contract):
    case = CASE


async def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError("nobody is asked")


ADAPTER = CASE.build(CASE.account(), nobody)
REASONS = Reasons.of(CASE.account())
OUTCOMES = get_args(Outcome)


def a_page(scene: Scene = QUICK, bank: str = "CMB") -> Redirect:
    return Redirect(
        NUMBER, datetime(2026, 3, 1, 16, 30, 15, tzinfo=UTC), scene, AMOUNT, bank, "user-1", '充值 "A&B"', NOTIFY_URL,
        RETURN_URL, datetime(2026, 3, 1, 16, 45, 15, tzinfo=UTC), PSP_CODE, CUSTODY_USER_NO,
    )  # fmt: skip


async def form_of(command: Redirect) -> Form:
    form: Form = await ADAPTER.commands[Redirect](command)
    return form


async def said_by(form: Form) -> Mapping[str, str]:
    """reqData, once its signature is right."""
    return CASE.checked(
        httpx.Request("POST", form.url, data=dict(form.fields))  # as a browser sends it in UTF-8
    )


async def heard(said: Fields, command: Any = None) -> Outcome:
    """What the adapter makes of this answer to a charge, or to another command."""
    wire = Wire(lambda _: direct(said))
    outcome: Outcome = await do(CASE.build(CASE.account(), wire), command or a_payment(WITHHOLD))
    return outcome


def read(request: CallbackRequest) -> Any:
    return callbacks_of(ADAPTER).read(request)


# Pages


@pytest.mark.parametrize(
    ("scene", "bank", "own"),
    [
        (QUICK, "CMB", {"rechargeWay": "SWIFT", "bankcode": "CMBC", "callbackMode": "DIRECT_CALLBACK"}),
        (QUICK, "CMBC", {"rechargeWay": "SWIFT", "bankcode": "MSBC", "callbackMode": "DIRECT_CALLBACK"}),
        (NETBANK, "ICBC", {"rechargeWay": "WEB", "bankcode": "ICBK", "payType": "B2C"}),
        (NETBANK, "ANY", {"rechargeWay": "WEB"}),
    ],
)
async def test_a_page_is_this_form(scene: Scene, bank: str, own: dict[str, str]) -> None:
    form = await form_of(a_page(scene, bank))
    assert (form.url, form.method, form.charset) == (f"{BASE}/gateway", "POST", "utf-8")
    assert (form.fields["serviceName"], form.fields["userDevice"]) == ("RECHARGE", "PC")
    assert await said_by(form) == {
        "platformUserNo": CUSTODY_USER_NO,
        "requestNo": NUMBER,
        "amount": "123.45",
        "expectPayCompany": PSP_CODE,
        "redirectUrl": RETURN_URL,
        "expired": "20260302004515",
        "timestamp": "20260302003015",
        **own,
    }
    assert form == await form_of(a_page(scene, bank))


async def test_a_payer_whom_the_app_gives_no_number_at_the_bank_is_known_there_by_the_apps_name() -> None:
    form = await form_of(replace(a_page(), custody_user_no=None, user_id="用户 1"))
    assert '"platformUserNo":"\\u7528\\u6237 1"' in form.fields["reqData"]


@pytest.mark.parametrize(
    "odd",
    [
        {"psp_code": None},
        {"bank": "ANY"},
        {"bank": "HSBANK"},
        {"bank": "HSBANK", "scene": NETBANK},
        {"scene": WITHHOLD},
        {"scene": Scene.QUICK_CHARGE},
    ],
    ids=str,
)
async def test_what_routing_must_not_bring_makes_no_form(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"page|company"):
        await form_of(replace(a_page(), **odd))


async def test_the_pages_are_made_for_phones_where_the_account_says_so() -> None:
    account = CASE.account()
    mobile = CASE.build(replace(account, settings={**account.settings, "user_device": "MOBILE"}), nobody)
    form: Form = await mobile.commands[Redirect](a_page())
    assert form.fields["userDevice"] == "MOBILE"


# Charging what was authorised


async def test_a_withhold_is_this_call() -> None:
    wire = Wire(CASE.processing)
    await do(CASE.build(CASE.account(), wire), a_payment(WITHHOLD))
    assert CASE.checked(wire.sent[0]) == {
        "platformUserNo": CUSTODY_USER_NO,
        "requestNo": NUMBER,
        "amount": "123.45",
        "expectPayCompany": PSP_CODE,
        "rechargeWay": "PROXY",
        "bankcode": "ICBK",
        "timestamp": "20260302003015",
    }


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        ({"psp_code": None}, F.CHANNEL_REFUSED),
        ({"bank": "ANY"}, F.CARD_UNSUPPORTED),
        ({"bank": "HSBANK"}, F.CARD_UNSUPPORTED),
        ({"scene": Scene.WITHHOLD}, F.CARD_UNSUPPORTED),
    ],
    ids=str,
)
async def test_a_withhold_that_cannot_be_said_is_declined_and_never_sent(odd: dict[str, Any], code: F) -> None:
    outcome = await do(ADAPTER, replace(a_payment(WITHHOLD), **odd))
    assert isinstance(outcome, Declined)
    assert outcome.code is code


async def test_a_call_that_failed_charged_nothing_and_its_reason_is_what_the_account_says() -> None:
    for code, meaning in (
        ("100004", F.CUSTODY_NOT_BOUND),
        ("100001", F.CHANNEL_REFUSED),
        ("P51", F.INSUFFICIENT_BALANCE),
    ):
        assert await heard(not_called(code)) == Declined(meaning, code, f"说明[{code}]")
    assert await heard({"code": 1, "status": "INIT", "requestNo": NUMBER}) == Declined(F.CHANNEL_REFUSED)


async def test_a_number_that_was_used_before_is_asked_about() -> None:
    outcome = await heard(not_called(NUMBER_USED))
    assert is_unknown(outcome, received=True)
    assert getattr(outcome, "channel_code", None) == NUMBER_USED


@pytest.mark.parametrize(
    "said",
    [
        not_called("100004", None),
        not_called("100004", OTHER_NUMBER),
        not_called("100004") | {"status": "SUCCESS"},
        not_called("100004") | {"code": "2"},
        {"requestNo": NUMBER},
        {"requestNo": NUMBER, "code": "0", "status": "SUCCESS"},
        {"requestNo": NUMBER, "code": "0", "status": "INIT", "rechargeStatus": ""},
        a_state(number=OTHER_NUMBER),
        {},
    ],
    ids=range(9),
)
async def test_an_answer_that_says_nothing_of_this_order_ends_nothing(said: Fields) -> None:
    assert is_unknown(await heard(said), received=False)


@pytest.mark.parametrize("odd", [{"code": "1"}, {"status": "INIT"}, {"code": "1", "status": "INIT"}], ids=str)
async def test_paid_by_a_call_that_failed_is_believed_by_nobody(odd: Fields) -> None:
    assert is_unknown(await heard(a_state() | odd), received=True)


async def test_the_state_counts_whatever_the_call_says() -> None:
    for call in ({"code": "0", "status": "SUCCESS"}, {"code": "1", "status": "INIT"}):
        assert isinstance(await heard(a_state("PENDDING") | call), Processing)
        assert isinstance(await heard(a_state("FAIL") | call), Declined)


# Reasons


async def test_a_psps_code_means_what_the_account_says_of_that_psp_and_the_bank_is_heard_after_it() -> None:
    refused = a_state("P82")
    assert await heard(refused) == Declined(F.AUTHENTICATION_REJECTED, "P82", "余额不足")
    assert await heard(refused | {"payCompany": "ALLINPAY"}) == Declined(F.CHANNEL_REFUSED, "P82", "余额不足")
    assert await heard(refused | {"payCompany": "ALLINPAY", "errorCode": "100004"}) == Declined(
        F.CUSTODY_NOT_BOUND, "P82", "余额不足"
    )
    assert await heard(a_state("FAIL")) == Declined(F.CHANNEL_REFUSED, "FAIL")


# Amounts and times


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("123.45", 12345),
        ("123.4", 12340),
        ("123", 12300),
        ("123.450", 12345),
        ("0.29", 29),
        ("8.20", 820),
        ("0.00", 0),
        ("9999999999999.99", 999999999999999),
        *(
            (odd, None)
            for odd in ("123.455", "0.001", "-1", "+1", "1e3", "1,234.56", "１２", ".5", "5.", " 1", "", "NaN")
        ),
        (None, None),
    ],
)
def test_yuan_are_fen_exactly_or_no_amount(text: str | None, amount: int | None) -> None:
    assert fen(text) == amount


@pytest.mark.parametrize("amount", [123.45, "123.45", "123.450", " 123.45 "], ids=repr)
async def test_an_amount_is_read_as_it_was_written_text_or_number(amount: object) -> None:
    outcome = await heard(a_state() | {"amount": amount})
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == AMOUNT


@pytest.mark.parametrize("amount", ["123.455", 123.455, "", None, "-123.45", 1e300, [], True], ids=repr)
async def test_a_success_without_a_readable_amount_is_unknown(amount: object) -> None:
    assert is_unknown(await heard(a_state() | {"amount": amount}), received=True)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("20260302003100", datetime(2026, 3, 1, 16, 31, tzinfo=UTC)),
        *(
            (odd, None)
            for odd in ("", "20260302", "20260332003100", "２０２６０３０２００３１００", "00010101000000", None)
        ),
    ],
)
async def test_the_time_of_a_success_is_told_where_it_can_be_read(text: str | None, at: datetime | None) -> None:
    assert await heard(a_state() | {"transactionTime": text}) == Succeeded(
        AMOUNT, channel_finished_at=at, channel_code="SUCCESS"
    )


# Questions


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"code": "0", "status": "SUCCESS", "records": []}, NotFound),
        (not_called(NO_RECORD, None), NotFound),
        (not_called("100001", None), Unknown),
        (not_called(NO_RECORD, None) | {"code": "0"}, Unknown),
        ({"code": "0", "records": {}}, Unknown),
        ({"code": "0", "records": ["x", None, 1]}, Unknown),
        ({"code": "0", "records": [a_state(number=OTHER_NUMBER)]}, Unknown),
        ({"code": "0", "records": [a_state(), a_state()]}, Unknown),
        ({"code": "0", "records": [a_state(number=OTHER_NUMBER)] * 21}, Unknown),
        ({"code": "0", "records": [a_state(number=OTHER_NUMBER), a_state()]}, Succeeded),
        ({"code": 0, "records": [{"requestNo": NUMBER, "rechargeStatus": "SUCCESS", "amount": 123.45}]}, Succeeded),
        (a_state(), Unknown),
    ],
    ids=range(12),
)
async def test_a_question_is_answered_by_the_one_record_with_our_number(said: Fields, kind: type) -> None:
    outcome = await heard(said, its_question(QUICK))
    assert isinstance(outcome, kind)
    assert not (isinstance(outcome, Unknown) and outcome.received)


async def test_pages_and_withholds_are_asked_about_with_the_patience_of_their_own_terms() -> None:
    own = {Product.PAYMENT: OwnTerms(answer_timeout_s=7.0), Product.REDIRECT: OwnTerms(answer_timeout_s=9.0)}
    wire = Wire(CASE.processing)
    adapter = CASE.build(replace(CASE.account(), terms=own), wire)
    for scene in CASE.scenes:
        await do(adapter, its_question(scene))
    assert [request.extensions["timeout"]["read"] for request in wire.sent] == [7.0, 9.0, 9.0]


async def test_no_altered_byte_beside_a_true_signature_is_believed() -> None:
    said = direct(CASE.found(a_state()))
    body, signature = said.content, said.headers["sign"]
    assert opened(body, signature, PSP.public_key())["code"] == "0"
    for place in range(len(body)):
        altered = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(UnreadableError):
            opened(altered, signature, PSP.public_key())
    wire = Wire(partial(_answered, altered, signature))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), its_question(QUICK)), received=False)


def _answered(body: bytes, signature: str, request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=body, headers={"sign": signature})


@pytest.mark.parametrize("signature", ["", "!", "AAAA", "A" * 2000])
async def test_an_answer_without_a_right_signature_is_unknown(signature: str) -> None:
    wire = Wire(partial(_answered, direct(a_state()).content, signature))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), a_payment(WITHHOLD)), received=False)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"amount":NaN}', "[1]", "1", "{", "[" * 100_000, '"\\ud800"'])
async def test_signed_text_that_is_no_object_is_unknown(text: str) -> None:
    wire = Wire(partial(_answered, text.encode(), sign(text)))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), its_question(QUICK)), received=False)


# Notices


def test_a_notice_and_the_browsers_copy_of_it_say_the_same_in_any_order_and_by_any_method() -> None:
    said = a_state(way="WEB")
    server, browser = notice(said), notice(said, kind="CALLBACK")
    by_get = CallbackRequest("GET", browser.body.decode(), {}, b"")
    assert read(server) == read(browser) == read(by_get) == read(server)
    assert (read(server).number, read(server).verb) == (NUMBER, Verb.PAY)


def test_what_a_notice_is_about_is_told_by_what_is_signed() -> None:
    for service in ("RECHARGE", "DIRECT_RECHARGE", "WITHDRAW", "", "?"):
        assert read(notice(a_state(), service=service)).outcome == read(notice(a_state())).outcome
    withdrawn = {"requestNo": NUMBER, "code": "0", "status": "SUCCESS", "withdrawStatus": "SUCCESS", "amount": "1.00"}
    for service in ("WITHDRAW", "RECHARGE"):
        assert read(notice(withdrawn, service=service)).verb is not Verb.PAY


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("PERSONAL_REGISTER_EXPAND", {"requestNo": NUMBER, "code": "0", "status": "SUCCESS", "auditStatus": "PASSED"}),
        ("USER_AUTHORIZATION", {"requestNo": NUMBER, "code": "0", "status": "SUCCESS", "authList": "RECHARGE"}),
        ("BACKROLL_RECHARGE", a_state() | {"withdrawRequestNo": OTHER_NUMBER}),
        ("BACKROLL_RECHARGE", a_state(way="BACKROLL")),
        ("RECHARGE", a_state(way="VIRTUAL_CARDS")),
        ("SOMETHING_NEW", {"requestNo": "RE1494490276"}),
        ("no service <b>", {"requestNo": "1"}),
    ],
)
def test_a_notice_of_what_nobody_here_asked_for_is_no_word_about_a_payment_and_is_acknowledged(
    service: str, said: Fields
) -> None:
    callback = read(notice(said, service=service))
    assert callback.verb is not Verb.PAY
    assert is_unknown(callback.outcome, received=False)
    assert "<" not in callback.outcome.reason
    answer = callbacks_of(ADAPTER).answer(accepted=True)
    assert (answer.status, answer.content_type, answer.body) == (200, "text/plain", b"SUCCESS")


@pytest.mark.parametrize(
    "wrong",
    [
        notice(a_state(number="")),
        notice(a_state(number="x" * 51)),
        notice(a_state(number="<b>")),
        notice(a_state(), platform="5000001105"),
        notice(a_state(), sign=""),
        notice({**a_state(), "requestNo": None}),
        notice(a_state(), respData="{}"),
    ],
    ids=range(7),
)
def test_a_notice_about_no_order_or_of_somebody_else_is_rejected(wrong: CallbackRequest) -> None:
    with pytest.raises(CallbackRejectedError):
        read(wrong)


def test_a_field_twice_is_rejected() -> None:
    genuine = notice(a_state())
    for twice in (genuine.body + b"&platformNo=5000001104", b"respData=%7B%7D&" + genuine.body):
        with pytest.raises(CallbackRejectedError):
            read(replace(genuine, body=twice))
    assert dict(parse_qsl(genuine.body.decode()))["responseType"] == "NOTIFY"


# Anything signed

NAMES = st.sampled_from([*a_state(), "errorCode", "channelErrorCode", "records", "withdrawRequestNo", "x"])
LEAVES = st.sampled_from(
    [
        "",
        "0",
        "1",
        "-1",
        "1e3",
        "SUCCESS",
        "FAIL",
        "PENDDING",
        "INIT",
        "100004",
        NUMBER,
        NO_RECORD,
        "123.45",
        "٣",
        "\x00",
    ]
)
ODD = LEAVES | st.text(max_size=20) | st.integers() | st.floats() | st.none() | st.booleans()
OBJECTS = st.dictionaries(NAMES, ODD | st.lists(ODD | st.dictionaries(NAMES, ODD, max_size=4), max_size=3), max_size=6)


@settings(max_examples=60, deadline=None)
@given(odd=OBJECTS, is_state=st.booleans())
def test_whatever_the_bank_signs_is_an_outcome_and_as_a_notice_read_or_rejected(odd: Fields, is_state: bool) -> None:
    said = {**a_state(), **odd} if is_state else odd
    assert isinstance(read_charge(texts_of(said), REASONS), OUTCOMES)
    assert isinstance(read_question(said, NUMBER, REASONS), OUTCOMES)
    try:
        assert isinstance(read(notice(said)), Callback)
    except CallbackRejectedError:
        return


# Accounts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", None),
        ("platform_no", None),
        ("platform_no", "5000-1"),
        ("user_device", "WATCH"),
        ("key_serial", 1),
        ("declines", ["100004"]),
        ("declines", {"100004": "no_such_failure"}),
        ("declines", {"a b": "custody_not_bound"}),
        ("declines", {"100004": "agreement_void"}),
        ("declines", {"100004": "sms_code_wrong"}),
        ("declines", {"100004": "daily_limit_exceeded"}),
        ("declines", {NO_RECORD: "custody_not_bound"}),
        ("number_used", "100007"),
        ("number_used", [NO_RECORD]),
        ("no_record", [" "]),
        ("assumed", ["failed_calls_charge_nothing"]),
        ("assumed", ["nothing"]),
    ],
)
def test_a_wrong_setting_is_refused_by_name(field: str, value: object) -> None:
    account = CASE.account()
    settings = {name: said for name, said in {**account.settings, field: value}.items() if said is not None}
    with pytest.raises(AccountError, match=r"lanmao-first"):
        CASE.build(replace(account, settings=settings), nobody)


@pytest.mark.parametrize("name", ["merchant_private_key", "psp_public_key"])
def test_a_missing_key_is_refused_by_name(name: str) -> None:
    account = CASE.account()
    with pytest.raises(AccountError, match=name):
        CASE.build(replace(account, secrets={**account.secrets, name: ""}), nobody)


async def test_a_stranger_signs_for_nobody() -> None:
    wire = Wire(lambda _: direct(a_state(), STRANGER))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), a_payment(WITHHOLD)), received=False)


def test_only_questions_can_be_asked_without_the_banks_word_on_what_is_assumed() -> None:
    account = CASE.account()
    cautious = CASE.build(replace(account, settings={**account.settings, "assumed": ["key_of_its_own"]}), nobody)
    assert set(cautious.commands) == {AskPayment}
