"""The letter of UnionPay ACP 5.1.0: forms, the string to sign, signatures, sensitive fields.

Source: the official Java demo, as the protocol notes in section 1 tell it (H).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox.keys import Identity

__all__ = [
    "ENCODINGS",
    "Message",
    "RefusedError",
    "customer_of",
    "encode_form",
    "encode_text",
    "open_braces",
    "parse",
    "sign",
    "unseal",
    "verifies",
]

MAX_FIELDS: Final = 80
ENCODINGS: Final = {"UTF-8": "utf-8", "GBK": "gbk"}
ENCODING_FIELD: Final = re.compile(rb"(?:^|&)encoding=([A-Za-z0-9-]{1,16})(?:&|$)")


class RefusedError(Exception):
    """The message is refused with this respCode; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A request: its fields that are not empty, and the Python name of its charset."""

    fields: Mapping[str, str]
    charset: str

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


def parse(body: bytes) -> Message:
    """Read a form. Raises RefusedError with 10 for a repeated field, an unknown encoding or unreadable bytes."""
    named = ENCODING_FIELD.search(body)
    charset = ENCODINGS.get(named.group(1).decode("ascii").upper() if named else "UTF-8")
    if charset is None:
        raise RefusedError("10", "encoding")
    try:
        pairs = parse_qsl(body.decode("ascii"), encoding=charset, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RefusedError("10", "form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RefusedError("10", "repeated field")
    return Message(fields, charset)


def _digest(fields: Mapping[str, str], charset: str) -> bytes:
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "signature" and fields[name])
    return hashlib.sha256(text.encode(charset, "replace")).hexdigest().encode("ascii")


def sign(fields: Mapping[str, str], charset: str, signer: Identity, *, line_end: str = "\n") -> dict[str, str]:
    """The fields with the signer's certificate and signature added. `line_end`: of the certificate's lines, which a
    browser would send as CR LF whatever was signed.
    """
    signed = {**fields, "signPubKeyCert": signer.pem.replace("\n", line_end)}
    signature = signer.key.sign(_digest(signed, charset), PKCS1v15(), hashes.SHA256())
    return {**signed, "signature": base64.b64encode(signature).decode("ascii")}


def verifies(message: Message, key: RSAPublicKey) -> bool:
    """Whether `signature` was made over the other fields by this key."""
    try:
        signature = base64.b64decode(message["signature"], validate=True)
        key.verify(signature, _digest(message.fields, message.charset), PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def encode_text(fields: Mapping[str, str], charset: str) -> bytes:
    """An answer: `k=v&k=v`, nothing escaped."""
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode(charset, "replace")


def encode_form(fields: Mapping[str, str], charset: str) -> bytes:
    """A notification: an ordinary form."""
    return urlencode(fields, encoding=charset).encode("ascii")


def open_braces(text: str) -> dict[str, str]:
    """`{k=v&k=v}` as a mapping. Raises RefusedError with 10."""
    if not (text.startswith("{") and text.endswith("}")):
        raise RefusedError("10", "braces")
    return _pairs(text[1:-1])


def _pairs(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split("&") if part]
    if any(not sign_ for _, sign_, _ in pairs):
        raise RefusedError("10", "k=v")
    return {name: value for name, _, value in pairs}


def customer_of(message: Message, key: RSAPrivateKey | None) -> dict[str, str]:
    """`customerInfo` opened, with `encryptedInfo` (phoneNo, cvn2, expired) decrypted into it."""
    if not message["customerInfo"]:
        return {}
    try:
        text = base64.b64decode(message["customerInfo"], validate=True).decode(message.charset)
    except ValueError:
        raise RefusedError("10", "customerInfo") from None
    customer = open_braces(text)
    sealed = customer.pop("encryptedInfo", None)
    if sealed is not None:
        if key is None:
            raise RefusedError("13", "encryptCertId")
        customer |= _pairs(unseal(sealed, key))
    return customer


def unseal(sealed: str, key: RSAPrivateKey) -> str:
    """Decrypt base64(RSA(text)). PKCS#1 v1.5 padding is what the demo's library uses (from memory: L)."""
    try:
        return key.decrypt(base64.b64decode(sealed, validate=True), PKCS1v15()).decode("utf-8")
    except ValueError:
        raise RefusedError("10", "encrypted field") from None
