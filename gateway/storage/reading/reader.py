"""What the API reads: payments, decisions, events, facts. Every statement names the merchant; nothing is locked.

Pages go by key, newest first: ids are UUIDv7, so their order is that of time.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Uuid, and_, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.domain.authentications import Authentication
from gateway.domain.blocks import BlockKind
from gateway.domain.cards import CardElements, mask_card_no
from gateway.domain.checkouts import Checkout, CheckoutPurpose
from gateway.domain.events import RecordedEvent, Redelivered
from gateway.domain.ids import ObjectKind
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.refunds import Refund
from gateway.domain.timeline import TimelinePage, TimelinePosition
from gateway.domain.tries import in_turn
from gateway.ports import Found, PaymentFilter, UserFacts
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.reading.search import Place, find_events, find_payments, order_payments, read_payments, searching
from gateway.storage.reading.timeline import timeline_of
from gateway.storage.server.database import Database
from gateway.storage.tables import (
    authentications,
    checkouts,
    decisions,
    deliveries,
    events,
    orders,
    payments,
    payouts,
    refunds,
    routes,
)
from gateway.storage.writing.authentications import authentication_of, authentication_select
from gateway.storage.writing.blocks import read_blocks
from gateway.storage.writing.checkouts import checkout_of
from gateway.storage.writing.deliveries import recorded_delivery, redeliver
from gateway.storage.writing.facts import read_facts
from gateway.storage.writing.in_flight import read_in_flight
from gateway.storage.writing.payments import payment_of, payment_select
from gateway.storage.writing.payouts import payout_of, payout_select
from gateway.storage.writing.refunds import refund_of, refund_select
from gateway.storage.writing.routes import route_of, route_select
from gateway.storage.writing.totals import Totals

__all__ = ["Reader", "decision_of"]

NUMBER_PRINT = "SELECT number_print FROM cards WHERE merchant_id = $1 AND card_id = $2"

_p, _e, _d, _r, _a = payments.c, events.c, decisions, refunds.c, authentications.c


def _assume_totals(_merchant_id: UUID) -> bool:
    """Right for every merchant, and dearer for those who use none."""
    return True


async def decision_of(engine: AsyncEngine, payment: Payment) -> dict[str, Any] | None:
    """The decision record of a payment, whoever owns it: for operators at the command line."""
    async with engine.connect() as connection:
        of_payment = and_(_d.c.merchant_id == payment.merchant_id, _d.c.object_id == payment.payment_id)
        its_decision = select(_d.c.decision).where(of_payment)
        record: dict[str, Any] | None = await connection.scalar(its_decision)
        return record


@dataclass(frozen=True, slots=True)
class Reader:
    """Implements `gateway.ports.Reading`. `has_totals` tells whether a merchant uses the router's optional totals.

    `timezone` is that of the business day. `blocks`: of which kinds a merchant's block list has entries.
    `unresolved_after`: how long an attempt may be without a result before a merchant's router counts it as failed.
    """

    engine: AsyncEngine
    database: Database
    keys: Keys
    timezone: ZoneInfo
    has_totals: Callable[[UUID], bool] = _assume_totals
    blocks: Callable[[UUID], Collection[BlockKind]] = lambda _merchant_id: tuple(BlockKind)
    unresolved_after: Callable[[UUID], timedelta | None] = lambda _merchant_id: None

    async def payment(self, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None:
        """A payment of this app, or None."""
        async with self.engine.connect() as connection:
            return await _payment(connection, merchant_id, app, payment_id)

    async def payments(self, merchant_id: UUID, app: str, wanted: PaymentFilter) -> Found[Payment]:
        """Payments of this app, newest first."""
        wanted = replace(wanted, app=app)
        async with searching(self.engine) as connection:
            if wanted.merchant_order_no is not None:
                named = await order_payments(connection, merchant_id, app, wanted.merchant_order_no)
                return Found(await read_payments(connection, merchant_id, named, wanted))
            place = Place(wanted.user_id) if wanted.user_id is not None else Place(app=app)
            ids, cut_at = await find_payments(connection, merchant_id, [place], wanted, self.timezone)
            return Found(await read_payments(connection, merchant_id, ids), cut_at)

    async def refund(self, merchant_id: UUID, app: str, refund_id: UUID) -> Refund | None:
        """A refund of this app, or None."""
        mine = and_(_r.merchant_id == merchant_id, _r.refund_id == refund_id, _r.app == app)
        async with self.engine.connect() as connection:
            row = (await connection.execute(refund_select().where(mine))).mappings().first()
            return refund_of(row) if row is not None else None

    async def payout(self, merchant_id: UUID, app: str, payout_id: UUID) -> Payout | None:
        """A payout of this app, or None."""
        of = payouts.c
        mine = and_(of.merchant_id == merchant_id, of.payout_id == payout_id, of.app == app)
        async with self.engine.connect() as connection:
            row = (await connection.execute(payout_select().where(mine))).mappings().first()
            return payout_of(row) if row is not None else None

    async def authentication(self, merchant_id: UUID, app: str, authentication_id: UUID) -> Authentication | None:
        """An authentication that this app asked for, or None."""
        mine = and_(_a.merchant_id == merchant_id, _a.authentication_id == authentication_id, _a.app == app)
        async with self.engine.connect() as connection:
            row = (await connection.execute(authentication_select().where(mine))).mappings().first()
            return authentication_of(row) if row is not None else None

    async def order_taken(self, merchant_id: UUID, app: str, merchant_order_no: str) -> bool:
        """Whether an order number of this app is in use."""
        of = orders.c
        mine = and_(of.merchant_id == merchant_id, of.app == app, of.merchant_order_no == merchant_order_no)
        async with self.engine.connect() as connection:
            return (await connection.execute(select(of.object_id).where(mine))).first() is not None

    async def checkout(
        self, merchant_id: UUID, app: str, checkout_id: UUID
    ) -> tuple[Checkout, Sequence[Payment | Authentication]] | None:
        """A checkout of this app with its tries, oldest first, or None."""
        of = checkouts.c
        mine = and_(of.merchant_id == merchant_id, of.checkout_id == checkout_id, of.app == app)
        to_pay = and_(_p.merchant_id == merchant_id, _p.checkout_id == checkout_id)
        to_sign = and_(_a.merchant_id == merchant_id, _a.checkout_id == checkout_id)
        async with self.engine.connect() as connection:
            row = (await connection.execute(select(checkouts).where(mine))).mappings().first()
            if row is None:
                return None
            checkout = checkout_of(dict(row))
            if checkout.purpose is CheckoutPurpose.PAY:
                found = await connection.execute(payment_select().where(to_pay))
                return checkout, in_turn(payment_of(dict(each)) for each in found.mappings())
            found = await connection.execute(authentication_select().where(to_sign))
            return checkout, in_turn(authentication_of(dict(each)) for each in found.mappings())

    async def route(self, merchant_id: UUID, app: str, route_id: UUID) -> RecordedRoute | None:
        """A recorded route of this app, or None."""
        of = routes.c
        mine = and_(of.merchant_id == merchant_id, of.route_id == route_id, of.app == app)
        async with self.engine.connect() as connection:
            row = (await connection.execute(route_select().where(mine))).mappings().first()
            return route_of(row) if row is not None else None

    async def decision(self, merchant_id: UUID, app: str, payment_id: UUID) -> dict[str, Any] | None:
        """The decision record of a payment of this app, or None."""
        of_payment = and_(_d.c.merchant_id == _p.merchant_id, _d.c.object_id == _p.payment_id)
        statement = (
            select(_d.c.decision)
            .select_from(payments.join(decisions, of_payment))
            .where(_p.merchant_id == merchant_id, _p.payment_id == payment_id, _p.app == app)
        )
        async with self.engine.connect() as connection:
            record: dict[str, Any] | None = (await connection.execute(statement)).scalar_one_or_none()
            return record

    async def timeline(
        self, merchant_id: UUID, app: str, payment_id: UUID, *, after: TimelinePosition | None, limit: int
    ) -> TimelinePage | None:
        """A page of everything that happened to a payment of this app, oldest first, or None."""
        async with self.engine.connect() as connection:
            payment = await _payment(connection, merchant_id, app, payment_id)
            return await timeline_of(connection, payment, after, limit) if payment is not None else None

    async def events(
        self,
        merchant_id: UUID,
        app: str,
        *,
        of: tuple[ObjectKind, UUID] | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> Found[RecordedEvent]:
        """Events of this app, newest first, with the state of their deliveries."""
        statement, cut_at = select(events).where(_e.merchant_id == merchant_id, _e.app == app), None
        async with searching(self.engine) as connection:
            if of is not None:
                kind, object_id = of
                statement = statement.where(_e.object == kind, _e.object_id == object_id)
                statement = statement if event_type is None else statement.where(_e.type == event_type)
            elif event_type is not None:
                ids, cut_at = await find_events(connection, merchant_id, app, event_type, before, limit)
                statement = statement.where(_e.event_id == any_(literal(ids, ARRAY(Uuid))))
            if before is not None:
                statement = statement.where(_e.event_id < before)
            found = (await connection.execute(statement.order_by(_e.event_id.desc()).limit(limit))).all()
            by_event = await _deliveries(connection, merchant_id, [row.event_id for row in found])
        return Found([_event(row, by_event[row.event_id]) for row in found], cut_at)

    async def redeliver(self, merchant_id: UUID, app: str, event_id: UUID, now: datetime) -> Redelivered | None:
        """Make every delivery of an event of this app due now, or hold it; None: no such event."""
        mine = select(_e.event_id).where(_e.merchant_id == merchant_id, _e.event_id == event_id, _e.app == app)
        async with self.engine.connect() as connection:
            if (await connection.execute(mine)).first() is None:
                return None
        async with self.database.connection() as connection:
            return await redeliver(connection, merchant_id, event_id, now)

    async def facts(
        self, merchant_id: UUID, user_id: str, card: CardElements | None, card_id: UUID | None, now: datetime
    ) -> UserFacts:
        """What the router knows of a user now, with the agreements of one card. Raises OverloadedError."""
        print_of_card = self.keys.order.print_of_card(merchant_id, card) if card is not None else b""
        prints = {print_of_card: mask_card_no(card.card_no)} if card is not None and card_id is None else {}
        day = now.astimezone(self.timezone).date()
        card_ids = [card_id] if card_id is not None else []
        async with self.database.connection() as connection:
            after = self.unresolved_after(merchant_id)
            unresolved = None if after is None else (now, after)
            facts = await read_facts(connection, merchant_id, [user_id], day, prints, card_ids, unresolved=unresolved)
            try:
                if card_id is not None:
                    card_id = facts.cards.named.get(card_id)
                elif card is not None:
                    card_id = facts.cards.find(merchant_id, user_id, print_of_card, card, self.keys)
            except DecryptionError as error:
                raise stand_back(error) from None
            number_print = None
            if self.has_totals(merchant_id):
                if card is not None:
                    number_print = self.keys.order.print_of_number(merchant_id, card.card_no)
                elif card_id is not None:
                    number_print = await connection.fetchval(NUMBER_PRINT, merchant_id, card_id)
                numbers = [number_print] if number_print is not None else []
                facts.totals = used = await Totals(self.database).read(connection, merchant_id, day, numbers, now)
                counted = used.channels.keys() | {channel for of_card in used.cards.values() for channel in of_card}
                await read_in_flight(connection, merchant_id, day, used, counted, numbers)
            payers = {user_id: (user_id, card)}
            blocked = await read_blocks(connection, self.keys.order, merchant_id, self.blocks(merchant_id), payers, now)
        try:
            known = facts.of(merchant_id, user_id, card_id, self.keys, number_print)
            return replace(known, blocked=blocked[user_id]) if blocked else known
        except DecryptionError as error:
            raise stand_back(error) from None


async def _payment(connection: AsyncConnection, merchant_id: UUID, app: str, payment_id: UUID) -> Payment | None:
    mine = and_(_p.merchant_id == merchant_id, _p.payment_id == payment_id, _p.app == app)
    row = (await connection.execute(payment_select().where(mine))).mappings().first()
    return payment_of(row) if row is not None else None


async def _deliveries(
    connection: AsyncConnection, merchant_id: UUID, event_ids: Sequence[UUID]
) -> dict[UUID, list[Row[Any]]]:
    by_event: dict[UUID, list[Row[Any]]] = defaultdict(list)
    if not event_ids:
        return by_event
    of_events = select(deliveries).where(deliveries.c.merchant_id == merchant_id, deliveries.c.event_id.in_(event_ids))
    for row in await connection.execute(of_events.order_by(deliveries.c.event_id, deliveries.c.endpoint_id)):
        by_event[row.event_id].append(row)
    return by_event


def _event(row: Row[Any], its_deliveries: Sequence[Row[Any]]) -> RecordedEvent:
    return RecordedEvent(
        event_id=row.event_id,
        type=row.type,
        object=ObjectKind(row.object),
        object_id=row.object_id,
        sequence=row.sequence,
        created_at=row.created_at,
        body=row.body,
        deliveries=tuple(recorded_delivery(delivery) for delivery in its_deliveries),
    )
