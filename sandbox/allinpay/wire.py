"""The letter of Allinpay TLT: GBK XML, signed textually over everything but the SIGNED_MSG element.

Source: the official Java demo, as the protocol notes in section 2 tell it (H).
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape  # nosec: writing only

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from sandbox.keys import Identity

__all__ = ["CHARSET", "Package", "RefusedError", "Rows", "parse", "render", "verifies"]

CHARSET: Final = "gbk"
DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
SIGNED_MSG: Final = re.compile(rb"<SIGNED_MSG>([^<]*)</SIGNED_MSG>")

Rows = Sequence[tuple[str, Mapping[str, str]]]
"""The body of an answer: elements in order, each with its leaves."""


class RefusedError(Exception):
    """The package is refused with this INFO code; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, repr=False)
class Package:
    """A request: the leaves of INFO, the body node's name and its leaves."""

    head: Mapping[str, str]
    body_name: str
    body: Mapping[str, str]


def parse(raw: bytes) -> Package:
    """Read a package. Raises RefusedError with 1001 for what is not GBK, not XML or not of this shape."""
    try:
        text = raw.decode(CHARSET)
    except UnicodeDecodeError:
        raise RefusedError("1001", "GBK") from None
    if "<!" in text:
        raise RefusedError("1001", "DOCTYPE")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_blank_text=True)
    try:
        root = etree.fromstring(DECLARATION.sub("", text, count=1).encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise RefusedError("1001", "XML") from None
    nodes = list(root)
    if root.tag != "AIPG" or len(nodes) != 2 or nodes[0].tag != "INFO":
        raise RefusedError("1001", "AIPG")
    return Package(_leaves(nodes[0]), str(nodes[1].tag), _leaves(nodes[1]))


def _leaves(node: etree._Element) -> dict[str, str]:
    return {str(leaf.tag): (leaf.text or "").strip() for leaf in node if not len(leaf)}


def verifies(raw: bytes, key: RSAPublicKey) -> bool:
    """Whether the SIGNED_MSG of these very bytes was made by this key over all the others."""
    found = SIGNED_MSG.search(raw)
    if found is None:
        return False
    try:
        signature = binascii.unhexlify(found.group(1).strip())
        key.verify(signature, raw[: found.start()] + raw[found.end() :], PKCS1v15(), hashes.SHA1())  # noqa: S303
    except (InvalidSignature, binascii.Error):
        return False
    return True


def render(head: Mapping[str, str], body_name: str, rows: Rows | Mapping[str, str] | None, signer: Identity) -> bytes:
    """A signed package. Characters that GBK lacks go out as character references."""
    body = "" if rows is None else f"<{body_name}>{_inner(rows)}</{body_name}>"
    before = f'<?xml version="1.0" encoding="GBK"?><AIPG><INFO>{_elements(head)}'.encode(CHARSET, "xmlcharrefreplace")
    after = f"</INFO>{body}</AIPG>".encode(CHARSET, "xmlcharrefreplace")
    signature = signer.key.sign(before + after, PKCS1v15(), hashes.SHA1()).hex()  # noqa: S303
    return before + f"<SIGNED_MSG>{signature}</SIGNED_MSG>".encode("ascii") + after


def _inner(rows: Rows | Mapping[str, str]) -> str:
    if isinstance(rows, Mapping):
        return _elements(rows)
    return "".join(f"<{name}>{_elements(leaves)}</{name}>" for name, leaves in rows)


def _elements(leaves: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in leaves.items())
