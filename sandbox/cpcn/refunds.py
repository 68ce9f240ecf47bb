"""CPCN's refunds: 2521 gives back what a card paid, once for each payment; 1133, in parts, what was paid on a page.

Both are taken on and end after a while; 2522 and 1132 tell how one stands, and of 1133 the pen tells, too (1138). The
states are the sandbox's own choice among what public sources say: 10 in process, 40 refunded, 20 failed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sandbox.books import Order
from sandbox.course import Codes, Course
from sandbox.cpcn import codes as table
from sandbox.cpcn.notices import beijing
from sandbox.cpcn.requests import AMOUNT, NUMBER, REFUND, Body, Business, Wanted
from sandbox.cpcn.wire import Message, RefusedError
from sandbox.faults import Occasion
from sandbox.provider import Provider

__all__ = ["Refunds"]

# What 1133 refuses, and by which code of the head, is not public: the sandbox's own choice.
PAGE_REFUND: Final[Wanted] = (
    ("SerialNumber", "2016", NUMBER),
    ("PaymentNo", "2016", None),
    ("Amount", "2016", AMOUNT),
)
PAGE_ABSENT, PAGE_REFUSED, PAGE_USED, PAGE_NO_REFUND = "240005", "2016", "2008", "240020"
BY_CARD: Final = frozenset({"consume", "withhold"})
CODES: Final = Codes(success=table.SUCCESS, accepted=table.OPEN, interim=table.OPEN, balance_short="51")


class Refunds:
    """The refunds of one institution."""

    def __init__(self, provider: Provider) -> None:
        self._provider, self._books, self._faults = provider, provider.books, provider.faults
        self.business: Mapping[str, Business] = {
            "2521": Business("refund", "TxSN", REFUND, self._of_a_card),
            "2522": Business("query", "TxSN", REFUND[:1], self._state_of_a_card),
            "1133": Business("refund", "SerialNumber", PAGE_REFUND, self._of_a_page),
            "1132": Business("query", "SerialNumber", PAGE_REFUND[:1], self._state_of_a_page),
        }

    def _of_a_card(self, message: Message, occasion: Occasion) -> Body:
        self._refuse_used(occasion, "30252110")
        original = self._books.get(message["PaymentNo"])
        if original is None or original.kind not in BY_CARD:
            raise RefusedError("30252106")
        if original.state != "succeeded":
            raise RefusedError("30252107")
        if self._books.left_of(original) < original.amount:
            raise RefusedError("30252108")
        if occasion.amount > original.amount:
            raise RefusedError("30252109")
        return self._give_back(occasion, original, "2521")

    def _of_a_page(self, message: Message, occasion: Occasion) -> Body:
        self._refuse_used(occasion, PAGE_USED)
        original = self._books.get(message["PaymentNo"])
        if original is None or original.kind != "netbank":
            raise RefusedError(PAGE_ABSENT)
        if original.state != "succeeded":
            raise RefusedError(PAGE_REFUSED, "订单未支付")
        if occasion.amount > self._books.left_of(original):
            raise RefusedError(PAGE_REFUSED, "退款金额超过可退金额")
        return self._give_back(occasion, original, "1133")

    def _give_back(self, occasion: Occasion, original: Order, tx: str) -> Body:
        delay_s = self._provider.config.processing_delay_s
        final = table.magic_amount(occasion.amount) or CODES.success
        course = Course(CODES.accepted, final, delay_s, CODES.interim)
        course = self._provider.bend(course, occasion, CODES)
        if table.is_head(course.answer):
            raise RefusedError(course.answer)
        # A refund's answer is a head alone: nothing can be refused there but by the head.
        course = replace(course, after_s=max(course.after_s, delay_s))
        told = {"original": original.order_no, "echo": {"TxCode": tx}}
        self._provider.book(occasion.order_no, "refund", occasion.amount, original.card, course, **told)
        return None

    def _refuse_used(self, occasion: Occasion, code: str) -> None:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            raise RefusedError(code)

    def _state_of_a_card(self, message: Message, occasion: Occasion) -> Body:
        order = self._seen(message["TxSN"], occasion, "2521", "30252202")
        ended = {} if order.finished_at is None else {"BankTxTime": beijing(order.finished_at)}
        return {"TxSN": order.order_no, **_told(order), **ended}

    def _state_of_a_page(self, message: Message, occasion: Occasion) -> Body:
        order = self._seen(message["SerialNumber"], occasion, "1133", PAGE_NO_REFUND)
        return {"SerialNumber": order.order_no, **_told(order)}

    def _seen(self, number: str, occasion: Occasion, tx: str, absent: str) -> Order:
        order = self._books.get(number)
        hidden = self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.echo.get("TxCode") != tx or not self._provider.is_visible(order):
            raise RefusedError(absent)
        return order


def _told(order: Order) -> dict[str, str]:
    return {
        "PaymentNo": order.original or "",
        "Amount": str(order.amount),
        "Status": table.status_of("refund", order.code),
    }
