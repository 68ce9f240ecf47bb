"""Notifications of Baofoo: signed forms to return_url, of success and failure, until the body is `OK` (H).

How often within "2 to 10 times" and how far apart is the sandbox's own choice.
"""

from sandbox.baofoo import codes as table
from sandbox.baofoo.payments import result_of
from sandbox.baofoo.wire import encode_form, sign
from sandbox.books import Order
from sandbox.keys import BaofooKeys, Identity, new_identity
from sandbox.notices import OK, Pen, next_digit

__all__ = ["BaofooPen"]


class BaofooPen(Pen[Identity]):
    """Writes to one merchant's terminal."""

    def __init__(self, keys: BaofooKeys) -> None:
        super().__init__(keys.psp)
        self._keys = keys

    def address(self, order: Order) -> str:
        return order.back_url.partition("|")[0]

    def forger(self) -> Identity:
        return new_identity("Forged protocol pay")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
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

    def is_taken(self, status: int, body: bytes) -> bool:
        return status == OK and body == b"OK"
