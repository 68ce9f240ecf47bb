"""The letter of ChinaBank express: a form with base64 XML, its DATA under DES-ECB-PKCS5, signed by MD5 with a key.

Source: public clients, as the protocol notes in section 6 tell it (H).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape  # nosec: writing only

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.padding import PKCS7
from lxml import etree

from sandbox.keys import JdKeys

__all__ = ["Letter", "RefusedError", "open_letter", "write_letter"]

VERSION: Final = "1.0.0"
HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'
DES_KEY_BYTES: Final = 8
DES_BLOCK_BITS: Final = 64
MAX_FIELDS: Final = 20


class RefusedError(Exception):
    """The letter is refused with this code; nothing was done. `plain`: the code alone is answered, unsigned."""

    def __init__(self, code: str, *, plain: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.plain = plain


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """A request: the leaves of CARD and of TRADE. It lives as long as the call and is never written anywhere."""

    card: Mapping[str, str]
    trade: Mapping[str, str]


def open_letter(body: bytes, keys: JdKeys) -> Letter:
    """Read and verify a form. Raises RefusedError."""
    try:
        form = dict(parse_qsl(body.decode("ascii"), max_num_fields=MAX_FIELDS))
    except ValueError:
        raise RefusedError("EES0001", plain=True) from None
    if form.get("charset", "").upper() != "UTF-8":
        raise RefusedError("EES0002", plain=True)
    outer = _leaves(_parse(_unbase(form.get("req", ""), "EES0001"), "EES0001"))
    if outer.get("MERCHANT") != keys.merchant:
        raise RefusedError("EES0004", plain=True)
    if outer.get("TERMINAL") != keys.terminal:
        raise RefusedError("EES0005", plain=True)
    data = outer.get("DATA", "")
    if not hmac.compare_digest(outer.get("SIGN", ""), _sign(outer.get("VERSION", ""), data, keys)):
        raise RefusedError("EES0007", plain=True)
    root = _parse(_decrypt(_unbase(data, "EES0009"), keys), "EES0006")
    return Letter(
        *({} if node is None else _leaves(node) for node in (root.find("CARD"), root.find("TRADE"))),
    )


def write_letter(trade: Mapping[str, str], code: str, message: str, keys: JdKeys, md5_key: str | None = None) -> str:
    """A signed answer or notice, which goes behind `resp=`; `md5_key`: signed with another key than the account's."""
    returned = _elements({"CODE": code, "DESC": message})
    inside = f"{HEAD}<DATA><TRADE>{_elements(trade)}</TRADE><RETURN>{returned}</RETURN></DATA>"
    padder, encryptor = PKCS7(DES_BLOCK_BITS).padder(), _des(keys).encryptor()
    padded = padder.update(inside.encode()) + padder.finalize()
    data = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode("ascii")
    parts = {
        "VERSION": VERSION,
        "MERCHANT": keys.merchant,
        "TERMINAL": keys.terminal,
        "DATA": data,
        "SIGN": _sign(VERSION, data, keys, md5_key),
    }
    return base64.b64encode(f"{HEAD}<CHINABANK>{_elements(parts)}</CHINABANK>".encode()).decode("ascii")


def _sign(version: str, data: str, keys: JdKeys, md5_key: str | None = None) -> str:
    text = version + keys.merchant + keys.terminal + data + (md5_key or keys.md5_key)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _des(keys: JdKeys) -> Cipher[modes.ECB]:
    key = base64.b64decode(keys.des_key)[:DES_KEY_BYTES]
    return Cipher(TripleDES(key + key + key), modes.ECB())  # noqa: S305  this is the protocol's


def _decrypt(sealed: bytes, keys: JdKeys) -> bytes:
    decryptor, unpadder = _des(keys).decryptor(), PKCS7(DES_BLOCK_BITS).unpadder()
    try:
        padded = decryptor.update(sealed) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise RefusedError("EES0009", plain=True) from None


def _unbase(text: str, code: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(code, plain=True) from None


def _parse(content: bytes, code: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, encoding="utf-8")
    try:
        if b"<!" in content:
            raise RefusedError(code, plain=True)
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise RefusedError(code, plain=True) from None


def _leaves(node: etree._Element) -> dict[str, str]:
    return {str(leaf.tag): (leaf.text or "").strip() for leaf in node if not len(leaf)}


def _elements(leaves: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in leaves.items())
