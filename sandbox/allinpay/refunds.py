"""Refunds at Allinpay's mock (REFUND): answered on two levels as payments are, told by 200004 under their own REQ_SN.

The codes of refusals are not public: 3999 with a text is the sandbox's own, and that parts never exceed the payment.
"""

import re
from dataclasses import replace
from typing import Final

from sandbox.allinpay import codes as table
from sandbox.allinpay.answer import Answer, word
from sandbox.allinpay.wire import Package, RefusedError
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.provider import Provider

__all__ = ["Refunds"]

WANTED: Final = ("BUSINESS_CODE", "MERCHANT_ID", "ORGBATCHID", "AMOUNT")
SINGLE: Final = "0"
CHARGES: Final = frozenset({"collect", "pay"})
AMOUNT: Final = re.compile("0*[1-9][0-9]{0,11}")
REFUSED: Final = "3999"


class Refunds:
    """The refunds of one merchant."""

    def __init__(self, provider: Provider, codes: Codes) -> None:
        self._provider, self._books, self._codes = provider, provider.books, codes

    def occasion(self, package: Package) -> Occasion:
        """The call in the terms of a fault, with the card of the payment. Raises RefusedError."""
        body = package.body
        for name in WANTED:
            if not body.get(name):
                raise RefusedError(table.CONTENT_WRONG, name)
        if not AMOUNT.fullmatch(body["AMOUNT"]):
            raise RefusedError(table.CONTENT_WRONG, "AMOUNT")
        if body.get("ORGBATCHSN") != SINGLE:
            raise RefusedError(table.CONTENT_WRONG, "ORGBATCHSN")
        original = self._books.get(body["ORGBATCHID"])
        return Occasion(
            "refund", package.head["REQ_SN"], "" if original is None else original.card_tail, int(body["AMOUNT"])
        )

    def work(self, package: Package, occasion: Occasion) -> Answer:
        """Give back, once for each number, and no more than was paid."""
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            return Answer(table.DUPLICATE)
        original = self._books.get(package.body["ORGBATCHID"])
        if original is None or original.kind not in CHARGES:
            return word("TRANSRET", REFUSED, "原交易不存在")
        if original.state != "succeeded":
            return word("TRANSRET", REFUSED, "原交易未成功")
        if occasion.amount > self._books.left_of(original):
            return word("TRANSRET", REFUSED, "退款金额超过可退金额")
        code = table.magic_amount(occasion.amount) or self._codes.success
        course = Course(code, code, 0.0, self._codes.interim)
        course = self._provider.bend(course, occasion, self._codes, table.PROCESSING)
        if table.is_refusal(course.answer):
            return Answer(course.answer)
        course = replace(course, hidden_s=max(course.hidden_s, self._provider.config.not_visible_s))
        order = self._provider.book(
            occasion.order_no,
            "refund",
            occasion.amount,
            original.card,
            course,
            original=original.order_no,
            txn_time=package.body.get("SUBMIT_TIME", ""),
        )
        if course.after_s > 0:
            return Answer(course.answer)
        return word("TRANSRET", order.code, SETTLE_DAY=order.txn_time[:8])
