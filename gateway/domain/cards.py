"""A bank card: its four elements (四要素), how it is masked, and the bank its number belongs to."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from uuid import UUID

from stdnum import luhn

from gateway.domain.identities import IdType, check_digit_fits

MIN_BIN_LENGTH, MAX_BIN_LENGTH = 3, 10


@dataclass(frozen=True, slots=True)
class CardElements:
    """The four elements of an authentication (四要素), and of which paper `id_no` is. Never shown: `repr` is masked."""

    card_no: str
    holder_name: str
    id_no: str
    phone: str
    id_type: IdType = IdType.ID_CARD

    def __repr__(self) -> str:
        return f"CardElements({mask_card_no(self.card_no)})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it may be shown: no number, only its mask."""

    card_id: UUID
    masked: str
    bank: str


def odd_about(card: CardElements) -> tuple[str, ...]:
    """What is odd about a card in one form and no reason to refuse it: banks have issued such ones."""
    odd = []
    if not luhn.is_valid(card.card_no):
        odd.append("the card number's last digit does not fit the others (Luhn)")
    if not check_digit_fits(card.id_type, card.id_no):
        odd.append("the ID number's last character does not fit the others")
    return tuple(odd)


def mask_card_no(card_no: str) -> str:
    """First six and last four digits: 622202******1234."""
    return f"{card_no[:6]}{'*' * max(len(card_no) - 10, 0)}{card_no[-4:]}"


@cache
def _bins() -> dict[tuple[str, int], str]:
    text = resources.files("gateway.domain").joinpath("banks/bins.csv").read_text(encoding="utf-8")
    return {(row["bin"], int(row["length"])): row["bank"] for row in csv.DictReader(text.splitlines())}


@cache
def bank_names() -> dict[str, str]:
    """Every bank code (Alipay style: ICBC, ABC, ...) with the bank's Chinese name."""
    text = resources.files("gateway.domain").joinpath("banks/names.csv").read_text(encoding="utf-8")
    return {row["bank"]: row["name"] for row in csv.DictReader(text.splitlines())}


def bank_of(card_no: str) -> str | None:
    """The bank of a card number by its longest known BIN of this card length, or None."""
    bins, length = _bins(), len(card_no)
    for size in range(MAX_BIN_LENGTH, MIN_BIN_LENGTH - 1, -1):
        bank = bins.get((card_no[:size], length))
        if bank is not None:
            return bank
    return None
