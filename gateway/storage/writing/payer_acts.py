"""Record what is done about what waits for its payer: a code was typed, another SMS is wanted, it is given up.

Each is looked at under the lock of the user, so of two that come at once one is granted. The code itself is never here:
what is recorded is that one was submitted, by whom it is sent, and what the PSP says of it afterwards.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.domain import authentications, payments
from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import Catalogue
from gateway.domain.codes import Asked, ClosedReason
from gateway.domain.ids import caused_id, number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.payments import Payment, begun
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.flows.intents import intent_to_pay, intent_to_sign, sms_to_pay, sms_to_sign
from gateway.ports import ActRefusal, PayerAct, Recorded, TermsOf, Wish
from gateway.storage.keys import DecryptionError, Keys, stand_back
from gateway.storage.writing.giving_up import GivingUp, put, refused, seconds, shown
from gateway.storage.writing.page import Page
from gateway.storage.writing.signing import own_sms

__all__ = ["PayerActs"]

_Secrets = tuple[str | None, str | None]
"""What the newest SMS gave to go on with, and the number of the agreement."""


class PayerActs:
    """What a flush does about wishes."""

    def __init__(self, keys: Keys, catalogue: Callable[[], Catalogue], terms_of: TermsOf, timezone: ZoneInfo) -> None:
        self._keys, self._catalogue, self._terms_of = keys, catalogue, terms_of
        self._giving_up = GivingUp(terms_of, timezone)

    def apply(self, page: Page, act: PayerAct) -> Recorded | Exception:
        """The object after a wish, with what is to be sent for it, or why it is not granted."""
        payment = page.payments.get(act.object_id)
        authentication = page.authentications.get(act.object_id)
        if payment is None and authentication is None:
            return LookupError(f"{act.object} {act.object_id}")
        if payment is not None and payment.waits_for_authentication and payment.authentication_id is not None:
            signed = page.authentications.get(payment.authentication_id)
            if signed is not None and signed.is_own_of(payment.payment_id) and signed.asked is not None:
                authentication = signed
        waiting = authentication or payment
        assert waiting is not None
        if waiting.status is not Status.REQUIRES_ACTION or waiting.asked is None:
            return self._not_waiting(act, waiting, payment or waiting, payment)
        if isinstance(waiting, Payment) and waiting.is_on_a_page:  # there is no code, and only its PSP's word closes it
            if act.wish is Wish.CLOSE:
                return self._giving_up.close_on_a_page(page, act, waiting)
            return refused(page, act, waiting, ActRefusal.NOT_WAITING)
        if isinstance(waiting, Payment) and waiting.asked.called_paid and not waiting.has_code_in_the_air:
            return self._ask_about(page, act, waiting)
        late = waiting.asked.expired or (waiting.until_at is not None and waiting.until_at <= act.at)
        if late and act.wish is not Wish.EXPIRE and not waiting.has_code_in_the_air:
            return self._too_late(page, act, waiting, waiting.asked)
        match act.wish:
            case Wish.CONFIRM:
                return self._confirm(page, act, waiting, waiting.asked)
            case Wish.RESEND:
                return self._resend(page, act, waiting, waiting.asked)
            case Wish.CLOSE:
                return self._giving_up.close(page, act, waiting)
            case Wish.EXPIRE:
                if not waiting.asked.expired and (waiting.until_at is None or waiting.until_at > act.at):
                    return shown(page, act, waiting)
                return shown(page, act, self._giving_up.give_up(page, act, waiting, ClosedReason.EXPIRED))

    def _not_waiting(
        self, act: PayerAct, waiting: Payment | Authentication, now: Payment | Authentication, payment: Payment | None
    ) -> Recorded:
        """It needs nothing of its payer: not yet, or no more."""
        why = None
        sending = waiting.asked is not None and waiting.asked.sending and not waiting.has_code_in_the_air
        if act.wish is Wish.CONFIRM and sending and not waiting.is_final:
            why = ActRefusal.SMS_IN_PROGRESS
        if act.wish is Wish.RESEND or (act.wish is Wish.CLOSE and waiting.status is not Status.CLOSED):
            why = ActRefusal.NOT_WAITING
        return Recorded(now, payment, refused=why)

    def _too_late(self, page: Page, act: PayerAct, waiting: Payment | Authentication, asked: Asked) -> Recorded:
        """The payer's time is over: nothing is sent any more. It is closed, or the PSP is asked first."""
        if asked.expired and act.wish is Wish.CLOSE:
            return self._giving_up.close(page, act, waiting)
        if not asked.expired:
            waiting = self._giving_up.give_up(page, replace(act, wish=Wish.EXPIRE), waiting, ClosedReason.EXPIRED)
        if act.wish is Wish.RESEND:
            return refused(page, act, waiting, ActRefusal.NOT_WAITING)
        if act.wish is Wish.CLOSE and not waiting.is_final:
            return refused(page, act, waiting, ActRefusal.MAY_BE_PAID)
        return shown(page, act, waiting)

    def _ask_about(self, page: Page, act: PayerAct, waiting: Payment) -> Recorded:
        """Its PSP has called it paid, though no code was submitted: nothing is sent any more, and the PSP is asked."""
        nobodys = caused_id(act.intent_id, waiting.payment_id, "asked about")
        after = begun(waiting, intent_to_pay(waiting, nobodys, act.at), act.at)
        put(page, after)
        match act.wish:
            case Wish.RESEND:
                return refused(page, act, after, ActRefusal.NOT_WAITING)
            case Wish.CLOSE:
                return refused(page, act, after, ActRefusal.MAY_BE_PAID)
        return shown(page, act, after)

    def _confirm(
        self, page: Page, act: PayerAct, waiting: Payment | Authentication, asked: Asked
    ) -> Recorded | Exception:
        newest = waiting.attempt if isinstance(waiting, Payment) else waiting.intent
        if newest is not None and newest.is_open:
            if newest.intent_id != act.intent_id or not newest.is_untouched:
                return refused(page, act, waiting, ActRefusal.CONFIRMATION_IN_PROGRESS)
            try:  # it was recorded by an earlier try of this flush, the answer to whose COMMIT was lost
                return self._to_send(page, act, waiting, newest, self._secrets(page, waiting))
            except DecryptionError as error:
                return stand_back(error)
        if asked.sending:
            return refused(page, act, waiting, ActRefusal.SMS_IN_PROGRESS)
        if asked.needs_sms:
            return refused(page, act, waiting, ActRefusal.NEW_SMS_NEEDED)
        try:
            secrets = self._secrets(page, waiting)
        except DecryptionError as error:
            return stand_back(error)
        if isinstance(waiting, Payment):
            intent = intent_to_pay(waiting, act.intent_id, act.at)
            due_at = self._terms(waiting, Product.PAYMENT).unanswered(act.at)
            after: Payment | Authentication = begun(waiting, intent, due_at)
        else:
            intent = intent_to_sign(waiting, act.intent_id, act.at)
            due_at = self._terms(waiting, Product.AUTHENTICATION).unanswered(act.at)
            after = authentications.submitted(waiting, intent, due_at)
        put(page, after)
        return self._to_send(page, act, after, intent, secrets)

    def _to_send(
        self, page: Page, act: PayerAct, after: Payment | Authentication, code: Intent, secrets: _Secrets
    ) -> Recorded:
        """The code is to be submitted by whoever asked, with what the newest SMS gave to go on with."""
        continuation, agreement_no = secrets
        return replace(
            shown(page, act, after),
            code=code,
            continuation=continuation,
            agreement_no=agreement_no,
            authentication=after if isinstance(after, Authentication) else None,
        )

    def _resend(
        self, page: Page, act: PayerAct, waiting: Payment | Authentication, asked: Asked
    ) -> Recorded | Exception:
        newest = waiting.attempt if isinstance(waiting, Payment) else None
        again = own_sms(page, waiting, act.intent_id)
        if newest is not None and newest.intent_id == act.intent_id and newest.is_untouched:
            again = newest  # to be asked to pay is what sends the SMS
        if again is not None:  # it was recorded by an earlier try of this flush, the answer to whose COMMIT was lost
            return self._to_send_again(page, act, waiting, again)
        if waiting.has_code_in_the_air:
            return refused(page, act, waiting, ActRefusal.CONFIRMATION_IN_PROGRESS)
        if asked.sending:
            return refused(page, act, waiting, ActRefusal.SMS_IN_PROGRESS)
        if asked.resends_left == 0:
            return refused(page, act, waiting, ActRefusal.NO_RESENDS_LEFT)
        wait = asked.resend_in(act.at)
        if wait > timedelta(0):
            return refused(page, act, waiting, ActRefusal.RESEND_TOO_SOON, seconds(wait))
        card_id = _card_of(waiting)
        if not page.may_ask(card_id, self._catalogue().sms_per_phone_and_day(waiting.merchant_id), waiting):
            return refused(page, act, waiting, ActRefusal.SMS_LIMIT_REACHED)
        after, sms = self._asked_again(act, waiting, asked)
        granted = self._to_send_again(page, act, after, sms)
        if isinstance(granted, Recorded):
            page.ask(sms, card_id, after)
            put(page, after)
            now = shown(page, act, after)
            granted = replace(granted, object=now.object, payment=now.payment)
        return granted

    def _to_send_again(
        self, page: Page, act: PayerAct, after: Payment | Authentication, sms: Intent
    ) -> Recorded | Exception:
        """An SMS is to be sent by whoever asked, with what the one before gave, if it was of the same order."""
        try:
            continuation, agreement_no = self._secrets(page, after)
        except DecryptionError as error:
            return stand_back(error)
        signed = after if isinstance(after, Authentication) else None
        now = shown(page, act, after)
        return replace(now, sms=sms, continuation=continuation, agreement_no=agreement_no, authentication=signed)

    def _asked_again(
        self, act: PayerAct, waiting: Payment | Authentication, asked: Asked
    ) -> tuple[Payment | Authentication, Intent]:
        """One more SMS, for a new order where the old one is over at the PSP."""
        if asked.order_ended:
            asked = replace(asked, order_ended=False, number=number_of(act.intent_id), told_at=act.at)
        if isinstance(waiting, Authentication):
            due_at = self._terms(waiting, Product.AUTHENTICATION).unanswered(act.at)
            signing = authentications.asked_anew(replace(waiting, asked=asked), act.at, due_at)
            return signing, sms_to_sign(signing, act.intent_id, act.at)
        due_at = self._terms(waiting, Product.PAYMENT).unanswered(act.at)
        paying = payments.asked_anew(replace(waiting, asked=asked, channel_order_no=asked.number), act.at, due_at)
        if asked.by_pay:  # to be asked to pay without a code is what sends the SMS
            intent = intent_to_pay(paying, act.intent_id, act.at)
            return begun(paying, intent, due_at), intent
        return paying, sms_to_pay(paying, act.intent_id, act.at)

    def _secrets(self, page: Page, waiting: Payment | Authentication) -> _Secrets:
        """What the newest SMS gave to go on with, and the number of the agreement. Raises DecryptionError."""
        asked = waiting.asked
        assert asked is not None
        keeper = page.keepers[_card_of(waiting)]
        if keeper.erased:
            return None, None
        if isinstance(waiting, Authentication):
            object_id, verb = waiting.authentication_id, Verb.SEND_SIGNING_CODE
        else:
            object_id, verb = waiting.payment_id, Verb.PAY if asked.by_pay else Verb.SEND_PAYMENT_CODE
        given = {
            key[2]: sms.continuation
            for key, sms in page.known_sms.items()
            if key[:2] == (object_id, verb) and sms.number == asked.number and sms.continuation is not None
        }
        account = waiting.account
        sealed = page.sealed.get((keeper.card_id, account)) if account else None
        if not given and sealed is None:
            return None, None
        box = self._keys.box(waiting.merchant_id, keeper.card_id, keeper.data_key)
        newest = box.open_continuation(object_id, given[max(given)]) if given else None
        return newest, box.open_agreement(account, sealed) if sealed is not None and account else None

    def _terms(self, waiting: Payment | Authentication, product: Product) -> Terms:
        assert waiting.account is not None
        return self._terms_of(waiting.merchant_id, waiting.account, product)


def _card_of(waiting: Payment | Authentication) -> UUID:
    if isinstance(waiting, Authentication):
        return waiting.card_id
    assert waiting.card is not None
    return waiting.card.card_id
