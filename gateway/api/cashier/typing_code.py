"""The code of an SMS as people type or paste it: with blanks, in full-width digits, or the whole SMS. Pure."""

import re
import unicodedata
from typing import Final

from gateway.api.cashier.typed_signs import BLANKS_AND_DASHES

__all__ = ["code_in"]

MAX_TYPED: Final = 500
"""Characters: an SMS with a code is shorter."""
_CODE: Final = re.compile(r"\d{4,8}", re.ASCII)
_RUN: Final = re.compile(r"(?<![\d.*])\d{4,8}(?!\d|\*|\.\d)", re.ASCII)
_NAMED: Final = re.compile(r"(?:码|code\b)(?:[\s:\[(【是为]|is\b)*(\d{4,8})(?!\d)", re.ASCII | re.IGNORECASE)
_OF_A_CARD: Final = re.compile(
    r"(?:尾号|尾数|[末后]四位|卡号|ending(?: in| with)?|\bcard)[\s:(【是为]*\d+", re.ASCII | re.IGNORECASE
)
"""The last digits of a card, as banks name it in their SMS."""
_HALVES: Final = re.compile(r"(?<![\d.*])(\d{3})[ -](\d{3})(?![\d*-]|\.\d)", re.ASCII)
"""A code as some write it."""
_BETWEEN: Final = re.compile(f"[{BLANKS_AND_DASHES}]")
_USUAL_DIGITS: Final = 6


def code_in(typed: str) -> str | None:
    """The code, or None: there is none, or nobody can say which of several numbers it is."""
    if len(typed) > MAX_TYPED:
        return None
    plain = unicodedata.normalize("NFKC", typed)
    alone = _BETWEEN.sub("", plain)
    if _CODE.fullmatch(alone):
        return alone
    # An SMS may tell other numbers, too: the code is called one, or has the usual length. A wrong guess costs a try.
    plain = _HALVES.sub(r"\1\2", _OF_A_CARD.sub("", plain))
    runs: set[str] = set(_RUN.findall(plain))
    for likely in (runs, set(_NAMED.findall(plain)) & runs, {run for run in runs if len(run) == _USUAL_DIGITS}):
        if len(likely) == 1:
            return likely.pop()
    return None
