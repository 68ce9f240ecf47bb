"""Notices of JD: a form with `resp`, the same letter as an answer to S.

When it sends again, and what it wants to read, is not public: here HTTP 200 ends it, and there are five sends with gaps
of 0, 1, 2 and 4 minutes.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.books import Books, Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion
from sandbox.jd import codes as table
from sandbox.jd.wire import write_letter
from sandbox.keys import JdKeys
from sandbox.magic import CALLBACK_LOST

__all__ = ["Notice", "Notices", "state_trade"]

GAPS_S: Final[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
CONCURRENT_SENDS: Final = 64


def state_trade(order: Order, kind: str, status: str) -> dict[str, str]:
    """TRADE of an order, as answers and notices state it."""
    return {
        "TYPE": kind,
        "ID": order.order_no,
        "AMOUNT": str(order.amount),
        "CURRENCY": order.currency,
        "DATE": order.txn_time[:8],
        "TIME": order.txn_time[8:],
        "NOTE": "",
        "STATUS": status,
    }


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notice, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes notices, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, keys: JdKeys, books: Books) -> None:
        self._config, self._faults, self._keys, self._books = config, faults, keys, books
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    def write(self, order: Order) -> Notice | None:
        """The notice of a final order, or None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        told = table.SUCCESS if order.state == "succeeded" else table.FAILED
        code, _, status = told.partition("/")
        trade = state_trade(order, "S", status)
        if self._faults.take("wrong_amount_callback", occasion):
            trade["AMOUNT"] = str(order.amount + 1)
        forged = secrets.token_hex(16) if self._faults.take("forge_callback", occasion) else None
        letter = write_letter(trade, code, table.text_of(order.code), self._keys, forged)
        if self._faults.take("corrupt_callback", occasion):
            middle = len(letter) // 2
            letter = letter[:middle] + ("B" if letter[middle] == "A" else "A") + letter[middle + 1 :]
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=order.back_url,
            body=urlencode({"resp": letter}).encode("ascii"),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    async def send_until_taken(self, session: ClientSession, order: Order, notice: Notice) -> None:
        """Send until it is taken, or as often as JD would."""
        while self._books.get(order.order_no) is order and order.sends <= len(GAPS_S):
            if order.sends:
                await asyncio.sleep(GAPS_S[order.sends - 1] * self._config.callback_time_scale)
            order.sends += 1
            if await self.send(session, notice) == 200:
                return

    async def send(self, session: ClientSession, notice: Notice) -> int | None:
        """Send once. The HTTP status, or None when there was no answer in time."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        timeout = ClientTimeout(total=self._config.callback_timeout_s)
        try:
            async with (
                self._sending,
                session.post(
                    notice.url, data=notice.body, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                return answer.status
        except (ClientError, TimeoutError, ValueError, OSError):
            return None
