"""What the mock providers have in common: books, faults, SMS, and orders that become final after a while."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from aiohttp import ClientSession, web

from sandbox.books import Books, Order, State
from sandbox.config import SandboxConfig
from sandbox.faults import CALLBACK_FAULTS, FAULTS, PAGE_FAULTS, Faults, Occasion
from sandbox.journal import Journal
from sandbox.sms import Purpose, SmsLog
from sandbox.timers import Timers

__all__ = ["NoCallbacksError", "Provider"]


class NoCallbacksError(Exception):
    """This provider, or this order, has no notification to send."""


class Provider(ABC):
    """One mock provider. Subclasses speak its protocol and say what its codes mean."""

    name: ClassVar[str]
    cannot: ClassVar[frozenset[str]] = frozenset()
    """Faults that its protocol has no message for."""
    has_callbacks: ClassVar[bool] = True
    has_pages: ClassVar[bool] = False
    """A payer's browser opens pages here."""

    def __init__(self, config: SandboxConfig, timers: Timers) -> None:
        self.config = config
        self.timers = timers
        self.session: ClientSession | None = None
        path = None if config.data_dir is None else config.data_dir / f"{self.name}.jsonl"
        self.books = Books(Journal(path), self.state_of)
        known = frozenset(FAULTS) - self.cannot
        known -= frozenset() if self.has_pages else frozenset(PAGE_FAULTS)
        self.faults = Faults(known if self.has_callbacks else known - frozenset(CALLBACK_FAULTS), self.is_failure_code)
        self.sms = SmsLog(self.name)

    @abstractmethod
    def state_of(self, code: str) -> State:
        """What a code of this provider says about an order."""

    @abstractmethod
    def is_failure_code(self, code: str) -> bool:
        """Whether the `decline` fault may use this code: well formed, and not the success code."""

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The addresses of the protocol."""

    @abstractmethod
    def became_final(self, order: Order) -> None:
        """Called once for each order that became final: the place to notify."""

    async def call_back(self, order: Order, count: int) -> list[int | None]:
        """Send the notification of a final order again, now. Answers the HTTP status of each, None for no answer.

        Raises NoCallbacksError.
        """
        raise NoCallbacksError(f"{self.name} has no callbacks: {count} asked for order {order.order_no}")

    def send_code(self, phone: str, purpose: Purpose, order_no: str, occasion: Occasion) -> None:
        """Send an SMS, with what faults and the card's tail do to it."""
        lost, old = (self.faults.take(name, occasion) is not None for name in ("lose_sms", "expire_code"))
        self.sms.send(phone, purpose, order_no, occasion.card_tail, lost=lost, old=old)

    def register_notices(self, url: str) -> None:
        """Send all notifications to this address from now on. Raises NoCallbacksError."""
        raise NoCallbacksError(f"{self.name} has no address of its own for notifications: {url}")

    def take(self, order: Order) -> None:
        """Put a new order into the books and see to it that it becomes final when it is due."""
        self.books.add(order)
        if order.state == "processing":
            self._finish_when_due(order)
        else:
            self.became_final(order)

    def resume(self) -> None:
        """Go on with the orders that an earlier run left unfinished."""
        for order in self.books:
            if order.state == "processing":
                self._finish_when_due(order)
            elif order.callback == "owed":
                self.became_final(order)

    def reset(self) -> None:
        """Forget books, faults and SMS; the keys stay."""
        self.books.clear()
        self.faults.clear()
        self.sms.clear()

    def _finish_when_due(self, order: Order) -> None:
        self.timers.later(max(0.0, order.due_at - time.time()), lambda: self._finish(order))

    def _finish(self, order: Order) -> None:
        if self.books.finish(order):
            self.became_final(order)
