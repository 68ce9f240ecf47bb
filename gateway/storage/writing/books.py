"""The books as the flows write them: orders and observations go in one by one, and are flushed by merchant."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from gateway.domain.hearing import Source
from gateway.domain.intents import Verb
from gateway.flows.authentication import AuthenticationOpening, AuthenticationResult
from gateway.flows.opening import Opening
from gateway.flows.payout_acts import PayoutAct, PayoutOpening, PayoutResult
from gateway.flows.refund import RefundOpening
from gateway.logs import get
from gateway.metrics import FLUSH_SECONDS, FLUSH_SIZE, QUEUE_LENGTH
from gateway.ports import (
    DatabaseAwayError,
    GoOn,
    Observation,
    OpenResult,
    OverloadedError,
    PayerAct,
    Recorded,
    RefundResult,
)
from gateway.refused_rows import said_by
from gateway.storage.server.troubles import comes_again, is_away, is_busy, may_be_one_rows
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
COMES_AGAIN_AFTER_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between the tries of an observation; the last one again and again, until it is recorded."""
SAY_EVERY_S = 5.0
"""Between two lines of the log that tell of the same trouble."""
DRAIN_WITHIN_S = 10.0
MAX_OBSERVATIONS_WAITING = 1_000_000
"""Observations refuse nobody: they come from calls that were admitted before, whose limits bound their number."""


Flush = Callable[[list[T]], Awaitable[Sequence[R | Exception]]]


class Books:
    """Natural batching over the stores: one queue per merchant and kind, since a flush belongs to one merchant."""

    def __init__(
        self,
        opening: OpeningStore,
        recording: RecordingStore,
        refunding: RefundingStore,
        max_waiting: int,
        authenticating: Flush[AuthenticationOpening, AuthenticationResult],
        paying_out: Flush[PayoutOpening | PayoutAct, PayoutResult | None] | None = None,
        payout_words: Flush[Observation, Recorded] | None = None,
    ) -> None:
        self._authentications: Queues[AuthenticationOpening, AuthenticationResult] = Queues(
            "authenticate", authenticating, max_waiting
        )
        self._orders: Queues[Opening, OpenResult] = Queues("open", opening.flush, max_waiting)
        self._refunds: Queues[RefundOpening, RefundResult] = Queues("refund", refunding.flush, max_waiting)
        self._said_at: dict[str, float] = {}
        self._observations: Queues[Observation | GoOn | PayerAct, Recorded] = Queues(
            "record", recording.flush, MAX_OBSERVATIONS_WAITING
        )
        # What was cut by a lock comes again apart, and is halved: a row that somebody holds keeps up no other's word.
        self._held_up: Queues[Observation | GoOn | PayerAct, Recorded] = Queues(
            "record", recording.flush, MAX_OBSERVATIONS_WAITING, lambda error: may_be_one_rows(error) or is_busy(error)
        )

        # Apart from payments: nobody who pays waits for those who are paid out to.
        self._payouts: Queues[PayoutOpening | PayoutAct, PayoutResult | None] = Queues(
            "payout", paying_out or _nothing, max_waiting, lambda error: may_be_one_rows(error) or is_busy(error)
        )
        self._payout_words: Queues[Observation, Recorded] = Queues(
            "record_payout", payout_words or _nothing, MAX_OBSERVATIONS_WAITING, may_be_one_rows
        )
        self._held_up_words: Queues[Observation, Recorded] = Queues(
            "record_payout",
            payout_words or _nothing,
            MAX_OBSERVATIONS_WAITING,
            lambda error: may_be_one_rows(error) or is_busy(error),
        )

    async def open(self, opening: Opening) -> OpenResult:
        """Record an order as a payment. Raises OrderConflictError, OverloadedError, or DatabaseAwayError where the
        database is away or busy: the order can be sent again, whether it was committed or not."""
        return await self._recorded(self._orders.of(opening.order.merchant_id).submit(opening))

    async def open_refund(self, opening: RefundOpening) -> RefundResult:
        """Record an order as a refund. Raises OrderConflictError, PaymentNotRefundableError, AmountExceedsRestError or
        OverloadedError, as `open` does."""
        return await self._recorded(self._refunds.of(opening.order.merchant_id).submit(opening))

    async def open_payout(self, opening: PayoutOpening) -> PayoutResult:
        """Record an order as a payout. Raises OrderConflictError, PayoutRefusedError or OverloadedError, as `open`
        does."""
        opened = await self._recorded(self._payouts.of(opening.merchant_id).submit(opening))
        assert opened is not None
        return opened

    async def act_on_payout(self, act: PayoutAct) -> PayoutResult | None:
        """Do something about a payout; None: there is no such one. Raises PayoutRefusedError or OverloadedError, as
        `open` does."""
        return await self._recorded(self._payouts.of(act.merchant_id).submit(act))

    async def open_authentication(self, opening: AuthenticationOpening) -> AuthenticationResult:
        """Record an order as an authentication. Raises OrderConflictError, CardNotFoundError or OverloadedError, as
        `open` does."""
        return await self._recorded(self._authentications.of(opening.order.merchant_id).submit(opening))

    async def _recorded(self, submitted: Awaitable[R]) -> R:
        try:
            return await submitted
        except Exception as error:
            if not (is_away(error) or is_busy(error)):
                raise
            self._say("orders are refused", error)
            raise DatabaseAwayError(AWAY_RETRY_AFTER_S) from error

    def _say(self, what: str, error: Exception) -> None:
        now = time.monotonic()
        if now - self._said_at.get(what, -SAY_EVERY_S) >= SAY_EVERY_S:
            self._said_at[what] = now
            log.error(what, reason=said_by(error))

    async def record(self, observation: Observation) -> Recorded:
        """Record an observation. Money may have moved by now, so it comes again until it is recorded, whatever the
        database says but that it refuses this very one; how many do so is bounded by the calls that are in progress.

        A process that ends cancels it, and says what was not recorded.
        """
        merchant_id, waits_s = observation.intent.merchant_id, iter(COMES_AGAIN_AFTER_S)
        of_payout = observation.intent.verb is Verb.PAYOUT
        first: Queues[Any, Recorded] = self._payout_words if of_payout else self._observations
        held_up: Queues[Any, Recorded] = self._held_up_words if of_payout else self._held_up
        queues = first
        wait_s = COMES_AGAIN_AFTER_S[-1]
        try:
            while True:
                try:
                    return await queues.of(merchant_id).submit(observation)
                except OverloadedError as error:
                    wait_s = error.retry_after_s
                except Exception as error:
                    if not comes_again(error):
                        raise
                    self._say("what PSPs said cannot be recorded, and comes again", error)
                    queues = held_up if is_busy(error) else first
                    wait_s = next(waits_s, COMES_AGAIN_AFTER_S[-1])
                await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            if observation.source is not Source.CALLBACK:  # a PSP sends it again
                log.error("ended before it was recorded: the PSP is asked again", **_named(observation))
            raise

    async def go_on(self, waiting: GoOn) -> Recorded:
        """Let a payment go on that waited for an authentication. Raises OverloadedError; it stays due then."""
        return await self._observations.of(waiting.merchant_id).submit(waiting)

    async def act(self, act: PayerAct) -> Recorded:
        """Record what is done about what waits for its payer. Raises OverloadedError, or DatabaseAwayError where the
        database is away or busy: it can be asked for again."""
        return await self._recorded(self._observations.of(act.merchant_id).submit(act))

    async def drain(self, within_s: float = DRAIN_WITHIN_S) -> None:
        """Let what waits be written, a bounded time; before the database is closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._orders.drain()
                await self._refunds.drain()
                await self._authentications.drain()
                await self._observations.drain()
                await self._held_up.drain()
                await self._payouts.drain()
                await self._payout_words.drain()
                await self._held_up_words.drain()

    @property
    def waiting(self) -> int:
        """Orders, refunds, payouts and observations that wait for a flush."""
        queues = (self._orders, self._refunds, self._authentications, self._observations, self._held_up)
        of_payouts = (self._payouts, self._payout_words, self._held_up_words)
        return sum(queue.waiting for queue in queues) + sum(queue.waiting for queue in of_payouts)


async def _nothing(_: list[Any]) -> Sequence[Any]:
    """Of books that were not given stores of payouts."""
    raise NotImplementedError("these books keep no payouts")


class Queues(Generic[T, R]):
    """The queues of one kind, by merchant, measured."""

    def __init__(
        self,
        name: str,
        flush: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
        most: int,
        halves: Callable[[BaseException], bool] = may_be_one_rows,
    ) -> None:
        self._flush = flush
        self._halves = halves
        self._most = most
        self._by_merchant: dict[UUID, Batcher[T, R]] = {}
        self._sizes, self._seconds = FLUSH_SIZE.labels(name), FLUSH_SECONDS.labels(name)
        self._length = QUEUE_LENGTH.labels(name)

    def of(self, merchant_id: UUID) -> Batcher[T, R]:
        queue = self._by_merchant.get(merchant_id)
        if queue is None:
            queue = Batcher(
                self._flush,
                max_batch=MAX_BATCH,
                max_waiting=self._most,
                flushed=self._flushed,
                halves=self._halves,
            )
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


def _named(observation: Observation) -> dict[str, str]:
    intent = observation.intent
    return {
        "object_id": str(intent.object_id),
        "verb": intent.verb,
        "source": observation.source,
        "said": type(observation.outcome).__name__,
    }
