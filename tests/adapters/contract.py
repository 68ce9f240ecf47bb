"""What every adapter must do, whatever its protocol: one contract for each command, run through a `Case`.

A test module for an adapter holds its `Case` and `class TestMyPsp(Contract): case = MyPspCase()`. Each test runs once
for each command of its kind that the adapter has (`sends`, `asks`) and for each verb that its PSP calls back about
(`notified`). The case is the PSP as the PSP would be: it reads requests and signs answers by its own code, never by
the adapter's, so that a mistake cannot cancel out. An answer is asked for by its meaning; how that looks is the case's
affair.
"""

import asyncio
import logging
from functools import partial
from typing import Any, get_type_hints

import httpx
import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.intents import PRODUCT_OF, Verb
from gateway.domain.outcomes import (
    Authenticated,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.terms import Product
from gateway.ports import (
    AnswerLostError,
    AskPayment,
    AskPayout,
    AskRefund,
    CallbackRejectedError,
    CallbackRequest,
    Cancel,
    Command,
    NotSentError,
    Pay,
    Payout,
    Provider,
    Redirect,
    Refund,
    command_name,
)
from tests.adapters.case import (
    AGREEMENT_NO,
    AMOUNT,
    ANSWERED,
    ASKS,
    CARD,
    CONFIRM_CODE,
    EXACT_AMOUNTS,
    LATER,
    NOT_ASKED_ABOUT,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    PERSON,
    SENDS,
    SMS_CODE,
    TRANSACTION_NO,
    Case,
    Meaning,
    OnTheWire,
    Psp,
    Wire,
    a_balance,
    a_cancel,
    a_confirmation,
    a_days_returns,
    a_payment,
    a_payment_code,
    a_redirect,
    a_refund,
    a_refunds_question,
    a_signing,
    a_signing_code,
    an_authentication,
    an_authentications_question,
    an_unbinding,
    asked,
    callbacks_of,
    do,
    is_unknown,
    its_question,
    meaning_of,
    sent,
)
from tests.adapters.contract_balances import BalancesContract
from tests.adapters.contract_faults import FaultsContract
from tests.adapters.contract_payouts import PayoutsContract
from tests.adapters.contract_redirects import RedirectsContract

__all__ = [
    "AGREEMENT_NO",
    "AMOUNT",
    "CARD",
    "CONFIRM_CODE",
    "LATER",
    "NOTIFY_URL",
    "NUMBER",
    "OTHER_NUMBER",
    "PERSON",
    "SMS_CODE",
    "TRANSACTION_NO",
    "Case",
    "Contract",
    "Meaning",
    "OnTheWire",
    "Psp",
    "Wire",
    "a_cancel",
    "a_payment",
    "a_payment_code",
    "a_redirect",
    "a_refund",
    "a_refunds_question",
    "a_signing",
    "a_signing_code",
    "an_authentication",
    "an_authentications_question",
    "an_unbinding",
    "callbacks_of",
    "do",
    "is_unknown",
    "its_question",
    "meaning_of",
]


SENT_BY = {Verb.PAY: Pay, Verb.REFUND: Refund, Verb.PAYOUT: Payout}
ASKED_BY = {Verb.PAY: AskPayment, Verb.REFUND: AskRefund, Verb.PAYOUT: AskPayout}
"""What is sent and asked of each verb that PSPs call back about."""


class Contract(FaultsContract, RedirectsContract, PayoutsContract, BalancesContract):
    """The suite. Subclass it with a `case`.

    Codes by SMS, signing and unbinding: `contract_codes`. Faults of the wire, of every command: `contract_faults`. The
    PSP's own pages: `contract_redirects`. Money out: `contract_payouts`. What a merchant has: `contract_balances`.
    """

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test for what the adapter has of its kind; what it does not have is shown as skipped."""
        for name, kinds in {**self.KINDS, **self.ON_PAGES, **self.MONEY_OUT, **self.HAVING}.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, [kind for kind in kinds if self.has(kind)], ids=command_name)
        if "notified" in metafunc.fixturenames:
            metafunc.parametrize("notified", sorted(self.case.calls_back))

    @pytest.fixture(autouse=True)
    def _everything_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

    # What the adapter says of itself

    def test_its_commands_are_known_without_an_account_and_are_what_its_functions_take_and_answer(self) -> None:
        adapter, _ = self.adapter(self.case.processing)
        assert adapter.commands.keys() == self.case.commands.keys() <= ANSWERED.keys()
        for kind, function in self.case.commands.items():
            hints = get_type_hints(function)
            assert (hints["command"], hints["return"]) == (kind, ANSWERED[kind])

    def test_what_can_be_sent_can_be_asked_about_where_the_protocol_has_a_question(self) -> None:
        sent, asked = ({kind.verb for kind in self.case.commands if kind.asks is asks} for asks in (False, True))
        assert asked | self.case.without_question == sent - NOT_ASKED_ABOUT
        assert not asked & self.case.without_question

    def test_every_product_that_its_commands_are_about_has_terms(self) -> None:
        declaration = self.adapter(self.case.processing)[0].declaration
        # Payments on a page have terms of their own; asking and giving up are about either.
        paid = {Product.REDIRECT: Redirect, Product.PAYMENT: Pay}
        about = {product for product, kind in paid.items() if kind in self.case.commands}
        others = {PRODUCT_OF[kind.verb] for kind in self.case.commands}
        assert set(declaration.terms) == about | others - {Product.PAYMENT}

    def test_what_no_question_is_about_is_not_looked_for_again_later(self) -> None:
        terms = self.adapter(self.case.processing)[0].declaration.terms
        assert all(terms[PRODUCT_OF[verb]].late_looks == 0 for verb in self.case.without_question)

    def test_its_callbacks_are_those_that_its_psp_sends(self) -> None:
        assert (self.adapter(self.case.processing)[0].callbacks is not None) == bool(self.case.calls_back)

    def test_what_an_account_may_never_change_is_what_tells_it_from_another(self) -> None:
        first, second = (self.case.account(merchant).settings for merchant in ("first", "second"))
        identity = self.adapter(self.case.processing)[0].declaration.identity
        assert identity
        assert all(first[name] != second[name] for name in identity)

    # What moves money: what goes out

    async def test_amounts_are_exact_on_the_wire_in_every_scene(self, sends: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        scenes = self.case.scenes_of(sends)
        for scene in scenes:
            for amount in EXACT_AMOUNTS:
                await do(adapter, sent(sends, scene, amount))
                assert self.case.read(wire.sent[-1]) == OnTheWire(NUMBER, amount)
        assert len(wire.sent) == len(scenes) * len(EXACT_AMOUNTS)

    async def test_the_same_command_twice_is_the_same_order_on_the_wire(self, sends: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        await do(adapter, sent(sends, self.scene))
        await do(adapter, sent(sends, self.scene))
        first, second = wire.sent
        assert self.case.read(first) == self.case.read(second)
        assert first.content == second.content or not self.case.same_bytes

    # What moves money: what comes back

    async def test_every_code_of_the_document_as_an_answer_to_what_was_sent(self, sends: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        for scene in self.case.scenes_of(sends):
            read = {}
            for code in self.case.codes[sends]:
                wire.psp = partial(self.answer, code)
                outcome = await do(adapter, sent(sends, scene))
                assert getattr(outcome, "channel_code", None) == code
                assert not isinstance(outcome, Unknown) or outcome.received is self._has_it(sends, code), code
                read[code] = meaning_of(outcome)
            assert read == dict(self.case.codes[sends])

    async def test_an_unmapped_code_of_what_was_sent_is_unknown_with_the_raw_code(
        self, sends: type[Command[Any]]
    ) -> None:
        adapter, _ = self.adapter(partial(self.answer, self.case.unmapped_code))
        outcome = await do(adapter, sent(sends, self.scene))
        assert is_unknown(outcome, received=True)
        assert getattr(outcome, "channel_code", None) == self.case.unmapped_code

    async def test_accepted_is_processing(self, sends: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.processing)
        assert isinstance(await do(adapter, sent(sends, self.scene)), Processing)

    async def test_cancelling_is_not_swallowed(self, sends: type[Command[Any]]) -> None:
        async def for_ever(request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

        adapter = self.case.build(self.case.account(), for_ever)
        task = asyncio.create_task(_sending(adapter, sent(sends, self.scene)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    # Questions about it

    async def test_every_code_of_the_document_as_the_state_of_an_order(self, asks: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        read = {}
        for code in self.case.codes[asks]:
            wire.psp = partial(self.answer, code)
            outcome = await do(adapter, asked(asks, self.scene))
            assert getattr(outcome, "channel_code", None) == code
            assert not isinstance(outcome, Unknown) or outcome.received is self._has_it(asks, code), code
            read[code] = meaning_of(outcome)
        assert read == dict(self.case.codes[asks])

    async def test_a_question_that_failed_says_nothing_of_the_order(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.query_failed)
        assert is_unknown(await do(adapter, asked(asks, self.scene)), received=False)

    async def test_an_unmapped_state_is_unknown_with_the_raw_code(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(partial(self.answer, self.case.unmapped_code))
        outcome = await do(adapter, asked(asks, self.scene))
        assert is_unknown(outcome, received=True)
        assert getattr(outcome, "channel_code", None) == self.case.unmapped_code

    async def test_an_open_order_is_processing(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.processing)
        assert isinstance(await do(adapter, asked(asks, self.scene)), Processing)

    async def test_a_question_tells_success_and_the_amount_as_the_psp_states_it(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(lambda request: self.case.succeeded(request, AMOUNT + 1))
        outcome = await do(adapter, asked(asks, self.scene))
        assert isinstance(outcome, Succeeded)
        assert outcome.amount in (AMOUNT + 1, None)
        assert outcome.channel_finished_at is None or outcome.channel_finished_at.tzinfo is not None

    async def test_a_question_that_finds_nothing_is_not_found(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.not_found)
        assert isinstance(await do(adapter, asked(asks, self.scene)), NotFound)

    async def test_an_answer_about_another_order_is_unknown(self, asks: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.of_another_order)
        assert is_unknown(await do(adapter, asked(asks, self.scene)), received=False)

    async def test_no_single_altered_byte_of_an_answer_changes_what_is_believed(self, asks: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.succeeded)
        kept: list[bytes] = []

        def keep(request: httpx.Request) -> httpx.Response:
            answer = self.case.succeeded(request)
            kept.append(answer.content)
            return answer

        wire.psp = keep
        truth = await do(adapter, asked(asks, self.scene))
        body = kept[0]
        for place in range(len(body)):
            wire.psp = partial(_say, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
            outcome = await do(adapter, asked(asks, self.scene))
            assert isinstance(outcome, Unknown) or outcome == truth, (place, body[place : place + 1])

    # Authentication

    async def test_a_silent_authentication_binds_the_card_with_one_request(
        self, authenticates: type[Command[Any]]
    ) -> None:
        adapter, wire = self.adapter(self.case.open_binding)
        outcome = await do(adapter, an_authentication())
        assert isinstance(outcome, Authenticated)
        assert outcome.agreement_no == self.case.agreement_no
        assert self.case.agreement_no not in repr(outcome)
        assert [self.case.read(request).number for request in wire.sent] == [NUMBER]

    async def test_every_code_of_the_document_as_an_answer_to_authenticate(
        self, authenticates: type[Command[Any]]
    ) -> None:
        adapter, wire = self.adapter(self.case.processing)
        read = {}
        for code in self.case.codes[authenticates]:
            wire.psp = partial(self.answer, code)
            outcome = await do(adapter, an_authentication())
            assert getattr(outcome, "channel_code", None) == code
            read[code] = meaning_of(outcome)
        assert read == dict(self.case.codes[authenticates])

    async def test_an_authentication_that_needs_the_user_says_so(self, authenticates: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.sms_needed)
        assert isinstance(await do(adapter, an_authentication()), SmsNeeded)

    async def test_a_lost_authentication_is_found_by_asking_or_is_not_found(
        self, authenticates: type[Command[Any]]
    ) -> None:
        adapter, _ = self.adapter(self.case.open_binding)
        assert await do(adapter, an_authentications_question()) == await do(adapter, an_authentication())
        adapter, _ = self.adapter(self.case.no_binding)
        assert isinstance(await do(adapter, an_authentications_question()), NotFound)

    # Every command

    async def test_every_request_states_its_timeouts_and_carries_no_card_data_in_its_url(self) -> None:
        adapter, wire = self.adapter(self.case.processing)
        await self._do_everything(adapter)
        for request in wire.sent:
            timeouts = request.extensions["timeout"]
            assert all(timeouts[part] > 0 for part in ("connect", "read", "write", "pool"))
            hidden = (CARD.card_no, CARD.id_no, CARD.phone, AGREEMENT_NO, SMS_CODE, PERSON.account_no, CONFIRM_CODE)
            assert not any(secret in str(request.url) for secret in hidden)

    async def test_unreadable_answers_are_unknown_to_every_command(self) -> None:
        foreign = "没有".encode(self.case.wrong_charset)
        for unreadable in (
            httpx.Response(200, content=b""),
            httpx.Response(200, html="<html><body>Bad gateway</body></html>"),
            httpx.Response(500, content=b""),
            httpx.Response(502, html="<html>"),
            httpx.Response(200, content=foreign),
            httpx.Response(200, content=b"\xff\xfe\x00\x00" * 20),
            httpx.Response(302, headers={"location": "https://elsewhere.example.com/"}),
        ):
            adapter, wire = self.adapter(partial(_give, unreadable))
            outcomes = await self._do_everything(adapter)
            assert all(is_unknown(outcome, received=False) for outcome in outcomes), (unreadable, outcomes)
            assert len(wire.sent) == len(outcomes)

    async def test_a_lost_answer_is_unknown_and_was_asked_for_exactly_once(self) -> None:
        adapter, wire = self.adapter(lambda request: AnswerLostError("timeout"))
        outcomes = await self._do_everything(adapter)
        assert all(is_unknown(outcome, received=False) for outcome in outcomes), outcomes
        assert len(wire.sent) == len(outcomes)

    async def test_a_refused_connection_is_not_sent_and_was_tried_exactly_once(self) -> None:
        adapter, wire = self.adapter(lambda request: NotSentError("refused"))
        outcomes = await self._do_everything(adapter)
        assert all(isinstance(outcome, NotSent) for outcome in outcomes), outcomes
        assert len(wire.sent) == len(outcomes)

    async def test_no_secret_and_no_card_data_in_repr_or_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        account, said = self.case.account(), []
        for psp in (
            self.case.processing,
            lambda request: self.case.unsigned(self.case.processing(request)),
            lambda request: AnswerLostError("timeout"),
            lambda request: httpx.Response(200, content=request.content),
        ):
            adapter = self.case.build(account, Wire(psp))
            said += [repr(adapter), str(adapter), *map(repr, await self._do_everything(adapter))]
        said += [repr(command) for command in self._one_of_each()]
        text = "\n".join([*said, caplog.text, repr(account)])
        forbidden = [CARD.card_no, CARD.id_no, CARD.phone, CARD.holder_name, AGREEMENT_NO, SMS_CODE]
        forbidden += [PERSON.account_no, PERSON.name, CONFIRM_CODE]
        forbidden += [line for secret in account.secrets.values() for line in secret.splitlines()[1:2] or [secret]]
        assert not [secret for secret in forbidden if secret in text]

    # Callbacks

    async def test_a_true_answer_to_what_was_sent_is_final_to_nobody_as_a_callback(self, notified: Verb) -> None:
        adapter, wire = self.adapter(self.case.processing)
        kind = SENT_BY[notified]
        if kind not in self.case.commands:
            return  # what is paid on a page has no answer: `contract_redirects` replays those to questions
        for code in self.case.codes[kind].keys() - self.case.states_in_answers:
            await do(adapter, sent(kind, self.scene))
            replayed = self.case.as_callback(self.case.answer(wire.sent[-1], code))
            try:
                outcome = callbacks_of(adapter).read(replayed).outcome
            except CallbackRejectedError:
                continue
            assert isinstance(outcome, (Processing, Unknown)), code

    def test_a_callback_is_read_with_the_amount_it_states_and_what_it_is_about(self, notified: Verb) -> None:
        adapter, _ = self.adapter(self.case.processing)
        for amount in EXACT_AMOUNTS:
            callback = callbacks_of(adapter).read(self.case.callback(notified, NUMBER, amount))
            assert (callback.number, callback.verb) == (NUMBER, notified)
            assert isinstance(callback.outcome, Succeeded)
            assert callback.outcome.amount == amount

    def test_a_callback_of_failure_is_a_decline_by_the_same_table(self, notified: Verb) -> None:
        adapter, _ = self.adapter(self.case.processing)
        kind = ASKED_BY[notified]
        for code, meaning in self.case.codes[kind].items():
            outcome = callbacks_of(adapter).read(self.case.callback(notified, NUMBER, AMOUNT, code)).outcome
            if meaning in self.case.not_by_notice:
                assert is_unknown(outcome, received=True), code
            elif isinstance(meaning, FailureCode):
                assert meaning_of(outcome) == meaning, code

    def test_a_replayed_callback_reads_the_same(self, notified: Verb) -> None:
        adapter, _ = self.adapter(self.case.processing)
        request = self.case.callback(notified, NUMBER, AMOUNT)
        assert callbacks_of(adapter).read(request) == callbacks_of(adapter).read(request)

    def test_no_single_altered_byte_of_a_callback_changes_what_is_believed(self, notified: Verb) -> None:
        reader = callbacks_of(self.adapter(self.case.processing)[0])
        request = self.case.callback(notified, NUMBER, AMOUNT)
        truth, rejected = reader.read(request), 0
        for place in range(len(request.body)):
            body = request.body[:place] + bytes([request.body[place] ^ 1]) + request.body[place + 1 :]
            try:
                read = reader.read(CallbackRequest(request.method, request.query, request.headers, body))
            except CallbackRejectedError:
                rejected += 1
            else:
                assert read == truth, (place, request.body[place : place + 1])
        assert rejected > len(request.body) * 0.9

    def test_a_callback_of_another_account_is_rejected(self, notified: Verb) -> None:
        other = self.case.build(self.case.account("second"), Wire(self.case.processing))
        with pytest.raises(CallbackRejectedError):
            callbacks_of(other).read(self.case.callback(notified, NUMBER, AMOUNT))

    def test_rubbish_is_rejected_as_a_callback(self, notified: Verb) -> None:
        adapter, _ = self.adapter(self.case.processing)
        for body in (b"", b"x", b"=&=&=", b"a=" + b"%" * 50, b"\xff\xfe" * 100, b"{" * 10_000, b"signature=AAAA"):
            with pytest.raises(CallbackRejectedError):
                callbacks_of(adapter).read(CallbackRequest("POST", "", {}, body))

    def test_callbacks_are_answered(self, notified: Verb) -> None:
        adapter, _ = self.adapter(self.case.processing)
        assert 200 <= callbacks_of(adapter).answer(accepted=True).status < 300
        assert callbacks_of(adapter).answer(accepted=False).status >= 400

    def _one_of_each(self) -> list[Command[Any]]:
        """Everything that the adapter can do, what is sent in every scene."""
        commands: list[Command[Any]] = [sent(kind, scene) for kind in SENDS for scene in self.case.scenes_of(kind)]
        commands += [asked(kind, self.scene) for kind in ASKS]
        commands += [a_redirect(scene) for scene in self.case.scenes_of(Redirect)]
        commands += [a_cancel(scene) for scene in self.case.scenes_of(Cancel)]
        commands += [an_authentication(), an_authentications_question()]
        commands += [*self.code_commands(), an_unbinding(), a_confirmation(), a_days_returns(), a_balance()]
        return [command for command in commands if type(command) in self.case.commands]

    async def _do_everything(self, adapter: Provider) -> list[object]:
        """All that makes a request."""
        return [await do(adapter, command) for command in self._one_of_each() if command.requests]

    def _has_it(self, kind: type[Command[Any]], code: str) -> bool:
        return code not in self.case.not_received.get(kind, frozenset())


def _say(body: bytes, request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=body)


def _give(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    return response


async def _sending(adapter: Provider, command: Command[Outcome]) -> object:
    return await do(adapter, command)
