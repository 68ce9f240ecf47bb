"""What people type, in one form: one person typed in four ways is one card.

A name, a card number, an ID number and a phone are brought to it before they are compared, stored or sent to a PSP. It
changes how a thing is written, never what it is, and done twice it changes nothing more.
"""

import re
import unicodedata
from dataclasses import replace

from gateway.domain.cards import CardElements
from gateway.domain.identities import compared_id

__all__ = ["as_compared", "id_in_one_form", "name_in_one_form", "number_in_one_form", "one_form"]

MIDDLE_DOT = "\u00b7"
"""As GB 18030 has it, and as banks write the names of minorities."""
_OTHER_DOTS = "\u2022\u2027\u30fb\uff65"

_KANGXI_RADICALS = range(0x2F00, 0x2FE0)
_RADICALS_SUPPLEMENT = range(0x2E80, 0x2F00)
_COMPATIBILITY = (range(0xF900, 0xFB00), range(0x2F800, 0x2FA20))
_HAN = (
    _RADICALS_SUPPLEMENT,
    _KANGXI_RADICALS,
    range(0x3007, 0x3008),  # 〇, a numeral that names have
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    *_COMPATIBILITY,
    range(0x20000, 0x40000),
)


def _plain_characters() -> dict[int, str]:
    table = {ord(dot): MIDDLE_DOT for dot in _OTHER_DOTS}
    for places in (_KANGXI_RADICALS, _RADICALS_SUPPLEMENT, *_COMPATIBILITY):
        for place in places:
            plain = unicodedata.normalize("NFKC", chr(place))
            if plain != chr(place):
                table[place] = plain
    for full, plain in ((0xFF10, "0123456789"), (0xFF21, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")):
        table |= {full + offset: character for offset, character in enumerate(plain)}
    return table | {0xFF41 + offset: chr(ord("a") + offset) for offset in range(26)}


_PLAIN = _plain_characters()
_PLAIN_ALREADY = re.compile("[\u4e00-\u9fff]+")


def one_form(card: CardElements) -> CardElements:
    """The four elements in one form: the same object where that changes nothing, which is nearly always."""
    card_no, phone = number_in_one_form(card.card_no), number_in_one_form(card.phone)
    name, id_no = name_in_one_form(card.holder_name), id_in_one_form(card.id_no)
    if (card_no, name, id_no, phone) == (card.card_no, card.holder_name, card.id_no, card.phone):
        return card
    return CardElements(card_no, name, id_no, phone, card.id_type)


def as_compared(card: CardElements) -> CardElements:
    """A card in one form as it is compared with others, though another form is sent: an ID number of 15 digits has 18.

    The same object where that changes nothing, which is nearly always.
    """
    id_no = compared_id(card.id_type, card.id_no)
    return card if id_no == card.id_no else replace(card, id_no=id_no)


def name_in_one_form(name: str) -> str:
    """A holder's name. Blanks inside a Chinese name go; a Latin one keeps single blanks between its words."""
    if _PLAIN_ALREADY.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFC", name).translate(_PLAIN)
    plain = ("" if any(map(_is_han, plain)) else " ").join(plain.split())
    # What became plain, or lost the blank before it, may take the mark that follows.
    return unicodedata.normalize("NFC", plain)


def number_in_one_form(number: str) -> str:
    """A card number or a phone: half-width digits without blanks."""
    if number.isascii() and number.isdigit():
        return number
    return "".join(number.translate(_PLAIN).split())


def id_in_one_form(number: str) -> str:
    """An ID number: half-width digits and letters, in upper case."""
    return number.upper() if number.isascii() and number.isalnum() else number_in_one_form(number).upper()


def _is_han(character: str) -> bool:
    return character > "\u2e7f" and any(ord(character) in places for places in _HAN)
