"""Open refunds: one transaction for all the orders of a merchant that wait.

Whoever refunds holds the user's row, then the payment's: what is left of a payment is read under both, and counted down
in memory by those before it. `outflows_rest_check` holds it, whatever else runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.anomalies import RecordedAnomaly, Resolution
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.terms import Product
from gateway.flows.observations import Clock
from gateway.flows.refund import RefundOpening, new_refund, refundable
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
from gateway.storage.tables import anomalies
from gateway.storage.writing.anomalies import lock_anomalies
from gateway.storage.writing.intents import insert_intents
from gateway.storage.writing.leaving import left_of, open_anomalies_of, taken_as_paid
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
from gateway.storage.writing.refunds import insert_refunds, refunds_by_id, take_outflows, take_second_outflows
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.users import BusyUsers, lock_users

__all__ = ["RefundingStore"]

LOCK_PAYMENTS = """
SELECT payment_id FROM payments WHERE merchant_id = $1 AND payment_id = ANY($2::uuid[]) ORDER BY payment_id FOR UPDATE
"""
READ_SECOND = (
    "SELECT anomaly_id, amount - refunded FROM second_outflows WHERE merchant_id = $1 AND anomaly_id = ANY($2)"
)
# By what the order's own insert returned: only a refund that is recorded resolves anything.
RESOLVE_AS_REFUNDED = f"""
UPDATE anomalies t SET resolved_at = v.resolved_at, resolved_by = v.resolved_by, note = v.note,
    resolution = v.resolution, refund_id = v.refund_id
FROM {{rows}} JOIN {NEW_ORDERS} USING (refund_id)
WHERE t.merchant_id = $1::uuid AND t.anomaly_id = v.anomaly_id AND t.resolved_at IS NULL
"""


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    payments: dict[UUID, Payment]
    open_anomalies: dict[UUID, dict[UUID, str]]
    """By payment, with their kinds."""
    named: dict[UUID, RecordedAnomaly]
    """Anomalies whose money is to go back."""
    left: dict[UUID, int]
    """By payment, or by the anomaly that tells of a second transaction, in fen: what those before have not taken."""
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
            named = flush.named.get(opening.order.anomaly_id) if opening.order.anomaly_id else None
            money = refundable(payment, opening, flush.open_anomalies.get(payment.payment_id, {}), named)
        except PaymentNotRefundableError as error:
            flush.refused[opening.refund_id] = error
            return
        of = payment.payment_id if money.second is None or named is None else named.anomaly_id
        left = flush.left.get(of, payment.amount)
        if amount > left:
            flush.refused[opening.refund_id] = AmountExceedsRestError(left)
            return
        assert payment.account is not None
        assert payment.channel is not None
        if not self.rooms.take(opening.refund_id, payment.merchant_id, payment.channel):
            flush.refused[opening.refund_id] = ChannelFullError(payment.channel)
            return
        flush.left[of] = left - amount
        terms = self.terms_of(payment.merchant_id, payment.account, Product.REFUND)
        refund = new_refund(replace(opening, now=now), money, terms, self.timezone)
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
        take_outflows(write, [each for each in amounts if each[0].second is None], only=NEW_ORDERS)
        take_second_outflows(write, [each for each in amounts if each[0].second is not None], only=NEW_ORDERS)
        resolved = [_resolution(opening, refund) for opening, refund in flush.opened.values() if refund.anomaly_id]
        write.part("resolved", anomalies, resolved, RESOLVE_AS_REFUNDED)
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
    open_anomalies = await open_anomalies_of(connection, merchant_id, payments.values())
    flush = _Flush(payments, open_anomalies, {}, await left_of(connection, merchant_id, payments.values()))
    if about := [opening.order.anomaly_id for opening in openings if opening.order.anomaly_id is not None]:
        flush.named = await lock_anomalies(connection, merchant_id, about)
        flush.left |= {row[0]: max(row[1], 0) for row in await connection.fetch(READ_SECOND, merchant_id, about)}
        flush.left |= dict.fromkeys(await taken_as_paid(connection, merchant_id, ids), 0)
    return flush


def _resolution(opening: RefundOpening, refund: Refund) -> Row:
    return {
        "refund_id": refund.refund_id,
        "anomaly_id": refund.anomaly_id,
        "resolved_at": refund.created_at,
        "resolved_by": opening.order.resolved_by,
        "note": opening.order.note,
        "resolution": Resolution.REFUNDED,
    }


def _key(opening: RefundOpening) -> OrderKey:
    return opening.order.app, opening.order.merchant_order_no


def _refund_ids(taken: dict[OrderKey, TakenOrder]) -> list[UUID]:
    return [order.object_id for order in taken.values() if order.object is ObjectKind.REFUND]
