"""Differences that a test asks for: where a statement tells something else than the books, and what it is found to be.

long        a row of an order that nobody asked for, or that failed
short       an order's row is left out
not_paid    its row says that it was not done
duplicate   its row stands twice
amount      its row has `by` fen more, or fewer
fee         the same of its fee
late        its row stands in the next day's statement; early: in that of the day before

A row has one difference at most, so that its class is certain. They live in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, get_args

from sandbox.books import Order

__all__ = ["CLASS_OF", "DIFFERENCES", "Difference", "DifferenceRefusedError", "Differences", "Name", "Of"]

Name = Literal["long", "short", "not_paid", "duplicate", "amount", "fee", "late", "early"]
Of = Literal["success", "return"]
"""Which row of an order: that of its success, or that of its coming back."""
DIFFERENCES: Final[tuple[Name, ...]] = get_args(Name)
MAX_DIFFERENCES: Final = 100_000
CLASS_OF: Final[Mapping[Name, str]] = {
    "long": "long",
    "short": "short",
    "not_paid": "status_mismatch",
    "duplicate": "duplicate",
    "amount": "amount_mismatch",
    "fee": "fee_mismatch",
    "late": "suspense",
    "early": "suspense",
}
"""What reconciliation calls it in the end. `suspense` is so near the day cut alone: elsewhere such a row is missing on
one day (`short`) and one too many on the other."""
SHIFT: Final[Mapping[Name, timedelta]] = {"late": timedelta(days=1), "early": timedelta(days=-1)}


class DifferenceRefusedError(ValueError):
    """The difference that was asked for cannot be planted; the message says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One that was planted."""

    name: Name
    order_no: str
    of: Of = "success"
    by: int = 0
    """Fen, of `amount` and `fee`."""
    order: Order | None = None
    """Of `long` where the books have none: what is made up."""

    @property
    def shift(self) -> timedelta:
        """How much later than the order its row stands."""
        return SHIFT.get(self.name, timedelta(0))

    def shown(self, day: date | None) -> dict[str, Any]:
        """As the control API shows it. `day`: the one that the order belongs to; None: it has no row so far."""
        shown: dict[str, Any] = {
            "difference": self.name,
            "order_no": self.order_no,
            "of": self.of,
            "class": CLASS_OF[self.name],
            "day": day,
            "stands_on": None if day is None or self.name == "short" else day + self.shift,
        }
        return shown | {"by": self.by} if self.name in ("amount", "fee") else shown


class Differences:
    """Those of one provider, by the row that they are about."""

    def __init__(self) -> None:
        self._planted: dict[tuple[str, Of], Difference] = {}

    def __iter__(self) -> Iterator[Difference]:
        return iter(list(self._planted.values()))

    def __len__(self) -> int:
        return len(self._planted)

    def of(self, order_no: str, of: Of) -> Difference | None:
        """That of a row, or None."""
        return self._planted.get((order_no, of))

    def plant(self, difference: Difference) -> None:
        """Take a new one. Raises DifferenceRefusedError."""
        if (difference.order_no, difference.of) in self._planted:
            raise DifferenceRefusedError(f"the row of {difference.order_no} has a difference already; delete it first")
        if len(self._planted) >= MAX_DIFFERENCES:
            raise DifferenceRefusedError(f"there are {MAX_DIFFERENCES} differences already; delete some")
        self._planted[difference.order_no, difference.of] = difference

    def take_back(self, difference: Difference) -> None:
        """Its row is again what the books have."""
        self._planted.pop((difference.order_no, difference.of), None)

    def clear(self) -> None:
        """All rows are."""
        self._planted.clear()
