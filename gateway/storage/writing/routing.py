"""Record routes: one transaction for all the orders of a merchant that wait, as `opening` does for payments.

The users' rows are locked, their facts read in the next statement, each order routed in turn, counting the reservations
of those before it, and everything is written by one statement. Nothing of it is ever sent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.recorded_routes import RecordedRoute
from gateway.domain.statuses import Status
from gateway.flows.recorded_routes import RouteOpening, RouteResult, record_route
from gateway.ports import CardNotFoundError, OrderConflictError
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards
from gateway.storage.writing.cards import card_id_of
from gateway.storage.writing.opening_page import OpeningPage, Reading, order_key
from gateway.storage.writing.orders import (
    NEW_ORDERS,
    OrderKey,
    OrderRow,
    TakenOrder,
    insert_orders,
    read_orders,
    same_content,
)
from gateway.storage.writing.payments import insert_decisions
from gateway.storage.writing.routes import insert_routes, routes_by_id
from gateway.storage.writing.statement import Write
from gateway.storage.writing.totals import Totals, count_reservations, print_numbers
from gateway.storage.writing.usage import reserve
from gateway.storage.writing.users import BusyUsers, lock_users

__all__ = ["RoutingStore"]


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    page: OpeningPage
    recorded: dict[OrderKey, tuple[RouteOpening, RecordedRoute]] = field(default_factory=dict)
    inserted: set[UUID] = field(default_factory=set)
    taken: dict[OrderKey, TakenOrder] = field(default_factory=dict)
    known: dict[UUID, RecordedRoute] = field(default_factory=dict)


class RoutingStore:
    """Records orders as routes; `flush` is what a Batcher calls. `timezone` is that of the business day."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        timezone: ZoneInfo,
        clock: Callable[[], datetime],
        busy: BusyUsers,
        carries_of: CarriesOf,
    ) -> None:
        self._database, self._keys, self._catalogue = database, keys, catalogue
        self._timezone, self._clock, self._busy, self._carries_of = timezone, clock, busy, carries_of
        self._totals = Totals(database)
        self._reading = Reading(keys, self._totals)

    async def flush(self, openings: list[RouteOpening]) -> Sequence[RouteResult | Exception]:
        """Record many of one merchant. The results stand in the order of the openings.

        Orders of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await self._busy.without(openings, lambda one: (one.order.merchant_id, one.order.user_id), self._record)

    async def _record(self, openings: list[RouteOpening]) -> Sequence[RouteResult | Exception]:
        merchant_id, catalogue, now = openings[0].order.merchant_id, self._catalogue(), self._clock()
        today = now.astimezone(self._timezone).date()
        await self._totals.making_good.ready(merchant_id, catalogue.counted(merchant_id), today, now)
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (each.order.user_id for each in openings), now)
            now = self._clock()  # after the waits: what is recorded on a day was routed by the facts of that day
            openings = [replace(each, now=now) for each in openings]
            day = now.astimezone(self._timezone).date()
            page = await self._reading.read(connection, merchant_id, catalogue, openings, now, day)
            flush = _Flush(page, taken=page.facts.orders)
            for opening in openings:
                key = order_key(opening.order)
                if key not in flush.taken and key not in flush.recorded and key not in page.refused:
                    self._record_one(flush, opening)
            if flush.recorded:
                flush.inserted = await self._insert(connection, flush, now)
            lost = [key for key, (_, route) in flush.recorded.items() if route.route_id not in flush.inserted]
            if lost:
                flush.taken = flush.taken | await read_orders(connection, merchant_id, lost)
            ids = [order.object_id for order in flush.taken.values() if order.object is ObjectKind.ROUTE]
            flush.known = await routes_by_id(connection, merchant_id, ids) if ids else {}
        return [self._result(opening, flush) for opening in openings]

    def _record_one(self, flush: _Flush, opening: RouteOpening) -> None:
        page, order, key = flush.page, opening.order, order_key(opening.order)
        try:
            if order.card_id is not None and order.card is None:
                raise CardNotFoundError
            printed, known = page.prints.get(opening.route_id), page.facts.cards
            card_id = card_id_of(order, printed, known, page.new_cards, opening.new_card_id, opening.now, self._keys)
            number_print = page.numbers.get(opening.route_id)
            if card_id is not None and number_print is not None:
                page.number_prints[card_id] = number_print
            facts = page.facts.of(page.merchant_id, order.user_id, card_id, self._keys, number_print)
        except DecryptionError as error:
            page.refused[key] = stand_back(error)
            return
        except CardNotFoundError as error:
            page.refused[key] = error
            return
        facts = replace(facts, blocked=page.blocked.get(opening.route_id, ()))
        route = record_route(opening, card_id, facts, page.catalogue, self._timezone, self._carries_of)
        flush.recorded[key] = opening, route
        if route.channel is not None:
            page.facts.reserve(order.user_id, route.channel, order.amount, number_print)

    async def _insert(self, connection: Connection, flush: _Flush, now: datetime) -> set[UUID]:
        """Write the flush with one statement; which routes were inserted."""
        page, routes = flush.page, [route for _, route in flush.recorded.values()]
        reserving = [route for route in routes if route.status is Status.OPEN]
        used = {route.card.card_id for route in routes if route.card}
        write = Write(page.merchant_id)
        write.insert(cards, [row for card_id, row in page.new_cards.items() if card_id in used])
        orders = [self._order_row(opening) for opening, _ in flush.recorded.values()]
        insert_orders(write, orders, "payment_id")  # the name by which usage and totals count what is new
        insert_routes(write, routes, only=NEW_ORDERS)
        insert_decisions(write, [(route.route_id, route.decision) for route in routes], only=NEW_ORDERS)
        reserve(write, reserving, only=NEW_ORDERS)
        if page.counted:
            part = self._totals.part(now)
            count_reservations(write, reserving, page.counted, part, page.number_prints, only=NEW_ORDERS)
            first_version = {key for key, row in page.facts.cards.rows.items() if row.data_key is None}
            print_numbers(write, {key: page.number_prints[key] for key in first_version & page.number_prints.keys()})
        return {row[0] for row in await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}")}

    def _order_row(self, opening: RouteOpening) -> OrderRow:
        order = opening.order
        return OrderRow(
            app=order.app,
            merchant_order_no=order.merchant_order_no,
            object=ObjectKind.ROUTE,
            object_id=opening.route_id,
            body_hash=self._keys.order.request_hash(order.body),
            hash_form=IN_ONE_FORM,
        )

    def _result(self, opening: RouteOpening, flush: _Flush) -> RouteResult | Exception:
        order, key = opening.order, order_key(opening.order)
        if key in flush.page.refused:
            return flush.page.refused[key]
        new = flush.recorded.get(key)
        if new is not None and new[1].route_id in flush.inserted:
            first, route = new
            if route.route_id == opening.route_id:
                return RouteResult(route, replayed=False)
            same = first.order.body == order.body
            return RouteResult(route, replayed=True) if same else OrderConflictError(order.merchant_order_no)
        before = flush.taken[key]
        found = flush.known.get(before.object_id)
        if found is None or same_content(self._keys, before, order.body_in(before.hash_form)) is False:
            return OrderConflictError(order.merchant_order_no)
        # Our own row: the answer to an earlier COMMIT was lost.
        return RouteResult(found, replayed=found.route_id != opening.route_id)
