"""The part of the contract that is about pages of the PSP's: the form that opens one, the question about its order,
giving an order up, and notices that come in more than one copy, by the payer's browser and by the PSP's server.

What each case must read of a form: `text_told`, `expiry_told`, `bank_told`, `addresses_told`; it is read as a browser
submits it. What each must answer: `cancelled`, `cancelled_too_late`; `copies` where a notice has several, and
`codes_on_pages` where the state of an order means something else while its payer may still pay.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import httpx
import pytest

from gateway.domain.intents import Verb
from gateway.domain.outcomes import Closed, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import NO_BANK, REDIRECT_SCENES, Scene
from gateway.domain.terms import Product
from gateway.ports import AskPayment, CallbackRejectedError, CallbackRequest, Cancel, Command, Provider, Redirect
from tests.adapters.case import (
    AMOUNT,
    NUMBER,
    RETURN_URL,
    SHORT_NOTIFY_URL,
    TOLD_AT,
    Case,
    OnTheWire,
    Psp,
    Wire,
    a_cancel,
    a_redirect,
    as_a_browser_sends,
    asked,
    callbacks_of,
    do,
    is_unknown,
    meaning_of,
)

AMOUNTS = (1, 29, 820, 12_345, 100_000_000)
SOME_BYTES = 29
"""Every so many bytes are altered of answers of which `contract` alters each one in another scene."""
FOREIGN = "测试 𠮷 €"
TEXTS = (
    "a \"b\" 'c'",
    "<b>A&B</b>",
    '"><img src=x onerror=alert(1)>',
    "</script><b>",
    "a=1&b=2#c|d",
    "第一行\n第二行\r\n\t末",
    "\x00\x1b\u200b\u2028",
    '测试 "A&B" 𠮷',
    "👍🏽 €ǹ",
    "  两边空格  ",
    "",
    "还款" * 200,
    "a还款" * 200,
)


class RedirectsContract:
    """Part of the suite. Each test runs for what the adapter has of its kind."""

    case: Case
    ON_PAGES: ClassVar[Mapping[str, tuple[Any, ...]]] = {"redirects": (Redirect,), "cancels": (Cancel,)}

    def _adapter(self, psp: Psp) -> tuple[Provider, Wire]:
        wire = Wire(psp)
        return self.case.build(self.case.account(), wire), wire

    def _nobody(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError("a form is built without asking anybody")

    async def _sent(self, command: Redirect) -> httpx.Request:
        """What the payer's browser sends, once its form was looked at."""
        adapter, wire = self._adapter(self._nobody)
        form = await do(adapter, command)
        for name, value in form.fields.items():
            assert f"{name}{value}".encode(form.charset), "every field can be written in the form's charset"
            assert value.isprintable(), "a browser would send it otherwise than it was signed"
        assert not wire.sent
        return as_a_browser_sends(form)

    @property
    def _page(self) -> Scene:
        return self.case.scenes_of(Redirect)[0]

    # What the adapter says of itself

    def test_pages_are_declared_where_there_are_some(self) -> None:
        declaration = self.case.adapter.DECLARATION
        has_pages = Redirect in self.case.commands
        assert has_pages is bool(REDIRECT_SCENES & declaration.scenes)
        assert has_pages is (declaration.redirects is not None)
        assert has_pages is (Product.REDIRECT in declaration.terms)
        assert has_pages or Cancel not in self.case.commands
        assert declaration.redirects is None or declaration.redirects.grace_s > 0

    # The form

    async def test_the_same_payment_is_the_same_form_however_often_it_is_built(
        self, redirects: type[Command[Any]]
    ) -> None:
        for scene in self.case.scenes_of(redirects):
            forms = [await do(self._adapter(self._nobody)[0], a_redirect(scene)) for _ in range(2)]
            assert forms[0] == forms[1]
            assert [list(form.fields) for form in forms] == [list(forms[0].fields)] * 2

    async def test_a_form_is_signed_and_states_the_order_and_its_amount_exactly(
        self, redirects: type[Command[Any]]
    ) -> None:
        for scene in self.case.scenes_of(redirects):
            for amount in AMOUNTS:
                told = self.case.read(await self._sent(a_redirect(scene, amount)))
                assert told == OnTheWire(NUMBER, amount)

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    async def test_any_text_arrives_as_it_was_signed(self, redirects: type[Command[Any]], text: str) -> None:
        command = a_redirect(self._page, description=text)
        request = await self._sent(command)
        assert self.case.read(request) == OnTheWire(NUMBER, AMOUNT)
        told = self.case.text_told(request)
        assert told is None or ("&#" not in told and len(told) <= len(text))
        assert self.case.addresses_told(request) == self.case.addresses_told(await self._sent(a_redirect(self._page)))

    async def test_markup_and_quotes_are_shown_as_they_were_written(self, redirects: type[Command[Any]]) -> None:
        for text in ('"A&B"<i>', "<b>'A'&lt;", "&amp;还款"):
            assert self.case.text_told(await self._sent(a_redirect(self._page, description=text))) in (None, text)

    async def test_what_a_form_cannot_write_is_replaced_and_the_rest_stays(self, redirects: type[Command[Any]]) -> None:
        told = self.case.text_told(await self._sent(a_redirect(self._page, description=FOREIGN)))
        assert told is None or told.startswith("测试 ")

    async def test_a_long_text_is_cut_between_two_characters(self, redirects: type[Command[Any]]) -> None:
        for text in ("还款" * 200, "a" + "还款" * 200):
            told = self.case.text_told(await self._sent(a_redirect(self._page, description=text)))
            assert told is None or (told and text.startswith(told))

    async def test_a_form_tells_the_expiry_where_the_psp_ends_by_it(self, redirects: type[Command[Any]]) -> None:
        rules = self.case.adapter.DECLARATION.redirects
        assert rules is not None
        for life in (timedelta(seconds=1), timedelta(minutes=15), timedelta(hours=25, seconds=7, milliseconds=900)):
            told = self.case.expiry_told(await self._sent(a_redirect(self._page, expires_at=TOLD_AT + life)))
            if told is None:
                assert not rules.ends_at_expiry
                continue
            whole = timedelta(seconds=life // timedelta(seconds=1))
            assert (TOLD_AT + told if isinstance(told, timedelta) else told) == TOLD_AT + whole

    async def test_an_expiry_that_is_nearly_there_leaves_the_payer_a_second(
        self, redirects: type[Command[Any]]
    ) -> None:
        told = self.case.expiry_told(
            await self._sent(a_redirect(self._page, expires_at=TOLD_AT + timedelta(microseconds=1)))
        )
        assert told is None or not isinstance(told, timedelta) or told == timedelta(seconds=1)

    async def test_a_form_names_the_bank_and_instead_of_one_that_it_cannot_name_no_other(
        self, redirects: type[Command[Any]]
    ) -> None:
        assert self.case.bank_told(await self._sent(a_redirect(self._page, bank="ICBC")))
        for bank in (NO_BANK, "NOBANK"):
            try:
                told = self.case.bank_told(await self._sent(a_redirect(self._page, bank=bank)))
            except ValueError:  # nobody is routed there
                assert not self.case.adapter.DECLARATION.carries.knows(bank, by_card=False)
            else:
                assert told is None, "the PSP's own list"

    async def test_a_form_says_where_notices_and_the_payer_go(self, redirects: type[Command[Any]]) -> None:
        notify_url, return_url = self.case.addresses_told(await self._sent(a_redirect(self._page)))
        assert notify_url in (None, SHORT_NOTIFY_URL)
        assert return_url in (None, RETURN_URL)

    async def test_no_secret_is_in_a_form(self, redirects: type[Command[Any]]) -> None:
        adapter, _ = self._adapter(self._nobody)
        said = repr(await do(adapter, a_redirect(self._page)))
        secrets = self.case.account().secrets.values()
        assert not [line for secret in secrets for line in secret.splitlines() if line.strip() and line in said]

    # The question about it

    async def test_every_code_of_the_document_as_the_state_of_an_order_on_a_page(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, wire = self._adapter(self.case.processing)
        codes = self.case.codes_on_pages or self.case.codes[AskPayment]
        for scene in self.case.scenes_of(redirects):
            read = {}
            for code in codes:
                wire.psp = partial(_with_code, self.case, code)
                outcome = await do(adapter, asked(AskPayment, scene))
                assert getattr(outcome, "channel_code", None) == code
                read[code] = meaning_of(outcome)
            assert read == dict(codes)

    async def test_the_question_tells_how_much_was_paid_in_every_scene_on_a_page(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, wire = self._adapter(self._nobody)
        for scene in self.case.scenes_of(redirects):
            for amount in AMOUNTS:
                wire.psp = partial(_paid, self.case, amount)
                outcome = await do(adapter, asked(AskPayment, scene))
                assert isinstance(outcome, Succeeded)
                assert outcome.amount == amount

    async def test_an_order_that_waits_for_its_payer_is_open_and_none_is_not_found(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, wire = self._adapter(self.case.processing)
        for scene in self.case.scenes_of(redirects):
            wire.psp = self.case.processing
            assert isinstance(await do(adapter, asked(AskPayment, scene)), Processing)
            wire.psp = self.case.not_found
            assert isinstance(await do(adapter, asked(AskPayment, scene)), NotFound)

    async def test_what_is_said_of_another_order_or_by_somebody_else_or_altered_says_nothing(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, wire = self._adapter(self.case.succeeded)
        truth = await do(adapter, asked(AskPayment, self._page))
        body = self.case.succeeded(wire.sent[0]).content
        for psp in (
            self.case.query_failed,
            self.case.of_another_order,
            lambda request: self.case.unsigned(self.case.succeeded(request)),
        ):
            wire.psp = psp
            assert is_unknown(await do(adapter, asked(AskPayment, self._page)), received=False)
        for place in range(0, len(body), SOME_BYTES):
            wire.psp = partial(_say, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
            outcome = await do(adapter, asked(AskPayment, self._page))
            assert isinstance(outcome, Unknown) or outcome == truth, (place, body[place : place + 1])

    # Giving an order up

    async def test_every_code_of_the_document_as_an_answer_to_giving_up(self, cancels: type[Command[Any]]) -> None:
        adapter, wire = self._adapter(self.case.cancelled)
        read = {}
        for code in self.case.codes[cancels]:
            wire.psp = partial(_with_code, self.case, code)
            outcome = await do(adapter, a_cancel(self._page))
            assert getattr(outcome, "channel_code", None) == code
            assert not isinstance(outcome, Unknown) or outcome.received is self._knows_it(code), code
            read[code] = meaning_of(outcome)
        assert read == dict(self.case.codes[cancels])

    async def test_what_was_given_up_is_closed_and_may_be_given_up_again(self, cancels: type[Command[Any]]) -> None:
        adapter, wire = self._adapter(self.case.cancelled)
        assert isinstance(await do(adapter, a_cancel(self._page)), Closed)
        assert isinstance(await do(adapter, a_cancel(self._page)), Closed)
        first, second = wire.sent
        assert self.case.read(first).number == NUMBER
        assert first.content == second.content or not self.case.same_bytes

    async def test_what_is_paid_is_not_closed_by_giving_it_up(self, cancels: type[Command[Any]]) -> None:
        adapter, _ = self._adapter(self.case.cancelled_too_late)
        outcome = await do(adapter, a_cancel(self._page))
        assert isinstance(outcome, Succeeded) or is_unknown(outcome, received=True)

    async def test_an_answer_that_nobody_at_the_psp_signed_closes_nothing(self, cancels: type[Command[Any]]) -> None:
        adapter, _ = self._adapter(lambda request: self.case.unsigned(self.case.cancelled(request)))
        assert is_unknown(await do(adapter, a_cancel(self._page)), received=False)

    async def test_no_altered_byte_closes_what_is_paid(self, cancels: type[Command[Any]]) -> None:
        adapter, wire = self._adapter(self.case.cancelled_too_late)
        truth = await do(adapter, a_cancel(self._page))
        body = self.case.cancelled_too_late(wire.sent[0]).content
        for place in range(len(body)):
            wire.psp = partial(_say, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
            outcome = await do(adapter, a_cancel(self._page))
            assert isinstance(outcome, Unknown) or outcome == truth, (place, body[place : place + 1])

    async def test_the_answer_to_a_question_is_none_to_giving_up(self, cancels: type[Command[Any]]) -> None:
        adapter, wire = self._adapter(self.case.succeeded)
        await do(adapter, asked(AskPayment, self._page))
        found = self.case.succeeded(wire.sent[-1]).content
        wire.psp = partial(_say, found)
        assert not isinstance(await do(adapter, a_cancel(self._page)), Closed)
        wire.psp = self.case.cancelled
        await do(adapter, a_cancel(self._page))
        wire.psp = partial(_say, self.case.cancelled(wire.sent[-1]).content)
        assert not isinstance(await do(adapter, asked(AskPayment, self._page)), Closed | Succeeded)

    # Notices by browser and by server

    async def test_the_answer_to_a_question_is_final_to_nobody_as_a_callback(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, wire = self._adapter(self.case.processing)
        await do(adapter, asked(AskPayment, self._page))
        for code in self.case.codes[AskPayment]:
            replayed = self.case.as_callback(self.case.answer(wire.sent[-1], code))
            assert _is_open(adapter, replayed), code

    async def test_every_copy_of_a_notice_says_the_same_as_often_as_it_comes(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, _ = self._adapter(self._nobody)
        for amount in AMOUNTS:
            read = [
                callbacks_of(adapter).read(copy) for copy in self.case.copies(NUMBER, amount).values() for _ in "12"
            ]
            assert {(each.number, each.verb) for each in read} == {(NUMBER, Verb.PAY)}
            assert all(isinstance(each.outcome, Succeeded) and each.outcome.amount == amount for each in read)
            assert len({_moved(each.outcome) for each in read}) == 1

    async def test_a_copy_that_comes_by_the_others_method_is_read_the_same_or_rejected(
        self, redirects: type[Command[Any]]
    ) -> None:
        adapter, _ = self._adapter(self._nobody)
        for copy in self.case.copies(NUMBER, AMOUNT).values():
            said = f"{copy.query}{copy.body.decode('ascii')}"
            for moved in (
                replace(copy, method="GET", query=said, body=b""),
                replace(copy, method="POST", query="", body=said.encode("ascii")),
            ):
                try:
                    read = callbacks_of(adapter).read(moved)
                except CallbackRejectedError:
                    continue
                assert read == callbacks_of(adapter).read(copy)

    async def test_no_altered_byte_of_any_copy_changes_what_is_believed(self, redirects: type[Command[Any]]) -> None:
        adapter, _ = self._adapter(self._nobody)
        for copy in self.case.copies(NUMBER, AMOUNT).values():
            truth, said = callbacks_of(adapter).read(copy), copy.body or copy.query.encode("ascii")
            rejected = 0
            for place in range(len(said)):
                altered = said[:place] + bytes([said[place] ^ 1]) + said[place + 1 :]
                other = replace(copy, body=altered) if copy.body else replace(copy, query=altered.decode("ascii"))
                try:
                    assert callbacks_of(adapter).read(other) == truth, (place, said[place : place + 1])
                except CallbackRejectedError:
                    rejected += 1
            assert rejected > len(said) * 0.9

    async def test_no_copy_is_believed_by_another_account(self, redirects: type[Command[Any]]) -> None:
        other = self.case.build(self.case.account("second"), Wire(self._nobody))
        for copy in self.case.copies(NUMBER, AMOUNT).values():
            with pytest.raises(CallbackRejectedError):
                callbacks_of(other).read(copy)

    async def test_a_browser_that_brings_nothing_is_no_notice(self, redirects: type[Command[Any]]) -> None:
        adapter, _ = self._adapter(self._nobody)
        for method in ("GET", "POST"):
            with pytest.raises(CallbackRejectedError):
                callbacks_of(adapter).read(CallbackRequest(method, "", {}, b""))

    def _knows_it(self, code: str) -> bool:
        return code not in self.case.not_received.get(Cancel, frozenset())


def _with_code(case: Case, code: str, request: httpx.Request) -> httpx.Response:
    return case.answer(request, code)


def _paid(case: Case, amount: int, request: httpx.Request) -> httpx.Response:
    return case.succeeded(request, amount)


def _say(body: bytes, request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=body)


def _is_open(adapter: Provider, request: CallbackRequest) -> bool:
    """Whether a callback ends nothing."""
    try:
        return isinstance(callbacks_of(adapter).read(request).outcome, (Processing, Unknown))
    except CallbackRejectedError:
        return True


def _moved(outcome: Outcome) -> tuple[int | None, str | None]:
    assert isinstance(outcome, Succeeded)
    return outcome.amount, outcome.channel_transaction_no
