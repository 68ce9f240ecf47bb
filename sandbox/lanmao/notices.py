"""The bank's notices, sent to the address that the platform registered until it answers `SUCCESS`.

How often the bank sends one again is not public: five times at most, with gaps of 0, 1, 2 and 4 minutes, here.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from sandbox.books import Order
from sandbox.keys import Identity, LanmaoKeys, new_identity
from sandbox.lanmao.transactions import said_of
from sandbox.lanmao.wire import render, sign, yuan_of
from sandbox.notices import Pen

__all__ = ["LanmaoPen", "form_of"]

THANKS: Final = b"SUCCESS"
OK: Final = 200


def form_of(said: Mapping[str, Any], service: str, kind: str, platform_no: str, signer: Identity) -> dict[str, str]:
    """The form that tells something: by the payer's browser (`kind` CALLBACK) or by the bank itself (NOTIFY)."""
    text = render(said)
    return {
        "platformNo": platform_no,
        "serviceName": service,
        "responseType": kind,
        "keySerial": "1",
        "respData": text,
        "userDevice": "PC",
        "sign": sign(text, signer.key),
    }


class LanmaoPen(Pen[Identity]):
    """Writes to one platform, at the address that it registered."""

    def __init__(self, keys: LanmaoKeys, url: str = "") -> None:
        super().__init__(keys.psp)
        self._platform_no = keys.platform_no
        self.url = url

    def address(self, order: Order) -> str:
        """Failures of net-bank pages are not told."""
        return self.url if order.state == "succeeded" or order.echo["way"] != "WEB" else ""

    def forger(self) -> Identity:
        return new_identity("Forged custody bank")

    def write(self, order: Order, amount: int, signer: Identity, *, altered: bool) -> bytes:
        said = said_of(order)
        if amount != order.amount:
            said["amount"] = yuan_of(amount)
        service = "DIRECT_RECHARGE" if order.kind == "withhold" else "RECHARGE"
        form = form_of(said, service, "NOTIFY", self._platform_no, signer)
        if altered:
            form["respData"] = form["respData"].replace(order.order_no, order.order_no[::-1])
        return urlencode(form).encode()

    def of_account(self, said: Mapping[str, Any], service: str) -> bytes:
        """The notice of what a payer did with his account."""
        return urlencode(form_of(said, service, "NOTIFY", self._platform_no, self.signer)).encode()

    def is_taken(self, status: int, body: bytes) -> bool:
        return status == OK and body.strip() == THANKS
