"""Authenticate a card because an app asks for it: on the primary channel, silently or by an SMS."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from gateway.domain.authentications import Authentication
from gateway.domain.cards import mask_card_no
from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.checkouts import Checkout, CheckoutRef
from gateway.domain.events import EVENTS_OF, Event
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import ObjectKind, caused_id, number_of
from gateway.domain.intents import Intent, Verb
from gateway.domain.orders import AuthenticationOrder
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status, move
from gateway.domain.terms import Product
from gateway.flows.in_hand import Tasks, carried_out
from gateway.flows.intents import code_to_sign, sms_to_sign
from gateway.flows.observations import Clock, NewId
from gateway.flows.route import Unable, binds_silently
from gateway.flows.submit import Submission
from gateway.objects.events import checkout_event, event_of
from gateway.ports import Rooms, TermsOf, UserFacts

__all__ = [
    "AuthenticationFlow",
    "AuthenticationOpening",
    "AuthenticationResult",
    "OpenedAuthentication",
    "on_checkout",
    "open_authentication",
]


@dataclass(frozen=True, slots=True)
class AuthenticationOpening:
    """An order with the ids and the time that it will be recorded with."""

    order: AuthenticationOrder
    authentication_id: UUID
    intent_id: UUID
    event_id: UUID
    new_card_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class OpenedAuthentication:
    """What an opening records: the authentication, the SMS that is asked for, and the event where it has ended."""

    opening: AuthenticationOpening
    authentication: Authentication
    sms: Intent | None
    event: Event | None
    of_checkout: Event | None = None
    """What it means for the checkout that it is a try of."""

    @property
    def events(self) -> list[Event]:
        """What is told, in this order."""
        return [event for event in (self.event, self.of_checkout) if event is not None]

    @property
    def sends(self) -> str | None:
        """The channel that something is sent on; None: it has ended already."""
        return None if self.authentication.is_final else self.authentication.channel


@dataclass(frozen=True, slots=True)
class AuthenticationResult:
    """The authentication that an order opened: new, or the one that was there before (`replayed`), as it is now."""

    authentication: Authentication
    replayed: bool
    sms: Intent | None = None


def open_authentication(
    opening: AuthenticationOpening,
    card_id: UUID,
    facts: UserFacts,
    catalogue: Catalogue,
    terms_of: TermsOf,
    unable: Unable,
    carries_of: CarriesOf,
    may_ask: bool,
) -> OpenedAuthentication:
    """What stands before the wire. It is never done on another channel than the primary, and never twice.

    `may_ask`: the phone may get one more SMS today.
    """
    order, now = opening.order, opening.now
    code = catalogue.primary_of(order.merchant_id, order.bank)
    channel = catalogue.channels.get((order.merchant_id, code)) if code is not None else None
    begun = _begun(opening, card_id, channel, channel.authentication_fee_on(catalogue.day_of(now)) if channel else 0)
    if facts.blocked:
        return _ended(opening, begun, FailureCode.BLOCKED)
    if channel is None or order.card is None or not _takes(channel, order, catalogue, unable, carries_of, now):
        return _ended(opening, begun, FailureCode.NO_CHANNEL_AVAILABLE)
    if channel.account in facts.agreements:
        return _succeeded(opening, begun)
    if facts.signing or channel.account in facts.authentications:
        return _ended(opening, begun, FailureCode.SIGNING_IN_PROGRESS)
    ways = carries_of(order.merchant_id, channel.account).ways
    due_at = terms_of(order.merchant_id, channel.account, Product.AUTHENTICATION).unanswered(now)
    if binds_silently(catalogue, channel, order.bank, ways):
        return OpenedAuthentication(
            opening, replace(begun, intent=_silent(opening, channel), due_at=due_at), None, None
        )
    if not ways.signs or not order.customer_present:
        return _ended(opening, begun, FailureCode.CARD_NEEDS_SIGNING)
    if not may_ask:
        return _ended(opening, begun, FailureCode.TOO_MANY_TRIES)
    asked = code_to_sign(begun, order.card.phone, ways).another(now)
    begun = replace(begun, asked=asked, due_at=due_at)
    return OpenedAuthentication(opening, begun, sms_to_sign(begun, opening.intent_id, now), None)


def _takes(
    channel: Channel,
    order: AuthenticationOrder,
    catalogue: Catalogue,
    unable: Unable,
    carries_of: CarriesOf,
    now: datetime,
) -> bool:
    if not channel.on or channel.account in unable.accounts or catalogue.rests(channel.merchant_id, channel.code, now):
        return False
    carries = carries_of(channel.merchant_id, channel.account)
    return channel.mode(order.bank) is not None and carries.why_not(order.bank, order.card) is None


def _begun(opening: AuthenticationOpening, card_id: UUID, channel: Channel | None, fee: int) -> Authentication:
    order = opening.order
    return Authentication(
        merchant_id=order.merchant_id,
        authentication_id=opening.authentication_id,
        payment_id=None,
        user_id=order.user_id,
        card_id=card_id,
        bank=order.bank,
        channel=channel.code if channel else "",
        account=channel.account if channel else "",
        status=move(ObjectKind.AUTHENTICATION, None, Status.PROCESSING),
        fee=fee,
        failure=None,
        contradicts=False,
        intent=None,
        due_at=None,
        created_at=opening.now,
        finished_at=None,
        app=order.app,
        merchant_order_no=order.merchant_order_no,
        card_masked=mask_card_no(order.card.card_no) if order.card else "",
        expires_in_s=order.expires_in_s,
        customer_present=order.customer_present,
        metadata=order.metadata,
        checkout=CheckoutRef(order.checkout.checkout_id) if order.checkout else None,
    )


def _silent(opening: AuthenticationOpening, channel: Channel) -> Intent:
    return Intent(
        intent_id=opening.intent_id,
        object_id=opening.authentication_id,
        verb=Verb.AUTHENTICATE,
        ordinal=1,
        channel=channel.code,
        account=channel.account,
        number=number_of(opening.authentication_id),
        told_at=opening.now,
        recorded_at=opening.now,
        amount=None,
    )


def _ended(opening: AuthenticationOpening, begun: Authentication, code: FailureCode) -> OpenedAuthentication:
    status = move(ObjectKind.AUTHENTICATION, begun.status, Status.FAILED)
    failed = replace(begun, status=status, failure=failure(code), finished_at=opening.now, sequence=1)
    return OpenedAuthentication(opening, failed, None, _event(opening, failed))


def _succeeded(opening: AuthenticationOpening, begun: Authentication) -> OpenedAuthentication:
    """The card is bound there already: nothing is sent, and it costs nothing."""
    status = move(ObjectKind.AUTHENTICATION, begun.status, Status.SUCCEEDED)
    done = replace(begun, status=status, fee=0, finished_at=opening.now, sequence=1)
    return OpenedAuthentication(opening, done, None, _event(opening, done))


def on_checkout(
    opened: OpenedAuthentication, checkout: Checkout, tries: Sequence[Payment | Authentication], *, was_open: bool
) -> OpenedAuthentication:
    """The same as a try of a checkout, which is as it is after that; `tries`: all of them, this one last."""
    ref = CheckoutRef(checkout.checkout_id, checkout.status)
    shown = replace(opened, authentication=replace(opened.authentication, checkout=ref))
    if opened.event is not None:
        shown = replace(shown, event=_event(opened.opening, shown.authentication))
    if not was_open or not checkout.is_final:
        return shown
    told = checkout_event(
        checkout,
        [*(replace(each, checkout=ref) for each in tries[:-1]), shown.authentication],
        EVENTS_OF[ObjectKind.CHECKOUT][checkout.status],
        caused_id(opened.opening.event_id, checkout.checkout_id, checkout.status),
        opened.opening.now,
    )
    return replace(shown, of_checkout=told)


def _event(opening: AuthenticationOpening, ended: Authentication) -> Event:
    return event_of(ended, EVENTS_OF[ObjectKind.AUTHENTICATION][ended.status], opening.event_id, opening.now)


class Books(Protocol):
    """Where authentications are recorded. Returns after the commit."""

    async def open_authentication(self, opening: AuthenticationOpening) -> AuthenticationResult: ...


class Reading(Protocol):
    """Reads an authentication."""

    async def authentication(self, merchant_id: UUID, authentication_id: UUID) -> Authentication | None: ...


@dataclass(slots=True)
class AuthenticationFlow:
    """Authentications that apps ask for. `answer_within_s`: how long an answer waits for the PSP."""

    books: Books
    reading: Reading
    submission: Submission
    tasks: Tasks
    clock: Clock
    new_id: NewId
    answer_within_s: float
    rooms: Rooms

    async def open(self, order: AuthenticationOrder) -> AuthenticationResult:
        """Record and carry out an order. Raises OrderConflictError, CardNotFoundError, OverloadedError."""
        new_id = self.new_id
        opening = AuthenticationOpening(order, new_id(), new_id(), new_id(), new_id(), self.clock())

        def carry_out(opened: AuthenticationResult) -> Coroutine[Any, Any, object] | None:
            if opened.replayed or opened.authentication.is_final or order.card is None:
                return None
            if opened.sms is not None:
                return self.submission.sms_to_sign(opened.authentication, opened.sms, order.card)
            return self.submission.authenticate(opened.authentication, order.card)

        opened, task = await carried_out(
            self.rooms,
            self.tasks,
            order.merchant_id,
            opening.authentication_id,
            lambda: self.books.open_authentication(opening),
            carry_out,
        )
        if task is None:
            return opened
        await asyncio.wait({task}, timeout=self.answer_within_s)
        found = await self.reading.authentication(order.merchant_id, opened.authentication.authentication_id)
        return AuthenticationResult(found or opened.authentication, replayed=False)
