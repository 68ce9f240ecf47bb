"""Follow up what is due: ask the PSP, let a payment go on that waited for an authentication, or send from the line."""

from dataclasses import dataclass
from typing import Protocol, assert_never
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.flows.submit import Submission

__all__ = ["CardReading", "Due", "FollowUp", "channel_of"]

Due = Payment | Authentication | Refund
"""What can have something due."""


def channel_of(due: Due) -> str:
    """The channel whose PSP is asked."""
    return (due.intent.channel if isinstance(due, Refund) else due.channel) or ""


class CardReading(Protocol):
    """Reads the elements of a card."""

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements: ...


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a worker does with what it has claimed."""

    submission: Submission
    cards: CardReading

    async def __call__(self, due: Due) -> None:
        """Do the one thing that is due. Its lease is ours."""
        match due:
            case Authentication():
                card = await self.cards.card(due.merchant_id, due.card_id)
                await self.submission.resume(due, card)
            case Refund():
                await self.submission.ask_refund(due)
            case Payment() if due.attempt is not None:
                await self.submission.ask(due)
            case Payment():
                await self._go_on(due)
            case never:
                assert_never(never)

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
        assert payment.card is not None
        card = await self.cards.card(payment.merchant_id, payment.card.card_id)
        submission = self.submission
        recorded = await submission.books.go_on(submission.observations.go_on(payment, has_place=has_place))
        if not recorded.submit or recorded.payment is None:
            return
        if isinstance(recorded.object, Authentication):
            await submission.authenticate(recorded.object, card)
        else:
            await submission.pay(recorded.payment, card, recorded.agreement_no)
