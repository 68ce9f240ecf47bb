"""Signing as the merchant, believing only what Baofoo signed, and the envelope of encrypted fields (document, H)."""

import base64
import re
import secrets
import string
from collections.abc import Iterable
from hashlib import sha1
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from adapters.account import private_key, public_key
from adapters.baofoo.letter import Fields, UnbelievableError, signed_text
from adapters.signing import SHA1, rsa_sign, rsa_verify
from gateway.ports import AccountSettings

__all__ = ["ENCRYPTED", "Seal"]

ENCRYPTED: Final = ("unique_code", "protocol_no", "protocols")
"""Fields of answers that lie under the envelope's key."""

KEY_CHARS: Final = 16
KEY_ALPHABET: Final = string.ascii_letters + string.digits
ENVELOPE: Final = re.compile(rb"01\|([!-~]{16})\s*")  # 01 is AES
# Public code pads by PKCS7, by nothing where the length fits, and strips nothing when it reads: what is padded is
# base64, so that whatever follows it is padding.
PADDED: Final = re.compile(rb"([A-Za-z0-9+/=]*)[\x00-\x10]*")


class Seal:
    """The keys of one account; the certificate is pinned. Raises AccountError."""

    def __init__(self, account: AccountSettings) -> None:
        self._key = private_key(account, "merchant_private_key")
        self._psp_key = public_key(account, "psp_certificate")

    def signed(self, fields: Fields) -> dict[str, str]:
        """The fields with their signature: SHA1withRSA over the hex of their SHA-1, in hex (H)."""
        return {**fields, "signature": rsa_sign(self._key, _digest(fields), SHA1).hex()}

    def enveloped(self, fields: Fields) -> dict[str, str]:
        """The fields, each encrypted with a fresh key, and that key for Baofoo alone."""
        key = "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_CHARS)).encode()
        envelope = self._psp_key.encrypt(base64.b64encode(b"01|" + key), padding.PKCS1v15())
        return {"dgtl_envlp": envelope.hex(), **{name: _encrypted(key, value) for name, value in fields.items()}}

    def believed(self, readings: Iterable[Fields]) -> Fields:
        """The first reading that Baofoo signed, its encrypted fields opened. Raises UnbelievableError.

        A field that cannot be opened is left out: the rest is true all the same.
        """
        for fields in readings:
            if self._is_true(fields):
                return self._opened(fields)
        raise UnbelievableError("the signature is wrong")

    def _is_true(self, fields: Fields) -> bool:
        try:
            signature = bytes.fromhex(fields.get("signature", ""))
        except ValueError:
            return False
        return rsa_verify(self._psp_key, signature, _digest(fields), SHA1)

    def _opened(self, fields: Fields) -> Fields:
        closed = {name: fields[name] for name in ENCRYPTED if name in fields}
        if not closed:
            return fields
        opened = {name: value for name, value in fields.items() if name not in closed}
        try:
            inside = self._key.decrypt(bytes.fromhex(fields.get("dgtl_envlp", "")), padding.PKCS1v15())
            envelope = ENVELOPE.fullmatch(base64.b64decode(inside, validate=True))
            if envelope is None:
                return opened
            return opened | {name: _decrypted(envelope.group(1), value) for name, value in closed.items()}
        except ValueError:
            return opened


def _digest(fields: Fields) -> bytes:
    return sha1(signed_text(fields).encode(), usedforsecurity=False).hexdigest().encode()


def _encrypted(key: bytes, text: str) -> str:
    """AES-128-CBC of base64, the key being its IV too, in hex (H)."""
    padder = PKCS7(AES.block_size).padder()
    padded = padder.update(base64.b64encode(text.encode())) + padder.finalize()
    cipher = Cipher(AES(key), CBC(key)).encryptor()
    return (cipher.update(padded) + cipher.finalize()).hex()


def _decrypted(key: bytes, hexadecimal: str) -> str:
    """The reverse. Raises ValueError."""
    cipher = Cipher(AES(key), CBC(key)).decryptor()
    padded = PADDED.fullmatch(cipher.update(bytes.fromhex(hexadecimal)) + cipher.finalize())
    if padded is None:
        raise ValueError("not what the key encrypts")
    return base64.b64decode(padded.group(1), validate=True).decode()
