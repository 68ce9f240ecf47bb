"""Open a payment: record the order, submit it if that is ours to do, and answer with the payment as it is then."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.domain.scenes import CARD_SCENES
from gateway.flows.in_hand import Tasks, carried_out
from gateway.flows.observations import Clock, NewId
from gateway.flows.opening import Opening
from gateway.flows.submit import Submission
from gateway.ports import OpenResult, Rooms


class Opener(Protocol):
    """Where orders are recorded. Returns after the commit."""

    async def open(self, opening: Opening) -> OpenResult: ...


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
        rooms: Rooms,
    ) -> None:
        self._books = books
        self._submission = submission
        self._tasks = tasks
        self._clock = clock
        self._new_id = new_id
        self._answer_within_s = answer_within_s
        self._rooms = rooms

    async def open(self, order: Order) -> OpenResult:
        """Record and submit an order. Raises OrderConflictError or OverloadedError, with nothing recorded.

        The answer waits for the PSP a bounded time; what is not final then goes on by itself.
        """
        new_id = self._new_id
        opening = Opening(order, new_id(), new_id(), new_id(), new_id(), new_id(), self._clock())

        def submit(opened: OpenResult) -> Coroutine[Any, Any, Payment] | None:
            payment = opened.payment
            if opened.replayed or payment.is_final or payment.is_on_a_page or payment.waits_for_place:
                return None  # the payer's browser brings it, or whoever serves the line
            if order.card is None and order.scene in CARD_SCENES:
                return None  # nobody can send it: whoever follows it up finds out
            return self._submission.submit(opened, order.card)

        # PSPs may be slower than orders come. Better refused, with nothing recorded, than recorded and too late.
        opened, task = await carried_out(
            self._rooms, self._tasks, order.merchant_id, opening.payment_id, lambda: self._books.open(opening), submit
        )
        if task is None:
            return OpenResult(opened.payment, opened.replayed)
        done, _ = await asyncio.wait({task}, timeout=self._answer_within_s)
        if done and not task.cancelled() and task.exception() is None:
            return OpenResult(task.result(), replayed=False)
        return OpenResult(opened.payment, replayed=False)
