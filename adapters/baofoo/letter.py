"""The letter of protocol pay: `k=v&k=v`, the text to sign, composite fields and numbers (official document, H)."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, unquote_plus
from zoneinfo import ZoneInfo

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType
from gateway.ports import CallbackRequest

__all__ = [
    "BEIJING",
    "PAPERS",
    "TIME",
    "Fields",
    "UnbelievableError",
    "UnwritableError",
    "account_info",
    "composite",
    "message_no",
    "paper_of",
    "read_form",
    "readings",
    "signed_text",
    "time_of",
    "user_id_of",
]

Fields = Mapping[str, str]

BEIJING: Final = ZoneInfo("Asia/Shanghai")
TIME: Final = "%Y-%m-%d %H:%M:%S"
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 60
MAX_USER_ID: Final = 50

# id_card_type of a Go client with the document's enumerations (M). Passports and travel permits have none there: 12 and
# 13 are residence permits, which have numbers like those of ID cards.
PAPERS: Final[Mapping[IdType, str]] = {IdType.ID_CARD: "01", IdType.FOREIGNER_PERMIT: "09"}
RESIDENTS: Final[Mapping[str, str]] = {"81": "12", "82": "12", "83": "13"}
"""By the beginning of the number: of people from Hong Kong, Macau and Taiwan."""

_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
_RESERVED = re.compile(r"[|%#^\-\x00-\x1f\x7f]")
# It comes back in a composite field, and stands in the text that is signed.
_PLAIN_USER_ID = re.compile(rf"[0-9A-Za-z_.@]{{1,{MAX_USER_ID}}}")

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NUMBER_CHARS: Final = 25
"""Of a number of 128 bits in these digits."""
_MAX_ORDINAL: Final = 99_999


class UnbelievableError(Exception):
    """A message that is not this PSP's word to this account; the text holds nothing of it."""


class UnwritableError(Exception):
    """A value that the protocol has no place for; the text does not hold it."""


def signed_text(fields: Fields) -> str:
    """What is signed: sorted `k=v&k=v` of all fields but `signature` and empty ones (H)."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "signature" and fields[name])


def time_of(moment: datetime) -> str:
    """A time as it is written (H)."""
    return moment.astimezone(BEIJING).strftime(TIME)


def composite(*parts: str) -> str:
    """A field of several parts. Raises UnwritableError: `| % # ^ -` must not stand in one (H)."""
    if any(_RESERVED.search(part) for part in parts):
        raise UnwritableError("has a character that is reserved")
    text = "|".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnwritableError("has what is no character") from None
    return text


def account_info(card: CardElements) -> str:
    """`card|name|id|phone|security code|expiry`; the last two are for credit cards, and we have none (H)."""
    return composite(card.card_no, card.holder_name, card.id_no, card.phone, "", "")


def paper_of(card: CardElements) -> str:
    """The `id_card_type` of the holder's paper. Raises UnwritableError."""
    if card.id_type not in PAPERS:
        raise UnwritableError("is of a paper that has no code")
    resident = RESIDENTS.get(card.id_no[:2]) if card.id_type is IdType.ID_CARD else None
    return resident or PAPERS[card.id_type]


def user_id_of(user_id: str) -> str:
    """The payer as Baofoo is told: as the app names them, or a digest of that where it does not fit."""
    if _PLAIN_USER_ID.fullmatch(user_id):
        return user_id
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:MAX_USER_ID]


def message_no(number: str, kind: str, ordinal: int | None) -> str:
    """A request's own number (msg_id, at most 32 characters): the order's, what it is, and its ordinal.

    Without an ordinal one is drawn: a request that may be repeated any number of times must not look like a duplicate.
    """
    assert ordinal is None or 0 <= ordinal <= _MAX_ORDINAL
    if ordinal is None:
        ordinal = secrets.randbelow(_MAX_ORDINAL + 1)
    rest, digits = int(number, 16), ""
    while rest:
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f"{digits.rjust(_NUMBER_CHARS, '0')}{kind}{ordinal}"


def readings(content: bytes) -> Iterator[Fields]:
    """The ways to read an answer: its text as it is (H), and with escapes, should it have some.

    Which of them was meant, the signature tells. Raises UnbelievableError.
    """
    if len(content) > MAX_ANSWER_BYTES:
        raise UnbelievableError("not an answer in k=v")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UnbelievableError("the answer is not UTF-8") from None
    pairs = [piece.partition("=") for piece in text.strip().split("&") if piece]
    if not all(equals for _, equals, _ in pairs):
        raise UnbelievableError("not an answer in k=v")
    yield _told_apart((name, value) for name, _, value in pairs)
    if "%" in text or "+" in text:
        try:
            yield _told_apart((name, unquote_plus(value, errors="strict")) for name, _, value in pairs)
        except UnicodeDecodeError:
            raise UnbelievableError("the answer is not UTF-8") from None


def read_form(request: CallbackRequest) -> Fields:
    """The fields of a notice: a form by POST, and the same in the address by GET (H). Raises UnbelievableError."""
    try:
        text = request.body.decode("ascii") if request.method == "POST" else request.query
        pairs = parse_qsl(text, errors="strict", strict_parsing=True, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UnbelievableError("not a form") from None
    return _told_apart(pairs)


def _told_apart(pairs: Iterable[tuple[str, str]]) -> Fields:
    """Fields that what is signed can be cut into in one way only, but for empty ones, which are not signed.

    Raises UnbelievableError.
    """
    listed = list(pairs)
    fields = dict(listed)
    if not fields or len(fields) != len(listed) or len(fields) > MAX_FIELDS:
        raise UnbelievableError("no fields, a repeated one, or too many")
    if not all(_NAME.fullmatch(name) for name in fields) or any("&" in value for value in fields.values()):
        raise UnbelievableError("fields that cannot be told apart in what is signed")
    return {name: value for name, value in fields.items() if value}
