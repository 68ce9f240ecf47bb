"""Correct: money that is proved to have moved becomes a payment of its own, by an operator's word.

Whoever corrects holds the user's row, then the payment's, then the anomaly's, as refunds do: the same money is not
given back and kept. `anomalies_money_check` and `payments_corrects_key` hold it, whatever else runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from gateway.domain.anomalies import AnomalyResolvedError, RecordedAnomaly, Resolution
from gateway.domain.catalogue import Catalogue
from gateway.domain.corrections import (
    CORRECTED,
    REFUNDED,
    NoMoneyProvedError,
    ProvedMoney,
    correction,
    payment_of,
    proved_money,
)
from gateway.domain.events import EVENTS_OF, Event
from gateway.domain.ids import ANOMALY, ObjectKind, caused_id, show
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.payments import Payment
from gateway.flows.corrections import Proved, Resolving
from gateway.flows.notify import DueDelivery
from gateway.flows.observations import Clock
from gateway.objects.events import event_of
from gateway.ports import AmountExceedsRestError, OverloadedError
from gateway.storage.keys import Keys
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import anomalies
from gateway.storage.writing.anomalies import READ as READ_ANOMALY
from gateway.storage.writing.anomalies import lock_anomalies, recorded_anomaly
from gateway.storage.writing.leaving import taken_as_paid
from gateway.storage.writing.orders import NEW_ORDERS, OrderRow, insert_orders, read_orders
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.payments import insert_correction, payments_by_id
from gateway.storage.writing.refunding import LOCK_PAYMENTS
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.users import lock_users

__all__ = ["CorrectingStore"]

COUNT_REFUNDS = """
SELECT count(*) FROM refunds WHERE merchant_id = $1 AND payment_id = $2 AND starts_with(merchant_order_no, $3)
"""
COUNT_CORRECTIONS = "SELECT count(*) FROM payments WHERE merchant_id = $1 AND corrects = $2"
# What was decided for the one that it corrects.
COPY_DECISION = """
INSERT INTO decisions (merchant_id, object_id, decision)
SELECT merchant_id, $3, decision FROM decisions WHERE merchant_id = $1 AND object_id = $2
"""
RETRY_AFTER_S = 1
READ_SECOND = "SELECT amount - refunded FROM second_outflows WHERE merchant_id = $1 AND anomaly_id = $2"


class CorrectingStore:
    """What is known of proved money, and payments that correct others. `timezone`: that of the business day."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        timezone: ZoneInfo,
        clock: Clock,
        hand_over: HandOver | None,
    ) -> None:
        self._database, self._keys, self._catalogue = database, keys, catalogue
        self._timezone, self._clock, self._hand_over = timezone, clock, hand_over

    async def proved(self, merchant_id: UUID, anomaly_id: UUID) -> Proved | None:
        """The money that an anomaly proves, as it stands now; None: no such anomaly. Raises NoMoneyProvedError."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(READ_ANOMALY, merchant_id, anomaly_id)
            if row is None:
                return None
            found = recorded_anomaly(row)
            money = await _money(connection, found, merchant_id)
            stem = f"{money.payment.merchant_order_no}{REFUNDED}"
            refunds = await connection.fetchval(COUNT_REFUNDS, merchant_id, money.payment.payment_id, stem)
            number = await _free_number(connection, money.payment, stem, refunds)
            return Proved(found, money, await _left(connection, merchant_id, found, money), number)

    async def take_as_paid(self, resolving: Resolving, payment_id: UUID) -> RecordedAnomaly | None:
        """Resolve an anomaly by a payment of its own that says that its money was paid; None: no such anomaly.

        Where a payment says so already, that one stays as it is, and no other is made.
        Raises AnomalyResolvedError, NoMoneyProvedError, OverloadedError and, if some of it went back,
        AmountExceedsRestError.
        """
        merchant_id, anomaly_id = resolving.merchant_id, resolving.anomaly_id
        before = await self.proved(merchant_id, anomaly_id)
        if before is None:
            return None
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, [before.money.payment.user_id], self._clock())
            await connection.fetch(LOCK_PAYMENTS, merchant_id, [before.money.payment.payment_id])
            found = (await lock_anomalies(connection, merchant_id, [anomaly_id]))[anomaly_id]
            if found.resolved_at is not None:
                raise AnomalyResolvedError
            money = await _money(connection, found, merchant_id)
            left = await _left(connection, merchant_id, found, money)
            if money.needs_payment and left < money.payment.amount:
                raise AmountExceedsRestError(left)
            new = None
            if money.needs_payment:
                counted = await connection.fetchval(COUNT_CORRECTIONS, merchant_id, money.payment.payment_id)
                stem = f"{money.payment.merchant_order_no}{CORRECTED}"
                number = await _free_number(connection, money.payment, stem, counted)
                new = correction(money, payment_id, number, self._clock(), self._timezone)
            due = await self._write(connection, resolving, money, new)
            taken = (await lock_anomalies(connection, merchant_id, [anomaly_id]))[anomaly_id]
        if self._hand_over and due.deliveries:
            self._hand_over(due.deliveries)
        count_events(due.events)
        return taken

    async def _write(
        self, connection: Connection, resolving: Resolving, money: ProvedMoney, new: Payment | None
    ) -> "_Told":
        now, told = self._clock(), _Told()
        write = Write(resolving.merchant_id)
        if new is not None:
            event_id = caused_id(resolving.anomaly_id, new.payment_id, new.status)
            told.events = [event_of(new, EVENTS_OF[ObjectKind.PAYMENT][new.status], event_id, now)]
            told.deliveries = deliveries_of(told.events, self._catalogue(), now)
            insert_orders(write, [_order(self._keys, new, resolving.anomaly_id)], "payment_id")
            insert_correction(write, new, money.second, only=NEW_ORDERS)
            write_events(write, told.events, told.deliveries, leased=self._hand_over is not None, only=NEW_ORDERS)
        write.update(anomalies, [_resolution(resolving, new, now)], by=["anomaly_id"])
        if new is None:
            await write.run(connection, "SELECT 1")
        elif not await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}"):
            raise OverloadedError(RETRY_AFTER_S)  # somebody has just taken its number
        else:
            await connection.execute(COPY_DECISION, new.merchant_id, new.corrects, new.payment_id)
        return told


@dataclass(slots=True)
class _Told:
    """What a correction tells."""

    events: list[Event] = field(default_factory=list)
    deliveries: list[DueDelivery] = field(default_factory=list)


async def _money(connection: Connection, found: RecordedAnomaly, merchant_id: UUID) -> ProvedMoney:
    payment_id = payment_of(found)
    payments = await payments_by_id(connection, merchant_id, [payment_id]) if payment_id is not None else []
    if not payments:
        raise NoMoneyProvedError
    return proved_money(found, payments[0])


async def _free_number(connection: Connection, payment: Payment, stem: str, known: int) -> str:
    """The first number after those that are known which nobody has: an app may have such a one from of old."""
    while True:
        number = f"{stem}{known + 1 if known else ''}"
        if not await read_orders(connection, payment.merchant_id, [(payment.app, number)]):
            return number
        known += 1


async def _left(connection: Connection, merchant_id: UUID, found: RecordedAnomaly, money: ProvedMoney) -> int:
    payment = money.payment
    if money.second is None:
        if await taken_as_paid(connection, merchant_id, [payment.payment_id]):
            return 0
        return max(payment.amount - payment.refunded - payment.settled, 0)
    left = await connection.fetchval(READ_SECOND, merchant_id, found.anomaly_id)
    return payment.amount if left is None else max(left, 0)


def _order(keys: Keys, new: Payment, anomaly_id: UUID) -> OrderRow:
    body = orjson.dumps({"corrects": show(ANOMALY, anomaly_id)})
    return OrderRow(
        app=new.app,
        merchant_order_no=new.merchant_order_no,
        object=ObjectKind.PAYMENT,
        object_id=new.payment_id,
        body_hash=keys.order.request_hash(body),
        hash_form=IN_ONE_FORM,
    )


def _resolution(resolving: Resolving, new: Payment | None, now: datetime) -> Row:
    return {
        "anomaly_id": resolving.anomaly_id,
        "resolved_at": now,
        "resolved_by": resolving.by,
        "note": resolving.note,
        "resolution": Resolution.TAKEN_AS_PAID,
        "correction_id": new.payment_id if new is not None else None,
    }
