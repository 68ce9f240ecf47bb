"""UnionPay's page: the exact form, what an account may say about it, and words that are final for no open page.

Not tested here: what the contract holds for every provider with pages (test_contract.py), and the mock's page over
sockets (test_unionpay_page_on_sandbox.py).
"""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.account import AccountError
from adapters.registry import offer_for
from adapters.unionpay.page import in_braces
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.outcomes import Closed, Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import AccountSettings, AskPayment, AskRefund, Callback, Command, Pay, Redirect
from tests.adapters.contract import (
    AMOUNT,
    NUMBER,
    Wire,
    a_redirect,
    a_refunds_question,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.unionpay_case import MER_IDS, UnionPayCase, a_notice, a_pages_notice, notification

CASE = UnionPayCase()
PAGE = Scene.NETBANK_CHARGE
ON_THE_PAGE = {"txnType": "01", "txnSubType": "01", "bizType": "000201"}


def account(**settings: object) -> AccountSettings:
    known = CASE.account()
    said = {name: value for name, value in {**known.settings, **settings}.items() if value is not None}
    return replace(known, settings=said)


async def form(command: Redirect, **settings: object) -> dict[str, str]:
    """What the browser brings, beside the signature."""
    built = await do(CASE.build(account(**settings), Wire(CASE.processing)), command)
    assert (built.method, built.charset) == ("POST", "utf-8")
    assert built.url == "https://unionpay.test/unionpay/gateway/api/frontTransReq.do"
    return {name: value for name, value in built.fields.items() if name not in {"certId", "signature"}}


async def told(code: str, **more: str) -> Outcome:
    """What a question about the page's order tells, whose answer has this origRespCode."""
    wire = Wire(lambda request: CASE._reply(request, "00", **({"origRespCode": code, "queryId": "Q1"} | more)))
    return await do(CASE.build(CASE.account(), wire), its_question(PAGE))


def notified(**changed: str) -> Callback:
    adapter = CASE.build(CASE.account(), Wire(CASE.processing))
    return callbacks_of(adapter).read(notification(a_pages_notice() | changed))


async def test_a_page_is_opened_by_this_form() -> None:
    command = a_redirect(PAGE)
    assert await form(command) == {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "01",
        **ON_THE_PAGE,
        "channelType": "07",
        "accessType": "0",
        "merId": MER_IDS["first"],
        "orderId": NUMBER,
        "txnTime": "20260302003015",
        "txnAmt": str(AMOUNT),
        "currencyCode": "156",
        "frontUrl": command.return_url,
        "backUrl": command.notify_url,
        "payTimeout": "20260302004515",
        "issInsCode": "ICBC",
        "riskRateInfo": "{commodityName=还款 March}",
    }


async def test_an_account_says_of_which_device_and_of_which_banks_pages_are_opened() -> None:
    plain = await form(a_redirect(PAGE), bank_pages=None)
    assert (plain["channelType"], "issInsCode" in plain) == ("07", False)
    own = await form(a_redirect(PAGE, bank="COMM"), user_device="MOBILE", bank_pages={"COMM": "BCOM"})
    assert (own["channelType"], own["issInsCode"]) == ("08", "BCOM")
    assert "issInsCode" not in await form(a_redirect(PAGE, bank="CMB"), bank_pages={"COMM": "BCOM"})


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"user_device": "WATCH"}, "user_device"),
        ({"bank_pages": ["ICBC"]}, "bank_pages"),
        ({"bank_pages": {"ICBC": "IC BC"}}, "bank_pages"),
        ({"bank_pages": {"ICBC": ""}}, "bank_pages"),
        ({"bank_pages": {"ICBK": "ICBC"}}, "ICBK"),
    ],
)
def test_a_wrong_setting_of_the_page_is_named(settings: dict[str, object], field: str) -> None:
    with pytest.raises(AccountError, match=field):
        CASE.build(account(**settings), Wire(CASE.processing))


def test_the_page_stands_on_a_word_of_the_account_and_cards_do_not() -> None:
    without = account(assumed=["one_order_for_sms"])
    assert Redirect not in CASE.build(without, Wire(CASE.processing)).commands
    offer = offer_for(AccountContent("main", "unionpay", without.settings, {}))
    assert "form_again" in str(offer.why_not_pay(PAGE))
    assert offer.why_not_pay(Scene.WITHHOLD) is None


async def test_nothing_in_a_description_can_end_what_it_stands_in() -> None:
    said = (await form(a_redirect(PAGE, description="a&b={c}[d]\"e'f\n\x00g")))["riskRateInfo"]
    assert said == "{commodityName=a＆b＝｛c｝【d】“e‘f  g}"
    assert "riskRateInfo" not in await form(a_redirect(PAGE, description=" \n"))


@settings(max_examples=50, deadline=None)
@example(text="\ud83d\udc4d" + "一" * 30)
@given(text=st.text(st.characters(), max_size=90))
def test_whatever_is_to_be_paid_for_a_browser_sends_it_as_it_was_signed(text: str) -> None:
    said = in_braces(text, 60)
    assert len(said.encode()) <= 60
    assert said.isprintable()
    assert not set("&={}[]\"'").intersection(said)


async def test_no_other_scene_has_a_page() -> None:
    with pytest.raises(ValueError, match="no page"):
        await form(a_redirect(Scene.CUSTODY_NETBANK_CHARGE))


async def test_no_page_is_paid_by_itself() -> None:
    wire = Wire(CASE.processing)
    payment = Pay(
        NUMBER, a_redirect(PAGE).told_at, PAGE, AMOUNT, "ICBC", None, None, "user-1", "还款", "https://x.test/"
    )
    assert isinstance(await do(CASE.build(CASE.account(), wire), payment), Declined)
    assert not wire.sent


# What is said of its order


@pytest.mark.parametrize(
    ("command", "business"),
    [
        (its_question(PAGE), "000201"),
        (a_refunds_question(PAGE), "000201"),
        (its_question(Scene.WITHHOLD), "000000"),
        (its_question(Scene.QUICK_CHARGE), "000000"),
        (a_refunds_question(Scene.QUICK_CHARGE), "000000"),
    ],
)
async def test_a_question_names_the_business_that_it_is_about(command: AskPayment | AskRefund, business: str) -> None:
    wire = Wire(CASE.processing)
    await do(CASE.build(CASE.account(), wire), command)
    assert CASE.checked(wire.sent[0])["bizType"] == business


@pytest.mark.parametrize("code", ["05", "70", "01", "64", "71", "30"])
async def test_what_is_not_paid_so_far_may_still_be(code: str) -> None:
    outcome = await told(code)
    assert isinstance(outcome, Processing)
    assert (outcome.unpaid, outcome.channel_code) == (True, code)


@pytest.mark.parametrize("code", ["03", "04"])
async def test_what_unionpay_itself_does_not_know_is_not_called_unpaid(code: str) -> None:
    outcome = await told(code)
    assert isinstance(outcome, Processing)
    assert not outcome.unpaid


async def test_what_was_paid_too_late_is_given_back_by_unionpay_and_closed_here() -> None:
    assert await told("42", origRespMsg="超时") == Closed("42", "超时")


@pytest.mark.parametrize("code", ["12", "34", "35", "74", "75", "98", "Z9"])
async def test_other_codes_end_nothing_and_close_nothing(code: str) -> None:
    assert is_unknown(await told(code), received=True)


async def test_a_question_that_failed_with_the_code_for_too_late_closes_nothing() -> None:
    wire = Wire(lambda request: CASE._reply(request, "42"))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), its_question(PAGE)), received=False)


async def test_an_order_that_nobody_opened_is_not_found() -> None:
    wire = Wire(CASE.not_found)
    assert isinstance(await do(CASE.build(CASE.account(), wire), its_question(PAGE)), NotFound)


@pytest.mark.parametrize(
    ("more", "paid"),
    [
        ({"settleAmt": str(AMOUNT)}, True),
        ({"origTxnType": "01"}, True),
        ({}, False),
        ({"origTxnType": "77", "settleAmt": str(AMOUNT)}, False),
        ({"settleAmt": str(AMOUNT), "txnAmt": ""}, False),
        ({"settleAmt": str(AMOUNT), "currencyCode": "840"}, False),
    ],
)
async def test_a_success_states_its_settlement_or_its_type_and_its_amount(more: dict[str, str], paid: bool) -> None:
    outcome = await told("00", **({"txnAmt": str(AMOUNT), "currencyCode": "156"} | more))
    assert isinstance(outcome, Succeeded) is paid


def test_a_notice_of_a_refusal_ends_no_page() -> None:
    said = notified(respCode="64").outcome
    assert isinstance(said, Processing)
    assert said.unpaid


def test_a_notice_of_what_was_paid_too_late_is_no_success() -> None:
    assert isinstance(notified(respCode="42").outcome, Closed)


def test_a_notice_without_a_settlement_makes_nothing_final() -> None:
    said = notified(settleAmt="").outcome
    assert isinstance(said, Processing)
    assert not said.unpaid
    assert isinstance(notified(settleAmt="", respCode="42").outcome, Unknown)


def test_a_refusal_of_a_card_stays_final_beside_the_page() -> None:
    adapter = CASE.build(CASE.account(), Wire(CASE.processing))
    refused = a_notice(code="64") | {"txnType": "01", "txnSubType": "01", "bizType": "000902"}
    assert isinstance(callbacks_of(adapter).read(notification(refused)).outcome, Declined)


@pytest.mark.parametrize(("command", "waits_s"), [(its_question(PAGE), 13.0), (its_question(Scene.WITHHOLD), 7.0)])
async def test_a_question_about_a_page_waits_as_long_as_its_own_terms_say(
    command: Command[Any], waits_s: float
) -> None:
    own = {Product.PAYMENT: OwnTerms(answer_timeout_s=7.0), Product.REDIRECT: OwnTerms(answer_timeout_s=13.0)}
    sent: list[httpx.Request] = []
    wire = Wire(CASE.processing, sent)
    await do(CASE.build(replace(CASE.account(), terms=own), wire), command)
    assert sent[0].extensions["timeout"]["read"] == waits_s
