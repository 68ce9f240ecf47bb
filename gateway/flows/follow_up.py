"""Follow up a payment whose next thing is due: ask its PSP, or take up an authentication whose bearer fell silent."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.ids import channel_order_no
from gateway.domain.outcomes import NotSent, Unknown
from gateway.domain.payments import Payment, Stage
from gateway.domain.transitions import Source
from gateway.flows.submit import Submission
from gateway.ports import Query


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
        return await self._query(payment)

    async def _query(self, payment: Payment) -> Payment:
        attempt, submission = payment.attempt, self.submission
        assert attempt is not None
        command = Query(
            channel_order_no(attempt.attempt_id), attempt.submitted_at, payment.scene, payment.amount, attempt.polls
        )
        outcome = await submission.accounts.provider(payment.merchant_id, attempt.account).query(command)
        if isinstance(outcome, NotSent):
            outcome = Unknown(outcome.reason)  # the question was not sent; the payment may have been
        recorded = await submission.books.record(submission.facts.payment(payment, Source.POLL, outcome))
        return recorded.payment
