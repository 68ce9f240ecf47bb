"""What a merchant has at a provider: what a test said it has, with what came in and went out since.

Without a word it has plenty and is never short. Payments come in at once; no bank's calendar is played here.
"""

import time
from typing import Final

from sandbox.books import Books
from sandbox.faults import Occasion

__all__ = ["PLENTY", "Balance"]

PLENTY: Final = 10**13
"""In fen."""
COMES_IN: Final = frozenset({"consume", "withhold", "collect", "pay", "netbank"})


class Balance:
    """The money of one merchant, in fen. `apart`: refunds are paid from what payments brought, payouts are not.

    Where it is not `apart` there is one sum for all of it.
    """

    def __init__(self, books: Books, *, apart: bool) -> None:
        self._books, self.apart = books, apart
        self._said: tuple[int, int, float] | None = None
        if books.balance is not None:
            for_payouts, for_refunds, since = books.balance
            self._said = int(for_payouts), int(for_refunds), since

    def say(self, for_payouts: int, for_refunds: int = 0) -> None:
        """From now on it has so much; `for_refunds` is of those whose money is `apart`."""
        self._said = for_payouts, for_refunds, time.time()
        self._books.note({"balance": list(self._said)})

    def forget(self) -> None:
        """Plenty again."""
        self._said = None

    @property
    def now(self) -> tuple[int, int]:
        """What payouts can take, and what refunds can."""
        for_payouts, for_refunds, since = self._said or (PLENTY, PLENTY, 0.0)
        of_payments = 0
        for order in self._books:
            if order.received_at < since:
                continue
            if order.kind == "payout" and order.state in ("processing", "succeeded"):
                for_payouts -= order.amount
            elif order.kind == "refund" and order.state != "failed":
                of_payments -= order.amount
            elif order.kind in COMES_IN and order.state == "succeeded":
                of_payments += order.amount
        if self.apart:
            return max(0, for_payouts), max(0, for_refunds + of_payments)
        return (max(0, for_payouts + of_payments),) * 2

    def is_short(self, occasion: Occasion) -> bool:
        """Whether there is too little for this payout or refund."""
        if self._said is None or occasion.operation not in ("payout", "refund"):
            return False
        return occasion.amount > self.now[0 if occasion.operation == "payout" else 1]
