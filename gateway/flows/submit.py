"""Send what was recorded to its PSP: authenticate a card, pay, refund, pay out; once each; and ask what became of it.

Whoever recorded an intent carries it out, and nobody else: one whose bearer died is found by its object's due time and
is only asked about (`flows.follow_up`), since it may have been sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.hearing import Source
from gateway.domain.intents import Intent, Verb
from gateway.domain.outcomes import Declined, NotSent, Outcome, Processing, Returned, SmsNeeded, Succeeded, Unknown
from gateway.domain.payees import Payee
from gateway.domain.payments import Payment
from gateway.domain.payouts import Payout
from gateway.domain.refunds import Refund
from gateway.domain.statuses import Status
from gateway.flows.authenticate import Authenticating, sms_key
from gateway.flows.observations import key_of
from gateway.flows.sending import tries
from gateway.ports import (
    AskPayment,
    AskPayout,
    AskRefund,
    Cancel,
    ConfirmPayout,
    IntentKey,
    OpenResult,
    Pay,
    Recorded,
    SendPaymentCode,
)
from gateway.ports import Payout as PayoutCommand
from gateway.ports import Refund as RefundCommand

M = TypeVar("M", Payment, Refund, Payout)

LATE_WAITS_S = (1.0, 5.0, 30.0)
"""Waits before asking about what may have been sent after it was given up."""


@dataclass(frozen=True, slots=True)
class Submission(Authenticating):
    """Sends intents to their PSPs."""

    async def submit(self, opened: OpenResult, card: CardElements | None) -> Payment:
        """Bring a payment that the caller has just opened as far as its PSP's answer brings it.

        `card`: None where the custody bank alone knows it.
        """
        if card is None:
            return await self.pay(opened.payment, None, None)
        if opened.authentication is not None:
            if opened.sms is not None:
                return await self.sms_to_sign(opened.authentication, opened.sms, card) or opened.payment
            return await self.authenticate(opened.authentication, card) or opened.payment
        if opened.sms is not None:
            return await self.sms_to_pay(opened.payment, opened.sms, card, opened.agreement_no)
        if opened.payment.attempt is not None:
            return await self.pay(opened.payment, card, opened.agreement_no)
        return opened.payment  # it waits for an authentication that is in flight

    async def go_on(self, recorded: Recorded, card: CardElements | None) -> Payment | None:
        """What the one must do who heard it: pay, ask for an SMS, or nothing."""
        sms, payment = recorded.sms, recorded.payment
        if card is None:
            return await self.pay(payment, None, None) if recorded.submit and payment is not None else payment
        if sms is not None and sms.verb is Verb.SEND_SIGNING_CODE:
            assert not isinstance(recorded.object, Payment | Refund | Payout)
            return await self.sms_to_sign(recorded.object, sms, card)
        if sms is not None and payment is not None:
            return await self.sms_to_pay(payment, sms, card, recorded.agreement_no)
        if recorded.submit and payment is not None:
            if payment.attempt is None and isinstance(recorded.object, Authentication):
                return await self.authenticate(recorded.object, card)  # it left the line, and its card is bound first
            return await self.pay(payment, card, recorded.agreement_no)
        return payment

    # Codes for one payment

    async def sms_to_pay(
        self,
        payment: Payment,
        sms: Intent,
        card: CardElements,
        agreement_no: str | None,
        continuation: str | None = None,
    ) -> Payment:
        """Have the SMS sent with the code for a payment; where the PSP does so when it is asked to pay, ask it that."""
        if sms.verb is Verb.PAY:
            return await self.pay(payment, card, agreement_no)
        command = SendPaymentCode(
            number=sms.number,
            told_at=sms.told_at,
            scene=payment.scene,
            amount=payment.amount,
            bank=payment.bank,
            card=card,
            agreement_no=agreement_no,
            user_id=payment.user_id,
            description=payment.description or payment.merchant_order_no,
            notify_url=self.providers.notify_url(payment.merchant_id, sms.account),
            ordinal=sms.ordinal,
            continuation=continuation,
        )
        outcome = await self.send(payment.merchant_id, sms, command, payment.payment_id)
        recorded = await self.books.record(self.observations.of(sms_key(payment, sms), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Payment)
        return recorded.object

    async def lost_sms_to_pay(self, payment: Payment) -> None:
        """Whoever was to have it sent is gone: perhaps it was. The payer waits for it, or asks for another."""
        asked = payment.asked
        assert asked is not None
        intent = IntentKey(payment.merchant_id, payment.user_id, payment.payment_id, Verb.SEND_PAYMENT_CODE, asked.sms)
        await self.books.record(self.observations.of(intent, Source.POLL, Unknown("nobody knows whether it was sent")))

    # Payments

    async def pay(
        self,
        payment: Payment,
        card: CardElements | None,
        agreement_no: str | None,
        sms_code: str | None = None,
        continuation: str | None = None,
    ) -> Payment:
        """Send the intent to pay, once, and record the answer. `sms_code`: what the payer typed."""
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
            sms_code=sms_code,
            ordinal=intent.ordinal,
            continuation=continuation,
            psp_code=payment.psp_code,
            custody_user_no=payment.custody_number,
        )
        outcome = await self.send(payment.merchant_id, intent, command, payment.payment_id)
        recorded = await self.books.record(self.observations.of(key_of(payment), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Payment)
        return await self._unless_given_up(recorded.object, outcome, self.ask)

    async def ask(self, payment: Payment) -> tuple[Payment, Outcome]:
        """Ask the PSP what became of a payment that was sent, or perhaps sent, and record what it says."""
        intent = _intent_of(payment)
        command = AskPayment(intent.number, intent.told_at, payment.scene, payment.amount, tries(intent))
        asked_at = self.observations.clock()
        outcome = await self.ask_about(payment.merchant_id, intent, command)
        said = self.observations.of(key_of(payment), Source.POLL, outcome, asked_at=asked_at)
        recorded = await self.books.record(said)
        assert isinstance(recorded.object, Payment)
        return recorded.object, outcome

    async def cancel(self, payment: Payment) -> Payment:
        """Have the PSP give up the order of a payment on its page, where its protocol can; it may be sent again."""
        intent = _intent_of(payment)
        if not self.can_do(payment.merchant_id, intent.account, Cancel):
            return payment
        command = Cancel(intent.number, intent.told_at, payment.scene, payment.amount)
        outcome = await self.ask_about(payment.merchant_id, intent, command)
        recorded = await self.books.record(self.observations.of(key_of(payment), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Payment)
        return recorded.object

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
            original_transaction_no=refund.second or original.channel_transaction_no,
            original_amount=payment.amount,
            notify_url=self.providers.notify_url(refund.merchant_id, intent.account),
            reason=refund.reason or "",
        )
        outcome = await self.send(refund.merchant_id, intent, command, refund.refund_id)
        recorded = await self.books.record(self.observations.of(key_of(refund), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Refund)
        return await self._unless_given_up(recorded.object, outcome, self.ask_refund)

    async def ask_refund(self, refund: Refund) -> tuple[Refund, Outcome]:
        """Ask the PSP what became of a refund that was sent, or perhaps sent, and record what it says."""
        intent = refund.intent
        asks = (refund.scene, refund.amount, tries(intent), refund.original_transaction_no)
        command = AskRefund(intent.number, intent.told_at, *asks)
        outcome = await self.ask_about(refund.merchant_id, intent, command)
        recorded = await self.books.record(self.observations.of(key_of(refund), Source.POLL, outcome))
        assert isinstance(recorded.object, Refund)
        return recorded.object, outcome

    # Payouts

    async def payout(self, payout: Payout, payee: Payee) -> Payout:
        """Send the intent to pay out, once, and record the answer."""
        intent = _sent(payout)
        command = PayoutCommand(
            number=intent.number,
            told_at=intent.told_at,
            amount=payout.amount,
            payee=payee,
            purpose=payout.purpose,
            notify_url=self.providers.notify_url(payout.merchant_id, intent.account),
        )
        return await self._send_payout(payout, await self.send(payout.merchant_id, intent, command, payout.payout_id))

    async def confirm_payout(self, payout: Payout, continuation: str) -> Payout:
        """Send the word that a suspected payout is right, once, and record the answer."""
        intent = _sent(payout)
        command = ConfirmPayout(
            number=intent.number,
            told_at=intent.told_at,
            amount=payout.amount,
            notify_url=self.providers.notify_url(payout.merchant_id, intent.account),
            continuation=continuation,
            ordinal=intent.ordinal,
        )
        return await self._send_payout(payout, await self.send(payout.merchant_id, intent, command, payout.payout_id))

    async def _send_payout(self, payout: Payout, outcome: Outcome) -> Payout:
        if isinstance(outcome, NotSent) and _sent(payout).ordinal > 1:
            # What is held stays held, whether or not the word went out: it is asked, and may be said again.
            outcome = Unknown(outcome.reason)
        recorded = await self.books.record(self.observations.of(key_of(payout), Source.ANSWER, outcome))
        assert isinstance(recorded.object, Payout)
        return await self._unless_given_up(recorded.object, outcome, self.ask_payout)

    async def ask_payout(self, payout: Payout) -> tuple[Payout, Outcome]:
        """Ask the PSP what became of a payout that was sent, or perhaps sent, and record what it says."""
        intent = _sent(payout)
        command = AskPayout(intent.number, intent.told_at, payout.amount, tries(intent))
        outcome = await self.ask_about(payout.merchant_id, intent, command)
        recorded = await self.books.record(self.observations.of(key_of(payout), Source.POLL, outcome))
        assert isinstance(recorded.object, Payout)
        return recorded.object, outcome

    async def _unless_given_up(self, after: M, outcome: Outcome, ask: Callable[[M], Awaitable[tuple[M, Outcome]]]) -> M:
        """What was proved lost while this process slept with the request in its hand may have been sent after all.

        Nobody else will ask soon: a success must at least become an anomaly.
        """
        if after.status is Status.FAILED and isinstance(outcome, Processing | Unknown):
            for wait_s in LATE_WAITS_S:
                await asyncio.sleep(wait_s)
                after, said = await ask(after)
                if isinstance(said, Succeeded | Returned | Declined | SmsNeeded):
                    break
        return after


def _intent_of(payment: Payment) -> Intent:
    assert payment.attempt is not None, "a payment without an intent to pay was never sent"
    return payment.attempt


def _sent(payout: Payout) -> Intent:
    assert payout.intent is not None, "a payout without an intent was never sent"
    return payout.intent
