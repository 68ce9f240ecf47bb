"""Send what was recorded to its PSP: authenticate a card, pay, refund; once each; and ask what became of it.

Whoever recorded an intent carries it out, and nobody else: one whose bearer died is found by its object's due time and
is only asked about (`flows.follow_up`), since it may have been sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.hearing import Source
from gateway.domain.intents import PRODUCT_OF, Intent
from gateway.domain.outcomes import (
    AnyOutcome,
    Declined,
    NotSent,
    Outcome,
    Processing,
    Returned,
    Succeeded,
    Unknown,
)
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.domain.terms import ANSWER_MARGIN_S
from gateway.flows.observations import ObservationMaker, key_of
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    Calls,
    Command,
    OpenResult,
    Pay,
    Providers,
    Recorded,
    Recording,
)
from gateway.ports import Refund as RefundCommand

O = TypeVar("O", bound=AnyOutcome)  # noqa: E741 -- an outcome of any kind
M = TypeVar("M", Payment, Refund)

SEND_WITHIN_S = 5.0
"""An intent older than this is not sent any more: others may already be asking about it."""

LATE_WAITS_S = (1.0, 5.0, 30.0)
"""Waits before asking about what may have been sent after it was given up."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Sends intents to their PSPs."""

    providers: Providers
    calls: Calls
    books: Recording
    observations: ObservationMaker

    async def submit(self, opened: OpenResult, card: CardElements) -> Payment:
        """Bring a payment that the caller has just opened as far as its PSP's answer brings it."""
        if opened.authentication is not None:
            return await self.authenticate(opened.authentication, card) or opened.payment
        if opened.payment.attempt is not None:
            return await self.pay(opened.payment, card, opened.agreement_no)
        return opened.payment  # it waits for an authentication that is in flight

    # Authentications

    async def authenticate(self, authentication: Authentication, card: CardElements) -> Payment | None:
        """Bind the card silently, then pay. A lost answer is asked about once; nothing is charged before we know.

        Returns the payment that started it.
        """
        intent = authentication.intent
        command = Authenticate(
            number=intent.number,
            told_at=intent.told_at,
            bank=authentication.bank,
            card=card,
            user_id=authentication.user_id,
            notify_url=self.providers.notify_url(authentication.merchant_id, intent.account),
        )
        outcome = await self._send(authentication.merchant_id, intent, command, authentication.payment_id)
        if isinstance(outcome, Unknown):
            return await self.resume(authentication, card)
        heard = self.observations.of(key_of(authentication), Source.ANSWER, outcome)
        return await self._go_on(await self.books.record(heard), card)

    async def resume(self, authentication: Authentication, card: CardElements) -> Payment | None:
        """Ask what became of an authentication whose answer was lost; go on to pay if the card is bound."""
        intent = authentication.intent
        command = AskAuthentication(intent.number, intent.told_at, authentication.bank, card, authentication.user_id)
        outcome = await self._ask(authentication.merchant_id, intent, command)
        heard = self.observations.of(key_of(authentication), Source.POLL, outcome)
        return await self._go_on(await self.books.record(heard), card)

    async def _go_on(self, recorded: Recorded, card: CardElements) -> Payment | None:
        if recorded.submit and recorded.payment is not None:
            return await self.pay(recorded.payment, card, recorded.agreement_no)
        return recorded.payment

    # Payments

    async def pay(self, payment: Payment, card: CardElements, agreement_no: str | None) -> Payment:
        """Send the intent to pay, once, and record the answer."""
        intent = _intent_of(payment)
        command = Pay(
            number=intent.number,
            told_at=intent.told_at,
            scene=payment.scene,
            amount=payment.amount,
            bank=payment.bank,
            card=card,
            agreement_no=agreement_no,
            user_id=payment.user_id,
            description=payment.description or payment.merchant_order_no,
            notify_url=self.providers.notify_url(payment.merchant_id, intent.account),
        )
        outcome = await self._send(payment.merchant_id, intent, command, payment.payment_id)
        recorded = await self.books.record(self.observations.of(key_of(payment), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Payment)
        return await self._unless_given_up(recorded.object, outcome, self.ask)

    async def ask(self, payment: Payment) -> tuple[Payment, Outcome]:
        """Ask the PSP what became of a payment that was sent, or perhaps sent, and record what it says."""
        intent = _intent_of(payment)
        command = AskPayment(intent.number, intent.told_at, payment.scene, payment.amount, _tries(intent))
        outcome = await self._ask(payment.merchant_id, intent, command)
        recorded = await self.books.record(self.observations.of(key_of(payment), Source.POLL, outcome))
        assert isinstance(recorded.object, Payment)
        return recorded.object, outcome

    # Refunds

    async def refund(self, refund: Refund, payment: Payment) -> Refund:
        """Send the intent to refund, once, and record the answer. `payment`: the one whose money goes back."""
        intent, original = refund.intent, _intent_of(payment)
        command = RefundCommand(
            number=intent.number,
            told_at=intent.told_at,
            scene=refund.scene,
            amount=refund.amount,
            original_number=original.number,
            original_told_at=original.told_at,
            original_transaction_no=original.channel_transaction_no,
            original_amount=payment.amount,
            notify_url=self.providers.notify_url(refund.merchant_id, intent.account),
            reason=refund.reason or "",
        )
        outcome = await self._send(refund.merchant_id, intent, command, refund.refund_id)
        recorded = await self.books.record(self.observations.of(key_of(refund), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Refund)
        return await self._unless_given_up(recorded.object, outcome, self.ask_refund)

    async def ask_refund(self, refund: Refund) -> tuple[Refund, Outcome]:
        """Ask the PSP what became of a refund that was sent, or perhaps sent, and record what it says."""
        intent = refund.intent
        command = AskRefund(intent.number, intent.told_at, refund.scene, refund.amount, _tries(intent))
        outcome = await self._ask(refund.merchant_id, intent, command)
        recorded = await self.books.record(self.observations.of(key_of(refund), Source.POLL, outcome))
        assert isinstance(recorded.object, Refund)
        return recorded.object, outcome

    # The wire

    async def _send(
        self, merchant_id: UUID, intent: Intent, command: Command[O], holder: UUID | None
    ) -> O | NotSent | Unknown:
        """Send an intent that is young enough; an answer that comes too late is none.

        `holder`: the object that may have a place of its channel already.
        """
        # A clock that was set back would give it hours: it was recorded before now, whatever the clock says.
        age_s = max((self.observations.clock() - intent.recorded_at).total_seconds(), 0.0)
        if age_s > SEND_WITHIN_S:
            return NotSent(f"not sent: {age_s:.0f} s had passed since the intent was recorded", ours=True)
        provider = self.providers.provider(merchant_id, intent.account)
        timeout_s = provider.declaration.terms[PRODUCT_OF[intent.verb]].answer_timeout_s
        try:
            # From its due time on others ask about it, so by then nothing may still be on its way to the wire.
            async with asyncio.timeout(timeout_s + ANSWER_MARGIN_S - age_s):
                within_s = SEND_WITHIN_S - age_s
                return await self.calls(merchant_id, intent.channel, intent.account, command, within_s, holder)
        except TimeoutError:
            return Unknown("no answer before it was due")

    async def _ask(self, merchant_id: UUID, intent: Intent, command: Command[O]) -> O:
        """Ask. A question that was not sent told nothing; what it asks about may have been sent."""
        return await self.calls(merchant_id, intent.channel, intent.account, command)

    async def _unless_given_up(self, after: M, outcome: Outcome, ask: Callable[[M], Awaitable[tuple[M, Outcome]]]) -> M:
        """What was proved lost while this process slept with the request in its hand may have been sent after all.

        Nobody else will ask soon: a success must at least become an anomaly.
        """
        if after.status is Status.FAILED and isinstance(outcome, Processing | Unknown):
            for wait_s in LATE_WAITS_S:
                await asyncio.sleep(wait_s)
                after, said = await ask(after)
                if isinstance(said, Succeeded | Returned | Declined):
                    break
        return after


def _intent_of(payment: Payment) -> Intent:
    assert payment.attempt is not None, "a payment without an intent to pay was never sent"
    return payment.attempt


def _tries(intent: Intent) -> int:
    """Questions so far, for protocols whose questions carry a number of their own."""
    return intent.questions + intent.looks
