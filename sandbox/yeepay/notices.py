"""YeePay's notices of a paid order: the browser's copy by POST, the server's by GET until it reads `SUCCESS` (H)."""

import secrets
from collections.abc import Sequence
from typing import ClassVar, Final

from sandbox.books import Order
from sandbox.faults import Faults, Occasion
from sandbox.keys import YeePayKeys
from sandbox.notices import Pen
from sandbox.pages import WayBack
from sandbox.yeepay.wire import form_of, sealed, yuan

__all__ = ["YeePayPen"]

THANKS: Final = b"SUCCESS"
BY_BROWSER, BY_SERVER = "1", "2"


class YeePayPen(Pen[str]):
    """Writes both copies to one merchant, signing with the key that both share."""

    gaps_s: ClassVar[Sequence[float]] = (180.0, 180.0)
    by_get: ClassVar[bool] = True

    def __init__(self, keys: YeePayKeys) -> None:
        super().__init__(keys.key)
        self._mer_id = keys.mer_id

    def address(self, order: Order) -> str:
        """Of what is paid; nothing else is notified (H)."""
        return order.back_url if order.state == "succeeded" else ""

    def forger(self) -> str:
        return secrets.token_hex(16)

    def write(self, order: Order, amount: int, signer: str, *, altered: bool) -> bytes:
        """The server's copy."""
        return form_of(self._fields(order, amount, signer, BY_SERVER, altered=altered)).encode("ascii")

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002
        return body.startswith(THANKS)

    def way_back(self, order: Order, faults: Faults) -> WayBack | None:
        """The browser's copy; None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, amount=order.amount)
        if faults.take("lose_return", occasion):
            return None
        amount = order.amount + (faults.take("wrong_amount_return", occasion) is not None)
        signer = self.forger() if faults.take("forge_return", occasion) else self.signer
        altered = faults.take("corrupt_return", occasion) is not None
        fields = self._fields(order, amount, signer, BY_BROWSER, altered=altered)
        return WayBack(order.echo["p8_Url"], fields, "POST", "gbk")

    def _fields(self, order: Order, amount: int, signer: str, by: str, *, altered: bool) -> dict[str, str]:
        fields = {
            "p1_MerId": self._mer_id,
            "r0_Cmd": "Buy",
            "r1_Code": "1",
            "r2_TrxId": order.transaction_no or "",
            "r3_Amt": yuan(amount),
            "r4_Cur": "RMB",
            "r5_Pid": order.echo["p5_Pid"],
            "r6_Order": order.order_no,
            "r7_Uid": "",
            "r8_MP": order.echo["pa_MP"],
            "r9_BType": by,
        }
        said = sealed(fields, signer)
        if altered:
            said["r3_Amt"] = yuan(amount + 1)
        return said | {"rb_BankId": order.echo["pd_FrpId"].removesuffix("-B2C")}
