"""Prices that begin on a day: what a channel charges from when on. Pure.

A rule has its `fee`, and may have later ones beside it, each from the beginning of a business day on. What a payment
costs is decided when it is made and stays with it, so a new price changes nothing that is past.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

from router.fees import Fee, fee_to_json, parse_fee

__all__ = [
    "MAX_PRICES",
    "Price",
    "PriceError",
    "amounts_from_json",
    "amounts_to_json",
    "fees_from_json",
    "fees_to_json",
    "in_force",
    "in_order",
]

MAX_PRICES: Final = 100
"""Of one rule, beside its `fee`."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class PriceError(ValueError):
    """Prices that cannot stand together; the message says why."""


@dataclass(frozen=True, slots=True)
class Price(Generic[T_co]):
    """What is charged from the beginning of a day in the business zone: a rule's fee, or an amount in fen."""

    effective_from: date
    fee: T_co


def in_force(first: T, later: Sequence[Price[T]], day: date) -> T:
    """The price of a business day: the last one of `later` that has begun, else `first`. They stand by day."""
    return next((price.fee for price in reversed(later) if price.effective_from <= day), first)


def in_order(prices: Iterable[Price[T]]) -> tuple[Price[T], ...]:
    """By day, since the order in which they were said means nothing. Raises PriceError: two begin on the same day."""
    given = list(prices)
    if len(given) > MAX_PRICES:
        raise PriceError(f"has more than {MAX_PRICES} prices")
    by_day = sorted(given, key=lambda price: price.effective_from)
    for before, price in pairwise(by_day):
        if before.effective_from == price.effective_from:
            raise PriceError(f"has two prices from {price.effective_from} on")
    return tuple(by_day)


def fees_to_json(prices: Iterable[Price[Fee]]) -> list[dict[str, Any]]:
    """Later fees of a rule as files, tables and the API say them."""
    return _to_json(prices, fee_to_json)


def fees_from_json(told: Iterable[Mapping[str, Any]] | None) -> tuple[Price[Fee], ...]:
    """Read what `fees_to_json` wrote; None: there are none. Raises PriceError or FeeError."""
    return _from_json(told, parse_fee)


def amounts_to_json(prices: Iterable[Price[int]]) -> list[dict[str, Any]]:
    """Later amounts in fen, as files, tables and the API say them."""
    return _to_json(prices, int)


def amounts_from_json(told: Iterable[Mapping[str, Any]] | None) -> tuple[Price[int], ...]:
    """Read what `amounts_to_json` wrote; None: there are none. Raises PriceError."""
    return _from_json(told, int)


def _to_json(prices: Iterable[Price[T]], shown: Callable[[T], object]) -> list[dict[str, Any]]:
    return [{"effective_from": price.effective_from.isoformat(), "fee": shown(price.fee)} for price in prices]


def _from_json(told: Iterable[Mapping[str, Any]] | None, read: Callable[[Any], T]) -> tuple[Price[T], ...]:
    return in_order(Price(date.fromisoformat(one["effective_from"]), read(one["fee"])) for one in told or ())
