"""The key ring: card data and secrets at rest (AES-256-GCM), card fingerprints and request hashes (HMAC-SHA256).

A ring holds numbered 32-byte keys. The highest number encrypts; all of them decrypt, so that keys can be changed
without a stop. From each key, HKDF derives one key per use. Every blob names the version it was made with.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.domain.cards import CardElements

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION_BYTES = 2
SEPARATOR = "\x1f"


class KeyRingError(ValueError):
    """A key ring that cannot be used. The message never holds key material."""


class DecryptionError(Exception):
    """A blob that no key of the ring opens in this context: a lost key, or somebody altered the row."""


@dataclass(frozen=True, slots=True)
class _Keys:
    aead: AESGCM = field(repr=False)
    fingerprint: bytes = field(repr=False)
    request: bytes = field(repr=False)


@dataclass(frozen=True)
class KeyRing:
    """Numbered keys; see the module."""

    keys: dict[int, _Keys] = field(repr=False)
    current: int

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `1:BASE64,2:BASE64`. Raises KeyRingError saying what is wrong and how to make a key."""
        keys: dict[int, _Keys] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            number, _, encoded = part.partition(":")
            if not number.isdecimal() or not 0 < int(number) < 2**15:
                raise KeyRingError("SLUICE_CARD_KEYS: each key is NUMBER:BASE64, with a number from 1 to 32767")
            try:
                secret = base64.b64decode(encoded, validate=True)
            except ValueError:  # not base64, or not ASCII
                raise KeyRingError(f"SLUICE_CARD_KEYS: key {number} is not base64") from None
            if len(secret) != KEY_BYTES:
                raise KeyRingError(f"SLUICE_CARD_KEYS: key {number} has {len(secret)} bytes, not {KEY_BYTES}")
            if int(number) in keys:
                raise KeyRingError(f"SLUICE_CARD_KEYS: key {number} is given twice")
            keys[int(number)] = _derive(secret)
        if not keys:
            raise KeyRingError("SLUICE_CARD_KEYS: give at least one key, such as 1:$(head -c 32 /dev/urandom | base64)")
        return cls(keys, max(keys))

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt for this context (such as a row's key): the blob opens nowhere else."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self.keys[self.current].aead.encrypt(nonce, plain, context)
        return self.current.to_bytes(VERSION_BYTES, "big") + nonce + sealed

    def decrypt(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `encrypt` made for this context. Raises DecryptionError."""
        version = int.from_bytes(blob[:VERSION_BYTES], "big")
        keys = self.keys.get(version)
        if keys is None:
            raise DecryptionError(f"key {version} is not in the ring")
        nonce, sealed = blob[VERSION_BYTES : VERSION_BYTES + NONCE_BYTES], blob[VERSION_BYTES + NONCE_BYTES :]
        try:
            return keys.aead.decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError):  # ValueError: cut so short that not even the nonce is whole
            raise DecryptionError(f"a blob of key {version} does not belong here or was altered") from None

    def fingerprints(self, card: CardElements) -> list[bytes]:
        """The card's keyed fingerprint under every live key, the current one first."""
        text = SEPARATOR.join((card.card_no, card.holder_name, card.id_no, card.phone)).encode()
        newest_first = sorted(self.keys, reverse=True)
        return [hmac.digest(self.keys[version].fingerprint, text, hashlib.sha256) for version in newest_first]

    def request_hash(self, body: bytes, version: int) -> bytes | None:
        """The keyed hash of a request's canonical body; None when that key has left the ring."""
        keys = self.keys.get(version)
        return hmac.digest(keys.request, body, hashlib.sha256) if keys else None


def _derive(secret: bytes) -> _Keys:
    def key(use: bytes) -> bytes:
        return HKDF(hashes.SHA256(), KEY_BYTES, None, b"sluice " + use).derive(secret)

    return _Keys(AESGCM(key(b"encryption")), key(b"fingerprint"), key(b"request"))


def seal_card(ring: KeyRing, card: CardElements, card_context: bytes) -> bytes:
    """The four elements as one blob."""
    text = SEPARATOR.join((card.card_no, card.holder_name, card.id_no, card.phone))
    return ring.encrypt(text.encode(), card_context)


def open_card(ring: KeyRing, blob: bytes, card_context: bytes) -> CardElements:
    """The four elements of a blob of `seal_card`."""
    card_no, holder_name, id_no, phone = ring.decrypt(blob, card_context).decode().split(SEPARATOR)
    return CardElements(card_no, holder_name, id_no, phone)
