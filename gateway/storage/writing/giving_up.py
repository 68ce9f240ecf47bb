"""Give up what waits for its payer: closed where nothing can be paid any more; else its PSP is asked first."""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain import authentications, payments
from gateway.domain.authentications import Authentication
from gateway.domain.codes import Asked, ClosedReason
from gateway.domain.hearing import look_at
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from gateway.domain.terms import Product, Terms
from gateway.ports import ActRefusal, AfterAsking, PayerAct, Recorded, TermsOf
from gateway.storage.writing.page import Page
from gateway.storage.writing.signing import tell_authentication, tell_payment

__all__ = ["CLOSE_AGAIN_AFTER", "GivingUp", "put", "refused", "seconds", "shown"]

SECOND: Final = timedelta(seconds=1)
CLOSE_AGAIN_AFTER: Final = timedelta(seconds=10)
"""Between the PSP's answer to one who wished to close it and the next question of that kind."""


class GivingUp:
    """What a flush does about what is given up, by whoever wished so, or since its time is over."""

    def __init__(self, terms_of: TermsOf, timezone: ZoneInfo) -> None:
        self._terms_of, self._timezone = terms_of, timezone

    def close(self, page: Page, act: PayerAct, waiting: Payment | Authentication) -> Recorded:
        """Close it because somebody wishes so."""
        if waiting.has_code_in_the_air:  # its answer is near: the PSP is asked when that is overdue
            binds = isinstance(waiting, Authentication)
            why = ActRefusal.CONFIRMATION_IN_PROGRESS if binds else ActRefusal.MAY_BE_PAID
            return refused(page, act, waiting, why)
        if isinstance(waiting, Payment) and waiting.order_may_be_paid and act.said is not AfterAsking.REFUSED:
            return self._close_after_asking(page, act, waiting)
        return shown(page, act, self.give_up(page, act, waiting, act.reason))

    def _close_after_asking(self, page: Page, act: PayerAct, waiting: Payment) -> Recorded:
        """Its PSP has an order that it may pay: it is asked, by one at a time and with a gap between."""
        asked = waiting.asked
        assert asked is not None
        if act.said is not None:
            after = self._not_proved(page, act, waiting, asked, act.reason)
            if after.is_final:
                return shown(page, act, after)
            assert after.asked is not None
            after = replace(after, asked=replace(after.asked, ask_again_at=act.at + CLOSE_AGAIN_AFTER))
            put(page, after)
            return refused(page, act, after, ActRefusal.MAY_BE_PAID, seconds(CLOSE_AGAIN_AFTER))
        return self._ask_first(page, act, waiting, asked)

    def close_on_a_page(self, page: Page, act: PayerAct, waiting: Payment) -> Recorded:
        """Its PSP has the order, or will have it: it is told to give it up where it can, and asked."""
        assert waiting.asked is not None
        return self._ask_first(page, act, waiting, waiting.asked)

    def _ask_first(self, page: Page, act: PayerAct, waiting: Payment, asked: Asked) -> Recorded:
        """The PSP is to be asked by whoever wishes it, unless somebody does so just now, or has done so just before."""
        wait = asked.ask_again_at - act.at if asked.ask_again_at is not None else timedelta(0)
        if wait > timedelta(0):
            return refused(page, act, waiting, ActRefusal.MAY_BE_PAID, seconds(wait))
        if waiting.due_at is not None and waiting.due_at <= act.at:  # somebody asks by the plan just now
            return refused(page, act, waiting, ActRefusal.MAY_BE_PAID)
        answered_by = self._terms(waiting).unanswered(act.at)
        due_at = max(waiting.due_at, answered_by) if waiting.due_at is not None else None
        by_payer = act.reason is ClosedReason.BY_PAYER
        after = replace(waiting, asked=replace(asked, ask_again_at=answered_by, by_payer=by_payer), due_at=due_at)
        put(page, after)
        return replace(refused(page, act, after, ActRefusal.MAY_BE_PAID), ask=True)

    def give_up(
        self, page: Page, act: PayerAct, waiting: Payment | Authentication, reason: ClosedReason
    ) -> Payment | Authentication:
        """It is closed: nothing of it can be paid. Else it waits on, and the PSP is asked."""
        if waiting.has_code_in_the_air:
            return waiting
        if isinstance(waiting, Authentication):
            closed = authentications.closed(waiting, reason, act.at)
            put(page, closed)
            tell_authentication(page, act.intent_id, closed, act.at)
            for payment in [p for p in page.payments.values() if p.authentication_id == closed.authentication_id]:
                self._end(page, act, payment, payments.after_authentication(payment, closed, act.at))
            return closed
        if waiting.order_may_be_paid and act.said is not AfterAsking.REFUSED:
            assert waiting.asked is not None
            asked = replace(waiting.asked, expired=True, questions=waiting.asked.questions + 1)
            due_at = self._terms(waiting).after(asked.questions - 1, act.at)
            return self._not_proved(page, act, replace(waiting, until_at=None, due_at=due_at), asked, reason)
        ended = payments.closed(waiting, reason, act.at)
        self._end(page, act, waiting, ended)
        return ended

    def _not_proved(self, page: Page, act: PayerAct, waiting: Payment, asked: Asked, reason: ClosedReason) -> Payment:
        """Its PSP has not refused it. That it is not found proves something by the terms alone, and from expiry on."""
        after = replace(waiting, asked=asked)
        if asked.expired and act.said is AfterAsking.NOT_FOUND:
            asked = asked.missed(act.at)
            assert asked.not_found_since is not None
            terms, waited = self._terms(waiting), act.at - asked.not_found_since
            after = replace(waiting, asked=asked)
            if terms.proves_lost(asked.not_found, waited.total_seconds()):
                look = look_at(act.at, 0, terms, self._timezone)
                after = payments.closed_as_not_found(after, reason, act.at, look)
        self._end(page, act, page.payments[waiting.payment_id], after)
        return after

    def _end(self, page: Page, act: PayerAct, before: Payment, after: Payment) -> None:
        if after.status is not before.status:
            tell_payment(page, act.intent_id, after, act.at)
        page.put_payment(after)

    def _terms(self, payment: Payment) -> Terms:
        assert payment.account is not None
        product = Product.REDIRECT if payment.is_on_a_page else Product.PAYMENT
        return self._terms_of(payment.merchant_id, payment.account, product)


def put(page: Page, after: Payment | Authentication) -> None:
    """Take it; the payment of an authentication shows what that asks for."""
    if isinstance(after, Payment):
        page.put_payment(after)
        return
    page.put_authentication(after)
    owner = page.payments.get(after.payment_id) if after.payment_id else None
    if owner is not None and after.status is Status.REQUIRES_ACTION:
        page.put_payment(payments.after_authentication(owner, after, after.created_at))


def shown(page: Page, act: PayerAct, after: Payment | Authentication) -> Recorded:
    """What was acted upon as it is now: of an authentication inside a payment, the payment."""
    payment = page.payments.get(act.object_id)
    return Recorded(payment or after, payment)


def seconds(wait: timedelta) -> int:
    """Rounded up."""
    return -(-wait // SECOND)


def refused(page: Page, act: PayerAct, waiting: Payment | Authentication, why: ActRefusal, wait_s: int = 0) -> Recorded:
    """The same where the wish is not granted, and why."""
    payment = page.payments.get(act.object_id)
    signed = waiting if isinstance(waiting, Authentication) else None
    return Recorded(payment or waiting, payment, refused=why, wait_s=wait_s, authentication=signed)
