"""A new card as its holder types it into our page: brought to one form, checked as the API checks it."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import ValidationError

from gateway.api.cashier.typed_signs import BLANKS_AND_DASHES, UNSEEN
from gateway.api.http.card_fields import CardFields
from gateway.domain.cards import CardElements, bank_names
from gateway.domain.identities import IdType
from gateway.pages.banks import bank_name
from gateway.pages.wording import Language, Text, said

__all__ = ["TypedCard", "asking_bank", "card_typed", "empty"]

MAX_TYPED: Final = 200
"""Characters of a field: what is longer is no part of a card."""
_IN_NUMBERS: Final = re.compile(f"[.{BLANKS_AND_DASHES}]")
"""What people and autofill put between digits."""
_AROUND: Final = re.compile(rf"^[\s{UNSEEN}]+|[\s{UNSEEN}]+$")
_BRACKETS: Final = re.compile("[()]")
_COUNTRY: Final = re.compile(r"^(?:\+|00)?86(?=1\d{10}$)")

_ID_TYPES: Final[Mapping[IdType, Text]] = {
    IdType.ID_CARD: Text("Resident ID card"),
    IdType.PASSPORT: Text("Passport"),
    IdType.HK_MACAU_PERMIT: Text("Mainland permit for people from Hong Kong and Macau"),
    IdType.TAIWAN_PERMIT: Text("Mainland permit for people from Taiwan"),
    IdType.FOREIGNER_PERMIT: Text("Permanent residence permit"),
}
_WRONG: Final[Mapping[str, Text]] = {
    "card_no": Text("Please type the 12 to 19 digits on the card."),
    "holder_name": Text("Please type the name as the bank has it."),
    "id_type": Text("Please choose a kind of ID."),
    "id_no": Text("This is not a number of that kind of ID: please check it."),
    "phone": Text("Please type the 11 digits of a mobile number."),
    "bank": Text("The number does not tell the bank: please choose it."),
}
_IN_ORDER: Final = ("card_no", "bank", "holder_name", "id_type", "id_no", "phone")
_NO_ERRORS: Final[Mapping[str, str]] = dict.fromkeys(_WRONG, "")


@dataclass(frozen=True, slots=True)
class TypedCard:
    """What stands in the form. It is shown once more only in the answer to the very request that brought it."""

    id_types: Sequence[tuple[str, str]]
    banks: Sequence[tuple[str, str]] = ()
    card_no: str = field(default="", repr=False)
    holder_name: str = field(default="", repr=False)
    id_type: str = IdType.ID_CARD.value
    id_no: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    bank: str = ""
    asks_bank: bool = False
    errors: Mapping[str, str] = field(default_factory=lambda: _NO_ERRORS)

    @property
    def first_wrong(self) -> str | None:
        """The first field with an error, in the order of the form."""
        return next((name for name in _IN_ORDER if self.errors[name]), None)


def empty(language: Language) -> TypedCard:
    """The form before anything is typed."""
    return TypedCard(_id_types(language))


def card_typed(
    fields: Mapping[str, str], language: Language, banks: Sequence[str] = ()
) -> tuple[CardElements | None, TypedCard]:
    """The card, or None with what is wrong; and the form as it is shown again. `banks`: whose cards are taken."""
    typed = {name: fields.get(name, "")[:MAX_TYPED] for name in ("card_no", "holder_name", "id_type", "id_no", "phone")}
    plain = {
        "card_no": _digits(typed["card_no"]),
        "holder_name": _AROUND.sub("", typed["holder_name"]),
        "id_type": typed["id_type"] or IdType.ID_CARD.value,
        "id_no": _digits(typed["id_no"]),
        "phone": _COUNTRY.sub("", _BRACKETS.sub("", _digits(typed["phone"]))),
    }
    wrong: set[str] = set()
    elements = None
    try:
        read = CardFields.model_validate(plain)
        elements = CardElements(read.card_no, read.holder_name, read.id_no, read.phone, read.id_type)
    except ValidationError as error:
        wrong = {str(each["loc"][0]) for each in error.errors(include_input=False, include_context=False)}
    chosen = fields.get("bank", "")
    if chosen and (chosen not in bank_names() or (banks and chosen not in banks)):
        wrong.add("bank")
    form = TypedCard(
        _id_types(language),
        [("", ""), *((code, bank_name(code, language)) for code in banks)],
        typed["card_no"],
        typed["holder_name"],
        plain["id_type"],
        typed["id_no"],
        typed["phone"],
        chosen,
        asks_bank="bank" in fields,
        errors={name: said(text, language) if name in wrong else "" for name, text in _WRONG.items()},
    )
    return (None if wrong else elements), form


def asking_bank(form: TypedCard, language: Language) -> TypedCard:
    """The same form, which now asks for the bank, too."""
    return replace(form, asks_bank=True, errors={**form.errors, "bank": said(_WRONG["bank"], language)})


def _digits(typed: str) -> str:
    return _IN_NUMBERS.sub("", unicodedata.normalize("NFKC", typed))


def _id_types(language: Language) -> list[tuple[str, str]]:
    return [(kind.value, said(text, language)) for kind, text in _ID_TYPES.items()]
