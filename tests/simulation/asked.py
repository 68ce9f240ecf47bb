"""What business systems ask for, what they are answered, and what was seen of it in the tables."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from tests.e2e.business import Shown

__all__ = ["Answered", "Asked", "Opened", "Said", "Seen", "Standing", "address_of", "opened"]

_IN_BASE64: Final = re.compile(r"(?:message=|^)(PD94[\w+/%]+)")
"""How CPCN's messages are sent: XML (`<?x…`) in Base64, in a form, or at the beginning of an answer."""


def address_of(about: Shown) -> str:
    """Where a payment, an authentication, a payout or a recorded route is read."""
    return f"/v1/{about['object']}s/{about['id']}"


def opened(said: str) -> str:
    """What is said to a PSP, or by it, with what stands in it in Base64."""
    found = _IN_BASE64.search(said)
    return said if found is None else said + base64.b64decode(unquote(found[1]) + "==").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Asked:
    """An order of a business system. Amounts of one play are all different, so they name the order at the PSPs, too."""

    number: str
    kind: str
    amount: int
    user_id: str
    payment: str | None = None
    """Of a refund: the payment's order number."""
    by_operator: bool = False
    """Whether an operator asked for it, whose call is answered with something else; it may not be, either."""


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

    def is_about(self, number: str) -> bool:
        """Whether it is the form of the order of this number at its PSP."""
        return any(number in opened(value) for _, value in self.fields)


@dataclass(frozen=True, slots=True)
class Seen:
    """The status of an object as it stood in the tables at some time."""

    object: str
    id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class Said:
    """What an app said first, at that time, of a recorded route: how it ended."""

    number: str
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """All that counts for a limit, and what is counted, as they stood together at some time."""

    at: datetime
    payments: list[dict[str, Any]]
    routes: list[dict[str, Any]]
    late: set[UUID]
    """What failed, and moved money after all."""
    usage: list[dict[str, Any]]
