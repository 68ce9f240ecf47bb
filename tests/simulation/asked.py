"""What business systems ask for, what they are answered, and what was seen of it in the tables."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tests.e2e.business import Shown

__all__ = ["Answered", "Asked", "Opened", "Seen", "address_of"]


def address_of(about: Shown) -> str:
    """Where a payment or an authentication is read."""
    return f"/v1/{about['object']}s/{about['id']}"


@dataclass(frozen=True, slots=True)
class Asked:
    """An order of a business system. Amounts of one play are all different, so they name the order at the PSPs, too."""

    number: str
    kind: str
    amount: int
    user_id: str
    payment: str | None = None
    """Of a refund: the payment's order number."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a business system was told about an order; no status: nothing, the connection was lost."""

    number: str
    status: int | None
    body: Shown
    wish: bool = False
    """What was asked for is done about an order that stands: a code is typed, say."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A form with which a payer's browser opened the page of an order at its PSP."""

    number: str
    at: datetime
    url: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """The status of an object as it stood in the tables at some time."""

    object: str
    id: UUID
    status: str
