"""Notifications of UnionPay: signed forms, sent until HTTP 200 or 302, five times at most.

Source: the demo's comments (H): 10 s for the answer, gaps of 0, 1, 2 and 4 minutes between the five sends.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.books import Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion, Operation
from sandbox.keys import Identity, unknown_ca
from sandbox.magic import CALLBACK_LOST
from sandbox.unionpay.wire import encode_form, sign

__all__ = ["GAPS_S", "Notice", "Notices"]

GAPS_S: Final[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
ACKNOWLEDGED: Final = frozenset({200, 302})
CONCURRENT_SENDS: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notification, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    charset: str
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes notifications, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, signer: Identity) -> None:
        self._config = config
        self._faults = faults
        self._signer = signer
        self._forger: Identity | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    async def write(self, order: Order, fields: Mapping[str, str], charset: str) -> Notice | None:
        """The notification of a final order, or None when a fault loses it."""
        operation: Operation = "refund" if order.kind == "refund" else "pay"
        occasion = Occasion(operation, order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        if self._faults.take("wrong_amount_callback", occasion):
            fields = {**fields, "txnAmt": str(order.amount + 1)}
        signer = self._signer
        if self._faults.take("forge_callback", occasion):
            signer = await self._forged_signer()
        signed = sign(fields, charset, signer)
        if self._faults.take("corrupt_callback", occasion):
            signed["queryId"] = _next_digit(signed["queryId"])
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=order.back_url,
            body=encode_form(signed, charset),
            charset=charset,
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    async def _forged_signer(self) -> Identity:
        if self._forger is None:
            self._forger = await asyncio.to_thread(unknown_ca)
        return self._forger

    def gap_s(self, sends: int) -> float | None:
        """How long to wait before the next send after so many; None when there is none left."""
        if sends == 0:
            return 0.0
        return GAPS_S[sends - 1] * self._config.callback_time_scale if sends <= len(GAPS_S) else None

    async def send(self, session: ClientSession, notice: Notice) -> int | None:
        """Send once. The HTTP status, or None when there was no answer in time."""
        headers = {"Content-Type": f"application/x-www-form-urlencoded;charset={notice.charset}"}
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

    @staticmethod
    def is_acknowledged(status: int | None) -> bool:
        """Whether the merchant took it."""
        return status in ACKNOWLEDGED


def _next_digit(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)
