"""Follow up a payment whose next thing is due: ask its PSP, or take up an authentication whose bearer fell silent."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.payments import Payment, Stage
from gateway.flows.submit import Submission


class CardReading(Protocol):
    """Reads the elements of a card."""

    async def card(self, merchant_id: UUID, card_id: UUID) -> CardElements: ...


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What a worker does with a payment that it has claimed."""

    submission: Submission
    cards: CardReading

    async def __call__(self, payment: Payment) -> Payment:
        """Do the one thing that is due. The payment is not final and its lease is ours."""
        assert payment.attempt is not None
        if payment.attempt.stage is Stage.AUTHENTICATING:
            assert payment.card is not None
            card = await self.cards.card(payment.merchant_id, payment.card.card_id)
            return await self.submission.resume(payment, card)
        after, _ = await self.submission.ask(payment)
        return after
