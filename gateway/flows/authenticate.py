"""Bind a card: silently, or by an SMS and the code that the payer types; and what follows when it is bound."""

from dataclasses import dataclass

from gateway.domain.authentications import Authentication
from gateway.domain.cards import CardElements
from gateway.domain.codes import mask_phone
from gateway.domain.hearing import Source
from gateway.domain.intents import Intent, Verb
from gateway.domain.outcomes import AuthenticationOutcome, Unknown
from gateway.domain.payments import Payment
from gateway.flows.observations import key_of
from gateway.flows.sending import Sender
from gateway.ports import AskAuthentication, Authenticate, IntentKey, Recorded, SendSigningCode, Sign

__all__ = ["Authenticating"]


@dataclass(frozen=True, slots=True)
class Authenticating(Sender):
    """Authenticates cards. What comes after is the submission's (`go_on`)."""

    async def authenticate(self, authentication: Authentication, card: CardElements) -> Payment | None:
        """Bind the card silently, then pay. A lost answer is asked about once; nothing is charged before we know.

        Returns the payment that started it.
        """
        intent = _intent_of(authentication)
        command = Authenticate(
            number=intent.number,
            told_at=intent.told_at,
            bank=authentication.bank,
            card=card,
            user_id=authentication.user_id,
            notify_url=self.providers.notify_url(authentication.merchant_id, intent.account),
        )
        outcome = await self.send(authentication.merchant_id, intent, command, authentication.payment_id)
        return await self._heard(authentication, outcome, card, None)

    async def sign(
        self, authentication: Authentication, card: CardElements, sms_code: str, continuation: str | None
    ) -> Payment | None:
        """Bind the card with the code that the payer typed, then pay. A lost answer is asked about once."""
        intent = _intent_of(authentication)
        command = Sign(
            number=intent.number,
            told_at=intent.told_at,
            bank=authentication.bank,
            card=card,
            user_id=authentication.user_id,
            notify_url=self.providers.notify_url(authentication.merchant_id, intent.account),
            sms_code=sms_code,
            ordinal=intent.ordinal,
            continuation=continuation,
        )
        outcome = await self.send(authentication.merchant_id, intent, command, authentication.payment_id)
        return await self._heard(authentication, outcome, card, continuation)

    async def _heard(
        self,
        authentication: Authentication,
        outcome: AuthenticationOutcome,
        card: CardElements,
        continuation: str | None,
    ) -> Payment | None:
        if isinstance(outcome, Unknown):
            return await self.resume(authentication, card, continuation)
        heard = self.observations.of(key_of(authentication), Source.ANSWER, outcome, phone=mask_phone(card.phone))
        return await self.go_on(await self.books.record(heard), card)

    async def resume(
        self, authentication: Authentication, card: CardElements, continuation: str | None = None
    ) -> Payment | None:
        """Ask what became of an authentication whose answer was lost; go on to pay if the card is bound."""
        intent = _intent_of(authentication)
        outcome: AuthenticationOutcome
        if self.can_do(authentication.merchant_id, intent.account, AskAuthentication):
            command = AskAuthentication(
                intent.number, intent.told_at, authentication.bank, card, authentication.user_id, continuation
            )
            outcome = await self.ask_about(authentication.merchant_id, intent, command)
        else:
            outcome = Unknown("the answer was lost, and the protocol has no question for it")
        heard = self.observations.of(key_of(authentication), Source.POLL, outcome, phone=mask_phone(card.phone))
        return await self.go_on(await self.books.record(heard), card)

    async def sms_to_sign(
        self, authentication: Authentication, sms: Intent, card: CardElements, continuation: str | None = None
    ) -> Payment | None:
        """Have the SMS sent that the card is signed by. Returns the payment whose payer waits for it."""
        command = SendSigningCode(
            number=sms.number,
            told_at=sms.told_at,
            bank=authentication.bank,
            card=card,
            user_id=authentication.user_id,
            notify_url=self.providers.notify_url(authentication.merchant_id, sms.account),
            ordinal=sms.ordinal,
            continuation=continuation,
        )
        outcome = await self.send(authentication.merchant_id, sms, command, authentication.payment_id)
        heard = self.observations.of(sms_key(authentication, sms), Source.ANSWER, outcome)
        return (await self.books.record(heard)).payment

    async def lost_sms_to_sign(self, authentication: Authentication) -> None:
        """Whoever was to have it sent is gone: perhaps it was. The payer waits for it, or asks for another."""
        asked = authentication.asked
        assert asked is not None
        intent = IntentKey(
            authentication.merchant_id,
            authentication.user_id,
            authentication.authentication_id,
            Verb.SEND_SIGNING_CODE,
            asked.sms,
        )
        await self.books.record(self.observations.of(intent, Source.POLL, Unknown("nobody knows whether it was sent")))

    async def go_on(self, recorded: Recorded, card: CardElements) -> Payment | None:
        """What the one must do who heard it: pay, ask for an SMS, or nothing."""
        raise NotImplementedError


def sms_key(about: Authentication | Payment, sms: Intent) -> IntentKey:
    """What a word on an SMS names."""
    return IntentKey(about.merchant_id, about.user_id, sms.object_id, sms.verb, sms.ordinal)


def _intent_of(authentication: Authentication) -> Intent:
    assert authentication.intent is not None, "nothing was sent that binds the card"
    return authentication.intent
