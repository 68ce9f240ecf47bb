"""Reading UnionPay's statements: a zip with one ZM file (what was cleared), and at times a ZME file (disputes).

Entries are named `INN<yymmdd><hh>ZM_<merId>` and `INN<yymmdd><hh>ZME_<merId>` (H). RD files are summaries whose layout
is not public: they are passed over by name, and so nothing states a total; what guards against a file that is cut is
the checksum of the zip, and therefore a statement is read from its zip alone.

Each line of ZM is money that moved, hence a line of the day; but for lines without an amount that are none of the
kinds below: openings of cards, codes, verifications, which are no orders of money. The kind is txnType's; where that
is none of ours, the sign of the settled amount tells whether money came or went: such a line is nobody's order here,
and must be seen. A payout that is settled towards the merchant came back (L). origQryId, the PSP's number of what a
refund gives back, is none of ours: `original` stays empty.

A line of ZME is a dispute: it moved no order, so it is told as not done, without a number, since its columns have none.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

from adapters.statement_files import Place, entries, is_zip, opened
from adapters.unionpay.statement_layout import ZM, ZME, amount_of, signed_amount_of
from gateway.domain.statements import PSP_ZONE, SIGN, LineKind, StatementLine
from gateway.ports.statements import StatementFile, StatementRefusedError

__all__ = ["read_statement"]

ENTRY: Final = re.compile(r"INN(?P<day>[0-9]{6})[0-9]{2}(?P<kind>ZME?)_(?P<merchant>[0-9]{15})(?:\.txt)?")
SUMMARY: Final = re.compile(r"(?:INN)?[0-9]*RD[0-9A-Z].*")
KINDS: Final = {
    b"01": LineKind.PAYMENT,
    b"11": LineKind.PAYMENT,
    b"04": LineKind.REFUND,
    b"31": LineKind.REFUND,
    b"12": LineKind.PAYOUT,
}
"""txnType as our transactions have it (H); 31, undoing a payment on its day, is not used here, but somebody may."""
HALF_A_YEAR_DAYS: Final = 183


def read_statement(files: Sequence[StatementFile], day: date, mer_id: str) -> Iterator[StatementLine]:
    """The lines of one day of one merchant. Raises StatementRefusedError."""
    known: set[str] = set()
    for file in files:
        if not is_zip(file.path):
            raise StatementRefusedError("is no zip: give it as UnionPay gave it, not unpacked", file.name)
        with opened(file) as archive:
            for entry in _entries(archive, file, day, mer_id):
                if entry in known:
                    raise StatementRefusedError(f"has {entry} once more", file.name)
                known.add(entry)
                yield from _lines(archive, entry, day, mer_id)
    if not any("ZM_" in entry for entry in known):
        named = f"INN{day:%y%m%d}..ZM_{mer_id}"
        raise StatementRefusedError(f"has no entry {named}", ", ".join(file.name for file in files) or "no file")


def _entries(archive: zipfile.ZipFile, file: StatementFile, day: date, mer_id: str) -> list[str]:
    """What is to be read, after all names were looked at."""
    found = []
    for entry in entries(archive):
        name = entry.rpartition("/")[2]
        if SUMMARY.fullmatch(name):
            continue
        said = ENTRY.fullmatch(name)
        if said is None:
            raise StatementRefusedError(f"has an entry of no kind that is known: {name[:64]!r}", file.name)
        if said["merchant"] != mer_id:
            raise StatementRefusedError("is of another merchant", name)
        if said["day"] != f"{day:%y%m%d}":
            raise StatementRefusedError(f"is of another day than {day}", name)
        found.append(entry)
    return found


def _lines(archive: zipfile.ZipFile, entry: str, day: date, mer_id: str) -> Iterator[StatementLine]:
    place, is_dispute = Place(entry), "ZME_" in entry
    with archive.open(entry) as source:
        for row in (ZME if is_dispute else ZM).rows(source, place):
            line = _dispute(row, place, day) if is_dispute else _cleared(row, place, day, mer_id)
            if line is not None:
                yield line


def _cleared(row: Sequence[bytes], place: Place, day: date, mer_id: str) -> StatementLine | None:
    """A line of ZM; None: it moved no money."""
    if row[27].strip() != mer_id.encode():
        raise place.refused("is of another merchant", 28)
    amount, settled = amount_of(row[6], place, 7), signed_amount_of(row[16], place, 17)
    fee, kind = -signed_amount_of(row[15], place, 16), KINDS.get(row[19])
    if kind is None:
        if not amount and not settled:
            return None
        if not settled:
            raise place.refused("moves money, and does not say whether it came or went", 17)
        kind = LineKind.PAYMENT if settled > 0 else LineKind.OUT
    elif kind is LineKind.PAYOUT and settled > 0:
        kind = LineKind.RETURN
    elif settled * SIGN[kind] < 0:
        raise place.refused(f"settles a {kind} the other way round", 17)
    return StatementLine(
        place.line,
        kind,
        _text(row[11], place, 12),
        amount,
        fee=fee,
        transaction_no=_text(row[9], place, 10),
        at=_moment(row[4], place, day),
    )


def _dispute(row: Sequence[bytes], place: Place, day: date) -> StatementLine:
    """A line of ZME."""
    amount, settled = amount_of(row[6], place, 7), signed_amount_of(row[15], place, 16)
    kind = LineKind.OUT if settled < 0 else LineKind.PAYMENT
    return StatementLine(place.line, kind, None, amount, paid=False, at=_moment(row[4], place, day))


def _text(column: bytes, place: Place, number: int) -> str | None:
    try:
        return column.decode("gbk").strip() or None
    except UnicodeDecodeError:
        raise place.refused("is not GBK", number) from None


def _moment(column: bytes, place: Place, day: date) -> datetime:
    """MMDDhhmmss, in the year that brings it near the day."""
    if len(column) == 10 and column.isdigit():
        month, of_month, hour, minute, second = (int(column[at : at + 2]) for at in range(0, 10, 2))
        for year in (day.year, day.year - 1, day.year + 1):
            try:
                at = datetime(year, month, of_month, hour, minute, second, tzinfo=PSP_ZONE)
            except ValueError:
                continue
            if abs((at.date() - day).days) <= HALF_A_YEAR_DAYS:
                return at
    raise place.refused("is no time as it should be", 5)
