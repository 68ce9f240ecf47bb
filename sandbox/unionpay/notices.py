"""Notifications of UnionPay: signed forms, sent until HTTP 200 or 302, five times at most. What is paid on a page is
also told by the payer's browser, in the same form.

Source: the demo's comments (H): 10 s for the answer, gaps of 0, 1, 2 and 4 minutes between the five sends.
"""

from typing import ClassVar, Final, Literal, cast

from sandbox.books import Order
from sandbox.faults import Faults, Occasion
from sandbox.keys import Identity, unknown_ca
from sandbox.notices import Pen, next_digit
from sandbox.pages import WayBack
from sandbox.unionpay.transactions import notice_of
from sandbox.unionpay.wire import ENCODINGS, encode_form, sign

__all__ = ["UnionPayPen"]

ACKNOWLEDGED: Final = frozenset({200, 302})


class UnionPayPen(Pen[Identity]):
    """Writes in the charset that the order came in."""

    # Whether failures of back transactions are notified is not certain in public sources.
    failures_by_choice: ClassVar[bool] = True

    def __init__(self, signer: Identity) -> None:
        super().__init__(signer)
        self._forger: Identity | None = None

    def address(self, order: Order) -> str:
        """Of what is paid on a page nothing but success is notified (H)."""
        return "" if order.kind == "netbank" and order.state != "succeeded" else order.back_url

    def content_type(self, order: Order) -> str:
        return f"application/x-www-form-urlencoded;charset={_charset(order)}"

    def forger(self) -> Identity:
        return unknown_ca()

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        signed = sign({**notice_of(order), "txnAmt": str(amount)}, _charset(order), signer)
        if altered:
            signed["queryId"] = next_digit(signed["queryId"])
        return encode_form(signed, _charset(order))

    def way_back(self, order: Order, faults: Faults) -> WayBack | None:
        """The same by the payer's browser, to frontUrl; None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, amount=order.amount)
        if faults.take("lose_return", occasion):
            return None
        amount, signer = order.amount + (faults.take("wrong_amount_return", occasion) is not None), self.signer
        if faults.take("forge_return", occasion):
            signer = self._forger = self._forger or self.forger()
        fields = sign({**notice_of(order), "txnAmt": str(amount)}, _charset(order), signer, line_end="\r\n")
        if faults.take("corrupt_return", occasion):
            fields["queryId"] = next_digit(fields["queryId"])
        return WayBack(order.echo["frontUrl"], fields, "POST", cast("Literal['utf-8', 'gbk']", _charset(order)))

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002
        return status in ACKNOWLEDGED


def _charset(order: Order) -> str:
    return ENCODINGS[order.echo["encoding"].upper()]
