"""CPCN's envelope: UTF-8 XML in base64 beside an RSA signature in hex over the XML itself (the demos, H)."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.asymmetric import rsa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.signing import SHA1, rsa_sign, rsa_verify

__all__ = [
    "DECLARED",
    "Leaves",
    "UnreadableError",
    "UnwritableError",
    "head_of",
    "opened",
    "opened_form",
    "reason_of",
    "request",
    "sealed",
    "signed",
    "text_of",
    "verified",
]

MAX_ANSWER_BYTES: Final = 256 * 1024
"""An answer about one order is far below this."""
MAX_FIELDS: Final = 20
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256
DECLARED: Final = '<?xml version="1.0" encoding="UTF-8"?>'

_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){1,1024}")


Leaves = Mapping[str, str]


class UnreadableError(Exception):
    """A message that is not this PSP's word; the text holds nothing of it."""


class UnwritableError(Exception):
    """A value that XML cannot carry; the text does not hold it."""


def request(head: Leaves, body: Mapping[str, str | Leaves] | None) -> str:
    """A request's XML: every element of the demo's template, in its order, empty where there is nothing to say."""
    inside = f"<Head>{_elements(head)}</Head>" + ("" if body is None else f"<Body>{_elements(body)}</Body>")
    return f'{DECLARED}<Request version="2.0">{inside}</Request>'


def signed(xml: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The two fields of a form that goes out. Raises UnwritableError."""
    if _NOT_XML.search(xml):
        raise UnwritableError("has a character that XML cannot write")
    try:
        text = xml.encode()
    except UnicodeEncodeError:
        raise UnwritableError("has a character that UTF-8 cannot write") from None
    signature = rsa_sign(key, text, SHA1).hex()
    return {"message": base64.b64encode(text).decode("ascii"), "signature": signature}


def sealed(xml: str, key: rsa.RSAPrivateKey) -> bytes:
    """The form that goes out. Raises UnwritableError."""
    return urlencode(signed(xml, key)).encode()


def opened(content: bytes, key: rsa.RSAPublicKey) -> Element:
    """A verified answer, `message,signature`. Raises UnreadableError."""
    return _parsed(verified(content, key, MAX_ANSWER_BYTES), "Response")


def verified(content: bytes, key: rsa.RSAPublicKey, max_bytes: int) -> bytes:
    """The text of an answer, `message,signature`, that CPCN signed; not parsed. Raises UnreadableError."""
    if len(content) > max_bytes:
        raise UnreadableError("too long")
    try:
        message, comma, signature = content.decode("ascii").partition(",")
    except UnicodeDecodeError:
        raise UnreadableError("not an answer of CPCN") from None
    if not comma:
        raise UnreadableError("an answer without a signature")
    return _believed(message, signature, key)


def opened_form(body: bytes, key: rsa.RSAPublicKey) -> Element:
    """A verified notice, a form with `message` and `signature`. Raises UnreadableError."""
    if len(body) > MAX_ANSWER_BYTES:
        raise UnreadableError("too long")
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UnreadableError("not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or not {"message", "signature"} <= fields.keys():
        raise UnreadableError("not one message and one signature")
    return _parsed(_believed(fields["message"], fields["signature"], key), "Request")


def text_of(root: Element, name: str) -> str | None:
    """The stripped text of an element of the body, or else of the head; None when it is absent or empty.

    CPCN's own library finds elements by their name alone, wherever they stand.
    """
    return (root.findtext(f"Body/{name}") or root.findtext(f"Head/{name}") or "").strip() or None


def head_of(root: Element) -> tuple[str | None, str | None]:
    """Code and Message of the head, cut to a size that can be kept."""
    return _kept(root.findtext("Head/Code"), MAX_CODE_CHARS), _kept(root.findtext("Head/Message"), MAX_MESSAGE_CHARS)


def reason_of(root: Element) -> tuple[str | None, str | None]:
    """The bank's ResponseCode and ResponseMessage, cut in the same way."""
    code, message = text_of(root, "ResponseCode"), text_of(root, "ResponseMessage")
    return _kept(code, MAX_CODE_CHARS), _kept(message, MAX_MESSAGE_CHARS)


def _kept(text: str | None, size: int) -> str | None:
    return (text or "").strip()[:size] or None


def _elements(elements: Mapping[str, str | Leaves]) -> str:
    inside = {name: escape(held) if isinstance(held, str) else _elements(held) for name, held in elements.items()}
    return "".join(f"<{name}>{text}</{name}>" for name, text in inside.items())


def _believed(message: str, signature: str, key: rsa.RSAPublicKey) -> bytes:
    try:
        text = base64.b64decode(message.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("the message is not base64") from None
    if not _HEX.fullmatch(signature.strip()):
        raise UnreadableError("the signature is not hex")
    # Signed is the trimmed text (H); one public client verifies it as it comes. Either says the same.
    sign, trimmed = bytes.fromhex(signature.strip()), text.strip()
    if not rsa_verify(key, sign, trimmed, SHA1) and (trimmed == text or not rsa_verify(key, sign, text, SHA1)):
        raise UnreadableError("the signature is wrong")
    return trimmed


def _parsed(text: bytes, tag: str) -> Element:
    try:
        root: Element = fromstring(text.decode("utf-8"), forbid_dtd=True)
    except (UnicodeDecodeError, ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableError("broken XML") from error
    if root.tag != tag:
        raise UnreadableError(f"not a {tag}")
    return root
