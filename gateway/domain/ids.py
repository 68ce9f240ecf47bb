"""Ids as people see them: a TypeID is a prefix and a UUIDv7 (`pay_01h…`); PSPs get 32 hex digits."""

from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from typeid import TypeID

PAYMENT, EVENT, CARD, ENDPOINT, ANOMALY, KEY, WINDOW = "pay", "evt", "card", "ep", "ano", "key", "mw"
"""Prefixes of what has an id; merchants, apps, accounts and channels are named by their codes."""


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


def channel_order_no(attempt_id: UUID) -> str:
    """The number an attempt has at the PSP: 32 hex digits, which every PSP's rule allows."""
    return attempt_id.hex


def attempt_id_of(number: str) -> UUID | None:
    """The attempt of a number that a PSP names, or None when it cannot be one of ours."""
    if len(number) != 32:
        return None
    try:
        return UUID(hex=number)
    except ValueError:
        return None
