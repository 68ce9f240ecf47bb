"""Payers at checkouts of a real database: what they press, and what stands in the books of it.

Till       the checkouts of one gateway process: opens and cancels them, has payers try, reads what was told
till_place  a merchant whose cards pay at once, by a code, or after signing, and that has a bank's page
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from gateway.domain.authentications import Authentication
from gateway.domain.catalogue import AuthenticationMode, Catalogue
from gateway.domain.checkouts import (
    STANDARD_LIMITS,
    Checkout,
    CheckoutLimits,
    CheckoutOrder,
    CheckoutPurpose,
    CheckoutTry,
    TryRefusal,
    number_of_try,
)
from gateway.domain.failures import FailureCode
from gateway.domain.orders import Order
from gateway.domain.outcomes import Declined, Succeeded
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.flows.authentication import AuthenticationResult
from gateway.flows.cashier import Try
from gateway.flows.opening import Opening
from gateway.ports import CheckoutRefusedError, CheckoutResult, OpenResult
from gateway.storage.writing.checkout_books import CheckoutStore
from gateway.storage.writing.users import BusyUsers
from tests.storage.gateway_process import Process
from tests.storage.payers import place, sign_opening, sign_order
from tests.unit.domain.samples import MERCHANT_ID, NOW, checkout_order, opening, order, rule

__all__ = ["AMOUNT", "FAILED", "NOWHERE", "NUMBER", "PAID", "Till", "till_place", "why_not"]

AMOUNT, NUMBER = 1000, "recharge-1"
FAILED, PAID = Declined(FailureCode.INSUFFICIENT_BALANCE, "51"), Succeeded(AMOUNT)
NOWHERE = "CMB"
"""A bank that no rule carries: the router refuses it, and the try has ended when it begins."""


def till_place(mode: AuthenticationMode = AuthenticationMode.NONE, **known: Any) -> Catalogue:
    """One merchant whose cards are taken by `up`, which authenticates so; the page of a bank is taken, too."""
    scenes = (Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE)
    return place(mode, also=tuple(rule("up", 10, scene=each) for each in scenes), **known)


@dataclass
class Till:
    """The checkouts of one process."""

    process: Process
    limits: CheckoutLimits = STANDARD_LIMITS

    def __post_init__(self) -> None:
        process = self.process
        hand_over = process.handed_over.extend if process.delivers else None
        busy = BusyUsers(process.database)
        self.store = CheckoutStore(
            process.database, process.keys, lambda: process.catalogue, hand_over, self.limits, busy
        )

    async def result(self, asked: CheckoutOrder, at: datetime = NOW) -> CheckoutResult:
        return await self.store.open(asked, uuid4(), at)

    async def opens(self, number: str = NUMBER, at: datetime = NOW, **known: Any) -> Checkout:
        """A new checkout."""
        result = await self.result(checkout_order(number, **known), at)
        assert not result.replayed
        return result.checkout

    async def opens_to_sign(self, number: str = NUMBER, **known: Any) -> Checkout:
        """A new checkout by which a card is signed."""
        return await self.opens(number, purpose=CheckoutPurpose.SIGN, **known)

    # What payers do

    def choice(self, checkout: Checkout, ordinal: int = 1, **known: Any) -> Order:
        """A try with the sample card, or as `known` says: the order that pages make of it."""
        number = number_of_try(checkout.merchant_order_no, ordinal)
        asked: dict[str, Any] = {
            "kind": Kind.CHARGE,
            "scene": Scene.QUICK_CHARGE,
            "user_id": checkout.user_id,
            "customer_present": True,
            "checkout": CheckoutTry(checkout.checkout_id, ordinal),
        }
        return order(number, **(asked | known))

    def at_a_bank(self, checkout: Checkout, ordinal: int = 1) -> Order:
        """A try on the page of a bank."""
        return self.choice(checkout, ordinal, scene=Scene.NETBANK_CHARGE, card=None, body=b"netbank")

    def begins(self, asked: Order, at: datetime = NOW) -> Opening:
        """The order with fresh ids, by the clock of this time."""
        self.process.now = at
        return opening(asked, at)

    async def tries(self, checkout: Checkout, ordinal: int = 1, at: datetime = NOW, **known: Any) -> OpenResult:
        """A payment is tried. Raises what the books refuse it with."""
        return await self.process.books.open(self.begins(self.choice(checkout, ordinal, **known), at))

    async def tries_at_a_bank(self, checkout: Checkout, ordinal: int = 1, at: datetime = NOW) -> Payment:
        """The payer is brought to the page of a bank."""
        return (await self.process.books.open(self.begins(self.at_a_bank(checkout, ordinal), at))).payment

    async def signs(self, checkout: Checkout, ordinal: int = 1, **known: Any) -> AuthenticationResult:
        """A card is signed. Raises what the books refuse it with."""
        number, of = number_of_try(checkout.merchant_order_no, ordinal), CheckoutTry(checkout.checkout_id, ordinal)
        asked = sign_order(number, **({"checkout": of, "user_id": checkout.user_id} | known))
        return await self.process.books.open_authentication(sign_opening(asked, self.process.now))

    async def fails(self, checkout: Checkout, ordinal: int = 1) -> Payment:
        """A try that its PSP declines."""
        payment = (await self.tries(checkout, ordinal)).payment
        await self.process.heard(payment, FAILED)
        return payment

    async def pays(self, checkout: Checkout, ordinal: int = 1) -> Payment:
        """A try that its PSP takes the money of."""
        payment = (await self.tries(checkout, ordinal)).payment
        await self.process.heard(payment, PAID)
        return payment

    # What clocks and apps do

    async def looks(self, checkout: Checkout, at: datetime, cause: UUID | None = None) -> Checkout:
        """Our clock looks at it."""
        return await self.store.look(MERCHANT_ID, checkout.user_id, checkout.checkout_id, cause or uuid4(), at)

    async def cancels(self, checkout: Checkout, at: datetime = NOW) -> Checkout:
        """Its app wants it no more. Raises CheckoutRefusedError."""
        return await self.store.cancel(MERCHANT_ID, checkout.user_id, checkout.checkout_id, uuid4(), at)

    # What stands in the books

    async def now(self, checkout: Checkout) -> Checkout:
        return (await self.both(checkout))[0]

    async def both(self, checkout: Checkout) -> tuple[Checkout, list[Try]]:
        """The checkout, and its tries."""
        found = await self.store.checkout(MERCHANT_ID, checkout.checkout_id)
        assert found is not None
        return found[0], list(found[1])

    async def told(self, about: Checkout | Payment | Authentication) -> list[dict[str, Any]]:
        """The events of an object, in turn, as they are delivered; numbered without a gap."""
        object_id = _id_of(about)
        rows = await self.process.rows(
            "SELECT sequence, type, body FROM events WHERE object_id = $1 ORDER BY sequence", object_id
        )
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        bodies = [orjson.loads(row[2]) for row in rows]
        assert [each["type"] for each in bodies] == [row[1] for row in rows]
        assert all("url" not in each["data"] for each in bodies)
        return bodies

    async def types(self, about: Checkout | Payment | Authentication) -> list[str]:
        """What was told of an object, in turn."""
        return [each["type"] for each in await self.told(about)]

    async def anomalies(self, *, resolved: bool = False) -> list[tuple[str, str, UUID, UUID | None]]:
        """The anomalies that wait for a person, or those that were resolved: object, kind, id, whose money."""
        rows = await self.process.rows(
            "SELECT object, kind, object_id, payment_id FROM anomalies WHERE (resolved_at IS NOT NULL) = $1 "
            "ORDER BY kind, payment_id",
            resolved,
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]


async def why_not(refused: Awaitable[object]) -> TryRefusal:
    """Why it may not be tried, or canceled."""
    with pytest.raises(CheckoutRefusedError) as caught:
        await refused
    return caught.value.why


def _id_of(about: Checkout | Payment | Authentication) -> UUID:
    if isinstance(about, Checkout):
        return about.checkout_id
    return about.payment_id if isinstance(about, Payment) else about.authentication_id
