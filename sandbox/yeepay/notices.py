"""YeePay's notices of a paid order: the browser's copy by POST, the server's by GET until it reads `SUCCESS` (H)."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from sandbox.books import Books, Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion
from sandbox.keys import YeePayKeys
from sandbox.magic import CALLBACK_LOST
from sandbox.pages import WayBack
from sandbox.yeepay.wire import form_of, sealed, yuan

__all__ = ["Notice", "Notices"]

GAPS_S: Final[Sequence[float]] = (180.0, 180.0)
"""Three sends, 3 minutes apart."""
THANKS: Final = b"SUCCESS"
MAX_ANSWER_BYTES: Final = 4096
BY_BROWSER, BY_SERVER = "1", "2"


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """The server's copy, ready to be sent: the same address at every send."""

    url: str
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes both copies, with the faults that were asked for, and sends the server's."""

    def __init__(self, config: SandboxConfig, faults: Faults, keys: YeePayKeys, books: Books) -> None:
        self._config, self._faults, self._keys, self._books = config, faults, keys, books

    def way_back(self, order: Order) -> WayBack | None:
        """The browser's copy; None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, amount=order.amount)
        if self._faults.take("lose_return", occasion):
            return None
        fields = self._fields(order, BY_BROWSER, occasion, "return")
        return WayBack(order.echo["p8_Url"], fields, "POST", "gbk")

    def write(self, order: Order) -> Notice | None:
        """The server's copy; None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, amount=order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        fields = self._fields(order, BY_SERVER, occasion, "callback")
        parts = urlsplit(order.back_url)
        query = "&".join(filter(None, (parts.query, form_of(fields))))
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=urlunsplit((*parts[:3], query, "")),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    def _fields(self, order: Order, by: str, occasion: Occasion, way: str) -> dict[str, str]:
        amount = order.amount + (self._faults.take(f"wrong_amount_{way}", occasion) is not None)
        fields = {
            "p1_MerId": self._keys.mer_id,
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
        key = secrets.token_hex(16) if self._faults.take(f"forge_{way}", occasion) else self._keys.key
        fields = sealed(fields, key)
        if self._faults.take(f"corrupt_{way}", occasion):
            fields["r3_Amt"] = yuan(amount + 1)
        return fields | {"rb_BankId": order.echo["pd_FrpId"].removesuffix("-B2C")}

    async def send_until_taken(self, session: ClientSession, order: Order, notice: Notice) -> None:
        """Send until it is taken, or as often as YeePay would."""
        while self._books.get(order.order_no) is order and order.sends <= len(GAPS_S):
            if order.sends:
                await asyncio.sleep(GAPS_S[order.sends - 1] * self._config.callback_time_scale)
            order.sends += 1
            if (await self.send(session, notice))[1]:
                return

    async def send(self, session: ClientSession, notice: Notice) -> tuple[int | None, bool]:
        """Send once: the HTTP status, None when there was no answer in time, and whether the merchant took it."""
        timeout = ClientTimeout(total=self._config.callback_timeout_s)
        try:
            async with session.get(URL(notice.url, encoded=True), timeout=timeout, allow_redirects=False) as answer:
                said = await answer.content.read(MAX_ANSWER_BYTES)
                return answer.status, said.startswith(THANKS)
        except (ClientError, TimeoutError, ValueError, OSError):
            return None, False
