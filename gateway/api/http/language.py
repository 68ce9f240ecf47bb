"""The language of messages, by `Accept-Language` (RFC 9110 section 12.5.4): Chinese or English, English by default."""

from typing import Literal

__all__ = ["Language", "preferred_language"]

Language = Literal["en", "zh"]
MAX_RANGES = 20


def preferred_language(header: str) -> Language:
    """The one of the two that the header wants most; the first named of equals."""
    if not header:
        return "en"
    wanted: dict[Language, float] = {}
    for part in header.split(",")[:MAX_RANGES]:
        name, _, parameters = part.strip().partition(";")
        language = _language_of(name)
        if language is not None:
            wanted[language] = max(wanted.get(language, 0.0), _weight(parameters))
    english, chinese = wanted.get("en", 0.0), wanted.get("zh", 0.0)
    if english == chinese:
        return next(iter(wanted), "en") if english > 0 else "en"
    return "zh" if chinese > english else "en"


def _language_of(name: str) -> Language | None:
    match name.strip().partition("-")[0].lower():
        case "zh":
            return "zh"
        case "en" | "*":
            return "en"
    return None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value) if name.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
