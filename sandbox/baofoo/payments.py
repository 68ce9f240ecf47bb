"""The payments of protocol pay: their SMS, their course, and what is told of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sandbox.baofoo import codes as table
from sandbox.baofoo.bindings import Binding, Bindings, Wish, new_number
from sandbox.baofoo.request import Request
from sandbox.baofoo.wire import RefusedError
from sandbox.books import Kind, Order
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.provider import Provider

__all__ = ["Answer", "Payments", "beijing", "result_of"]

CODES: Final = Codes(success="0000", accepted="BF00115", interim="BF00115", balance_short="BF00103")
BEIJING: Final = ZoneInfo("Asia/Shanghai")
SMS_WANTED: Final = "BF00130"


@dataclass(frozen=True, slots=True)
class Answer:
    """A biz_resp_code with the fields beside it; `hidden` ones go out under an envelope."""

    code: str
    more: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    """resp_code, where it is not the code's own."""
    detail: str = ""


def beijing(at: float) -> str:
    """A moment as Baofoo writes it."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def result_of(order: Order) -> dict[str, str]:
    """What answers and notifications say of an order."""
    told = {"trans_id": order.order_no, "order_id": order.transaction_no or ""}
    if order.state != "succeeded":
        return told
    return told | {"succ_amt": str(order.amount), "succ_time": beijing(order.finished_at or order.received_at)}


class Payments:
    """The payments of one merchant."""

    def __init__(self, provider: Provider, bindings: Bindings) -> None:
        self._provider, self._bindings = provider, bindings
        self._books, self._faults = provider.books, provider.faults

    def wish(self, read: Request, binding: Binding) -> Wish:
        """What a request wants to be paid."""
        return Wish(
            new_number(),
            binding.user_id,
            order_no=read.order_no,
            amount=read.amount,
            protocol_no=binding.protocol_no,
            return_url=read.message["return_url"],
            txn_time=read.message["send_time"],
        )

    def check_new(self, wish: Wish) -> None:
        """Raise RefusedError for a number that stands for another payment."""
        before, known = self._bindings.wish_to_pay(wish.order_no), self._books.get(wish.order_no)
        another = before is not None and (before.amount, before.protocol_no) != (wish.amount, wish.protocol_no)
        if another or (known is not None and not _may_be_tried(known, wish)):
            raise RefusedError(table.DUPLICATE)

    def pay(self, read: Request, binding: Binding) -> Answer:
        """Pay at once, unless a code is wanted."""
        if self._faults.take("sms_needed", Occasion("pay", read.order_no, binding.card[-4:], read.amount)):
            raise RefusedError(SMS_WANTED)
        return self.charge(self.wish(read, binding), "collect")

    def charge(self, wish: Wish, kind: Kind) -> Answer:
        """Take the money, once for each number."""
        known = self._books.get(wish.order_no)
        if known is not None and not _may_be_tried(known, wish):
            self._books.submitted_again(known)
            if known.state == "succeeded":
                return Answer(table.PAID_BEFORE, result_of(known))
            code = table.IN_PROCESS if known.state == "processing" else table.DUPLICATE
            return Answer(code, {"trans_id": wish.order_no})
        binding = self._bindings.of(wish.protocol_no)
        card = "" if binding is None else binding.card
        occasion = Occasion("pay", wish.order_no, card[-4:], wish.amount)
        course = self._course(occasion, has_wrong_phone=binding is not None and not binding.pays)
        order = self._book(wish, kind, card, course, known)
        return Answer(course.answer, result_of(order) if course.after_s <= 0 else {"trans_id": order.order_no})

    def _course(self, occasion: Occasion, *, has_wrong_phone: bool) -> Course:
        code = table.magic_amount(occasion.amount) or table.magic_tail(occasion.card_tail) or CODES.success
        if has_wrong_phone:
            code = table.PHONE_WRONG
        return self._provider.bend(Course(code, code, 0.0, CODES.interim), occasion, CODES, table.WORKED)

    def _book(self, wish: Wish, kind: Kind, card: str, course: Course, before: Order | None) -> Order:
        return self._provider.book(
            wish.order_no,
            kind,
            wish.amount,
            card,
            course,
            submissions=1 if before is None else before.submissions + 1,
            transaction_no=new_number(),
            txn_time=wish.txn_time,
            back_url=wish.return_url,
            echo={"protocol_no": wish.protocol_no},
        )

    def query(self, read: Request) -> Answer:
        """What became of an order, by its number and time. One that only an SMS was sent for is not paid."""
        order, wish = self._books.get(read.order_no), self._bindings.wish_to_pay(read.order_no)
        asked_at = read.message["orig_trade_date"]
        if order is None and wish is not None and wish.txn_time == asked_at:
            return Answer(table.UNPAID, {"trans_id": read.order_no})
        if order is None or order.txn_time != asked_at or time.time() < order.visible_at:
            raise RefusedError(table.NO_SUCH_ORDER)
        return Answer(order.code, result_of(order))


def _may_be_tried(known: Order, wish: Wish) -> bool:
    """An order that was not paid may be sent again with identical fields (H)."""
    same = (known.amount, known.echo.get("protocol_no")) == (wish.amount, wish.protocol_no)
    return known.state == "failed" and same
