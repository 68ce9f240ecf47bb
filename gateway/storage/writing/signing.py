"""Record what PSPs say of SMS, and ask for the next one: the part of a flush that codes need."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.domain import authentications, payments
from gateway.domain.authentications import Authentication
from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EVENTS_OF
from gateway.domain.failures import FailureCode, failure
from gateway.domain.hearing import Heard
from gateway.domain.ids import ObjectKind, caused_id
from gateway.domain.intents import Intent, IntentState, Verb
from gateway.domain.outcomes import CodeOutcome, CodeSent, Declined, NotSent, Unknown
from gateway.domain.payments import Payment, begun
from gateway.domain.statuses import Status
from gateway.domain.terms import Product
from gateway.flows.intents import code_to_sign, intent_to_pay, sms_to_pay, sms_to_sign
from gateway.flows.route import may_sign
from gateway.metrics import DISAGREEMENTS
from gateway.objects.events import event_of
from gateway.ports import Observation, Recorded, TermsOf
from gateway.storage.keys import CardBox, DecryptionError, Keys, stand_back
from gateway.storage.writing.checking_out import tell_checkout
from gateway.storage.writing.intents import SmsAnswer, intent_key
from gateway.storage.writing.page import Page

__all__ = ["Signing", "count_contradiction", "count_disagreement", "own_sms", "tell_authentication", "tell_payment"]


class Signing:
    """What flushes do about codes."""

    def __init__(
        self, keys: Keys, catalogue: Callable[[], Catalogue], terms_of: TermsOf, carries_of: CarriesOf
    ) -> None:
        self._keys, self._catalogue, self._terms_of, self._carries_of = keys, catalogue, terms_of, carries_of

    # What was said of an SMS

    def hear_sms_to_pay(self, page: Page, heard: Observation, payment: Payment) -> Recorded | Exception:
        """The PSP's word on the SMS of a payment."""
        said = _said(heard)
        if said is None or payment.card is None:
            return Recorded(payment, payment)
        refused = self._keep_answer(page, heard, said, payment.card.card_id)
        if refused is not None:
            return refused
        after = payments.after_sms(payment, heard.intent.ordinal or 0, said, heard.at)
        if after.status is not payment.status:
            tell_payment(page, heard.observation_id, after, heard.at)
        page.put_payment(after)
        return Recorded(after, after)

    def hear_sms_to_sign(self, page: Page, heard: Observation, before: Authentication) -> Recorded | Exception:
        """The PSP's word on the SMS that a card is signed by; its payment waits, or ends with it."""
        said = _said(heard)
        starter = page.payments.get(before.payment_id) if before.payment_id else None
        if said is None:
            return Recorded(before, starter)
        refused = self._keep_answer(page, heard, said, before.card_id)
        if refused is not None:
            return refused
        elsewhere = (before.card_id, before.account) in page.verified_elsewhere
        after = authentications.after_sms(before, heard.intent.ordinal or 0, said, heard.at, elsewhere)
        count_contradiction(before, after)
        page.put_authentication(after)
        if after.status is not before.status:
            tell_authentication(page, heard.observation_id, after, heard.at)
        self.end_waits(page, after, heard.observation_id, heard.at)
        starter = page.payments.get(before.payment_id) if before.payment_id else None
        return Recorded(after, starter)

    def end_waits(self, page: Page, after: Authentication, cause: UUID, at: datetime) -> None:
        """The payments that wait for an authentication are as it is now."""
        for payment in [p for p in page.payments.values() if p.authentication_id == after.authentication_id]:
            now = payments.after_authentication(payment, after, at)
            if now.status is not payment.status:
                tell_payment(page, cause, now, at)
            page.put_payment(now)

    def _keep_answer(self, page: Page, heard: Observation, said: CodeOutcome, card_id: UUID) -> Exception | None:
        """Keep the word, and what it gave to go on with. An answer that was kept is not kept again."""
        if heard.observation_id in page.recorded:
            return None
        sealed = None
        if isinstance(said, CodeSent) and said.continuation is not None:
            try:
                sealed = self._box(page, heard.intent.merchant_id, card_id).seal_continuation(
                    heard.intent.object_id, said.continuation
                )
            except DecryptionError as error:
                return stand_back(error)
        page.observations.keep(heard, news=True)
        state, ordinal = _STATES[type(said)], heard.intent.ordinal or 1
        page.sms_answers.append(SmsAnswer(heard.intent.object_id, heard.intent.verb, ordinal, state, heard.at, sealed))
        return None

    def keep_continuation(self, page: Page, payment: Payment, did: Heard) -> Exception | None:
        """Keep what a payment gave to go on with, whose PSP sends the SMS when it is asked to pay."""
        if did.sms_needed is None or did.sms_needed.continuation is None or payment.card is None:
            return None
        try:
            box = self._box(page, payment.merchant_id, payment.card.card_id)
        except DecryptionError as error:
            return stand_back(error)
        page.given[intent_key(did.intent)] = box.seal_continuation(payment.payment_id, did.sms_needed.continuation)
        return None

    def _box(self, page: Page, merchant_id: UUID, card_id: UUID) -> CardBox:
        keeper = page.keepers[card_id]
        return self._keys.box(merchant_id, keeper.card_id, keeper.data_key)

    # Asking for one

    def asks_instead(self, page: Page, heard: Observation, before: Authentication, did: Heard) -> Authentication | None:
        """A silent authentication that needs an SMS: on the primary channel the payer is asked, if one is there.

        The first of those who wait takes the claim, the starter before all; the others end. All end where the phone
        had its SMS. None: nobody can be asked.
        """
        if did.sms_needed is None or before.is_final or before.asked is not None:
            return None
        catalogue, merchant_id = self._catalogue(), before.merchant_id
        channel = catalogue.channels.get((merchant_id, before.channel))
        ways = self._carries_of(merchant_id, before.account).ways
        claimant = self._claimant(page, before)
        nobody = claimant is None and not (before.is_told and before.customer_present)
        if nobody or channel is None or not may_sign(catalogue, channel, before.bank, ways):
            page.silent_refusals.append((before.account, before.bank, did.sms_needed.channel_code))
            return None
        card_id = page.keepers[before.card_id].card_id
        if page.phones[before.card_id].signing or page.signing.get(card_id):
            return None
        most = catalogue.sms_per_phone_and_day(merchant_id)
        if not page.may_ask(before.card_id, most, claimant or before):
            # Not the channel's doing, and the same at once would end alike.
            refused = authentications.after_hearing(before, did, verified_elsewhere=False, now=heard.at)
            return replace(refused, failure=failure(FailureCode.TOO_MANY_TRIES))
        intent_id = caused_id(heard.observation_id, before.authentication_id, Verb.SEND_SIGNING_CODE)
        due_at = self._terms_of(merchant_id, before.account, Product.AUTHENTICATION).unanswered(heard.at)
        asking = replace(before, intent=did.intent, payment_id=claimant.payment_id if claimant else None)
        asking = replace(asking, asked=code_to_sign(asking, "", ways), due_at=due_at)
        assert asking.asked is not None
        # Who stood in line before waited for nobody: the payer's time begins now.
        since = heard.at if claimant is not None and claimant.created_at < before.created_at else None
        asking = authentications.asked_anew(
            replace(asking, asked=replace(asking.asked, phone=heard.phone or "****", since=since)), heard.at, due_at
        )
        page.signs(card_id, before.account)
        page.ask(sms_to_sign(asking, intent_id, heard.at), before.card_id, asking)
        for payment in _waiting(page, before):
            if claimant is None or payment.payment_id != claimant.payment_id:
                why = failure(FailureCode.SIGNING_IN_PROGRESS)
                ended = payments.failed(payment, why, heard.at)
                tell_payment(page, heard.observation_id, ended, heard.at)
                page.put_payment(ended)
        return asking

    def _claimant(self, page: Page, before: Authentication) -> Payment | None:
        there = [payment for payment in _waiting(page, before) if payment.customer_present]
        return min(there, key=lambda p: (p.payment_id != before.payment_id, p.created_at, p.payment_id), default=None)

    def may_ask(self, page: Page, payment: Payment) -> bool:
        """Whether the phone of a payment may get one more SMS today."""
        assert payment.card is not None
        most = self._catalogue().sms_per_phone_and_day(payment.merchant_id)
        return page.may_ask(payment.card.card_id, most, payment)

    def ask_to_pay(self, page: Page, payment: Payment, intent_id: UUID, at: datetime) -> Payment:
        """An SMS with a code to pay with is asked for, unless the phone had too many today."""
        assert payment.asked is not None
        assert payment.account is not None
        assert payment.card is not None
        if payment.asked.called_paid:
            nobodys = caused_id(intent_id, payment.payment_id, "asked about")
            return begun(payment, intent_to_pay(payment, nobodys, at), at)
        if not self.may_ask(page, payment):
            return payments.failed(payment, failure(FailureCode.TOO_MANY_TRIES), at)
        due_at = self._terms_of(payment.merchant_id, payment.account, Product.PAYMENT).unanswered(at)
        after = payments.asked_anew(payment, at, due_at)
        page.ask(sms_to_pay(after, intent_id, at), payment.card.card_id, after)
        return after


def own_sms(page: Page, about: Payment | Authentication, intent_id: UUID) -> Intent | None:
    """The SMS that was asked for under this id and is to be sent: now, or by an earlier try of this flush."""
    object_id = about.payment_id if isinstance(about, Payment) else about.authentication_id
    new, asked = page.sms.get(object_id), about.asked
    if new is not None:
        return new if new.intent_id == intent_id else None
    if about.is_final or asked is None or not asked.sending or asked.sms_at is None:
        return None
    verb = Verb.SEND_PAYMENT_CODE if isinstance(about, Payment) else Verb.SEND_SIGNING_CODE
    known = page.known_sms.get((object_id, verb, asked.sms))
    if known is None or known.intent_id != intent_id:
        return None
    if isinstance(about, Payment):
        return sms_to_pay(about, intent_id, asked.sms_at)
    return sms_to_sign(about, intent_id, asked.sms_at)


_STATES: Final = {
    CodeSent: IntentState.DONE,
    Declined: IntentState.DECLINED,
    NotSent: IntentState.NOT_SENT,
    Unknown: IntentState.UNKNOWN,
}


def _waiting(page: Page, authentication: Authentication) -> list[Payment]:
    return [
        payment
        for payment in page.payments.values()
        if payment.authentication_id == authentication.authentication_id and payment.waits_for_authentication
    ]


def _said(heard: Observation) -> CodeOutcome | None:
    """What was said of an SMS; what is no word of one says that it is not known."""
    if isinstance(heard.outcome, CodeSent | Declined | NotSent | Unknown):
        return heard.outcome
    return Unknown("what the payment company said is no word of an SMS")


def tell_payment(page: Page, cause: UUID, after: Payment, at: datetime) -> None:
    """Write the event of a payment's new state, if that is told, and what that means for its checkout."""
    if after.is_final:
        page.ended.append(after)
    shown, told = tell_checkout(page, cause, after, at)
    event_type = EVENTS_OF[ObjectKind.PAYMENT].get(after.status)
    if event_type is not None:
        what = after.status if after.sequence == 1 else f"{after.status} {after.sequence}"
        page.events.append(event_of(shown, event_type, caused_id(cause, after.payment_id, what), at))
    page.events += told


def tell_authentication(page: Page, cause: UUID, after: Authentication, at: datetime) -> None:
    """The same of an authentication that an app asked for by itself."""
    shown, told = tell_checkout(page, cause, after, at)
    event_type = EVENTS_OF[ObjectKind.AUTHENTICATION].get(after.status)
    if event_type is not None and after.is_told:
        what = f"{after.status} {after.sequence}"
        page.events.append(event_of(shown, event_type, caused_id(cause, after.authentication_id, what), at))
    page.events += told


def count_contradiction(before: Authentication, after: Authentication) -> None:
    """Count an authentication that was refused though another account had verified the card."""
    if after.contradicts and not before.contradicts and after.failure is not None:
        DISAGREEMENTS.labels(str(after.merchant_id), after.account, after.failure.code).inc()


def count_disagreement(page: Page, after: Payment, did: Heard) -> None:
    """Count a payment that was refused for an identity that an account had verified."""
    verified = after.card is not None and after.card.card_id in page.verified_cards
    if verified and did.failure is not None and after.status is Status.FAILED:
        DISAGREEMENTS.labels(str(after.merchant_id), after.account or "", did.failure.code).inc()
