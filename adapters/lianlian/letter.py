"""The letter of LianLian: flat JSON in UTF-8, the string that is signed, amounts in yuan (its handbook and demo; H)."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from adapters.signing import sha256_hex

__all__ = [
    "Fields",
    "UnbelievableError",
    "UnwritableError",
    "fen",
    "name_of_user",
    "read_json",
    "signed_text",
    "written",
]

Fields = Mapping[str, str]

MAX_ANSWER_BYTES: Final = 256 * 1024
"""An answer about one order is far below this."""
MAX_USER_ID: Final = 32

_AMOUNT = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,2})?")
_USER_ID = re.compile(rf"[0-9A-Za-z_-]{{1,{MAX_USER_ID}}}")


class UnbelievableError(Exception):
    """A message that is not LianLian's word to this account; the text holds nothing of it."""


class UnwritableError(Exception):
    """A value that UTF-8 cannot carry; the message does not hold it."""


def written(fields: Fields) -> bytes:
    """The fields as they go out. Raises UnwritableError."""
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise UnwritableError("has a character that UTF-8 cannot write") from None


def signed_text(fields: Fields) -> bytes:
    """What is signed: `k=v` of all fields but `sign` and empty ones, by name, joined by `&`. Raises UnwritableError."""
    names = sorted((name for name in fields if name != "sign" and fields[name]), key=str.lower)
    try:
        return "&".join(f"{name}={fields[name]}" for name in names).encode()
    except UnicodeEncodeError:
        raise UnwritableError("has a character that UTF-8 cannot write") from None


def read_json(content: bytes) -> dict[str, str]:
    """The fields of a message that are texts or numbers, as they are written. Raises UnbelievableError.

    Lists and objects are left out, since no signature covers them. A name that stands there twice could be read as one
    value and signed as another.
    """
    if len(content) > MAX_ANSWER_BYTES:
        raise UnbelievableError("the message is too big")
    try:
        read = json.loads(content.decode(), parse_float=str, parse_int=str, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise UnbelievableError("not JSON in UTF-8") from None
    if not isinstance(read, dict):
        raise UnbelievableError("not a JSON object")
    return {name: value for name, value in read.items() if isinstance(value, str)}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a repeated name")
    return fields


def fen(text: str) -> int | None:
    """Yuan as fen, exactly; None for what is no amount."""
    return int(Decimal(text) * 100) if _AMOUNT.fullmatch(text) else None


def name_of_user(user_id: str) -> str:
    """The app's name of a user, or where it does not fit a digest of it: the same user is always the same text."""
    if _USER_ID.fullmatch(user_id):
        return user_id
    return sha256_hex(user_id.encode("utf-8", "surrogatepass"))[:MAX_USER_ID]
