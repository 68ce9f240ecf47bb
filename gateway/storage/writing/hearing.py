"""Record what PSPs say of payments, refunds and authentications: what each word changes, and the events of it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain import authentications, payments, refunds
from gateway.domain.authentications import Authentication
from gateway.domain.codes import ClosedReason
from gateway.domain.events import ANOMALY_OF, EVENTS_OF
from gateway.domain.hearing import Anomaly, AnomalyKind, Heard, Source, hear
from gateway.domain.ids import ObjectKind, caused_id
from gateway.domain.intents import OBJECT_OF, PRODUCT_OF, Intent, Verb
from gateway.domain.outcomes import Authenticated, Declined, NotFound, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.repeating import says_news
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.domain.waits import wait_of
from gateway.objects.events import event_of
from gateway.ports import Observation, Recorded, TermsOf, UnusableAccountError
from gateway.storage.keys import CardBox, DecryptionError, Keys, stand_back
from gateway.storage.writing.checking_out import found_paid_twice, with_its_checkout
from gateway.storage.writing.going_on import GoingOn, UnknownIntentError
from gateway.storage.writing.observations import anomaly_row
from gateway.storage.writing.page import Page
from gateway.storage.writing.signing import (
    Signing,
    count_contradiction,
    count_disagreement,
    own_sms,
    tell_authentication,
    tell_payment,
)
from gateway.storage.writing.statement import Row

__all__ = ["WHEN_UNUSABLE", "Hearing"]


class Hearing:
    """What flushes do about words. `timezone` is that of the business day."""

    def __init__(self, keys: Keys, terms_of: TermsOf, timezone: ZoneInfo, signing: Signing, going_on: GoingOn) -> None:
        self._keys, self._terms_of, self._timezone = keys, terms_of, timezone
        self._signing, self._going_on = signing, going_on

    def apply(self, page: Page, heard: Observation) -> Recorded | Exception:
        """The object after a word."""
        object_id = heard.intent.object_id
        match heard.intent.verb:
            case Verb.PAY if payment := page.payments.get(object_id):
                return self._payment(page, heard, payment)
            case Verb.REFUND if refund := page.refunds.get(object_id):
                return self._refund(page, heard, refund)
            case Verb.AUTHENTICATE if authentication := page.authentications.get(object_id):
                return self._authentication(page, heard, authentication)
            case Verb.SEND_PAYMENT_CODE if payment := page.payments.get(object_id):
                return self._signing.hear_sms_to_pay(page, heard, payment)
            case Verb.SEND_SIGNING_CODE if authentication := page.authentications.get(object_id):
                return self._signing.hear_sms_to_sign(page, heard, authentication)
        return UnknownIntentError(f"{heard.intent.verb} {object_id}")

    def _payment(self, page: Page, heard: Observation, payment: Payment) -> Recorded | Exception:
        if heard.observation_id in page.recorded:
            return Recorded(payment, payment)
        if payment.attempt is None:
            after = payment
            if isinstance(heard.outcome, Succeeded):
                anomaly = Anomaly(AnomalyKind.UNEXPECTED_SUCCESS, "paid before it was sent")
                if payment.asked is not None:
                    payment = replace(payment, asked=replace(payment.asked, called_paid=True))
                after = self._tell_payment(page, heard, payment, anomaly)
                page.put_payment(after)
            page.observations.keep(heard, news=after.sequence > payment.sequence)
            return Recorded(after, after)
        if _is_of_another(heard, payment.attempt) and not isinstance(heard.outcome, Succeeded):
            page.observations.keep(heard, news=False)
            return Recorded(payment, payment)
        did, news = self._hear(page, heard, payment.attempt, payment.expires_at)
        if did.intent.late_success and not payment.is_final:
            did = replace(did, anomaly=None)  # it went on after what took nothing: now it is paid
        if refused := self._signing.keep_continuation(page, payment, did):
            return refused
        after = payments.after_hearing(payment, did, heard.at)
        if after.waits_for_proof and _proves_unpaid(heard):
            after = payments.closed(after, ClosedReason.EXPIRED, heard.at)
        count_disagreement(page, after, did)
        if did.voids_agreement and payment.card is not None:
            _void_agreement(page, payment.card.card_id, payment.attempt, heard.at)
        after = self._tell_payment(page, heard, after, did.anomaly)
        page.observations.keep(heard, news=news or after.sequence > payment.sequence)
        page.put_payment(after)
        return Recorded(after, after)

    def _tell_payment(self, page: Page, heard: Observation, after: Payment, anomaly: Anomaly | None) -> Payment:
        """The payment after an observation, with the event of its change and that of a new anomaly counted."""
        if after.status is not page.payments[after.payment_id].status:
            tell_payment(page, heard.observation_id, after, heard.at)
        if anomaly is None:
            return after
        late = anomaly.kind is AnomalyKind.LATE_SUCCESS
        if late and found_paid_twice(page, heard.observation_id, after, heard.at, heard.source):
            return after
        if _is_new(page, after.payment_id, anomaly):
            after = replace(after, sequence=after.sequence + 1)
            _keep_anomaly(page, heard, with_its_checkout(page, after), anomaly)
        return after

    # Refunds

    def _refund(self, page: Page, heard: Observation, refund: Refund) -> Recorded:
        if heard.observation_id in page.recorded:
            return Recorded(refund)
        did, news = self._hear(page, heard, refund.intent)
        watch = self._terms(heard, refund.intent, Product.REFUND).watch
        asked = heard.outcome if heard.source is Source.POLL else None
        status, after = refund.status, refund
        for after in refunds.after_hearing(refund, did, heard.at, watch, asked):
            if after.status is not status:
                status = after.status
                event_id = caused_id(heard.observation_id, after.refund_id, after.status)
                event_type = EVENTS_OF[ObjectKind.REFUND][after.status]
                page.events.append(event_of(after, event_type, event_id, heard.at))
        if did.anomaly is not None and _is_new(page, after.refund_id, did.anomaly):
            after = replace(after, sequence=after.sequence + 1)
            _keep_anomaly(page, heard, after, did.anomaly)
        page.observations.keep(heard, news=news or after.sequence > refund.sequence)
        page.put_refund(after)
        return Recorded(after)

    # Authentications, and the payments that wait for them

    def _authentication(self, page: Page, heard: Observation, before: Authentication) -> Recorded | Exception:
        starter = page.payments.get(before.payment_id) if before.payment_id else None
        agreement_no = heard.outcome.agreement_no if isinstance(heard.outcome, Authenticated) else None
        if heard.observation_id in page.recorded:
            return Recorded(before, starter, _has_begun(heard, starter), agreement_no, _own_sms(page, heard, before))
        try:
            box = self._box(page, heard, before)
        except DecryptionError as error:
            return stand_back(error)
        if before.intent is None or _is_of_another(heard, before.intent):
            if box is not None and agreement_no is not None:  # bound all the same: a code is worth its agreement
                _keep_agreement(page, before, agreement_no, box, heard.at)
            page.observations.keep(heard, news=False)
            return Recorded(before, starter)
        did, news = self._hear(page, heard, before.intent)
        page.observations.keep(heard, news=news)
        elsewhere = (before.card_id, before.account) in page.verified_elsewhere
        after = self._signing.asks_instead(page, heard, before, did)
        if after is None:
            after = authentications.after_hearing(before, did, elsewhere, heard.at)
            count_contradiction(before, after)
        if did.agreement_no is not None and box is not None:
            _keep_agreement(page, after, did.agreement_no, box, heard.at)
        if after.status is not before.status or after.asked != before.asked:
            self._end_waits(page, heard, after)  # its payment shows what it asks for
        if after.status is not before.status:
            tell_authentication(page, heard.observation_id, after, heard.at)
        page.put_authentication(after)
        starter = page.payments.get(after.payment_id) if after.payment_id else None
        return Recorded(after, starter, _has_begun(heard, starter), agreement_no, _own_sms(page, heard, after))

    def _end_waits(self, page: Page, heard: Observation, ended: Authentication) -> None:
        """Everybody who waits goes on. Whoever heard of it sends the payment of the one that started it."""
        waiting = [p for p in page.payments.values() if p.authentication_id == ended.authentication_id]
        for payment in waiting:
            after = payments.after_authentication(payment, ended, heard.at)
            if ended.status is Status.SUCCEEDED and ended.is_own_of(payment.payment_id) and _has_bearer(heard):
                intent_id = caused_id(heard.observation_id, payment.payment_id, Verb.PAY)
                after = self._going_on.begin(page, after, intent_id, heard.at)
            if after.status is not payment.status:
                tell_payment(page, heard.observation_id, after, heard.at)
            page.put_payment(after)

    def _hear(
        self, page: Page, heard: Observation, intent: Intent, expires_at: datetime | None = None
    ) -> tuple[Heard, bool]:
        """What a word did to an intent, and whether it said anything new of it. `expires_at`: of one on a page."""
        product = PRODUCT_OF[intent.verb] if expires_at is None else Product.REDIRECT
        terms = self._terms(heard, intent, product)
        did = hear(intent, heard.source, heard.outcome, terms, self._timezone, heard.at, expires_at, heard.asked_at)
        if wait := wait_of(intent, heard.source, heard.outcome, did, heard.at):
            page.waits.append(wait)
        return did, says_news(intent, did, terms)

    def _terms(self, heard: Observation, intent: Intent, product: Product) -> Terms:
        try:
            return self._terms_of(heard.intent.merchant_id, intent.account, product)
        except UnusableAccountError:
            if heard.source not in {Source.OPERATOR, Source.STATEMENT}:
                raise
            return WHEN_UNUSABLE  # the way out for what nobody can be asked about any more

    def _box(self, page: Page, heard: Observation, authentication: Authentication) -> CardBox | None:
        """Where the agreement goes that an observation may tell of. Raises DecryptionError before anything changes."""
        if not isinstance(heard.outcome, Authenticated):
            return None
        keeper = page.keepers[authentication.card_id]
        return None if keeper.erased else self._keys.box(authentication.merchant_id, keeper.card_id, keeper.data_key)


WHEN_UNUSABLE = Terms(poll_gaps_s=(300.0,), not_found=None, answer_timeout_s=30.0)


def _own_sms(page: Page, heard: Observation, authentication: Authentication) -> Intent | None:
    """The SMS that was asked for because of this very observation: to sign the card, or its starter's to pay."""
    to_sign = caused_id(heard.observation_id, authentication.authentication_id, Verb.SEND_SIGNING_CODE)
    if sms := own_sms(page, authentication, to_sign):
        return sms
    starter = page.payments.get(authentication.payment_id) if authentication.payment_id else None
    if starter is None:
        return None
    return own_sms(page, starter, caused_id(heard.observation_id, starter.payment_id, Verb.PAY))


def _has_bearer(heard: Observation) -> bool:
    """Whether somebody holds the card in hand who can go on with it at once."""
    return heard.source in {Source.ANSWER, Source.POLL}


def _has_begun(heard: Observation, payment: Payment | None) -> bool:
    """Whether the intent to pay, as it stands, was recorded by this very observation: its id is made from it."""
    return (
        payment is not None
        and payment.attempt is not None
        and payment.attempt.intent_id == caused_id(heard.observation_id, payment.payment_id, Verb.PAY)
        and payment.attempt.is_untouched
    )


def _proves_unpaid(heard: Observation) -> bool:
    """Whether a word that nobody asked for here proves that an order is not paid, and will not be."""
    match heard.source:
        case Source.OPERATOR | Source.STATEMENT:
            return isinstance(heard.outcome, Declined | NotFound)
        case Source.CALLBACK:
            return isinstance(heard.outcome, Declined)
    return False  # of answers to questions the one who asked makes something (`giving_up`)


def _is_of_another(heard: Observation, newest: Intent) -> bool:
    """Whether a word is about an intent that is not the newest: what it says was known when the newest began."""
    return heard.intent.ordinal is not None and heard.intent.ordinal != newest.ordinal


def _is_new(page: Page, object_id: UUID, anomaly: Anomaly) -> bool:
    known = (object_id, anomaly.known_as) in page.anomalies_known
    page.anomalies_known.add((object_id, anomaly.known_as))
    return not known


def _keep_anomaly(page: Page, heard: Observation, after: Payment | Refund, anomaly: Anomaly) -> None:
    """The anomaly, and the event that tells of it: they have the same causes, so the same id."""
    kind = OBJECT_OF[heard.intent.verb]
    anomaly_id = caused_id(heard.observation_id, heard.intent.object_id, anomaly.kind)
    page.anomalies.append(anomaly_row(anomaly_id, kind, heard, anomaly))
    page.events.append(event_of(after, ANOMALY_OF[kind], anomaly_id, heard.at, anomaly))


def _keep_agreement(page: Page, authentication: Authentication, agreement_no: str, box: CardBox, at: datetime) -> None:
    card_id, account = key = (page.keepers[authentication.card_id].card_id, authentication.account)
    page.void.pop(key, None)  # that was of the one before
    page.agreements[key] = {
        "card_id": card_id,
        "account": account,
        "verified_at": at,
        "agreement_no": box.seal_agreement(account, agreement_no),
        "key_version": box.version,
        "status": "active",
        "voided_at": None,
    }


def _void_agreement(page: Page, card_id: UUID, attempt: Intent, at: datetime) -> None:
    keeper_id, account = key = (page.keepers[card_id].card_id, attempt.account)
    if key in page.agreements:
        return  # bound anew in this very flush: another one was used
    row: Row = {"card_id": keeper_id, "account": account, "voided_at": at, "verified_at": attempt.recorded_at}
    page.void[key] = row
