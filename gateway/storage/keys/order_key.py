"""The order key: keyed hashes that must stay comparable for ever, so this key never changes.

By them an order number that comes again is compared with its first request, and a card is found again. They do not
depend on the card ring, so a rotation changes neither.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType, compared_id
from gateway.domain.one_form import as_compared
from gateway.storage.keys.ring import SEPARATOR, derived, secret_of

__all__ = ["MAKE_ORDER_KEY", "ORDER_KEY_VERSION", "OrderKey", "Prints"]

ORDER_KEY_VERSION = 0
"""What `payments.hash_version` says of this key; from 1 on they are the card keys of the first version."""
TAG_BYTES = 13
MAKE_ORDER_KEY = "head -c 32 /dev/urandom | base64"


class Prints(NamedTuple):
    """Keyed prints of a card in one form: of its four elements together, and of three of them alone.

    They belong to one merchant: the same card of two merchants has two prints.
    """

    card: bytes
    number: bytes
    phone: bytes
    id_no: bytes


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One secret, from which one key for each use is derived."""

    # Copied for each hash: a fifth of the time that one from its key takes.
    request: HMAC = field(repr=False)
    prints_key: HMAC = field(repr=False)
    pages_key: HMAC = field(repr=False)
    checkouts_key: AESSIV = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "OrderKey":
        """Read the base64 of 32 bytes. Raises KeyRingError saying what is wrong and how to make one."""
        secret = secret_of(text.strip(), f"SLUICE_ORDER_KEY: the key (make one once with: {MAKE_ORDER_KEY})")
        of_checkouts = derived(secret, b"checkout tokens") + derived(secret, b"checkout tokens, whether true")
        return cls(
            request=HMAC(derived(secret, b"order requests"), SHA256()),
            prints_key=HMAC(derived(secret, b"order prints"), SHA256()),
            pages_key=HMAC(derived(secret, b"payer pages"), SHA256()),
            checkouts_key=AESSIV(of_checkouts),
        )

    def request_hash(self, body: bytes) -> bytes:
        """The keyed hash of a request's canonical body."""
        return _hashed(self.request, body)

    def print_of_card(self, merchant_id: UUID, card: CardElements) -> bytes:
        """The print of the four elements, which are in one form."""
        card = as_compared(card)
        text = SEPARATOR.join((card.card_no, card.holder_name, card.id_no, card.phone, *_other_paper(card.id_type)))
        return self._print(b"card", merchant_id, text)

    def print_of_number(self, merchant_id: UUID, card_no: str) -> bytes:
        """The print of a card number alone, in one form: the same for whoever uses it and with whatever phone."""
        return self._print(b"number", merchant_id, card_no)

    def print_of_phone(self, merchant_id: UUID, phone: str) -> bytes:
        """The print of a phone in one form."""
        return self._print(b"phone", merchant_id, phone)

    def print_of_id(self, merchant_id: UUID, id_type: IdType, id_no: str) -> bytes:
        """The print of an ID number in one form: the same for its 15 and its 18 digits."""
        return self._print(b"id_no", merchant_id, SEPARATOR.join((compared_id(id_type, id_no), *_other_paper(id_type))))

    def print_of_user(self, merchant_id: UUID, user_id: str) -> bytes:
        """The print of a user as the apps name them."""
        return self._print(b"user", merchant_id, user_id)

    def page_token(self, merchant_id: UUID, payment_id: UUID) -> str:
        """What stands in the addresses of a payment's own pages: it names the payment, and nobody else can make it."""
        named = merchant_id.bytes + payment_id.bytes
        return urlsafe_b64encode(named + _hashed(self.pages_key, named)[:TAG_BYTES]).decode().rstrip("=")

    def payment_of_page(self, token: str) -> tuple[UUID, UUID] | None:
        """Merchant and payment of a page's token; None: it is not one of ours."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        named, tag = raw[:32], raw[32:]
        if len(raw) != 32 + TAG_BYTES or not compare_digest(_hashed(self.pages_key, named)[:TAG_BYTES], tag):
            return None
        return UUID(bytes=named[:16]), UUID(bytes=named[16:])

    def checkout_token(self, merchant_id: UUID, checkout_id: UUID) -> str:
        """What stands in the address of a checkout: 64 letters that say nothing, and that nobody else can make."""
        sealed = self.checkouts_key.encrypt(merchant_id.bytes + checkout_id.bytes, None)
        return urlsafe_b64encode(sealed).decode()

    def checkout_of_token(self, token: str) -> tuple[UUID, UUID] | None:
        """Merchant and checkout of a token, or None: it is none of ours."""
        if len(token) != 64:
            return None
        try:
            raw = self.checkouts_key.decrypt(urlsafe_b64decode(token), None)
        except (InvalidTag, ValueError):
            return None
        return UUID(bytes=raw[:16]), UUID(bytes=raw[16:])

    def form_token(self, merchant_id: UUID, checkout_id: UUID) -> str:
        """What each form on the pages of a checkout carries, so that no other site can send one."""
        named = b"form:" + merchant_id.bytes + checkout_id.bytes
        return urlsafe_b64encode(_hashed(self.pages_key, named)[:18]).decode()

    def prints(self, merchant_id: UUID, card: CardElements) -> Prints:
        """All prints of a card whose elements are in one form."""
        return Prints(
            self.print_of_card(merchant_id, card),
            self.print_of_number(merchant_id, card.card_no),
            self.print_of_phone(merchant_id, card.phone),
            self.print_of_id(merchant_id, card.id_type, card.id_no),
        )

    def _print(self, what: bytes, merchant_id: UUID, text: str) -> bytes:
        return _hashed(self.prints_key, b"%s:%s:%s" % (what, merchant_id.bytes, text.encode()))


def _other_paper(id_type: IdType) -> tuple[str, ...]:
    # Of ID cards the prints are those of the time when there was nothing else.
    return () if id_type is IdType.ID_CARD else (id_type,)


def _hashed(key: HMAC, text: bytes) -> bytes:
    hashing = key.copy()
    hashing.update(text)
    return hashing.finalize()
