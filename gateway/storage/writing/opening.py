"""Open payments: one transaction for all the orders of a merchant that wait (docs/architecture.md).

(1) lock the users; (2) in the next statement read their facts; (3) route each order in turn, in memory, counting the
reservations of those before it; (4) insert everything with one statement, chained on the payments that were really
inserted: the order number is the arbiter, whoever comes second reads the first one's payment.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.ailing import AilingOf, all_well
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import STANDARD_LIMITS, CheckoutLimits
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM, Order
from gateway.domain.scenes import Kind
from gateway.flows.notify import DueDelivery
from gateway.flows.opening import Opened, Opening, open_payment, send_before, stands_in_line, without_code
from gateway.flows.route import Unable
from gateway.ports import (
    CardNotFoundError,
    ChannelFullError,
    CheckoutRefusedError,
    OpenResult,
    OverloadedError,
    Rooms,
    SendBeforeError,
    TermsOf,
)
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards
from gateway.storage.writing.authentications import insert_authentications
from gateway.storage.writing.cards import card_id_of
from gateway.storage.writing.checkouts import count_tries
from gateway.storage.writing.codes import count_codes
from gateway.storage.writing.comes_again import ComesAgain
from gateway.storage.writing.intents import insert_intents
from gateway.storage.writing.opening_page import OpeningPage, Reading, order_key, order_keys
from gateway.storage.writing.orders import NEW_ORDERS, OrderKey, OrderRow, insert_orders, read_orders
from gateway.storage.writing.outbox import HandOver, count_ended, count_events, deliveries_of, write_events
from gateway.storage.writing.payments import insert_decisions, insert_payments
from gateway.storage.writing.statement import Write
from gateway.storage.writing.totals import Totals, count_reservations, print_numbers
from gateway.storage.writing.trying import read_trying
from gateway.storage.writing.usage import reserve
from gateway.storage.writing.users import BusyUsers, lock_users


class _StarterLostError(Exception):
    """Another user's order took the number of a payment that was to open a card, for which others of the flush wait."""


class OpeningStore:
    """Records orders as payments; `flush` is what a Batcher calls.

    What is to be sent has a place of its channel before it is recorded: whoever opens it gives it back (`ports.Rooms`).
    `unusable`: a merchant's accounts whose settings cannot be used. `pages`: the address under which our pages stand.
    `ailing`: which channels a merchant's payments are to avoid.
    """

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        timezone: ZoneInfo,
        hand_over: HandOver | None,
        clock: Callable[[], datetime],
        rooms: Rooms,
        unusable: Callable[[UUID], Collection[str]],
        busy: BusyUsers | None = None,
        carries_of: CarriesOf = carries_all,
        pages: str = "",
        limits: CheckoutLimits = STANDARD_LIMITS,
        ailing: AilingOf = all_well,
    ) -> None:
        self._database = database
        self._busy = busy or BusyUsers(database)
        self._totals = Totals(database)
        self._keys = keys
        self._reading, self._again = Reading(keys, self._totals), ComesAgain(keys)
        self._catalogue = catalogue
        self._terms_of = terms_of
        self._timezone = timezone
        self._hand_over = hand_over
        self._clock = clock
        self._rooms = rooms
        self._unusable = unusable
        self._carries_of = carries_of
        self._pages, self._limits = pages, limits
        self._ailing = ailing

    async def flush(self, openings: list[Opening]) -> Sequence[OpenResult | Exception]:
        """Open many orders of one merchant. The results stand in the order of the openings.

        Orders of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await self._busy.without(
            openings, lambda opening: (opening.order.merchant_id, opening.order.user_id), self._open_once
        )

    async def _open_once(self, openings: list[Opening]) -> Sequence[OpenResult | Exception]:
        try:
            return await self._open(openings)
        except _StarterLostError:
            # Its number is known to be taken now, so that the next of its card opens the card.
            return await self._open(openings)

    async def _open(self, openings: list[Opening]) -> Sequence[OpenResult | Exception]:
        catalogue = self._catalogue()
        merchant_id = openings[0].order.merchant_id
        now = self._clock()
        await self._totals.making_good.ready(
            merchant_id, catalogue.counted(merchant_id), now.astimezone(self._timezone).date(), now
        )
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (opening.order.user_id for opening in openings), self._clock())
            # One moment for all, after the waits: what is recorded on a business day was routed by the facts of that
            # day, and an intent is as old as its commit, however long its order stood in the queue.
            now = self._clock()
            openings = [replace(opening, now=now) for opening in openings]
            firsts = _first_of_each_order(openings)
            day = now.astimezone(self._timezone).date()
            page = await self._reading.read(connection, merchant_id, catalogue, firsts, now, day)
            page.trying = await read_trying(connection, merchant_id, [each.order for each in firsts], self._limits, now)
            known = await self._again.known(connection, merchant_id, page.facts.orders)
            for opening in firsts:
                if order_key(opening.order) not in known:
                    try:
                        self._open_one(page, opening)
                    except DecryptionError as error:
                        page.refused[order_key(opening.order)] = stand_back(error)
                    except (CardNotFoundError, CheckoutRefusedError, OverloadedError, SendBeforeError) as error:
                        page.refused[order_key(opening.order)] = error
            for opening in openings:
                if taken_by := known.get(order_key(opening.order)):
                    await self._again.resume(connection, page, opening, *taken_by)
            inserted, due = await self._insert(connection, page, now) if page.opened else (set(), [])
            lost = [opened.opening for opened in page.opened if opened.payment.payment_id not in inserted]
            if lost:
                _check_starters(page.opened, inserted)
                taken = await read_orders(connection, merchant_id, list(order_keys(lost)))
                known |= await self._again.known(connection, merchant_id, taken)
        if self._hand_over and due:
            self._hand_over(due)
        count_events(o.event for o in page.opened if o.event and o.payment.payment_id in inserted)
        count_ended(
            catalogue, (o.payment for o in page.opened if o.payment.is_final and o.payment.payment_id in inserted)
        )
        fresh = {order_key(o.opening.order): o for o in page.opened if o.payment.payment_id in inserted}
        return [self._again.result(opening, fresh, known, page) for opening in openings]

    def _open_one(self, page: OpeningPage, opening: Opening) -> None:
        order = opening.order
        if order.send_before is not None:
            send_before(order, opening.now, self._timezone)  # refused whether there is a place or not
        printed, known = page.prints.get(opening.payment_id), page.facts.cards
        card_id = card_id_of(order, printed, known, page.new_cards, opening.new_card_id, opening.now, self._keys)
        new_card = card_id if card_id in page.new_cards else None
        page.trying.check(order, opening.now, new_card=new_card)
        number_print = page.numbers.get(opening.payment_id)
        if card_id is not None and number_print is not None:
            page.number_prints[card_id] = number_print
        facts = page.facts.of(page.merchant_id, order.user_id, card_id, self._keys, number_print)
        if by := page.blocked.get(opening.payment_id):
            facts = replace(facts, blocked=by)
        full = self._rooms.full(page.merchant_id, opening.payment_id) if order.kind is Kind.CHARGE else ()
        unable = Unable(
            self._unusable(page.merchant_id), full, self._ailing(page.merchant_id), payment_id=opening.payment_id
        )
        opened = open_payment(
            opening, card_id, facts, page.catalogue, self._terms_of, self._timezone, unable, self._carries_of,
            lambda payment_id: f"{self._pages}/pay/{self._keys.order.page_token(page.merchant_id, payment_id)}",
        )  # fmt: skip
        if order.kind is Kind.WITHHOLD:
            opened = self._placed(opened)  # in line nobody is asked for a code yet
        if opened.sends_sms and not self._may_ask(page, order):
            opened = without_code(opened)
        elif (
            order.kind is not Kind.WITHHOLD
            and opened.sends
            and not self._rooms.take(opening.payment_id, page.merchant_id, opened.sends)
        ):
            raise ChannelFullError(opened.sends)
        page.opened.append(opened)
        payment = opened.payment
        page.trying.begin(order, payment.payment_id, sms=opened.sends_sms, new_card=new_card)
        if payment.channel is not None and payment.account is not None and not payment.is_final:
            page.facts.reserve(order.user_id, payment.channel, order.amount, number_print)
            page.agreements[payment.payment_id] = facts.agreements.get(payment.account)
        if opened.sends_sms and order.card is not None:
            phone = self._keys.order.print_of_phone(page.merchant_id, order.card.phone)
            page.codes_sent[phone] = page.codes_sent.get(phone, 0) + 1
        if opened.authentication is not None:
            # Those of the same card that come after it wait for it, or are told that it is being signed.
            started = opened.authentication
            if started.asked is None:
                page.facts.cards.authenticating[started.card_id][started.account] = started.authentication_id
            else:
                page.facts.cards.signing[started.card_id].add(started.account)

    def _may_ask(self, page: OpeningPage, order: Order) -> bool:
        """Whether the phone of an order may get one more SMS today."""
        assert order.card is not None
        phone = self._keys.order.print_of_phone(page.merchant_id, order.card.phone)
        if not page.trying.may_ask(order):
            return False
        sent = page.codes_before.get(phone, 0) + page.codes_sent.get(phone, 0)
        return sent < page.catalogue.sms_per_phone_and_day(page.merchant_id)

    def _placed(self, opened: Opened) -> Opened:
        """A withhold with its place; without one it stands in line, behind those that do already."""
        merchant_id, channel = opened.payment.merchant_id, opened.sends
        if channel is None:
            return opened
        if not self._rooms.has_line(merchant_id, channel) and self._rooms.take(
            opened.payment.payment_id, merchant_id, channel
        ):
            return opened
        self._rooms.stand_in_line(merchant_id, channel)
        return stands_in_line(opened, send_before(opened.opening.order, opened.opening.now, self._timezone))

    async def _insert(
        self, connection: Connection, page: OpeningPage, now: datetime
    ) -> tuple[set[UUID], list[DueDelivery]]:
        """Write the flush with one statement; which payments were inserted, and what is to be delivered."""
        told = [opened.event for opened in page.opened if opened.event]
        due = deliveries_of(told, page.catalogue, now)
        routed = [o.payment for o in page.opened if o.payment.channel is not None and not o.payment.is_final]
        started = [opened.authentication for opened in page.opened if opened.authentication]
        intents = [(payment.payment_id, payment.attempt) for payment in routed if payment.attempt]
        intents += [(each.payment_id, each.intent) for each in started if each.payment_id and each.intent]
        intents += [(opened.payment.payment_id, opened.sms) for opened in page.opened if opened.sms]
        paid_with = {opened.payment.card.card_id for opened in page.opened if opened.payment.card}
        write = Write(page.merchant_id)
        # Not those of orders that found no room: nothing is recorded of them.
        write.insert(cards, [row for card_id, row in page.new_cards.items() if card_id in paid_with])
        insert_orders(write, [self._order_row(opened) for opened in page.opened], "payment_id")
        insert_payments(write, [(o.opening.order, o.payment) for o in page.opened], only=NEW_ORDERS)
        count_tries(write, page.trying.begun, only=NEW_ORDERS)
        insert_decisions(write, [(o.payment.payment_id, o.decision) for o in page.opened], only=NEW_ORDERS)
        insert_intents(write, intents, only=NEW_ORDERS)
        reserve(write, routed, only=NEW_ORDERS)
        if page.counted:
            count_reservations(write, routed, page.counted, self._totals.part(now), page.number_prints, only=NEW_ORDERS)
            first_version = {key for key, row in page.facts.cards.rows.items() if row.data_key is None}
            print_numbers(write, {key: page.number_prints[key] for key in first_version & page.number_prints.keys()})
        insert_authentications(write, started, only=NEW_ORDERS)
        count_codes(write, page.codes_sent, page.day)
        write_events(write, told, due, leased=self._hand_over is not None, only=NEW_ORDERS)
        ids = {row[0] for row in await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}")}
        kept = {event.event_id for event in told if event.object_id in ids}
        return ids, [delivery for delivery in due if delivery.event_id in kept]

    def _order_row(self, opened: Opened) -> OrderRow:
        order = opened.opening.order
        return OrderRow(
            app=order.app,
            merchant_order_no=order.merchant_order_no,
            object=ObjectKind.PAYMENT,
            object_id=opened.payment.payment_id,
            body_hash=self._keys.order.request_hash(order.body),
            hash_form=IN_ONE_FORM,
        )


def _check_starters(opened: Iterable[Opened], inserted: set[UUID]) -> None:
    """Raises _StarterLostError if a payment waits for what one started that was not inserted."""
    waiting, lost = set(), set()
    for each in opened:
        if each.payment.payment_id in inserted:
            waiting.add(each.payment.authentication_id)
        elif each.authentication is not None:
            lost.add(each.authentication.authentication_id)
    if waiting & lost:
        raise _StarterLostError


def _first_of_each_order(openings: list[Opening]) -> list[Opening]:
    firsts: dict[OrderKey, Opening] = {}
    for opening in openings:
        firsts.setdefault(order_key(opening.order), opening)
    return list(firsts.values())
