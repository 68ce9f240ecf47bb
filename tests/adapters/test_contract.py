"""The contract suite for UnionPay on respx, and what only its protocol has.

Not tested here: sockets (`test_http`) and a PSP with a memory of its own (`test_on_sandbox`).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from adapters.account import AccountError
from adapters.unionpay import UnionPay
from adapters.unionpay.codes import REFUND_DECLINES
from adapters.unionpay.letter import pairs_in
from gateway.domain.failures import MEANINGS, Blame, FailureCode
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Authenticated, Declined, NotFound, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, OwnTerms, Product, Terms
from gateway.ports import AccountSettings, CallbackRejectedError, Provider
from tests.adapters.certificates import identity
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    LATER,
    NOTIFY_URL,
    NUMBER,
    TRANSACTION_NO,
    Contract,
    Wire,
    a_payment,
    a_refund,
    a_refunds_question,
    an_authentication,
    an_authentications_question,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)
from tests.adapters.unionpay_case import (
    MIDDLE,
    PSP,
    SIGNER_CN,
    UnionPayCase,
    a_notice,
    a_refunds_notice,
    notification,
    signed,
    text_of,
)

CASE = UnionPayCase()


class TestUnionPay(Contract):
    case = CASE


def an_adapter(now: datetime = LATER) -> Provider:
    return UnionPay(CASE.account(), Wire(CASE.succeeded), lambda: now)


@pytest.mark.parametrize("code", ["02", "10", "11", "37", "39", "99"])
async def test_its_question_that_itself_failed_says_nothing_about_the_order(code: str) -> None:
    wire = Wire(lambda request: CASE._reply(request, code))
    outcome = await do(CASE.build(CASE.account(), wire), its_question(Scene.WITHHOLD))
    assert is_unknown(outcome, received=False)
    assert getattr(outcome, "channel_code", None) == code


@pytest.mark.parametrize("code", ["72", "77"])
async def test_a_card_that_is_not_opened_has_no_binding(code: str) -> None:
    wire = Wire(lambda request: CASE._reply(request, code))
    assert isinstance(await do(CASE.build(CASE.account(), wire), an_authentications_question()), NotFound)


async def test_an_opening_without_a_token_is_unknown() -> None:
    wire = Wire(lambda request: CASE._reply(request, "00"))
    assert isinstance(await do(CASE.build(CASE.account(), wire), an_authentication()), Unknown)


async def test_a_message_with_separators_in_brackets_is_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        token = f"{{trId=1&token={AGREEMENT_NO}&tokenType=01}}"
        return CASE._reply(request, "00", respMsg="成功[a=b&c=d]", tokenPayData=token, reserved="{x=1&y=2}")

    outcome = await do(CASE.build(CASE.account(), Wire(answer)), an_authentication())
    assert outcome == Authenticated(AGREEMENT_NO, "00")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a={x=1&y=2}&b=[p&q=[r]&c=", {"a": "{x=1&y=2}", "b": "[p&q=[r]", "c": ""}),
        ("a=x{1&2}y[3&4]z&b=2", {"a": "x{1&2}y[3&4]z", "b": "2"}),
        ("a={never closed&b=2", {"a": "{never closed&b=2"}),
        ("a==&b=x=y", {"a": "=", "b": "x=y"}),
        ("&&=1&x&a=1", {"a": "1"}),
        ("", {}),
    ],
)
def test_pairs_are_read_with_their_brackets(text: str, fields: dict[str, str]) -> None:
    assert pairs_in(text) == fields


@pytest.mark.parametrize("pattern", ["{", "{&", "[{", "}&{", "a={b&"])
def test_a_megabyte_of_brackets_is_read_in_no_time(pattern: str) -> None:
    assert len("".join(pairs_in(pattern * (2**20 // len(pattern))))) <= 2**20


async def test_a_quick_charge_without_a_token_is_declined_and_never_sent() -> None:
    wire = Wire(CASE.processing)
    payment = replace(a_payment(Scene.QUICK_CHARGE), agreement_no=None)
    outcome = await do(CASE.build(CASE.account(), wire), payment)
    assert outcome == Declined(FailureCode.AGREEMENT_VOID)
    assert not wire.sent


@pytest.mark.parametrize("name", [SIGNER_CN, f"041@Z1@{SIGNER_CN}"])
def test_a_certificate_of_the_psps_name_by_another_ca_is_not_believed(name: str) -> None:
    forger = identity(name, identity("Test middle", identity("Test root", None, LATER)))
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()).read(notification(a_notice(), by=forger))


def test_a_merchant_of_the_same_ca_whose_name_contains_the_psps_is_not_believed() -> None:
    neighbour = identity(f"041@Z2026@7772900{SIGNER_CN}", MIDDLE)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()).read(notification(a_notice(), by=neighbour))


@pytest.mark.parametrize("now", [datetime(2025, 12, 31, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)])
def test_a_certificate_is_believed_only_while_it_is_valid(now: datetime) -> None:
    callbacks_of(an_adapter()).read(notification(a_notice()))
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter(now)).read(notification(a_notice()))


async def test_an_expired_signer_is_not_believed_even_when_it_was_before() -> None:
    brief = identity(f"041@Z12@{SIGNER_CN}", MIDDLE, valid_until=LATER + timedelta(hours=1))
    times = [LATER, LATER + timedelta(hours=2)]
    adapter = UnionPay(CASE.account(), Wire(CASE.succeeded), lambda: times.pop(0))
    callbacks_of(adapter).read(notification(a_notice(), by=brief))
    with pytest.raises(CallbackRejectedError):
        callbacks_of(adapter).read(notification(a_notice(), by=brief))


def test_what_our_own_address_mixed_into_a_callback_is_taken_out_before_verifying() -> None:
    genuine = notification(a_notice())
    mixed = replace(genuine, query="merchant=m1&x=%20y", body=genuine.body + b"&merchant=m1&x=+y")
    assert callbacks_of(an_adapter()).read(mixed) == callbacks_of(an_adapter()).read(genuine)


def test_a_callback_in_gbk_is_read() -> None:
    request = notification(a_notice() | {"encoding": "GBK"}, charset="gbk")
    assert isinstance(callbacks_of(an_adapter()).read(request).outcome, Succeeded)


@pytest.mark.parametrize(
    "change",
    [
        {"txnType": "00"},
        {"txnType": "79"},
        {"origRespCode": "64"},
        {"orderId": "not-ours"},
        {"merId": ""},
        {"respCode": ""},
    ],
)
def test_a_signed_message_that_is_no_notification_of_success_is_not_read_as_one(change: dict[str, str]) -> None:
    try:
        outcome = callbacks_of(an_adapter()).read(notification(a_notice() | change)).outcome
    except CallbackRejectedError:
        return
    assert isinstance(outcome, Unknown)


UNREADABLE_AMOUNTS = [{"txnAmt": ""}, {"txnAmt": "12.5"}, {"txnAmt": "-1"}, {"currencyCode": "840"}]


@pytest.mark.parametrize("change", UNREADABLE_AMOUNTS)
def test_a_notified_success_without_a_readable_amount_is_unknown(change: dict[str, str]) -> None:
    assert is_unknown(callbacks_of(an_adapter()).read(notification(a_notice() | change)).outcome, received=True)


@pytest.mark.parametrize("change", UNREADABLE_AMOUNTS)
async def test_a_queried_success_without_a_readable_amount_is_unknown(change: dict[str, str]) -> None:
    paid = {"origRespCode": "00", "txnAmt": str(AMOUNT), "currencyCode": "156"} | change
    wire = Wire(lambda request: CASE._reply(request, "00", **paid))
    assert is_unknown(await do(CASE.build(CASE.account(), wire), its_question(Scene.WITHHOLD)), received=True)


@pytest.mark.parametrize("settlement", ["", "12.5", "-1", "0x10"])
def test_a_notification_without_a_readable_settlement_makes_nothing_final(settlement: str) -> None:
    paid, refused = (a_notice(code=code) | {"settleAmt": settlement} for code in ("00", "64"))
    assert isinstance(callbacks_of(an_adapter()).read(notification(paid)).outcome, Processing)
    # A refusal that somebody provoked with our order's number must not even keep the payment open for ever.
    assert is_unknown(callbacks_of(an_adapter()).read(notification(refused)).outcome, received=False)


async def test_an_answer_for_another_merchant_is_unknown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return CASE._reply(request, "00", merId="777290058110000", origRespCode="00", txnAmt=str(AMOUNT))

    assert isinstance(await do(CASE.build(CASE.account(), Wire(answer)), its_question(Scene.WITHHOLD)), Unknown)


async def test_an_answer_without_an_order_number_is_unknown() -> None:
    wire = Wire(lambda request: text_of(signed({"respCode": "00", "origRespCode": "00", "merId": "777290058110048"})))
    assert isinstance(await do(CASE.build(CASE.account(), wire), its_question(Scene.WITHHOLD)), Unknown)


def broken(field: str, value: str | None) -> AccountSettings:
    account = CASE.account()
    settings, secrets = dict(account.settings), dict(account.secrets)
    target: dict[str, object] = settings if field in settings else secrets  # type: ignore[assignment]
    if value is None:
        del target[field]
    else:
        target[field] = value
    return replace(account, settings=settings, secrets=secrets)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", None),
        ("base_url", "ftp://x"),
        ("mer_id", "12"),
        ("tr_id", " "),
        ("signer_cn", ""),
        ("merchant_private_key", None),
        ("merchant_private_key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"),
        ("merchant_certificate", PSP.pem),
        ("root_certificate", MIDDLE.pem),
        ("middle_certificate", "rubbish"),
    ],
)
def test_a_wrong_account_is_refused_by_name_without_its_content(field: str, value: str | None) -> None:
    with pytest.raises(AccountError) as refused:
        CASE.build(broken(field, value), Wire(CASE.succeeded))
    assert "unionpay-first" in str(refused.value)
    assert field in str(refused.value)
    assert "c2VjcmV0" not in str(refused.value)


def test_an_accounts_contract_may_say_other_terms() -> None:
    own = OwnTerms(poll_gaps_s=(0.5, 1.0), not_found=NotFoundRule(2, 3.0))
    account = replace(CASE.account(), terms={Product.PAYMENT: own})
    terms = CASE.build(account, Wire(CASE.succeeded)).declaration.terms
    assert terms == {**UnionPay.DECLARATION.terms, Product.PAYMENT: Terms((0.5, 1.0), NotFoundRule(2, 3.0), 30.0, 3)}


async def test_each_product_waits_for_an_answer_as_long_as_its_own_terms_say() -> None:
    own = {
        Product.PAYMENT: OwnTerms(answer_timeout_s=7.0),
        Product.AUTHENTICATION: OwnTerms(answer_timeout_s=9.0),
        Product.REFUND: OwnTerms(answer_timeout_s=11.0),
    }
    wire = Wire(CASE.processing)
    adapter = CASE.build(replace(CASE.account(), terms=own), wire)
    await do(adapter, a_payment(Scene.WITHHOLD))
    await do(adapter, its_question(Scene.WITHHOLD))
    await do(adapter, an_authentication())
    await do(adapter, an_authentications_question())
    await do(adapter, a_refund(Scene.WITHHOLD))
    await do(adapter, a_refunds_question(Scene.WITHHOLD))
    told = [request.extensions["timeout"]["read"] for request in wire.sent]
    assert told == [7.0, 7.0, 9.0, 9.0, 11.0, 11.0]


def test_the_number_of_a_callback_is_ours() -> None:
    assert callbacks_of(an_adapter()).read(notification(a_notice())).number == NUMBER


# Refunds


@pytest.mark.parametrize(
    ("scene", "business"),
    [(Scene.WITHHOLD, "000501"), (Scene.QUICK_CHARGE, "000902"), (Scene.NETBANK_CHARGE, "000201")],
)
async def test_a_refund_is_this_form(scene: Scene, business: str) -> None:
    wire = Wire(CASE.processing)
    await do(CASE.build(CASE.account(), wire), a_refund(scene))
    fields = CASE.checked(wire.sent[0])
    assert {name: value for name, value in fields.items() if name not in {"certId", "signature"}} == {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "01",
        "txnType": "04",
        "txnSubType": "00",
        "bizType": business,
        "channelType": "07",
        "accessType": "0",
        "merId": CASE.account().settings["mer_id"],
        "orderId": NUMBER,
        "txnTime": "20260302003015",
        "origQryId": TRANSACTION_NO,
        "txnAmt": str(AMOUNT),
        "currencyCode": "156",
        "backUrl": NOTIFY_URL,
    }


async def test_a_refund_that_cannot_be_written_is_declined_and_never_sent() -> None:
    wire = Wire(CASE.processing)
    refund = a_refund(Scene.WITHHOLD)
    for unwritable in (
        replace(refund, original_transaction_no=None),
        replace(refund, original_transaction_no=""),
        replace(refund, scene=Scene.CUSTODY_NETBANK_CHARGE),
    ):
        outcome = await do(CASE.build(CASE.account(), wire), unwritable)
        assert isinstance(outcome, Declined)
        assert outcome.code is FailureCode.CHANNEL_REFUSED
    assert not wire.sent


@pytest.mark.parametrize("code", ["35", "36", "45"])
async def test_what_refuses_a_refund_decides_nothing_about_a_payment(code: str) -> None:
    adapter = CASE.build(CASE.account(), Wire(lambda request: CASE.answer(request, code)))
    assert isinstance(await do(adapter, a_refund(Scene.WITHHOLD)), Declined)
    assert isinstance(await do(adapter, a_refunds_question(Scene.WITHHOLD)), Declined)
    assert is_unknown(await do(adapter, a_payment(Scene.WITHHOLD)), received=True)
    assert is_unknown(await do(adapter, its_question(Scene.WITHHOLD)), received=True)


def test_no_code_of_a_refund_is_said_to_be_the_payers_doing_or_voids_an_agreement() -> None:
    about_the_card = {F.CARD_INVALID, F.CARD_FROZEN, F.CARD_EXPIRED, F.CARD_UNSUPPORTED, F.RISK_REJECTED}
    assert {MEANINGS[code].blame for code in set(REFUND_DECLINES.values()) - about_the_card} == {
        Blame.CHANNEL,
        Blame.PLATFORM,
    }
    assert not {F.AGREEMENT_VOID, F.INSUFFICIENT_BALANCE, F.TOO_MANY_TRIES}.intersection(REFUND_DECLINES.values())


def test_a_notice_is_about_what_its_type_says_whatever_number_it_carries() -> None:
    refund, payment = (
        callbacks_of(an_adapter()).read(notification(notice)) for notice in (a_refunds_notice(), a_notice())
    )
    assert (refund.number, payment.number) == (NUMBER, NUMBER)
    assert (refund.verb, payment.verb) == (Verb.REFUND, Verb.PAY)


@pytest.mark.parametrize("change", [{"txnSubType": "01"}, {"txnType": "31"}, {"txnType": "99"}, {"txnSubType": ""}])
def test_a_notice_of_another_type_is_rejected(change: dict[str, str]) -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()).read(notification(a_refunds_notice() | change))


def test_a_refusal_of_a_refund_without_a_settlement_makes_nothing_final() -> None:
    refused = a_refunds_notice(code="45") | {"settleAmt": ""}
    assert is_unknown(callbacks_of(an_adapter()).read(notification(refused)).outcome, received=False)
