"""The statements of one provider: which orders of its books a day has, as rows that a mock writes in its own format.

Days are the provider's own, in Beijing time: with `Provider.day_cut` "23:00" 2 March begins at 23:00 on 1 March.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal

from sandbox.balances import COMES_IN
from sandbox.books import Order
from sandbox.differences import Difference, Differences, Of
from sandbox.faults import Occasion
from sandbox.fees import Fees

if TYPE_CHECKING:
    from sandbox.provider import Provider

__all__ = ["BEIJING", "PAYMENTS", "RowKind", "StatementRow", "Statements", "day_of", "row_kind", "starts_at"]

BEIJING: Final = timezone(timedelta(hours=8))
RowKind = Literal["payment", "refund", "payout", "return"]
PAYMENTS: Final = frozenset({*COMES_IN, "recharge"})
"""Orders that bring money; the other two that move it are `refund` and `payout`."""


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One row of a day. Amounts in fen, moments as seconds of the epoch."""

    kind: RowKind
    """`return`: a payout or a refund that came back, beside the row of its success."""
    number: str
    """The merchant's number of the order."""
    amount: int
    """Not below zero: the kind tells the direction."""
    fee: int
    """What the provider takes for it; below zero: it gives back."""
    paid: bool
    """False: it was not done. Such rows are there only where the provider `states_failures`."""
    at: float
    day: date
    """Of the statement that it stands in."""
    transaction_no: str
    """The provider's own number; "" where the order has none."""
    card: str
    """Masked."""
    original: str | None
    """Of a refund, and of one that came back: the merchant's number of the payment."""
    order: Order
    """For what else a file has. A row that nobody asked for has one that is in no books: read its `echo` by `get`."""


def _clock(day_cut: str) -> timedelta:
    hours, _, minutes = day_cut.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def starts_at(day: date, day_cut: str) -> float:
    """When the provider's day begins; it ends where the next one begins."""
    cut = _clock(day_cut)
    begins = day - timedelta(days=1) if cut else day
    return (datetime(begins.year, begins.month, begins.day, tzinfo=BEIJING) + cut).timestamp()


def day_of(at: float, day_cut: str) -> date:
    """The provider's day that a moment belongs to."""
    local, cut = datetime.fromtimestamp(at, BEIJING), _clock(day_cut)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.date() + timedelta(days=1) if cut and local - midnight >= cut else local.date()


def row_kind(order: Order) -> RowKind | None:
    """Of the row of its success; None: it moves no money."""
    if order.kind in PAYMENTS:
        return "payment"
    if order.kind == "refund":
        return "refund"
    return "payout" if order.kind == "payout" else None


class Statements:
    """The desk of one provider where its statements are made."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self.fees = Fees()
        self.differences = Differences()

    def rows(self, day: date) -> list[StatementRow]:
        """The rows of a day in the order of time, with the differences that were asked for. The same at every call, as
        long as books, fees and differences are.
        """
        rows = list(self._told(day))
        rows.sort(key=lambda row: (row.at, row.number, row.kind))
        return rows

    def of_books(self, day: date) -> Iterator[StatementRow]:
        """What the books have of a day, in no order, as if there were no differences."""
        starts, ends = self._bounds(day)
        for order, of, at in self._done():
            if starts <= at < ends:
                yield self._row(order, of, at, day)

    def occasion(self, day: date) -> Occasion:
        """A request for the file of a day, for the faults of every request."""
        return Occasion("statement", "", day=day.isoformat())

    def is_ready(self, day: date) -> bool:
        """Whether the provider has its file of this day. To be asked once at each request for one: it uses up the
        fault `late_statement`. A day that has not ended has one, too, of what was done so far.
        """
        return self._provider.faults.take("late_statement", self.occasion(day)) is None

    def delivered(self, day: date, content: bytes) -> bytes:
        """What a merchant gets for the text of a statement, before it is packed: cut off by the fault
        `broken_statement`, else all of it.
        """
        fault = self._provider.faults.take("broken_statement", self.occasion(day))
        if fault is None:
            return content
        half = content[: len(content) // 2]
        return half[: half.rfind(b"\n") + 1] if fault.params["cut"] == "line" else half

    def day_of(self, difference: Difference) -> date | None:
        """The day that the order of a difference belongs to; None: it has no row so far."""
        order = difference.order or self._provider.books.get(difference.order_no)
        if order is None:
            return None
        at = order.returned_at if difference.of == "return" else order.finished_at
        return None if at is None else day_of(at, self._provider.day_cut)

    def clear(self) -> None:
        """Nothing is taken, and nothing differs."""
        self.fees.clear()
        self.differences.clear()

    def _told(self, day: date) -> Iterator[StatementRow]:
        starts, ends = self._bounds(day)
        differences = self.differences if len(self.differences) else None
        for order, of, at in self._done():
            difference = None if differences is None else differences.of(order.order_no, of)
            if difference is None:
                if starts <= at < ends:
                    yield self._row(order, of, at, day)
            elif starts <= at + difference.shift.total_seconds() < ends:
                yield from self._differing(self._row(order, of, at, day), difference)
        for difference in differences or ():
            made_up = difference.order
            if made_up is not None and made_up.finished_at is not None and starts <= made_up.finished_at < ends:
                yield self._row(made_up, "success", made_up.finished_at, day)

    def _done(self) -> Iterator[tuple[Order, Of, float]]:
        """Each row that the books have, of all days."""
        states_failures = self._provider.states_failures
        for order in self._provider.books:
            if order.finished_at is None or row_kind(order) is None:
                continue
            if order.state != "failed" or states_failures or self._is_long(order):
                yield order, "success", order.finished_at
            if order.returned_at is not None:
                yield order, "return", order.returned_at

    def _is_long(self, order: Order) -> bool:
        difference = self.differences.of(order.order_no, "success")
        return difference is not None and difference.name == "long"

    def _differing(self, row: StatementRow, difference: Difference) -> list[StatementRow]:
        """What stands there in the place of a row."""
        match difference.name:
            case "short":
                return []
            case "duplicate":
                return [row, row]
            case "not_paid":
                return [replace(row, paid=False, fee=0)]
            case "amount":
                return [replace(row, amount=row.amount + difference.by)]
            case "fee":
                return [replace(row, fee=row.fee + difference.by)]
            case "long":
                return [replace(row, paid=True, fee=self.fees.of(row.kind, row.order))]
        return [row]

    def _bounds(self, day: date) -> tuple[float, float]:
        cut = self._provider.day_cut
        return starts_at(day, cut), starts_at(day + timedelta(days=1), cut)

    def _row(self, order: Order, of: Of, at: float, day: date) -> StatementRow:
        kind = "return" if of == "return" else row_kind(order)
        assert kind is not None
        paid = order.state != "failed"
        return StatementRow(
            kind=kind,
            number=order.order_no,
            amount=order.amount,
            fee=self.fees.of(kind, order) if paid else 0,
            paid=paid,
            at=at,
            day=day,
            transaction_no=order.transaction_no or "",
            card=order.card,
            original=order.original,
            order=order,
        )
