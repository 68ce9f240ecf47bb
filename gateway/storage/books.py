"""The books as the flows write them: orders and facts go in one by one, and are flushed together per merchant."""

from uuid import UUID

from gateway.flows.opening import Opening
from gateway.ports import Fact, OpenResult, Recorded
from gateway.storage.batching import Batcher
from gateway.storage.opening import OpeningStore
from gateway.storage.recording import RecordingStore

MAX_BATCH = 64
"""Orders or facts in one transaction: larger ones hold their locks longer than they save round trips."""


class Books:
    """Natural batching over the stores: one queue per merchant and kind, since a flush belongs to one merchant."""

    def __init__(self, opening: OpeningStore, recording: RecordingStore, max_waiting: int) -> None:
        self._opening = opening
        self._recording = recording
        self._max_waiting = max_waiting
        self._orders: dict[UUID, Batcher[Opening, OpenResult]] = {}
        self._facts: dict[UUID, Batcher[Fact, Recorded]] = {}

    async def open(self, opening: Opening) -> OpenResult:
        """Record an order as a payment. Raises OrderConflictError or OverloadedError."""
        merchant_id = opening.order.merchant_id
        queue = self._orders.get(merchant_id)
        if queue is None:
            queue = self._orders[merchant_id] = Batcher(
                self._opening.flush, max_batch=MAX_BATCH, max_waiting=self._max_waiting
            )
        return await queue.submit(opening)

    async def record(self, fact: Fact) -> Recorded:
        """Record a fact. Money has moved by now, perhaps: this queue refuses nobody."""
        queue = self._facts.get(fact.merchant_id)
        if queue is None:
            queue = self._facts[fact.merchant_id] = Batcher(
                self._recording.flush, max_batch=MAX_BATCH, max_waiting=UNBOUNDED
            )
        return await queue.submit(fact)

    @property
    def waiting(self) -> int:
        """Orders and facts that wait for a flush."""
        return sum(q.waiting for q in self._orders.values()) + sum(q.waiting for q in self._facts.values())


UNBOUNDED = 1_000_000
"""Facts come from calls that were admitted before, so their number is bounded by the limits of those."""
