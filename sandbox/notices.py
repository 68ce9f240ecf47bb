"""Notices to a merchant: what faults do to one, and sending it until it is taken. A `Pen` says how it is written."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

from aiohttp import ClientError, ClientTimeout
from yarl import URL

from sandbox.books import Order
from sandbox.faults import Occasion, Operation
from sandbox.magic import CALLBACK_LOST

if TYPE_CHECKING:
    from sandbox.provider import Provider

__all__ = ["NoCallbacksError", "Notices", "Pen", "next_digit"]

CONCURRENT_SENDS: Final = 64
MAX_ANSWER_BYTES: Final = 4096
OK: Final = 200

Signer = TypeVar("Signer")


class NoCallbacksError(Exception):
    """This provider, or this order, has no notice to send."""


class Pen(ABC, Generic[Signer]):
    """How one provider writes its notices, whom it tells, and what it takes for thanks."""

    gaps_s: ClassVar[Sequence[float]] = (0.0, 60.0, 120.0, 240.0)
    """Between a send and the next: there is one send more than these."""
    answer_within_s: ClassVar[float] = math.inf
    tells_returns: ClassVar[bool] = False
    """A payout that comes back is notified once more."""
    by_get: ClassVar[bool] = False
    """The notice stands in the address, behind what the merchant has put there."""
    failures_by_choice: ClassVar[bool] = False
    """Public sources do not agree whether failures are notified: `notify_failures` chooses, and what the answer refused
    at once is never notified."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer

    def gaps_of(self, order: Order) -> Sequence[float]:  # noqa: ARG002  most have the same for each order
        """Between a send of this order's notice and the next."""
        return self.gaps_s

    def address(self, order: Order) -> str:
        """Where the notice of a final order goes; "" where there is none."""
        return order.back_url

    def content_type(self, order: Order) -> str:  # noqa: ARG002  one protocol has a charset for each order
        """Of the body."""
        return "application/x-www-form-urlencoded;charset=UTF-8"

    @abstractmethod
    def forger(self) -> Signer:
        """Somebody else, who signs in the same form."""

    @abstractmethod
    def write(self, order: Order, amount: int, signer: Signer, *, altered: bool) -> bytes:
        """The notice of a final order, stating this amount; `altered`: by one byte, after it was signed."""

    def is_taken(self, status: int, body: bytes) -> bool:  # noqa: ARG002  some read the body
        """Whether the merchant's answer ends the sends."""
        return status == OK


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """One notice, ready to be sent: the same bytes at every send."""

    url: str
    content_type: str
    body: bytes
    wait_s: float = 0.0
    copies: int = 0


class Notices(Generic[Signer]):
    """The notices of one provider, with the callback faults that were asked for."""

    def __init__(self, provider: "Provider", pen: Pen[Signer]) -> None:
        self._provider, self._pen = provider, pen
        self._forger: Signer | None = None
        self._sending = asyncio.Semaphore(CONCURRENT_SENDS)

    def owe(self, order: Order) -> None:
        """Tell the merchant that an order became final, if such an order is told."""
        if not self._address(order) or not self._tells_unasked(order):
            return
        order.callback = "owed"
        self._provider.books.save(order)
        self._provider.timers.spawn(self._tell(order))

    def owe_return(self, order: Order) -> None:
        """Tell the merchant that a payout came back, where this provider tells it."""
        if self._pen.tells_returns:
            order.sends = 0  # another notice than that of its success
            self.owe(order)

    async def again(self, order: Order, count: int) -> list[int | None]:
        """Send the notice of a final order again, now. Answers the HTTP status of each, None for no answer.

        Raises NoCallbacksError.
        """
        if order.state == "processing" or not self._address(order):
            raise NoCallbacksError(f"order {order.order_no} is {order.state} {order.kind}: nothing is notified for it")
        notice = await self._written(order)
        return [] if notice is None else [(await self._send(notice))[0] for _ in range(count)]

    async def say(self, url: str, body: bytes) -> None:
        """Send once what is about no order."""
        await self._send(Notice(url, "application/x-www-form-urlencoded;charset=UTF-8", body))

    def _address(self, order: Order) -> str:
        return "" if order.kind == "open_card" else self._pen.address(order)

    def _tells_unasked(self, order: Order) -> bool:
        refused_at_once = order.due_at <= order.received_at
        if order.state == "succeeded" or not self._pen.failures_by_choice:
            return True
        return self._provider.config.notify_failures and not refused_at_once

    async def _written(self, order: Order) -> Notice | None:
        """The notice, or None when a fault loses it."""
        faults = self._provider.faults
        operation: Operation = "pay"
        if order.kind == "refund" or order.kind == "payout":
            operation = order.kind
        occasion = Occasion(operation, order.order_no, order.card_tail, order.amount)
        if faults.take("lose_callback", occasion) or order.amount == CALLBACK_LOST:
            return None
        wrong = faults.take("wrong_amount_callback", occasion) is not None
        signer = await self._forged_signer() if faults.take("forge_callback", occasion) else self._pen.signer
        altered = faults.take("corrupt_callback", occasion) is not None
        delay, duplicate = faults.take("delay_callback", occasion), faults.take("duplicate_callback", occasion)
        return Notice(
            url=self._address(order),
            content_type=self._pen.content_type(order),
            body=self._pen.write(order, order.amount + wrong, signer, altered=altered),
            wait_s=delay.seconds if delay else 0.0,
            copies=duplicate.params["copies"] if duplicate else 0,
        )

    async def _forged_signer(self) -> Signer:
        if self._forger is None:
            self._forger = await asyncio.to_thread(self._pen.forger)
        return self._forger

    async def _tell(self, order: Order) -> None:
        notice = await self._written(order)
        if notice is not None:
            await asyncio.sleep(self._provider.config.callback_delay_s + notice.wait_s)
            for _ in range(notice.copies):
                self._provider.timers.spawn(self._send_copy(notice))
            await self._send_until_taken(order, notice)
        order.callback = "done"
        if self._is_kept(order):
            self._provider.books.save(order)

    async def _send_until_taken(self, order: Order, notice: Notice) -> None:
        gaps_s, scale = self._pen.gaps_of(order), self._provider.config.callback_time_scale
        while order.sends <= len(gaps_s) and self._is_kept(order):
            await asyncio.sleep(gaps_s[order.sends - 1] * scale if order.sends else 0.0)
            order.sends += 1
            if (await self._send(notice))[1]:
                return

    def _is_kept(self, order: Order) -> bool:
        """Whether it is in the books still."""
        return self._provider.books.get(order.order_no) is order

    async def _send_copy(self, notice: Notice) -> None:
        await self._send(notice)

    async def _send(self, notice: Notice) -> tuple[int | None, bool]:
        """Send once: the HTTP status, None when there was no answer in time, and whether the merchant took it."""
        session = self._provider.session
        assert session is not None
        timeout = ClientTimeout(total=min(self._pen.answer_within_s, self._provider.config.callback_timeout_s))
        method, url, body, headers = "POST", URL(notice.url), notice.body, {"Content-Type": notice.content_type}
        if self._pen.by_get:
            method, url, body, headers = "GET", _behind(notice.url, notice.body), b"", {}
        try:
            async with (
                self._sending,
                session.request(
                    method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False
                ) as answer,
            ):
                return answer.status, self._pen.is_taken(answer.status, await answer.content.read(MAX_ANSWER_BYTES))
        except (ClientError, TimeoutError, ValueError, OSError):
            return None, False


def _behind(url: str, query: bytes) -> URL:
    parts = urlsplit(url)
    whole = "&".join(filter(None, (parts.query, query.decode("ascii"))))
    return URL(urlunsplit((*parts[:3], whole, "")), encoded=True)


def next_digit(number: str) -> str:
    """A number whose last digit is another one."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)
