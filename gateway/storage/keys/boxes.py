"""A card's secrets: its elements and agreement numbers, under a key of the card's own.

That key (32 random bytes) stands in the card's row, wrapped by the ring's primary. A rotation wraps it anew and touches
nothing else; dropping it erases the person. A blob begins with two bytes: 0 means the card's own key; from 1 on it is
the number of a ring key, which sealed the blob itself, as the first version did. Both are read until a card is
rewrapped.
"""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType
from gateway.storage.keys.order_key import ORDER_KEY_VERSION, OrderKey
from gateway.storage.keys.ring import (
    KEY_BYTES,
    SEPARATOR,
    VERSION_BYTES,
    DecryptionError,
    KeyRing,
    opened,
    sealed,
    version_of,
)

__all__ = ["OWN_KEY", "CardBox", "Keys", "agreement_context"]

OWN_KEY = 0
"""In a blob, and as `agreements.key_version`: under the card's own key."""


def agreement_context(merchant_id: UUID, card_id: UUID, account: str) -> bytes:
    """What an encrypted agreement number is bound to."""
    return b"agreement:%s:%s:%s" % (merchant_id.bytes, card_id.bytes, account.encode())


class CardBox:
    """Seals and opens the secrets of one card. Without a key of its own (a first version's card) the ring does it."""

    __slots__ = ("_aead", "_card_id", "_merchant_id", "_own_key", "_ring")

    def __init__(self, ring: KeyRing, merchant_id: UUID, card_id: UUID, own_key: bytes | None) -> None:
        self._ring, self._merchant_id, self._card_id = ring, merchant_id, card_id
        self._own_key = own_key
        self._aead: AESGCM | None = None

    @property
    def version(self) -> int:
        """The key of what this box seals, as `agreements.key_version` tells it."""
        return OWN_KEY if self._own_key is not None else self._ring.primary

    def seal_elements(self, card: CardElements) -> bytes:
        """The four elements as one blob, and the kind of paper where it is no ID card."""
        paper = () if card.id_type is IdType.ID_CARD else (card.id_type,)
        text = SEPARATOR.join((card.card_no, card.holder_name, card.id_no, card.phone, *paper))
        return self._seal(text.encode(), self._elements_context())

    def open_elements(self, blob: bytes) -> CardElements:
        """The four elements of a blob. Raises DecryptionError."""
        # The first version bound them to the card's id alone.
        context = self._elements_context() if version_of(blob) == OWN_KEY else self._card_id.bytes
        card_no, holder_name, id_no, phone, *paper = self._open(blob, context).decode().split(SEPARATOR)
        return CardElements(card_no, holder_name, id_no, phone, *map(IdType, paper))

    def seal_agreement(self, account: str, agreement_no: str) -> bytes:
        """The number of the card's agreement with an account."""
        return self._seal(agreement_no.encode(), agreement_context(self._merchant_id, self._card_id, account))

    def open_agreement(self, account: str, blob: bytes) -> str:
        """An agreement's number. Raises DecryptionError."""
        return self._open(blob, agreement_context(self._merchant_id, self._card_id, account)).decode()

    def seal_continuation(self, object_id: UUID, text: str) -> bytes:
        """What an answer gave to go on with: bound to the object that goes on."""
        return self._seal(text.encode(), self._continuation_context(object_id))

    def open_continuation(self, object_id: UUID, blob: bytes) -> str:
        """What was sealed of an object. Raises DecryptionError."""
        return self._open(blob, self._continuation_context(object_id)).decode()

    def _continuation_context(self, object_id: UUID) -> bytes:
        return b"continuation:%s:%s:%s" % (self._merchant_id.bytes, self._card_id.bytes, object_id.bytes)

    def _elements_context(self) -> bytes:
        if self._own_key is None:
            return self._card_id.bytes
        return b"card:%s:%s" % (self._merchant_id.bytes, self._card_id.bytes)

    def _seal(self, plain: bytes, context: bytes) -> bytes:
        if self._own_key is None:
            return self._ring.encrypt(plain, context)
        return OWN_KEY.to_bytes(VERSION_BYTES, "big") + sealed(self._cipher(self._own_key), plain, context)

    def _open(self, blob: bytes, context: bytes) -> bytes:
        if version_of(blob) != OWN_KEY:
            return self._ring.decrypt(blob, context)
        if self._own_key is None:
            raise DecryptionError("the card's own key is gone")
        return opened(self._cipher(self._own_key), blob, context, "the card's own key")

    def _cipher(self, own_key: bytes) -> AESGCM:
        if self._aead is None:  # most orders of a known card open its key, and nothing with it
            self._aead = AESGCM(own_key)
        return self._aead


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a gateway."""

    ring: KeyRing
    order: OrderKey

    @classmethod
    def parse(cls, card_keys: str, primary: int | None, order_key: str) -> "Keys":
        """Read the three settings. Raises KeyRingError, which names the one that is wrong."""
        return cls(KeyRing.parse(card_keys, primary), OrderKey.parse(order_key))

    def request_hash(self, body: bytes, version: int) -> bytes | None:
        """The hash of a canonical body by the key of this number; None when that one has left the ring."""
        return self.order.request_hash(body) if version == ORDER_KEY_VERSION else self.ring.request_hash(body, version)

    def new_box(self, merchant_id: UUID, card_id: UUID) -> tuple[CardBox, bytes]:
        """A box with a new key for a card, and that key wrapped for the card's row."""
        own_key = os.urandom(KEY_BYTES)
        return CardBox(self.ring, merchant_id, card_id, own_key), self._wrap(merchant_id, card_id, own_key)

    def box(self, merchant_id: UUID, card_id: UUID, wrapped: bytes | None) -> CardBox:
        """The box of a card's row (`cards.data_key`). Raises DecryptionError."""
        own_key = None if wrapped is None else self.ring.decrypt(wrapped, _wrap_context(merchant_id, card_id))
        return CardBox(self.ring, merchant_id, card_id, own_key)

    def rewrapped(self, merchant_id: UUID, card_id: UUID, wrapped: bytes) -> bytes:
        """The same key of a card under the ring's primary. Raises DecryptionError."""
        return self._wrap(merchant_id, card_id, self.ring.decrypt(wrapped, _wrap_context(merchant_id, card_id)))

    def _wrap(self, merchant_id: UUID, card_id: UUID, own_key: bytes) -> bytes:
        return self.ring.encrypt(own_key, _wrap_context(merchant_id, card_id))


def _wrap_context(merchant_id: UUID, card_id: UUID) -> bytes:
    return b"card-key:%s:%s" % (merchant_id.bytes, card_id.bytes)
