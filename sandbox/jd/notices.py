"""Notices of JD: a form with `resp`, the same letter as an answer to S, or to R.

When it sends again, and what it wants to read, is not public: here HTTP 200 ends it, and there are five sends with gaps
of 0, 1, 2 and 4 minutes.
"""

import secrets
from typing import ClassVar
from urllib.parse import urlencode

from sandbox.books import Order
from sandbox.jd import codes as table
from sandbox.jd.wire import write_letter
from sandbox.keys import JdKeys
from sandbox.notices import Pen

__all__ = ["JdPen", "state_trade"]


def state_trade(order: Order, kind: str, status: str) -> dict[str, str]:
    """TRADE of an order, as answers and notices state it."""
    return {
        "TYPE": kind,
        "ID": order.order_no,
        "AMOUNT": str(order.amount),
        "CURRENCY": order.currency,
        "DATE": order.txn_time[:8],
        "TIME": order.txn_time[8:],
        "NOTE": "",
        "STATUS": status,
    }


class JdPen(Pen[str]):
    """Writes to one merchant, signing with the MD5 key that both share."""

    # One client says that successes alone are notified (M), another reads failures, too.
    failures_by_choice: ClassVar[bool] = True

    def __init__(self, keys: JdKeys) -> None:
        super().__init__(keys.md5_key)
        self._keys = keys

    def forger(self) -> str:
        return secrets.token_hex(16)

    def write(self, order: Order, amount: int, signer: str, *, altered: bool) -> bytes:
        told = table.SUCCESS if order.state == "succeeded" else table.FAILED
        code, _, status = told.partition("/")
        trade = state_trade(order, "R" if order.kind == "refund" else "S", status) | {"AMOUNT": str(amount)}
        letter = write_letter(trade, code, table.text_of(order.code), self._keys, signer)
        if altered:
            middle = len(letter) // 2
            letter = letter[:middle] + ("B" if letter[middle] == "A" else "A") + letter[middle + 1 :]
        return urlencode({"resp": letter}).encode("ascii")
