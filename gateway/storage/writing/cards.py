"""Cards as flushes see them: found by print, or as the first version wrote them, and the secrets they keep.

A card that was typed differently before it was brought to one form may have two rows. `same_as` of the one that loses
names the other, which is found in its place: by what is typed, by the loser's id, and by late answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.domain.cards import CardElements, mask_card_no
from gateway.domain.one_form import as_compared, one_form
from gateway.domain.orders import AuthenticationOrder, Order
from gateway.ports import CardNotFoundError
from gateway.storage.keys import CardBox, Keys
from gateway.storage.server.database import Connection
from gateway.storage.writing.statement import Row

__all__ = ["IS_THERE", "CardRow", "KnownCards", "agreements_go_to", "card_id_of", "card_rows", "new_card_row"]

IS_THERE = """({card}.hidden_at IS NULL
    OR EXISTS (SELECT FROM agreements used WHERE used.merchant_id = $1 AND used.card_id = {card}.card_id
        AND used.status = 'active' AND used.verified_at > {card}.hidden_at)
    OR EXISTS (SELECT FROM payments used WHERE used.merchant_id = $1 AND used.user_id = {card}.user_id
        AND used.card_id = {card}.card_id AND used.status = 'succeeded' AND used.created_at > {card}.hidden_at))"""
"""Whether a card may be named by its id: nobody gave it up, or it was used again since."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """What a row of `cards` says to a flush. `first_version`: its elements, until the row is rewritten."""

    card_id: UUID
    data_key: bytes | None = field(repr=False)
    created_at: datetime
    first_version: bytes | None = field(default=None, repr=False)
    erased: bool = False


@dataclass(slots=True)
class KnownCards:
    """Cards that are named by what was typed or by an id, with their active agreements, for one flush."""

    rows: dict[UUID, CardRow] = field(default_factory=dict)
    by_print: dict[tuple[str, bytes], UUID] = field(default_factory=dict)
    first_version: dict[tuple[str, str], list[UUID]] = field(default_factory=lambda: defaultdict(list))
    """(user, masked number) → rows that are not rewritten yet."""
    named: dict[UUID, UUID] = field(default_factory=dict)
    """An id that was asked for → the card that is found in its place."""
    agreements: dict[UUID, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    """card → account → encrypted number; active ones"""
    verified: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    authenticating: dict[UUID, dict[str, UUID]] = field(default_factory=lambda: defaultdict(dict))
    """card → account → the silent authentication that is in flight"""
    signing: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    """card → accounts where it is being signed by an SMS: one at most"""
    _boxes: dict[UUID, CardBox] = field(default_factory=dict)

    def find(
        self, merchant_id: UUID, user_id: str, print_of_card: bytes, card: CardElements, keys: Keys
    ) -> UUID | None:
        """The row of a card in one form. Raises DecryptionError where this process cannot tell."""
        by_print = self.by_print.get((user_id, print_of_card))
        old = self.first_version.get((user_id, mask_card_no(card.card_no))) if self.first_version else None
        if not old:
            return by_print
        # There is no print yet. The same number under the same user is most likely the same card; what was typed tells.
        # One that does not open here may be it: a second row would be a second authentication.
        found = [card_id for card_id in old if self._was_typed(merchant_id, card_id, keys) == as_compared(card)]
        if by_print is not None:
            found.append(by_print)
        return min(found, key=self._preference, default=None)

    def box(self, merchant_id: UUID, card_id: UUID, keys: Keys) -> CardBox:
        """The box of a known card's secrets. Raises DecryptionError."""
        box = self._boxes.get(card_id)
        if box is None:
            box = self._boxes[card_id] = keys.box(merchant_id, card_id, self.rows[card_id].data_key)
        return box

    def add(self, user_id: str, print_of_card: bytes, row: CardRow, box: CardBox) -> None:
        """Remember a card that this flush inserts."""
        self.rows[row.card_id] = row
        self.by_print[user_id, print_of_card] = row.card_id
        self._boxes[row.card_id] = box

    def _was_typed(self, merchant_id: UUID, card_id: UUID, keys: Keys) -> CardElements:
        elements = self.rows[card_id].first_version
        assert elements is not None
        return as_compared(one_form(self.box(merchant_id, card_id, keys).open_elements(elements)))

    def _preference(self, card_id: UUID) -> tuple[bool, datetime, UUID]:
        return preference(bool(self.agreements.get(card_id)), self.rows[card_id].created_at, card_id)


def card_id_of(
    order: Order | AuthenticationOrder,
    print_of_card: bytes | None,
    known: KnownCards,
    new_cards: dict[UUID, Row],
    new_card_id: UUID,
    now: datetime,
    keys: Keys,
) -> UUID | None:
    """The card's row of an order: the one that is named, the one that is known, or a new one; None: it is for none.

    `print_of_card`: where it was typed. Raises CardNotFoundError, DecryptionError.
    """
    if order.card_id is not None:
        named = known.named.get(order.card_id)
        if order.card is None or named is None or known.rows[named].erased:
            raise CardNotFoundError
        return named
    if order.card is None:
        return None
    assert print_of_card is not None, "a card that is typed is known by its print"
    found = known.find(order.merchant_id, order.user_id, print_of_card, order.card, keys)
    if found is not None:
        return found
    row, box = new_card_row(order.merchant_id, new_card_id, order.user_id, order.card, order.bank, now, keys)
    new_cards[new_card_id] = row
    known.add(order.user_id, print_of_card, CardRow(new_card_id, row["data_key"], now), box)
    return new_card_id


def preference(live: bool, created_at: datetime, card_id: UUID) -> tuple[bool, datetime, UUID]:
    """Of cards that are the same one the least is found: one with a live agreement, else the older."""
    return not live, created_at, card_id


def new_card_row(
    merchant_id: UUID, card_id: UUID, user_id: str, card: CardElements, bank: str, now: datetime, keys: Keys
) -> tuple[Row, CardBox]:
    """The row of a card that is new, under a new key of its own."""
    box, wrapped = keys.new_box(merchant_id, card_id)
    row: Row = {
        "card_id": card_id,
        "user_id": user_id,
        "data_key": wrapped,
        "elements": box.seal_elements(card),
        **prints_of(merchant_id, card, keys),
        "masked": mask_card_no(card.card_no),
        "bank": bank,
        "created_at": now,
    }
    return row, box


def prints_of(merchant_id: UUID, card: CardElements, keys: Keys) -> Row:
    """The prints of a card in one form, by column."""
    prints = keys.order.prints(merchant_id, card)
    return {
        "print": prints.card,
        "number_print": prints.number,
        "phone_print": prints.phone,
        "id_print": prints.id_no,
    }


READ_CARDS = (
    "SELECT card_id, data_key, created_at, erased_at IS NOT NULL, same_as FROM cards "
    "WHERE merchant_id = $1 AND card_id = ANY($2::uuid[])"
)


async def card_rows(
    connection: Connection, merchant_id: UUID, ids: Iterable[UUID]
) -> tuple[dict[UUID, CardRow], dict[UUID, UUID | None]]:
    """Rows of cards by id, and what each is the same as."""
    found: dict[UUID, CardRow] = {}
    alike: dict[UUID, UUID | None] = {}
    rows = await connection.fetch(READ_CARDS, merchant_id, list(ids))
    for card_id, data_key, created_at, erased, same_as in rows:
        found[card_id] = CardRow(card_id, data_key and bytes(data_key), created_at, erased=erased)
        alike[card_id] = same_as
    return found, alike


async def agreements_go_to(
    connection: Connection, merchant_id: UUID, cards: Mapping[UUID, UUID | None], rows: Mapping[UUID, CardRow]
) -> dict[UUID, CardRow]:
    """For each card the row that its agreements stand at: its own, or that of the card it is the same as.

    `cards` tells `same_as` of each. Rows that are not at hand yet are read; that is rare.
    """
    heads = {card_id: same_as or card_id for card_id, same_as in cards.items()}
    missing = set(heads.values()) - rows.keys()
    found = dict(rows)
    if missing:
        found |= (await card_rows(connection, merchant_id, missing))[0]
    return {card_id: found[head] for card_id, head in heads.items()}
