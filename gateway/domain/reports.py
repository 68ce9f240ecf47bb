"""What a merchant's channels cost and earned, and what a PSP should invoice for a month. Pure.

A report sums recorded rows of business days, apart by what is asked for. A bill is the same money as its PSP sees it.
Amounts are fen, times milliseconds; a rate of no attempts is None.
"""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from router.decision import Decision

__all__ = [
    "MAX_DAYS",
    "Bill",
    "BillLine",
    "By",
    "Charge",
    "Days",
    "Figures",
    "Key",
    "ReportError",
    "ReportRow",
    "Saving",
    "month_of",
    "read_by",
    "saving",
    "total_of",
]

MAX_DAYS: Final = 366
"""Of one report."""
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""Beyond them a day has no moment that every clock can tell."""


class ReportError(ValueError):
    """A report that cannot be. `field` names what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class By(StrEnum):
    """What the rows of a report are apart by."""

    DAY = "day"
    MONTH = "month"
    CHANNEL = "channel"
    BANK = "bank"
    SCENE = "scene"


@dataclass(frozen=True, slots=True)
class Days:
    """Business days, the first and the last one included. Raises ReportError."""

    first: date
    last: date

    def __post_init__(self) -> None:
        for field, day in (("from", self.first), ("to", self.last)):
            if not FIRST_DAY <= day <= LAST_DAY:
                raise ReportError(field, f"must be a day from {FIRST_DAY} to {LAST_DAY}")
        if self.last < self.first:
            raise ReportError("to", f"is before {self.first}")
        if (self.last - self.first).days >= MAX_DAYS:
            raise ReportError("to", f"is more than {MAX_DAYS} days after the first one: ask for less at once")


def month_of(year: int, month: int) -> Days:
    """The days of a month. Raises ReportError."""
    try:
        return Days(date(year, month, 1), date(year, month, monthrange(year, month)[1]))
    except ValueError:  # a ReportError is one, too
        raise ReportError("month", "is no month: write 2026-03") from None


def read_by(text: str) -> tuple[By, ...]:
    """`day,channel`: each once, in the order of the columns; nothing: one row of all. Raises ReportError."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in words if word not in set(By)]:
        del unknown  # the caller's text is not repeated
        raise ReportError("by", f"must be some of {', '.join(By)}, with commas between")
    if len(set(words)) < len(words):
        raise ReportError("by", "names one of them twice")
    return tuple(map(By, words))


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of one row. Of payments, and of routes that an app executed and reported."""

    payments: int = 0
    """Money that came in: what succeeded, also what an operator took as paid."""
    amount: int = 0
    late_payments: int = 0
    """Failed or closed here and paid there all the same, and not taken as paid."""
    late_amount: int = 0
    fee: int = 0
    """What the PSP is owed for both."""
    attempts: int = 0
    """What was routed to a channel."""
    succeeded: int = 0
    """Of them; what an operator took as paid is no attempt."""
    failed: int = 0
    failed_by_channel: int = 0
    """Of the failed, those of blame `channel`."""
    closed: int = 0
    open: int = 0
    refused: int = 0
    """By the router: they had no channel."""
    saved: int = 0
    """What the next-ranked channel would have cost more, over payments that took the best; an authentication counts."""
    kept: int = 0
    """Payments that took the second best, since the user's last attempt on the best had failed there."""
    kept_cost: int = 0
    """What these cost more than the best would have."""
    authentications: int = 0
    """That reached a PSP, or may have."""
    authentication_fee: int = 0
    disagreements: int = 0
    """Authentications that were refused of a card that another account has verified, before or after."""
    refunds: int = 0
    refunded: int = 0
    fee_returned: int = 0
    """What PSPs said that they give back of their fees."""
    refunds_returned: int = 0
    """Refunds that came back."""
    refunds_returned_amount: int = 0
    payouts: int = 0
    paid_out: int = 0
    payout_fee: int = 0
    """Also of payouts that came back."""
    payouts_returned: int = 0
    payouts_returned_amount: int = 0
    p50_ms: int | None = None
    """Until half of the payments that succeeded or failed were final; None: there is none, or it is a sum of rows."""
    p99_ms: int | None = None

    @property
    def success_rate(self) -> Fraction | None:
        """Raw: of all that ended as success or failure, whoever is to blame. PSPs judge merchants by it."""
        return _rate(self.succeeded, self.failed)

    @property
    def channel_success_rate(self) -> Fraction | None:
        """Without failures of blame `payer` and `platform`: what the channel did with what it could do."""
        return _rate(self.succeeded, self.failed_by_channel)


COUNTED: Final = tuple(each.name for each in fields(Figures) if each.name not in ("p50_ms", "p99_ms"))
"""The fields that may be summed."""


def _rate(succeeded: int, failed: int) -> Fraction | None:
    ended = succeeded + failed
    return Fraction(succeeded, ended) if ended else None


def total_of(rows: Iterable[Figures]) -> Figures:
    """Their sum. Times have none: the middle of middles is nothing."""
    sums = dict.fromkeys(COUNTED, 0)
    for row in rows:
        for name in COUNTED:
            sums[name] += getattr(row, name)
    return Figures(**sums)


@dataclass(frozen=True, slots=True)
class Saving:
    """What a payment's choice saved, or what it cost that its user was kept on the second best; in fen."""

    saved: int = 0
    kept: bool = False
    kept_cost: int = 0


def saving(decision: Decision) -> Saving:
    """Of a payment that succeeded. Nothing where there was no other channel to take.

    `saved` is below zero where the best by fee had to bind a card that the next one has bound.
    """
    saved = decision.saved_against_next
    if saved is None:
        return Saving()
    rank = next(seen.rank for seen in decision.trace if seen.channel == decision.chosen)
    return Saving(saved=saved) if rank == 1 else Saving(kept=True, kept_cost=-saved)


Key = tuple[date | str | None, ...]
"""What a row is of, in the order of `by`; None: of nothing, as the channel of what the router refused."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row."""

    key: Key
    figures: Figures


class Charge(StrEnum):
    """What a PSP charges for."""

    PAYMENT = "payment"
    AUTHENTICATION = "authentication"
    PAYOUT = "payout"
    REFUND = "refund"  # what it gives back of its fees


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill: so many of one kind, scene and bank."""

    charge: Charge
    scene: str | None
    """None: payouts, and authentications that an app asked for, have none."""
    bank: str | None
    count: int
    amount: int
    """What was paid, refunded or paid out; 0 of authentications."""
    fee: int
    """Below zero: the PSP gives back."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What the PSP of a channel should invoice for the business days of a month."""

    channel: str
    days: Days
    lines: Sequence[BillLine]
    open: int
    """Payments and payouts of these days that are not final: what they will cost is not in it."""
    invoiced: int | None = None
    """What the PSP says, in fen."""

    @property
    def fee(self) -> int:
        """What is owed, in fen."""
        return sum(line.fee for line in self.lines)

    @property
    def apart(self) -> int | None:
        """What the invoice asks for beyond it, in fen; below zero: it asks for less."""
        return None if self.invoiced is None else self.invoiced - self.fee
