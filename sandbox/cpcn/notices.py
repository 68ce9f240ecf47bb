"""Notices of withholds (2018), sent to the address that the institution registered until it answers 2000.

How often CPCN sends one again is not public: five times at most, with gaps of 0, 1, 2 and 4 minutes, here.
"""

from sandbox.books import Order
from sandbox.cpcn.transactions import notice_of
from sandbox.cpcn.wire import is_taken, notice
from sandbox.keys import CpcnKeys, Identity, new_identity
from sandbox.notices import OK, Pen

__all__ = ["CpcnPen"]


class CpcnPen(Pen[Identity]):
    """Writes to one institution. `url`: the address that it registered, "" before it did."""

    def __init__(self, keys: CpcnKeys) -> None:
        super().__init__(keys.psp)
        self._institution_id = keys.institution_id
        self.url = ""

    def address(self, order: Order) -> str:
        return self.url if order.kind == "withhold" else ""

    def forger(self) -> Identity:
        return new_identity("Forged CPCN")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        head, body = notice_of(order, self._institution_id, amount)
        return notice(head, body, signer, altered=altered)

    def is_taken(self, status: int, body: bytes) -> bool:
        return status == OK and is_taken(body)
