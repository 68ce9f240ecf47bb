"""Open payments: one transaction for all the orders of a merchant that wait (docs/architecture.md).

(1) lock the users; (2) in the next statement read their facts; (3) route each order in turn, in memory, counting the
reservations of those before it; (4) insert everything with one statement, chained on the payments that were really
inserted: the order number is the arbiter, whoever comes second reads the first one's payment.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.blocks import BlockKind
from gateway.domain.cards import mask_card_no
from gateway.domain.carrying import CarriesOf, carries_all
from gateway.domain.catalogue import Catalogue, Counted
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM, Order
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind
from gateway.flows.notify import DueDelivery
from gateway.flows.opening import (
    Opened,
    Opening,
    open_payment,
    send_before,
    sms_to_pay,
    sms_to_sign,
    stands_in_line,
    without_code,
)
from gateway.flows.route import Unable
from gateway.ports import (
    CardNotFoundError,
    ChannelFullError,
    OpenResult,
    OrderConflictError,
    OverloadedError,
    Rooms,
    SendBeforeError,
    TermsOf,
)
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards
from gateway.storage.writing.authentications import authentications_by_id, insert_authentications
from gateway.storage.writing.blocks import read_blocks
from gateway.storage.writing.cards import CardRow, new_card_row
from gateway.storage.writing.codes import count_codes, read_codes_sent
from gateway.storage.writing.facts import Facts, read_facts
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
from gateway.storage.writing.outbox import HandOver, count_ended, count_events, deliveries_of, write_events
from gateway.storage.writing.payments import insert_decisions, insert_payments, payments_by_id
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.totals import Totals, count_reservations, print_numbers
from gateway.storage.writing.usage import reserve
from gateway.storage.writing.users import BusyUsers, lock_users

_Known = tuple[Payment | None, TakenOrder]
"""What an order number is taken by: a payment as it is now, or (None) something else."""


class _StarterLostError(Exception):
    """Another user's order took the number of a payment that was to open a card, for which others of the flush wait."""


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    merchant_id: UUID
    day: date
    catalogue: Catalogue
    facts: Facts
    prints: dict[UUID, bytes]
    """By the payment's id: that of the card that was typed."""
    counted: Counted
    numbers: dict[UUID, bytes]
    """By the payment's id: the print of its card's number, where a limit counts it."""
    blocked: dict[UUID, tuple[BlockKind, ...]]
    """By the payment's id: which kinds of entries of the block list name its payer."""
    opened: list[Opened] = field(default_factory=list)
    agreements: dict[UUID, str | None] = field(default_factory=dict)
    resumed: dict[UUID, OpenResult] = field(default_factory=dict)
    """Payments of an earlier try of this flush, whose COMMIT went through unheard."""
    new_cards: dict[UUID, Row] = field(default_factory=dict)
    codes_before: dict[bytes, int] = field(default_factory=dict)
    """By the print of a phone: the SMS it got today, where a channel asks for codes."""
    codes_sent: dict[bytes, int] = field(default_factory=dict)
    """The same: SMS that are asked for now."""
    number_prints: dict[UUID, bytes] = field(default_factory=dict)
    """The same by the card's id."""
    refused: dict[OrderKey, Exception] = field(default_factory=dict)
    """Orders that cannot be opened, alone among the others."""


class OpeningStore:
    """Records orders as payments; `flush` is what a Batcher calls.

    What is to be sent has a place of its channel before it is recorded: whoever opens it gives it back (`ports.Rooms`).
    `unusable`: a merchant's accounts whose settings cannot be used.
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
    ) -> None:
        self._database = database
        self._busy = busy or BusyUsers(database)
        self._totals = Totals(database)
        self._keys = keys
        self._catalogue = catalogue
        self._terms_of = terms_of
        self._timezone = timezone
        self._hand_over = hand_over
        self._clock = clock
        self._rooms = rooms
        self._unusable = unusable
        self._carries_of = carries_of

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
            flush = await self._read(connection, merchant_id, catalogue, firsts, now)
            known = await self._known(connection, merchant_id, flush.facts.orders)
            for opening in firsts:
                if _order_key(opening.order) not in known:
                    try:
                        self._open_one(flush, opening)
                    except DecryptionError as error:
                        flush.refused[_order_key(opening.order)] = stand_back(error)
                    except (CardNotFoundError, OverloadedError, SendBeforeError) as error:
                        flush.refused[_order_key(opening.order)] = error
            for opening in openings:
                if taken_by := known.get(_order_key(opening.order)):
                    await self._resume(connection, flush, opening, *taken_by)
            inserted, due = await self._insert(connection, flush, now) if flush.opened else (set(), [])
            lost = [opened.opening for opened in flush.opened if opened.payment.payment_id not in inserted]
            if lost:
                _check_starters(flush.opened, inserted)
                taken = await read_orders(connection, merchant_id, list(_order_keys(lost)))
                known |= await self._known(connection, merchant_id, taken)
        if self._hand_over and due:
            self._hand_over(due)
        count_events(o.event for o in flush.opened if o.event and o.payment.payment_id in inserted)
        count_ended(
            catalogue, (o.payment for o in flush.opened if o.payment.is_final and o.payment.payment_id in inserted)
        )
        fresh = {_order_key(o.opening.order): o for o in flush.opened if o.payment.payment_id in inserted}
        return [self._result(opening, fresh, known, flush) for opening in openings]

    async def _read(
        self,
        connection: Connection,
        merchant_id: UUID,
        catalogue: Catalogue,
        openings: list[Opening],
        now: datetime,
    ) -> _Flush:
        orders = [opening.order for opening in openings]
        users = {order.user_id for order in orders}
        day = now.astimezone(self._timezone).date()
        prints = {
            o.payment_id: self._keys.order.print_of_card(merchant_id, o.order.card)
            for o in openings
            if o.order.card and not o.order.card_id
        }
        masked = {
            prints[o.payment_id]: mask_card_no(o.order.card.card_no)
            for o in openings
            if o.order.card and not o.order.card_id
        }
        card_ids = [order.card_id for order in orders if order.card_id]
        facts = await read_facts(connection, merchant_id, users, day, masked, card_ids, _order_keys(openings))
        counted, numbers = catalogue.counted(merchant_id), {}
        if counted.cards:
            numbers = {
                o.payment_id: self._keys.order.print_of_number(merchant_id, o.order.card.card_no)
                for o in openings
                if o.order.card
            }
        if counted:
            facts.channel_totals, facts.card_totals = await self._totals.read(
                connection, merchant_id, day, set(numbers.values()), now
            )
        payers = {o.payment_id: (o.order.user_id, o.order.card) for o in openings}
        kinds = catalogue.blocks(merchant_id)
        blocked = await read_blocks(connection, self._keys.order, merchant_id, kinds, payers, now) if kinds else {}
        flush = _Flush(merchant_id, day, catalogue, facts, prints, counted, numbers, blocked)
        if catalogue.asks_for_codes(merchant_id):
            phones = {self._keys.order.print_of_phone(merchant_id, order.card.phone) for order in orders if order.card}
            flush.codes_before = await read_codes_sent(connection, merchant_id, phones, day)
        return flush

    def _open_one(self, flush: _Flush, opening: Opening) -> None:
        order = opening.order
        if order.send_before is not None:
            send_before(order, opening.now, self._timezone)  # refused whether there is a place or not
        card_id = self._card_id(flush, opening)
        number_print = flush.numbers.get(opening.payment_id)
        if card_id is not None and number_print is not None:
            flush.number_prints[card_id] = number_print
        facts = flush.facts.of(flush.merchant_id, order.user_id, card_id, self._keys, number_print)
        if by := flush.blocked.get(opening.payment_id):
            facts = replace(facts, blocked=by)
        full = self._rooms.full(flush.merchant_id, opening.payment_id) if order.kind is Kind.CHARGE else ()
        unable = Unable(self._unusable(flush.merchant_id), full)
        opened = open_payment(
            opening, card_id, facts, flush.catalogue, self._terms_of, self._timezone, unable, self._carries_of
        )
        if opened.sends_sms and not self._may_ask(flush, order):
            opened = without_code(opened)
        if order.kind is Kind.WITHHOLD and opened.payment.asked is None:
            opened = self._placed(opened)
        elif opened.sends and not self._rooms.take(opening.payment_id, flush.merchant_id, opened.sends):
            raise ChannelFullError(opened.sends)
        flush.opened.append(opened)
        payment = opened.payment
        if payment.channel is not None and payment.account is not None and not payment.is_final:
            flush.facts.reserve(order.user_id, payment.channel, order.amount, number_print)
            flush.agreements[payment.payment_id] = facts.agreements.get(payment.account)
        if opened.sends_sms and order.card is not None:
            phone = self._keys.order.print_of_phone(flush.merchant_id, order.card.phone)
            flush.codes_sent[phone] = flush.codes_sent.get(phone, 0) + 1
        if opened.authentication is not None:
            # Those of the same card that come after it wait for it, or are told that it is being signed.
            started = opened.authentication
            if started.asked is None:
                flush.facts.cards.authenticating[started.card_id][started.account] = started.authentication_id
            else:
                flush.facts.cards.signing[started.card_id].add(started.account)

    def _may_ask(self, flush: _Flush, order: Order) -> bool:
        """Whether the phone of an order may get one more SMS today."""
        assert order.card is not None
        phone = self._keys.order.print_of_phone(flush.merchant_id, order.card.phone)
        sent = flush.codes_before.get(phone, 0) + flush.codes_sent.get(phone, 0)
        return sent < flush.catalogue.sms_per_phone_and_day(flush.merchant_id)

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

    def _card_id(self, flush: _Flush, opening: Opening) -> UUID | None:
        """The card's row: the one that is named, the one that is known, or a new one to insert."""
        order = opening.order
        cards = flush.facts.cards
        if order.card_id is not None:
            named = cards.named.get(order.card_id)
            if order.card is None or named is None or cards.rows[named].erased:
                raise CardNotFoundError
            return named
        if order.card is None:
            return None
        print_of_card = flush.prints[opening.payment_id]
        known = cards.find(flush.merchant_id, order.user_id, print_of_card, order.card, self._keys)
        if known is not None:
            return known
        card_id = opening.new_card_id
        row, box = new_card_row(
            flush.merchant_id, card_id, order.user_id, order.card, order.bank, opening.now, self._keys
        )
        flush.new_cards[card_id] = row
        cards.add(order.user_id, print_of_card, CardRow(card_id, row["data_key"], opening.now), box)
        return card_id

    async def _insert(
        self, connection: Connection, flush: _Flush, now: datetime
    ) -> tuple[set[UUID], list[DueDelivery]]:
        """Write the flush with one statement; which payments were inserted, and what is to be delivered."""
        told = [opened.event for opened in flush.opened if opened.event]
        due = deliveries_of(told, flush.catalogue, now)
        routed = [o.payment for o in flush.opened if o.payment.channel is not None and not o.payment.is_final]
        started = [opened.authentication for opened in flush.opened if opened.authentication]
        intents = [(payment.payment_id, payment.attempt) for payment in routed if payment.attempt]
        intents += [(each.payment_id, each.intent) for each in started if each.payment_id and each.intent]
        intents += [(opened.payment.payment_id, opened.sms) for opened in flush.opened if opened.sms]
        paid_with = {opened.payment.card.card_id for opened in flush.opened if opened.payment.card}
        write = Write(flush.merchant_id)
        # Not those of orders that found no room: nothing is recorded of them.
        write.insert(cards, [row for card_id, row in flush.new_cards.items() if card_id in paid_with])
        insert_orders(write, [self._order_row(opened) for opened in flush.opened], "payment_id")
        insert_payments(write, [(o.opening.order, o.payment) for o in flush.opened], only=NEW_ORDERS)
        insert_decisions(write, [(o.payment.payment_id, o.decision) for o in flush.opened], only=NEW_ORDERS)
        insert_intents(write, intents, only=NEW_ORDERS)
        reserve(write, routed, only=NEW_ORDERS)
        if flush.counted:
            count_reservations(
                write, routed, flush.counted, self._totals.part(now), flush.number_prints, only=NEW_ORDERS
            )
            first_version = {key for key, row in flush.facts.cards.rows.items() if row.data_key is None}
            print_numbers(write, {key: flush.number_prints[key] for key in first_version & flush.number_prints.keys()})
        insert_authentications(write, started, only=NEW_ORDERS)
        count_codes(write, flush.codes_sent, flush.day)
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

    async def _known(
        self, connection: Connection, merchant_id: UUID, taken: Mapping[OrderKey, TakenOrder]
    ) -> dict[OrderKey, _Known]:
        """What has the order numbers that were used before."""
        ids = [order.object_id for order in taken.values() if order.object is ObjectKind.PAYMENT]
        found = {p.payment_id: p for p in await payments_by_id(connection, merchant_id, ids)} if ids else {}
        return {key: (found.get(order.object_id), order) for key, order in taken.items()}

    async def _resume(
        self, connection: Connection, flush: _Flush, opening: Opening, payment: Payment | None, taken: TakenOrder
    ) -> None:
        """If the row is our own, the answer to an earlier COMMIT was lost, and the flush is tried again.

        What it recorded is ours to send as long as nobody else has asked about it.
        """
        if payment is None or taken.object_id != opening.payment_id:
            return
        # Nothing of it is ours to send where the router refused it, where it waits for another's authentication, or
        # where it stands in line.
        waits = payment.waits_for_authentication and payment.authentication_id != opening.authentication_id
        ours = payment.channel is None or waits or payment.waits_for_place
        result = OpenResult(payment, replayed=not ours)
        attempt, asked = payment.attempt, payment.asked
        if attempt is not None and attempt.intent_id == opening.intent_id and attempt.is_untouched:
            try:
                result = OpenResult(payment, replayed=False, agreement_no=self._agreement(flush, payment))
            except DecryptionError as error:
                flush.refused[_order_key(opening.order)] = stand_back(error)
        elif asked is not None and asked.sending and asked.sms == 1 and not waits and not payment.is_final:
            try:
                agreement_no = self._agreement(flush, payment)
            except DecryptionError as error:
                flush.refused[_order_key(opening.order)] = stand_back(error)
            else:
                sms = sms_to_pay(payment, opening.intent_id, payment.created_at)
                result = OpenResult(payment, replayed=False, agreement_no=agreement_no, sms=sms)
        elif payment.waits_for_authentication and payment.authentication_id is not None:
            ids = [payment.authentication_id]
            found = (await authentications_by_id(connection, flush.merchant_id, ids)).get(ids[0])
            mine, signs = (found.intent, found.asked) if found else (None, None)
            if mine and mine.intent_id == opening.intent_id and mine.is_untouched:
                result = OpenResult(payment, replayed=False, authentication=found)
            elif found and mine is None and signs and signs.sending and signs.sms == 1 and not waits:
                sms = sms_to_sign(found, opening.intent_id, found.created_at)
                result = OpenResult(payment, replayed=False, authentication=found, sms=sms)
        flush.resumed[payment.payment_id] = result

    def _result(
        self, opening: Opening, fresh: dict[OrderKey, Opened], known: dict[OrderKey, _Known], flush: _Flush
    ) -> OpenResult | Exception:
        key = _order_key(opening.order)
        if key in flush.refused:
            return flush.refused[key]
        new = fresh.get(key)
        if new is not None:
            payment = new.payment
            if payment.payment_id == opening.payment_id:
                agreement_no = flush.agreements.get(payment.payment_id)
                return OpenResult(payment, False, agreement_no, new.authentication, new.sms)
            same = new.opening.order.body == opening.order.body
            return OpenResult(payment, replayed=True) if same else OrderConflictError(opening.order.merchant_order_no)
        if opening.payment_id in flush.resumed:
            return flush.resumed[opening.payment_id]
        before, taken = known[key]
        if before is None or not self._is_the_same(opening.order, before, taken):
            return OrderConflictError(opening.order.merchant_order_no)
        return OpenResult(before, replayed=True)

    def _is_the_same(self, order: Order, payment: Payment, taken: TakenOrder) -> bool:
        """Whether an order has the content of the one that took its number."""
        same = same_content(self._keys, taken, order.body_in(taken.hash_form))
        if same is not None:
            return same
        # The key of the first version's hash has left the ring. What cannot be compared is no conflict: an app that is
        # told of one takes a new number, and the user pays twice.
        return (order.kind, order.scene, order.user_id, order.amount, order.currency) == (
            payment.kind,
            payment.scene,
            payment.user_id,
            payment.amount,
            payment.currency,
        )

    def _agreement(self, flush: _Flush, payment: Payment) -> str | None:
        if payment.account is None or payment.card is None:
            return None
        facts = flush.facts.of(flush.merchant_id, payment.user_id, payment.card.card_id, self._keys)
        return facts.agreements.get(payment.account)


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


def _order_key(order: Order) -> OrderKey:
    return order.app, order.merchant_order_no


def _order_keys(openings: Iterable[Opening]) -> set[OrderKey]:
    return {_order_key(opening.order) for opening in openings}


def _first_of_each_order(openings: list[Opening]) -> list[Opening]:
    firsts: dict[OrderKey, Opening] = {}
    for opening in openings:
        firsts.setdefault(_order_key(opening.order), opening)
    return list(firsts.values())
