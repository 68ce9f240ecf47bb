"""Payouts: open one, settle payments with it, release it, and say that a suspected one is right, or not.

What is sent is recorded first, with a place of its channel, and carried out by whoever recorded it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.orders import PayoutOrder
from gateway.domain.payees import Payee, PayeeRules
from gateway.domain.payouts import Hold, Part, Payout
from gateway.flows.in_hand import Tasks, carried_out
from gateway.flows.observations import Clock, NewId
from gateway.flows.payout_acts import PayoutAct, PayoutOpening, PayoutRefusedError, PayoutResult, PayoutWish, held
from gateway.flows.submit import Submission
from gateway.ports import ConfirmPayout, Providers, Rooms, UnusableAccountError
from gateway.ports import Payout as PayoutCommand

__all__ = ["PayoutBooks", "PayoutFlow", "PayoutReading"]


class PayoutBooks(Protocol):
    """Where payouts are recorded. Returns after the commit."""

    async def open_payout(self, opening: PayoutOpening) -> PayoutResult:
        """Raises OrderConflictError, PayoutRefusedError, OverloadedError."""
        ...

    async def act_on_payout(self, act: PayoutAct) -> PayoutResult | None:
        """None: there is no such payout of this app. Raises PayoutRefusedError, OverloadedError."""
        ...


class PayoutReading(Protocol):
    """Reads payouts, and what of them is sealed. Raises OverloadedError where this process lacks the key."""

    async def payout(self, merchant_id: UUID, payout_id: UUID) -> Payout | None: ...

    async def payee(self, merchant_id: UUID, payout_id: UUID) -> Payee: ...

    async def payout_continuation(self, merchant_id: UUID, payout_id: UUID) -> str | None: ...


@dataclass(slots=True)
class PayoutFlow:
    """Payouts. `answer_within_s`: how long an answer waits for the PSP; then it goes on by itself."""

    books: PayoutBooks
    reading: PayoutReading
    providers: Providers
    submission: Submission
    tasks: Tasks
    catalogue: Callable[[], Catalogue]
    clock: Clock
    new_id: NewId
    answer_within_s: float
    rooms: Rooms = field(repr=False)

    async def open(self, order: PayoutOrder) -> PayoutResult:
        """Record an order, and send it unless it is held.

        Raises OrderConflictError, OverloadedError and PayoutRefusedError, with nothing recorded.
        """
        payout_id, intent_id = self.new_id(), self.new_id()
        channel = self.catalogue().channels.get((order.merchant_id, order.channel))
        refusal = self._refusal(order, channel)
        opening = PayoutOpening(order, channel.account if channel else "", payout_id, intent_id, refusal)

        def send(opened: PayoutResult) -> Coroutine[Any, Any, Payout] | None:
            return self.submission.payout(opened.payout, order.payee) if opened.submit else None

        opened, task = await carried_out(
            self.rooms, self.tasks, order.merchant_id, payout_id, lambda: self.books.open_payout(opening), send
        )
        return await self._answer(opened, task)

    async def settle(self, merchant_id: UUID, app: str, payout_id: UUID, parts: tuple[Part, ...]) -> Payout | None:
        """Let a payout that its app holds pay on parts of payments; None: no such payout of this app.

        Raises PayoutRefusedError, with nothing recorded, and OverloadedError.
        """
        act = PayoutAct(merchant_id, payout_id, PayoutWish.SETTLE, self.new_id(), app, parts)
        done = await self.books.act_on_payout(act)
        return done.payout if done else None

    async def release(self, merchant_id: UUID, payout_id: UUID, app: str | None) -> Payout | None:
        """Send a payout that was held; one that was released before is answered as it is. None, errors: as `settle`.

        `app` None: our clock releases it, since its channel's window opens.
        """
        before = await self.reading.payout(merchant_id, payout_id)
        if before is None or app not in (None, before.app):
            return None
        self._refuse_unless_open(before)
        payee = await self.reading.payee(merchant_id, payout_id)
        wish = PayoutWish.RELEASE if app is not None else PayoutWish.LOOK
        act = PayoutAct(merchant_id, payout_id, wish, self.new_id(), app)
        return await self._act(act, lambda payout: self.submission.payout(payout, payee))

    async def confirm(self, merchant_id: UUID, payout_id: UUID) -> Payout | None:
        """Say that a payout which its PSP suspects is right. None, errors: as `settle`."""
        before = await self.reading.payout(merchant_id, payout_id)
        if before is None:
            return None
        continuation = await self.reading.payout_continuation(merchant_id, payout_id)
        can = self.submission.can_do(merchant_id, before.account, ConfirmPayout)
        if held(before, Hold.SUSPICION) and (continuation is None or not can):
            raise PayoutRefusedError("cannot_be_confirmed")
        act = PayoutAct(merchant_id, payout_id, PayoutWish.CONFIRM, self.new_id())
        return await self._act(act, lambda payout: self.submission.confirm_payout(payout, continuation or ""))

    async def refuse(self, merchant_id: UUID, payout_id: UUID) -> Payout | None:
        """End a payout that is held: it is not paid. None, errors: as `settle`."""
        done = await self.books.act_on_payout(PayoutAct(merchant_id, payout_id, PayoutWish.REFUSE, self.new_id()))
        return done.payout if done else None

    async def look(self, merchant_id: UUID, payout_id: UUID) -> None:
        """What our clock means for a payout that is held: it fails, or its window opens."""
        before = await self.reading.payout(merchant_id, payout_id)
        if before is not None and held(before, Hold.WINDOW):
            await self.release(merchant_id, payout_id, None)
        else:
            await self.books.act_on_payout(PayoutAct(merchant_id, payout_id, PayoutWish.LOOK, self.new_id()))

    async def _act(self, act: PayoutAct, send: Callable[[Payout], Coroutine[Any, Any, Payout]]) -> Payout | None:
        def carry_out(done: PayoutResult | None) -> Coroutine[Any, Any, Payout] | None:
            return send(done.payout) if done is not None and done.submit else None

        done, task = await carried_out(
            self.rooms, self.tasks, act.merchant_id, act.payout_id, lambda: self.books.act_on_payout(act), carry_out
        )
        return (await self._answer(done, task)).payout if done is not None else None

    async def _answer(self, done: PayoutResult, task: "asyncio.Task[Payout] | None") -> PayoutResult:
        if task is None:
            return done
        ended, _ = await asyncio.wait({task}, timeout=self.answer_within_s)
        if ended and not task.cancelled() and task.exception() is None:
            return PayoutResult(task.result())
        return done

    def _refusal(self, order: PayoutOrder, channel: Channel | None) -> PayoutRefusedError | None:
        """Why this channel cannot carry the order, by what is known of it here."""
        if channel is None:
            return PayoutRefusedError("not_found", field="channel")
        if not self._works(channel):
            return PayoutRefusedError("channel_off")
        try:
            provider = self.providers.provider(order.merchant_id, channel.account)
        except UnusableAccountError:
            return PayoutRefusedError("account_unusable")
        rules = provider.declaration.payees
        if rules is None or PayoutCommand not in provider.commands:
            return PayoutRefusedError("payouts_not_supported", field="channel")
        return _unfit(rules, order.payee)

    def _refuse_unless_open(self, payout: Payout) -> None:
        channel = self.catalogue().channels.get((payout.merchant_id, payout.channel))
        if channel is None or not self._works(channel):
            raise PayoutRefusedError("channel_off")

    def _works(self, channel: Channel) -> bool:
        """Whether it is on, and not in maintenance now."""
        return channel.on and not self.catalogue().rests(channel.merchant_id, channel.code, self.clock())


def _unfit(rules: PayeeRules, payee: Payee) -> PayoutRefusedError | None:
    match rules.why_not(payee):
        case None:
            return None
        case "type_unsupported":
            return PayoutRefusedError("unsupported", field="account.type")
        case "bank_unsupported":
            return PayoutRefusedError("unsupported", field="account.bank")
        case "field_missing":
            return PayoutRefusedError("missing", field=f"account.{rules.lacks(payee)[0]}")
        case "text_unwritable":
            return PayoutRefusedError("text", field=f"account.{rules.cannot_write(payee)[0]}")
