"""An order: what an app asks for, after its request was checked and before anything is recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.checkouts import CheckoutTry
from gateway.domain.payees import Payee
from gateway.domain.payouts import Part
from gateway.domain.scenes import Kind, Scene

AS_TYPED, IN_ONE_FORM = 1, 2
"""The forms that a request's hash may be of: the first version's, and today's."""


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request for a payment. `body` is the canonical form of the request, compared by a keyed hash."""

    merchant_id: UUID
    app: str
    merchant_order_no: str
    kind: Kind
    scene: Scene
    user_id: str
    amount: int
    currency: str
    bank: str
    bank_by_bin: str | None
    """What the card's BIN says; where it differs from `bank`, the trace notes it."""
    card: CardElements | None
    """In one form."""
    card_id: UUID | None
    """A card that is known already: `card` are its elements."""
    customer_present: bool
    description: str | None
    metadata: Mapping[str, Any]
    return_url: str | None
    expires_in_s: int | None
    body: bytes = field(repr=False)
    notes: tuple[str, ...] = ()
    """What is odd about the card: told in the trace."""
    send_before: datetime | None = None
    """A withhold that finds no place is sent before this time or never; None: as the gateway does."""
    custody_user_no: str | None = None
    """The payer's number at the custody bank; None: `user_id`."""
    body_as_typed: bytes | None = field(default=None, repr=False)
    """As the first version compared it; None where the card was typed in one form already, as nearly always."""
    checkout: CheckoutTry | None = None
    """The checkout that it is a try of."""

    @property
    def all_notes(self) -> list[str]:
        """What is odd about the request, for its trace."""
        if self.bank_by_bin is None or self.bank_by_bin == self.bank:
            return list(self.notes)
        said = f"the request says bank {self.bank}, the card number {self.bank_by_bin}: the request wins"
        return [*self.notes, said]

    def body_in(self, form: int) -> bytes:
        """The canonical request in a form that an earlier one was recorded in."""
        return self.body_as_typed if self.body_as_typed is not None and form == AS_TYPED else self.body


@dataclass(frozen=True, slots=True)
class AuthenticationOrder:
    """A checked request for the authentication of a card. `body` is its canonical form, compared by a keyed hash."""

    merchant_id: UUID
    app: str
    merchant_order_no: str
    user_id: str
    bank: str
    card: CardElements | None
    """In one form; None: the card that was named is gone."""
    card_id: UUID | None
    customer_present: bool
    expires_in_s: int | None
    metadata: Mapping[str, Any]
    body: bytes = field(repr=False)
    checkout: CheckoutTry | None = None
    """The checkout that it is a try of."""


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """A checked request for a refund. `body` is the canonical form of the request, compared by a keyed hash."""

    merchant_id: UUID
    app: str
    merchant_order_no: str
    payment_id: UUID
    amount: int
    """In fen."""
    reason: str | None
    metadata: Mapping[str, Any]
    body: bytes = field(repr=False)
    anomaly_id: UUID | None = None
    """The anomaly whose money is to go back. It is resolved by that: `resolved_by` says who, `note` what for."""
    resolved_by: str = ""
    note: str = ""
    resolves: bool = False
    """It is a person's word on the anomaly, so it comes too late for one that was resolved, however that was."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A checked request for a payout. `body` is its canonical form, compared by a keyed hash."""

    merchant_id: UUID
    app: str
    merchant_order_no: str
    channel: str
    payee: Payee
    """In one form."""
    amount: int
    """In fen."""
    currency: str
    purpose: str
    parts: tuple[Part, ...]
    """The payments that it pays on; none: it pays no payment on, or they come later."""
    hold: bool
    """It waits for its parts, and to be released."""
    metadata: Mapping[str, Any]
    body: bytes = field(repr=False)
