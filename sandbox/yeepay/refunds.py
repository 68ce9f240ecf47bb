"""YeePay's refunds: RefundOrd takes one on, RefundResults tells how it stands at the bank (handbook V1.27; H).

The sandbox's own rules: a number that was used before is 51; rf_fee is 0.2 % of what goes back, rounded half up; what
fails at the bank is refundFrpStatus 3, whatever code a fault names.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox.books import Order
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.magic import RETURNED_LATER
from sandbox.yeepay import codes as table
from sandbox.yeepay.checks import fen, is_number
from sandbox.yeepay.wire import yuan

if TYPE_CHECKING:
    from sandbox.yeepay.provider import YeePay

__all__ = ["Refunds", "Work"]

USED_BEFORE: Final = "51"
NO_SUCH_PAYMENT, NOT_PAID, TOO_MUCH = "32", "526", "10"
WRONG_PARAMETERS: Final = "-1"
NO_SUCH_REFUND: Final = "-3"
CODES: Final = Codes(
    success=table.REFUND_PAID, accepted=table.DONE, interim=table.REFUND_OPEN, balance_short=table.REFUND_FAILED
)
FEE_SHARE: Final = 500

Fields = Mapping[str, str]
Work = Callable[[Fields, Occasion], Fields]


class Refunds:
    """The refunds of one merchant."""

    def __init__(self, provider: "YeePay") -> None:
        self._provider = provider
        self._books, self._faults = provider.books, provider.faults

    def occasion(self, fields: Fields, *, asks: bool = False) -> Occasion:
        """A call, as faults match it."""
        number = fields.get("p2_Order", "")
        known = self._books.get(number)
        amount = (known.amount if known else 0) if asks else fen(fields.get("p3_Amt", "")) or 0
        return Occasion("query" if asks else "refund", number, amount=amount)

    def refund(self, fields: Fields, occasion: Occasion) -> Fields:
        """RefundOrd: booked, or refused with the code that is told."""
        original = self._books.of_transaction(fields.get("pb_TrxId", ""))
        code, course = self._refusal(fields, occasion, original), None
        if code is None:
            delay_s = self._provider.config.processing_delay_s
            course = Course(CODES.accepted, CODES.success, delay_s, CODES.interim)
            course = self._provider.bend(course, occasion, CODES)
            code = course.answer
        if course is not None and code == CODES.accepted:
            assert original is not None
            self._book(occasion, original, course)
        return {
            "r0_Cmd": "RefundOrd",
            "r1_Code": code,
            "r2_TrxId": fields.get("pb_TrxId", ""),
            "r3_Amt": fields.get("p3_Amt", ""),
            "r4_Cur": "CNY",
            "r4_Order": occasion.order_no,
            "rf_fee": yuan((occasion.amount + FEE_SHARE // 2) // FEE_SHARE) if code == CODES.accepted else "",
        }

    def _refusal(self, fields: Fields, occasion: Occasion, original: Order | None) -> str | None:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            return USED_BEFORE
        if not is_number(occasion.order_no) or not occasion.amount or fields.get("p4_Cur") != "CNY":
            return WRONG_PARAMETERS
        if original is None or original.kind != "netbank":
            return NO_SUCH_PAYMENT
        if original.state != "succeeded":
            return NOT_PAID
        return TOO_MUCH if occasion.amount > self._books.left_of(original) else None

    def _book(self, occasion: Occasion, original: Order, course: Course) -> None:
        final = course.final if course.final == CODES.success else table.REFUND_FAILED
        back_s = self._provider.config.late_s if occasion.amount == RETURNED_LATER else None
        more = {"original": original.order_no, "transaction_no": None, "return_after_s": back_s}
        self._provider.book(
            occasion.order_no, "refund", occasion.amount, "", replace(course, final=final), **more,
            echo={"pb_TrxId": original.transaction_no or ""},
        )  # fmt: skip

    def ask(self, fields: Fields, occasion: Occasion) -> Fields:
        """RefundResults: by the refund's number and YeePay's of the payment."""
        if decline := self._faults.take("decline", occasion):
            return _result(decline.params["code"])
        order, hidden = self._books.get(occasion.order_no), self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.kind != "refund" or not self._provider.is_visible(order):
            return _result(NO_SUCH_REFUND)
        if order.echo["pb_TrxId"] != fields.get("pb_TrxId"):
            return _result(NO_SUCH_REFUND)
        return _result(table.DONE, order.echo["pb_TrxId"], order.order_no, "1", order.code)


def _result(code: str, transaction_no: str = "", number: str = "", taken: str = "", state: str = "") -> Fields:
    return {
        "r0_Cmd": "RefundResults",
        "r1_Code": code,
        "r2_TrxId": transaction_no,
        "r4_Order": number,
        "refundStatus": taken,
        "refundFrpStatus": state,
    }
