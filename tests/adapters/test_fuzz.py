"""Whatever comes over the wire, a reader gives an outcome or a rejection, and never another exception.

The inputs are true answers and callbacks that were altered, and bytes of any kind. What true ones mean is the
contract's (test_contract.py).
"""

import asyncio
from urllib.parse import quote_from_bytes, urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.allinpay.envelope import UnreadableError, UnwritableError, opened, sealed
from adapters.unionpay.letter import UnbelievableError, digest, pairs_in, read_form, read_text
from gateway.domain.outcomes import Outcome, Unknown
from gateway.ports import CallbackRejectedError, CallbackRequest, Pay, Provider
from tests.adapters.allinpay_case import PSP, AllinpayCase
from tests.adapters.contract import Case, a_payment, callbacks_of, do
from tests.adapters.unionpay_case import UnionPayCase

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
