"""The JD mock for one merchant account: an SMS for each payment (V), the payment with its code (S), questions (Q).

A refund (R) stands in a template alone: what it brings is that, and what is answered is the sandbox's own.
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

from aiohttp import web

from sandbox.books import Order, State, mask_card
from sandbox.config import SandboxConfig
from sandbox.course import Codes, Course
from sandbox.exchange import exchange
from sandbox.faults import Occasion, Operation
from sandbox.jd import codes as table
from sandbox.jd.notices import JdPen, state_trade
from sandbox.jd.statement import table_of
from sandbox.jd.wire import Letter, RefusedError, open_letter, write_letter
from sandbox.keys import JD, JdKeys, KeySet
from sandbox.magic import binds, is_refused_by, pays
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["Jd"]

PATH: Final = "/jd/express.htm"
CODES: Final = Codes(success=table.SUCCESS, accepted=table.OPEN, interim=table.OPEN, balance_short="EEB0014")
OPERATION_OF: Final[Mapping[str, Operation]] = {"V": "send_code", "S": "pay", "Q": "query", "R": "refund"}
FORMATS: Final = {
    "ID": re.compile("[0-9A-Za-z]{1,32}"),
    "AMOUNT": re.compile("[1-9][0-9]{0,11}"),
    "CURRENCY": re.compile("CNY"),
}
CARD_NO: Final = re.compile("[0-9]{12,19}")
CARD_WANTED: Final = ("BANK", "NAME", "IDNO", "PHONE")
FAILURE: Final = re.compile(r"EE[A-Z][0-9]{4}|0001|0000/[1-9]")
ID_WRONG: Final = "EES0017"
PHONE_WRONG: Final = "EES0018"
WISHES_KEPT: Final = 10_000
NO_SUCH_PAYMENT: Final = "EES0037"
NOT_PAID, TOO_MUCH = "EEN0019", "EEN0008"
"""To R. Such codes answer refunds alone; which says what is not public."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """RETURN's code, with the status of the order behind a slash where it is 0000; and TRADE."""

    code: str
    trade: Mapping[str, str] = field(default_factory=dict)


class Jd(Provider):
    """Provider `jd`."""

    name: ClassVar[str] = "jd"
    keys: ClassVar[KeySet[JdKeys]] = JD
    cannot: ClassVar[frozenset[str]] = frozenset({"sms_needed"})
    states_failures: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: JdKeys) -> None:
        super().__init__(config, timers, JdPen(keys))
        self._keys = keys
        self._wishes: dict[str, tuple[Mapping[str, str], str]] = {}
        """Number → card and amount of its newest V; forgotten at the end, as the SMS are."""

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(PATH, self._handle)]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return FAILURE.fullmatch(code) is not None

    def statement_file(self, day: date) -> tuple[str, bytes]:
        return table_of(self.statements.rows(day), self._keys.merchant, day)

    def reset(self) -> None:
        super().reset()
        self._wishes.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            letter = open_letter(await request.read(), self._keys)
        except RefusedError as refused:
            return web.Response(text=f"resp={refused.code}")
        kind, number = letter.trade.get("TYPE", ""), letter.trade.get("ID", "")
        if kind not in OPERATION_OF:
            return self._render(Answer("EES0019", {"TYPE": kind, "ID": number}))
        occasion = self._occasion(OPERATION_OF[kind], letter)
        if self.faults.take("maintenance", occasion):
            return self._render(self._refusal(letter, "EEB0036"))
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._work(letter, occasion),
            lambda answer, wrongly: self._render(answer, wrongly=wrongly),
        )

    def _occasion(self, operation: Operation, letter: Letter) -> Occasion:
        order = self.books.get(letter.trade.get("ID", ""))
        if operation == "query":
            tail, amount = (order.card_tail, order.amount) if order else ("", 0)
        elif operation == "refund":
            original, amount_text = self.books.get(letter.trade.get("OID", "")), letter.trade.get("AMOUNT", "")
            tail = original.card_tail if original else ""
            amount = int(amount_text) if FORMATS["AMOUNT"].fullmatch(amount_text) else 0
        else:
            amount_text = letter.trade.get("AMOUNT", "")
            tail = letter.card.get("NO", "")[-4:]
            amount = int(amount_text) if FORMATS["AMOUNT"].fullmatch(amount_text) else 0
        return Occasion(operation, letter.trade.get("ID", ""), tail, amount)

    def _work(self, letter: Letter, occasion: Occasion) -> Answer:
        try:
            if occasion.operation == "query":
                return self._query(occasion)
            if occasion.operation == "refund":
                return self._refund(letter, occasion)
            self._check(letter)
            self._refuse_known(occasion.order_no)
            return (
                self._send_sms(letter, occasion) if occasion.operation == "send_code" else self._pay(letter, occasion)
            )
        except RefusedError as refused:
            return self._refusal(letter, refused.code)

    def _refusal(self, letter: Letter, code: str) -> Answer:
        """As two were seen in the wild: of V without its number; of S with STATUS 0, which means nothing beside it."""
        kind = letter.trade["TYPE"]
        said = {name: "" if kind == "V" else letter.trade.get(name, "") for name in ("ID", "AMOUNT", "CURRENCY")}
        return Answer(code, {"TYPE": kind, **said} | ({"STATUS": "0"} if kind == "S" else {}))

    def _check_trade(self, letter: Letter) -> None:
        for name, form in FORMATS.items():
            if not form.fullmatch(letter.trade.get(name, "")):
                raise RefusedError("EES0002")

    def _check(self, letter: Letter) -> None:
        self._check_trade(letter)
        card = letter.card
        if (card.get("TYPE"), card.get("IDTYPE")) != ("D", "I") or not all(card.get(name) for name in CARD_WANTED):
            raise RefusedError("EES0002")
        if not CARD_NO.fullmatch(card.get("NO", "")):
            raise RefusedError("EEB0030")

    def _refuse_known(self, number: str) -> None:
        order = self.books.get(number)
        if order is not None:
            self.books.submitted_again(order)
            raise RefusedError("EEN0015" if order.state == "succeeded" else "EES0032")

    def _send_sms(self, letter: Letter, occasion: Occasion) -> Answer:
        if decline := self.faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if is_refused_by(self.name, occasion.card_tail) or not binds(occasion.card_tail, letter.card["PHONE"]):
            raise RefusedError(ID_WRONG)
        self.send_code(letter.card["PHONE"], "pay", occasion.order_no, occasion)
        self._wishes.pop(occasion.order_no, None)
        self._wishes[occasion.order_no] = (dict(letter.card), letter.trade["AMOUNT"])
        if len(self._wishes) > WISHES_KEPT:
            del self._wishes[next(iter(self._wishes))]
        return Answer("0000", {name: letter.trade[name] for name in ("TYPE", "ID", "AMOUNT", "CURRENCY")})

    def _pay(self, letter: Letter, occasion: Occasion) -> Answer:
        wish = self._wishes.get(occasion.order_no)
        if wish is None:
            raise RefusedError("EES0044")
        if wish != (letter.card, letter.trade["AMOUNT"]):
            raise RefusedError("EEN0021")
        verdict = self.sms.check(occasion.order_no, "pay", letter.trade.get("CODE", ""))
        if verdict != "right":
            raise RefusedError("EES0035" if verdict == "expired" else "EES0027")
        course = self._course(occasion, letter.card["PHONE"])
        order = self._book(letter, occasion, course)
        told, _, status = course.answer.partition("/")
        if told != "0000":
            return self._refusal(letter, course.answer)
        return Answer(course.answer, state_trade(order, "S", status))

    def _course(self, occasion: Occasion, phone: str) -> Course:
        code = table.magic_amount(occasion.amount) or table.magic_tail(occasion.card_tail) or CODES.success
        if not pays(occasion.card_tail, phone):
            code = PHONE_WRONG
        return self.bend(Course(code, code, 0.0, CODES.interim), occasion, CODES, table.UNDECIDED)

    def _book(self, letter: Letter, occasion: Occasion, course: Course, original: Order | None = None) -> Order:
        return self.book(
            occasion.order_no,
            "refund" if original else "consume",
            occasion.amount,
            original.card if original else mask_card(letter.card["NO"]),
            course,
            original=original.order_no if original else None,
            txn_time=letter.trade.get("DATE", "") + letter.trade.get("TIME", ""),
            back_url=letter.trade.get("NOTICE", ""),
        )

    def _refund(self, letter: Letter, occasion: Occasion) -> Answer:
        self._check_trade(letter)
        if letter.card or not FORMATS["ID"].fullmatch(letter.trade.get("OID", "")):
            raise RefusedError("EES0002")
        self._refuse_known(occasion.order_no)
        original = self.books.get(letter.trade["OID"])
        if original is None or original.kind != "consume":
            raise RefusedError(NO_SUCH_PAYMENT)
        if original.state != "succeeded":
            raise RefusedError(NOT_PAID)
        if occasion.amount > self.books.left_of(original):
            raise RefusedError(TOO_MUCH)
        plan = Course(CODES.accepted, CODES.success, self.config.processing_delay_s, CODES.interim)
        course = self.bend(plan, occasion, CODES, table.UNDECIDED)
        if course.answer not in table.UNDECIDED:
            raise RefusedError(course.answer)
        order = self._book(letter, occasion, course, original)
        told, _, status = course.answer.partition("/")
        if told != "0000":
            raise RefusedError(course.answer)
        return Answer(course.answer, state_trade(order, "R", status))

    def _query(self, occasion: Occasion) -> Answer:
        if decline := self.faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        order = self.books.get(occasion.order_no)
        hidden = self.faults.take("not_found", occasion) is not None
        if order is None or hidden or time.time() < order.visible_at:
            raise RefusedError("EES0037")
        told = {"succeeded": table.SUCCESS, "failed": table.FAILED, "processing": table.OPEN}[order.state]
        return Answer(told, state_trade(order, "Q", told.partition("/")[2]))

    def _render(self, answer: Answer, *, wrongly: bool = False) -> web.Response:
        code = answer.code.partition("/")[0]
        md5_key = secrets.token_hex(16) if wrongly else None
        letter = write_letter(answer.trade, code, table.text_of(code), self._keys, md5_key)
        return web.Response(text=f"resp={letter}")
