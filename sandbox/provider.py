"""What the mock providers have in common: books, faults, SMS, and orders that become final after a while."""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date
from typing import Any, ClassVar

from aiohttp import ClientSession, web

from sandbox.balances import Balance
from sandbox.books import Books, Kind, Order, State
from sandbox.config import SandboxConfig
from sandbox.course import Codes, Course, bend
from sandbox.faults import CALLBACK_FAULTS, FAULTS, PAGE_FAULTS, Faults, Occasion
from sandbox.journal import Journal
from sandbox.keys import KeySet
from sandbox.notices import NoCallbacksError, Notices, Pen
from sandbox.payouts import REASONS, NotReturnableError, return_of
from sandbox.sms import Purpose, SmsLog
from sandbox.statements import Statements
from sandbox.timers import Timers

__all__ = ["Provider"]


class Provider(ABC):
    """One mock provider. Subclasses speak its protocol and say what its codes mean."""

    name: ClassVar[str]
    """That of its folder."""
    keys: ClassVar[KeySet[Any]]
    """Of its one merchant."""
    cannot: ClassVar[frozenset[str]] = frozenset()
    """Faults that its protocol has no message for."""
    has_pages: ClassVar[bool] = False
    """A payer's browser opens pages here."""
    pays_out: ClassVar[bool] = False
    returns_refunds: ClassVar[bool] = False
    """Its protocol tells of a refund that came back."""
    returned_code: ClassVar[str | None] = None
    """What a query tells of what came back; None: what it told before."""

    states_balance: ClassVar[bool] = False
    """Its protocol tells what the merchant has, and so the control API may say it."""
    refunds_apart: ClassVar[bool] = False
    """Refunds are paid from other money than payouts."""
    day_cut: ClassVar[str] = "00:00"
    """When its day ends in Beijing; 23:00 makes what is done later the next day's."""
    states_failures: ClassVar[bool] = False
    """Its statements have rows of what was not done."""
    states_fees: ClassVar[bool] = True
    """Its statements say what it takes."""

    def __init__(self, config: SandboxConfig, timers: Timers, pen: Pen[Any] | None = None) -> None:
        """`pen`: how its notices are written; None: its protocol has none."""
        self.config = config
        self.timers = timers
        self.session: ClientSession | None = None
        path = None if config.data_dir is None else config.data_dir / f"{self.name}.jsonl"
        self.books = Books(Journal(path), self.state_of)
        known = frozenset(FAULTS) - self.cannot
        known -= frozenset() if self.has_pages else frozenset(PAGE_FAULTS)
        known -= frozenset() if self.pays_out else frozenset({"return_payout"})
        self.faults = Faults(known if pen else known - frozenset(CALLBACK_FAULTS), self.is_failure_code)
        self._notices = None if pen is None else Notices(self, pen)
        self.sms = SmsLog(self.name)
        self.balance = Balance(self.books, apart=self.refunds_apart)
        self.statements = Statements(self)

    @abstractmethod
    def state_of(self, code: str) -> State:
        """What a code of this provider says about an order."""

    @abstractmethod
    def is_failure_code(self, code: str) -> bool:
        """Whether the `decline` fault may use this code: well formed, and not the success code."""

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The addresses of the protocol."""

    def statement_file(self, day: date) -> tuple[str, bytes] | None:  # noqa: ARG002  most have one for each day
        """The file of a day as a person gets it from the provider's own site: its name and its content. None: this mock
        writes none.
        """
        return None

    async def call_back(self, order: Order, count: int, *, of_success: bool = False) -> list[int | None]:
        """Send the notification of a final order again, now. Answers the HTTP status of each, None for no answer.

        `of_success`: the one that was written before it came back. Raises NoCallbacksError.
        """
        if of_success and order.state == "returned":
            order = replace(order, state="succeeded")
        if self._notices is None:
            raise NoCallbacksError(f"{self.name} has no callbacks: {count} asked for order {order.order_no}")
        return await self._notices.again(order, count)

    def send_code(self, phone: str, purpose: Purpose, order_no: str, occasion: Occasion) -> None:
        """Send an SMS, with what faults and the card's tail do to it."""
        lost, old = (self.faults.take(name, occasion) is not None for name in ("lose_sms", "expire_code"))
        self.sms.send(phone, purpose, order_no, occasion.card_tail, lost=lost, old=old)

    def register_notices(self, url: str) -> None:
        """Send all notifications to this address from now on. Raises NoCallbacksError."""
        raise NoCallbacksError(f"{self.name} has no address of its own for notifications: {url}")

    def bend(self, course: Course, occasion: Occasion, codes: Codes, worked: Collection[str] = ()) -> Course:
        """The course as the merchant's money, magic amounts and faults change it.

        `worked`: answers that leave the work done all the same, so that the order succeeds after a while.
        """
        if self.balance.is_short(occasion):
            return Course(codes.balance_short, codes.balance_short, 0.0, codes.interim)
        config = self.config
        bent = bend(course, self.faults, occasion, codes, processing_s=config.processing_delay_s, late_s=config.late_s)
        if bent.answer in worked and bent.final == bent.answer:
            return replace(bent, final=codes.success, after_s=config.processing_delay_s)
        return bent

    def book(self, order_no: str, kind: Kind, amount: int, card: str, course: Course, **more: Any) -> Order:
        """Put a new order into the books, on its course. `more`: its other fields."""
        now = time.time()
        order = Order(
            order_no=order_no,
            kind=kind,
            amount=amount,
            currency="CNY",
            card=card,
            received_at=now,
            due_at=now + course.after_s,
            visible_at=now + course.hidden_s,
            code=course.interim,
            planned_code=course.final,
            **more,
        )
        self.take(order)
        return order

    def book_payout(self, occasion: Occasion, account: str, course: Course, **more: Any) -> Order:
        """Put a payout into the books, on its course, which may lead back."""
        back_s, reason = return_of(self.faults, occasion, self.config.late_s) or (None, "")
        told = {"return_after_s": back_s, "reason": reason, **more}
        return self.book(occasion.order_no, "payout", occasion.amount, account, course, **told)

    def give_back(self, order: Order, reason: str = "") -> None:
        """A payout that was paid, or a refund, comes back now. Raises NotReturnableError."""
        may_come_back = order.kind == "payout" or (order.kind == "refund" and self.returns_refunds)
        if not may_come_back or order.state != "succeeded":
            raise NotReturnableError(order)
        code = self.returned_code or order.code
        self.books.give_back(order, code, reason or order.reason or "other", self.config.clock())
        if self._notices is not None:
            self._notices.owe_return(order)

    def is_visible(self, order: Order) -> bool:
        """Whether questions find it already."""
        return time.time() >= order.visible_at

    def why_returned(self, order: Order) -> str:
        """The bank's words on a payout that came back; "" of any other order."""
        return REASONS[order.reason] if order.state == "returned" else ""

    def take(self, order: Order) -> None:
        """Put a new order into the books and see to it that it becomes final when it is due."""
        self.books.add(order)
        if order.state == "processing":
            self._finish_when_due(order)
        else:
            self._became_final(order)

    def resume(self) -> None:
        """Go on with the orders that an earlier run left unfinished."""
        for order in self.books:
            if order.state == "processing":
                self._finish_when_due(order)
            elif order.callback == "owed":
                self._became_final(order)
            elif order.return_after_s is not None:
                self._give_back_when_due(order)

    def reset(self) -> None:
        """Forget books, faults, SMS and what was said of statements; the keys stay."""
        self.books.clear()
        self.balance.forget()
        self.faults.clear()
        self.sms.clear()
        self.statements.clear()

    def _finish_when_due(self, order: Order) -> None:
        self.timers.later(max(0.0, order.due_at - time.time()), lambda: self._finish(order))

    def _finish(self, order: Order) -> None:
        if self.books.finish(order):
            self._became_final(order)

    def _became_final(self, order: Order) -> None:
        if self._notices is not None:
            self._notices.owe(order)
        if order.return_after_s is not None:
            self._give_back_when_due(order)

    def _give_back_when_due(self, order: Order) -> None:
        if order.state != "succeeded":
            return
        due_at = (order.finished_at or order.received_at) + (order.return_after_s or 0.0)
        self.timers.later(max(0.0, due_at - time.time()), lambda: self._comes_back(order))

    def _comes_back(self, order: Order) -> None:
        if order.state == "succeeded" and self.books.get(order.order_no) is order:
            self.give_back(order)
