"""Notifications of Baofoo: signed forms to return_url, of success and failure, until the body is `OK` (H).

How often within "2 to 10 times" and how far apart is the sandbox's own choice.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.baofoo.wire import encode_form, sign
from sandbox.books import Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion
from sandbox.keys import Identity, new_identity
from sandbox.magic import CALLBACK_LOST

__all__ = ["Notice", "Notices"]

GAPS_S: Final[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
CONCURRENT_SENDS: Final = 64
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
MAX_ACKNOWLEDGEMENT: Final = 64


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notification, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes notifications, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, signer: Identity) -> None:
        self._config, self._faults, self._signer = config, faults, signer
        self._forger: Identity | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    async def write(self, order: Order, fields: Mapping[str, str]) -> Notice | None:
        """The notification of a final order, or None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        if self._faults.take("wrong_amount_callback", occasion):
            fields = {**fields, "succ_amt": str(order.amount + 1)}
        signer = self._signer
        if self._faults.take("forge_callback", occasion):
            signer = await self._forged_signer()
        signed = sign(fields, signer.key)
        if self._faults.take("corrupt_callback", occasion):
            signed["order_id"] = signed["order_id"][:-1] + str((int(signed["order_id"][-1]) + 1) % 10)
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=order.back_url.partition("|")[0],
            body=encode_form(signed),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    async def _forged_signer(self) -> Identity:
        if self._forger is None:
            self._forger = await asyncio.to_thread(new_identity, "Forged protocol pay")
        return self._forger

    async def send_until_acknowledged(
        self, session: ClientSession, notice: Notice, order: Order, is_wanted: Callable[[], bool]
    ) -> None:
        """Send it, again and again until it is taken, or no more is wanted."""
        while order.sends <= len(GAPS_S) and is_wanted():
            gap_s = GAPS_S[order.sends - 1] if order.sends else 0.0
            await asyncio.sleep(gap_s * self._config.callback_time_scale)
            order.sends += 1
            if (await self.send(session, notice))[1]:
                return

    async def send(self, session: ClientSession, notice: Notice) -> tuple[int | None, bool]:
        """Send once: the HTTP status, None when there was no answer in time, and whether it was taken."""
        timeout = ClientTimeout(total=self._config.callback_timeout_s)
        try:
            async with (
                self._sending,
                session.post(
                    notice.url, data=notice.body, headers=FORM, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                body = await answer.content.read(MAX_ACKNOWLEDGEMENT)
                return answer.status, answer.status == 200 and body == b"OK"
        except (ClientError, TimeoutError, ValueError, OSError):
            return None, False
