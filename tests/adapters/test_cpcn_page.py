"""CPCN's payments on a bank's page: the form, the question and the notice, and what only this protocol says of them.

The contract suite runs in `test_cpcn`. Not tested here: sockets and a PSP with a memory (`test_cpcn_page_on_sandbox`).
"""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.cpcn.codes import BANKS, PAGE_BANKS
from adapters.cpcn.page import shown
from adapters.registry import offer_for
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.redirects import Form
from gateway.domain.scenes import REDIRECT_SCENES, Scene
from gateway.domain.statuses import Status
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import CallbackRejectedError, Redirect
from tests.adapters.case import (
    AMOUNT,
    CARD,
    NUMBER,
    OTHER_NUMBER,
    Psp,
    Wire,
    a_redirect,
    as_a_browser_sends,
    callbacks_of,
    do,
    is_unknown,
    its_question,
    meaning_of,
)
from tests.adapters.cpcn_case import (
    FAILED_QUESTIONS,
    INSTITUTIONS,
    STRANGER,
    CpcnCase,
    fields_of,
    form_of,
    notice_of,
    page_notice_of,
)
from tests.unit.domain.test_pages_of_psps import told, waiting

CASE = CpcnCase()
PAGE = Scene.NETBANK_CHARGE
AT = datetime(2026, 3, 1, 16, 31, tzinfo=UTC)
WIRE = Wire(CASE.processing)
PROVIDER = CASE.build(CASE.account(), WIRE)  # reading its keys takes longer than a test


async def form(command: Redirect) -> Form:
    return await do(PROVIDER, command)


async def asked(psp: Psp) -> Outcome:
    WIRE.psp, WIRE.sent = psp, []
    return await do(PROVIDER, its_question(PAGE))


def heard(text: bytes) -> Outcome:
    return callbacks_of(PROVIDER).read(form_of(text)).outcome


# The form


async def test_the_form_of_a_payment_is_this() -> None:
    built = await form(a_redirect(PAGE, description="三月还款 <1>"))
    assert (built.url, built.method, built.charset) == ("https://cpcn.test/cpcn/Gateway/InterfaceI", "POST", "utf-8")
    assert list(built.fields) == ["message", "signature"]
    assert base64.b64decode(built.fields["message"]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Request version="2.0"><Head><TxCode>1111</TxCode></Head><Body>'
        "<InstitutionID>900001</InstitutionID><PaymentNo>0190a1b2c3d47e5f8a9b0c1d2e3f4a5b</PaymentNo>"
        "<Amount>12345</Amount><Fee>0</Fee><PayerID></PayerID><PayerName></PayerName>"
        "<SettlementFlag>0001</SettlementFlag><Usage></Usage><Remark>三月还款 &lt;1&gt;</Remark>"
        "<NotificationURL>https://pay.example.com/return/m1.acc_1</NotificationURL><BankID>102</BankID>"
        "<AccountType>11</AccountType><CardType></CardType></Body></Request>"
    )


async def test_the_question_has_the_institution_in_its_body_and_goes_from_server_to_server() -> None:
    await asked(CASE.processing)
    [request] = WIRE.sent
    message = dict(pair.split("=", 1) for pair in request.content.decode().split("&"))["message"]
    assert base64.b64decode(httpx.QueryParams(f"m={message}")["m"]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Request version="2.0"><Head><TxCode>1120</TxCode></Head><Body>'
        "<InstitutionID>900001</InstitutionID><PaymentNo>0190a1b2c3d47e5f8a9b0c1d2e3f4a5b</PaymentNo></Body></Request>"
    )
    assert request.url.path == "/cpcn/Gateway/InterfaceII"


async def test_every_bank_of_the_list_for_pages_has_its_number() -> None:
    told = {bank: fields_of(as_a_browser_sends(await form(a_redirect(PAGE, bank=bank))))["BankID"] for bank in BANKS
            if bank in PAGE_BANKS}  # fmt: skip
    assert len(set(told.values())) == len(PAGE_BANKS) == 29
    assert (told["CMB"], told["CMBC"], told["BJBANK"], told["PSBC"]) == ("308", "305", "403", "100")


@pytest.mark.parametrize("bank", ["BOHAIB", "JSBANK", "EGBANK", "ANY", "*", ""])
async def test_a_bank_without_a_page_there_is_known_before_a_payer_is_sent(bank: str) -> None:
    carries = PROVIDER.declaration.carries
    assert carries.why_not(bank, None) == "bank_unsupported"
    assert carries.why_not(bank, CARD) == (None if bank in BANKS else "bank_unsupported")
    with pytest.raises(ValueError, match="no page"):
        await form(a_redirect(PAGE, bank=bank))


@pytest.mark.parametrize("scene", sorted({*Scene} - {PAGE}))
async def test_no_other_scene_has_a_page_there(scene: Scene) -> None:
    assert scene not in PROVIDER.declaration.scenes & REDIRECT_SCENES
    with pytest.raises(ValueError, match="no page"):
        await form(a_redirect(scene))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("三月还款", "三月还款"),
        ("一二三四五六七八九十末", "一二三四五六七八九十"),
        ("a一二三四五六七八九十", "a一二三四五六七八九"),
        ("x" * 31, "x" * 30),
        ("x" * 27 + "𠮷", "x" * 27),
        ("第一行\r\n第二行\t末", "第一行 第二行 末"),
        ("\x00a\x1bb\ufffe\ud800", "a b"),
        (" \u3000 ", ""),
        ("x" * 29 + " y", "x" * 29),
        ("&amp;<b>]]>", "&amp;<b>]]>"),
    ],
)
def test_a_text_is_one_line_of_thirty_bytes_at_most(text: str, told: str) -> None:
    assert shown(text) == told


@settings(max_examples=50, deadline=None)
@example(text="\ud83d\udc4d")
@example(text="\uffff]]>")
@given(text=st.text(st.characters(), max_size=60))
def test_whatever_is_to_be_paid_for_there_is_a_form_that_is_read(text: str) -> None:
    built = asyncio.run(form(a_redirect(PAGE, description=text)))
    fields = CASE.checked(as_a_browser_sends(built))
    assert (fields["PaymentNo"], fields["Amount"]) == (NUMBER, str(AMOUNT))
    assert fields["Remark"] == shown(text)


# What is said of it


OF_PAGES = {"10": Processing, "20": Succeeded}
ODD_STATES = ("", "0", "30", "40", "50", "２０", "20.0", "x" * 99)


async def test_an_order_is_paid_at_20_waits_for_its_payer_at_10_and_is_unknown_at_all_else() -> None:
    for status in (*OF_PAGES, *ODD_STATES):
        told = await asked(lambda request, s=status: CASE.told(request, Status=s, Amount=str(AMOUNT)))  # type: ignore[misc]
        by_notice = heard(page_notice_of(NUMBER, AMOUNT, status))
        for outcome in (told, by_notice):
            assert meaning_of(outcome) == OF_PAGES.get(status, Unknown), status
            assert not isinstance(outcome, Unknown) or outcome.received, status
            assert not isinstance(outcome, Processing) or outcome.unpaid


async def test_a_success_tells_when_the_bank_said_so() -> None:
    paid = Succeeded(AMOUNT, channel_finished_at=AT, channel_code="20")
    said = {"Status": "20", "Amount": str(AMOUNT), "BankNotificationTime": "20260302003100", "RefundAmount": "0"}
    assert await asked(lambda request: CASE.told(request, **said)) == heard(page_notice_of(NUMBER, AMOUNT)) == paid


@pytest.mark.parametrize("at", ["", "yesterday", "20260230000000", "00010101000000"])
async def test_an_unreadable_time_costs_nothing_but_itself(at: str) -> None:
    paid = Succeeded(AMOUNT, channel_code="20")
    assert heard(page_notice_of(NUMBER, AMOUNT, BankNotificationTime=at)) == paid


@pytest.mark.parametrize("amount", ["", " ", "123.45", "-12345", "12345元", "1e5", "１２３", "9" * 40])
async def test_a_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    assert is_unknown(await asked(lambda request: CASE.told(request, Status="20", Amount=amount)), received=True)
    assert is_unknown(heard(page_notice_of(NUMBER, amount)), received=True)


async def test_every_code_of_the_head_as_an_answer_to_the_question() -> None:
    for code, meaning in CASE.codes_on_pages.items():
        outcome = await asked(lambda request, c=code: CASE.answer(request, c))  # type: ignore[misc]
        assert (meaning_of(outcome), getattr(outcome, "channel_code", None)) == (meaning, code)
        if code in FAILED_QUESTIONS:
            assert is_unknown(outcome, received=False)


# Notices


def test_the_same_state_is_paid_in_one_notice_and_open_in_another() -> None:
    assert isinstance(heard(page_notice_of(NUMBER, AMOUNT, "20")), Succeeded)
    assert heard(notice_of(NUMBER, AMOUNT, "20")) == Processing("20", "说明")
    assert is_unknown(heard(page_notice_of(NUMBER, AMOUNT, "30")), received=True)


def test_a_refunds_notice_that_carries_the_payments_number_is_no_notice_of_a_payment() -> None:
    told = page_notice_of(NUMBER, AMOUNT, "20", tx="1138", SerialNumber=OTHER_NUMBER)
    callback = callbacks_of(PROVIDER).read(form_of(told))
    assert (callback.number, callback.verb) == (OTHER_NUMBER, Verb.REFUND)
    assert isinstance(callback.outcome, Declined)
    with pytest.raises(CallbackRejectedError):
        heard(page_notice_of(NUMBER, AMOUNT, "20", tx="1138"))


@pytest.mark.parametrize("tx", ["1119", "1120", "1318", "2118", "7618", "", "1118 1118"])
def test_a_notice_of_another_kind_is_rejected(tx: str) -> None:
    with pytest.raises(CallbackRejectedError):
        heard(page_notice_of(NUMBER, AMOUNT, tx=tx))


@pytest.mark.parametrize(
    "body",
    [{"PaymentNo": number} for number in ("", "not-ours", "x" * 51, "<x/>")]
    + [{"PaymentNo": "", "TxSN": NUMBER}]
    + [{"InstitutionID": institution} for institution in (INSTITUTIONS["second"], "")],
)
def test_a_notice_about_no_order_of_ours_or_to_another_institution_is_rejected(body: dict[str, str]) -> None:
    with pytest.raises(CallbackRejectedError):
        heard(page_notice_of(NUMBER, AMOUNT, **body))


def test_a_notice_by_a_stranger_and_our_own_form_are_rejected() -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(PROVIDER).read(form_of(page_notice_of(NUMBER, AMOUNT), by=STRANGER))
    own = as_a_browser_sends(asyncio.run(form(a_redirect(PAGE)))).content
    with pytest.raises(CallbackRejectedError):
        callbacks_of(PROVIDER).read(replace(form_of(page_notice_of(NUMBER, AMOUNT)), body=own))


def test_what_our_own_address_brings_along_is_left_alone() -> None:
    notice = form_of(page_notice_of(NUMBER, AMOUNT))
    assert callbacks_of(PROVIDER).read(replace(notice, query="message=AAAA&x=1")).number == NUMBER


# Terms and the account


async def test_the_question_waits_as_long_as_the_terms_of_pages_say() -> None:
    wire = Wire(CASE.processing)
    own = {Product.REDIRECT: OwnTerms(answer_timeout_s=13.0), Product.PAYMENT: OwnTerms(answer_timeout_s=7.0)}
    await do(CASE.build(replace(CASE.account(), terms=own), wire), its_question(PAGE))
    assert wire.sent[0].extensions["timeout"]["read"] == 13.0


def test_nothing_that_cpcn_says_proves_an_order_on_a_page_unpaid() -> None:
    declaration = PROVIDER.declaration
    assert declaration.redirects is not None
    assert not declaration.redirects.ends_at_expiry
    assert declaration.terms[Product.REDIRECT].not_found is None


def test_a_payment_whose_payer_went_away_stays_open_whatever_is_answered_and_may_still_succeed() -> None:
    declaration = PROVIDER.declaration
    terms = replace(declaration.terms[Product.REDIRECT], page=declaration.redirects)
    payment = waiting()
    expires_at = payment.expires_at
    assert expires_at is not None
    for days in range(1, 9):
        for said in (Processing("10", unpaid=True), NotFound("240005")):
            payment, _ = told(payment, said, expires_at + timedelta(days=days), terms)
            assert (payment.status, payment.asked and payment.asked.expired) == (Status.REQUIRES_ACTION, True)
            assert payment.due_at is not None
    paid = heard(page_notice_of(NUMBER, payment.amount))
    payment, _ = told(payment, paid, expires_at + timedelta(days=9), terms, Source.CALLBACK)
    assert payment.status is Status.SUCCEEDED


def test_pages_wait_for_the_accounts_word() -> None:
    unsure = AccountContent("main", "cpcn", {"assumed": []}, {})
    assert Redirect not in offer_for(unsure).commands
    assert Redirect in offer_for(replace(unsure, settings={"assumed": ["page_states"]})).commands
