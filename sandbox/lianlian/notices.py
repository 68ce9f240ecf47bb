"""LianLian's notices: signed JSON, sent until the merchant answers `{"ret_code": "0000"}`, 30 times at most.

Source: its handbook (H): 5 s for the answer, 2 minutes between the sends.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.books import Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion
from sandbox.keys import Identity, new_identity
from sandbox.lianlian.wire import render, sign, yuan_of
from sandbox.magic import CALLBACK_LOST

__all__ = ["GAP_S", "MAX_SENDS", "Notice", "Notices"]

GAP_S: Final = 120.0
MAX_SENDS: Final = 30
ANSWER_WITHIN_S: Final = 5.0
CONCURRENT_SENDS: Final = 64
MAX_ANSWER_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notice, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the merchant answered: the HTTP status (None: nothing in time), and whether it was the word of thanks."""

    status: int | None
    is_thanks: bool


class Notices:
    """Writes notices, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, signer: Identity) -> None:
        self._config, self._faults, self._signer = config, faults, signer
        self._forger: Identity | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    async def write(self, order: Order, fields: Mapping[str, str]) -> Notice | None:
        """The notice of a paid order, or None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        if self._faults.take("wrong_amount_callback", occasion):
            fields = {**fields, "money_order": yuan_of(order.amount + 1)}
        signer = self._signer
        if self._faults.take("forge_callback", occasion):
            if self._forger is None:
                self._forger = await asyncio.to_thread(new_identity, "Forged LianLian")
            signer = self._forger
        signed = sign(fields, signer.key)
        if self._faults.take("corrupt_callback", occasion):
            number = signed["oid_paybill"]
            signed["oid_paybill"] = number[:-1] + str((int(number[-1]) + 1) % 10)
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=order.back_url,
            body=render(signed),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    def gap_s(self, sends: int) -> float | None:
        """How long to wait before the next send after so many; None when there is none left."""
        if sends == 0:
            return 0.0
        return GAP_S * self._config.callback_time_scale if sends < MAX_SENDS else None

    async def send(self, session: ClientSession, notice: Notice) -> Heard:
        """Send once."""
        headers = {"Content-Type": "text/json;charset=utf-8"}
        timeout = ClientTimeout(total=min(ANSWER_WITHIN_S, self._config.callback_timeout_s))
        try:
            async with (
                self._sending,
                session.post(
                    notice.url, data=notice.body, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                return Heard(answer.status, _is_thanks(await answer.content.read(MAX_ANSWER_BYTES)))
        except (ClientError, TimeoutError, ValueError, OSError):
            return Heard(None, is_thanks=False)


def _is_thanks(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("ret_code") == "0000"
