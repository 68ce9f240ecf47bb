"""Statements (对账单): what a PSP says that it did on one day for one account, in one normal form. Pure.

Every adapter reads its PSP's files into `StatementLine`s. Amounts are fen and never below zero: the kind tells the
direction. `day` is the PSP's own day, which may end before midnight (`StatementRules.day_cut`).
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

__all__ = ["PSP_ZONE", "SIGN", "LineKind", "StatementLine", "StatementRules", "day_of", "ends_at"]

PSP_ZONE: Final = ZoneInfo("Asia/Shanghai")
"""In which every PSP that we know counts its days."""
NOON: Final = time(12)


class LineKind(StrEnum):
    """What a line of a statement is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"
    RETURN = "return"  # a payout or a refund came back
    OUT = "out"  # money went out, and the file does not say whether by a refund or a payout


SIGN: Final = {
    LineKind.PAYMENT: 1,
    LineKind.REFUND: -1,
    LineKind.PAYOUT: -1,
    LineKind.RETURN: 1,
    LineKind.OUT: -1,
}
"""How a line counts in the sums of a day."""


class StatementLine(NamedTuple):
    """One line of a statement in the normal form. A million of them are read in one run, hence the plain tuple."""

    line: int
    """Where it stands: the line of its file, from 1, counted as an editor counts."""
    kind: LineKind
    number: str | None
    """Our number of the order at the PSP, as the line names it; None: it names none, or another order's."""
    amount: int
    """In fen, not below zero, whatever sign the file writes."""
    paid: bool = True
    """False: the line says that it was not done (refused, failed)."""
    fee: int | None = None
    """What the PSP takes for it, in fen; below zero: it gives back. None: the file does not say."""
    transaction_no: str | None = None
    """The PSP's own number."""
    at: datetime | None = None
    """When it was done, aware; None: the file does not say."""
    original: str | None = None
    """Of a refund: our number of the payment, where the line has it."""


@dataclass(frozen=True, slots=True)
class StatementRules:
    """How a provider's statements come; an account's settings may say otherwise of the first two."""

    day_cut: time = time(0)
    """When its day ends, in its zone: 00:00 is midnight, 23:00 makes what is done later the next day's, 00:30 makes
    what is done half an hour after midnight the day's before."""
    ready_at: time = time(9)
    """From when on the next day's morning its file is asked for."""
    fetched: bool = True
    """False: it has no request for it; a person gives the file."""


def day_of(at: datetime, day_cut: time) -> date:
    """The PSP's day that a moment belongs to. A cut before noon is one of the next morning."""
    local = at.astimezone(PSP_ZONE)
    if day_cut >= NOON:
        return local.date() + timedelta(days=local.time() >= day_cut)
    return local.date() - timedelta(days=local.time() < day_cut)


def ends_at(day: date, day_cut: time) -> datetime:
    """When the PSP's day ends; what is done at that moment is the next day's."""
    return datetime.combine(day if day_cut >= NOON else day + timedelta(days=1), day_cut, PSP_ZONE)
