"""Follow up what is due: ask the PSP, end a wait whose time is over, or let a payment go on that waited."""

from dataclasses import dataclass
from typing import Protocol, assert_never
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.codes import mask_phone
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.flows.submit import Submission
from gateway.ports import Wish

__all__ = ["CardReading", "Due", "FollowUp", "channel_of"]

Due = Payment | Authentication | Refund | Payout
"""What can have something due."""


def channel_of(due: Due) -> str:
    """The channel whose PSP is asked."""
    return (due.intent.channel if isinstance(due, Refund) else due.channel) or ""


class CardReading(Protocol):
    """Reads the elements of a card, and what the SMS gave that it is signed by."""

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements: ...

    async def continuation(self, authentication: Authentication) -> str | None: ...


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a worker does with what it has claimed."""

    submission: Submission
    cards: CardReading

    async def __call__(self, due: Due) -> None:
        """Do the one thing that is due. Its lease is ours."""
        match due:
            case Authentication():
                await self._authentication(due)
            case Refund():
                await self.submission.ask_refund(due)
            case Payout():
                await self.submission.ask_payout(due)
            case Payment():
                await self._payment(due)
            case never:
                assert_never(never)

    async def _authentication(self, due: Authentication) -> None:
        if due.intent is not None and (due.intent.is_open or due.is_final):
            card = await self.cards.card(due.merchant_id, due.card_id)
            await self.submission.resume(due, card, await self.cards.continuation(due))
        elif due.asked is not None and due.asked.sending:
            await self.submission.lost_sms_to_sign(due)
        else:
            await self._expire(due)

    async def _payment(self, due: Payment) -> None:
        asked = due.asked
        if due.attempt is not None and (due.attempt.is_open or due.is_final):
            await self.submission.ask(due)
        elif asked is not None and asked.sending and not due.waits_for_authentication:
            await self.submission.lost_sms_to_pay(due)
        elif due.status is Status.REQUIRES_ACTION:
            await self._expire(due)
        else:
            await self._go_on(due)

    async def _expire(self, due: Payment | Authentication) -> None:
        """The payer's time is over. Where the PSP was sent an order that it may pay, it is asked first."""
        submission, said = self.submission, None
        if isinstance(due, Payment) and due.order_may_be_paid and not self._is_asked_by_another(due):
            after, said = await submission.ask(due)
            if after.is_final:
                return
            due = after
        await submission.books.act(submission.observations.act(due, Wish.EXPIRE, said=said))

    def _is_asked_by_another(self, due: Payment) -> bool:
        """Whether somebody who wished to close it has the PSP asked just now: then it is asked by its plan."""
        asked = due.asked
        return (
            asked is not None
            and asked.ask_again_at is not None
            and self.submission.observations.clock() < asked.ask_again_at
        )

    async def _go_on(self, payment: Payment) -> None:
        """Nothing of it was sent: it waits for an authentication, or waited, or stands in line and its time is over."""
        if payment.waits_for_place:
            await self.end_wait(payment)
            return
        await self._send(payment, has_place=False)

    async def end_wait(self, payment: Payment) -> None:
        """End the wait of a payment that stands in line, if its time is over."""
        await self.submission.books.go_on(self.submission.observations.go_on(payment))

    async def send_from_line(self, payment: Payment) -> None:
        """Send a payment that stood in line, on the place that is held under its id."""
        await self._send(payment, has_place=True)

    async def _send(self, payment: Payment, *, has_place: bool) -> None:
        """Let it go on, if it may. Read first what must not fail later."""
        card = await self.cards.card(payment.merchant_id, payment.card.card_id) if payment.card else None
        submission, phone = self.submission, mask_phone(card.phone) if card else ""
        waiting = submission.observations.go_on(payment, has_place=has_place, phone=phone)
        await submission.go_on(await submission.books.go_on(waiting), card)
