"""Open a payment: record the order, submit it if that is ours to do, and answer with the payment as it is then."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.flows.observations import Clock, NewId
from gateway.flows.opening import Opening
from gateway.flows.submit import Submission
from gateway.ports import OpenResult, OverloadedError

RETRY_AFTER_S = 2


class Opener(Protocol):
    """Where orders are recorded. Returns after the commit."""

    async def open(self, opening: Opening) -> OpenResult: ...


class Tasks(Protocol):
    """Runs what must go on when the caller goes away."""

    @property
    def running(self) -> int: ...

    def start(self, work: Coroutine[Any, Any, Payment]) -> "asyncio.Task[Payment]": ...


class PayFlow:
    """Withholds and charges."""

    def __init__(
        self,
        books: Opener,
        submission: Submission,
        tasks: Tasks,
        clock: Clock,
        new_id: NewId,
        answer_within_s: float,
        max_running: int,
    ) -> None:
        self._books = books
        self._submission = submission
        self._tasks = tasks
        self._clock = clock
        self._new_id = new_id
        self._answer_within_s = answer_within_s
        self._max_running = max_running
        self._opening = 0

    async def open(self, order: Order) -> OpenResult:
        """Record and submit an order. Raises OrderConflictError or OverloadedError, with nothing recorded.

        The answer waits for the PSP a bounded time; what is not final then goes on by itself.
        """
        if self._opening + self._tasks.running >= self._max_running:
            # PSPs are slower than orders come. Better refused here, with nothing recorded, than recorded and too late.
            raise OverloadedError(RETRY_AFTER_S)
        new_id = self._new_id
        opening = Opening(order, new_id(), new_id(), new_id(), new_id(), new_id(), self._clock())
        self._opening += 1
        try:
            opened = await self._books.open(opening)
        finally:
            self._opening -= 1
        if opened.replayed or opened.payment.is_final or order.card is None:
            return OpenResult(opened.payment, opened.replayed)
        task = self._tasks.start(self._submission.submit(opened, order.card))
        done, _ = await asyncio.wait({task}, timeout=self._answer_within_s)
        if done and not task.cancelled() and task.exception() is None:
            return OpenResult(task.result(), replayed=False)
        return OpenResult(opened.payment, replayed=False)
