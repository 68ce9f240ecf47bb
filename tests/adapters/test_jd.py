"""JD express: the contract suite on respx, and what only its protocol has.

Not tested here: sockets (`test_http`), a PSP with a memory of its own (`test_on_sandbox`), and the real platform, which
is known from public clients alone.
"""

import base64
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from adapters.account import AccountError
from adapters.jd import Jd
from adapters.jd.codes import BANKS, DECLINES, NO_DECLINES
from adapters.jd.envelope import Envelope
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import CodeSent, Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    AnswerLostError,
    AskPayment,
    AskRefund,
    Callback,
    CallbackRejectedError,
    NotSentError,
    Pay,
    Provider,
    Refund,
    SendPaymentCode,
)
from tests.adapters.contract import (
    AMOUNT,
    CARD,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    SMS_CODE,
    Contract,
    OnTheWire,
    Psp,
    Wire,
    a_payment,
    a_payment_code,
    a_refund,
    a_refunds_question,
    callbacks_of,
    do,
    is_unknown,
    its_question,
    meaning_of,
)
from tests.adapters.jd_case import (
    HEAD,
    MERCHANTS,
    OTHER_DES_KEY,
    REFUSALS,
    TO_A_QUESTION,
    JdCase,
    as_notice,
    encrypted,
    inside,
    letter,
    padded_to_a_block,
    signature,
    told,
    unpadded,
)

CASE = JdCase()
QUICK = Scene.QUICK_CHARGE


class TestJd(Contract):
    case = CASE


def adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    wire, account = Wire(psp), CASE.account()
    return Jd(replace(account, settings={**account.settings, **settings}), wire), wire


def a_coded_payment() -> Pay:
    return replace(a_payment(QUICK), sms_code=SMS_CODE, agreement_no=None)


async def paid(psp: Psp) -> Outcome:
    return await do(adapter(psp)[0], a_coded_payment())


async def queried(psp: Psp) -> Outcome:
    return await do(adapter(psp)[0], its_question(QUICK))


def fields(request: httpx.Request, of: str) -> dict[str, str | None]:
    [element] = CASE.checked(request).iterfind(of)
    return {str(child.tag): child.text for child in element}


# What goes out


async def test_the_wish_for_a_code_and_the_payment_bring_the_whole_card_and_the_same_number() -> None:
    provider, wire = adapter()
    await do(provider, a_payment_code(QUICK))
    await do(provider, a_coded_payment())
    wish, payment = wire.sent
    card = {"BANK": "ICBC", "TYPE": "D", "NO": CARD.card_no, "EXP": None, "CVV2": None, "NAME": CARD.holder_name}
    card |= {"IDTYPE": "I", "IDNO": CARD.id_no, "PHONE": CARD.phone}
    assert fields(wish, "CARD") == fields(payment, "CARD") == card
    trade = {"TYPE": "V", "ID": NUMBER, "AMOUNT": str(AMOUNT), "CURRENCY": "CNY"}
    assert fields(wish, "TRADE") == trade
    more = {"DATE": "20260302", "TIME": "003015", "NOTICE": NOTIFY_URL, "NOTE": None, "CODE": SMS_CODE}
    assert fields(payment, "TRADE") == {**trade, "TYPE": "S", **more}


async def test_its_question_is_the_number_alone() -> None:
    provider, wire = adapter()
    await do(provider, its_question(QUICK, tries=3))
    assert fields(wire.sent[0], "TRADE") == {"TYPE": "Q", "ID": NUMBER}


def test_its_cipher_is_des_by_the_published_example() -> None:
    """ECB of FIPS 81, appendix B: a key of 8 bytes, three blocks, and here one of padding."""
    account = CASE.account()
    key = base64.b64encode(bytes.fromhex("0123456789abcdef") + b"what follows is of no use").decode()
    envelope = Envelope(replace(account, secrets={**account.secrets, "des_key": key}))
    sealed = envelope.encrypted(b"Now is the time for all ")
    assert sealed[:24].hex() == "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53"
    assert len(sealed) == 32
    assert envelope.decrypted(sealed) == b"Now is the time for all "


async def test_another_sms_is_asked_for_in_the_same_words() -> None:
    provider, wire = adapter(CASE.code_sent)
    assert await do(provider, a_payment_code(QUICK)) == CodeSent(channel_code="0000")
    assert await do(provider, a_payment_code(QUICK, ordinal=2)) == CodeSent(channel_code="0000")
    first, second = wire.sent
    assert first.content == second.content


@pytest.mark.parametrize("name", ["王一䶮", "𠮷野", "买买提·艾力", "A<B>&'\"C", "]]>"])
async def test_any_name_in_utf_8_arrives_as_it_is(name: str) -> None:
    provider, wire = adapter()
    payment = replace(a_coded_payment(), card=replace(CARD, holder_name=name))
    assert isinstance(await do(provider, payment), Processing)
    assert fields(wire.sent[0], "CARD")["NAME"] == name


@pytest.mark.parametrize("name", ["张\x00三", "\ud800"])
async def test_a_name_that_xml_cannot_write_is_declined_and_nothing_is_sent(name: str) -> None:
    provider, wire = adapter()
    card = replace(CARD, holder_name=name)
    for command in (replace(a_coded_payment(), card=card), replace(a_payment_code(QUICK), card=card)):
        outcome: object = await provider.commands[type(command)](command)
        assert isinstance(outcome, Declined)
        assert outcome.code is F.CARD_UNSUPPORTED
        assert name not in repr(outcome)
    assert wire.sent == []


async def test_a_payment_without_a_code_another_bank_or_another_scene_is_declined_and_nothing_is_sent() -> None:
    provider, wire = adapter()
    refused = [
        await do(provider, replace(a_coded_payment(), sms_code=None)),
        await do(provider, replace(a_coded_payment(), bank="EGBANK")),
        await do(provider, replace(a_coded_payment(), scene=Scene.WITHHOLD)),
        await do(provider, replace(a_payment_code(QUICK), bank="EGBANK")),
        await do(provider, a_payment_code(Scene.WITHHOLD)),
    ]
    codes = [outcome.code for outcome in refused if isinstance(outcome, Declined)]
    assert codes == [F.CHANNEL_REFUSED, *[F.CARD_UNSUPPORTED] * 4]
    assert wire.sent == []


def test_it_sends_codes_pays_gives_back_is_asked_and_binds_nothing() -> None:
    provider, _ = adapter()
    assert set(provider.commands) == {SendPaymentCode, Pay, AskPayment, Refund, AskRefund}
    assert provider.declaration.carries.banks == frozenset(BANKS)


# The SMS


async def test_every_code_of_the_tables_as_an_answer_to_the_wish_for_an_sms() -> None:
    provider, wire = adapter()
    read = {}
    for code in CASE.codes[SendPaymentCode]:
        wire.psp = partial(_answer, code)
        outcome = await do(provider, a_payment_code(QUICK))
        assert getattr(outcome, "channel_code", None) == code
        assert not isinstance(outcome, Unknown) or outcome.received is (
            code not in CASE.not_received[SendPaymentCode]
        ), code
        read[code] = meaning_of(outcome)
    assert read == dict(CASE.codes[SendPaymentCode])


@pytest.mark.parametrize(
    ("psp", "kind"),
    [
        (lambda request: AnswerLostError("timeout"), Unknown),
        (lambda request: NotSentError("refused"), NotSent),
        (lambda request: httpx.Response(502, html="<html>"), Unknown),
        (lambda request: CASE.unsigned(CASE.code_sent(request)), Unknown),
        (lambda request: CASE.answer(request, "EEX0001"), Unknown),
        (lambda request: told(inside("S", NUMBER, str(AMOUNT), "0000")), Unknown),
        (lambda request: told(inside("V", OTHER_NUMBER, str(AMOUNT), "0000")), Unknown),
        (lambda request: told(inside("V", "", "", "0000")), Unknown),
    ],
)
async def test_what_is_no_word_on_the_sms_is_unknown_or_not_sent_and_asked_for_once(
    psp: Psp, kind: type[object]
) -> None:
    provider, wire = adapter(psp)
    assert isinstance(await do(provider, a_payment_code(QUICK)), kind)
    assert len(wire.sent) == 1


async def test_a_refusal_of_the_sms_may_come_without_its_number() -> None:
    """As one was seen in the wild."""
    provider, _ = adapter(lambda request: told(inside("V", "", "", "EES0008")))
    assert await do(provider, a_payment_code(QUICK)) == Declined(F.CHANNEL_REFUSED, "EES0008", "说明&")
    provider, _ = adapter(lambda request: told(inside("V", "", "", "EEN0015")))
    assert is_unknown(await do(provider, a_payment_code(QUICK)), received=True)


# What comes back


async def test_a_refusal_counts_whatever_status_stands_beside_it() -> None:
    """STATUS 0 beside EES0035 was seen in the wild: nothing was paid."""
    answer = inside("S", NUMBER, str(AMOUNT), "EES0035")
    assert "<STATUS>0</STATUS>" in answer
    assert await paid(lambda request: told(answer)) == Declined(F.SMS_CODE_EXPIRED, "EES0035", "说明&")


async def test_a_wrong_and_an_expired_code_are_told_apart() -> None:
    assert meaning_of(await paid(CASE.wrong_code)) is F.SMS_CODE_WRONG
    assert meaning_of(await paid(CASE.expired_code)) is F.SMS_CODE_EXPIRED


async def test_an_answer_may_be_the_final_word_with_its_amount() -> None:
    assert await paid(lambda request: CASE.answer(request, "0000/0")) == Succeeded(AMOUNT, channel_code="0000/0")


async def test_an_unmapped_code_is_unknown_with_the_raw_code() -> None:
    assert is_unknown(await paid(lambda request: CASE.answer(request, "EEX0001")), received=True)
    asked = await queried(lambda request: CASE.answer(request, "EEX0001"))
    assert asked == Unknown("the question failed", "EEX0001", "说明&")


async def test_a_refusal_of_a_payment_without_its_number_is_no_word_on_it() -> None:
    assert is_unknown(await paid(lambda request: told(inside("S", "", "", "EEB0014"))), received=False)
    assert isinstance(await queried(lambda request: told(inside("Q", "", "", "EES0037"))), NotFound)


@pytest.mark.parametrize("kind", ["V", "Q", "R", ""])
async def test_an_answer_to_another_kind_of_request_is_unknown(kind: str) -> None:
    assert is_unknown(await paid(lambda request: told(inside(kind, NUMBER, "1", "0000/0"))), received=False)


@pytest.mark.parametrize("amount", ["", "123.45", "-12345", "12345元", "1e5", "１２３", "9" * 40])
async def test_a_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    answer = inside("Q", NUMBER, amount, "0000/0")
    assert is_unknown(await queried(lambda request: told(answer)), received=True)
    dollars = inside("Q", NUMBER, "100", "0000/0").replace("CNY", "USD")
    assert is_unknown(await queried(lambda request: told(dollars)), received=True)


@pytest.mark.parametrize("code", ["EES0007", "EES0009", "0001"])
async def test_a_code_in_place_of_the_envelope_is_kept_but_not_believed(code: str) -> None:
    answer = httpx.Response(200, content=f"resp={code}".encode())
    for outcome in (await paid(lambda request: answer), await queried(lambda request: answer)):
        assert outcome == Unknown("refused without a signature", code)


def _in_lines(text: str) -> str:
    return "\n".join(text[place : place + 76] for place in range(0, len(text), 76)) + "\n"


async def test_base64_in_lines_is_read() -> None:
    data = _in_lines(encrypted(f"{HEAD}{inside('Q', NUMBER, str(AMOUNT), '0000/0')}".encode()))
    answer = httpx.Response(200, content=f"resp={_in_lines(letter(data))}".encode())
    assert await queried(lambda request: answer) == Succeeded(AMOUNT, channel_code="0000/0")


@pytest.mark.parametrize(
    "data",
    [
        encrypted(f"{HEAD}{inside('Q', NUMBER, '1', '0000/0')}".encode(), OTHER_DES_KEY),
        encrypted(inside("Q", NUMBER, "1", "0000/0").encode("utf-16")),
        encrypted(inside("Q", NUMBER, "1", "0000/0").encode("gbk")),
        unpadded(padded_to_a_block(f"{HEAD}{inside('Q', NUMBER, '1', '0000/0')}") + b"       \x02"),
        encrypted(b"<DATA><TRADE>"),
        encrypted(b"<OTHER/>"),
        encrypted(b'<!DOCTYPE DATA [<!ENTITY a "0000">]><DATA/>'),
        base64.b64encode(b"no whole block").decode(),
        base64.b64encode(b"8 bytes!").decode(),
        "no base64!",
        "",
    ],
)
async def test_data_that_cannot_be_decrypted_or_read_is_unknown_though_rightly_signed(data: str) -> None:
    answer = httpx.Response(200, content=f"resp={letter(data)}".encode())
    assert is_unknown(await queried(lambda request: answer), received=False)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(adapter()[0]).read(as_notice(letter(data)))


async def test_an_answer_to_another_merchant_under_the_same_keys_is_unknown() -> None:
    data = encrypted(f"{HEAD}{inside('Q', NUMBER, str(AMOUNT), '0000/0')}".encode())
    for sign in (None, signature(MERCHANTS["first"], data)):
        answer = httpx.Response(200, content=f"resp={letter(data, MERCHANTS['second'], sign)}".encode())
        assert is_unknown(await queried(partial(_give, answer)), received=False)


async def test_an_answer_beyond_all_measure_is_unknown_and_a_long_message_is_cut() -> None:
    def answer(request: httpx.Request, length: int) -> httpx.Response:
        return told(inside("S", NUMBER, str(AMOUNT), "EEB0014").replace("说明", "长" * length))

    assert isinstance(await paid(lambda request: answer(request, 20_000)), Unknown)
    outcome = await paid(lambda request: answer(request, 2_000))
    assert isinstance(outcome, Declined)
    assert outcome.channel_message == "长" * 256


def test_the_tables_name_no_code_twice_and_map_nothing_that_is_left_out_on_purpose() -> None:
    assert DECLINES == REFUSALS
    assert not set(DECLINES) & NO_DECLINES


# Notices


@pytest.mark.parametrize("code", [code for code in TO_A_QUESTION if code not in DECLINES] + list(DECLINES))
def test_a_code_other_than_0000_is_no_word_on_the_order_in_a_notice(code: str) -> None:
    """It answers one request: a wrong SMS code, which another may follow that is right."""
    request = CASE.callback(Verb.PAY, NUMBER, AMOUNT, code)
    assert is_unknown(callbacks_of(adapter()[0]).read(request).outcome, received=False)


@pytest.mark.parametrize("kind", ["V", "Q", ""])
def test_the_answer_to_another_kind_of_request_is_rejected_as_a_notice(kind: str) -> None:
    data = encrypted(f"{HEAD}{inside(kind, NUMBER, str(AMOUNT), '0000/0')}".encode())
    with pytest.raises(CallbackRejectedError):
        callbacks_of(adapter()[0]).read(as_notice(letter(data)))


# Refunds


async def test_a_refund_is_this_trade_without_a_card() -> None:
    provider, wire = adapter()
    await do(provider, a_refund(QUICK))
    await do(provider, a_refunds_question(QUICK))
    assert fields(wire.sent[0], "TRADE") == {
        "TYPE": "R", "ID": NUMBER, "OID": OTHER_NUMBER, "AMOUNT": str(AMOUNT), "CURRENCY": "CNY",
        "DATE": "20260302", "TIME": "003015", "NOTICE": NOTIFY_URL, "NOTE": None,
    }  # fmt: skip
    assert fields(wire.sent[1], "TRADE") == {"TYPE": "Q", "ID": NUMBER}
    assert isinstance(await do(provider, a_refund(Scene.WITHHOLD)), Declined)
    assert len(wire.sent) == 2


async def test_the_account_says_which_codes_refuse_a_refund_and_says_nothing_of_payments_by_it() -> None:
    settings = {**CASE.account().settings, "refund_declines": {"EEN0008": "merchant_balance_short"}}
    wire = Wire(lambda request: CASE.answer(request, "EEN0008"))
    provider = CASE.build(replace(CASE.account(), settings=settings), wire)
    refused = await do(provider, a_refund(QUICK))
    assert isinstance(refused, Declined)
    assert refused.code is F.MERCHANT_BALANCE_SHORT
    assert is_unknown(await do(provider, a_coded_payment()), received=True)


@pytest.mark.parametrize("assumed", [["order_numbers"], ["order_numbers", "refunds_as_payments"]])
def test_the_notice_of_a_refund_is_about_a_refund_whatever_number_it_carries_and_believed_where_refunds_are(
    assumed: list[str],
) -> None:
    settings = {**CASE.account().settings, "assumed": assumed}
    reader = callbacks_of(CASE.build(replace(CASE.account(), settings=settings), Wire(CASE.processing)))
    told = CASE.callback(Verb.REFUND, NUMBER, AMOUNT)
    if "refunds_as_payments" in assumed:
        assert reader.read(told) == Callback(NUMBER, Verb.REFUND, Succeeded(AMOUNT, channel_code="0000/0"))
        return
    with pytest.raises(CallbackRejectedError):
        reader.read(told)


def test_a_notice_whose_plus_signs_were_not_escaped_is_read_and_one_with_two_letters_is_not() -> None:
    genuine = CASE.callback(Verb.PAY, NUMBER, AMOUNT)
    reader = callbacks_of(adapter()[0])
    unescaped = replace(genuine, body=genuine.body.replace(b"%2B", b"+").replace(b"%2F", b"/"))
    assert reader.read(unescaped) == reader.read(genuine)
    assert reader.read(replace(genuine, body=b"merchant=m1&" + genuine.body)) == reader.read(genuine)
    with pytest.raises(CallbackRejectedError):
        reader.read(replace(genuine, body=genuine.body + b"&" + genuine.body))


# The account


def test_nothing_is_done_before_the_account_says_what_is_assumed() -> None:
    with pytest.raises(AccountError, match="order_numbers"):
        adapter(assumed=[])
    with pytest.raises(AccountError, match="assumed"):
        adapter(assumed=["order_numbers", "more"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None),
        ("url", "jd.example.com"),
        ("merchant", None),
        ("merchant", 110000000001),
        ("merchant", "11000000000A"),
        ("terminal", "1 "),
        ("terminal", "T1"),
        ("declines", "EEB0099"),
        ("declines", {"0000": "card_invalid"}),
        ("declines", {"EEB0099": "no_such_code"}),
        ("declines", {"EEN0015": "channel_refused"}),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: Any) -> None:
    if (field, value) == ("terminal", "1 "):
        adapter(terminal=value)  # blanks at the ends are nothing
        return
    with pytest.raises(AccountError, match=field):
        adapter(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("md5_key", ""), ("des_key", ""), ("des_key", "rubbish 䶮"), ("des_key", "cnViYmlzaA==")]
)
def test_a_missing_or_wrong_secret_is_named_and_not_shown(field: str, value: str) -> None:
    account = CASE.account()
    with pytest.raises(AccountError, match=field) as raised:
        Jd(replace(account, secrets={**account.secrets, field: value}), Wire(CASE.processing))
    assert not value or value not in str(raised.value)


async def test_an_account_may_explain_codes_of_its_own_and_have_other_patience() -> None:
    account = CASE.account()
    settings = {**account.settings, "declines": {"EEB0099": "card_unsupported"}}
    wire = Wire(lambda request: CASE.answer(request, "EEB0099"))
    terms = {Product.PAYMENT: OwnTerms(answer_timeout_s=2)}
    provider = Jd(replace(account, settings=settings, terms=terms), wire)
    assert await do(provider, a_coded_payment()) == Declined(F.CARD_UNSUPPORTED, "EEB0099", "说明&")
    assert wire.sent[0].extensions["timeout"] == {"connect": 5.0, "read": 2, "write": 2, "pool": 2}
    assert CASE.read(wire.sent[0]) == OnTheWire(NUMBER, AMOUNT)


async def test_no_key_card_or_sms_code_is_shown() -> None:
    account = CASE.account()
    for psp in (CASE.wrong_code, lambda request: AnswerLostError("timeout"), lambda request: told("<X/>")):
        provider = Jd(account, Wire(psp))
        outcomes = [await do(provider, a_coded_payment()), await do(provider, a_payment_code(QUICK))]
        text = "\n".join(map(repr, [provider, account, a_coded_payment(), a_payment_code(QUICK), *outcomes]))
        secret = [SMS_CODE, CARD.card_no, CARD.holder_name, CARD.id_no, CARD.phone, *account.secrets.values()]
        assert not [one for one in secret if one in text]


def _answer(code: str, request: httpx.Request) -> httpx.Response:
    return CASE.answer(request, code)


def _give(answer: httpx.Response, request: httpx.Request) -> httpx.Response:
    return answer
