"""Open payouts, and do what is wanted of those that are held: one transaction for all of a merchant that wait."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EVENTS_OF, Event
from gateway.domain.failures import Failure, FailureCode
from gateway.domain.hearing import look_at
from gateway.domain.ids import ObjectKind, caused_id
from gateway.domain.intents import Intent
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.payments import Payment
from gateway.domain.payouts import Hold, Part, Payout, begun, confirmed, not_confirmed
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.flows.notify import DueDelivery
from gateway.flows.observations import Clock
from gateway.flows.payout_acts import (
    PayoutAct,
    PayoutOpening,
    PayoutRefusedError,
    PayoutResult,
    PayoutRules,
    PayoutWish,
    RuleAnswer,
    RuleQuestion,
    held,
    new_payout,
)
from gateway.objects.events import event_of
from gateway.ports import (
    ChannelFullError,
    OrderConflictError,
    OverloadedError,
    Rooms,
    TermsOf,
    UnusableAccountError,
)
from gateway.storage.keys import Keys, PayeeBox
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.intents import change_intents, insert_intents
from gateway.storage.writing.leaving import left_of, open_anomalies_of
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
from gateway.storage.writing.payments import payments_by_id
from gateway.storage.writing.payouts import change_payouts, insert_payouts, payouts_by_id
from gateway.storage.writing.settling import (
    Day,
    add_parts,
    change_days,
    days_of,
    lock_days,
    lock_payments,
    settled_by,
    take_nothing,
    used_of,
)
from gateway.storage.writing.statement import Row, Write

__all__ = ["PayingOutStore"]

Item = PayoutOpening | PayoutAct

# What was paid when the part was added may be in doubt since.
READ_IN_DOUBT = """
SELECT DISTINCT s.payout_id FROM settles s
JOIN anomalies a ON a.merchant_id = $1 AND a.object_id = s.payment_id AND a.resolved_at IS NULL
WHERE s.merchant_id = $1 AND s.payout_id = ANY($2::uuid[])
"""
READ_PARTS = """
SELECT payout_id, payment_id, amount FROM settles
WHERE merchant_id = $1 AND payout_id = ANY($2::uuid[]) AND payment_id = ANY($3::uuid[])
"""
RETRY_AFTER_S = 1
_ENDS = frozenset({PayoutWish.REFUSE, PayoutWish.LOOK})
_SENDS = frozenset({PayoutWish.RELEASE, PayoutWish.LOOK})


class _NumberTakenError(Exception):
    """Somebody else was faster with an order number: everything is looked at again."""


@dataclass(slots=True)
class _Flush:
    """One flush while it is being built. Payouts stand in it as they are now."""

    now: datetime
    day: date
    """The business day, whose rows are locked."""
    payouts: dict[UUID, Payout]
    payments: dict[UUID, Payment]
    with_anomalies: set[UUID]
    left: dict[UUID, int]
    """By payment, in fen: what those before have not taken."""
    parts: dict[tuple[UUID, UUID], int]
    """(payout, payment) → its part."""
    used: dict[Day, int]
    in_doubt: Set[UUID] = frozenset()
    """Payouts that are to be sent, and pay on what an open anomaly is about."""
    opened: dict[OrderKey, tuple[PayoutOpening, Row]] = field(default_factory=dict)
    taken: dict[OrderKey, TakenOrder] = field(default_factory=dict)
    added: list[tuple[Payout, Part]] = field(default_factory=list)
    changed: set[UUID] = field(default_factory=set)
    begun: list[Intent] = field(default_factory=list)
    over: list[Intent] = field(default_factory=list)
    freed: list[UUID] = field(default_factory=list)
    more_used: dict[Day, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def put(self, after: Payout, before: Payout | None = None) -> None:
        """Take what became of a payout; `before` None: it is new."""
        for payout, sign in ((before, -1), (after, 1)):
            if payout is not None and payout.uses:
                day = (payout.channel, payout.business_day)
                self.more_used[day] = self.more_used.get(day, 0) + sign * payout.uses
                self.used[day] = self.used.get(day, 0) + sign * payout.uses
        self.payouts[after.payout_id] = after
        if before is not None:
            self.changed.add(after.payout_id)
            if before.takes and not after.takes and after.parts:
                self.freed.append(after.payout_id)


class PayingOutStore:
    """Opens payouts and acts on them; `flush` is what a Batcher calls. `timezone` is that of the business day.

    What is to be sent has a place of its channel before it is recorded: whoever asks for it gives it back.
    """

    def __init__(
        self,
        database: Database,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        timezone: ZoneInfo,
        hand_over: HandOver | None,
        clock: Clock,
        rooms: Rooms,
        rules: PayoutRules,
    ) -> None:
        self._database, self._keys, self._catalogue, self._terms_of = database, keys, catalogue, terms_of
        self._timezone, self._hand_over, self._clock, self._rooms = timezone, hand_over, clock, rooms
        self._rules = rules

    async def flush(self, items: list[Item]) -> Sequence[PayoutResult | Exception | None]:
        """Do many of one merchant. The results stand in the order of the items."""
        while True:
            try:
                return await self._flush(items)
            except _NumberTakenError:
                continue  # what was faster is committed, so each round finds one number more that is taken

    async def _flush(self, items: list[Item]) -> Sequence[PayoutResult | Exception | None]:
        merchant_id, catalogue = items[0].merchant_id, self._catalogue()
        async with self._database.transaction() as connection:
            flush = await self._read(connection, merchant_id, items)
            results = [self._apply(flush, item) for item in items]
            due = deliveries_of(flush.events, catalogue, flush.now)
            await take_nothing(connection, merchant_id, flush.freed)
            await self._write(connection, merchant_id, flush, due)
        if self._hand_over and due:
            self._hand_over(due)
        count_events(flush.events)
        return results

    async def _read(self, connection: Connection, merchant_id: UUID, items: Sequence[Item]) -> _Flush:
        openings = [item for item in items if isinstance(item, PayoutOpening)]
        acts = [item for item in items if isinstance(item, PayoutAct)]
        keys = {_key(opening) for opening in openings}
        before = await read_orders(connection, merchant_id, list(keys)) if keys else {}
        known = {order.object_id for order in before.values() if order.object is ObjectKind.PAYOUT}
        ids = {act.payout_id for act in acts} | known
        today = self._clock().astimezone(self._timezone).date()
        days = await days_of(connection, merchant_id, ids)
        days |= {(channel, today) for channel in {channel for channel, _ in days} | {o.order.channel for o in openings}}
        await lock_days(connection, merchant_id, days)
        of_parts = {part.payment_id for item in items for part in item.parts}
        ending = await settled_by(connection, merchant_id, {act.payout_id for act in acts if act.wish in _ENDS})
        await lock_payments(connection, merchant_id, of_parts | ending)
        # In later statements: the locks' snapshots are older than the ends of their waits.
        now = self._clock()
        payments = {p.payment_id: p for p in await payments_by_id(connection, merchant_id, list(of_parts))}
        sending = [act.payout_id for act in acts if act.wish in _SENDS]
        doubted = await connection.fetch(READ_IN_DOUBT, merchant_id, sending) if sending else ()
        parts = await connection.fetch(READ_PARTS, merchant_id, list(ids), list(payments)) if payments and ids else ()
        return _Flush(
            now=now,
            day=today,
            payouts=await payouts_by_id(connection, merchant_id, list(ids)) if ids else {},
            payments=payments,
            with_anomalies=set(await open_anomalies_of(connection, merchant_id, payments.values())),
            left=await left_of(connection, merchant_id, payments.values()),
            parts={(row[0], row[1]): row[2] for row in parts},
            used=await used_of(connection, merchant_id, days),
            in_doubt={row[0] for row in doubted},
            taken=before,
        )

    # What becomes of one

    def _apply(self, flush: _Flush, item: Item) -> PayoutResult | Exception | None:
        try:
            return self._open(flush, item) if isinstance(item, PayoutOpening) else self._act(flush, item)
        except (PayoutRefusedError, OrderConflictError, OverloadedError) as error:
            return error

    def _open(self, flush: _Flush, opening: PayoutOpening) -> PayoutResult:
        key, order = _key(opening), opening.order
        if (new := flush.opened.get(key)) is not None:
            if new[0].order.body != order.body:
                raise OrderConflictError(key[1])
            return PayoutResult(flush.payouts[new[0].payout_id], replayed=True)
        if (known := flush.taken.get(key)) is not None:
            before = flush.payouts.get(known.object_id)
            if before is None or same_content(self._keys, known, order.body) is False:
                raise OrderConflictError(key[1])
            ours = before.payout_id == opening.payout_id  # the answer to an earlier COMMIT was lost
            return PayoutResult(before, not ours, ours and _is_for(before, opening.intent_id))
        if opening.refusal is not None:
            raise opening.refusal
        payout = new_payout(opening, flush.now, flush.day)
        parts = self._checked(flush, payout, order.parts)
        payout = replace(payout, parts=len(parts), settles=sum(part.amount for part in parts))
        if order.hold:  # a day of its own would have to take it
            payout = replace(payout, expected_fee=self._allowed(payout, 0, flush.now).expected_fee)
        else:
            payout = self._sent(flush, payout, opening.intent_id)
        self._take(flush, payout, parts)
        flush.put(payout)
        box, data_key = PayeeBox.new(self._keys.ring, payout.merchant_id, payout.payout_id)
        flush.opened[key] = opening, {"payee": box.seal(order.payee), "data_key": data_key}
        return PayoutResult(payout, submit=payout.intent is not None)

    def _act(self, flush: _Flush, act: PayoutAct) -> PayoutResult | None:
        before = flush.payouts.get(act.payout_id)
        if before is None or act.app not in (None, before.app):
            return None
        match act.wish:
            case PayoutWish.SETTLE:
                return PayoutResult(self._settle(flush, before, act.parts))
            case PayoutWish.RELEASE:
                return self._release(flush, before, act)
            case PayoutWish.CONFIRM:
                return self._confirm(flush, before, act)
            case PayoutWish.REFUSE:
                if before.failure is not None and before.failure.code is FailureCode.NOT_CONFIRMED:
                    return PayoutResult(before)  # it was refused before
                if before.held_for is None:
                    raise PayoutRefusedError("payout_not_held")
                return PayoutResult(self._end(flush, before, act))
            case PayoutWish.LOOK:
                if before.until_at is None or before.until_at > flush.now:
                    return PayoutResult(before, submit=_is_for(before, act.intent_id))
                if before.held_for is not Hold.WINDOW:
                    return PayoutResult(self._end(flush, before, act))
                try:
                    return self._release(flush, before, act)
                except PayoutRefusedError as error:
                    if error.fails_as is None:
                        raise  # it is looked at again
                    # What its channel's rules allowed they allow no more.
                    return PayoutResult(self._end(flush, before, act, error.fails_as))

    def _settle(self, flush: _Flush, before: Payout, parts: Sequence[Part]) -> Payout:
        new = self._checked(flush, before, parts)
        if not new:
            return before
        if not held(before, Hold.APP):
            raise PayoutRefusedError("payout_not_held")
        more = sum(part.amount for part in new)
        after = replace(before, parts=before.parts + len(new), settles=before.settles + more)
        self._take(flush, after, new)
        flush.put(after, before)
        return after

    def _release(self, flush: _Flush, before: Payout, act: PayoutAct) -> PayoutResult:
        if before.held_for not in (Hold.APP, Hold.WINDOW):
            if before.intent is None:  # it waited too long
                raise PayoutRefusedError("payout_not_held")
            return PayoutResult(before, submit=_is_for(before, act.intent_id))
        if before.held_for is Hold.WINDOW and act.wish is PayoutWish.RELEASE:
            return PayoutResult(before)  # it was released, and its window opens
        if before.until_at is not None and before.until_at <= flush.now and before.held_for is Hold.APP:
            raise PayoutRefusedError("payout_not_held")
        after = self._sent(flush, before, act.intent_id)
        flush.put(after, before)
        return PayoutResult(after, submit=after.intent is not None)

    def _confirm(self, flush: _Flush, before: Payout, act: PayoutAct) -> PayoutResult:
        if before.intent is not None and before.intent.intent_id == act.intent_id:
            return PayoutResult(before, submit=_is_for(before, act.intent_id))
        if not held(before, Hold.SUSPICION) or before.until_at is None or before.until_at <= flush.now:
            raise PayoutRefusedError("payout_not_held")
        self._have_place(before)
        after, over = confirmed(before, act.intent_id, self._terms(before), flush.now)
        assert after.intent is not None
        flush.begun.append(after.intent)
        flush.over.append(over)
        flush.put(after, before)
        return PayoutResult(after, submit=True)

    def _end(self, flush: _Flush, before: Payout, act: PayoutAct, why: Failure | None = None) -> Payout:
        if any(of.payout_id == before.payout_id for of, _ in flush.added):
            raise OverloadedError(RETRY_AFTER_S)  # what came with it is recorded first
        after = not_confirmed(before, flush.now, why, self._look_at(before, flush.now))
        if after.intent is not None and after.intent is not before.intent:
            flush.over.append(after.intent)
        event_id = caused_id(act.intent_id, after.payout_id, after.status)
        flush.events.append(event_of(after, EVENTS_OF[ObjectKind.PAYOUT][Status.FAILED], event_id, flush.now))
        flush.put(after, before)
        return after

    def _look_at(self, payout: Payout, now: datetime) -> datetime | None:
        """When it is asked whether what its PSP held was paid all the same."""
        try:
            return look_at(now, 0, self._terms(payout), self._timezone) if payout.intent is not None else None
        except PayoutRefusedError:
            return None  # nobody can be asked there

    def _sent(self, flush: _Flush, payout: Payout, intent_id: UUID) -> Payout:
        """The payout with its intent; or held, until its channel may send it. Raises PayoutRefusedError."""
        if not payout.is_complete:
            raise PayoutRefusedError("settles_incomplete", left=payout.amount - payout.settles)
        if payout.payout_id in flush.in_doubt:
            raise PayoutRefusedError("payment_has_anomaly")  # it stays held: the money may never have come
        said = self._allowed(payout, flush.used.get((payout.channel, flush.day), 0), flush.now)
        payout = replace(payout, expected_fee=said.expected_fee)
        if said.opens_at is not None and said.opens_at > flush.now:
            return replace(payout, held_for=Hold.WINDOW, until_at=said.opens_at)
        self._have_place(payout)
        after = begun(payout, intent_id, self._terms(payout), flush.now, flush.day)
        assert after.intent is not None
        flush.begun.append(after.intent)
        return after

    def _allowed(self, payout: Payout, used_today: int, now: datetime) -> RuleAnswer:
        """What its channel's rules say of it. Raises PayoutRefusedError."""
        payee = payout.payee
        said = self._rules(
            RuleQuestion(payout.merchant_id, payout.channel, payee.type, payee.bank, payout.amount, used_today, now)
        )
        if said.refusal is not None:
            raise said.refusal
        return said

    def _have_place(self, payout: Payout) -> None:
        if not self._rooms.take(payout.payout_id, payout.merchant_id, payout.channel):
            raise ChannelFullError(payout.channel)

    def _terms(self, payout: Payout) -> Terms:
        try:
            return self._terms_of(payout.merchant_id, payout.account, Product.PAYOUT)
        except UnusableAccountError:
            raise PayoutRefusedError("account_unusable") from None

    def _checked(self, flush: _Flush, payout: Payout, parts: Sequence[Part]) -> list[Part]:
        """The parts that are new, if all of them may be taken. Raises PayoutRefusedError."""
        new: list[Part] = []
        for part in parts:
            payment = flush.payments.get(part.payment_id)
            if payment is None or payment.app != payout.app:
                raise PayoutRefusedError("not_found", payment_id=part.payment_id)
            before = flush.parts.get((payout.payout_id, part.payment_id))
            if before is not None:
                if before != part.amount:
                    raise PayoutRefusedError("settle_conflict", payment_id=part.payment_id)
                continue
            if part.payment_id in flush.with_anomalies:
                raise PayoutRefusedError("payment_has_anomaly", payment_id=part.payment_id)
            if payment.status is not Status.SUCCEEDED:
                raise PayoutRefusedError("payment_not_succeeded", payment_id=part.payment_id)
            if part.amount > flush.left[part.payment_id]:
                left = flush.left[part.payment_id]
                raise PayoutRefusedError("amount_exceeds_rest", payment_id=part.payment_id, left=left)
            new.append(part)
        room = payout.amount - payout.settles
        if sum(part.amount for part in new) > room:
            raise PayoutRefusedError("settles_exceed_payout", left=room)
        return new

    def _take(self, flush: _Flush, payout: Payout, parts: Sequence[Part]) -> None:
        for part in parts:
            flush.left[part.payment_id] -= part.amount
            flush.parts[payout.payout_id, part.payment_id] = part.amount
            flush.added.append((payout, part))

    async def _write(self, connection: Connection, merchant_id: UUID, flush: _Flush, due: list[DueDelivery]) -> None:
        first = Write(merchant_id)  # one that begins takes the place of the one that is over
        change_intents(first, flush.over, {})
        await first.run(connection, "SELECT 1")
        opened = [(flush.payouts[opening.payout_id], sealed) for opening, sealed in flush.opened.values()]
        orders = [
            OrderRow(
                app=payout.app,
                merchant_order_no=payout.merchant_order_no,
                object=ObjectKind.PAYOUT,
                object_id=payout.payout_id,
                body_hash=self._keys.order.request_hash(opening.order.body),
                hash_form=IN_ONE_FORM,
            )
            for opening, _ in flush.opened.values()
            for payout in [flush.payouts[opening.payout_id]]
        ]
        write = Write(merchant_id)
        insert_orders(write, orders, "payout_id")
        insert_payouts(write, opened)
        change_payouts(write, [flush.payouts[key] for key in sorted(flush.changed)])
        insert_intents(write, [(intent.object_id, intent) for intent in flush.begun])
        add_parts(write, flush.added, {key: payment.amount for key, payment in flush.payments.items()})
        change_days(write, flush.more_used)
        write_events(write, flush.events, due, leased=self._hand_over is not None)
        inserted = await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}" if orders else "SELECT 1")
        if orders and len(inserted) < len(orders):
            raise _NumberTakenError


def _is_for(payout: Payout, intent_id: UUID) -> bool:
    """Whether the newest intent is still for whoever drew this id to send: nobody has asked about it."""
    intent = payout.intent
    return intent is not None and intent.intent_id == intent_id and intent.is_open and intent.questions == 0


def _key(opening: PayoutOpening) -> OrderKey:
    return opening.order.app, opening.order.merchant_order_no
