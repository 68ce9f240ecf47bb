"""The part of the contract that is about the payer's phone: codes by SMS, signing and paying with them, unbinding.

What each case must answer: `code_sent`, `open_binding`, `wrong_code`, `expired_code`, `unbound`, `unbound_before`, and
`sms_needed` where a payment sends the SMS by itself; what it must read: `typed`, `continued`, `agreement_named`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, cast

import httpx
import pytest

from adapters.account import AccountError
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    SmsNeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import (
    AskAuthentication,
    Authenticate,
    Command,
    Pay,
    Provider,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Unbind,
)
from gateway.ports.statements import statements_of
from tests.adapters.case import (
    AGREEMENT_NO,
    AMOUNT,
    ASKS,
    EXACT_AMOUNTS,
    NUMBER,
    SENDS,
    SENDS_CODES,
    SMS_CODE,
    Case,
    Psp,
    Wire,
    a_payment,
    a_payment_code,
    a_signing,
    a_signing_code,
    an_authentications_question,
    an_unbinding,
    do,
    is_unknown,
    meaning_of,
)

MAPPING = {
    "unit": "fen", "columns": {"amount": "sum", "day": "day"}, "positive": "payment", "negative": "refund",
    "total": "none",
}  # fmt: skip
"""A statement that an account describes."""


class PayByCode:
    """Stands for a `Pay` with the code that the payer typed, where tests are made for each command."""


class PayForCode:
    """Stands for the first `Pay`, where that sends the SMS."""


class CodesContract:
    """Part of the suite. Each test runs for what the adapter has of its kind."""

    case: Case
    KINDS: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "sends": SENDS,
        "asks": ASKS,
        "authenticates": (Authenticate,),
        "sends_code": SENDS_CODES,
        "signs": (Sign,),
        "takes_code": (Sign, PayByCode),
        "pays_by_code": (PayByCode,),
        "pays_for_code": (PayForCode,),
        "unbinds": (Unbind,),
        "beside_money": (*SENDS_CODES, Sign, Unbind),
    }

    def has(self, kind: Any) -> bool:
        """Whether the adapter has a command, or a payment by code."""
        declaration = self.case.adapter.DECLARATION
        if kind is PayForCode:
            return declaration.pay_sends_code
        if kind is PayByCode:
            return declaration.pay_sends_code or SendPaymentCode in self.case.commands
        return kind in self.case.commands

    def adapter(self, psp: Psp) -> tuple[Provider, Wire]:
        """The adapter of the first account, and what it sends."""
        wire = Wire(psp)
        return self.case.build(self.case.account(), wire), wire

    @property
    def scene(self) -> Scene:
        return self.case.scenes[0]

    def answer(self, code: str, request: httpx.Request) -> httpx.Response:
        """The case's answer with a code; for `partial`."""
        return self.case.answer(request, code)

    @property
    def agreement_no(self) -> str | None:
        """What a payment by code is made with."""
        return AGREEMENT_NO if self.case.adapter.DECLARATION.code_wants_agreement else None

    def a_code(self, kind: type[Command[Any]], ordinal: int = 1, continuation: str | None = None) -> Command[Any]:
        """A wish for an SMS."""
        if kind is SendSigningCode:
            return a_signing_code(ordinal, continuation)
        return a_payment_code(self.case.code_scenes[0], self.agreement_no, ordinal, continuation)

    def by_code(self, amount: int = AMOUNT, sms_code: str | None = SMS_CODE, ordinal: int = 1) -> Pay:
        """A payment with the code that the payer typed, after the newest SMS."""
        payment = replace(a_payment(self.case.code_scenes[0], amount), agreement_no=self.agreement_no)
        return replace(payment, sms_code=sms_code, ordinal=ordinal, continuation=self.case.continuation)

    def taking(self, kind: Any, ordinal: int = 1, sms_code: str = SMS_CODE) -> Command[Any]:
        """What brings a code, after the newest SMS."""
        if kind is Sign:
            return a_signing(self.case.continuation, ordinal, sms_code)
        return self.by_code(sms_code=sms_code, ordinal=ordinal)

    def command_beside_money(self, kind: type[Command[Any]]) -> Command[Any]:
        """A command that binds, unbinds or sends an SMS."""
        if kind is Unbind:
            return an_unbinding()
        return self.taking(Sign) if kind is Sign else self.a_code(kind)

    def code_commands(self) -> list[Command[Any]]:
        """One of each that is about a code, for what every command must do."""
        commands: list[Command[Any]] = [self.a_code(kind) for kind in SENDS_CODES] + [self.taking(Sign)]
        return [*commands, self.by_code()] if self.has(PayByCode) else commands

    def done(self, kind: type[Command[Any]], request: httpx.Request) -> httpx.Response:
        """The answer that it was done."""
        if kind is Unbind:
            return self.case.unbound(request)
        return self.case.open_binding(request) if kind is Sign else self.case.code_sent(request)

    # What the adapter says of itself

    def test_an_sms_to_sign_with_and_the_signing_come_together(self) -> None:
        assert (SendSigningCode in self.case.commands) == (Sign in self.case.commands)

    def test_the_sms_for_a_payment_is_sent_by_one_command_alone(self) -> None:
        assert not (self.case.adapter.DECLARATION.pay_sends_code and SendPaymentCode in self.case.commands)

    def test_what_is_assumed_is_not_done_until_the_account_says_that_it_holds(self) -> None:
        account, declaration = self.case.account(), self.case.adapter.DECLARATION
        unsaid = replace(account, settings={**account.settings, "assumed": []})
        new = [each for each in declaration.assumptions if not each.since_first_version]
        if any(not (each.commands or each.residence_permits or each.statements) for each in new):
            with pytest.raises(AccountError):
                self.case.build(unsaid, Wire(self.case.processing))
            return
        withheld = {kind for each in new for kind in each.commands}
        has = self.case.build(unsaid, Wire(self.case.processing)).commands.keys()
        assert has <= self.case.commands.keys()
        assert not has & withheld
        permits = self.case.build(unsaid, Wire(self.case.processing)).declaration.carries.residence_permits
        assert permits is not any(each.residence_permits for each in new)
        if any(each.statements for each in new):
            assert statements_of(self.case.build(unsaid, Wire(self.case.processing))) is None

    def test_statements_are_read_without_a_mapping_where_it_is_declared(self) -> None:
        account, declaration = self.case.account(), self.case.adapter.DECLARATION
        assumed = {each.name for each in declaration.assumptions if each.statements}
        taken = cast("list[str]", account.settings.get("assumed", []))
        settings = {**account.settings, "assumed": sorted({*taken, *assumed})}
        without = replace(account, settings={name: each for name, each in settings.items() if name != "statement"})
        own = statements_of(self.case.build(without, Wire(self.case.processing)))
        assert (own is not None) is declaration.statements
        if own is not None:
            described = replace(account, settings={**account.settings, "statement": MAPPING})
            by_mapping = statements_of(self.case.build(described, Wire(self.case.processing)))
            assert by_mapping is not None
            assert replace(by_mapping.rules, fetched=own.rules.fetched) == own.rules, "its day ends when it ends"

    def test_every_assumption_has_a_name_and_a_sentence_of_its_own(self) -> None:
        assumptions = self.case.adapter.DECLARATION.assumptions
        assert len({each.name for each in assumptions}) == len(assumptions)
        assert all(each.name.replace("_", "").isalnum() and each.meaning.endswith(".") for each in assumptions)
        assert all(each.commands <= self.case.commands.keys() for each in assumptions)

    # An SMS

    async def test_an_sms_is_asked_for_by_one_request_of_the_order(self, sends_code: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.code_sent)
        outcome = await do(adapter, self.a_code(sends_code))
        assert isinstance(outcome, CodeSent)
        assert outcome.continuation == self.case.continuation
        assert not outcome.continuation or outcome.continuation not in repr(outcome)
        assert [self.case.read(request).number for request in wire.sent] == [NUMBER]
        assert self.case.read(wire.sent[0]).amount in (None, AMOUNT if sends_code is SendPaymentCode else None)

    async def test_an_sms_that_is_asked_for_again_is_of_the_same_order(self, sends_code: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.code_sent)
        await do(adapter, self.a_code(sends_code))
        again = await do(adapter, self.a_code(sends_code, 2, self.case.continuation))
        assert isinstance(again, CodeSent)
        assert [self.case.read(request).number for request in wire.sent] == [NUMBER, NUMBER]

    async def test_an_sms_for_a_payment_needs_an_agreement_where_that_is_declared(
        self, sends_code: type[Command[Any]]
    ) -> None:
        if sends_code is not SendPaymentCode or not self.case.adapter.DECLARATION.code_wants_agreement:
            return
        adapter, wire = self.adapter(self.case.code_sent)
        outcome = await do(adapter, a_payment_code(self.case.code_scenes[0], None))
        assert isinstance(outcome, Declined)
        assert outcome.code is FailureCode.AGREEMENT_VOID
        assert wire.sent == []

    # What the payer typed

    async def test_what_the_payer_typed_goes_out_once_on_the_order_of_the_newest_sms(self, takes_code: Any) -> None:
        adapter, wire = self.adapter(self.case.processing)
        await do(adapter, self.taking(takes_code))
        await do(adapter, self.taking(takes_code, 2, "0042"))
        assert [self.case.read(request).number for request in wire.sent] == [NUMBER, NUMBER]
        assert [self.case.typed(request) for request in wire.sent] == [SMS_CODE, "0042"]
        assert [self.case.continued(request) for request in wire.sent] == [self.case.continuation] * 2

    async def test_a_wrong_code_and_an_expired_one_are_told_apart_where_the_protocol_does(
        self, takes_code: Any
    ) -> None:
        adapter, wire = self.adapter(self.case.wrong_code)
        outcome = await do(adapter, self.taking(takes_code))
        assert isinstance(outcome, Declined)
        assert outcome.code is FailureCode.SMS_CODE_WRONG
        expired = self.case.expired_code(wire.sent[0])
        if expired is None:
            return
        adapter, wire = self.adapter(lambda request: cast("httpx.Response", self.case.expired_code(request)))
        outcome = await do(adapter, self.taking(takes_code))
        assert isinstance(outcome, Declined)
        assert outcome.code is FailureCode.SMS_CODE_EXPIRED
        assert len(wire.sent) == 1

    # Signing

    async def test_a_signing_binds_the_card_with_one_request(self, signs: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.open_binding)
        outcome = await do(adapter, self.taking(signs))
        assert isinstance(outcome, Authenticated)
        assert outcome.agreement_no == self.case.agreement_no
        assert self.case.agreement_no not in repr(outcome)
        assert len(wire.sent) == 1

    async def test_a_lost_signing_is_found_by_asking_or_is_not_found(self, signs: type[Command[Any]]) -> None:
        if AskAuthentication not in self.case.commands:
            return
        question = replace(an_authentications_question(), continuation=self.case.continuation)
        adapter, _ = self.adapter(self.case.open_binding)
        found = await do(adapter, question)
        assert isinstance(found, Authenticated)
        assert found.agreement_no == self.case.agreement_no
        adapter, _ = self.adapter(self.case.no_binding)
        assert isinstance(await do(adapter, question), NotFound)

    # Paying with a code

    async def test_a_payment_by_code_states_its_exact_amount(self, pays_by_code: Any) -> None:
        adapter, wire = self.adapter(self.case.processing)
        for amount in EXACT_AMOUNTS:
            await do(adapter, self.by_code(amount))
            assert self.case.read(wire.sent[-1]).amount in (None, amount)
        assert len(wire.sent) == len(EXACT_AMOUNTS)

    async def test_every_code_of_the_document_as_an_answer_to_a_payment_by_code(self, pays_by_code: Any) -> None:
        codes = self.case.codes_of_payments_by_code or self.case.codes[Pay]
        adapter, wire = self.adapter(self.case.processing)
        read = {}
        for code in codes:
            wire.psp = partial(self.answer, code)
            outcome = await do(adapter, self.by_code())
            assert getattr(outcome, "channel_code", None) == code
            read[code] = meaning_of(outcome)
        assert read == dict(codes)

    async def test_a_payment_by_code_is_unknown_by_an_unmapped_code(self, pays_by_code: Any) -> None:
        adapter, _ = self.adapter(partial(self.answer, self.case.unmapped_code))
        assert is_unknown(await do(adapter, self.by_code()), received=True)

    async def test_a_payment_that_sends_the_sms_by_itself_waits_for_the_code(self, pays_for_code: Any) -> None:
        adapter, wire = self.adapter(self.case.sms_needed)
        payment = replace(self.by_code(sms_code=None), continuation=None)
        outcome = await do(adapter, payment)
        assert isinstance(outcome, SmsNeeded)
        assert outcome.sent
        assert outcome.continuation == self.case.continuation
        assert not outcome.continuation or outcome.continuation not in repr(outcome)
        assert [self.case.read(request).number for request in wire.sent] == [NUMBER]

    # Unbinding

    async def test_an_unbinding_names_the_agreement_and_may_be_repeated(self, unbinds: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.unbound)
        assert isinstance(await do(adapter, an_unbinding()), Unbound)
        assert [self.case.agreement_named(request) for request in wire.sent] == [AGREEMENT_NO]
        if self.case.unbound_before(wire.sent[0]) is None:
            return
        adapter, wire = self.adapter(lambda request: cast("httpx.Response", self.case.unbound_before(request)))
        assert isinstance(await do(adapter, an_unbinding()), Unbound)
        assert len(wire.sent) == 1

    # What comes back to all that moves no money

    async def test_every_code_of_the_document_as_an_answer_beside_money(self, beside_money: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        read = {}
        for code in self.case.codes[beside_money]:
            wire.psp = partial(self.answer, code)
            outcome = await do(adapter, self.command_beside_money(beside_money))
            assert getattr(outcome, "channel_code", None) == code
            read[code] = meaning_of(outcome)
        assert read == dict(self.case.codes[beside_money])

    async def test_an_unmapped_code_beside_money_is_unknown_with_the_raw_code(
        self, beside_money: type[Command[Any]]
    ) -> None:
        adapter, _ = self.adapter(partial(self.answer, self.case.unmapped_code))
        outcome = await do(adapter, self.command_beside_money(beside_money))
        assert isinstance(outcome, Unknown)
        assert outcome.channel_code == self.case.unmapped_code
