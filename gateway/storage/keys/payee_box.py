"""A payout's secrets: whom it goes to, and what its PSP gave to go on with, under a key of the payout's own.

That key (32 random bytes) stands in the payout's row, wrapped by the ring's primary, as a card's does in the card's.
"""

import os
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.payees import Payee, PayeeType
from gateway.storage.keys.boxes import OWN_KEY
from gateway.storage.keys.ring import KEY_BYTES, VERSION_BYTES, KeyRing, opened, sealed

__all__ = ["PayeeBox"]

_NAME = "the payout's own key"


class PayeeBox:
    """Seals and opens the secrets of one payout."""

    __slots__ = ("_about", "_aead")

    def __init__(self, merchant_id: UUID, payout_id: UUID, own_key: bytes) -> None:
        self._about = b"%s:%s" % (merchant_id.bytes, payout_id.bytes)
        self._aead = AESGCM(own_key)

    @classmethod
    def new(cls, ring: KeyRing, merchant_id: UUID, payout_id: UUID) -> "tuple[PayeeBox, bytes]":
        """A box with a new key for a payout, and that key wrapped for the payout's row."""
        own_key = os.urandom(KEY_BYTES)
        return cls(merchant_id, payout_id, own_key), ring.encrypt(own_key, _wrap_context(merchant_id, payout_id))

    @classmethod
    def of(cls, ring: KeyRing, merchant_id: UUID, payout_id: UUID, wrapped: bytes) -> "PayeeBox":
        """The box of a payout's row (`payouts.data_key`). Raises DecryptionError."""
        return cls(merchant_id, payout_id, ring.decrypt(wrapped, _wrap_context(merchant_id, payout_id)))

    @staticmethod
    def rewrapped(ring: KeyRing, merchant_id: UUID, payout_id: UUID, wrapped: bytes) -> bytes:
        """The same key of a payout under the ring's primary. Raises DecryptionError."""
        context = _wrap_context(merchant_id, payout_id)
        return ring.encrypt(ring.decrypt(wrapped, context), context)

    def seal(self, payee: Payee) -> bytes:
        """The payee as one blob."""
        said = {name: value for name in _FIELDS if (value := getattr(payee, name)) is not None}
        return self._seal(orjson.dumps(said), b"payee")

    def open(self, blob: bytes) -> Payee:
        """The payee of a blob. Raises DecryptionError."""
        said = orjson.loads(self._open(blob, b"payee"))
        return Payee(**said | {"type": PayeeType(said["type"])})

    def seal_continuation(self, text: str) -> bytes:
        """What an answer gave to go on with."""
        return self._seal(text.encode(), b"continuation")

    def open_continuation(self, blob: bytes) -> str:
        """What was sealed of it. Raises DecryptionError."""
        return self._open(blob, b"continuation").decode()

    def _seal(self, plain: bytes, what: bytes) -> bytes:
        return OWN_KEY.to_bytes(VERSION_BYTES, "big") + sealed(self._aead, plain, b"%s:%s" % (what, self._about))

    def _open(self, blob: bytes, what: bytes) -> bytes:
        return opened(self._aead, blob, b"%s:%s" % (what, self._about), _NAME)


_FIELDS = ("type", "account_no", "name", "bank", "branch", "cnaps", "province", "city")


def _wrap_context(merchant_id: UUID, payout_id: UUID) -> bytes:
    return b"payout-key:%s:%s" % (merchant_id.bytes, payout_id.bytes)
