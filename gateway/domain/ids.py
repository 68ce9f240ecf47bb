"""Ids as people see them: a TypeID is a prefix and a UUIDv7 (`pay_01h…`); PSPs get 32 hex digits.

And ids that are made from others: of what an observation causes.
"""

from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast
from uuid import UUID, uuid5

from typeid import TypeID

PAYMENT, REFUND, AUTHENTICATION, ROUTE, CHECKOUT, PAYOUT = "pay", "ref", "auth", "rt", "co", "po"
EVENT, CARD, ENDPOINT, ANOMALY, KEY, WINDOW, DIFFERENCE = "evt", "card", "ep", "ano", "key", "mw", "dif"
BLOCK, PROPOSAL, ALERT, CHANNEL, ACCOUNT = "blk", "prop", "alr", "ch", "acc"
"""Prefixes of what has an id; merchants, apps, accounts and channels are named by their codes."""


class ObjectKind(StrEnum):
    """What apps ask for, and events are about."""

    PAYMENT = "payment"
    REFUND = "refund"
    AUTHENTICATION = "authentication"
    ROUTE = "route"  # recorded, for an app that executes elsewhere
    CHECKOUT = "checkout"  # paid on pages of ours
    PAYOUT = "payout"  # money out, to an account
    CHANNEL = "channel"  # has a code and no id of its own: `channel_id`
    ACCOUNT = "account"  # likewise: `account_id`
    ALERT = "alert"  # something that a person should look at


PREFIX_OF: dict[ObjectKind, str] = {
    ObjectKind.PAYMENT: PAYMENT,
    ObjectKind.REFUND: REFUND,
    ObjectKind.AUTHENTICATION: AUTHENTICATION,
    ObjectKind.ROUTE: ROUTE,
    ObjectKind.CHECKOUT: CHECKOUT,
    ObjectKind.PAYOUT: PAYOUT,
    ObjectKind.CHANNEL: CHANNEL,
    ObjectKind.ACCOUNT: ACCOUNT,
    ObjectKind.ALERT: ALERT,
}
KIND_OF: dict[str, ObjectKind] = {prefix: kind for kind, prefix in PREFIX_OF.items()}

SHOWN_REMEMBERED = 8192
"""An id is written several times while its payment is in hand: in the answer, in the event, in the delivery."""


class IdError(ValueError):
    """A text that is not an id of the kind it should be."""


@lru_cache(SHOWN_REMEMBERED)
def show(prefix: str, value: UUID) -> str:
    """Write a UUID as a TypeID."""
    return str(TypeID.from_uuid(cast("Any", value), prefix))  # the library's types know only uuid-utils' own UUID


def read(prefix: str, text: str) -> UUID:
    """Read a TypeID of this kind. Raises IdError."""
    try:
        parsed = TypeID.from_string(text)
    except Exception as error:
        raise IdError(f"not a {prefix}_… id") from error
    if parsed.prefix != prefix:
        raise IdError(f"not a {prefix}_… id")
    return UUID(bytes=parsed.uuid_bytes)


def show_object(kind: ObjectKind, object_id: UUID) -> str:
    """Write the id of an object, whose kind its prefix tells."""
    return show(PREFIX_OF[kind], object_id)


def read_object(text: str) -> tuple[ObjectKind, UUID]:
    """Read the id of an object of any kind. Raises IdError, also for a prefix of no kind."""
    kind = KIND_OF.get(text.partition("_")[0])
    if kind is None:
        raise IdError("not the id of an object")
    return kind, read(PREFIX_OF[kind], text)


def number_of(object_id: UUID) -> str:
    """What an object's order is called at the PSP where its protocol says nothing else: 32 hex digits of its id.

    The text is kept, and found as it is: by account and number. It is read back only by `object_of_number`.
    """
    return object_id.hex


def object_of_number(number: str) -> UUID | None:
    """The object that a number was made from, or None when it cannot be one of ours: for orders never sent."""
    if len(number) != 32:
        return None
    try:
        return UUID(hex=number)
    except ValueError:
        return None


def caused_id(observation_id: UUID, object_id: UUID, what: str) -> UUID:
    """The id of what an observation causes: of the event or the anomaly of an object, by its new state or its kind.

    The same causes make the same id, so whoever records an observation again finds its own rows; one observation may
    cause several things. It is a UUIDv7 with the observation's time; its 74 random bits are the first of
    SHA-256(observation id, object id, what).
    """
    digest = sha256(observation_id.bytes + object_id.bytes + what.encode()).digest()
    drawn = int.from_bytes(digest[:10]) >> 6  # 80 bits, the first 74 of them
    milliseconds, high, low = observation_id.int >> 80, drawn >> 62, drawn & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def channel_id(merchant_id: UUID, code: str) -> UUID:
    """What events of a channel name it by, the same for ever: a UUID of version 5 of its code, in the name space of its
    merchant's id."""
    return uuid5(merchant_id, f"channel:{code}")


def account_id(merchant_id: UUID, code: str) -> UUID:
    """What events of an account name it by, the same for ever: as `channel_id` of a channel."""
    return uuid5(merchant_id, f"account:{code}")
