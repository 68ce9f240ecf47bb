"""Fields of a card: its four elements, and which paper the ID number is of.

What is checked is the one form (`gateway.domain.one_form`); what is kept is what was typed, since orders of the first
version are compared by it.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from gateway.api.http.fields import PATTERN_MEANS, RequestModel, without, wrong
from gateway.domain.identities import IdType, is_id_number
from gateway.domain.one_form import id_in_one_form, name_in_one_form
from gateway.domain.texts import odd_in_name

__all__ = ["CardFields"]

# Digits may be full-width, as Chinese input methods type them, and groups of them may be parted by a blank.
_DIGIT, _BLANK = "[0-9\uff10-\uff19]", "[ \u00a0\u3000]"
_PHONE = f"^[1\uff11](?:{_BLANK}?{_DIGIT}){{10}}$"
_CARD_NUMBER = f"^{_DIGIT}(?:{_BLANK}?{_DIGIT}){{11,18}}$"
_SIGN = "[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]"
_ID_NUMBER = f"^{_SIGN}{{5,20}}$"
PATTERN_MEANS |= {
    _PHONE: "must be the 11 digits of a Chinese mobile number",
    _CARD_NUMBER: "must be 12 to 19 digits",
    _ID_NUMBER: "must be the number of an ID card (18 characters, or 15 of the old ones) or of the paper in id_type",
}
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_NO_ID_CARD = (
    "is not the number of a Chinese resident ID card: 18 characters with a birthday, or the 15 digits of old ones; "
    "say id_type where it is of another paper"
)


def _name(value: str) -> str:
    # Blanks inside are a matter of its one form; rare characters of old code pages are private ones.
    if value != value.strip():
        raise wrong("text", "must not have spaces at its ends")
    controls = (character for character in value if unicodedata.category(character) == "Cc")
    return without(next(controls, None) or odd_in_name(_PRIVATE.sub("", name_in_one_form(value))), value)


HolderName = Annotated[
    str, Field(min_length=1, max_length=64, description="as the bank knows it"), AfterValidator(_name)
]
Phone = Annotated[str, Field(pattern=_PHONE, description="11 digits of a Chinese mobile number")]
CardNumber = Annotated[str, Field(pattern=_CARD_NUMBER, description="12 to 19 digits")]
IdNumber = Annotated[
    str,
    Field(
        pattern=_ID_NUMBER,
        description="of a resident ID card: 18 characters, or the 15 digits of old ones; of another paper: its number",
    ),
    AfterValidator(str.upper),
]


class CardFields(RequestModel):
    """The four elements of a card (四要素). Check digits are not looked at: one that does not fit is noted."""

    card_no: CardNumber
    holder_name: HolderName
    id_type: Annotated[
        IdType, Field(strict=False, description="the paper that id_no is of; 81, 82, 83 permits are id_card")
    ] = IdType.ID_CARD
    id_no: IdNumber
    phone: Phone

    @field_validator("id_no")
    @classmethod
    def _is_of_its_paper(cls, value: str, info: ValidationInfo) -> str:
        # The pattern bounds those of other papers; where id_type itself is wrong, that is told.
        if not is_id_number(info.data.get("id_type", IdType.PASSPORT), id_in_one_form(value)):
            raise wrong("id_no", _NO_ID_CARD)
        return value

    def __repr__(self) -> str:
        return "CardFields(…)"

    __str__ = __repr__
