"""From a checked request to an order: the bank, the card's elements, and the canonical form of the request."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import orjson

from gateway.api.app.requests import CardFields
from gateway.api.http.needs import CardsByUser
from gateway.api.http.problems import FieldError, Problem, bad_fields
from gateway.api.http.routing import Caller
from gateway.domain.cards import CardElements, bank_of, odd_about
from gateway.domain.identities import IdType
from gateway.domain.ids import CARD, show
from gateway.domain.one_form import as_compared, one_form
from gateway.domain.orders import Order
from gateway.domain.scenes import NO_BANK, SCENES_OF, Kind, Scene
from gateway.ports import StoredCard

__all__ = [
    "REPLAYED",
    "canonical_body",
    "customer_present",
    "elements_as_typed",
    "known_card",
    "no_such_card",
    "order_of",
    "payer_bank",
]


REPLAYED: Final = "Idempotent-Replayed"
"""The header that says that an order was taken before."""


class NamesPayer(Protocol):
    """A request that names a payer: for a payment, or for a dry run of the router."""

    @property
    def user_id(self) -> str: ...

    @property
    def scene(self) -> Scene: ...

    @property
    def card_id(self) -> UUID | None: ...

    @property
    def customer_present(self) -> bool | None: ...


class AsksToPay(NamesPayer, Protocol):
    """A request with an order number: for a payment, or for a route that is recorded."""

    @property
    def merchant_order_no(self) -> str | None: ...

    @property
    def amount(self) -> int: ...

    @property
    def currency(self) -> str: ...

    @property
    def card(self) -> CardFields | None: ...

    @property
    def bank(self) -> str | None: ...

    @property
    def custody_user_no(self) -> str | None: ...

    @property
    def description(self) -> str | None: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    @property
    def return_url(self) -> str | None: ...

    @property
    def expires_in_s(self) -> int | None: ...

    def model_dump(self, *, exclude_none: bool, exclude_defaults: bool) -> dict[str, Any]: ...


async def order_of(
    request: AsksToPay, kind: Kind, caller: Caller, cards: CardsByUser, send_before: datetime | None = None
) -> Order:
    """The order of a request. Raises a 422 problem for an unknown bank."""
    assert request.merchant_order_no is not None, "its model asks for one"
    stored = await cards.find_card(caller.merchant_id, request.user_id, request.card_id) if request.card_id else None
    typed = elements_as_typed(request.card)
    elements = stored.elements if stored else one_form(typed) if typed else None
    as_typed = canonical_body(request)
    compared = as_compared(elements) if elements else None
    same = typed is None or typed is compared
    # Where a named card is gone, an order that was taken before still has its payment.
    gone = request.card_id is not None and stored is None
    return Order(
        merchant_id=caller.merchant_id,
        app=caller.app,
        merchant_order_no=request.merchant_order_no,
        kind=kind,
        scene=Scene(request.scene),
        user_id=request.user_id,
        amount=request.amount,
        currency=request.currency,
        bank=payer_bank(request.bank, stored, elements, Scene(request.scene)) if not gone else request.bank or "",
        bank_by_bin=bank_of(elements.card_no) if elements else None,
        card=elements,
        card_id=stored.card.card_id if stored else request.card_id,
        customer_present=customer_present(request),
        description=request.description,
        metadata=request.metadata,
        return_url=request.return_url,
        expires_in_s=request.expires_in_s,
        body=as_typed if same else canonical_body(request, compared),
        notes=odd_about(elements) if elements else (),
        send_before=send_before,
        custody_user_no=request.custody_user_no,
        body_as_typed=None if same else as_typed,
    )


async def known_card(cards: CardsByUser, caller: Caller, request: NamesPayer) -> StoredCard | None:
    """The card that `card_id` names, or None when the request names none."""
    if request.card_id is None:
        return None
    stored = await cards.find_card(caller.merchant_id, request.user_id, request.card_id)
    if stored is None:
        raise no_such_card()
    return stored


def no_such_card() -> Problem:
    """A 422 for a card that is unknown or somebody else's."""
    return bad_fields([FieldError("card_id", "not_found", "is not a card of this user")])


def elements_as_typed(card: CardFields | None) -> CardElements | None:
    """The four elements of a request as they were typed; `one_form` is what is compared, stored and sent."""
    if card is None:
        return None
    return CardElements(card.card_no, card.holder_name, card.id_no, card.phone, card.id_type)


def payer_bank(
    asked: str | None, stored: StoredCard | None, elements: CardElements | None, scene: Scene | None = None
) -> str:
    """The bank by the request, else as it was known with the card, else by the card's BIN. Raises a 422 problem."""
    if asked is None and scene is Scene.CUSTODY_NETBANK_CHARGE:
        return NO_BANK
    by_card = stored.card.bank if stored else bank_of(elements.card_no) if elements else None
    bank = asked or by_card
    if bank is None:
        raise bad_fields([FieldError("bank", "unknown", "cannot be told from this card number: say which bank it is")])
    return bank


def customer_present(request: NamesPayer) -> bool:
    """Whether somebody is there to enter a code: said, or the habit of the kind of payment."""
    if request.customer_present is not None:
        return request.customer_present
    return request.scene in SCENES_OF[Kind.CHARGE]


def canonical_body(request: AsksToPay, card: CardElements | None = None) -> bytes:
    """The request in one form, so that two requests that mean the same are the same bytes.

    Its card stands as it was typed (form 1, the first version's), or as the given `card`.

    What is absent, null or at its default is left out; that way a field that comes to the API later changes no old
    order. The bank stands as it was asked for: what a BIN means may change between two tries.
    """
    said: dict[str, Any] = request.model_dump(exclude_none=True, exclude_defaults=True)
    said.pop("customer_present", None)
    if customer_present(request) != (request.scene in SCENES_OF[Kind.CHARGE]):
        said["customer_present"] = request.customer_present
    if card is not None:
        said["card"] = {name: getattr(card, name) for name in CardElements.__slots__}
        if card.id_type is IdType.ID_CARD:
            del said["card"]["id_type"]
    if request.card_id is not None:
        said["card_id"] = show(CARD, request.card_id)
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
