"""What people hold in hand of a payment: ids of ours, and numbers of the app, of ours at the PSP, and of the PSP."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from gateway.domain.ids import ANOMALY, AUTHENTICATION, CARD, CHECKOUT, EVENT, PAYMENT, REFUND, IdError, read

__all__ = ["MAX_NUMBER", "PREFIXES", "read_reference"]

MAX_NUMBER: Final = 128
"""Characters of a number; PSPs' own are shorter."""
PREFIXES: Final[Mapping[str, str]] = {
    PAYMENT: "a payment",
    REFUND: "a refund",
    AUTHENTICATION: "an authentication",
    CHECKOUT: "a checkout",
    EVENT: "an event",
    ANOMALY: "an anomaly",
    CARD: "a card",
}
"""Ids that name a payment, or lead to some."""


def read_reference(text: str) -> tuple[str, UUID]:
    """The prefix and the id. Raises IdError."""
    prefix = text.partition("_")[0]
    if prefix not in PREFIXES:
        raise IdError(f"not an id of {', '.join(f'{each}_…' for each in PREFIXES)}")
    return prefix, read(prefix, text)
