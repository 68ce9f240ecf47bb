"""Notices of withholds (2018), of payouts (1348), of what was paid on a page (1118), of which a payer's browser brings
a copy, too, and of what of that was given back (1138).

The server's go to the address that the institution registered, until it answers 2000; the browser brings its own by
POST to the NotificationURL of the order. How often CPCN sends one again is not public: five times at most, with gaps of
0, 1, 2 and 4 minutes, here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from sandbox.books import Order
from sandbox.cpcn import codes as table
from sandbox.cpcn.wire import is_taken, notice, told
from sandbox.faults import Faults, Occasion
from sandbox.keys import CpcnKeys, Identity, new_identity
from sandbox.notices import OK, Pen
from sandbox.pages import WayBack
from sandbox.payouts import REASONS

__all__ = ["CpcnPen", "beijing", "reason_of"]

BEIJING: Final = timezone(timedelta(hours=8))
Letter = tuple[Mapping[str, str], Mapping[str, str]]
"""Head and body."""


def beijing(at: float) -> str:
    """A moment as CPCN writes it."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone(BEIJING):%Y%m%d%H%M%S}"


def reason_of(order: Order) -> dict[str, str]:
    """When the bank finished an order, and its word; nothing while it is open."""
    if order.state == "processing":
        return {}
    message = table.RESPONSES.get(order.code, "其他")
    at = beijing(order.finished_at or order.received_at)
    return {"BankTxTime": at, "ResponseCode": order.code, "ResponseMessage": message}


class CpcnPen(Pen[Identity]):
    """Writes to one institution. `url`: the address that it registered, "" before it did."""

    tells_returns = True

    def __init__(self, keys: CpcnKeys) -> None:
        super().__init__(keys.psp)
        self._institution_id = keys.institution_id
        self._forger: Identity | None = None
        self.url = ""

    def address(self, order: Order) -> str:
        paid = order.kind == "netbank" and order.state == "succeeded"
        of_a_page = order.kind == "refund" and order.echo.get("TxCode") == "1133"
        return self.url if paid or of_a_page or order.kind in ("withhold", "payout") else ""

    def forger(self) -> Identity:
        return new_identity("Forged CPCN")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        by_kind = {"netbank": self._of_a_page, "refund": self._of_a_refund, "payout": self._of_a_payout}
        written = by_kind.get(order.kind, self._of_a_withhold)
        head, body = written(order, amount)
        return notice(head, body, signer, altered=altered)

    def is_taken(self, status: int, body: bytes) -> bool:
        return status == OK and is_taken(body)

    def way_back(self, order: Order, faults: Faults) -> WayBack | None:
        """The browser's copy of what was paid on a page; None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, amount=order.amount)
        if faults.take("lose_return", occasion):
            return None
        amount, signer = order.amount + (faults.take("wrong_amount_return", occasion) is not None), self.signer
        if faults.take("forge_return", occasion):
            signer = self._forger = self._forger or self.forger()
        altered = faults.take("corrupt_return", occasion) is not None
        fields = told(*self._of_a_page(order, amount), signer, altered=altered)
        return WayBack(order.echo["NotificationURL"], fields, "POST")

    def _of_a_withhold(self, order: Order, amount: int) -> Letter:
        head = {"TxCode": "2018", "InstitutionID": self._institution_id, "TxSN": order.order_no}
        return head, {"Amount": str(amount), "Status": table.status_of("withhold", order.code), **reason_of(order)}

    def _of_a_payout(self, order: Order, amount: int) -> Letter:
        body = {
            "InstitutionID": self._institution_id,
            "SerialNumber": order.order_no,
            "OrderNo": order.txn_time,
            "Amount": str(amount),
            "Status": table.payout_status(order),
            "TransferTime": beijing(order.finished_at or order.received_at),
        }
        why = REASONS[order.reason] if order.state == "returned" else ""
        return {"TxCode": "1348"}, body | ({"ErrorMessage": why} if why else {})

    def _of_a_refund(self, order: Order, amount: int) -> Letter:
        body = {
            "InstitutionID": self._institution_id,
            "SerialNumber": order.order_no,
            "PaymentNo": order.original or "",
            "Amount": str(amount),
            "Status": table.status_of("refund", order.code),
            "RefundTime": beijing(order.finished_at or order.received_at),
        }
        return {"TxCode": "1138"}, body

    def _of_a_page(self, order: Order, amount: int) -> Letter:
        body = {
            "InstitutionID": self._institution_id,
            "PaymentNo": order.order_no,
            "Amount": str(amount),
            "Status": table.status_of("page", order.code),
            "BankNotificationTime": beijing(order.finished_at or order.received_at),
        }
        return {"TxCode": "1118"}, body
