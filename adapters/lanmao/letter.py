"""The letter of the lanmao protocol: JSON in a form field or a body, and SHA1withRSA over that very text (H).

A direct call is answered with the JSON as body and its signature in the header `sign` (M); browsers and notices bring
both as form fields, `respData` and `sign` (H).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.signing import SHA1, rsa_sign, rsa_verify

__all__ = [
    "MAX_TEXT_BYTES",
    "Fields",
    "UnreadableError",
    "fen",
    "opened",
    "opened_form",
    "signed",
    "texts_of",
    "written",
]

Fields = Mapping[str, str]

MAX_TEXT_BYTES: Final = 256 * 1024
MAX_FORM_FIELDS: Final = 50
MAX_SIGN_CHARS: Final = 1024
_YUAN: Final = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,8})?")


class UnreadableError(Exception):
    """A message that is not this bank's word; the text holds nothing of it."""


def written(fields: Mapping[str, object]) -> str:
    """The JSON of a request, in ASCII: any text can be written so."""
    return json.dumps(fields, separators=(",", ":"))


def signed(text: str, key: rsa.RSAPrivateKey) -> str:
    """The signature over a request's JSON."""
    return base64.b64encode(rsa_sign(key, text.encode(), SHA1)).decode()


def opened(text: bytes, signature: str, key: rsa.RSAPublicKey) -> dict[str, Any]:
    """The object that the bank signed: numbers as they were written. Raises UnreadableError."""
    if len(text) > MAX_TEXT_BYTES or not 0 < len(signature) <= MAX_SIGN_CHARS:
        raise UnreadableError("too long, or not signed")
    try:
        sign = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("the signature is not base64") from None
    if not rsa_verify(key, sign, text, SHA1):
        raise UnreadableError("the signature is wrong")
    try:
        read: Any = json.loads(
            text.decode("utf-8"), object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=_refused
        )
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON in UTF-8") from None
    if not isinstance(read, dict):
        raise UnreadableError("not a JSON object")
    return read


def opened_form(body: bytes, platform_no: str, key: rsa.RSAPublicKey) -> tuple[dict[str, Any], Fields]:
    """What a form brings, signed, and the form's fields, of which nothing else is signed. Raises UnreadableError."""
    if len(body) > MAX_TEXT_BYTES:
        raise UnreadableError("too long")
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise UnreadableError("not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs) or form.get("platformNo") != platform_no:
        raise UnreadableError("not a form of this platform's")
    return opened(form.get("respData", "").encode(), form.get("sign", ""), key), form


def texts_of(read: Mapping[str, Any]) -> Fields:
    """The texts and numbers of an object, as texts without blanks around them; empty ones are left out."""
    return {name: value.strip() for name, value in read.items() if isinstance(value, str) and value.strip()}


def fen(text: str | None) -> int | None:
    """Yuan as fen, exactly; None for what is no amount, or has parts of a fen."""
    if text is None or not _YUAN.fullmatch(text):
        return None
    exact = Decimal(text) * 100
    return int(exact) if exact == exact.to_integral_value() else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a repeated name")
    return fields


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
