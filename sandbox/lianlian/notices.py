"""LianLian's notices: signed JSON, sent until the merchant answers `{"ret_code": "0000"}`, 30 times at most.

Source: its handbook (H): 5 s for the answer, 2 minutes between the sends; what was not paid is never notified.
"""

import json
from collections.abc import Sequence
from typing import ClassVar

from sandbox.books import Order
from sandbox.keys import Identity, new_identity
from sandbox.lianlian.payouts import payout_notice_of
from sandbox.lianlian.refunds import refund_notice_of
from sandbox.lianlian.transactions import notice_of
from sandbox.lianlian.wire import render, sign, yuan_of
from sandbox.notices import Pen, next_digit

__all__ = ["LianLianPen"]


class LianLianPen(Pen[Identity]):
    """Writes of paid orders, of refunds that were done, and of payouts however they ended."""

    tells_returns = True
    gaps_s: ClassVar[Sequence[float]] = (120.0,) * 29
    answer_within_s: ClassVar[float] = 5.0

    def address(self, order: Order) -> str:
        return order.back_url if order.state == "succeeded" or order.kind == "payout" else ""

    def content_type(self, order: Order) -> str:  # noqa: ARG002
        return "text/json;charset=utf-8"

    def forger(self) -> Identity:
        return new_identity("Forged LianLian")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        told = {"payout": payout_notice_of, "refund": refund_notice_of}.get(order.kind, notice_of)(order)
        money, number = ("money_refund", "oid_refundno") if order.kind == "refund" else ("money_order", "oid_paybill")
        signed = sign({**told, money: yuan_of(amount)}, signer.key)
        if altered:
            signed[number] = next_digit(signed[number])
        return render(signed)

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002  the word counts, whatever the status
        try:
            said = json.loads(body)
        except ValueError:
            return False
        return isinstance(said, dict) and said.get("ret_code") == "0000"
