"""Checkouts in the books: opened by apps, given up by them, and ended by our clock. Each in a transaction of its own.

What the tries of a checkout mean for it is recorded with them (`checking_out`, `trying`), under the same lock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import (
    Checkout,
    CheckoutLimits,
    CheckoutOrder,
    CheckoutRef,
    TryRefusal,
    after_time,
    canceled,
    number_of_try,
    opened,
)
from gateway.domain.events import EVENTS_OF
from gateway.domain.ids import ObjectKind, caused_id
from gateway.domain.orders import IN_ONE_FORM
from gateway.domain.statuses import Status
from gateway.domain.tries import Try, id_of
from gateway.objects.events import checkout_event
from gateway.ports import CheckoutRefusedError, CheckoutResult, OrderConflictError
from gateway.storage.keys import Keys
from gateway.storage.server.database import Connection, Database
from gateway.storage.writing.by_clock import claim_late, claim_of, look_for
from gateway.storage.writing.checking_out import with_tries
from gateway.storage.writing.checkouts import change_checkouts, checkouts_by_id, insert_checkout
from gateway.storage.writing.low_water import BEGINNING
from gateway.storage.writing.orders import NEW_ORDERS, OrderRow, insert_orders, read_orders, same_content
from gateway.storage.writing.outbox import HandOver, count_events, deliveries_of, write_events
from gateway.storage.writing.statement import Write
from gateway.storage.writing.users import BusyUsers, lock_users
from gateway.storage.writing.with_work import merchants_with_work

__all__ = ["CheckoutStore"]

R = TypeVar("R")

AT_ONCE: Final = 3
"""Transactions of checkouts at a time in a process: payments need connections, too, and each may wait for a user."""
LOOK_AGAIN: Final = timedelta(minutes=1)
"""When a checkout whose time is over, but whose payment is open, is looked at again; the payment's end comes first."""

WITH_CHECKOUTS = (look_for("checkouts"),)
CLAIM_CHECKOUTS = claim_of("checkouts", "checkout_id")


@dataclass(frozen=True, slots=True)
class CheckoutStore:
    """Opens, reads and ends checkouts. `hand_over`: this process delivers events itself.

    What is to be changed of a user whom somebody else holds is refused as an overload, as by flushes.
    """

    database: Database
    keys: Keys
    catalogue: Callable[[], Catalogue]
    hand_over: HandOver | None
    limits: CheckoutLimits
    busy: BusyUsers
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def open(self, order: CheckoutOrder, checkout_id: UUID, now: datetime) -> CheckoutResult:
        """Record a checkout, or find what its order opened before. Raises OrderConflictError, OverloadedError."""
        user = (order.merchant_id, order.user_id)
        return await self._of_user(user, lambda: self._open(order, checkout_id, now))

    async def _of_user(self, user: tuple[UUID, str], change: Callable[[], Awaitable[R]]) -> R:
        """Change something under the lock of a user."""

        async def flush(_: list[None]) -> list[R]:
            return [await change()]

        async with self._places:
            [done] = await self.busy.without([None], lambda _: user, flush)
        if isinstance(done, Exception):
            raise done
        return done

    async def _open(self, order: CheckoutOrder, checkout_id: UUID, now: datetime) -> CheckoutResult:
        key, merchant_id = (order.app, order.merchant_order_no), order.merchant_id
        checkout = opened(order, checkout_id, now)
        # Numbers with the mark were free to apps in the first version.
        of_tries = [(order.app, number_of_try(order.merchant_order_no, n)) for n in range(1, self.limits.tries + 1)]
        async with self.database.transaction() as connection:
            await lock_users(connection, merchant_id, [order.user_id], now)
            taken = await read_orders(connection, merchant_id, [key, *of_tries])
            if not taken:
                write = Write(merchant_id)
                row = OrderRow(
                    app=order.app,
                    merchant_order_no=order.merchant_order_no,
                    object=ObjectKind.CHECKOUT,
                    object_id=checkout_id,
                    body_hash=self.keys.order.request_hash(order.body),
                    hash_form=IN_ONE_FORM,
                )
                insert_orders(write, [row], "checkout_id")
                insert_checkout(write, checkout, only=NEW_ORDERS)
                if await write.run(connection, f"SELECT object_id FROM {NEW_ORDERS}"):
                    return CheckoutResult(checkout, (), replayed=False)
                taken = await read_orders(connection, merchant_id, [key])  # another user's was faster
            before = taken.get(key)
            if before is None or before.object is not ObjectKind.CHECKOUT:
                raise OrderConflictError(order.merchant_order_no)
            if before.object_id == checkout_id:  # the answer to an earlier COMMIT was lost
                return CheckoutResult(checkout, (), replayed=False)
            if not same_content(self.keys, before, order.body):
                raise OrderConflictError(order.merchant_order_no)
            found, tries = await _read(connection, merchant_id, before.object_id)
        return CheckoutResult(found, tries, replayed=True)

    async def cancel(self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime) -> Checkout:
        """End a checkout that its app wants no more; one that was canceled stays so.

        Raises CheckoutRefusedError where it has ended otherwise, or one of its tries is open; OverloadedError.
        """

        def end(checkout: Checkout, tries: Sequence[Try]) -> Checkout:
            if checkout.status is Status.CANCELED:
                return checkout
            if checkout.is_final:
                raise CheckoutRefusedError(TryRefusal.NOT_OPEN)
            heard = after_time(checkout, _states(tries), now, now)
            if heard.is_final:
                return heard
            if any(not each.is_final for each in tries):
                raise CheckoutRefusedError(TryRefusal.IN_PROGRESS)
            return canceled(checkout, now)

        after = await self._of_user(
            (merchant_id, user_id), lambda: self._change(merchant_id, user_id, checkout_id, cause, now, end)
        )
        if after.status is not Status.CANCELED:
            raise CheckoutRefusedError(TryRefusal.NOT_OPEN)
        return after

    async def look(self, merchant_id: UUID, user_id: str, checkout_id: UUID, cause: UUID, now: datetime) -> Checkout:
        """What our clock means for a checkout. Raises OverloadedError."""

        def end(checkout: Checkout, tries: Sequence[Try]) -> Checkout:
            return after_time(checkout, _states(tries), now, now + LOOK_AGAIN)

        return await self._of_user(
            (merchant_id, user_id), lambda: self._change(merchant_id, user_id, checkout_id, cause, now, end)
        )

    async def _change(
        self,
        merchant_id: UUID,
        user_id: str,
        checkout_id: UUID,
        cause: UUID,
        now: datetime,
        change: Callable[[Checkout, Sequence[Try]], Checkout],
    ) -> Checkout:
        catalogue = self.catalogue()
        async with self.database.transaction() as connection:
            await lock_users(connection, merchant_id, [user_id], now)
            before, tries = await _read(connection, merchant_id, checkout_id)
            after = change(before, tries)
            events = []
            if after.status is not before.status:
                ref = CheckoutRef(checkout_id, after.status)
                event_type = EVENTS_OF[ObjectKind.CHECKOUT][after.status]
                event_id = caused_id(cause, checkout_id, after.status)
                events = [checkout_event(after, [replace(t, checkout=ref) for t in tries], event_type, event_id, now)]
            due = deliveries_of(events, catalogue, now)
            if not before.is_final:
                write = Write(merchant_id)
                change_checkouts(write, [after])
                write_events(write, events, due, leased=self.hand_over is not None)
                await write.run(connection, "SELECT 1")
        if self.hand_over and due:
            self.hand_over(due)
        count_events(events)
        return after

    async def checkout(self, merchant_id: UUID, checkout_id: UUID) -> tuple[Checkout, Sequence[Try]] | None:
        """A checkout with its tries, oldest first; whoever's app it is."""
        async with self.database.connection() as connection:
            found = await checkouts_by_id(connection, merchant_id, [checkout_id])
            if checkout_id not in found:
                return None
            tries = await with_tries(connection, merchant_id, found.values())
        return found[checkout_id], tries[checkout_id]

    # What is due

    async def merchants_with_work(self, merchants: Collection[UUID], now: datetime) -> list[UUID]:
        """Which of these merchants have a checkout whose time is over, and that nobody has in hand."""
        async with self.database.connection() as connection:
            return await merchants_with_work(connection, WITH_CHECKOUTS, merchants, now, BEGINNING)

    async def claim(
        self, merchant_id: UUID, now: datetime, lease_until: datetime, limit: int
    ) -> list[tuple[UUID, str]]:
        """Take some until `lease_until`, the oldest first: their ids and users."""
        return await claim_late(self.database, CLAIM_CHECKOUTS, merchant_id, now, lease_until, limit)


def _states(tries: Sequence[Try]) -> list[tuple[UUID, Status]]:
    return [(id_of(each), each.status) for each in tries]


async def _read(connection: Connection, merchant_id: UUID, checkout_id: UUID) -> tuple[Checkout, Sequence[Try]]:
    found = await checkouts_by_id(connection, merchant_id, [checkout_id])
    tries = await with_tries(connection, merchant_id, found.values())
    return found[checkout_id], tries[checkout_id]
