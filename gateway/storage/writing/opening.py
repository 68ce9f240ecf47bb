"""Open payments: one transaction for all the orders of a merchant that wait (docs/architecture.md).

(1) lock the users; (2) in the next statement read their facts; (3) route each order in turn, in memory, counting the
reservations of those before it; (4) insert everything with one statement, chained on the payments that were really
inserted: the order number is the arbiter, whoever comes second reads the first one's payment.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from gateway.domain.cards import mask_card_no
from gateway.domain.catalogue import Catalogue
from gateway.domain.orders import IN_ONE_FORM, Order
from gateway.domain.payments import Attempt, Payment
from gateway.flows.notify import DueDelivery
from gateway.flows.opening import Opened, Opening, open_payment
from gateway.ports import CardNotFoundError, OpenResult, OrderConflictError, TermsOf
from gateway.storage.keys import ORDER_KEY_VERSION, DecryptionError, Keys, stand_back
from gateway.storage.rows import payments_by_id
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import attempts, authentications, cards, channel_usage, payments
from gateway.storage.writing.cards import CardRow, new_card_row
from gateway.storage.writing.facts import Facts, OrderKey, TakenOrder, add_totals, read_facts
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.users import lock_users, without_the_busy


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    merchant_id: UUID
    catalogue: Catalogue
    facts: Facts
    prints: dict[UUID, bytes]
    """By the payment's id: that of the card that was typed."""
    opened: list[Opened] = field(default_factory=list)
    agreements: dict[UUID, str | None] = field(default_factory=dict)
    new_cards: dict[UUID, Row] = field(default_factory=dict)
    refused: dict[OrderKey, Exception] = field(default_factory=dict)
    """Orders that cannot be opened, alone among the others."""


class OpeningStore:
    """Records orders as payments; `flush` is what a Batcher calls."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        timezone: ZoneInfo,
        hand_over: HandOver | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._keys = keys
        self._catalogue = catalogue
        self._terms_of = terms_of
        self._timezone = timezone
        self._hand_over = hand_over
        self._clock = clock

    async def flush(self, openings: list[Opening]) -> Sequence[OpenResult | Exception]:
        """Open many orders of one merchant. The results stand in the order of the openings.

        Orders of users whom somebody else holds are refused as an overload, so that the others need not wait.
        """
        return await without_the_busy(
            self._database, openings, lambda opening: (opening.order.merchant_id, opening.order.user_id), self._open
        )

    async def _open(self, openings: list[Opening]) -> Sequence[OpenResult | Exception]:
        catalogue = self._catalogue()
        merchant_id = openings[0].order.merchant_id
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
                    except CardNotFoundError as error:
                        flush.refused[_order_key(opening.order)] = error
            inserted, due = await self._insert(connection, flush, now) if flush.opened else (set(), [])
            results = {opened.payment.payment_id: opened.payment for opened in flush.opened}
            lost = [opened.opening for opened in flush.opened if opened.payment.payment_id not in inserted]
            if lost:
                again = await read_facts(connection, merchant_id, (), now.date(), {}, (), _order_keys(lost))
                known |= await self._known(connection, merchant_id, again.orders)
        if self._hand_over and due:
            self._hand_over(due)
        count_events(o.event for o in flush.opened if o.event and o.payment.payment_id in inserted)
        fresh = {
            _order_key(o.opening.order): results[o.payment.payment_id]
            for o in flush.opened
            if o.payment.payment_id in inserted
        }
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
        if catalogue.has_totals(merchant_id):
            await add_totals(connection, facts, merchant_id, users, day, facts.cards.rows.keys())
        return _Flush(merchant_id, catalogue, facts, prints)

    def _open_one(self, flush: _Flush, opening: Opening) -> None:
        order = opening.order
        card_id = self._card_id(flush, opening)
        facts = flush.facts.of(flush.merchant_id, order.user_id, card_id, self._keys)
        opened = open_payment(opening, card_id, facts, flush.catalogue, self._terms_of, self._timezone)
        flush.opened.append(opened)
        attempt = opened.payment.attempt
        if attempt is not None:
            flush.facts.reserve(order.user_id, attempt.channel, card_id, order.amount)
            flush.agreements[opened.payment.payment_id] = facts.agreements.get(attempt.account)

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
        told = [(opened.payment.payment_id, opened.event) for opened in flush.opened if opened.event]
        due = deliveries_of((event for _, event in told), flush.catalogue, now)
        routed = [opened for opened in flush.opened if opened.payment.attempt]
        write = Write(flush.merchant_id)
        write.insert(cards, list(flush.new_cards.values()))
        write.insert(
            payments,
            # In one order everywhere: two flushes that share order numbers of different users wait for each other here.
            [self._payment_row(opened) for opened in sorted(flush.opened, key=lambda o: _order_key(o.opening.order))],
            conflict="ON CONFLICT (merchant_id, app, merchant_order_no) DO NOTHING",
            returning="RETURNING payment_id",
        )
        inserted = ("new_payments", "payment_id")
        write.insert(attempts, [_attempt_row(opened) for opened in routed], only=inserted)
        write.insert(
            channel_usage,
            [_reservation_row(opened) for opened in routed],
            only=inserted,
            summed=("reserved", "succeeded", "insufficient"),
            conflict="ON CONFLICT (merchant_id, user_id, channel, business_day) "
            "DO UPDATE SET reserved = channel_usage.reserved + excluded.reserved",
        )
        authenticated = [opened for opened in routed if opened.authentication_fee is not None]
        write.insert(authentications, [_authentication_row(opened) for opened in authenticated], only=inserted)
        write_events(write, told, due, leased=self._hand_over is not None, only="new_payments")
        ids = {row[0] for row in await write.run(connection, "SELECT payment_id FROM new_payments")}
        kept = {event.event_id for payment_id, event in told if payment_id in ids}
        return ids, [delivery for delivery in due if delivery.event_id in kept]

    def _payment_row(self, opened: Opened) -> Row:
        order, payment = opened.opening.order, opened.payment
        failure, due = payment.failure, payment.due
        return {
            "payment_id": payment.payment_id,
            "app": order.app,
            "merchant_order_no": order.merchant_order_no,
            "body_hash": self._keys.order.request_hash(order.body),
            "hash_version": ORDER_KEY_VERSION,
            "hash_form": IN_ONE_FORM,
            "kind": order.kind,
            "scene": order.scene,
            "user_id": order.user_id,
            "card_id": payment.card.card_id if payment.card else None,
            "bank": order.bank,
            "amount": order.amount,
            "currency": order.currency,
            "status": payment.status,
            "channel": payment.channel,
            "fee": payment.fee,
            "failure_code": failure.code if failure else None,
            "failure_blame": failure.blame if failure else None,
            "decision": orjson.dumps(opened.decision).decode(),
            "description": order.description,
            "metadata": orjson.dumps(order.metadata).decode(),
            "customer_present": order.customer_present,
            "return_url": order.return_url,
            "expires_in_s": order.expires_in_s,
            "sequence": payment.sequence,
            "due_kind": due.kind if due else None,
            "due_at": due.at if due else None,
            "created_at": payment.created_at,
            "finished_at": payment.finished_at,
            "business_day": payment.business_day,
        }

    async def _known(
        self, connection: Connection, merchant_id: UUID, taken: Mapping[OrderKey, TakenOrder]
    ) -> dict[OrderKey, tuple[Payment, TakenOrder]]:
        """The payments of order numbers that were used before."""
        if not taken:
            return {}
        by_id = {order.payment_id: (key, order) for key, order in taken.items()}
        found = await payments_by_id(connection, merchant_id, by_id)
        return {by_id[p.payment_id][0]: (p, by_id[p.payment_id][1]) for p in found}

    def _result(
        self,
        opening: Opening,
        fresh: dict[OrderKey, Payment],
        known: dict[OrderKey, tuple[Payment, TakenOrder]],
        flush: _Flush,
    ) -> OpenResult | Exception:
        key = _order_key(opening.order)
        if key in flush.refused:
            return flush.refused[key]
        new = fresh.get(key)
        if new is not None:
            if new.payment_id == opening.payment_id:
                return OpenResult(new, replayed=False, agreement_no=flush.agreements.get(new.payment_id))
            first = next(o.opening.order for o in flush.opened if o.payment.payment_id == new.payment_id)
            same = first.body == opening.order.body
            return OpenResult(new, replayed=True) if same else OrderConflictError(opening.order.merchant_order_no)
        payment, taken = known[key]
        if payment.payment_id == opening.payment_id:
            # Our own row: the answer to an earlier COMMIT was lost, and the flush was tried again. It is ours to submit
            # as long as nobody else has taken it up.
            replayed = payment.attempt is not None and not _is_untouched(payment, payment.attempt)
            try:
                return OpenResult(payment, replayed, agreement_no=self._agreement(flush, payment))
            except DecryptionError as error:
                return stand_back(error)
        if not self._is_the_same(opening.order, payment, taken):
            return OrderConflictError(opening.order.merchant_order_no)
        return OpenResult(payment, replayed=True)

    def _is_the_same(self, order: Order, payment: Payment, taken: TakenOrder) -> bool:
        """Whether an order has the content of the one that took its number."""
        ours = self._keys.request_hash(order.body_in(taken.hash_form), taken.hash_version)
        if ours is not None:
            return hmac.compare_digest(ours, taken.body_hash)
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
        if payment.attempt is None or payment.card is None:
            return None
        facts = flush.facts.of(flush.merchant_id, payment.user_id, payment.card.card_id, self._keys)
        return facts.agreements.get(payment.attempt.account)


def _is_untouched(payment: Payment, attempt: Attempt) -> bool:
    return attempt.submitted_at == payment.created_at and attempt.polls == 0


def _attempt_row(opened: Opened) -> Row:
    payment, attempt = opened.payment, opened.payment.attempt
    assert attempt is not None
    return {
        "attempt_id": attempt.attempt_id,
        "payment_id": payment.payment_id,
        "channel": attempt.channel,
        "account": attempt.account,
        "stage": attempt.stage,
        "authentication_id": attempt.authentication_id,
        "submitted_at": attempt.submitted_at,
        "polls": attempt.polls,
        "acknowledged": attempt.acknowledged,
        "not_found": attempt.not_found,
        "late_success": attempt.late_success,
    }


def _authentication_row(opened: Opened) -> Row:
    payment, attempt = opened.payment, opened.payment.attempt
    assert attempt is not None
    assert payment.card is not None
    return {
        "authentication_id": attempt.authentication_id,
        "payment_id": payment.payment_id,
        "card_id": payment.card.card_id,
        "account": attempt.account,
        "channel": attempt.channel,
        "status": "processing",
        "fee": opened.authentication_fee,
        "contradicts": False,
        "created_at": attempt.submitted_at,
    }


def _reservation_row(opened: Opened) -> Row:
    payment = opened.payment
    return {
        "payment_id": payment.payment_id,
        "user_id": payment.user_id,
        "channel": payment.channel,
        "business_day": payment.business_day,
        "reserved": payment.amount,
        "succeeded": 0,
        "insufficient": 0,
    }


def _order_key(order: Order) -> OrderKey:
    return order.app, order.merchant_order_no


def _order_keys(openings: Iterable[Opening]) -> set[OrderKey]:
    return {_order_key(opening.order) for opening in openings}


def _first_of_each_order(openings: list[Opening]) -> list[Opening]:
    firsts: dict[OrderKey, Opening] = {}
    for opening in openings:
        firsts.setdefault(_order_key(opening.order), opening)
    return list(firsts.values())
