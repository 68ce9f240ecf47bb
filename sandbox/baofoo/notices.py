"""Notifications of Baofoo, of success and failure, until the body is `OK` (H): signed forms to return_url, and of
refunds a letter of their own to notice_url, 5 times, 20 minutes apart (H).

How often within "2 to 10 times" those of payments come, and how far apart, is the sandbox's own choice.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from sandbox.baofoo import codes as table
from sandbox.baofoo.blocks import sealed, spoiled
from sandbox.baofoo.payments import result_of
from sandbox.baofoo.refunds import result_of as refund_of
from sandbox.baofoo.wire import encode_form, sign
from sandbox.books import Order
from sandbox.keys import BaofooKeys, Identity, new_identity
from sandbox.notices import OK, Pen, next_digit

__all__ = ["BaofooPen"]

REFUNDS_GAPS_S: Final = (1200.0,) * 4


class BaofooPen(Pen[Identity]):
    """Writes to one merchant's terminal."""

    def __init__(self, keys: BaofooKeys) -> None:
        super().__init__(keys.psp)
        self._keys = keys

    def gaps_of(self, order: Order) -> Sequence[float]:
        return REFUNDS_GAPS_S if order.kind == "refund" else self.gaps_s

    def address(self, order: Order) -> str:
        return order.back_url.partition("|")[0]

    def forger(self) -> Identity:
        return new_identity("Forged protocol pay")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        if order.kind == "refund":
            return self._of_a_refund(order, amount, signer, altered=altered)
        told = {
            "resp_code": table.call_state(order.code),
            "biz_resp_code": order.code,
            "biz_resp_msg": table.text_of(order.code),
            "member_id": self._keys.member_id,
            "terminal_id": self._keys.terminal_id,
            **result_of(order),
        }
        if amount != order.amount:
            told["succ_amt"] = str(amount)
        signed = sign(told, signer.key)
        if altered:
            signed["order_id"] = next_digit(signed["order_id"])
        return encode_form(signed)

    def _of_a_refund(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        told = {
            "member_id": self._keys.member_id,
            "terminal_id": self._keys.terminal_id,
            **refund_of(order),
            "resp_code": order.code,
            "resp_msg": table.text_of(order.code),
        }
        if amount != order.amount:
            told["refund_amt"] = str(amount)
        written = sealed(told, signer.key)
        return urlencode({"data_content": spoiled(written) if altered else written}).encode("ascii")

    def is_taken(self, status: int, body: bytes) -> bool:
        return status == OK and body == b"OK"
