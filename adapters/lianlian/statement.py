"""LianLian's statement of a day (对账单): one file of receipts and one of payouts, which a person gives.

LianLian lays them down on a file server (SFTP), which no adapter reaches. Source: a public client's comments (M):
UTF-8, commas, one header line, 14 columns; no quotes, so a comma in a text makes one column too many, and the file is
refused. There is no total, so nothing tells of a file that was cut at the end of a line. The accounting day, the
merchant and the direction are looked at in each line, and the same file twice is refused.

Each line is one `StatementLine`. Of a refund the first column is our number of it and the fifth our number of the
payment; its amount is below zero, and its state may be 5 (refunded). A payout of state 5 came back.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import IO, Final

from adapters.statement_files import Place, entries, is_zip, moment, opened, text_lines
from gateway.domain.statements import LineKind, StatementLine, StatementRules
from gateway.ports.statements import Download, StatementFile, StatementNotReadyError, StatementRefusedError

__all__ = ["RULES", "LianLianStatements"]

RULES: Final = StatementRules(fetched=False)
"""When the files are there is public of another product alone (01:00 of the next day)."""
COLUMNS: Final = 14
# From 0. Between them: our time, the merchant's business, the product, how it was paid, and the order's text.
NUMBER, MERCHANT, THEIRS, DAY, AMOUNT, DIRECTION, STATE, AT, FEE = 0, 1, 4, 5, 6, 7, 8, 9, 10
DAY_LAYOUT: Final = "%Y%m%d"
TIME_LAYOUT: Final = "%Y%m%d %H:%M:%S"
RECEIPT, PAYOUT = "0", "1"
DONE, REFUNDED = "0", "5"


class LianLianStatements:
    """The files of one merchant."""

    def __init__(self, oid_partner: str, rules: StatementRules) -> None:
        self._oid_partner, self.rules = oid_partner, rules

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The lines of both files, zipped or not. Raises StatementRefusedError."""
        seen: dict[str, str] = {}
        for file in files:
            if not is_zip(file.path):
                with file.path.open("rb") as source:
                    yield from self._lines(source, Place(file.name), day, seen)
                continue
            with opened(file) as archive:
                names = entries(archive)
                if not names:
                    raise StatementRefusedError("holds no file", file.name)
                for name in names:
                    with archive.open(name) as source:
                        yield from self._lines(source, Place(f"{file.name}/{name}"), day, seen)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:  # noqa: ARG002
        """Raises StatementNotReadyError: a person gives the files."""
        raise StatementNotReadyError(
            "a person gives LianLian's files: they lie on a file server, and no request brings them"
        )

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Nothing: LianLian does not wait for it."""

    def _lines(self, source: IO[bytes], place: Place, day: date, seen: dict[str, str]) -> Iterator[StatementLine]:
        texts = text_lines(source, place, "utf-8")
        header = next(texts, None)
        if header is None:
            raise StatementRefusedError("is empty: not even a header line is in it", place.file)
        names = _split(header, place)
        if names[DIRECTION] in {RECEIPT, PAYOUT}:
            raise place.refused("is no header line")
        direction = None
        for text in texts:
            fields = _split(text, place)
            if direction is None:
                direction = fields[DIRECTION]
                if direction in seen:
                    raise place.refused(f"has the direction that {seen[direction]} has", DIRECTION + 1)
                seen[direction] = place.file
            if fields[DIRECTION] != direction:
                raise place.refused("has another direction than the lines above", DIRECTION + 1)
            yield self._line(fields, place, day)

    def _line(self, fields: Sequence[str], place: Place, day: date) -> StatementLine:
        if fields[MERCHANT] != self._oid_partner:
            raise place.refused("is another merchant's", MERCHANT + 1)
        if moment(fields[DAY], DAY_LAYOUT, place, DAY + 1).date() != day:
            raise place.refused(f"is not of {day}", DAY + 1)
        if not fields[NUMBER]:
            raise place.refused("names no order", NUMBER + 1)
        signed = place.yuan(fields[AMOUNT], AMOUNT + 1)
        kind = _kind(fields, signed, place)
        theirs = fields[THEIRS] or None
        return StatementLine(
            place.line,
            kind,
            fields[NUMBER],
            abs(signed),
            fee=place.yuan(fields[FEE], FEE + 1) if fields[FEE] else None,
            transaction_no=None if kind is LineKind.REFUND else theirs,
            at=moment(fields[AT], TIME_LAYOUT, place, AT + 1) if fields[AT] else None,
            original=theirs if kind is LineKind.REFUND else None,
        )


def _split(text: str, place: Place) -> list[str]:
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != COLUMNS:
        raise place.refused(f"has {len(fields)} columns where there must be {COLUMNS}")
    return fields


def _kind(fields: Sequence[str], signed: int, place: Place) -> LineKind:
    direction, state = fields[DIRECTION], fields[STATE]
    if direction not in {RECEIPT, PAYOUT}:
        raise place.refused("is neither 0 (receipt) nor 1 (payout)", DIRECTION + 1)
    if state not in {DONE, REFUNDED}:
        raise place.refused("is neither 0 (done) nor 5 (refunded)", STATE + 1)
    if direction == PAYOUT:
        if signed < 0 and state == DONE:
            raise place.refused("is below zero, and did not come back", AMOUNT + 1)
        return LineKind.RETURN if state == REFUNDED else LineKind.PAYOUT
    if signed >= 0 and state == REFUNDED:
        raise place.refused("is 5 (refunded), and its amount is not below zero", STATE + 1)
    return LineKind.REFUND if signed < 0 else LineKind.PAYMENT
