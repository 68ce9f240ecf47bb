"""Notifications of UnionPay: signed forms, sent until HTTP 200 or 302, five times at most.

Source: the demo's comments (H): 10 s for the answer, gaps of 0, 1, 2 and 4 minutes between the five sends.
"""

from typing import ClassVar, Final

from sandbox.books import Order
from sandbox.keys import Identity, unknown_ca
from sandbox.notices import Pen, next_digit
from sandbox.unionpay.transactions import notice_of
from sandbox.unionpay.wire import ENCODINGS, encode_form, sign

__all__ = ["UnionPayPen"]

ACKNOWLEDGED: Final = frozenset({200, 302})


class UnionPayPen(Pen[Identity]):
    """Writes in the charset that the order came in."""

    # Whether failures of back transactions are notified is not certain in public sources.
    failures_by_choice: ClassVar[bool] = True

    def content_type(self, order: Order) -> str:
        return f"application/x-www-form-urlencoded;charset={_charset(order)}"

    def forger(self) -> Identity:
        return unknown_ca()

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        signed = sign({**notice_of(order), "txnAmt": str(amount)}, _charset(order), signer)
        if altered:
            signed["queryId"] = next_digit(signed["queryId"])
        return encode_form(signed, _charset(order))

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002
        return status in ACKNOWLEDGED


def _charset(order: Order) -> str:
    return ENCODINGS[order.echo["encoding"].upper()]
