"""The part of the contract that is about money out: whom an adapter can pay, and that what came back is told as that.

What payouts have in common with all that moves money is in `contract` and `contract_faults`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, cast

from gateway.domain.failures import MEANINGS, Blame, FailureCode
from gateway.domain.outcomes import Declined, Returned
from gateway.domain.payees import PayeeType
from gateway.domain.terms import Product
from gateway.ports import AskPayout, AskReturnedPayouts, Command, ConfirmPayout, Payout
from tests.adapters.case import FIRM, PERSON, a_payout, a_payouts_question, do
from tests.adapters.contract_codes import CodesContract

ABOUT_PAYERS = {
    FailureCode.INSUFFICIENT_BALANCE,
    FailureCode.AGREEMENT_VOID,
    FailureCode.SMS_CODE_WRONG,
    FailureCode.SMS_CODE_EXPIRED,
    FailureCode.TOO_MANY_TRIES,
    FailureCode.AUTHENTICATION_REJECTED,
    FailureCode.CUSTODY_NOT_BOUND,
}
"""What nobody can say of a payout: there is no payer, no agreement and no code."""


class PayoutsContract(CodesContract):
    """Part of the suite. Each test runs for adapters that pay out."""

    MONEY_OUT: ClassVar[Mapping[str, tuple[Any, ...]]] = {"pays_out": (Payout,)}

    def test_who_pays_out_says_whom_it_can_pay(self) -> None:
        declaration = self.case.adapter.DECLARATION
        has = {Payout in self.case.commands, AskPayout in self.case.commands, Product.PAYOUT in declaration.terms}
        assert has == {declaration.payees is not None}
        lists = AskReturnedPayouts in self.case.commands
        terms = declaration.terms.get(Product.PAYOUT)
        assert lists is bool(terms and terms.watch and terms.watch.listed_days)
        assert ConfirmPayout not in self.case.commands or Payout in self.case.commands

    async def test_every_payee_that_it_says_it_can_pay_is_paid_and_no_other(self, pays_out: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        rules = adapter.declaration.payees
        assert rules is not None
        unknown = (replace(PERSON, bank="NO_SUCH_BANK"), replace(FIRM, bank="NO_SUCH_BANK"))
        lacking = [replace(FIRM, **cast("Any", {name: ""})) for name in rules.needs.get(PayeeType.CORPORATE, ())]
        for payee in (PERSON, FIRM, *unknown, *lacking, replace(PERSON, name="李䶮"), replace(PERSON, name="\ud800")):
            sent = len(wire.sent)
            outcome = await do(adapter, a_payout(payee=payee))
            assert len(wire.sent) - sent == (rules.why_not(payee) is None), payee
            assert isinstance(outcome, Declined) is (len(wire.sent) == sent), outcome
            assert rules.why_not(payee) is None or outcome == rules.refusal(payee)
        assert rules.why_not(PERSON) is None

    async def test_any_purpose_is_paid(self, pays_out: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.processing)
        purposes = ("", "x" * 5_000, "还" * 999, "䶮𠮷\ud800\x00", '<a b="&">|%#^-{}[]=\r\n')
        for purpose in purposes:
            assert not isinstance(await do(adapter, a_payout(purpose=purpose)), Declined), purpose
            self.case.read(wire.sent[-1])
        assert len(wire.sent) == len(purposes)

    async def test_nothing_about_a_payout_is_said_of_a_payer(self, pays_out: type[Command[Any]]) -> None:
        for kind in (Payout, AskPayout):
            told = {meaning for meaning in self.case.codes[kind].values() if isinstance(meaning, FailureCode)}
            assert not told & ABOUT_PAYERS
            assert {MEANINGS[code].blame for code in told - {FailureCode.PAYEE_INVALID, FailureCode.RISK_REJECTED}} <= {
                Blame.CHANNEL,
                Blame.PLATFORM,
            }

    async def test_what_came_back_is_told_by_the_same_question_with_its_reason(
        self, pays_out: type[Command[Any]]
    ) -> None:
        adapter, wire = self.adapter(self.case.processing)
        returns = [code for code, meaning in self.case.codes[AskPayout].items() if meaning is Returned]
        watch = adapter.declaration.terms[Product.PAYOUT].watch
        assert bool(returns) is bool(watch and watch.gaps_s)
        for code in returns:
            wire.psp = partial(self.answer, code)
            outcome = await do(adapter, a_payouts_question())
            assert isinstance(outcome, Returned)
            assert outcome.channel_code == code
