"""The letter of ChinaBank express: base64 XML, its DATA under DES, MD5 over all of it (H; see `adapter`).

DES is no secret-keeping any more, and MD5 with a key behind the text no signature: it is what this PSP speaks, and TLS
is what protects it.
"""

import base64
import binascii
import hmac
import re
from hashlib import md5
from typing import Final
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from adapters.account import AccountError, secret, setting
from gateway.ports import AccountSettings

__all__ = ["Envelope", "UnreadableError", "UnwritableError", "node", "text_of"]

VERSION: Final = "1.0.0"
TERMINAL: Final = "00000001"
"""What every public client sends (H)."""
MAX_ANSWER_BYTES: Final = 64 * 1024
"""An answer about one order is far below this."""
BLOCK: Final = 8

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"\s+")
_PLAIN_CODE = re.compile(r"0001|EE[A-Z][0-9]{4}")


class UnreadableError(Exception):
    """An answer that is not this PSP's word on this request; the message holds nothing of its body.

    `code`: what it says instead of an envelope, unsigned.
    """

    def __init__(self, problem: str, code: str | None = None) -> None:
        super().__init__(problem)
        self.code = code


class UnwritableError(Exception):
    """A value that XML cannot carry; the message does not hold it."""


def node(tag: str, **children: str) -> str:
    """An element with text children, escaped. Raises UnwritableError."""
    if any(_NOT_XML.search(text) for text in children.values()):
        raise UnwritableError("has a character that XML cannot write")
    return f"<{tag}>{''.join(f'<{name}>{escape(text)}</{name}>' for name, text in children.items())}</{tag}>"


def text_of(element: Element, path: str) -> str | None:
    """The stripped text at a path; None when it is absent or empty."""
    return (element.findtext(path) or "").strip() or None


class Envelope:
    """The merchant number and keys of one account. Raises AccountError.

    The key of DES is the first 8 bytes of the base64 text that the merchant is given (H).
    """

    def __init__(self, account: AccountSettings) -> None:
        self.merchant, self.terminal = _digits(account, "merchant"), _digits(account, "terminal", TERMINAL)
        self._md5_key = secret(account, "md5_key").strip().encode()
        # DES is Triple DES with one key three times; the library has no other.
        self._cipher = Cipher(TripleDES(_des_key(account) * 3), modes.ECB())  # noqa: S305  what the protocol uses

    def sealed(self, inside: str) -> bytes:
        """The form that carries this DATA."""
        data = base64.b64encode(self.encrypted(f"{_HEAD}{inside}".encode())).decode()
        letter = node(
            "CHINABANK",
            VERSION=VERSION,
            MERCHANT=self.merchant,
            TERMINAL=self.terminal,
            DATA=data,
            SIGN=self._sign(VERSION, data),
        )
        return urlencode({"charset": "UTF-8", "req": base64.b64encode(f"{_HEAD}{letter}".encode()).decode()}).encode()

    def opened(self, letter: str) -> Element:
        """DATA of a verified letter, which stands behind `resp=`. Raises UnreadableError."""
        if _PLAIN_CODE.fullmatch(letter.strip()):
            raise UnreadableError("refused without a signature", letter.strip())
        root = _parsed(_decoded(letter), "CHINABANK")
        version, merchant, terminal, data, sign = (
            root.findtext(name) or "" for name in ("VERSION", "MERCHANT", "TERMINAL", "DATA", "SIGN")
        )
        if (merchant, terminal) != (self.merchant, self.terminal):
            # Without these the parts of what is signed could change their length.
            raise UnreadableError("an answer to another merchant")
        if not hmac.compare_digest(sign.strip().encode(), self._sign(version, data).encode()):
            raise UnreadableError("the signature is wrong")
        return _parsed(self.decrypted(_decoded(data)), "DATA")

    def _sign(self, version: str, data: str) -> str:
        signed = f"{version}{self.merchant}{self.terminal}{data}".encode() + self._md5_key
        return md5(signed, usedforsecurity=False).hexdigest()

    def encrypted(self, text: bytes) -> bytes:
        """DES, block by block (ECB), padded by PKCS5 (H)."""
        padding = BLOCK - len(text) % BLOCK
        encryptor = self._cipher.encryptor()
        return encryptor.update(text + bytes([padding]) * padding) + encryptor.finalize()

    def decrypted(self, data: bytes) -> bytes:
        """What was encrypted. Raises UnreadableError."""
        if not data or len(data) % BLOCK:
            raise UnreadableError("DATA is no DES text")
        decryptor = self._cipher.decryptor()
        text = decryptor.update(data) + decryptor.finalize()
        padding = text[-1]
        if not 1 <= padding <= BLOCK or text[-padding:] != bytes([padding]) * padding:
            raise UnreadableError("DATA is under another key")
        return text[:-padding]


def _decoded(text: str) -> bytes:
    """Base64, in which some servers break the lines."""
    try:
        return base64.b64decode(_BLANKS.sub("", text), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("not base64") from None


def _parsed(content: bytes, tag: str) -> Element:
    try:
        root: Element = fromstring(content.decode("utf-8"), forbid_dtd=True)
    except (UnicodeDecodeError, ParseError, DefusedXmlException, ValueError):
        raise UnreadableError("broken XML") from None
    if root.tag != tag:
        raise UnreadableError("another XML")
    return root


def _digits(account: AccountSettings, name: str, default: str | None = None) -> str:
    value = setting(account, name, default)
    if not re.fullmatch(r"[0-9]{1,32}", value):
        raise AccountError(account, name, "must be digits")
    return value


def _des_key(account: AccountSettings) -> bytes:
    try:
        key = base64.b64decode(secret(account, "des_key").strip(), validate=True)
    except (binascii.Error, ValueError):
        raise AccountError(account, "des_key", "must be base64") from None
    if len(key) < BLOCK:
        raise AccountError(account, "des_key", f"must have at least {BLOCK} bytes")
    return key[:BLOCK]
