"""Open authentications that apps ask for: one transaction for all the orders of a merchant that wait."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.authentications import Authentication
from gateway.domain.blocks import BlockKind
from gateway.domain.cards import mask_card_no
from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import STANDARD_LIMITS, Checkout, CheckoutLimits, after_try
from gateway.domain.ids import ObjectKind
from gateway.domain.orders import IN_ONE_FORM, AuthenticationOrder
from gateway.flows.authentication import (
    AuthenticationOpening,
    AuthenticationResult,
    OpenedAuthentication,
    on_checkout,
    open_authentication,
)
from gateway.flows.intents import sms_to_sign
from gateway.flows.notify import DueDelivery
from gateway.flows.route import Unable
from gateway.ports import (
    CardNotFoundError,
    ChannelFullError,
    CheckoutRefusedError,
    OrderConflictError,
    Rooms,
    TermsOf,
)
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.server.database import Connection, Database
from gateway.storage.tables import cards
from gateway.storage.writing.authentications import authentications_by_id, insert_own_authentications
from gateway.storage.writing.blocks import read_blocks
from gateway.storage.writing.cards import card_id_of
from gateway.storage.writing.checkouts import count_tries
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
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.statement import Row, Write
from gateway.storage.writing.trying import Trying, read_trying
from gateway.storage.writing.users import BusyUsers, lock_users

__all__ = ["AuthenticatingStore"]


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built."""

    day: date
    facts: Facts
    sent: dict[bytes, int]
    """By the print of a phone: the SMS it got today."""
    blocked: dict[UUID, tuple[BlockKind, ...]]
    """By the authentication's id: which kinds of entries of the block list name its payer."""
    trying: Trying
    """What is known of the checkouts that orders are tries of."""
    codes: dict[bytes, int] = field(default_factory=dict)
    opened: dict[OrderKey, OpenedAuthentication] = field(default_factory=dict)
    new_cards: dict[UUID, Row] = field(default_factory=dict)
    refused: dict[UUID, Exception] = field(default_factory=dict)
    """By the authentication's id."""


class AuthenticatingStore:
    """Records orders as authentications; `flush` is what a Batcher calls.

    What is to be sent has a place of its channel before it is recorded: whoever opens it gives it back (`ports.Rooms`).
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
        busy: BusyUsers,
        carries_of: CarriesOf,
        limits: CheckoutLimits = STANDARD_LIMITS,
    ) -> None:
        self._database, self._keys, self._catalogue, self._terms_of = database, keys, catalogue, terms_of
        self._timezone, self._hand_over, self._clock, self._rooms = timezone, hand_over, clock, rooms
        self._unusable, self._busy, self._carries_of = unusable, busy, carries_of
        self._limits = limits

    async def flush(self, openings: list[AuthenticationOpening]) -> Sequence[AuthenticationResult | Exception]:
        """Open many of one merchant. The results stand in the order of the openings."""
        return await self._busy.without(openings, lambda one: (one.order.merchant_id, one.order.user_id), self._open)

    async def _open(self, openings: list[AuthenticationOpening]) -> Sequence[AuthenticationResult | Exception]:
        merchant_id, catalogue = openings[0].order.merchant_id, self._catalogue()
        async with self._database.transaction() as connection:
            await lock_users(connection, merchant_id, (each.order.user_id for each in openings), self._clock())
            now = self._clock()  # after the waits: an intent is as old as its commit
            openings = [replace(each, now=now) for each in openings]
            flush = await self._read(connection, merchant_id, openings, now)
            taken = await read_orders(connection, merchant_id, list({_key(each.order) for each in openings}))
            for opening in openings:
                if _key(opening.order) not in taken and _key(opening.order) not in flush.opened:
                    self._open_one(flush, opening, catalogue)
            told = [event for opened in flush.opened.values() for event in opened.events]
            due = deliveries_of(told, catalogue, now)
            inserted = await self._insert(connection, merchant_id, flush, due) if flush.opened else set()
            lost = [key for key, one in flush.opened.items() if one.opening.authentication_id not in inserted]
            if lost:
                taken |= await read_orders(connection, merchant_id, lost)
            ids = [order.object_id for order in taken.values() if order.object is ObjectKind.AUTHENTICATION]
            known = await authentications_by_id(connection, merchant_id, ids) if ids else {}
        kept = {
            event.event_id
            for opened in flush.opened.values()
            for event in opened.events
            if opened.authentication.authentication_id in inserted
        }
        if self._hand_over and kept:
            self._hand_over([delivery for delivery in due if delivery.event_id in kept])
        count_events(event for event in told if event.event_id in kept)
        return [self._result(opening, flush, inserted, taken, known) for opening in openings]

    async def _read(
        self, connection: Connection, merchant_id: UUID, openings: list[AuthenticationOpening], now: datetime
    ) -> _Flush:
        orders = [opening.order for opening in openings]
        day = now.astimezone(self._timezone).date()
        typed = [order.card for order in orders if order.card and not order.card_id]
        prints = {self._keys.order.print_of_card(merchant_id, card): mask_card_no(card.card_no) for card in typed}
        named = [order.card_id for order in orders if order.card_id]
        facts = await read_facts(connection, merchant_id, {order.user_id for order in orders}, day, prints, named)
        phones = {self._phone(order) for order in orders if order.card}
        payers = {each.authentication_id: (each.order.user_id, each.order.card) for each in openings}
        kinds = self._catalogue().blocks(merchant_id)
        blocked = await read_blocks(connection, self._keys.order, merchant_id, kinds, payers, now) if kinds else {}
        trying = await read_trying(connection, merchant_id, orders, self._limits, now)
        return _Flush(day, facts, await read_codes_sent(connection, merchant_id, phones, day), blocked, trying)

    def _open_one(self, flush: _Flush, opening: AuthenticationOpening, catalogue: Catalogue) -> None:
        order = opening.order
        try:
            card_id = self._card_id(flush, opening)
            facts = flush.facts.of(order.merchant_id, order.user_id, card_id, self._keys)
            facts = replace(facts, blocked=flush.blocked.get(opening.authentication_id, ()))
            new_card = card_id if card_id in flush.new_cards else None
            flush.trying.check(order, opening.now, new_card=new_card)
        except DecryptionError as error:
            flush.refused[opening.authentication_id] = stand_back(error)
            return
        except (CardNotFoundError, CheckoutRefusedError) as error:
            flush.refused[opening.authentication_id] = error
            return
        phone = self._phone(order)
        may_ask = flush.sent.get(phone, 0) + flush.codes.get(phone, 0) < catalogue.sms_per_phone_and_day(
            order.merchant_id
        )
        may_ask = may_ask and flush.trying.may_ask(order)
        unable = Unable(self._unusable(order.merchant_id))
        opened = open_authentication(
            opening, card_id, facts, catalogue, self._terms_of, unable, self._carries_of, may_ask
        )
        if opened.sends and not self._rooms.take(opening.authentication_id, order.merchant_id, opened.sends):
            flush.refused[opening.authentication_id] = ChannelFullError(opened.sends)
            return
        flush.opened[_key(order)] = opened
        started = opened.authentication
        sends_sms, object_id = opened.sms is not None, started.authentication_id
        checkout = flush.trying.begin(order, object_id, sms=sends_sms, new_card=new_card)
        if checkout is not None:
            flush.opened[_key(order)] = opened = self._on_checkout(flush, opened, checkout)
        if opened.sms is not None:
            flush.codes[phone] = flush.codes.get(phone, 0) + 1
            flush.facts.cards.signing[card_id].add(started.account)
        elif not started.is_final:
            flush.facts.cards.authenticating[card_id][started.account] = started.authentication_id

    def _on_checkout(self, flush: _Flush, opened: OpenedAuthentication, checkout: Checkout) -> OpenedAuthentication:
        """A try of a checkout; where it has ended already, what that means for it."""
        started = opened.authentication
        after = after_try(checkout, started.authentication_id, started.status, opened.opening.now)
        flush.trying.checkouts[after.checkout_id] = flush.trying.begun[started.authentication_id] = after
        tries = [*flush.trying.tries.get(after.checkout_id, ()), started]
        return on_checkout(opened, after, tries, was_open=not checkout.is_final)

    def _phone(self, order: AuthenticationOrder) -> bytes:
        assert order.card is not None
        return self._keys.order.print_of_phone(order.merchant_id, order.card.phone)

    def _card_id(self, flush: _Flush, opening: AuthenticationOpening) -> UUID:
        order, known = opening.order, flush.facts.cards
        typed = order.card if order.card_id is None else None
        printed = self._keys.order.print_of_card(order.merchant_id, typed) if typed else None
        card_id = card_id_of(order, printed, known, flush.new_cards, opening.new_card_id, opening.now, self._keys)
        assert card_id is not None, "it is of a card, named or typed"
        return card_id

    async def _insert(
        self, connection: Connection, merchant_id: UUID, flush: _Flush, due: list[DueDelivery]
    ) -> set[UUID]:
        opened = list(flush.opened.values())
        used = {one.authentication.card_id for one in opened}
        intents = [one.sms or one.authentication.intent for one in opened]
        write = Write(merchant_id)
        write.insert(cards, [row for card_id, row in flush.new_cards.items() if card_id in used])
        insert_orders(write, [self._order_row(one) for one in opened], "authentication_id")
        insert_own_authentications(write, [one.authentication for one in opened], only=NEW_ORDERS)
        insert_intents(write, [(each.object_id, each) for each in intents if each is not None], only=NEW_ORDERS)
        count_codes(write, flush.codes, flush.day)
        told = [event for one in opened for event in one.events]
        of_orders = {event.event_id: one.authentication.authentication_id for one in opened for event in one.events}
        count_tries(write, flush.trying.begun, only=NEW_ORDERS)
        write_events(write, told, due, leased=self._hand_over is not None, only=NEW_ORDERS, of_orders=of_orders)
        return {row[0] for row in await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}")}

    def _order_row(self, opened: OpenedAuthentication) -> OrderRow:
        order = opened.opening.order
        return OrderRow(
            app=order.app,
            merchant_order_no=order.merchant_order_no,
            object=ObjectKind.AUTHENTICATION,
            object_id=opened.authentication.authentication_id,
            body_hash=self._keys.order.request_hash(order.body),
            hash_form=IN_ONE_FORM,
        )

    def _result(
        self,
        opening: AuthenticationOpening,
        flush: _Flush,
        inserted: set[UUID],
        taken: dict[OrderKey, TakenOrder],
        known: dict[UUID, Authentication],
    ) -> AuthenticationResult | Exception:
        order, refused = opening.order, flush.refused.get(opening.authentication_id)
        if refused is not None:
            return refused
        new = flush.opened.get(_key(order))
        if new is not None and new.authentication.authentication_id in inserted:
            if new.opening.authentication_id == opening.authentication_id:
                return AuthenticationResult(new.authentication, replayed=False, sms=new.sms)
            same: bool | None = new.opening.order.body == order.body
            found: Authentication | None = new.authentication
        else:
            before = taken.get(_key(order))
            found = known.get(before.object_id) if before else None
            if found is not None and found.authentication_id == opening.authentication_id:
                return _ours(opening, found)
            same = same_content(self._keys, before, order.body) if before else False
        return (
            AuthenticationResult(found, replayed=True)
            if found and same
            else OrderConflictError(order.merchant_order_no)
        )


def _ours(opening: AuthenticationOpening, found: Authentication) -> AuthenticationResult:
    """It was recorded by an earlier try of this flush, the answer to whose COMMIT was lost: it is ours to send."""
    if found.asked is not None and found.asked.sending and found.asked.sms_at is not None:
        sms = sms_to_sign(found, opening.intent_id, found.asked.sms_at)
        return AuthenticationResult(found, replayed=False, sms=sms)
    mine = found.intent is not None and found.intent.intent_id == opening.intent_id and found.intent.is_untouched
    return AuthenticationResult(found, replayed=not mine)


def _key(order: AuthenticationOrder) -> OrderKey:
    return order.app, order.merchant_order_no
