"""The letter of protocol pay: forms, the text to sign, envelopes and the fields under their keys.

Source: Baofoo's document and demo, as the protocol notes in section 4b tell them (H).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sandbox.keys import Identity

__all__ = ["Message", "RefusedError", "encode_form", "encode_text", "parse", "seal", "sign", "unseal", "verifies"]

MAX_FIELDS: Final = 60
KEY_BYTES: Final = 16
AES_BITS: Final = 128
UNDECIPHERABLE: Final = "BF00118"
FORMAT_WRONG: Final = "BF00121"


class RefusedError(Exception):
    """The request is refused with this biz_resp_code; nothing was done."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A request: its fields that are not empty."""

    fields: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


def parse(body: bytes) -> Message:
    """Read a form. Raises RefusedError for a repeated field or what is no form in UTF-8."""
    try:
        pairs = parse_qsl(body.decode("ascii"), encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RefusedError(FORMAT_WRONG, "form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RefusedError(FORMAT_WRONG, "repeated field")
    return Message(fields)


def _digest(fields: Mapping[str, str]) -> bytes:
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "signature" and fields[name])
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode("ascii")


def sign(fields: Mapping[str, str], key: RSAPrivateKey) -> dict[str, str]:
    """The fields with their signature added."""
    signature = key.sign(_digest(fields), PKCS1v15(), hashes.SHA1())  # noqa: S303  the protocol knows no other
    return {**fields, "signature": signature.hex()}


def verifies(message: Message, key: RSAPublicKey) -> bool:
    """Whether `signature` was made over the other fields by this key."""
    try:
        signature = bytes.fromhex(message["signature"])
        key.verify(signature, _digest(message.fields), PKCS1v15(), hashes.SHA1())  # noqa: S303
    except (InvalidSignature, ValueError):
        return False
    return True


def encode_text(fields: Mapping[str, str]) -> bytes:
    """An answer: `k=v&k=v`, nothing escaped."""
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()


def encode_form(fields: Mapping[str, str]) -> bytes:
    """A notification: an ordinary form."""
    return urlencode(fields).encode("ascii")


def unseal(message: Message, name: str, psp: Identity) -> str:
    """A field under the envelope's key, "" where there is none. Raises RefusedError."""
    if not message[name]:
        return ""
    try:
        envelope = base64.b64decode(psp.key.decrypt(bytes.fromhex(message["dgtl_envlp"]), PKCS1v15()), validate=True)
        kind, _, key = envelope.partition(b"|")
        if kind != b"01" or len(key) != KEY_BYTES:
            raise RefusedError(UNDECIPHERABLE, "dgtl_envlp")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key)).decryptor()
        unpadder = padding.PKCS7(AES_BITS).unpadder()
        padded = decryptor.update(bytes.fromhex(message[name])) + decryptor.finalize()
        return base64.b64decode(unpadder.update(padded) + unpadder.finalize(), validate=True).decode()
    except ValueError:
        raise RefusedError(UNDECIPHERABLE, name) from None


def seal(fields: Mapping[str, str], merchant: RSAPublicKey) -> dict[str, str]:
    """The fields under a new key, and that key for the merchant alone; nothing where there are none."""
    if not fields:
        return {}
    key = secrets.token_hex(KEY_BYTES // 2).encode()
    sealed = {"dgtl_envlp": merchant.encrypt(base64.b64encode(b"01|" + key), PKCS1v15()).hex()}
    for name, text in fields.items():
        padder = padding.PKCS7(AES_BITS).padder()
        padded = padder.update(base64.b64encode(text.encode())) + padder.finalize()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key)).encryptor()
        sealed[name] = (encryptor.update(padded) + encryptor.finalize()).hex()
    return sealed
