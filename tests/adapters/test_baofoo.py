"""Baofoo protocol pay: the contract suite on respx, and what only its protocol has.

Not tested here: sockets (`test_http`), a PSP with a memory of its own (`test_on_sandbox`, `test_baofoo_on_sandbox`),
and the real platform, whose newer codes are known from a third party's list only.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from adapters.account import AccountError
from adapters.baofoo.codes import DECLINES, NO_DECLINES
from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import OwnTerms, Product
from gateway.ports import (
    AskAuthentication,
    AskBalance,
    AskRefund,
    AskReturnedPayouts,
    CallbackRejectedError,
    CallbackRequest,
    Command,
    Payout,
    Provider,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters.baofoo_case import (
    MEMBERS,
    UNIQUE_CODE,
    BaofooCase,
    a_binding,
    a_notice,
    envelope_for,
    fields_of,
    hidden,
    notification,
    opened,
    signed,
    text_of,
)
from tests.adapters.contract import (
    AGREEMENT_NO,
    AMOUNT,
    CARD,
    NOTIFY_URL,
    NUMBER,
    SMS_CODE,
    Contract,
    Psp,
    Wire,
    a_payment,
    a_payment_code,
    a_signing,
    a_signing_code,
    an_authentications_question,
    an_unbinding,
    callbacks_of,
    do,
    is_unknown,
    its_question,
)

CASE = BaofooCase()
PAYER = hashlib.sha256(b"u-1").hexdigest()[:50]
COMMON = {
    "version": "4.0.0.0",
    "send_time": "2026-03-02 00:30:15",
    "member_id": "100025773",
    "terminal_id": "200001173",
}
NUMBERS_OWN = {"msg_id", "dgtl_envlp", "signature"}


class TestBaofoo(Contract):
    case = CASE


def adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    wire, account = Wire(psp), CASE.account()
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


async def answered(psp: Psp, command: Command[Any]) -> Any:
    return await do(adapter(psp)[0], command)


async def asked(psp: Psp) -> Any:
    return await answered(psp, its_question(Scene.QUICK_CHARGE))


async def sent(command: Command[Any]) -> dict[str, str]:
    provider, wire = adapter()
    await do(provider, command)
    return CASE.checked(wire.sent[0])


def said(state: str, code: str, **more: str) -> Psp:
    """Answers with these codes."""
    return lambda request: CASE.said(request, state, code, **more)


def done(**more: Any) -> Psp:
    """Answers that it was done, with these fields instead."""
    return lambda request: CASE.done(request, **more)


def with_settings(**settings: object) -> Provider:
    account = CASE.account()
    return CASE.build(replace(account, settings={**account.settings, **settings}), Wire(CASE.processing))


BY_CODE = replace(a_payment(Scene.QUICK_CHARGE), sms_code=SMS_CODE, continuation=UNIQUE_CODE)
SIGNING = a_signing(UNIQUE_CODE)
PAYMENT_CODE = a_payment_code(Scene.QUICK_CHARGE, AGREEMENT_NO)


# What goes out


@pytest.mark.parametrize(
    ("command", "plain", "secret"),
    [
        (
            a_signing_code(),
            {"txn_type": "01", "user_id": PAYER, "card_type": "101", "id_card_type": "01"},
            {"acc_info": "6222020200098761234|张三丰|110101199003074477|13812340077||"},
        ),
        (SIGNING, {"txn_type": "02"}, {"unique_code": f"{UNIQUE_CODE}|{SMS_CODE}"}),
        (an_authentications_question(), {"txn_type": "03"}, {"acc_no": "6222020200098761234"}),
        (an_unbinding(), {"txn_type": "04", "user_id": PAYER}, {"protocol_no": AGREEMENT_NO}),
        (BY_CODE, {"txn_type": "06"}, {"unique_code": f"{UNIQUE_CODE}|{SMS_CODE}"}),
        (
            replace(PAYMENT_CODE, user_id="u1"),
            {
                "txn_type": "05",
                "trans_id": NUMBER,
                "user_id": "u1",
                "txn_amt": "12345",
                "risk_item": '{"goodsCategory":"02","chPayIp":"127.0.0.1"}',
                "return_url": NOTIFY_URL,
            },
            {"protocol_no": AGREEMENT_NO},
        ),
        (
            replace(a_payment(Scene.QUICK_CHARGE), user_id="u1"),
            {
                "txn_type": "08",
                "trans_id": NUMBER,
                "user_id": "u1",
                "txn_amt": "12345",
                "risk_item": '{"goodsCategory":"02","chPayIp":"127.0.0.1"}',
                "return_url": NOTIFY_URL,
            },
            {"protocol_no": AGREEMENT_NO},
        ),
        (
            its_question(Scene.WITHHOLD),
            {"txn_type": "07", "orig_trans_id": NUMBER, "orig_trade_date": "2026-03-02 00:30:15"},
            {},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Command) else "",
)
async def test_each_command_is_this_form(command: Command[Any], plain: dict[str, str], secret: dict[str, str]) -> None:
    fields = await sent(command)
    assert {name: opened(fields, name) for name in secret} == secret
    own = NUMBERS_OWN | set(secret) if secret else NUMBERS_OWN - {"dgtl_envlp"}
    assert own <= fields.keys()
    assert {name: value for name, value in fields.items() if name not in own} == COMMON | plain


async def test_a_withhold_goes_by_agreement_like_a_charge() -> None:
    withhold = replace(a_payment(Scene.WITHHOLD), agreement_no=AGREEMENT_NO)
    ours, theirs = await sent(withhold), await sent(a_payment(Scene.QUICK_CHARGE))
    assert opened(ours, "protocol_no") == opened(theirs, "protocol_no") == AGREEMENT_NO
    changing = NUMBERS_OWN | {"protocol_no"}
    assert {k: v for k, v in ours.items() if k not in changing} == {
        k: v for k, v in theirs.items() if k not in changing
    }
    assert isinstance(await answered(CASE.done, withhold), Succeeded)


async def test_nothing_of_a_card_stands_open_in_a_request_and_no_key_is_used_twice() -> None:
    provider, wire = adapter()
    for _ in range(2):
        for command in (a_signing_code(), SIGNING, an_authentications_question(), an_unbinding(), PAYMENT_CODE):
            await do(provider, command)
    sent_text = b"".join(request.content for request in wire.sent).decode()
    for secret in (CARD.card_no, CARD.id_no, CARD.phone, quote_plus(CARD.holder_name), AGREEMENT_NO, SMS_CODE):
        assert secret not in sent_text
    assert len({fields_of(request)["dgtl_envlp"] for request in wire.sent}) == 10
    assert len({fields_of(request).get("acc_info", "") for request in wire.sent}) == 3


async def test_every_request_of_an_order_has_a_number_of_its_own_that_the_same_request_has_again() -> None:
    provider, wire = adapter()
    for ordinal in (1, 2, 99_999):
        for command in (a_signing_code(), SIGNING, PAYMENT_CODE, BY_CODE, a_payment(Scene.QUICK_CHARGE)):
            await do(provider, replace(command, ordinal=ordinal))
        await do(provider, its_question(Scene.QUICK_CHARGE, ordinal))
    numbers = [CASE.checked(request)["msg_id"] for request in wire.sent]
    assert len(set(numbers)) == len(numbers) == 18
    assert (await sent(a_payment(Scene.QUICK_CHARGE)))["msg_id"] in numbers


async def test_what_may_be_repeated_for_ever_looks_like_a_duplicate_to_nobody() -> None:
    provider, wire = adapter()
    for _ in range(4):
        await do(provider, an_authentications_question())
        await do(provider, an_unbinding())
    assert len({CASE.checked(request)["msg_id"] for request in wire.sent}) > 6


@pytest.mark.parametrize(
    ("id_type", "id_no", "code"),
    [
        (IdType.ID_CARD, "110101900307447", "01"),
        (IdType.ID_CARD, "810000199003074477", "12"),
        (IdType.ID_CARD, "820000199003074477", "12"),
        (IdType.ID_CARD, "830000199003074477", "13"),
        (IdType.FOREIGNER_PERMIT, "911000199003074477", "09"),
        (IdType.FOREIGNER_PERMIT, "810000199003074477", "09"),
    ],
)
async def test_each_paper_has_its_code_and_residence_permits_have_theirs(
    id_type: IdType, id_no: str, code: str
) -> None:
    fields = await sent(replace(a_signing_code(), card=replace(CARD, id_type=id_type, id_no=id_no)))
    assert fields["id_card_type"] == code
    assert opened(fields, "acc_info").split("|")[2] == id_no


async def test_a_paper_without_a_code_is_known_to_routing_and_never_sent() -> None:
    provider, wire = adapter()
    for id_type in set(IdType) - provider.declaration.carries.id_types:
        outcome = await do(provider, replace(a_signing_code(), card=replace(CARD, id_type=id_type)))
        assert isinstance(outcome, Declined)
        assert outcome.code is F.CARD_UNSUPPORTED
    assert provider.declaration.carries.id_types == {IdType.ID_CARD, IdType.FOREIGNER_PERMIT}
    assert wire.sent == []


@pytest.mark.parametrize("name", ["张|三", "A%B", "A#B", "A^B", "Anne-Marie", "张\n三", "\ud800"])
async def test_a_name_with_a_reserved_character_is_declined_and_nothing_is_sent(name: str) -> None:
    provider, wire = adapter()
    outcome = await do(provider, replace(a_signing_code(), card=replace(CARD, holder_name=name)))
    assert isinstance(outcome, Declined)
    assert outcome.code is F.CARD_UNSUPPORTED
    assert name not in repr(outcome)
    assert wire.sent == []


@pytest.mark.parametrize("name", ["买买提·艾力", "王一䶮", "𠮷野", "O'Neill & Söhne", "a=b"])
async def test_any_other_name_arrives_as_it_is(name: str) -> None:
    fields = await sent(replace(a_signing_code(), card=replace(CARD, holder_name=name)))
    assert opened(fields, "acc_info").split("|")[1] == name


@pytest.mark.parametrize("user_id", ["u-1", "用户😀", "a b", "a&b=c", "x" * 51, "a;b", "a|b", "\ud800"])
async def test_a_user_id_that_does_not_fit_is_told_by_the_same_digest_everywhere(user_id: str) -> None:
    digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:50]
    commands: list[Any] = [a_signing_code(), an_unbinding(), PAYMENT_CODE, a_payment(Scene.QUICK_CHARGE)]
    told = [await sent(replace(command, user_id=user_id)) for command in commands]
    assert {fields["user_id"] for fields in told} == {digest}
    found = await answered(bindings(a_binding(user_id=digest)), replace(an_authentications_question(), user_id=user_id))
    assert isinstance(found, Authenticated)


@pytest.mark.parametrize("user_id", ["u1", "Zhang.San@example.com", "x" * 50, "0190A1B2_c3"])
async def test_a_user_id_that_fits_is_told_as_it_is(user_id: str) -> None:
    assert (await sent(replace(a_payment(Scene.QUICK_CHARGE), user_id=user_id)))["user_id"] == user_id


async def test_what_cannot_be_paid_here_is_declined_and_nothing_is_sent() -> None:
    provider, wire = adapter()
    for command in (a_payment(Scene.QUICK_CHARGE), PAYMENT_CODE):
        for change, code in (
            ({"scene": Scene.NETBANK_CHARGE}, F.CARD_UNSUPPORTED),
            ({"amount": 10**12}, F.CARD_UNSUPPORTED),
            ({"agreement_no": None}, F.AGREEMENT_VOID),
            ({"agreement_no": "", "scene": Scene.WITHHOLD}, F.AGREEMENT_VOID),
        ):
            outcome = await do(provider, replace(command, **change))
            assert isinstance(outcome, Declined)
            assert outcome.code is code
    assert wire.sent == []


@pytest.mark.parametrize("command", [SIGNING, BY_CODE], ids=["sign", "pay"])
async def test_a_code_without_its_sms_or_with_a_separator_is_declined_and_nothing_is_sent(
    command: Command[Any],
) -> None:
    provider, wire = adapter()
    for change, code in (
        ({"continuation": None}, F.SMS_CODE_EXPIRED),
        ({"continuation": ""}, F.SMS_CODE_EXPIRED),
        ({"sms_code": "12|34"}, F.SMS_CODE_WRONG),
    ):
        outcome = await do(provider, replace(command, **change))
        assert isinstance(outcome, Declined)
        assert outcome.code is code
    assert wire.sent == []


async def test_an_address_for_notices_that_does_not_fit_is_left_out() -> None:
    payment = a_payment(Scene.QUICK_CHARGE)
    long = f"https://pay.example.com/{'x' * 500}"
    assert "return_url" not in await sent(replace(payment, notify_url=long))
    assert (await sent(replace(payment, notify_url=long[:500])))["return_url"] == long[:500]


# What comes back


async def test_a_payment_is_final_at_once_with_amount_number_and_time() -> None:
    paid = Succeeded(AMOUNT, "58752185", datetime(2026, 3, 1, 16, 31, tzinfo=UTC), "0000")
    for command in (a_payment(Scene.QUICK_CHARGE), BY_CODE, its_question(Scene.QUICK_CHARGE)):
        assert await answered(CASE.done, command) == paid


async def test_a_payment_that_was_made_before_is_paid_and_not_paid_twice() -> None:
    outcome = await answered(lambda request: CASE.answer(request, "BF00114"), a_payment(Scene.QUICK_CHARGE))
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == AMOUNT


async def test_a_payment_that_must_be_made_with_a_code_says_so_and_sent_none() -> None:
    assert await answered(CASE.sms_needed, a_payment(Scene.QUICK_CHARGE)) == SmsNeeded("BF00130", "说明[BF00130]")


async def test_a_payment_by_an_agreement_that_is_void_is_told_as_that() -> None:
    void = Declined(F.AGREEMENT_VOID, "BF00134", "说明[BF00134]", "58752185")
    assert await answered(lambda request: CASE.answer(request, "BF00134"), a_payment(Scene.QUICK_CHARGE)) == void


@pytest.mark.parametrize("code", ["0000", "BF00103", "BF00128", "BF00113", "BF09999", ""])
async def test_a_question_that_failed_says_nothing_of_the_order_whatever_its_code(code: str) -> None:
    outcome = await asked(said("FF", code))
    assert isinstance(outcome, NotFound) if code == "BF00128" else is_unknown(outcome, received=False)


@pytest.mark.parametrize("code", ["0000", "BF00103", "BF00114", "BF09999"])
async def test_an_open_order_is_open_whatever_its_code(code: str) -> None:
    assert isinstance(await asked(said("I", code)), Processing)


@pytest.mark.parametrize(("state", "code"), [("S", "BF00103"), ("F", "0000"), ("F", "BF00114"), ("X", "0000")])
async def test_two_levels_that_contradict_each_other_end_nothing(state: str, code: str) -> None:
    assert is_unknown(await asked(said(state, code, succ_amt="1")), received=True)


async def test_a_refused_question_for_nothing_and_a_failed_one_both_find_nothing() -> None:
    for state in ("F", "FF"):
        assert isinstance(await asked(said(state, "BF00128")), NotFound)


@pytest.mark.parametrize("amount", ["", "123.45", "-12345", "12345元", "1e5", "１２３", "9" * 40])
async def test_a_success_without_a_readable_amount_is_unknown(amount: str) -> None:
    assert is_unknown(await asked(done(succ_amt=amount)), received=True)


@pytest.mark.parametrize("time", ["", "yesterday", "0001-01-01 00:00:00", "9999-12-31 23:59:59"])
async def test_an_unreadable_finishing_time_costs_nothing_but_itself(time: str) -> None:
    outcome = await asked(done(succ_time=time))
    assert isinstance(outcome, Succeeded)
    assert outcome.amount == AMOUNT


COMMANDS = [a_signing_code(), SIGNING, an_authentications_question(), an_unbinding(), PAYMENT_CODE, BY_CODE]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
async def test_a_true_answer_to_another_request_or_merchant_is_unknown(command: Command[Any]) -> None:
    for change in ({"txn_type": "99"}, {"member_id": "1"}, {"terminal_id": "1"}, {"txn_type": ""}):
        assert is_unknown(await answered(done(**change), command), received=False), change


async def test_an_answer_that_names_no_order_ends_none() -> None:
    for state, code in (("S", "0000"), ("F", "BF00103"), ("F", "BF09999")):
        for command in (a_payment(Scene.QUICK_CHARGE), its_question(Scene.QUICK_CHARGE)):
            outcome = await answered(said(state, code, trans_id="", succ_amt="12345"), command)
            assert is_unknown(outcome, received=False)


async def test_a_confirmation_whose_sms_is_not_known_any_more_is_refused_without_naming_its_order() -> None:
    assert await answered(said("F", "BF00106", trans_id="", order_id=""), BY_CODE) == Declined(
        F.SMS_CODE_EXPIRED, "BF00106", "说明[BF00106]"
    )
    for state, code in (("S", "0000"), ("F", "BF09999"), ("F", "BF00113"), ("I", "BF00115")):
        outcome = await answered(said(state, code, trans_id="", succ_amt="12345"), BY_CODE)
        assert is_unknown(outcome, received=False)


async def test_an_answer_with_escapes_is_read_where_its_signature_says_so() -> None:
    def escaped(request: httpx.Request) -> httpx.Response:
        fields = dict(pair.split("=", 1) for pair in CASE.done(request).text.split("&"))
        return httpx.Response(200, content="&".join(f"{k}={quote_plus(v)}" for k, v in fields.items()).encode())

    assert isinstance(await asked(escaped), Succeeded)
    # Not escaped, and yet with the signs of it: the text is what was signed.
    refused = await asked(said("F", "BF00103", biz_resp_msg="100%+余额不足"))
    assert refused == Declined(F.INSUFFICIENT_BALANCE, "BF00103", "100%+余额不足", "58752185")
    often = await asked(said("F", "BF00342", biz_resp_msg="x"))
    assert often == Declined(F.INSUFFICIENT_BALANCE, "BF00342", "x", "58752185", no_more_today=True)


@pytest.mark.parametrize("message", ["a&b", "a&resp_code=S", "x&succ_amt=1&y=2"])
async def test_a_message_that_hides_fields_is_not_believed(message: str) -> None:
    assert is_unknown(await asked(said("F", "BF00103", biz_resp_msg=message)), received=False)


async def test_an_answer_beyond_all_measure_is_unknown_and_a_long_message_is_cut() -> None:
    huge = await asked(said("F", "BF00103", biz_resp_msg="长" * 40_000))
    assert is_unknown(huge, received=False)
    outcome = await asked(said("F", "BF00103", biz_resp_msg="长" * 5_000))
    assert isinstance(outcome, Declined)
    assert outcome.channel_message == "长" * 256


# Encrypted fields

SPOILT: list[tuple[str, Callable[[], dict[str, str]]]] = [
    ("no envelope", lambda: {"dgtl_envlp": ""}),
    ("no hexadecimal", lambda: {"dgtl_envlp": "zz"}),
    ("an envelope for somebody else", lambda: {"dgtl_envlp": envelope_for("second")}),
    ("another algorithm", lambda: {"dgtl_envlp": envelope_for("first", b"02|4f66405C4f66405c")}),
    ("a short key", lambda: {"dgtl_envlp": envelope_for("first", b"01|4f66405C")}),
    ("another key", lambda: {"dgtl_envlp": envelope_for("first", b"01|0000000000000000")}),
    ("no blocks", lambda: dict.fromkeys(("unique_code", "protocol_no", "protocols"), "00ff")),
    ("nothing", lambda: dict.fromkeys(("unique_code", "protocol_no"), "") | {"protocols": "00"}),
]


@pytest.mark.parametrize(("what", "spoil"), SPOILT, ids=[what for what, _ in SPOILT])
@pytest.mark.parametrize("command", COMMANDS[:3] + COMMANDS[4:5], ids=lambda command: type(command).__name__)
async def test_a_field_that_cannot_be_opened_makes_the_answer_unknown(
    command: Command[Any], what: str, spoil: Callable[[], dict[str, str]]
) -> None:
    outcome = await answered(done(**spoil()), command)
    assert isinstance(outcome, Unknown)
    assert outcome.channel_code == "0000"
    assert AGREEMENT_NO not in repr(outcome)


@pytest.mark.parametrize("agreement_no", ["1" * length for length in range(1, 25)])
async def test_a_field_of_any_length_is_opened_however_it_was_padded(agreement_no: str) -> None:
    outcome = await answered(done(protocol_no=hidden(agreement_no)), SIGNING)
    assert isinstance(outcome, Authenticated)
    assert outcome.agreement_no == agreement_no


async def test_a_field_without_padding_is_opened_too() -> None:
    whole = hidden("agreement-12")  # 16 characters of base64: a block of padding follows
    outcome = await answered(done(protocol_no=whole[:32]), SIGNING)
    assert isinstance(outcome, Authenticated)
    assert outcome.agreement_no == "agreement-12"


def bindings(*lines: str, joined: str = "; ") -> Psp:
    return done(protocols=hidden(joined.join(lines)))


async def test_the_question_for_a_binding_finds_this_users_agreement_of_this_card() -> None:
    others = a_binding("1", user_id="u2"), a_binding("2", card_no="6222020200098765555")
    question = an_authentications_question()
    for joined in (";", "; ", " ;\n"):
        found = await answered(bindings(*others, a_binding(), joined=joined), question)
        assert isinstance(found, Authenticated)
        assert found.agreement_no == AGREEMENT_NO
    assert isinstance(await answered(bindings(*others), question), NotFound)
    assert isinstance(await answered(bindings(""), question), NotFound)


async def test_two_agreements_of_one_card_or_a_broken_list_tell_nothing() -> None:
    for lines in ((a_binding("1"), a_binding("2")), ("1|u1",), ("rubbish",)):
        assert isinstance(await answered(bindings(*lines), an_authentications_question()), Unknown)
    assert isinstance(await answered(bindings(a_binding(), a_binding()), an_authentications_question()), Authenticated)


async def test_a_card_that_is_bound_already_is_asked_about() -> None:
    assert isinstance(await answered(lambda request: CASE.answer(request, "BF00186"), SIGNING), Unknown)


# Notices


def read(request: CallbackRequest) -> Any:
    return callbacks_of(adapter()[0]).read(request)


def test_a_notice_comes_by_post_and_by_get_and_says_the_same() -> None:
    by_post, by_get = (read(notification(a_notice(), method=method)) for method in ("POST", "GET"))
    assert by_post == by_get
    assert by_post.outcome == Succeeded(AMOUNT, "58752185", datetime(2026, 3, 1, 16, 31, tzinfo=UTC), "0000")


@pytest.mark.parametrize(
    "change",
    [
        {"member_id": MEMBERS["second"][0]},
        {"terminal_id": MEMBERS["second"][1]},
        {"member_id": ""},
        {"trans_id": ""},
        {"trans_id": "not-ours"},
        {"txn_type": "08"},
        {"biz_resp_msg": "a&b=c"},
        {"a.b": "c"},
    ],
)
def test_a_signed_form_that_is_no_notice_to_this_terminal_is_rejected(change: dict[str, str]) -> None:
    with pytest.raises(CallbackRejectedError):
        read(notification(a_notice() | change))


def test_a_repeated_field_is_rejected() -> None:
    genuine = notification(a_notice())
    with pytest.raises(CallbackRejectedError):
        read(replace(genuine, body=genuine.body + b"&trans_id=" + NUMBER.encode()))


def test_a_notice_of_one_wrong_code_is_nothing_final_and_one_of_the_card_is() -> None:
    for code in [code for code, failure in DECLINES.items() if failure in CASE.not_by_notice]:
        assert is_unknown(read(notification(a_notice(code=code))).outcome, received=True), code
    refused = read(notification(a_notice(code="BF00103"))).outcome
    assert refused == Declined(F.INSUFFICIENT_BALANCE, "BF00103", "说明", "58752185")


def test_a_notice_is_answered_with_ok_and_nothing_else() -> None:
    reader = callbacks_of(adapter()[0])
    assert reader.answer(accepted=True).body == b"OK"
    assert reader.answer(accepted=False).body != b"OK"


# The account


def test_its_commands_are_those_that_the_protocol_has() -> None:
    commands = {command_type.__name__ for command_type in adapter()[0].commands}
    assert commands == {
        *(kind.__name__ for kind in (SendSigningCode, Sign, AskAuthentication, Unbind, SendPaymentCode)),
        "Pay",
        "AskPayment",
        "Refund",
        "AskRefund",
        "Payout",
        "AskPayout",
        "AskReturnedPayouts",
        "AskBalance",
    }
    declaration = CASE.adapter.DECLARATION
    assert declaration.code_wants_agreement
    assert (declaration.pay_sends_code, declaration.wrong_code_ends_order) == (False, False)
    assert {terms.not_found for terms in declaration.terms.values()} == {None}


@pytest.mark.parametrize(
    ("field_name", "value"),
    [
        ("base_url", None),
        ("base_url", "ftp://baofoo.test"),
        ("member_id", None),
        ("member_id", 100025773),
        ("member_id", "1000-25773"),
        ("terminal_id", "x"),
        ("terminal_id", "1" * 12),
        ("goods_category", "2"),
        ("declines", "BF00415"),
        ("declines", {"0000": "card_invalid"}),
        ("declines", {"BF00114": "card_invalid"}),
        ("declines", {"BF00415": "no_such_code"}),
        ("declines", {"BF415": "card_invalid"}),
        *(("declines", {code: "card_invalid"}) for code in sorted(NO_DECLINES)),
        ("assumed", ["anything"]),
    ],
)
def test_a_wrong_setting_is_named(field_name: str, value: object) -> None:
    with pytest.raises(AccountError, match=field_name):
        with_settings(**{field_name: value})


def test_without_what_it_assumes_the_account_is_refused_or_has_no_codes_by_sms() -> None:
    with pytest.raises(AccountError, match="order_time"):
        with_settings(assumed=["another_code"])
    has = with_settings(assumed=["order_time"]).commands.keys()
    without = {SendSigningCode, Sign, SendPaymentCode, Payout, AskReturnedPayouts, Refund, AskRefund, AskBalance}
    assert has == CASE.commands.keys() - without


@pytest.mark.parametrize("field_name", ["merchant_private_key", "psp_certificate"])
def test_a_missing_or_wrong_secret_is_named_and_not_shown(field_name: str) -> None:
    account = CASE.account()
    for value in ("", "rubbish 䶮"):
        with pytest.raises(AccountError, match=field_name) as raised:
            CASE.build(replace(account, secrets={**account.secrets, field_name: value}), Wire(CASE.processing))
        assert "rubbish" not in str(raised.value)


async def test_an_account_may_explain_more_codes_in_answers_and_notices() -> None:
    provider, wire = adapter(lambda request: CASE.answer(request, "BF00415"), declines={"BF00415": "risk_rejected"})
    for command in (a_payment(Scene.QUICK_CHARGE), its_question(Scene.QUICK_CHARGE), SIGNING, a_signing_code()):
        outcome: object = await do(provider, command)
        assert isinstance(outcome, Declined)
        assert outcome.code is F.RISK_REJECTED
    noticed = callbacks_of(provider).read(notification(a_notice(code="BF00415"))).outcome
    assert isinstance(noticed, Declined)
    assert len(wire.sent) == 4


async def test_an_account_may_say_another_business_and_other_terms() -> None:
    own = {
        Product.PAYMENT: OwnTerms(poll_gaps_s=(1.0,), answer_timeout_s=7.0),
        Product.AUTHENTICATION: OwnTerms(answer_timeout_s=9.0),
    }
    account, wire = CASE.account(), Wire(CASE.processing)
    settings = {**account.settings, "goods_category": "01"}
    provider = CASE.build(replace(account, settings=settings, terms=own), wire)
    for command in (a_payment(Scene.QUICK_CHARGE), PAYMENT_CODE, its_question(Scene.QUICK_CHARGE), *COMMANDS[:4]):
        await do(provider, command)
    assert provider.declaration.terms[Product.PAYMENT].poll_gaps_s == (1.0,)
    told = [request.extensions["timeout"]["read"] for request in wire.sent]
    assert told == [7.0, 7.0, 7.0, 9.0, 9.0, 9.0, 9.0]
    assert '"goodsCategory":"01"' in fields_of(wire.sent[0])["risk_item"]


async def test_an_sms_is_sent_with_the_code_that_its_confirmation_names() -> None:
    for command in (a_signing_code(), PAYMENT_CODE):
        assert await answered(CASE.done, command) == CodeSent(UNIQUE_CODE, "0000")


async def test_an_unsigned_answer_of_right_form_is_not_believed() -> None:
    for signature in ("", "00", "zz", "0" * 256):
        answer = text_of({**signed({"a": "b"}), "signature": signature})
        assert is_unknown(await asked(partial(_give, answer)), received=False)


def _give(answer: httpx.Response, request: httpx.Request) -> httpx.Response:
    return answer
