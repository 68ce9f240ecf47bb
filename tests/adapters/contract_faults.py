"""The part of the contract that is about faults of the wire, of every command: what the PSP did not say proves nothing.

Each command is answered with what would be final, done and refused, and the answer is spoiled in every way: signed by
somebody else, cut, in another charset, under another key, beside an HTTP error. And each is answered that its number
was used before. What each case must know for it: `duplicates`, and where its protocol hides them, `miscoded` and
`undecipherable`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import httpx

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    AskPayout,
    Authenticate,
    Command,
    Pay,
    Payout,
    Provider,
    Redirect,
    Refund,
    Sign,
    Unbind,
)
from tests.adapters.case import (
    ASKS,
    SENDS,
    SENDS_CODES,
    Meaning,
    Psp,
    Wire,
    an_authentication,
    an_authentications_question,
    asked,
    do,
    is_unknown,
    sent,
)
from tests.adapters.contract_codes import CodesContract, PayByCode, PayForCode

SHARES = (0.5, 0.99)
BY_THE_PAYER = (Sign, PayByCode)
Answers = dict[str, httpx.Response]


class FaultsContract(CodesContract):
    """Part of the suite. `every`: all that the adapter can do, payments with and for a code by themselves."""

    KINDS: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        **CodesContract.KINDS,
        "every": (*SENDS, *ASKS, Authenticate, AskAuthentication, *SENDS_CODES, Sign, PayForCode, PayByCode, Unbind),
    }

    async def test_no_spoiled_answer_is_the_psps_word(self, every: Any) -> None:
        adapter, wire = self.adapter(self.case.processing)
        for command in self._commands(every):
            for name, answer in (await self._final_answers(every, command, adapter, wire)).items():
                wire.psp = _giving(answer)
                assert not isinstance(await do(adapter, command), Unknown), name
                for fault, spoiled in self._spoiled(answer):
                    wire.psp, before = _giving(spoiled), len(wire.sent)
                    outcome = await do(adapter, command)
                    assert is_unknown(outcome, received=False), (name, fault, outcome)
                    assert len(wire.sent) == before + 1, "sent once"
                if (closed := self.case.undecipherable(answer)) is not None:
                    wire.psp = _giving(closed)
                    assert isinstance(await do(adapter, command), Unknown), (name, "under another key")

    async def test_a_number_that_was_used_before_ends_nothing(self, every: Any) -> None:
        assert self.case.duplicates
        adapter, wire = self.adapter(self.case.processing)
        moves_money = every in (*SENDS, PayByCode, PayForCode)
        for command in self._commands(every):
            for code in self.case.duplicates:
                wire.psp, before = _saying(self.case.answer, code), len(wire.sent)
                outcome = await do(adapter, command)
                assert isinstance(outcome, (Unknown, Processing)), (code, outcome)
                assert not moves_money or not isinstance(outcome, Unknown) or outcome.received, code
                assert len(wire.sent) == before + 1, "sent once"

    # Its parts

    def _commands(self, kind: Any) -> Iterator[Command[Any]]:
        """One of this kind; what moves money in every scene."""
        if kind in SENDS:
            yield from (sent(kind, scene) for scene in self.case.scenes_of(kind))
        elif kind in ASKS:
            yield from (asked(kind, scene) for scene in self._asked_scenes(kind))
        elif kind is Authenticate:
            yield an_authentication()
        elif kind is AskAuthentication:
            yield replace(an_authentications_question(), continuation=self.case.continuation)
        elif kind is PayForCode:
            yield replace(self.by_code(sms_code=None), continuation=None)
        else:
            yield self.by_code() if kind is PayByCode else self.command_beside_money(kind)

    def _asked_scenes(self, kind: Any) -> tuple[Scene, ...]:
        if kind is AskPayout:
            return self.case.scenes_of(Payout)
        sends = (Pay, Redirect) if kind is AskPayment else (Refund,)
        sent = [scene for each in sends if each in self.case.commands for scene in self.case.scenes_of(each)]
        return tuple(sent) or self.case.scenes_of(kind)

    async def _final_answers(self, kind: Any, command: Command[Any], adapter: Provider, wire: Wire) -> Answers:
        """What the PSP could finally say to it: done, and refused in each of its ways."""
        wire.psp = self.case.processing
        await do(adapter, command)
        answers = {name: psp(wire.sent[-1]) for name, psp in self._final_words(kind).items()}
        return {name: answer for name, answer in answers.items() if isinstance(answer, httpx.Response)}

    def _final_words(self, kind: Any) -> dict[str, Psp]:
        case = self.case
        if kind is AskAuthentication:
            return {"bound": case.open_binding, "none": case.no_binding}
        codes = self._codes_of(kind)
        # The first and the last of the table: where there are two levels of refusing, they are of both.
        refusals = [code for code, meaning in codes.items() if isinstance(meaning, FailureCode)]
        words: dict[str, Psp] = {code: _saying(case.answer, code) for code in {*refusals[:1], *refusals[-1:]}}
        if kind in ASKS:
            return {**words, "done": case.succeeded, "absent": case.not_found}
        if kind in BY_THE_PAYER:
            words["wrong code"] = case.wrong_code
        if kind is Unbind:
            words["gone"] = cast("Psp", case.unbound_before)
        return {**words, "done": self._done(kind, codes)}

    def _codes_of(self, kind: Any) -> Mapping[str, Meaning]:
        if kind is PayByCode and self.case.codes_of_payments_by_code:
            return self.case.codes_of_payments_by_code
        return self.case.codes[Pay if kind in (PayByCode, PayForCode) else kind]

    def _done(self, kind: Any, codes: Mapping[str, Meaning]) -> Psp:
        """The best answer: an SMS is on its way, the card is bound, it is paid, or taken on."""
        if kind is PayForCode:
            return self.case.sms_needed
        if kind not in (*SENDS, PayByCode):
            return self.case.open_binding if kind is Authenticate else lambda request: self.done(kind, request)
        paid = next((code for code, meaning in codes.items() if meaning is Succeeded), None)
        return self.case.processing if paid is None else _saying(self.case.answer, paid)

    def _spoiled(self, answer: httpx.Response) -> Iterator[tuple[str, httpx.Response]]:
        yield "signed by somebody else", self.case.unsigned(answer)
        yield "with an HTTP error", httpx.Response(500, content=answer.content)
        for share in SHARES:
            yield f"cut at {share}", httpx.Response(200, content=answer.content[: int(len(answer.content) * share)])
        text = answer.content.decode(self.case.charset)
        yield "in UTF-16", httpx.Response(200, content=text.encode("utf-16"))
        miscoded = self.case.miscoded(answer)
        if miscoded.content != answer.content:
            yield "in the wrong charset", miscoded


def _giving(answer: httpx.Response) -> Psp:
    return lambda request: answer


def _saying(answer: Any, code: str) -> Psp:
    return lambda request: cast("httpx.Response", answer(request, code))
