"""CPCN: the contract suite on respx, and what only its protocol has.

Not tested here: payments on a page (`test_cpcn_page`), sockets (`test_http`), a PSP with a memory of its own
(`test_cpcn_on_sandbox`), and the real platform, whose banks' codes nobody has published.
"""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import httpx
import pytest

from adapters.account import AccountError
from adapters.cpcn.codes import REFUND_REFUSALS, REFUSALS, UNBINDING_REFUSALS
from gateway.domain.failures import MEANINGS, Blame
from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    Outcome,
    Processing,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    AskBalance,
    AskPayout,
    AskRefund,
    CallbackRejectedError,
    CallbackRequest,
    Pay,
    Payout,
    Provider,
    Redirect,
    Refund,
    SendPaymentCode,
)
from tests.adapters.case import (
    AMOUNT,
    CARD,
    NUMBER,
    OTHER_NUMBER,
    Psp,
    Wire,
    a_payment,
    a_payment_code,
    a_refund,
    a_refunds_question,
    a_signing,
    a_signing_code,
    an_authentication,
    an_authentications_question,
    an_unbinding,
    callbacks_of,
    do,
    is_unknown,
    its_question,
    meaning_of,
)
from tests.adapters.contract import Contract
from tests.adapters.cpcn_case import (
    DUPLICATES,
    INSTITUTIONS,
    STRANGER,
    CpcnCase,
    answer_of,
    document,
    fields_of,
    form_of,
    notice_of,
    parsed,
)

CASE = CpcnCase()
QUICK, WITHHOLD = Scene.QUICK_CHARGE, Scene.WITHHOLD


class TestCpcn(Contract):
    case = CASE


WIRE = Wire(CASE.processing)
PROVIDER = CASE.build(CASE.account(), WIRE)  # reading its keys takes longer than a test


def adapter(psp: Psp = CASE.processing) -> tuple[Provider, Wire]:
    """The adapter of the first account, at a PSP that answers so and that was sent nothing yet."""
    WIRE.psp, WIRE.sent = psp, []
    return PROVIDER, WIRE


def in_state(status: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: CASE.told(request, VerifyStatus="40", Status=status)


# What goes out


async def test_a_quick_payment_is_this_xml() -> None:
    provider, wire = adapter()
    await do(provider, a_payment(QUICK))
    form = dict(parse_qsl(wire.sent[0].content.decode()))
    assert base64.b64decode(form["message"]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Request version="2.0"><Head><InstitutionID>900001</InstitutionID>'
        "<TxCode>2511</TxCode></Head><Body><PaymentNo>0190a1b2c3d47e5f8a9b0c1d2e3f4a5b</PaymentNo>"
        "<Amount>12345</Amount><TxSNBinding>6235240000020757577</TxSNBinding><SplitType></SplitType>"
        "<SettlementFlag>0001</SettlementFlag><ValidDate></ValidDate><CVN2></CVN2>"
        "<SharedInstitutionID></SharedInstitutionID><Remark></Remark></Body></Request>"
    )
    assert form["signature"] == form["signature"].lower()


async def test_a_withhold_has_its_number_in_the_head_and_its_question_has_no_body() -> None:
    provider, wire = adapter()
    await do(provider, a_payment(WITHHOLD))
    await do(provider, its_question(WITHHOLD))
    for request, tx in zip(wire.sent, ("2011", "2020"), strict=True):
        head = {str(leaf.tag): leaf.text for leaf in parsed(request)[0]}
        assert head == {"InstitutionID": "900001", "TxCode": tx, "TxSN": NUMBER}
    assert [len(parsed(request)) for request in wire.sent] == [2, 1]


@pytest.mark.parametrize("name", ["买买提·艾力", "王一䶮", "𠮷野", "A<B>&'\"C", "]]>", "</AccountName>"])
async def test_a_name_arrives_as_it_is(name: str) -> None:
    provider, wire = adapter(lambda request: httpx.Response(500))
    await do(provider, replace(a_payment(WITHHOLD), card=replace(CARD, holder_name=name)))
    assert fields_of(wire.sent[0])["AccountName"] == name


@pytest.mark.parametrize("name", ["张\x00三", "张\x1b三", "张\uffff三", "\ud800"])
async def test_a_name_that_xml_cannot_write_is_declined_and_nothing_is_sent(name: str) -> None:
    provider, wire = adapter()
    card = replace(CARD, holder_name=name)
    for command in (
        replace(a_payment(WITHHOLD), card=card),
        replace(an_authentication(), card=card),
        replace(a_signing_code(), card=card),
    ):
        outcome = await do(provider, command)
        assert meaning_of(outcome) == F.CARD_UNSUPPORTED
        assert name not in repr(outcome)
    assert wire.sent == []


@pytest.mark.parametrize(
    ("id_type", "told"),
    [
        (IdType.PASSPORT, "2"),
        (IdType.HK_MACAU_PERMIT, "5"),
        (IdType.TAIWAN_PERMIT, "6"),
        (IdType.FOREIGNER_PERMIT, "8"),
    ],
)
async def test_every_paper_has_its_number(id_type: IdType, told: str) -> None:
    provider, wire = adapter(lambda request: httpx.Response(500))
    await do(provider, replace(an_authentication(), card=replace(CARD, id_type=id_type)))
    assert fields_of(wire.sent[0])["IdentificationType"] == told


async def test_what_the_protocol_cannot_do_is_declined_and_nothing_is_sent() -> None:
    provider, wire = adapter()
    for command, failure in (
        (replace(a_payment(WITHHOLD), bank="EGBANK"), F.CARD_UNSUPPORTED),
        (replace(an_authentication(), bank="EGBANK"), F.CARD_UNSUPPORTED),
        (replace(a_signing_code(), bank="EGBANK"), F.CARD_UNSUPPORTED),
        (a_payment(Scene.NETBANK_CHARGE), F.CARD_UNSUPPORTED),
        (replace(a_payment(WITHHOLD), sms_code="123456"), F.CARD_UNSUPPORTED),
        (a_payment_code(WITHHOLD, NUMBER), F.CARD_UNSUPPORTED),
        (replace(a_payment(QUICK), agreement_no=None), F.AGREEMENT_VOID),
        (replace(a_payment(QUICK), agreement_no=None, sms_code="123456"), F.AGREEMENT_VOID),
        (a_refund(Scene.CUSTODY_WITHHOLD), F.CHANNEL_REFUSED),
    ):
        assert meaning_of(await do(provider, command)) == failure
    assert wire.sent == []


async def test_each_sms_to_sign_with_is_a_binding_of_its_own_and_the_newest_one_is_signed_and_asked_about() -> None:
    provider, wire = adapter(CASE.code_sent)
    sent = [await do(provider, a_signing_code(ordinal)) for ordinal in (1, 2, 3, 12)]
    numbers = [fields_of(request)["TxSNBinding"] for request in wire.sent]
    assert numbers == [NUMBER, *(f"{NUMBER[:30]}{n:02d}" for n in (2, 3, 12))]
    assert sent == [CodeSent(None, "2000"), *(CodeSent(number, "2000") for number in numbers[1:])]
    wire.psp = CASE.open_binding
    assert await do(provider, a_signing(numbers[1])) == Authenticated(numbers[1], "30")
    assert await do(provider, a_signing(None, ordinal=2)) == Authenticated(NUMBER, "30")
    question = replace(an_authentications_question(), continuation=numbers[1])
    assert await do(provider, question) == Authenticated(numbers[1], "30")


async def test_an_sms_for_a_payment_and_the_payment_with_its_code_have_one_number() -> None:
    provider, wire = adapter()
    await do(provider, a_payment_code(QUICK, NUMBER, ordinal=2))
    await do(provider, replace(a_payment(QUICK), sms_code="0042", ordinal=2))
    first, second = map(fields_of, wire.sent)
    assert (first["TxCode"], second["TxCode"]) == ("2541", "2542")
    assert first["PaymentNo"] == second["PaymentNo"] == NUMBER
    assert second["SMSValidationCode"] == "0042"


# What comes back: the same numbers say other things of other products


OF_QUICK_PAYMENTS = {"10": Processing, "20": Succeeded, "30": F.CHANNEL_REFUSED, "40": Unknown}
OF_WITHHOLDS = {"10": Unknown, "20": Processing, "30": Succeeded, "40": F.CHANNEL_REFUSED}
OF_BINDINGS = {"10": Unknown, "20": F.AUTHENTICATION_REJECTED, "30": Authenticated, "40": NotFound}
OF_UNBINDINGS = {"10": Unknown, "20": Unbound, "30": F.CHANNEL_REFUSED, "40": Unknown}
ODD_STATES = {"": Unknown, "0": Unknown, "50": Unknown, "２０": Unknown, "20.0": Unknown, "x" * 99: Unknown}


@pytest.mark.parametrize(
    ("command", "meanings"),
    [
        (a_payment(QUICK), OF_QUICK_PAYMENTS),
        (replace(a_payment(QUICK), sms_code="123456"), OF_QUICK_PAYMENTS),
        (its_question(QUICK), OF_QUICK_PAYMENTS),
        (a_payment(WITHHOLD), OF_WITHHOLDS),
        (its_question(WITHHOLD), OF_WITHHOLDS),
        (an_authentication(), OF_BINDINGS),
        (an_authentications_question(), OF_BINDINGS),
        (a_signing(), OF_BINDINGS),
        (an_unbinding(), OF_UNBINDINGS),
    ],
    ids=[
        "pay",
        "pay_by_code",
        "ask",
        "withhold",
        "ask_withhold",
        "bind",
        "ask_binding",
        "sign",
        "unbind",
    ],
)
async def test_every_state_of_every_product_and_what_is_none(command: Pay, meanings: dict[str, object]) -> None:
    provider, wire = adapter()
    for status, meaning in {**meanings, **ODD_STATES}.items():
        wire.psp = in_state(status)
        outcome = await do(provider, command)
        assert meaning_of(outcome) == meaning, status
        assert not isinstance(outcome, Unknown) or outcome.received, status


async def test_a_withhold_and_a_refund_state_their_amount_and_a_quick_payment_does_not() -> None:
    at = datetime(2026, 3, 1, 16, 31, tzinfo=UTC)
    provider, _ = adapter(CASE.succeeded)
    for command, amount, code in (
        (its_question(QUICK), None, "20"),
        (its_question(WITHHOLD), AMOUNT, "30"),
        (a_refunds_question(QUICK), AMOUNT, "40"),
    ):
        outcome: Outcome = await do(provider, command)
        assert outcome == Succeeded(amount, channel_finished_at=at, channel_code=code)


@pytest.mark.parametrize("amount", ["123.45", "-12345", "12345元", "1e5", "１２３", "9" * 40])
async def test_a_success_whose_amount_cannot_be_read_is_unknown(amount: str) -> None:
    provider, wire = adapter(lambda request: CASE.told(request, Status="30", Amount=amount))
    assert is_unknown(await do(provider, its_question(WITHHOLD)), received=True)
    wire.psp = lambda request: CASE.told(request, Status="20", Amount=amount)
    assert is_unknown(await do(provider, its_question(QUICK)), received=True)


@pytest.mark.parametrize("at", ["", "yesterday", "2026", "20260230000000", "00010101000000"])
async def test_an_unreadable_time_costs_nothing_but_itself(at: str) -> None:
    provider, _ = adapter(lambda request: CASE.told(request, Status="20", BankTxTime=at))
    assert await do(provider, its_question(QUICK)) == Succeeded(channel_code="20")


async def test_a_code_that_was_not_looked_at_says_nothing_of_the_payment() -> None:
    for verified in ("", "10", "50"):
        provider, _ = adapter(lambda request, v=verified: CASE.told(request, VerifyStatus=v, Status="20"))  # type: ignore[misc]
        assert is_unknown(await do(provider, replace(a_payment(QUICK), sms_code="123456")), received=True)
        assert is_unknown(await do(provider, a_signing()), received=True)


async def test_a_long_message_is_cut() -> None:
    provider, _ = adapter(lambda request: CASE.told(request, Status="30", ResponseMessage="长" * 5_000))
    outcome = await do(provider, its_question(QUICK))
    assert isinstance(outcome, Declined)
    assert outcome.channel_message == "长" * 256


async def test_without_a_word_of_the_account_a_banks_code_is_a_refusal_without_a_reason() -> None:
    account = CASE.account()
    settings = {name: value for name, value in account.settings.items() if name not in {"declines", "sms_wanted"}}
    wire = Wire(lambda request: CASE.answer(request, "51"))
    provider = CASE.build(replace(account, settings=settings), wire)
    assert await do(provider, its_question(QUICK)) == Declined(F.CHANNEL_REFUSED, "51", "说明")
    wire.psp = CASE.sms_needed
    assert await do(provider, an_authentication()) == Declined(F.AUTHENTICATION_REJECTED, "71")


def test_no_code_of_the_head_means_two_things_and_none_of_a_refund_blames_the_payer() -> None:
    assert not REFUSALS.keys() & set(DUPLICATES)
    assert not REFUND_REFUSALS.keys() & set(DUPLICATES)
    assert not UNBINDING_REFUSALS.keys() & set(DUPLICATES)
    assert {MEANINGS[failure].blame for failure in REFUND_REFUSALS.values()} == {Blame.CHANNEL}


# Who says it


def retold(request: httpx.Request, change: Callable[[bytes], tuple[bytes, bytes]]) -> httpx.Response:
    """A success whose text and signed text were changed."""
    genuine = CASE.succeeded(request)
    text, signed = change(base64.b64decode(genuine.text.partition(",")[0]))
    return answer_of(text, signed=signed)


@pytest.mark.parametrize("space", [b"\n", b" \r\n\t "])
async def test_blanks_around_the_text_change_nothing_whether_they_were_signed_or_not(space: bytes) -> None:
    provider, wire = adapter(lambda request: retold(request, lambda text: (text + space, text)))
    assert isinstance(await do(provider, its_question(QUICK)), Succeeded)
    wire.psp = lambda request: retold(request, lambda text: (space + text + space, text))
    assert isinstance(await do(provider, its_question(QUICK)), Succeeded)
    wire.psp = lambda request: retold(request, lambda text: (text + space, text + space))
    assert isinstance(await do(provider, its_question(QUICK)), Succeeded)
    wire.psp = lambda request: retold(request, lambda text: (text, text + space))
    assert is_unknown(await do(provider, its_question(QUICK)), received=False)


async def test_a_signature_in_capitals_and_a_line_end_after_it_are_read() -> None:
    def told(request: httpx.Request) -> httpx.Response:
        message, _, sign = CASE.succeeded(request).text.partition(",")
        return httpx.Response(200, text=f"{message},{sign.upper()}\n")

    provider, _ = adapter(told)
    assert isinstance(await do(provider, its_question(QUICK)), Succeeded)


async def test_an_answer_to_another_institution_or_about_no_order_is_unknown() -> None:
    for body in (
        {"InstitutionID": INSTITUTIONS["second"], "PaymentNo": NUMBER, "Status": "20"},
        {"InstitutionID": INSTITUTIONS["first"], "Status": "20"},
        {"Status": "20"},
        {},
    ):
        told = answer_of(document("Response", {"Code": "2000", "Message": "OK."}, body))
        provider, _ = adapter(lambda request, told=told: told)  # type: ignore[misc]
        assert is_unknown(await do(provider, its_question(QUICK)), received=False)


@pytest.mark.parametrize(
    "text",
    [
        b'<!DOCTYPE Response [<!ENTITY a "20">]><Response><Head><Code>2000</Code></Head></Response>',
        b"<Response><Head><Code>2000</Code></Head>",
        b"<Request><Head><Code>2000</Code></Head></Request>",
        '<?xml version="1.0" encoding="GBK"?><Response><Head><Code>中</Code></Head></Response>'.encode("gbk"),
        b"",
        b"2000",
    ],
)
async def test_what_is_rightly_signed_and_no_answer_is_unknown(text: bytes) -> None:
    for command in (a_payment(QUICK), a_signing_code(), a_refund(QUICK)):
        provider, _ = adapter(lambda request: answer_of(text))
        assert is_unknown(await do(provider, command), received=False)


async def test_a_head_without_a_code_is_no_answer() -> None:
    provider, _ = adapter(lambda request: answer_of(document("Response", {"Message": "OK."}, {})))
    assert is_unknown(await do(provider, a_payment(QUICK)), received=False)
    assert is_unknown(await do(provider, a_signing_code()), received=False)


@pytest.mark.parametrize(
    "content", [b",", b"AAAA,", b"AAAA,zz", b"AAAA,0", b"=,00", b"," + b"0" * 9_999, b"A" * 300_000]
)
async def test_what_is_no_message_and_signature_is_unknown(content: bytes) -> None:
    provider, _ = adapter(lambda request: httpx.Response(200, content=content))
    assert is_unknown(await do(provider, its_question(QUICK)), received=False)


# Notices


def heard(text: bytes) -> Outcome:
    return callbacks_of(adapter()[0]).read(form_of(text)).outcome


def test_a_notice_is_about_the_withhold_whose_number_it_has() -> None:
    callback = callbacks_of(adapter()[0]).read(form_of(notice_of(OTHER_NUMBER, 400, "30")))
    assert (callback.number, callback.verb) == (OTHER_NUMBER, Verb.PAY)
    at = datetime(2026, 3, 1, 16, 31, tzinfo=UTC)
    assert callback.outcome == Succeeded(400, channel_finished_at=at, channel_code="30")


def test_a_notices_states_are_those_of_withholds() -> None:
    for status, meaning in {**OF_WITHHOLDS, **ODD_STATES}.items():
        assert meaning_of(heard(notice_of(NUMBER, AMOUNT, status))) == meaning, status
    assert heard(notice_of(NUMBER, AMOUNT, "40", "51")) == Declined(F.INSUFFICIENT_BALANCE, "51", "说明")


@pytest.mark.parametrize("amount", ["", " ", "12.5", "-1", "0x10"])
def test_a_notified_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    assert is_unknown(heard(notice_of(NUMBER, amount, "30")), received=True)


@pytest.mark.parametrize(
    "head",
    [{"TxCode": code} for code in ("1138", "1348", "1363", "2838", "2011", "2020", "")]
    + [{"TxSN": number} for number in ("", "not-ours", "x" * 51, "<x/>")]
    + [{"InstitutionID": INSTITUTIONS["second"]}, {"InstitutionID": ""}],
)
def test_a_notice_of_another_kind_or_to_another_institution_is_rejected(head: dict[str, str]) -> None:
    number = head.pop("TxSN", NUMBER)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(adapter()[0]).read(form_of(notice_of(number, AMOUNT, "30", **head)))


def test_a_notice_by_a_stranger_and_our_own_request_are_rejected() -> None:
    reader = callbacks_of(adapter()[0])
    with pytest.raises(CallbackRejectedError):
        reader.read(form_of(notice_of(NUMBER, AMOUNT, "30"), by=STRANGER))
    genuine = form_of(notice_of(NUMBER, AMOUNT, "30"))
    for body in (
        genuine.body + b"&message=AAAA",
        genuine.body.partition(b"&")[0],
        b"&".join(b"a%d=1" % n for n in range(100)) + b"&" + genuine.body,
        b"m" * 300_000,
    ):
        with pytest.raises(CallbackRejectedError):
            reader.read(CallbackRequest("POST", "", {}, body))


def test_a_notice_is_answered_in_base64() -> None:
    reader = callbacks_of(adapter()[0])
    taken, refused = (base64.b64decode(reader.answer(accepted).body).decode() for accepted in (True, False))
    assert taken == (
        '<?xml version="1.0" encoding="UTF-8"?><Response version="2.0">'
        "<Head><Code>2000</Code><Message>OK.</Message></Head></Response>"
    )
    assert "<Code>2001</Code>" in refused


# The account


def test_what_is_assumed_is_left_out_by_name() -> None:
    account = CASE.account()
    everything, payouts = CASE.commands.keys() - {AskBalance}, ("payout_states", "payout_order")
    for named, missing in (
        ([], {SendPaymentCode, Refund, AskRefund, Redirect, Payout, AskPayout}),
        (["refund_states", "page_states", *payouts], {SendPaymentCode}),
        (["payment_code_again", "page_states", *payouts], {Refund, AskRefund}),
        (["payment_code_again", "refund_states", *payouts], {Redirect}),
        (["payment_code_again", "refund_states", "page_states", "payout_states"], {Payout}),
    ):
        settings = {**account.settings, "assumed": named}
        provider = CASE.build(replace(account, settings=settings), Wire(CASE.processing))
        assert provider.commands.keys() == everything - missing


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", None),
        ("base_url", "ftp://cpcn.example.com"),
        ("institution_id", None),
        ("institution_id", "9000 01"),
        ("institution_id", "<a/>"),
        ("institution_id", 900001),
        ("settlement_flag", ""),
        ("settlement_flag", "0001_5000,0002"),
        ("declines", ["51"]),
        ("declines", {"51": "no_such_code"}),
        ("declines", {"5 1": "card_invalid"}),
        ("sms_wanted", "71"),
        ("sms_wanted", ["7 1"]),
        ("assumed", ["everything"]),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    account = CASE.account()
    with pytest.raises(AccountError, match=field):
        CASE.build(replace(account, settings={**account.settings, field: value}), Wire(CASE.processing))


@pytest.mark.parametrize("field", ["merchant_private_key", "psp_certificate"])
def test_a_missing_or_wrong_secret_is_named_and_not_shown(field: str) -> None:
    account = CASE.account()
    for value in ("", "rubbish"):
        with pytest.raises(AccountError, match=field) as raised:
            CASE.build(replace(account, secrets={**account.secrets, field: value}), Wire(CASE.processing))
        assert "rubbish" not in str(raised.value)


async def test_each_product_waits_for_an_answer_as_long_as_its_own_terms_say() -> None:
    own = {
        Product.PAYMENT: OwnTerms(answer_timeout_s=7.0),
        Product.AUTHENTICATION: OwnTerms(answer_timeout_s=9.0),
        Product.REFUND: OwnTerms(answer_timeout_s=11.0),
    }
    wire = Wire(CASE.processing)
    provider = CASE.build(replace(CASE.account(), terms=own), wire)
    for command in (a_payment(QUICK), a_payment_code(QUICK, NUMBER), its_question(WITHHOLD)):
        await do(provider, command)
    for signing in (a_signing_code(), a_signing(), an_unbinding(), an_authentications_question()):
        await do(provider, signing)
    await do(provider, a_refund(QUICK))
    told = [request.extensions["timeout"]["read"] for request in wire.sent]
    assert told == [7.0] * 3 + [9.0] * 4 + [11.0]
