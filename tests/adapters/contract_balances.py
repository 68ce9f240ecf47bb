"""The part of the contract that is about what a merchant has: exact amounts, and that no answer is taken for one.

What each case must answer: `balance`, with the texts of `BALANCE_FIELDS` as they stand on the wire.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import httpx

from gateway.domain.outcomes import BalanceStated, Unknown
from gateway.ports import AskBalance, Command
from tests.adapters.case import Case, Psp, a_balance, do, is_unknown
from tests.adapters.contract_codes import CodesContract

AMOUNTS = (0, 1, 7, 10, 100, 1_005, 12_345, 99_999_999, 999_999_999_999)
NO_AMOUNTS = (
    *("-1", "-0.01", "+1", "1.005", "1.", ".5", "1,000.00", "1e3", "0x1f", "NaN", "Infinity", "abc", "--", "1 2"),
    *("٣", "１２", "9" * 40, "null", "****"),
)
"""What is no amount in fen and none in yuan either."""


class BalancesContract(CodesContract):
    """Part of the suite. Each test runs for adapters that can tell a balance."""

    HAVING: ClassVar[Mapping[str, tuple[Any, ...]]] = {"tells_balance": (AskBalance,)}

    async def test_a_balance_is_stated_to_the_fen_by_one_request(self, tells_balance: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.balance)
        for amount in AMOUNTS:
            told = {name: _written(self.case, amount + n) for n, name in enumerate(self.case.balance_fields)}
            wire.psp = _saying(self.case, told)
            outcome = await do(adapter, a_balance())
            assert isinstance(outcome, BalanceStated), outcome
            stated = {each: getattr(outcome, each) for each in ("for_payouts", "for_refunds", "total")}
            named = {each: amount + n for n, each in enumerate(self.case.balance_fields.values())}
            assert stated == {"for_payouts": None, "for_refunds": None, "total": None, **named}
            assert all(type(each) is int for each in named.values())
        assert len(wire.sent) == len(AMOUNTS)

    async def test_a_balance_answer_that_is_none_is_unknown(self, tells_balance: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.balance)
        fine = dict.fromkeys(self.case.balance_fields, _written(self.case, 100))
        first, *_ = self.case.balance_fields
        for name in self.case.balance_fields:
            for text in NO_AMOUNTS:
                if not _can_be_said(self.case, text):
                    continue
                wire.psp = _saying(self.case, {**fine, name: text})
                assert is_unknown(await do(adapter, a_balance()), received=False), (name, text)
        for absent in ("", " ", None):
            wire.psp = _saying(self.case, {**fine, first: absent})
            outcome = await do(adapter, a_balance())
            assert is_unknown(outcome, received=False), absent
            assert isinstance(outcome, Unknown)
            assert outcome.reason

    async def test_a_balance_of_another_account_is_unknown(self, tells_balance: type[Command[Any]]) -> None:
        adapter, _ = self.adapter(self.case.balance_of_another)
        assert is_unknown(await do(adapter, a_balance()), received=False)

    async def test_a_refused_question_about_a_balance_is_unknown_with_its_code(
        self, tells_balance: type[Command[Any]]
    ) -> None:
        adapter, _ = self.adapter(self.case.balance_refused)
        outcome = await do(adapter, a_balance())
        assert isinstance(outcome, Unknown)
        assert outcome.channel_code

    async def test_no_spoiled_answer_states_a_balance(self, tells_balance: type[Command[Any]]) -> None:
        adapter, wire = self.adapter(self.case.balance)
        await do(adapter, a_balance())
        fine = self.case.balance(wire.sent[0])
        text = fine.content.decode(self.case.charset)
        spoiled = [httpx.Response(500, content=fine.content), httpx.Response(200, content=text.encode("utf-16"))]
        spoiled += [httpx.Response(200, content=fine.content[: int(len(fine.content) * n)]) for n in (0.3, 0.5, 0.97)]
        if self.case.signs_balance:
            spoiled += [self.case.unsigned(fine)]
        for answer in spoiled:
            wire.psp = partial(_give, answer)
            assert is_unknown(await do(adapter, a_balance()), received=False), answer.content[:80]

    async def test_no_single_altered_byte_states_another_balance(self, tells_balance: type[Command[Any]]) -> None:
        if not self.case.signs_balance:
            return  # nothing but the connection vouches for it
        adapter, wire = self.adapter(self.case.balance)
        truth = await do(adapter, a_balance())
        body = self.case.balance(wire.sent[0]).content
        for place in range(0, len(body), 3):
            altered = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            wire.psp = partial(_give, httpx.Response(200, content=altered))
            outcome = await do(adapter, a_balance())
            assert isinstance(outcome, Unknown) or outcome == truth, (place, body[place : place + 1])


def _written(case: Case, amount: int) -> str:
    return str((Decimal(amount) / 100).quantize(Decimal("0.01"))) if case.balance_in_yuan else str(amount)


def _can_be_said(case: Case, text: str) -> bool:
    return text.encode(case.charset, "replace").decode(case.charset) == text


def _saying(case: Case, told: Mapping[str, str | None]) -> Psp:
    return lambda request: case.balance(request, **told)


def _give(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    return response
