"""What a flush of orders has read of its users, cards and limits, and what it has opened so far."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from gateway.domain.blocks import BlockKind
from gateway.domain.cards import mask_card_no
from gateway.domain.catalogue import Catalogue, Counted
from gateway.domain.checkouts import STANDARD_LIMITS
from gateway.domain.orders import Order
from gateway.flows.opening import Opened
from gateway.ports import OpenResult
from gateway.storage.keys import Keys
from gateway.storage.server.database import Connection
from gateway.storage.writing.blocks import read_blocks
from gateway.storage.writing.codes import read_codes_sent
from gateway.storage.writing.facts import Facts, read_facts
from gateway.storage.writing.in_flight import limits_in_reach, read_in_flight
from gateway.storage.writing.orders import OrderKey
from gateway.storage.writing.statement import Row
from gateway.storage.writing.totals import Totals
from gateway.storage.writing.trying import Trying

__all__ = ["OpeningPage", "Reading", "order_key", "order_keys"]


class Opens(Protocol):
    """An order that is to be routed, with the id of what it opens: a payment, or a recorded route."""

    @property
    def order(self) -> Order: ...

    @property
    def object_id(self) -> UUID: ...


@dataclass(slots=True)
class OpeningPage:
    """One flush while it is being built."""

    merchant_id: UUID
    day: date
    catalogue: Catalogue
    facts: Facts
    prints: dict[UUID, bytes]
    """By the id of what is opened: that of the card that was typed."""
    counted: Counted
    numbers: dict[UUID, bytes]
    """By the id of what is opened: the print of its card's number, where a limit counts it."""
    blocked: dict[UUID, tuple[BlockKind, ...]]
    """By the id of what is opened: which kinds of entries of the block list name its payer."""
    opened: list[Opened] = field(default_factory=list)
    agreements: dict[UUID, str | None] = field(default_factory=dict)
    resumed: dict[UUID, OpenResult] = field(default_factory=dict)
    """Payments of an earlier try of this flush, whose COMMIT went through unheard."""
    new_cards: dict[UUID, Row] = field(default_factory=dict)
    codes_before: dict[bytes, int] = field(default_factory=dict)
    """By the print of a phone: the SMS it got today, where a channel asks for codes."""
    codes_sent: dict[bytes, int] = field(default_factory=dict)
    """The same: SMS that are asked for now."""
    number_prints: dict[UUID, bytes] = field(default_factory=dict)
    """The same by the card's id."""
    trying: Trying = field(default_factory=lambda: Trying(STANDARD_LIMITS))
    """What is known of the checkouts that orders are tries of."""
    refused: dict[OrderKey, Exception] = field(default_factory=dict)
    """Orders that cannot be opened, alone among the others."""


class Reading:
    """Reads for flushes of orders."""

    def __init__(self, keys: Keys, totals: Totals) -> None:
        self._keys, self._totals = keys, totals

    async def read(
        self,
        connection: Connection,
        merchant_id: UUID,
        catalogue: Catalogue,
        openings: Sequence[Opens],
        now: datetime,
        day: date,
    ) -> OpeningPage:
        """What the orders of a merchant need to be routed. `day` is the business day of `now`."""
        orders = [opening.order for opening in openings]
        users = {order.user_id for order in orders}
        prints = {
            o.object_id: self._keys.order.print_of_card(merchant_id, o.order.card)
            for o in openings
            if o.order.card and not o.order.card_id
        }
        masked = {
            prints[o.object_id]: mask_card_no(o.order.card.card_no)
            for o in openings
            if o.order.card and not o.order.card_id
        }
        card_ids = [order.card_id for order in orders if order.card_id]
        after = catalogue.unresolved_counts_after(merchant_id)
        unresolved = None if after is None else (now, after)
        keys = order_keys(openings)
        facts = await read_facts(connection, merchant_id, users, day, masked, card_ids, keys, unresolved=unresolved)
        counted, numbers = catalogue.counted(merchant_id), {}
        if counted.cards:
            numbers = {
                o.object_id: self._keys.order.print_of_number(merchant_id, o.order.card.card_no)
                for o in openings
                if o.order.card
            }
        if counted:
            of_numbers = set(numbers.values())
            facts.totals = await self._totals.read(connection, merchant_id, day, of_numbers, now)
            asked = [(o.order, numbers.get(o.object_id)) for o in openings]
            if reached := limits_in_reach(catalogue, merchant_id, facts.totals, asked):
                await read_in_flight(connection, merchant_id, day, facts.totals, reached, of_numbers)
        payers = {o.object_id: (o.order.user_id, o.order.card) for o in openings}
        kinds = catalogue.blocks(merchant_id)
        blocked = await read_blocks(connection, self._keys.order, merchant_id, kinds, payers, now) if kinds else {}
        page = OpeningPage(merchant_id, day, catalogue, facts, prints, counted, numbers, blocked)
        if catalogue.asks_for_codes(merchant_id):
            phones = {self._keys.order.print_of_phone(merchant_id, order.card.phone) for order in orders if order.card}
            page.codes_before = await read_codes_sent(connection, merchant_id, phones, day)
        return page


def order_key(order: Order) -> OrderKey:
    return order.app, order.merchant_order_no


def order_keys(openings: Iterable[Opens]) -> set[OrderKey]:
    return {order_key(opening.order) for opening in openings}
