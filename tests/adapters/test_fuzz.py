"""Whatever comes over the wire, a reader gives an outcome or a rejection, and never another exception.

The inputs are true answers and callbacks that were altered, and bytes of any kind. What true ones mean is the
contract's (test_contract.py).
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any, get_args
from urllib.parse import parse_qsl, quote_from_bytes, urlencode

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.allinpay.envelope import UnreadableError, UnwritableError, opened, sealed
from adapters.baofoo import letter as baofoo_letter
from adapters.cpcn import envelope as cpcn_envelope
from adapters.jd import Jd
from adapters.unionpay.letter import UnbelievableError, digest, pairs_in, read_form, read_text
from gateway.domain.outcomes import (
    AnyOutcome,
    Authenticated,
    AuthenticationOutcome,
    CodeOutcome,
    CodeSent,
    Outcome,
    ReturnsListed,
    SmsNeeded,
    Succeeded,
    UnbindingOutcome,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import (
    AskPayment,
    AskPayout,
    AskRefund,
    Callback,
    CallbackRejectedError,
    CallbackRequest,
    Command,
    Pay,
    Provider,
    SendSigningCode,
    Sign,
    Unbind,
)
from tests.adapters import baofoo_case
from tests.adapters.allinpay_case import PSP, AllinpayCase
from tests.adapters.baofoo_case import BaofooCase, a_payout_told
from tests.adapters.baofoo_case import letter as payout_letter
from tests.adapters.case import (
    RETURNED_ON,
    a_confirmation,
    a_days_returns,
    a_payout,
    a_payouts_question,
)
from tests.adapters.contract import (
    AGREEMENT_NO,
    Case,
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
    its_question,
)
from tests.adapters.cpcn_case import PSP as CPCN_PSP
from tests.adapters.cpcn_case import CpcnCase, answer_of, form_of, notice_of
from tests.adapters.jd_case import HEAD, JdCase, as_notice, encrypted, letter
from tests.adapters.lianlian_case import LianLianCase, as_json
from tests.adapters.lianlian_case import a_notice as a_json_notice
from tests.adapters.lianlian_case import a_refunds_notice as a_json_refunds_notice
from tests.adapters.lianlian_case import notice as json_notice
from tests.adapters.lianlian_case import signed as signed_json
from tests.adapters.unionpay_case import UnionPayCase, a_notice, notification, signed, text_of
from tests.examples import examples

JD = Jd(JdCase().account(), httpx.MockTransport(lambda request: httpx.Response(500)).handle_async_request)
MANY = examples(100)
FORM_BYTES = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=40)), max_size=8)


@pytest.fixture(scope="module")
def unionpay() -> Provider:
    async def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError("a callback asks nobody")

    case = UnionPayCase()
    return case.build(case.account(), nobody)


@pytest.fixture(scope="module")
def lianlian() -> Provider:
    async def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError("a callback asks nobody")

    case = LianLianCase()
    return case.build(case.account(), nobody)


@pytest.mark.parametrize(
    "case",
    [UnionPayCase(), AllinpayCase(), BaofooCase(), CpcnCase(), JdCase(), LianLianCase()],
    ids=lambda case: type(case).__name__,
)
def test_an_answer_of_any_bytes_is_unknown(case: Case) -> None:
    answers: list[httpx.Response] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        return answers.pop()

    provider = case.build(case.account(), answer)  # made once: reading its keys takes longer than an example

    @MANY
    @given(content=st.binary(max_size=400), status=st.sampled_from([200, 204, 302, 500]))
    def any_answer(content: bytes, status: int) -> None:
        answers.append(httpx.Response(status, content=content))
        assert isinstance(asyncio.run(_pay(provider, a_payment(case.scenes[0]))), Unknown)

    any_answer()


async def _pay(provider: Provider, command: Pay) -> Outcome:
    return await do(provider, command)


@MANY
@example(form=[(b"orderId", b"1"), (b"signature", "\u5bc6".encode())])
@example(form=[(b"encoding", b"GBK"), (b"orderId", b"\xff\xff")])
@given(form=FORM_BYTES)
def test_a_callback_of_any_form_is_rejected(unionpay: Provider, form: list[tuple[bytes, bytes]]) -> None:
    body = b"&".join(quote_from_bytes(name).encode() + b"=" + quote_from_bytes(value).encode() for name, value in form)
    with pytest.raises(CallbackRejectedError):
        callbacks_of(unionpay).read(CallbackRequest("POST", "", {}, body))


@MANY
@given(body=st.binary(max_size=300), query=st.text(max_size=60))
def test_a_callback_of_any_bytes_is_rejected(unionpay: Provider, body: bytes, query: str) -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(unionpay).read(CallbackRequest("POST", query, {}, body))


@MANY
@example(content=b"a=%E4&b=+")
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_an_answer_of_any_bytes_has_readings_or_is_not_believed(content: bytes) -> None:
    try:
        for fields in baofoo_letter.readings(content):
            baofoo_letter.signed_text(fields).encode()
    except baofoo_letter.UnbelievableError:
        return


@MANY
@given(text=st.text(max_size=200))
def test_text_of_any_kind_has_pairs_or_is_not_believed(text: str) -> None:
    assert all(name for name in pairs_in(text))
    try:
        fields = read_text(text)
    except UnbelievableError:
        return
    try:
        digest(fields, "gbk")
    except UnbelievableError:
        return


@MANY
@given(pairs=st.dictionaries(st.text(min_size=1, max_size=10), st.text(max_size=30), max_size=6))
def test_a_form_of_any_text_is_read_or_not_believed(pairs: dict[str, str]) -> None:
    try:
        body = urlencode(pairs).encode()
    except UnicodeEncodeError:
        return
    try:
        read_form(CallbackRequest("POST", "", {}, body))
    except UnbelievableError:
        return


@MANY
@given(data=st.data())
def test_a_true_answer_in_xml_that_was_altered_is_read_or_unreadable(data: st.DataObject) -> None:
    content = bytearray(sealed("<AIPG><INFO><REQ_SN>1</REQ_SN></INFO><A>%s</A></AIPG>", PSP.key))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened(bytes(content), PSP.key.public_key(), "1")
    except UnreadableError:
        return


@MANY
@given(inside=st.text(max_size=120))
def test_any_signed_text_is_xml_or_unreadable(inside: str) -> None:
    try:
        content = sealed(f"<AIPG><INFO></INFO>{inside}</AIPG>", PSP.key)
    except UnwritableError:  # what GBK cannot write is never sent
        return
    try:
        opened(content, PSP.key.public_key(), "1")
    except UnreadableError:
        return


# A PSP's own signature says who speaks, and nothing of what the fields hold.

SOME = examples(35)
ODD = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1e3",
        "00",
        "99991231235959",
        "٣",
        "\u0661\u0662",
        "{token=}",
        "{",
        "}",
        "[",
        "9" * 400,
        "\u3164",
        "\x00",
    ]
)
COMMANDS: dict[type[Command[Any]], Command[Any]] = {
    type(command): command
    for command in (
        a_payment(Scene.WITHHOLD),
        its_question(Scene.WITHHOLD),
        a_refund(Scene.WITHHOLD),
        a_refunds_question(Scene.WITHHOLD),
        an_authentication(),
        an_authentications_question(),
        a_signing_code(),
        a_signing(),
        a_payment_code(Scene.QUICK_CHARGE, AGREEMENT_NO),
        an_unbinding(),
        a_payout(),
        a_payouts_question(),
    )
}
CPCN_COMMANDS: list[Command[Any]] = [
    *(a_payment(scene) for scene in (Scene.QUICK_CHARGE, Scene.WITHHOLD)),
    *(its_question(scene) for scene in (Scene.QUICK_CHARGE, Scene.WITHHOLD)),
    replace(a_payment(Scene.QUICK_CHARGE), sms_code="123456"),
    *(a_refunds_question(scene) for scene in (Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE)),
    an_authentication(),
    an_authentications_question(),
    a_signing(),
    an_unbinding(),
    a_payout(),
    a_payouts_question(),
]
NOTICE_FIELDS = st.sampled_from([*a_notice(), "origQryId", "origRespCode", "tokenPayData", "accNo", "x"])
ANY_OUTCOME = (
    *get_args(Outcome),
    *get_args(AuthenticationOutcome),
    *get_args(CodeOutcome),
    *get_args(UnbindingOutcome),
)
NOTICE_FIELDS = st.sampled_from([*a_notice(), "origQryId", "origRespCode", "origTxnType", "tokenPayData", "accNo", "x"])


@SOME
@given(odd=st.dictionaries(NOTICE_FIELDS, ODD, min_size=1, max_size=4))
def test_a_signed_callback_with_odd_fields_is_read_or_rejected(unionpay: Provider, odd: dict[str, str]) -> None:
    try:
        read = callbacks_of(unionpay).read(notification(a_notice() | odd))
    except CallbackRejectedError:
        return
    assert isinstance(read, Callback)


@SOME
@given(data=st.data())
def test_a_signed_callback_with_an_altered_certificate_is_rejected(unionpay: Provider, data: st.DataObject) -> None:
    fields = signed(a_notice())
    pem = bytearray(fields["signPubKeyCert"].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        pem[data.draw(st.integers(0, len(pem) - 1))] = data.draw(st.integers(0, 127))
    altered = pem.decode()
    body = urlencode(fields | {"signPubKeyCert": altered}).encode()
    try:
        read = callbacks_of(unionpay).read(CallbackRequest("POST", "", {}, body))
    except CallbackRejectedError:
        return
    assert isinstance(read, Callback)  # what is no part of a certificate may change, such as a line's end


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_signed_answer_with_odd_fields_is_an_outcome(kind: type[Command[Any]]) -> None:
    case = UnionPayCase()
    odd_fields: list[dict[str, str]] = [{}]

    async def answer(request: httpx.Request) -> httpx.Response:
        asked = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        echoed = {name: asked[name] for name in ("version", "encoding", "txnType", "merId", "orderId")}
        return text_of(signed({**echoed, "respCode": "00", "respMsg": "x", **odd_fields[-1]}))

    provider = case.build(case.account(), answer)
    command = COMMANDS[kind]

    @SOME
    @given(odd=st.dictionaries(NOTICE_FIELDS | st.just("respCode"), ODD, max_size=4))
    def any_answer(odd: dict[str, str]) -> None:
        odd_fields.append({name: value for name, value in odd.items() if name not in {"merId", "orderId"}})
        assert isinstance(asyncio.run(do(provider, command)), ANY_OUTCOME)

    any_answer()


@pytest.mark.parametrize("kind", [Pay, AskPayment, SendSigningCode, Sign, Unbind, AskPayout, AskRefund])
def test_a_signed_answer_in_xml_with_odd_texts_is_an_outcome(kind: type[Command[Any]]) -> None:
    case, inside = AllinpayCase(), [""]

    async def answer(request: httpx.Request) -> httpx.Response:
        return case.said(request, "0000", inside[-1])

    provider = case.build(case.account(), answer)
    command = COMMANDS[kind]
    body = {SendSigningCode: "FAGRARET", Sign: "FAGRCRET", Unbind: "FAGRCNLRET"}.get(kind, "TRANSRET")
    tags = st.sampled_from(["RET_CODE", "AGRMNO", "AMOUNT", "BATCHID", "FINTIME", "ERR_MSG", "SN", "X"])
    texts = st.text(st.characters(codec="gbk", exclude_characters="<>&@", min_codepoint=32), max_size=20)
    known = st.sampled_from(["0000", "1002", "3008", "2000", "4000", command.number, "20260302003015", "1e3", "-1", ""])

    @SOME
    @given(lines=st.lists(st.dictionaries(tags, texts | known, max_size=5), max_size=3))
    def any_answer(lines: list[dict[str, str]]) -> None:
        parts = ["".join(f"<{tag}>{text}</{tag}>" for tag, text in line.items()) for line in lines]
        details = "".join(f"<QTDETAIL>{part}</QTDETAIL>" for part in parts)
        inside.append(f"<QTRANSRSP>{details}</QTRANSRSP>" + "".join(f"<{body}>{part}</{body}>" for part in parts))
        assert isinstance(asyncio.run(do(provider, command)), ANY_OUTCOME)

    any_answer()


BAOFOO_COMMANDS: dict[str, Command[Any]] = {
    "pay": a_payment(Scene.QUICK_CHARGE),
    "ask_payment": its_question(Scene.QUICK_CHARGE),
    "sign": a_signing("1"),
    "ask_authentication": an_authentications_question(),
}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ODD | st.sampled_from(["0000", "0401", "1", "2", "12.34"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(ODD, inside, max_size=3),
    max_leaves=8,
)
PAYOUT_NAMES = st.sampled_from(["trans_no", "trans_money", "state", "trans_remark", "trans_orderid", "trans_endtime"])


def test_a_letter_of_baofoos_about_anything_is_an_outcome() -> None:
    case, contents = BaofooCase(), [b""]

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=contents[-1])

    provider = case.build(case.account(), answer)
    commands: list[Command[Any]] = [a_payout(), a_payouts_question(), a_days_returns(RETURNED_ON)]
    heads = st.fixed_dictionaries({"return_code": st.sampled_from(["0000", "0401", "200", "x"]), "return_msg": ODD})
    items = st.dictionaries(PAYOUT_NAMES, JSON, max_size=4).map(lambda odd: a_payout_told() | odd)
    groups = st.lists(st.fixed_dictionaries({"trans_reqData": items | st.lists(items, max_size=2) | JSON}), max_size=2)
    told = st.fixed_dictionaries({"trans_head": heads | JSON, "trans_reqDatas": groups | JSON}) | JSON

    @SOME
    @given(content=told, command=st.sampled_from(commands))
    def any_answer(content: object, command: Command[Any]) -> None:
        contents.append(payout_letter(content))
        assert isinstance(asyncio.run(do(provider, command)), (*ANY_OUTCOME, ReturnsListed))

    any_answer()


REFUND_NAMES = st.sampled_from(
    ["resp_code", "resp_msg", "refund_amt", "refund_business_no", "refund_order_no", "member_id"]
)


def test_a_letter_about_refunds_is_an_outcome_and_as_a_notice_read_or_rejected() -> None:
    case, odd = BaofooCase(), [dict[str, object]()]

    async def answer(request: httpx.Request) -> httpx.Response:
        return case.refund_said(request, "0000", **odd[-1])

    provider = case.build(case.account(), answer)
    commands: list[Command[Any]] = [a_refund(Scene.QUICK_CHARGE), a_refunds_question(Scene.QUICK_CHARGE)]
    codes = st.sampled_from(["0000", "BF00203", "BF00128", "BF00103", "BF00124", "BF00112"])

    @SOME
    @given(told=st.dictionaries(REFUND_NAMES, JSON | codes, max_size=4), any_json=JSON)
    def any_answer(told: dict[str, object], any_json: object) -> None:
        odd.append(told)
        for command in commands:
            assert isinstance(asyncio.run(do(provider, command)), get_args(Outcome))
        for content in (baofoo_case.a_refunds_notice(**told), baofoo_case.sealed_json(any_json)):  # type: ignore[arg-type]
            with contextlib.suppress(CallbackRejectedError):
                assert isinstance(callbacks_of(provider).read(baofoo_case.refund_notification(content)), Callback)

    any_answer()


@pytest.mark.parametrize("name", BAOFOO_COMMANDS)
def test_a_signed_answer_with_odd_and_encrypted_fields_is_an_outcome(name: str) -> None:
    case, odd_fields = BaofooCase(), [dict[str, Any]()]

    async def answer(request: httpx.Request) -> httpx.Response:
        return case.done(request, **odd_fields[-1])

    provider, command = case.build(case.account(), answer), BAOFOO_COMMANDS[name]
    names = st.sampled_from([*baofoo_case.a_notice(), "dgtl_envlp", "protocol_no", "protocols", "x"])
    codes = st.sampled_from(["S", "F", "I", "FF", "0000", "BF00103", "BF00115", "BF00128", "BF00134"])
    encrypted = st.text(st.characters(codec="utf-8"), max_size=20).map(baofoo_case.hidden)

    @SOME
    @given(odd=st.dictionaries(names, ODD | codes | encrypted, max_size=4))
    def any_answer(odd: dict[str, str]) -> None:
        odd_fields.append(odd)
        assert isinstance(asyncio.run(do(provider, command)), (*get_args(Outcome), *get_args(AuthenticationOutcome)))

    any_answer()


def test_a_signed_notice_with_odd_fields_is_read_or_rejected() -> None:
    async def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError("a callback asks nobody")

    case = BaofooCase()
    provider = case.build(case.account(), nobody)

    @SOME
    @given(odd=st.dictionaries(st.sampled_from([*baofoo_case.a_notice(), "txn_type", "x"]), ODD, max_size=4))
    def any_notice(odd: dict[str, str]) -> None:
        try:
            read = callbacks_of(provider).read(baofoo_case.notification(baofoo_case.a_notice() | odd))
        except CallbackRejectedError:
            return
        assert isinstance(read, Callback)

    any_notice()


JSON_FIELDS = st.sampled_from(
    [
        *(
            "ret_code",
            "ret_msg",
            "result_pay",
            "money_order",
            "settle_date",
            "token",
            "no_agree",
            "memo",
            "oid_paybill",
        ),
        *("sta_refund", "money_refund", "no_refund", "x"),
    ]
)
JSON_TEXTS = ODD | st.sampled_from(
    ["0000", "8888", "1900", "8901", "5007", "SUCCESS", "FAILURE", "CLOSED", "123.45", "1&a=b", "2", "3"]
)
LIANLIAN_COMMANDS = (
    a_payment(Scene.QUICK_CHARGE),
    replace(a_payment(Scene.QUICK_CHARGE), sms_code="123456", continuation="t"),
    its_question(Scene.QUICK_CHARGE),
    a_signing_code(),
    a_signing("t"),
    an_unbinding(),
    a_payout(),
    a_payouts_question(),
    a_confirmation(),
    a_refund(Scene.QUICK_CHARGE),
    a_refunds_question(Scene.QUICK_CHARGE),
)


def test_an_answer_in_json_with_odd_fields_is_an_outcome_signed_or_not() -> None:
    case, said = LianLianCase(), [(True, {"ret_code": "0000"})]

    async def answer(request: httpx.Request) -> httpx.Response:
        is_signed, odd = said[-1]
        asked = case.checked(request)
        names = ("oid_partner", "no_order", "no_refund", "user_id")
        echoed = {str(name): asked[name] for name in names if name in asked}
        return as_json(signed_json({**echoed, **odd}) if is_signed else {**echoed, **odd})

    provider = case.build(case.account(), answer)

    @SOME
    @given(is_signed=st.booleans(), odd=st.dictionaries(JSON_FIELDS, JSON_TEXTS, max_size=5), one=st.integers(0, 10))
    def any_answer(is_signed: bool, odd: dict[str, str], one: int) -> None:
        said.append((is_signed, odd))
        outcome = asyncio.run(do(provider, LIANLIAN_COMMANDS[one]))
        assert isinstance(outcome, get_args(AnyOutcome))
        done = (Succeeded, SmsNeeded, Authenticated, CodeSent)
        assert is_signed or not isinstance(outcome, done)

    any_answer()


@SOME
@given(odd=st.dictionaries(JSON_FIELDS, JSON_TEXTS, max_size=4))
def test_a_signed_notice_in_json_with_odd_fields_is_read_or_rejected(lianlian: Provider, odd: dict[str, str]) -> None:
    for genuine in (a_json_notice(), a_json_refunds_notice()):
        with contextlib.suppress(CallbackRejectedError):
            assert isinstance(callbacks_of(lianlian).read(json_notice(genuine | odd)), Callback)


@SOME
@given(body=st.binary(max_size=100))
def test_a_notice_of_any_bytes_is_rejected(lianlian: Provider, body: bytes) -> None:
    for provider, head in ((lianlian, b""), (JD, b"resp=")):
        with pytest.raises(CallbackRejectedError):
            callbacks_of(provider).read(CallbackRequest("POST", "", {}, head + body))


def test_signed_data_with_odd_texts_is_an_outcome_and_as_a_notice_read_or_rejected() -> None:
    case, inside = JdCase(), [""]

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=f"resp={inside[-1]}".encode())

    provider = case.build(case.account(), answer)
    pay, question, wish = (
        a_payment(Scene.QUICK_CHARGE),
        its_question(Scene.QUICK_CHARGE),
        a_payment_code(Scene.QUICK_CHARGE),
    )
    tags = st.sampled_from(["TYPE", "ID", "AMOUNT", "CURRENCY", "STATUS", "CODE", "DESC", "TRADE", "X"])
    texts = st.text(st.characters(codec="utf-8", exclude_characters="<>&", min_codepoint=32), max_size=20)
    back = (a_refund(Scene.QUICK_CHARGE), a_refunds_question(Scene.QUICK_CHARGE))
    known = st.sampled_from(
        ["0000", "0001", "EEB0014", "S", "Q", "V", "R", pay.number, "0", "6", "7", "1e3", "-1", "CNY"]
    )
    leaves = st.lists(st.tuples(tags, texts | known), max_size=6)

    @SOME
    @given(trade=leaves, returned=leaves)
    def any_data(trade: list[tuple[str, str]], returned: list[tuple[str, str]]) -> None:
        said = [
            "".join(f"<{tag}>{text}</{tag}>" for tag, text in (*first, *more))
            for first, more in (([("TYPE", "S"), ("ID", pay.number)], trade), ([], returned))
        ]
        data = f"{HEAD}<DATA><TRADE>{said[0]}</TRADE><RETURN>{said[1]}</RETURN></DATA>"
        inside.append(letter(encrypted(data.encode())))
        assert isinstance(asyncio.run(do(provider, pay)), get_args(Outcome))
        assert isinstance(asyncio.run(do(provider, question)), get_args(Outcome))
        assert isinstance(asyncio.run(do(provider, wish)), get_args(CodeOutcome))
        assert all(isinstance(asyncio.run(do(provider, command)), get_args(Outcome)) for command in back)
        try:
            read = callbacks_of(provider).read(as_notice(inside[-1]))
        except CallbackRejectedError:
            return
        assert isinstance(read, Callback)

    any_data()


# The same of a PSP whose messages are XML in base64.

CPCN = CpcnCase().build(CpcnCase().account(), Wire(CpcnCase().processing))

LEAVES = st.sampled_from(["Status", "VerifyStatus", "Amount", "BankTxTime", "ResponseCode", "ResponseMessage", "X"])
LEAF_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>&", min_codepoint=32), max_size=20)
LEAF_KNOWN = st.sampled_from(["10", "20", "30", "40", "51", "71", "1e3", "-1", "99991231235959", "٣", "9" * 40, ""])


def test_a_signed_answer_in_base64_with_odd_leaves_is_an_outcome() -> None:
    case, odd = CpcnCase(), [dict[str, str]()]

    async def answer(request: httpx.Request) -> httpx.Response:
        return case.told(request, **odd[-1])

    provider = case.build(case.account(), answer)
    outcomes = (*get_args(Outcome), *get_args(AuthenticationOutcome), *get_args(UnbindingOutcome))

    @SOME
    @given(leaves=st.dictionaries(LEAVES, LEAF_TEXTS | LEAF_KNOWN, max_size=5), command=st.sampled_from(CPCN_COMMANDS))
    def any_answer(leaves: dict[str, str], command: Command[Any]) -> None:
        odd.append(leaves)
        assert isinstance(asyncio.run(do(provider, command)), outcomes)

    any_answer()


@SOME
@given(text=st.binary(max_size=120) | st.text(max_size=60).map(lambda text: f"<Response>{text}</Response>".encode()))
def test_any_signed_bytes_in_base64_are_an_answer_or_unreadable(text: bytes) -> None:
    with contextlib.suppress(cpcn_envelope.UnreadableError):
        cpcn_envelope.opened(answer_of(text, by=CPCN_PSP).content, CPCN_PSP.key.public_key())


@SOME
@given(leaves=st.dictionaries(LEAVES | st.just("TxSN"), LEAF_TEXTS | LEAF_KNOWN, max_size=4), data=st.data())
def test_a_notice_in_base64_with_odd_leaves_or_altered_is_read_or_rejected(
    leaves: dict[str, str], data: st.DataObject
) -> None:
    genuine = notice_of("0190a1b2c3d47e5f", leaves.get("Amount", "1"), leaves.get("Status", "30"))
    body = bytearray(form_of(genuine).body)
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CallbackRejectedError):
        assert isinstance(callbacks_of(CPCN).read(CallbackRequest("POST", "", {}, bytes(body))), Callback)
