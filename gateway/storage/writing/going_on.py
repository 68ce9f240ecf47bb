"""Record that a payment goes on which waited: for an authentication, or in line for its place."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from gateway.domain import payments
from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.codes import Purpose
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import caused_id
from gateway.domain.intents import Verb
from gateway.domain.payments import Payment, begun
from gateway.domain.statuses import Status
from gateway.domain.terms import Product
from gateway.flows.first_step import FirstIds, FirstStep
from gateway.flows.intents import intent_to_pay
from gateway.flows.leaving_line import leave_line
from gateway.ports import GoOn, Recorded, TermsOf
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.writing.page import Page
from gateway.storage.writing.signing import Signing, own_sms, tell_payment

__all__ = ["GoingOn", "UnknownIntentError"]


class UnknownIntentError(Exception):
    """A word or a step of something that is not in the books: a bug, since its object was read from them."""


class GoingOn:
    """What flushes do about payments that waited."""

    def __init__(
        self,
        keys: Keys,
        catalogue: Callable[[], Catalogue],
        terms_of: TermsOf,
        carries_of: CarriesOf,
        signing: Signing,
    ) -> None:
        self._keys, self._catalogue, self._terms_of, self._carries_of = keys, catalogue, terms_of, carries_of
        self._signing = signing

    def go_on(self, page: Page, item: GoOn) -> Recorded | Exception:
        """A payment that waited for an authentication, or in line: it is sent, it fails, or it waits on."""
        payment = page.payments.get(item.payment_id)
        if payment is None:
            return UnknownIntentError(f"{Verb.PAY} {item.payment_id}")
        if payment.waits_for_place and payment.until_at is not None and item.at >= payment.until_at:
            return self._end_in_line(page, item, payment)
        try:
            agreement_no = self._agreement(page, payment)
        except DecryptionError as error:
            return stand_back(error)
        if payment.attempt is not None:
            # Perhaps by an earlier try of this flush, the answer to whose COMMIT was lost.
            ours = payment.attempt.intent_id == item.intent_id and payment.attempt.is_untouched
            return Recorded(payment, payment, ours, agreement_no)
        if payment.waits_for_place:
            return self._leave_line(page, item, payment, agreement_no)
        if not payment.waits_for_authentication or payment.authentication_id is None:
            return Recorded(payment, payment, False, agreement_no, own_sms(page, payment, item.intent_id))
        ended = page.authentications.get(payment.authentication_id)
        if ended is None:
            return UnknownIntentError(f"{Verb.AUTHENTICATE} {payment.authentication_id}")
        if ended.intent and ended.intent.intent_id == item.intent_id and ended.intent.is_untouched:
            return Recorded(ended, payment, submit=True)  # started by an earlier try of this flush
        if (sms := own_sms(page, ended, item.intent_id)) is not None:
            return Recorded(ended, payment, sms=sms)  # the same
        if not ended.is_final:
            terms = self._terms_of(payment.merchant_id, ended.account, Product.AUTHENTICATION)
            after = replace(payment, due_at=terms.unanswered(item.at))
        else:
            after = payments.after_authentication(payment, ended, item.at)
            if ended.status is Status.SUCCEEDED:
                after = self.begin(page, after, item.intent_id, item.at)
            if after.status is not payment.status:
                tell_payment(page, item.intent_id, after, item.at)
        page.put_payment(after)
        submit = after.attempt is not None and after.attempt.intent_id == item.intent_id
        return Recorded(after, after, submit, agreement_no, own_sms(page, after, item.intent_id))

    def _end_in_line(self, page: Page, item: GoOn, payment: Payment) -> Recorded:
        """A withhold that stood in line until it was too late. What its PSP calls paid all the same is asked about."""
        if payment.sequence > 0:
            after = self.begin(page, payment, item.intent_id, item.at)
        else:
            after = payments.never_sent(payment, item.at)
            tell_payment(page, item.intent_id, after, item.at)
        page.put_payment(after)
        return Recorded(after, after)

    def _leave_line(self, page: Page, item: GoOn, payment: Payment, agreement_no: str | None) -> Recorded:
        """A withhold that stands in line: it goes on, on the place that it has now, or fails by what is known now."""
        channel = self._catalogue().channels.get((payment.merchant_id, payment.channel or ""))
        if channel is None or payment.account != channel.account or item.authentication_id is None:
            return Recorded(payment, payment)
        if payment.sequence > 0 or payment.card is None:
            after = self.begin(page, payment, item.intent_id, item.at)
            page.put_payment(after)
            submit = after.attempt is not None and after.attempt.intent_id == item.intent_id
            return Recorded(after, after, submit, agreement_no)
        card_id = page.keepers[payment.card.card_id].card_id
        step = leave_line(
            payment,
            channel,
            FirstIds(item.intent_id, item.authentication_id),
            item.phone,
            self._catalogue(),
            self._terms_of,
            self._carries_of(payment.merchant_id, channel.account).ways,
            item.at,
            bound=agreement_no is not None,
            in_flight=page.in_flight.get((card_id, channel.account)),
            signing=page.signing.get(card_id, ()),
        )
        if not isinstance(step, FailureCode) and step.sends_sms and not self._signing.may_ask(page, payment):
            step = FailureCode.TOO_MANY_TRIES
        if isinstance(step, FailureCode):
            ended = payments.failed(payment, failure(step), item.at)
            tell_payment(page, item.intent_id, ended, item.at)
            page.put_payment(ended)
            return Recorded(ended, ended)
        return self._begin_step(page, step, payment.card.card_id, agreement_no)

    def _begin_step(self, page: Page, step: FirstStep, card_id: UUID, agreement_no: str | None) -> Recorded:
        """Record it; whoever asked sends it."""
        page.put_payment(step.payment)
        if step.authentication is not None:
            page.start_authentication(step.authentication)
        if step.sms is not None:
            page.ask(step.sms, card_id, step.payment)
        elif step.sends_sms:
            page.count_sms(card_id, step.payment)  # to be asked to pay is what sends it
        if step.authentication is not None:
            return Recorded(step.authentication, step.payment, submit=step.sms is None, sms=step.sms)
        return Recorded(step.payment, step.payment, step.payment.attempt is not None, agreement_no, step.sms)

    def begin(self, page: Page, payment: Payment, intent_id: UUID, at: datetime) -> Payment:
        """Record what comes next of a payment whose card is bound: its intent to pay, or an SMS with a code for it.

        Its PSP may have called it paid already: an anomaly was told of that. Then it is nobody's to send: the intent
        has an id that nobody drew, and the PSP is asked.
        """
        if not (payment.waits_for_authentication or payment.waits_for_place):
            return payment
        if payment.asked is not None and payment.asked.purpose is Purpose.PAY and not payment.asked.by_pay:
            return self._signing.ask_to_pay(page, payment, intent_id, at)
        if payment.asked.called_paid if payment.asked else payment.sequence > 0:
            nobodys = caused_id(intent_id, payment.payment_id, "asked about")
            return begun(payment, intent_to_pay(payment, nobodys, at), at)
        if payment.asked is not None and payment.asked.by_pay and payment.card is not None:
            if not self._signing.may_ask(page, payment):
                return payments.failed(payment, failure(FailureCode.TOO_MANY_TRIES), at)
            page.count_sms(payment.card.card_id, payment)  # to be asked to pay is what sends it
        assert payment.account is not None
        terms = self._terms_of(payment.merchant_id, payment.account, Product.PAYMENT)
        return begun(payment, intent_to_pay(payment, intent_id, at), terms.unanswered(at))

    def _agreement(self, page: Page, payment: Payment) -> str | None:
        """The number of the agreement that a payment can use now. Raises DecryptionError."""
        if payment.card is None or payment.account is None:
            return None
        keeper = page.keepers[payment.card.card_id]
        key = (keeper.card_id, payment.account)
        # The flush that binds the card may let those go on, too, who waited for it.
        sealed = page.agreements[key]["agreement_no"] if key in page.agreements else page.sealed.get(key)
        if sealed is None or keeper.erased:
            return None
        return self._keys.box(payment.merchant_id, keeper.card_id, keeper.data_key).open_agreement(
            payment.account, sealed
        )
