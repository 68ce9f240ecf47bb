"""CPCN's payouts: 1341 takes one on, 1350 tells how it stands (10, 40, 50); the pen tells of it (1348).

4510 tells what the account has that they are paid from.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sandbox.books import Order, mask_card
from sandbox.course import Codes, Course
from sandbox.cpcn import codes as table
from sandbox.cpcn.requests import AMOUNT, NUMBER, Body, Business, Wanted
from sandbox.cpcn.wire import Message, RefusedError
from sandbox.faults import Occasion
from sandbox.provider import Provider

__all__ = ["Payouts"]

ABSENT: Final = "240005"
USED: Final = "2008"
FIRM: Final = "12"
# What 1341 refuses, and by which code of the head, is not public: 2016 is the sandbox's own choice.
PAYOUT: Final[Wanted] = (
    ("SerialNumber", "2016", NUMBER),
    ("OrderNo", "2016", None),
    ("Amount", "2016", AMOUNT),
    ("AccountType", "2016", re.compile("1[12]")),
    ("BankID", "2016", None),
    ("AccountName", "2016", None),
    ("AccountNumber", "2016", re.compile("[0-9-]{5,32}")),
)
ACCOUNT: Final[Wanted] = (("PaymentAccountNumber", "2016", None), ("PaymentAccountName", "2016", None))
OF_ACCOUNT: Final = "880001"
"""How the number of an institution's account goes on after the institution's: the sandbox's own choice."""
OF_FIRMS: Final = ("BranchName", "Province", "City")
CODES: Final = Codes(
    success=table.SUCCESS, accepted=table.OPEN, interim=table.OPEN, balance_short=table.MERCHANT_BALANCE_SHORT
)


class Payouts:
    """The payouts of one institution."""

    def __init__(self, provider: Provider) -> None:
        self._provider, self._books, self._faults = provider, provider.books, provider.faults
        self.business: Mapping[str, Business] = {
            "1341": Business("payout", "SerialNumber", PAYOUT, self._pay),
            "1350": Business("query", "SerialNumber", PAYOUT[:1], self._state),
            "4510": Business("query_balance", "PaymentAccountNumber", ACCOUNT, self._balance),
        }

    def _pay(self, message: Message, occasion: Occasion) -> Body:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            raise RefusedError(USED)
        if message["AccountType"] == FIRM and (missing := [name for name in OF_FIRMS if not message[name]]):
            raise RefusedError("2016", ",".join(missing))
        delay_s = self._provider.config.processing_delay_s
        course = self._provider.bend(Course(CODES.accepted, CODES.success, delay_s, CODES.interim), occasion, CODES)
        if table.is_head(course.final):
            raise RefusedError(course.final)  # an order that was taken on is done, or comes back: it has no refusal
        course = replace(course, after_s=max(course.after_s, delay_s))
        told = {"txn_time": message["OrderNo"], "echo": {"AccountType": message["AccountType"]}}
        self._provider.book_payout(occasion, mask_card(message["AccountNumber"]), course, **told)
        return None

    def _state(self, message: Message, occasion: Occasion) -> Body:
        order = self._books.get(message["SerialNumber"])
        hidden = self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.kind != "payout" or not self._provider.is_visible(order):
            raise RefusedError(ABSENT)
        return told_of(self._provider, order)

    def _balance(self, message: Message, occasion: Occasion) -> Body:
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if message["PaymentAccountNumber"] != message["InstitutionID"] + OF_ACCOUNT:
            raise RefusedError("2016", "PaymentAccountNumber")
        told = {name: message[name] for name in ("PaymentAccountName", "PaymentAccountNumber")}
        return told | {"Balance": str(self._provider.balance.now[0]), "PaymentAccountUsage": "11"}


def told_of(provider: Provider, order: Order) -> dict[str, str]:
    """What 1350 says of a payout."""
    told = {
        "SerialNumber": order.order_no,
        "OrderNo": order.txn_time,
        "Amount": str(order.amount),
        "Status": table.payout_status(order),
    }
    why = provider.why_returned(order)
    return told | ({"ErrorMessage": why} if why else {})
