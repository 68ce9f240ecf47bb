"""The letter of ACP 5.1.0: forms, `k=v` text, the string to sign. Source: the official demo (H)."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from adapters.signing import sha256_hex
from gateway.ports import CallbackRequest

__all__ = [
    "Fields",
    "UnbelievableError",
    "charset_of",
    "digest",
    "pairs_in",
    "read_form",
    "read_text",
]

Fields = Mapping[str, str]

MAX_FIELDS: Final = 100

_OPENING = re.compile(r"[{\[]")
_CLOSING: Final = {"{": "}", "[": "]"}
_ENCODING = re.compile(rb"(?:^|&)encoding=([A-Za-z0-9-]{1,16})(?:&|$)")


class UnbelievableError(Exception):
    """A message that is not UnionPay's word to this account; the text holds nothing of it."""


def digest(fields: Fields, charset: str) -> bytes:
    """What is signed: the hex of SHA-256 over all fields but `signature` and empty ones, sorted (H)."""
    unsigned = {name: value for name, value in fields.items() if name != "signature"}
    try:
        return sha256_hex(signed_text(unsigned).encode(charset)).encode()
    except UnicodeEncodeError:
        raise UnbelievableError("the fields do not fit their encoding") from None


def signed_text(fields: Fields) -> str:
    """Sorted `k=v&k=v` without empty fields (H)."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name])


def pairs_in(text: str) -> dict[str, str]:
    """The pairs of `k=v&k=v`, where `{...}` and `[...]` may hold `&` and `=`; they do not nest (H).

    What is no pair is passed over, since the signature covers every pair. Linear, whatever the text.
    """
    fields: list[list[str]] = []
    awaited: str | None = None
    for piece in text.split("&"):
        if awaited is None:
            fields.append([])
        fields[-1].append(piece)
        awaited = _awaited_after(piece, awaited)
    pairs = ("&".join(pieces).partition("=") for pieces in fields)
    return {name: value for name, equals, value in pairs if name and equals}


def _awaited_after(piece: str, awaited: str | None) -> str | None:
    """The bracket that is still to be closed after this piece, None when all are."""
    place = 0
    while True:
        if awaited is None:
            opening = _OPENING.search(piece, place)
            if opening is None:
                return None
            awaited, place = _CLOSING[opening.group()], opening.end()
        closing = piece.find(awaited, place)
        if closing < 0:
            return awaited
        awaited, place = None, closing + 1


def read_text(text: str) -> dict[str, str]:
    """The fields of an answer, which is `k=v&k=v` with nothing escaped."""
    fields = pairs_in(text)
    if not fields or len(fields) > MAX_FIELDS:
        raise UnbelievableError("not an answer in k=v")
    return fields


def charset_of(form: bytes) -> str:
    """`encoding` names it, UTF-8 or GBK (H), and must be known before the form can be read."""
    named = _ENCODING.search(form)
    return "gbk" if named and named.group(1).upper() == b"GBK" else "utf-8"


def read_form(request: CallbackRequest) -> dict[str, str]:
    """The form without what our own callback address's query mixed into it (H)."""
    charset = charset_of(request.body)
    try:
        pairs = parse_qsl(request.body.decode("ascii"), encoding=charset, errors="strict", max_num_fields=MAX_FIELDS)
        ours = dict(parse_qsl(request.query, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise UnbelievableError("not a form") from None
    fields = dict(pairs)
    if not fields or len(fields) != len(pairs):
        raise UnbelievableError("an empty form or a repeated field")
    fields = {name: value for name, value in fields.items() if name not in ours or ours[name] != value}
    if pairs_in(signed_text(fields)) != {name: value for name, value in fields.items() if value}:
        # What is signed is text: a value that holds an `&` would let it be cut into other fields than were meant.
        raise UnbelievableError("fields that cannot be told apart in what is signed")
    return fields
