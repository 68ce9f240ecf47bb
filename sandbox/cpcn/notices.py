"""Notices of withholds (2018), sent to the address that the institution registered until it answers 2000.

How often CPCN sends one again is not public: five times at most, with gaps of 0, 1, 2 and 4 minutes, here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.books import Order
from sandbox.config import SandboxConfig
from sandbox.cpcn.transactions import notice_of
from sandbox.cpcn.wire import is_taken, notice
from sandbox.faults import Faults, Occasion
from sandbox.keys import Identity, new_identity
from sandbox.magic import CALLBACK_LOST

__all__ = ["Notice", "Notices"]

GAPS_S: Final[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
CONCURRENT_SENDS: Final = 64
MAX_ANSWER_BYTES: Final = 4096
OK: Final = 200


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notice, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes notices, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, signer: Identity, institution_id: str) -> None:
        self._config = config
        self._faults = faults
        self._signer = signer
        self._institution_id = institution_id
        self._forger: Identity | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    async def write(self, order: Order) -> Notice | None:
        """The notice of a finished withhold, or None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        wrong = self._faults.take("wrong_amount_callback", occasion) is not None
        head, body = notice_of(order, self._institution_id, order.amount + wrong)
        signer = self._signer
        if self._faults.take("forge_callback", occasion):
            if self._forger is None:
                self._forger = await asyncio.to_thread(new_identity, "Forged CPCN")
            signer = self._forger
        altered = self._faults.take("corrupt_callback", occasion) is not None
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=order.back_url,
            body=notice(head, body, signer, altered=altered),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    def gap_s(self, sends: int) -> float | None:
        """How long to wait before the next send after so many; None when there is none left."""
        if sends == 0:
            return 0.0
        return GAPS_S[sends - 1] * self._config.callback_time_scale if sends <= len(GAPS_S) else None

    async def send(self, session: ClientSession, told: Notice) -> tuple[int | None, bool]:
        """Send once: the HTTP status, None when there was no answer in time, and whether the merchant took it."""
        headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
        timeout = ClientTimeout(total=self._config.callback_timeout_s)
        try:
            async with (
                self._sending,
                session.post(
                    told.url, data=told.body, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                return answer.status, answer.status == OK and is_taken(await answer.content.read(MAX_ANSWER_BYTES))
        except (ClientError, TimeoutError, ValueError, OSError):
            return None, False
