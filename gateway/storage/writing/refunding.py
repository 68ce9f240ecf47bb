"""Open refunds: one transaction for all the orders of a merchant that wait.

Whoever refunds holds the user's row, then the payment's: what is left of a payment is read under both, and counted down
in memory by those before it. `outflows_rest_check` holds it, whatever else runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.terms import Product
from gateway.flows.observations import Clock
from gateway.flows.refund import RefundOpening, new_refund, refuse_unless_refundable
from gateway.ports import (
    AmountExceedsRestError,
    ChannelFullError,
    OrderConflictError,
    PaymentNotRefundableError,
    RefundResult,
    Rooms,
    TermsOf,
)
from gateway.storage.keys import Keys
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.intents import insert_intents
from gateway.storage.writing.orders import (
    NEW_ORDERS,
    OrderKey,
    OrderRow,
    TakenOrder,
    insert_orders,
    read_orders,
    same_content,
)
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.refunds import insert_refunds, refunds_by_id, take_outflows
from gateway.storage.writing.statement import Write
from gateway.storage.writing.users import BusyUsers, lock_users

__all__ = ["RefundingStore"]

LOCK_PAYMENTS = """
SELECT payment_id FROM payments WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[]) ORDER BY payment_id FOR UPDATE
"""
# Of the payments, of their refunds and of what pays them on: what failed here and was done there has taken money, too.
READ_OPEN_ANOMALIES = """
SELECT a.object_id FROM anomalies a
WHERE a.merchant_id = $1 AND a.object_id = ANY($2::uuid[]) AND a.resolved_at IS NULL
UNION
SELECT r.payment_id FROM refunds r
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = r.refund_id AND a.resolved_at IS NULL
WHERE r.merchant_id = $1 AND r.payment_id = ANY($2::uuid[])
UNION
SELECT s.payment_id FROM settles s
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = s.payout_id AND a.resolved_at IS NULL
WHERE s.merchant_id = $1 AND s.payment_id = ANY($2::uuid[])
"""


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    payments: dict[UUID, Payment]
    with_anomalies: set[UUID]
    left: dict[UUID, int]
    """By payment, in fen: what those before have not taken."""
    opened: dict[OrderKey, tuple[RefundOpening, Refund]] = field(default_factory=dict)
    refused: dict[UUID, Exception] = field(default_factory=dict)
    """By the refund's id."""


class RefundingStore:
    """Records orders as refunds; `flush` is what a Batcher calls.

    A refund has a place of its channel before it is recorded: whoever opens it gives it back (`ports.Rooms`).
    """

    def __init__(
        self,
        database: Database,
        keys: Keys,
        terms_of: TermsOf,
        timezone: ZoneInfo,
        clock: Clock,
        rooms: Rooms,
        busy: BusyUsers | None = None,
    ) -> None:
        self.rooms = rooms
        self.database, self.keys, self.terms_of, self.timezone, self.clock = database, keys, terms_of, timezone, clock
        self._busy = busy or BusyUsers(database)

    async def flush(self, openings: list[RefundOpening]) -> Sequence[RefundResult | Exception]:
        """Open many refunds of one merchant. The results stand in the order of the openings.

        Orders of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await self._busy.without(
            openings, lambda opening: (opening.order.merchant_id, opening.user_id), self._open
        )

    async def _open(self, openings: list[RefundOpening]) -> Sequence[RefundResult | Exception]:
        merchant_id = openings[0].order.merchant_id
        async with self.database.transaction() as connection:
            await lock_users(connection, merchant_id, (opening.user_id for opening in openings), self.clock())
            now = self.clock()  # after the waits: an intent is as old as its commit
            flush = await _read(connection, merchant_id, openings)
            taken = await read_orders(connection, merchant_id, list({_key(opening) for opening in openings}))
            for opening in openings:
                if _key(opening) not in taken and _key(opening) not in flush.opened:
                    self._open_one(flush, opening, now)
            inserted = await self._insert(connection, merchant_id, flush) if flush.opened else set()
            lost = [key for key, (_, refund) in flush.opened.items() if refund.refund_id not in inserted]
            if lost:
                taken |= await read_orders(connection, merchant_id, lost)
            known = await refunds_by_id(connection, merchant_id, _refund_ids(taken))
        return [self._result(opening, flush, inserted, taken, known) for opening in openings]

    def _open_one(self, flush: _Flush, opening: RefundOpening, now: datetime) -> None:
        payment, amount = flush.payments[opening.order.payment_id], opening.order.amount
        try:
            refuse_unless_refundable(payment, opening, payment.payment_id in flush.with_anomalies)
        except PaymentNotRefundableError as error:
            flush.refused[opening.refund_id] = error
            return
        left = flush.left[payment.payment_id]
        if amount > left:
            flush.refused[opening.refund_id] = AmountExceedsRestError(left)
            return
        assert payment.account is not None
        assert payment.channel is not None
        if not self.rooms.take(opening.refund_id, payment.merchant_id, payment.channel):
            flush.refused[opening.refund_id] = ChannelFullError(payment.channel)
            return
        flush.left[payment.payment_id] = left - amount
        terms = self.terms_of(payment.merchant_id, payment.account, Product.REFUND)
        refund = new_refund(replace(opening, now=now), payment, terms, self.timezone)
        flush.opened[_key(opening)] = (opening, refund)

    async def _insert(self, connection: Connection, merchant_id: UUID, flush: _Flush) -> set[UUID]:
        """Write the flush with one statement; which refunds were inserted."""
        refunds = [refund for _, refund in flush.opened.values()]
        orders = [
            OrderRow(
                app=refund.app,
                merchant_order_no=refund.merchant_order_no,
                object=ObjectKind.REFUND,
                object_id=refund.refund_id,
                body_hash=self.keys.order.request_hash(opening.order.body),
                hash_form=IN_ONE_FORM,
            )
            for opening, refund in flush.opened.values()
        ]
        write = Write(merchant_id)
        insert_orders(write, orders, "refund_id")
        insert_refunds(write, refunds, only=NEW_ORDERS)
        insert_intents(write, [(refund.refund_id, refund.intent) for refund in refunds], only=NEW_ORDERS)
        amounts = [(refund, flush.payments[refund.payment_id].amount) for refund in refunds]
        take_outflows(write, amounts, only=NEW_ORDERS)
        return {row[0] for row in await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}")}

    def _result(
        self,
        opening: RefundOpening,
        flush: _Flush,
        inserted: set[UUID],
        taken: dict[OrderKey, TakenOrder],
        known: dict[UUID, Refund],
    ) -> RefundResult | Exception:
        if opening.refund_id in flush.refused:
            return flush.refused[opening.refund_id]
        key = _key(opening)
        new = flush.opened.get(key)
        if new is not None and new[1].refund_id in inserted:
            first, refund = new
            if refund.refund_id == opening.refund_id:
                return RefundResult(refund, False, flush.payments[refund.payment_id])
            same = first.order.body == opening.order.body
            return RefundResult(refund, replayed=True) if same else OrderConflictError(key[1])
        order = taken[key]
        before = known.get(order.object_id)
        if before is None or same_content(self.keys, order, opening.order.body) is False:
            return OrderConflictError(key[1])
        if before.refund_id == opening.refund_id:
            # Our own row: the answer to an earlier COMMIT was lost. It is ours to send while nobody has asked about it.
            ours = before.intent.intent_id == opening.intent_id and before.intent.is_untouched
            return RefundResult(before, not ours, flush.payments[before.payment_id])
        return RefundResult(before, replayed=True)


async def _read(connection: Connection, merchant_id: UUID, openings: Sequence[RefundOpening]) -> _Flush:
    ids = list({opening.order.payment_id for opening in openings})
    await connection.fetch(LOCK_PAYMENTS, merchant_id, ids)
    # In a later statement: the lock's snapshot is older than the end of its wait.
    payments = {payment.payment_id: payment for payment in await payments_by_id(connection, merchant_id, ids)}
    rows = await connection.fetch(READ_OPEN_ANOMALIES, merchant_id, ids)
    left = {key: max(payment.amount - payment.refunded - payment.settled, 0) for key, payment in payments.items()}
    return _Flush(payments, {row[0] for row in rows}, left)


def _key(opening: RefundOpening) -> OrderKey:
    return opening.order.app, opening.order.merchant_order_no


def _refund_ids(taken: dict[OrderKey, TakenOrder]) -> list[UUID]:
    return [order.object_id for order in taken.values() if order.object is ObjectKind.REFUND]
