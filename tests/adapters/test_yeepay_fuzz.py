"""Whatever YeePay or anybody says, there is an outcome or a rejection; whatever is paid for, there is a form."""

import asyncio
import contextlib
from typing import get_args

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.domain.outcomes import Closed, Outcome, Succeeded, Unknown
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.ports import Callback, CallbackRejectedError, CallbackRequest, Command, Provider
from tests.adapters.case import a_cancel, a_redirect, as_a_browser_sends
from tests.adapters.contract import (
    AMOUNT,
    NUMBER,
    Wire,
    a_refund,
    a_refunds_question,
    callbacks_of,
    do,
    its_question,
)
from tests.adapters.yeepay_case import YeePayCase, by_browser, by_server, found, notice, refund_found, taken, told

CASE = YeePayCase()
PAGE = Scene.NETBANK_CHARGE
SOME = settings(max_examples=50, deadline=None)
BYTES = st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8"))
# What GBK can write: a PSP signs nothing else.
ODD = st.text(st.characters(codec="gbk"), max_size=25) | st.sampled_from(
    ["", "1", "50", "53", "SUCCESS", "CANCELED", "INIT", "Buy", "CNY", "1.00", "1e3", NUMBER, "2026-03-02 00:31:02"]
)


async def _ask(provider: Provider, command: Command[Outcome]) -> Outcome:
    return await do(provider, command)


async def _form(provider: Provider, text: str) -> Form:
    return await do(provider, a_redirect(PAGE, description=text))


def asked(answer: httpx.Response, *commands: Command[Outcome]) -> list[Outcome]:
    """What becomes of commands when this is the answer; without any, of a question and of giving up."""

    async def answered(request: httpx.Request) -> httpx.Response:
        return answer

    provider = CASE.build(CASE.account(), answered)
    return [asyncio.run(_ask(provider, command)) for command in commands or (its_question(PAGE), a_cancel(PAGE))]


@SOME
@example(content=b"r0_Cmd=%FF\nr1_Code=1")
@example(content=b"hmac=%A1%A1\nhmac=1")
@given(content=BYTES)
def test_an_answer_of_any_bytes_is_unknown(content: bytes) -> None:
    every = (its_question(PAGE), a_cancel(PAGE), a_refund(PAGE), a_refunds_question(PAGE))
    assert all(isinstance(outcome, Unknown) for outcome in asked(httpx.Response(200, content=content), *every))


@SOME
@given(odd=st.dictionaries(st.sampled_from([*found("", "", "")]), ODD, max_size=5))
def test_a_signed_answer_with_odd_fields_is_an_outcome(odd: dict[str, str]) -> None:
    said = found(NUMBER, "SUCCESS", "123.45") | odd
    question, giving_up = asked(told(said))
    assert isinstance(question, get_args(Outcome))
    assert not isinstance(giving_up, (Closed, Succeeded))
    if isinstance(question, Succeeded):
        assert (said["r6_Order"], said["rb_PayStatus"], said["r1_Code"]) == (NUMBER, "SUCCESS", "1")


@SOME
@given(
    odd=st.dictionaries(st.sampled_from([*refund_found("", "")]), ODD | st.sampled_from("234"), max_size=4),
    fee=ODD,
    number=ODD,
)
def test_a_signed_answer_about_a_refund_with_odd_fields_is_an_outcome(
    odd: dict[str, str], fee: str, number: str
) -> None:
    said = refund_found(NUMBER, "2") | odd
    [outcome] = asked(told(said), a_refunds_question(PAGE))
    assert isinstance(outcome, get_args(Outcome))
    if isinstance(outcome, Succeeded):
        assert (said["r4_Order"], said["refundFrpStatus"], said["r1_Code"]) == (NUMBER, "2", "1")
    [sent] = asked(taken(number, "123.45", fee=fee), a_refund(PAGE))
    assert isinstance(sent, Unknown) is (number not in {NUMBER, ""})


@SOME
@example(body=b"", query="hmac=\udc80")
@given(body=BYTES, query=st.text(max_size=60))
def test_a_callback_of_any_bytes_is_rejected(body: bytes, query: str) -> None:
    reader = callbacks_of(CASE.build(CASE.account(), Wire(CASE.processing)))
    for method in ("GET", "POST"):
        with contextlib.suppress(CallbackRejectedError):
            reader.read(CallbackRequest(method, query, {}, body))
            raise AssertionError("believed")


@SOME
@given(odd=st.dictionaries(st.sampled_from([*notice("", "")]), ODD, max_size=4))
def test_a_signed_notice_with_odd_fields_is_read_or_rejected(odd: dict[str, str]) -> None:
    reader = callbacks_of(CASE.build(CASE.account(), Wire(CASE.processing)))
    for fields in (notice(NUMBER, "123.45", **odd), notice(NUMBER, "123.45") | odd):
        for way in (by_browser, by_server):
            with contextlib.suppress(CallbackRejectedError):
                read = reader.read(way(fields))
                assert isinstance(read, Callback)
                assert not isinstance(read.outcome, Succeeded) or fields["r1_Code"] == "1"


@SOME
@example(text="\ud83d\udc4d")
@example(text="一" * 9 + "a一")
@given(text=st.text(st.characters(), max_size=60))
def test_whatever_is_to_be_paid_for_there_is_a_form_that_yeepay_reads(text: str) -> None:
    form = asyncio.run(_form(CASE.build(CASE.account(), Wire(CASE.processing)), text))
    told_text = CASE.checked(as_a_browser_sends(form))["p5_Pid"]
    assert told_text == form.fields["p5_Pid"]
    assert CASE.read(as_a_browser_sends(form)).amount == AMOUNT
