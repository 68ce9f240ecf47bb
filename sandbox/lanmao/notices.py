"""The bank's notices, sent to the address that the platform registered until it answers `SUCCESS`.

How often the bank sends one again is not public: five times at most, with gaps of 0, 1, 2 and 4 minutes, here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout

from sandbox.books import Order
from sandbox.config import SandboxConfig
from sandbox.faults import Faults, Occasion
from sandbox.keys import Identity, new_identity
from sandbox.lanmao.transactions import said_of
from sandbox.lanmao.wire import render, sign, yuan_of
from sandbox.magic import CALLBACK_LOST

__all__ = ["Notice", "Notices", "form_of"]

GAPS_S: Final[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
CONCURRENT_SENDS: Final = 64
MAX_ANSWER_BYTES: Final = 4096
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


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notice, ready to be sent: the same bytes at every send."""

    url: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


class Notices:
    """Writes notices, with the callback faults that were asked for, and sends them."""

    def __init__(self, config: SandboxConfig, faults: Faults, signer: Identity, platform_no: str) -> None:
        self._config, self._faults, self._signer, self._platform_no = config, faults, signer, platform_no
        self._forger: Identity | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    async def write(self, order: Order, url: str) -> Notice | None:
        """The notice of an order as it stands, or None when a fault loses it."""
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        if self._faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        said = said_of(order)
        if self._faults.take("wrong_amount_callback", occasion):
            said["amount"] = yuan_of(order.amount + 1)
        signer = self._signer
        if self._faults.take("forge_callback", occasion):
            if self._forger is None:
                self._forger = await asyncio.to_thread(new_identity, "Forged custody bank")
            signer = self._forger
        service = "DIRECT_RECHARGE" if order.kind == "withhold" else "RECHARGE"
        form = form_of(said, service, "NOTIFY", self._platform_no, signer)
        if self._faults.take("corrupt_callback", occasion):
            form["respData"] = form["respData"].replace(order.order_no, order.order_no[::-1])
        delay = self._faults.take("delay_callback", occasion)
        duplicate = self._faults.take("duplicate_callback", occasion)
        return Notice(
            url=url,
            body=urlencode(form).encode(),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    def of_account(self, said: Mapping[str, Any], service: str, url: str) -> Notice:
        """The notice of what a payer did with his account."""
        return Notice(url, urlencode(form_of(said, service, "NOTIFY", self._platform_no, self._signer)).encode())

    def gap_s(self, sends: int) -> float | None:
        """How long to wait before the next send after so many; None when there is none left."""
        if sends == 0:
            return 0.0
        return GAPS_S[sends - 1] * self._config.callback_time_scale if sends <= len(GAPS_S) else None

    async def send(self, session: ClientSession, told: Notice) -> tuple[int | None, bool]:
        """Send once: the HTTP status, None when there was no answer in time, and whether it was the word of thanks."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        timeout = ClientTimeout(total=self._config.callback_timeout_s)
        try:
            async with (
                self._sending,
                session.post(
                    told.url, data=told.body, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                thanks = (await answer.content.read(MAX_ANSWER_BYTES)).strip() == THANKS
                return answer.status, answer.status == OK and thanks
        except (ClientError, TimeoutError, ValueError, OSError):
            return None, False
