"""Submit a payment to its PSP: authenticate its card where that comes first, send it once, record what is said.

Whoever recorded an intent carries it out, and nobody else: a payment whose bearer died is found by its due time and is
only asked about (`flows.follow_up`), since it may have been sent.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.ids import channel_order_no
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotSent,
    Outcome,
    Processing,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Attempt, Payment, Stage, Status
from gateway.domain.terms import ANSWER_MARGIN_S, Product
from gateway.domain.transitions import Source
from gateway.flows.observations import ObservationMaker
from gateway.ports import AskAuthentication, AskPayment, Authenticate, Calls, Pay, Providers, Recording

SEND_WITHIN_S = 5.0
"""An intent older than this is not sent any more: others may already be asking about it."""

LATE_WAITS_S = (1.0, 5.0, 30.0)
"""Waits before asking about a payment that may have been sent after it was given up."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Sends payments to their PSPs."""

    providers: Providers
    calls: Calls
    books: Recording
    observations: ObservationMaker

    async def submit(self, payment: Payment, card: CardElements, agreement_no: str | None) -> Payment:
        """Bring a payment whose intent the caller has just recorded as far as its PSP's answer brings it."""
        if _attempt(payment).stage is Stage.PAYING:
            return await self.pay(payment, card, agreement_no)
        return await self.authenticate(payment, card)

    async def authenticate(self, payment: Payment, card: CardElements) -> Payment:
        """Bind the card silently, then pay. A lost answer is asked about once; nothing is charged before we know."""
        attempt = _attempt(payment)
        command = Authenticate(
            number=_authentication_number(attempt),
            told_at=attempt.submitted_at,
            bank=payment.bank,
            card=card,
            notify_url=self.providers.notify_url(payment.merchant_id, attempt.account),
        )
        within_s = SEND_WITHIN_S - self._age_s(attempt)
        outcome = self._too_late(attempt) or await self.calls(*_place(payment), command, within_s)
        if isinstance(outcome, Unknown):
            return await self.resume(payment, card)
        return await self._authenticated(payment, card, Source.ANSWER, outcome)

    async def resume(self, payment: Payment, card: CardElements) -> Payment:
        """Ask what became of an authentication whose answer was lost; go on to pay if the card is bound."""
        attempt = _attempt(payment)
        command = AskAuthentication(_authentication_number(attempt), attempt.submitted_at, payment.bank, card)
        outcome = await self.calls(*_place(payment), command)
        if isinstance(outcome, NotSent):
            outcome = Unknown(outcome.reason)  # the question was not sent; the authentication may have been
        return await self._authenticated(payment, card, Source.POLL, outcome)

    async def _authenticated(
        self,
        payment: Payment,
        card: CardElements,
        source: Source,
        outcome: AuthenticationOutcome,
    ) -> Payment:
        recorded = await self.books.record(self.observations.authentication(payment, source, outcome))
        if recorded.submit and isinstance(outcome, Authenticated):
            return await self.pay(recorded.payment, card, outcome.agreement_no)
        return recorded.payment

    async def pay(self, payment: Payment, card: CardElements, agreement_no: str | None) -> Payment:
        """Send the payment, once, and record the answer."""
        outcome = await self._send(payment, card, agreement_no)
        recorded = await self.books.record(self.observations.payment(payment, Source.ANSWER, outcome))
        if recorded.payment.status is Status.FAILED and isinstance(outcome, Processing | Unknown):
            # It was proved lost while this process slept with the request in its hand. Now it may have been sent after
            # all, and nobody else will ask: a success must at least become an anomaly.
            return await self._ask_again(recorded.payment)
        return recorded.payment

    async def _ask_again(self, payment: Payment) -> Payment:
        for wait_s in LATE_WAITS_S:
            await asyncio.sleep(wait_s)
            payment, outcome = await self.ask(payment)
            if isinstance(outcome, Succeeded | Declined):
                break
        return payment

    async def ask(self, payment: Payment) -> tuple[Payment, Outcome]:
        """Ask the PSP what became of a payment that was sent, or perhaps sent, and record what it says."""
        attempt = _attempt(payment)
        command = AskPayment(
            channel_order_no(attempt.attempt_id), attempt.submitted_at, payment.scene, payment.amount, attempt.polls
        )
        outcome = await self.calls(*_place(payment), command)
        if isinstance(outcome, NotSent):
            outcome = Unknown(outcome.reason)  # the question was not sent; the payment may have been
        recorded = await self.books.record(self.observations.payment(payment, Source.POLL, outcome))
        return recorded.payment, outcome

    async def _send(self, payment: Payment, card: CardElements, agreement_no: str | None) -> Outcome:
        attempt = _attempt(payment)
        late = self._too_late(attempt)
        if late is not None:
            return late
        command = Pay(
            number=channel_order_no(attempt.attempt_id),
            told_at=attempt.submitted_at,
            scene=payment.scene,
            amount=payment.amount,
            bank=payment.bank,
            card=card,
            agreement_no=agreement_no,
            user_id=payment.user_id,
            description=payment.description or payment.merchant_order_no,
            notify_url=self.providers.notify_url(payment.merchant_id, attempt.account),
        )
        terms = self.providers.provider(payment.merchant_id, attempt.account).declaration.terms[Product.PAYMENT]
        age_s = self._age_s(attempt)
        try:
            # From its due time on others ask about it, so by then nothing may still be on its way to the wire.
            async with asyncio.timeout(terms.answer_timeout_s + ANSWER_MARGIN_S - age_s):
                return await self.calls(*_place(payment), command, SEND_WITHIN_S - age_s)
        except TimeoutError:
            return Unknown("no answer before the payment was due")

    def _too_late(self, attempt: Attempt) -> NotSent | None:
        age_s = self._age_s(attempt)
        if age_s <= SEND_WITHIN_S:
            return None
        return NotSent(f"not sent: {age_s:.0f} s had passed since the intent was recorded", ours=True)

    def _age_s(self, attempt: Attempt) -> float:
        return (self.observations.clock() - attempt.submitted_at).total_seconds()


def _attempt(payment: Payment) -> Attempt:
    assert payment.attempt is not None, "a payment without an attempt is never submitted"
    return payment.attempt


def _place(payment: Payment) -> tuple[UUID, str, str]:
    """Whose channel and account carry the payment."""
    attempt = _attempt(payment)
    return payment.merchant_id, attempt.channel, attempt.account


def _authentication_number(attempt: Attempt) -> str:
    assert attempt.authentication_id is not None
    return channel_order_no(attempt.authentication_id)
