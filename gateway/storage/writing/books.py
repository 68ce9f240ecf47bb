"""The books as the flows write them: orders and observations go in one by one, and are flushed by merchant."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

from gateway.flows.opening import Opening
from gateway.flows.refund import RefundOpening
from gateway.logs import get
from gateway.metrics import FLUSH_SECONDS, FLUSH_SIZE, QUEUE_LENGTH
from gateway.ports import GoOn, Observation, OpenResult, OverloadedError, Recorded, RefundResult
from gateway.storage.server.troubles import is_away, is_busy
from gateway.storage.writing.batching import Batcher
from gateway.storage.writing.opening import OpeningStore
from gateway.storage.writing.recording import RecordingStore
from gateway.storage.writing.refunding import RefundingStore

log = get(__name__)

T = TypeVar("T")
R = TypeVar("R")

MAX_BATCH = 64
"""Orders or observations in one transaction: larger ones hold their locks longer than they save round trips."""
AWAY_RETRY_AFTER_S = 5
OBSERVATION_TRIES = 20
SAY_EVERY_S = 5.0
"""Between two lines of the log that tell of the same trouble."""
REASON_MAX = 200
DRAIN_WITHIN_S = 10.0
MAX_OBSERVATIONS_WAITING = 1_000_000
"""Observations refuse nobody: they come from calls that were admitted before, whose limits bound their number."""


class Books:
    """Natural batching over the stores: one queue per merchant and kind, since a flush belongs to one merchant."""

    def __init__(
        self, opening: OpeningStore, recording: RecordingStore, refunding: RefundingStore, max_waiting: int
    ) -> None:
        self._orders: _Queues[Opening, OpenResult] = _Queues("open", opening.flush, max_waiting)
        self._refunds: _Queues[RefundOpening, RefundResult] = _Queues("refund", refunding.flush, max_waiting)
        self._said_at = -SAY_EVERY_S
        self._observations: _Queues[Observation | GoOn, Recorded] = _Queues(
            "record", recording.flush, MAX_OBSERVATIONS_WAITING
        )

    async def open(self, opening: Opening) -> OpenResult:
        """Record an order as a payment. Raises OrderConflictError or OverloadedError.

        A database that is away is an overload, too: the order can be sent again, whether it was committed or not.
        """
        return await self._recorded(self._orders.of(opening.order.merchant_id).submit(opening))

    async def open_refund(self, opening: RefundOpening) -> RefundResult:
        """Record an order as a refund. Raises OrderConflictError, PaymentNotRefundableError, AmountExceedsRestError or
        OverloadedError, as `open` does."""
        return await self._recorded(self._refunds.of(opening.order.merchant_id).submit(opening))

    async def _recorded(self, submitted: Awaitable[R]) -> R:
        try:
            return await submitted
        except Exception as error:
            if not (is_away(error) or is_busy(error)):
                raise
            self._say(error)
            raise OverloadedError(AWAY_RETRY_AFTER_S) from error

    def _say(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            log.error("orders are refused", reason=f"{type(error).__name__}: {error}"[:REASON_MAX])

    async def record(self, observation: Observation) -> Recorded:
        """Record an observation. Money may have moved by now, so where its user is held by somebody it comes again."""
        queue = self._observations.of(observation.intent.merchant_id)
        for _ in range(OBSERVATION_TRIES - 1):
            try:
                return await queue.submit(observation)
            except OverloadedError as error:
                await asyncio.sleep(error.retry_after_s)
        return await queue.submit(observation)

    async def go_on(self, waiting: GoOn) -> Recorded:
        """Let a payment go on that waited for an authentication. Raises OverloadedError; it stays due then."""
        return await self._observations.of(waiting.merchant_id).submit(waiting)

    async def drain(self, within_s: float = DRAIN_WITHIN_S) -> None:
        """Let what waits be written, a bounded time; before the database is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._orders.drain()
                await self._refunds.drain()
                await self._observations.drain()

    @property
    def waiting(self) -> int:
        """Orders, refunds and observations that wait for a flush."""
        return self._orders.waiting + self._refunds.waiting + self._observations.waiting


class _Queues(Generic[T, R]):
    """The queues of one kind, by merchant, measured."""

    def __init__(self, name: str, flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]], most: int) -> None:
        self._flush = flush
        self._most = most
        self._by_merchant: dict[UUID, Batcher[T, R]] = {}
        self._sizes, self._seconds = FLUSH_SIZE.labels(name), FLUSH_SECONDS.labels(name)
        self._length = QUEUE_LENGTH.labels(name)

    def of(self, merchant_id: UUID) -> Batcher[T, R]:
        queue = self._by_merchant.get(merchant_id)
        if queue is None:
            queue = Batcher(self._flush, max_batch=MAX_BATCH, max_waiting=self._most, flushed=self._flushed)
            self._by_merchant[merchant_id] = queue
        return queue

    async def drain(self) -> None:
        for queue in list(self._by_merchant.values()):
            await queue.drain()

    @property
    def waiting(self) -> int:
        return sum(queue.waiting for queue in self._by_merchant.values())

    def _flushed(self, size: int, seconds: float) -> None:
        self._sizes.observe(size)
        self._seconds.observe(seconds)
        self._length.set(self.waiting)
