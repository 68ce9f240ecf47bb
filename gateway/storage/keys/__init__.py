"""Keys: the card ring (changes by rotation), the order key (never changes), and what lies under them.

`ring` seals what must be read again, `order_key` makes the hashes and prints that must stay comparable for ever,
`boxes` keeps one card's secrets under a key of the card's own, `payee_box` one payout's. Nothing here
reads or writes a row.
"""

from gateway.storage.keys.boxes import CardBox, Keys
from gateway.storage.keys.order_key import ORDER_KEY_VERSION, OrderKey, Prints
from gateway.storage.keys.payee_box import PayeeBox
from gateway.storage.keys.ring import DecryptionError, KeyRing, KeyRingError, UnknownKeyError
from gateway.storage.keys.standing_back import stand_back

__all__ = [
    "ORDER_KEY_VERSION",
    "CardBox",
    "DecryptionError",
    "KeyRing",
    "KeyRingError",
    "Keys",
    "OrderKey",
    "PayeeBox",
    "Prints",
    "UnknownKeyError",
    "stand_back",
]
