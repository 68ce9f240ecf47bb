"""Reading Allinpay's statements: PDS text in GBK, fields parted by one space.

Layout: two clients that agree (M); the official text of it was not found. The head is `PDSMK V200`, then the count and
the sum in fen of what was collected, and of what was paid out. Each line after it is one transaction:

    BATCHID  SN  TRXDIR  RET_CODE  AMOUNT  ACCOUNT_NO  time  SETTLE_DAY  CUST_USERID  [fee]  [TRX_CODE  account]

The fee is there with CONTFEE 1, the last two in version 05 (M): how many fields a line has is known from what was asked
for, and a line that has another number of them is refused. No line is left out. BATCHID is our number of the order;
a refund's line, too, says TRXDIR 0 and no original (L), so refunds and payouts are not told apart here.

Whether the head counts the lines that were not done is not public: it must agree with all lines, or with the paid ones.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import IO, Final

from adapters.allinpay.codes import OK, RETURNED
from adapters.statement_files import Place, entries, is_zip, moment, opened, text_lines
from gateway.domain.statements import LineKind, StatementLine, ends_at
from gateway.ports.statements import StatementFile, StatementRefusedError

__all__ = ["Layout", "read_statement"]

OK_TOO: Final = "4000"
"""Counted as success in some products (L)."""
DIRECTIONS: Final = {"0": LineKind.OUT, "1": LineKind.PAYMENT}
OUT, IN = "0", "1"
HEAD_FIELDS: Final = 6
FIELDS: Final = 9
_DIGITS: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a statement of this account is like, by what it asks for."""

    merchant_id: str
    day_cut: time
    has_fees: bool
    has_codes: bool
    """TRX_CODE and the settled account: version 05."""

    @property
    def fields(self) -> int:
        """How many a line has."""
        return FIELDS + self.has_fees + 2 * self.has_codes


@dataclass(slots=True)
class _Sums:
    """Count and sum in fen of each direction."""

    counts: dict[str, int] = field(default_factory=lambda: {IN: 0, OUT: 0})
    amounts: dict[str, int] = field(default_factory=lambda: {IN: 0, OUT: 0})

    def add(self, direction: str, amount: int) -> None:
        self.counts[direction] += 1
        self.amounts[direction] += amount

    def as_in_head(self) -> list[int]:
        return [self.counts[IN], self.amounts[IN], self.counts[OUT], self.amounts[OUT]]


def read_statement(files: Sequence[StatementFile], day: date, layout: Layout) -> Iterator[StatementLine]:
    """The lines of one day of one merchant. Raises StatementRefusedError."""
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        raise StatementRefusedError(f"are {len(files)} files; a day is one", names or "no file")
    with _text_of(files[0], day, layout) as (source, name):
        yield from _lines(source, Place(name), day, layout)


@contextmanager
def _text_of(file: StatementFile, day: date, layout: Layout) -> Iterator[tuple[IO[bytes], str]]:
    """The one text, in a zip or not. Its name says merchant and day."""
    if not is_zip(file.path):
        _check_name(file.name, day, layout)
        with file.path.open("rb") as source:
            yield source, file.name
        return
    with opened(file) as archive:
        found = entries(archive)
        if len(found) != 1:
            raise StatementRefusedError(f"has {len(found)} entries; a statement is one", file.name)
        _check_name(found[0].rpartition("/")[2], day, layout)
        with archive.open(found[0]) as source:
            yield source, found[0]


def _check_name(name: str, day: date, layout: Layout) -> None:
    """`PDS<merchant><yyyymmdd>.txt`, or `PDS<merchant><start>-<end>.txt` (M)."""
    begins = ends_at(day - timedelta(days=1), layout.day_cut)
    ends = ends_at(day, layout.day_cut) - timedelta(seconds=1)
    merchant = f"PDS{layout.merchant_id}"
    said = re.fullmatch(
        re.escape(merchant) + r"(?P<day>[0-9]{8})(?:(?:[0-9]{6})?-(?P<last>[0-9]{8})(?:[0-9]{6})?)?\.txt", name
    )
    if said is None:
        raise StatementRefusedError(f"is not named {merchant}{day:%Y%m%d}.txt, or with first and last moment", name)
    wanted = (f"{day:%Y%m%d}", None) if said["last"] is None else (f"{begins:%Y%m%d}", f"{ends:%Y%m%d}")
    if (said["day"], said["last"]) != wanted:
        raise StatementRefusedError(f"is of another day than {day}", name)


def _lines(source: IO[bytes], place: Place, day: date, layout: Layout) -> Iterator[StatementLine]:
    lines = text_lines(source, place, "gbk")
    stated = _head(next(lines, ""), place)
    every, paid = _Sums(), _Sums()
    for text in lines:
        columns = text.split(" ")
        if len(columns) != layout.fields:
            raise place.refused(f"has {len(columns)} fields; a line of this account has {layout.fields}")
        line = _line(columns, place, day, layout)
        every.add(columns[2], line.amount)
        if line.paid and line.kind is not LineKind.RETURN:
            paid.add(columns[2], line.amount)
        yield line
    if stated not in (every.as_in_head(), paid.as_in_head()):
        place.line = 1
        counted = " ".join(str(each) for each in every.as_in_head())
        raise place.refused(f"the head says {' '.join(map(str, stated))}, and the lines are {counted}")


def _head(text: str, place: Place) -> list[int]:
    columns = text.split(" ")
    place.line = max(place.line, 1)
    if columns[:2] != ["PDSMK", "V200"] or len(columns) != HEAD_FIELDS:
        raise place.refused("is no head of a statement (PDSMK V200, and two counts with their sums)")
    for number, column in enumerate(columns[2:], 3):
        if not _DIGITS.fullmatch(column):
            raise place.refused("is no number", number)
    return [int(column) for column in columns[2:]]


def _line(columns: list[str], place: Place, day: date, layout: Layout) -> StatementLine:
    number, _, direction, code, amount, _, at, settled, *more = columns
    if direction not in DIRECTIONS:
        raise place.refused("is neither 0 nor 1", 3)
    if not re.fullmatch(r"[0-9A-Z]{4}", code):
        raise place.refused("is no RET_CODE", 4)
    if not _DIGITS.fullmatch(amount):
        raise place.refused("is no whole number of fen", 5)
    kind, is_paid = DIRECTIONS[direction], code in (OK, OK_TOO)
    if code == RETURNED and kind is LineKind.OUT:
        kind, is_paid = LineKind.RETURN, True
    if settled != f"{day:%Y%m%d}" and (is_paid or settled):
        raise place.refused(f"is of another day than {day}", 8)
    return StatementLine(
        place.line,
        kind,
        number or None,
        int(amount),
        is_paid,
        fee=place.fen(more[1], FIELDS + 1) if layout.has_fees else None,
        at=moment(at, "%Y%m%d%H%M%S", place, 7) if at or is_paid else None,
    )
