"""The letter of CPCN: a form with base64 XML and an RSA signature in hex, answered by `base64,hex`.

Source: the official simulator and PHP demo, as the protocol notes in section 3 tell it (H).
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape  # nosec: writing only

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from sandbox.keys import Identity

__all__ = [
    "Message",
    "RefusedError",
    "answer",
    "is_taken",
    "notice",
    "parse",
    "response",
    "response_text",
    "told",
]

MAX_FIELDS: Final = 20
DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'


class RefusedError(Exception):
    """The request is refused with this code of the head; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A request: the leaves of head and body that are not empty."""

    head: Mapping[str, str]
    body: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.body.get(name) or self.head.get(name, "")


def parse(raw: bytes, key: RSAPublicKey) -> Message:
    """Read and verify a form. Raises RefusedError: 240001 no message or signature, 2002 signature, 2003 or 2004 XML."""
    try:
        fields = dict(parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise RefusedError("2003", "form") from None
    if not fields.get("message") or not fields.get("signature"):
        raise RefusedError("240001")
    try:
        text = base64.b64decode(fields["message"], validate=True).strip()
    except ValueError:
        raise RefusedError("2003", "base64") from None
    try:
        key.verify(binascii.unhexlify(fields["signature"]), text, PKCS1v15(), hashes.SHA1())  # noqa: S303
    except (InvalidSignature, ValueError):
        raise RefusedError("2002") from None
    return _read(text)


def _read(text: bytes) -> Message:
    if b"<!" in text:
        raise RefusedError("2003", "DOCTYPE")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_blank_text=True)
    try:
        text.decode("utf-8")
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise RefusedError("2003", "XML") from None
    if root.tag != "Request":
        raise RefusedError("2004", "Request")
    return Message(_leaves(root.find("Head")), _leaves(root.find("Body")))


def _leaves(node: "etree._Element | None") -> dict[str, str]:
    if node is None:
        return {}
    leaves = (leaf for leaf in node.iter() if leaf is not node and not len(leaf))
    return {str(leaf.tag): (leaf.text or "").strip() for leaf in leaves if (leaf.text or "").strip()}


def _document(tag: str, head: Mapping[str, str], body: Mapping[str, str] | None, more: str = "") -> bytes:
    inside = f"<Head>{_elements(head)}</Head>" + ("" if body is None else f"<Body>{_elements(body)}{more}</Body>")
    return f'{DECLARATION}<{tag} version="2.0">{inside}</{tag}>'.encode()


def _elements(leaves: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in leaves.items())


def _signature(text: bytes, signer: Identity) -> str:
    return signer.key.sign(text, PKCS1v15(), hashes.SHA1()).hex()  # noqa: S303


def response(
    code: str, message: str, body: Mapping[str, str] | None, signer: Identity, *, wrongly: bool = False
) -> bytes:
    """A signed answer."""
    text = response_text(code, message, body)
    return answer(text, response_text(code, "?", body) if wrongly else text, signer)


def response_text(code: str, message: str, body: Mapping[str, str] | None, more: str = "") -> bytes:
    """The XML of an answer; `more`: elements of its body that are no leaves, as XML."""
    return _document("Response", {"Code": code, "Message": message}, body, more)


def answer(text: bytes, signed: bytes, signer: Identity) -> bytes:
    """What is sent. The text has a blank line at its end, which is not signed: signed is the trimmed text (H)."""
    return base64.b64encode(text + b"\n") + b"," + _signature(signed, signer).encode("ascii")


def told(head: Mapping[str, str], body: Mapping[str, str], signer: Identity, *, altered: bool) -> dict[str, str]:
    """The two fields of a signed notice; `altered`: one byte was changed after signing."""
    text = _document("Request", head, body)
    said = text.replace(b"<Amount>", b"<Amount>1", 1) if altered else text
    return {"message": base64.b64encode(said).decode("ascii"), "signature": _signature(text, signer)}


def notice(head: Mapping[str, str], body: Mapping[str, str], signer: Identity, *, altered: bool = False) -> bytes:
    """A signed notice as a form."""
    return urlencode(told(head, body, signer, altered=altered)).encode("ascii")


def is_taken(answer: bytes) -> bool:
    """Whether a merchant's answer to a notice says 2000: base64 of a Response, unsigned (H)."""
    try:
        root = etree.fromstring(base64.b64decode(answer, validate=True), etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return False
    return (root.findtext("Head/Code") or "").strip() == "2000"
