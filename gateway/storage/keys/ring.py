"""The key ring: seals cards' own keys and the catalogue's secrets (AES-256-GCM). Its keys change by rotation.

A ring holds numbered 32-byte keys. One of them, the primary, encrypts; all of them decrypt. So a new key is first made
known to every process, and only then made the primary. Every blob begins with the number of its key, in two bytes.

KeyRingError       a ring or a key that cannot be used
DecryptionError    a blob that does not open here
└ UnknownKeyError  because its key is not in this process's ring
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = [
    "KEY_BYTES",
    "SEPARATOR",
    "VERSION_BYTES",
    "DecryptionError",
    "KeyRing",
    "KeyRingError",
    "UnknownKeyError",
    "derived",
    "opened",
    "sealed",
    "secret_of",
    "version_of",
]

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION_BYTES = 2
SEPARATOR = "\x1f"
MAX_NUMBER = 2**15 - 1


class KeyRingError(ValueError):
    """Keys that cannot be used. The message names the setting and the cure, and never holds key material."""


class DecryptionError(Exception):
    """A blob that does not open in this context: its key is missing, or somebody altered the row."""


class UnknownKeyError(DecryptionError):
    """The key of this number is not in the ring. Other processes may have it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"key {number} is not in the ring")
        self.number = number


@dataclass(frozen=True, slots=True)
class _Keys:
    aead: AESGCM = field(repr=False)
    request: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRing:
    """Numbered keys; see the module."""

    keys: Mapping[int, _Keys] = field(repr=False)
    primary: int

    @classmethod
    def parse(cls, text: str, primary: int | None = None) -> "KeyRing":
        """Read `1:BASE64,2:BASE64`. `primary` encrypts, or else the lowest number: adding a key changes nothing.

        Raises KeyRingError saying what is wrong and what to do.
        """
        keys: dict[int, _Keys] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            number, _, encoded = part.partition(":")
            if not number.isdecimal() or not 0 < int(number) <= MAX_NUMBER:
                raise KeyRingError(f"SLUICE_CARD_KEYS: each key is NUMBER:BASE64, with a number from 1 to {MAX_NUMBER}")
            if int(number) in keys:
                raise KeyRingError(f"SLUICE_CARD_KEYS: key {number} is given twice")
            keys[int(number)] = _derive(secret_of(encoded, f"SLUICE_CARD_KEYS: key {number}"))
        if not keys:
            raise KeyRingError("SLUICE_CARD_KEYS: give at least one key, such as 1:$(head -c 32 /dev/urandom | base64)")
        if primary is not None and primary not in keys:
            known = ", ".join(map(str, sorted(keys)))
            raise KeyRingError(
                f"SLUICE_CARD_PRIMARY: key {primary} is not in the ring, which has {known}: name one of these, or add "
                f"{primary}:BASE64 to SLUICE_CARD_KEYS of every process first"
            )
        return cls(keys, min(keys) if primary is None else primary)

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt under the primary for this context (such as a row's key): the blob opens nowhere else."""
        return self.primary.to_bytes(VERSION_BYTES, "big") + sealed(self.keys[self.primary].aead, plain, context)

    def decrypt(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `encrypt` made for this context. Raises DecryptionError."""
        number = version_of(blob)
        keys = self.keys.get(number)
        if keys is None:
            raise UnknownKeyError(number)
        return opened(keys.aead, blob, context, f"key {number}")

    def request_hash(self, body: bytes, number: int) -> bytes | None:
        """The first version's keyed hash of a request's canonical body; None when that key has left the ring."""
        keys = self.keys.get(number)
        return hmac.digest(keys.request, body, hashlib.sha256) if keys else None


def version_of(blob: bytes) -> int:
    """The number of the key that a blob was made with; 0 is the card's own."""
    return int.from_bytes(blob[:VERSION_BYTES], "big")


def sealed(aead: AESGCM, plain: bytes, context: bytes) -> bytes:
    """Nonce and ciphertext. A nonce is random, and used once."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + aead.encrypt(nonce, plain, context)


def opened(aead: AESGCM, blob: bytes, context: bytes, name: str) -> bytes:
    """The plain text of a blob with its version. Raises DecryptionError, which says `name` of the key."""
    nonce, ciphertext = blob[VERSION_BYTES : VERSION_BYTES + NONCE_BYTES], blob[VERSION_BYTES + NONCE_BYTES :]
    try:
        return aead.decrypt(nonce, ciphertext, context)
    except (InvalidTag, ValueError):  # ValueError: cut so short that not even the nonce is whole
        raise DecryptionError(f"a blob of {name} does not belong here or was altered") from None


def secret_of(encoded: str, what: str) -> bytes:
    """The 32 bytes of a key in base64. Raises KeyRingError, which says `what` cannot be read."""
    try:
        secret = base64.b64decode(encoded, validate=True)
    except ValueError:  # not base64, or not ASCII
        raise KeyRingError(f"{what} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise KeyRingError(f"{what} has {len(secret)} bytes, not {KEY_BYTES}")
    return secret


def derived(secret: bytes, use: bytes) -> bytes:
    """A key for one use of a secret (HKDF)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, None, b"sluice " + use).derive(secret)


def _derive(secret: bytes) -> _Keys:
    return _Keys(AESGCM(derived(secret, b"encryption")), derived(secret, b"request"))
