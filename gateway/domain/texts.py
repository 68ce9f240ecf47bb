"""Texts of others: what nobody sees in them, or what looks like something else.

Two user ids that look the same must be the same, and a description must read the same to everybody. So controls,
direction marks, joiners, fillers, private and unassigned code points are refused, and so is every blank but the blank.
A free text may also have the wide blank of Chinese input methods, and pictures (emoji) made of several code points.
"""

import re
import unicodedata

__all__ = ["odd_in_name", "odd_in_text"]

_QUICK = re.compile(r"[ -~\u00c0-\u024f\u3001-\u3011\u4e00-\u9fff\uff01-\uff5e]*")
"""What nearly every text is made of, with nothing odd among it."""
_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters, marks and signs to Unicode, and invisible all the same (Default_Ignorable_Code_Point, and the braille blank).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
# Planes of Han characters and of pictures grow with each Unicode: what Python does not know there may be a new one.
_GROWING = (range(0x20000, 0x3FFFE), range(0x1F000, 0x1FC00))

_PICTURE = (
    "(?:[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001fbff][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?)"
)
_PICTURES = re.compile(f"{_PICTURE}(?:\u200d{_PICTURE})*|[0-9#*]\ufe0f\u20e3")
_JOINED = re.compile("[\u200d\ufe0e\ufe0f]")
_LINES = re.compile(r"[\n\r\t]")


def odd_in_name(text: str) -> str | None:
    """The first character that a name, an id or a key must not have; None: there is none."""
    if _QUICK.fullmatch(text):
        return None
    return next((character for character in text if character != " " and _is_odd(character)), None)


def odd_in_text(text: str, *, lines: bool = False) -> str | None:
    """The first character that a free text must not have. `lines`: it may have several, and tabs."""
    if _QUICK.fullmatch(text):
        return None
    text = text.replace("\u3000", "")
    if lines:
        text = _LINES.sub("", text)
    if _JOINED.search(text):
        text = _PICTURES.sub("", text)
    return odd_in_name(text)


def _is_odd(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":
        place = ord(character)
        return place & 0xFFFE == 0xFFFE or not any(place in places for places in _GROWING)
    return category in _ODD_CATEGORIES or category == "Zs" or _INVISIBLE.match(character) is not None
