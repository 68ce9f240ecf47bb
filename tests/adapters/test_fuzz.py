"""Whatever comes over the wire, a reader gives an outcome or a rejection, and never another exception.

The inputs are true answers and callbacks that were altered, and bytes of any kind. What true ones mean is the
contract's (test_contract.py).
"""

import asyncio
from typing import Any, get_args
from urllib.parse import parse_qsl, quote_from_bytes, urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.allinpay.envelope import UnreadableError, UnwritableError, opened, sealed
from adapters.unionpay.letter import UnbelievableError, digest, pairs_in, read_form, read_text
from gateway.domain.outcomes import AuthenticationOutcome, CodeOutcome, Outcome, UnbindingOutcome, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import (
    AskPayment,
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
from tests.adapters.allinpay_case import PSP, AllinpayCase
from tests.adapters.contract import (
    AGREEMENT_NO,
    Case,
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
from tests.adapters.unionpay_case import UnionPayCase, a_notice, notification, signed, text_of

MANY = settings(max_examples=300, deadline=None)
FORM_BYTES = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=40)), max_size=8)


@pytest.fixture(scope="module")
def unionpay() -> Provider:
    async def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError("a callback asks nobody")

    case = UnionPayCase()
    return case.build(case.account(), nobody)


@pytest.mark.parametrize("case", [UnionPayCase(), AllinpayCase()], ids=lambda case: type(case).__name__)
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

SOME = settings(max_examples=100, deadline=None)
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
    )
}
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


@pytest.mark.parametrize("kind", [Pay, AskPayment, SendSigningCode, Sign, Unbind])
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
