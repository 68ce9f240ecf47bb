"""Papers that say who somebody is, their numbers, and how two numbers are compared."""

import re
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import Final

from stdnum.cn import ric

__all__ = ["IdType", "check_digit_fits", "compared_id", "is_id_number", "is_residence_permit"]


class IdType(StrEnum):
    """The kinds of papers. Residence permits of Hong Kong, Macau and Taiwan people (81, 82, 83) are `id_card`."""

    ID_CARD = "id_card"
    """居民身份证: 18 characters, or the 15 digits of old ones."""
    PASSPORT = "passport"
    HK_MACAU_PERMIT = "hk_macau_permit"
    """港澳居民来往内地通行证"""
    TAIWAN_PERMIT = "taiwan_permit"
    """台湾居民来往大陆通行证"""
    FOREIGNER_PERMIT = "foreigner_permit"
    """外国人永久居留身份证"""


_ID_CARD: Final = re.compile(r"[1-9][0-9]{16}[0-9X]|[1-9][0-9]{14}", re.ASCII)
_OTHER: Final = re.compile(r"[A-Z0-9]{5,20}", re.ASCII)
_OLD_LENGTH: Final = 15
_RESIDENCE_PERMITS: Final = frozenset({"81", "82", "83"})


def is_id_number(id_type: IdType, number: str) -> bool:
    """Whether a number in one form can be one of this paper. Check digits are not looked at: the PSP knows."""
    if id_type is not IdType.ID_CARD:
        return _OTHER.fullmatch(number) is not None
    if not _ID_CARD.fullmatch(number):
        return False
    with suppress(ValueError):
        born = _in_18(number)[6:14]
        return bool(date(int(born[:4]), int(born[4:6]), int(born[6:])))
    return False


def is_residence_permit(id_type: IdType, number: str) -> bool:
    """Whether it is one of people from Hong Kong (81), Macau (82) or Taiwan (83): written as an ID card's number."""
    return id_type is IdType.ID_CARD and len(number) != _OLD_LENGTH and number[:2] in _RESIDENCE_PERMITS


def compared_id(id_type: IdType, number: str) -> str:
    """The number as it is compared: an ID card's of 15 digits in its form of 18."""
    return _in_18(number) if id_type is IdType.ID_CARD else number


def check_digit_fits(id_type: IdType, number: str) -> bool:
    """Whether the last digit of a number checks the others; true where there is none."""
    if id_type is not IdType.ID_CARD or len(number) == _OLD_LENGTH:
        return True
    return bool(ric.calc_check_digit(number) == number[-1])


def _in_18(number: str) -> str:
    # The old form has two digits of the year, always of the 20th century, and no check digit.
    if len(number) != _OLD_LENGTH:
        return number
    longer = f"{number[:6]}19{number[6:]}"
    return longer + str(ric.calc_check_digit(longer))
