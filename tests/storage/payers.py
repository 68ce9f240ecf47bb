"""What payers do and what PSPs say of their codes, as it comes to the books of a real database, word by word."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from gateway.domain.authentications import Authentication
from gateway.domain.carrying import Carries, CarriesOf, Ways
from gateway.domain.catalogue import Account, AuthenticationMode, Catalogue, Merchant, RouteRule
from gateway.domain.hearing import Source
from gateway.domain.ids import ObjectKind
from gateway.domain.intents import Intent, Verb
from gateway.domain.orders import AuthenticationOrder
from gateway.domain.outcomes import AnyOutcome
from gateway.domain.payments import Payment
from gateway.flows.authentication import AuthenticationOpening, AuthenticationResult
from gateway.flows.observations import key_of
from gateway.ports import ActRefusal, IntentKey, Observation, OpenResult, PayerAct, Recorded, Wish
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import BANK, MERCHANT_ID, NOW, card_elements, channel, endpoint, opening, order, rule

__all__ = [
    "EACH",
    "SILENT",
    "SMS",
    "act",
    "asks",
    "code_word",
    "does",
    "one_asked",
    "one_open",
    "place",
    "refused",
    "sign_opening",
    "sign_order",
    "sms_word",
    "that_can",
    "waiting_in",
]

SILENT, SMS, EACH = AuthenticationMode.SILENT, AuthenticationMode.SMS, AuthenticationMode.SMS_EACH_PAYMENT


def place(
    mode: AuthenticationMode,
    primary: str | None = "up",
    sms_per_day: int = 10,
    best: str = "up",
    also: tuple[RouteRule, ...] = (),
    **known: Any,
) -> Catalogue:
    """One merchant with a channel `up` that authenticates so, and one, `tl`, that does it silently.

    `also`: rules beside that of withholds.
    """
    channels = (channel("up", mode, authentication_fee=100), channel("tl", SILENT, authentication_fee=70))
    return Catalogue(
        7,
        merchants=(Merchant(MERCHANT_ID, "acme", "Acme", primary_signer=primary, sms_per_phone_and_day=sms_per_day),),
        accounts=tuple(Account(MERCHANT_ID, each.account, "mock", {}) for each in channels),
        channels=channels,
        rules=(rule(best, 10), *also),
        endpoints=(endpoint(1, "shop"),),
        **known,
    )


def that_can(**ways: bool) -> CarriesOf:
    """Providers that sign by SMS, and can do this besides."""
    known: dict[str, Any] = {"signs": True, **ways}
    carries = Carries(ways=Ways(**known))
    return lambda merchant_id, account: carries


async def one_open(process: Process, now: datetime = NOW, **known: Any) -> OpenResult:
    """Open a payment whose payer is there."""
    process.now = now
    asked = order(f"order-{uuid4().hex}", **({"customer_present": True} | known))
    (result,) = await process.opening.flush([opening(asked, now)])
    assert isinstance(result, OpenResult), result
    return result


def asks(about: Payment | Authentication, sms: Intent | None, said: AnyOutcome, at: datetime = NOW) -> Observation:
    """What the PSP answers to the wish for this SMS."""
    assert sms is not None
    return sms_word(about, said, sms.ordinal, Source.ANSWER, at, sms.verb)


def sms_word(
    about: Payment | Authentication,
    said: AnyOutcome,
    ordinal: int,
    source: Source = Source.ANSWER,
    at: datetime = NOW,
    verb: Verb | None = None,
) -> Observation:
    """A word on an SMS."""
    is_payment = isinstance(about, Payment)
    object_id = about.payment_id if isinstance(about, Payment) else about.authentication_id
    verb = verb or (Verb.SEND_PAYMENT_CODE if is_payment else Verb.SEND_SIGNING_CODE)
    key = IntentKey(about.merchant_id, about.user_id, object_id, verb, ordinal)
    return Observation(key, source, said, at, uuid4())


def code_word(
    about: Payment | Authentication, said: AnyOutcome, source: Source = Source.ANSWER, at: datetime = NOW
) -> Observation:
    """A word on the newest intent that binds or pays."""
    return Observation(key_of(about), source, said, at, uuid4(), phone="138****0000")


def act(about: Payment | Authentication, wish: Wish, at: datetime = NOW, **known: Any) -> PayerAct:
    """A wish, of whoever draws an id of their own."""
    is_payment = isinstance(about, Payment)
    kind = ObjectKind.PAYMENT if is_payment else ObjectKind.AUTHENTICATION
    object_id = about.payment_id if isinstance(about, Payment) else about.authentication_id
    return PayerAct(about.merchant_id, about.user_id, kind, object_id, wish, uuid4(), at, **known)


async def does(
    process: Process, about: Payment | Authentication, wish: Wish, at: datetime = NOW, **known: Any
) -> Recorded:
    """What a process answers to a wish."""
    return await process.books.act(act(about, wish, at, **known))


def waiting_in(recorded: Recorded) -> Payment | Authentication:
    """What the code goes to: the authentication of the payment, or the payment itself."""
    found = recorded.authentication or recorded.object
    assert isinstance(found, Payment | Authentication)
    return found


def refused(recorded: Recorded) -> ActRefusal | None:
    """Why nothing is done; then nothing is to be sent either."""
    if recorded.refused is not None:
        assert (recorded.code, recorded.sms) == (None, None)
    return recorded.refused


def sign_order(order_no: str = "sign-1", **known: Any) -> AuthenticationOrder:
    """An app's wish to have the card of `order()` authenticated."""
    base = AuthenticationOrder(MERCHANT_ID, "shop", order_no, "u1", BANK, card_elements(), None, True, None, {}, b"")
    asked = replace(base, **known)
    return asked if "body" in known else replace(asked, body=f"{asked.user_id} {asked.card}".encode())


def sign_opening(asked: AuthenticationOrder, now: datetime = NOW) -> AuthenticationOpening:
    """The order with fresh ids."""
    return AuthenticationOpening(asked, uuid4(), uuid4(), uuid4(), uuid4(), now)


async def one_asked(process: Process, order_no: str = "sign-1", **known: Any) -> AuthenticationResult:
    """Open an authentication that an app asks for."""
    return await process.books.open_authentication(sign_opening(sign_order(order_no, **known), process.now))
