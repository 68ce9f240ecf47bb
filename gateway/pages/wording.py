"""What pages say: English as it stands in templates and code, Chinese from `texts/zh.po`, read once at its first use.

Code marks its texts by `Text`, templates by `_` and `trans`. A text that has no translation is shown in English: a test
says which, and which translations nothing says any more.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final, Literal, NewType
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton
from babel.messages.pofile import read_po

__all__ = ["HTML_LANGUAGES", "Language", "Text", "clock", "other_language", "said", "translator", "yuan"]

Language = Literal["en", "zh"]
HTML_LANGUAGES: Final[Mapping[Language, str]] = {"en": "en", "zh": "zh-CN"}
_LOCALES: Final[Mapping[Language, str]] = {"en": "en", "zh": "zh_Hans_CN"}

Text = NewType("Text", str)
"""An English text of ours that is translated where it is shown."""


def said(text: str, language: Language) -> str:
    """A text of ours in this language."""
    return translator(language)(text)


@cache
def translator(language: Language) -> Callable[[str], str]:
    """What brings texts of ours to a language."""
    if language == "en":
        return str
    known = _chinese()
    return lambda text: known.get(text, text)


def _chinese() -> Mapping[str, str]:
    with resources.files("gateway.pages").joinpath("texts", "zh.po").open("rb") as file:
        read = read_po(file, locale="zh_Hans_CN")
    return {str(message.id): str(message.string) for message in read if message.id and message.string}


def other_language(language: Language) -> Language:
    """The one that a page offers beside its own."""
    return "en" if language == "zh" else "zh"


def yuan(amount: int) -> str:
    """Fen as people read them: `¥ 1,234.56`."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 100)
    return f"{sign}¥\N{NO-BREAK SPACE}{whole:,}.{rest:02d}"


def clock(moment: datetime, seen: datetime, zone: ZoneInfo, language: Language) -> str:
    """A time there, as someone reads it who looks at `seen`: with its day where that is another one."""
    there, today = moment.astimezone(zone), seen.astimezone(zone).date()
    time = f"{there:%H:%M}"
    if there.date() == today:
        return time
    day = format_skeleton("MMMd" if there.year == today.year else "yMMMd", there, locale=_LOCALES[language])
    return f"{day} {time}"
