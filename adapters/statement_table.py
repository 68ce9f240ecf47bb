"""A statement as a table of text: lines with separators, a header or not, a total, read by a layout that was checked.

Each line of it is exactly one `StatementLine`, but for the top, the header, comments, the total, and lines whose kind
the layout ignores by its word. They count in the total all the same.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import IO, Final

from adapters.statement_files import Place, moment, text_lines
from gateway.domain.statements import SIGN, LineKind, StatementLine, day_of
from gateway.ports.statements import StatementRefusedError

__all__ = ["Column", "Layout", "Total", "rows"]

Column = str | int
"""A name of the header, or where there is none a number from 1."""
Where = Mapping[str, tuple[Column, ...]]
"""What → the column where it stands; a time may stand in two."""

MAX_NUMBER_CHARS: Final = 128
MAX_WORD_CHARS: Final = 24
NO_VALUE: Final = frozenset({"", "-", "--", "/"})
"""How files write that there is no number, no fee, no time."""
FORMULA: Final = "="
UNITS_OF_TOTALS: Final = "笔元"
MAX_COUNT_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Total:
    """What a file says of its lines as a whole, and in which line."""

    begins_with: str
    """Of the first field of that line."""
    at_top: bool = False
    """It is one of the lines above the header."""
    is_named: bool = False
    """That line has names, and the next one the values."""
    count: Column | None = None
    gross: Column | None = None
    """Amounts without their signs."""
    net: Column | None = None
    """Payments less what went out."""
    fee: Column | None = None
    count_of: Mapping[LineKind, Column] = field(default_factory=dict)
    amount_of: Mapping[LineKind, Column] = field(default_factory=dict)
    counts_unpaid: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is to be read. Made by `statement_mapping`, which checks it."""

    columns: Where
    columns_of: Mapping[LineKind, Where]
    """Where lines of a kind have something in another column."""
    encoding: str
    separator: str
    quote: str
    guards: tuple[str, ...]
    skip_lines: int
    column_count: int | None
    """Without a header; with one it tells."""
    comment: str
    end: str
    total: Total | None
    is_fen: bool
    fee_is_fen: bool
    kinds: Mapping[str, LineKind | None]
    """Word → kind; None: such lines concern no order of ours. Empty: the sign tells, or all are `positive`."""
    positive: LineKind
    negative: LineKind | None
    """What an amount below zero means; None: nothing, it is refused."""
    is_signed: bool
    """What goes out has a minus sign beside the word of its kind, and what comes in has none."""
    statuses: Mapping[str, bool]
    fee_sign: int
    at_layout: str
    day_layout: str
    day_by: str
    merchant: str
    may_be_empty: bool
    day_cut: time


@dataclass(slots=True)
class _Sums:
    """What the lines came to."""

    count: int = 0
    gross: int = 0
    net: int = 0
    fee: int = 0
    count_of: dict[LineKind, int] = field(default_factory=dict)
    amount_of: dict[LineKind, int] = field(default_factory=dict)

    def add(self, kind: LineKind | None, amount: int, signed: int, fee: int) -> None:
        self.count, self.gross, self.fee = self.count + 1, self.gross + amount, self.fee + fee
        self.net += signed
        if kind is not None:
            self.count_of[kind] = self.count_of.get(kind, 0) + 1
            self.amount_of[kind] = self.amount_of.get(kind, 0) + amount


def rows(source: IO[bytes], place: Place, layout: Layout, day: date) -> Iterator[StatementLine]:
    """The lines of one file, in bounded memory. Raises StatementRefusedError, also after the last of them."""
    return _Reading(place, layout, day).lines(text_lines(source, place, layout.encoding))


class _Reading:
    """One file while it is read."""

    def __init__(self, place: Place, layout: Layout, day: date) -> None:
        self._place, self._layout, self._day = place, layout, day
        self._sums = _Sums()
        self._told: list[tuple[str, int, Column]] = []
        self._total_line = 0
        self._is_total_read = self._has_ended = False
        self._width = layout.column_count or 0
        self._at: dict[LineKind | None, dict[str, tuple[int, ...]]] = {}
        self._day_seen = ""

    def lines(self, texts: Iterator[str]) -> Iterator[StatementLine]:
        """All of them, in order."""
        layout = self._layout
        if layout.day_by == "name" and (wanted := self._day.strftime(layout.day_layout)) not in self._place.file:
            raise self._whole(f"its name does not say {wanted}")
        self._top(texts)
        for text in texts:
            if layout.end and text.startswith(layout.end):
                self._has_ended = True
                continue
            if layout.comment and text.startswith(layout.comment):
                continue
            fields = self._split(text)
            is_over = self._is_total_read and layout.total is not None and not layout.total.at_top
            if self._has_ended or is_over:
                raise self._place.refused("stands after the end")
            if layout.total and not layout.total.at_top and self._begins_total(fields):
                self._take_total(fields, texts)
                continue
            line = self._line(fields)
            if line is not None:
                yield line
        self._check_end()

    # Around the lines

    def _top(self, texts: Iterator[str]) -> None:
        """What stands above the first row."""
        layout, skipped = self._layout, 0
        while skipped < layout.skip_lines and (text := next(texts, None)) is not None:
            skipped += 1
            if layout.total and layout.total.at_top:
                fields = self._split(text)
                if self._begins_total(fields):
                    skipped += self._take_total(fields, texts)
        if layout.column_count is None:
            header = next(texts, None)
            if header is None:
                raise self._whole("has no header line: it is empty, or cut")
            names = self._split(header)
            self._width = len(names)
            self._resolve(names)
        else:
            self._resolve(None)

    def _resolve(self, names: Sequence[str] | None) -> None:
        """Find each column, for each kind of lines."""
        layout = self._layout
        for kind in (None, *LineKind):
            where = {**layout.columns, **layout.columns_of.get(kind, {})} if kind else layout.columns
            self._at[kind] = {
                what: tuple(self._index(column, names) for column in columns) for what, columns in where.items()
            }

    def _index(self, column: Column, names: Sequence[str] | None) -> int:
        if isinstance(column, int):
            return column - 1
        found = [index for index, name in enumerate(names or ()) if name == column]
        if len(found) != 1:
            raise self._place.refused(f"has {len(found) or 'no'} columns of this name", column)
        return found[0]

    def _begins_total(self, fields: Sequence[str]) -> bool:
        return self._layout.total is not None and fields[0].startswith(self._layout.total.begins_with)

    def _take_total(self, fields: Sequence[str], texts: Iterator[str]) -> int:
        """Keep what the total says; answers how many more lines it took."""
        total, names = self._layout.total, None
        assert total is not None
        if self._is_total_read:
            raise self._place.refused("is a second total")
        self._is_total_read = True
        if total.is_named:
            values = next(texts, None)
            if values is None:
                raise self._whole("ends within its total: it is cut")
            names, fields = fields, self._split(values)
        wanted: list[tuple[str, Column | None]] = [
            *((name, getattr(total, name)) for name in ("count", "gross", "net", "fee")),
            *((f"count_of.{kind}", column) for kind, column in total.count_of.items()),
            *((f"amount_of.{kind}", column) for kind, column in total.amount_of.items()),
        ]
        for name, column in wanted:
            if column is not None:
                index = self._index(column, names)
                if index >= len(fields):
                    raise self._place.refused("the total has no such column", column)
                self._told.append((name, self._of_total(name, fields[index], column), column))
        self._total_line = self._place.line
        return int(total.is_named)

    def _of_total(self, name: str, text: str, column: Column) -> int:
        """A number of the total, which may have words around it: `总笔数：2笔`."""
        value = text.replace("：", ":").rpartition(":")[2].strip().strip(UNITS_OF_TOTALS)
        if name.startswith("count"):
            if not (value.isascii() and value.isdecimal() and len(value) <= MAX_COUNT_DIGITS):
                raise self._place.refused("is no number of lines", column)
            return int(value)
        is_fen = self._layout.fee_is_fen if name == "fee" else self._layout.is_fen
        return self._money(value, column, is_fen=is_fen)

    def _check_end(self) -> None:
        layout, sums = self._layout, self._sums
        if self._place.line == 0 and not layout.may_be_empty:
            raise self._whole("is empty")
        if layout.end and not self._has_ended:
            raise self._whole("does not have the line that ends it: it is cut")
        if layout.total is None:
            return
        if not self._is_total_read:
            raise self._whole("has no total: it is cut")
        self._place.line = self._total_line
        for name, told, column in self._told:
            what, _, kind = name.partition(".")
            found = getattr(sums, what)
            found = found.get(LineKind(kind), 0) if kind else found * (layout.fee_sign if what == "fee" else 1)
            # Totals of what goes out are written with and without a minus sign.
            if told != found and not (kind and abs(told) == found):
                raise self._place.refused(f"the total says {told}, its lines come to {found}", column)

    def _whole(self, reason: str) -> StatementRefusedError:
        return StatementRefusedError(reason, self._place.file)

    # One line

    def _split(self, text: str) -> list[str]:
        layout = self._layout
        if not layout.quote or layout.quote not in text:
            return [self._bare(part) for part in text.split(layout.separator)]
        try:
            [fields] = csv.reader([text], delimiter=layout.separator, quotechar=layout.quote, strict=True)
        except (csv.Error, ValueError):
            raise self._place.refused("has quotes that do not fit") from None
        return [self._bare(part) for part in fields]

    def _bare(self, text: str) -> str:
        """Without blanks, and without what keeps Excel from making a number of it."""
        text = text.strip()
        for guard in self._layout.guards:
            if text.startswith(guard):
                text = text[len(guard) :].strip()
                if guard == FORMULA and len(text) > 1 and text[0] == text[-1] == '"':
                    text = text[1:-1].strip()
        return text

    def _line(self, fields: list[str]) -> StatementLine | None:
        layout, place = self._layout, self._place
        if len(fields) != self._width:
            raise place.refused(f"has {len(fields)} columns where there must be {self._width}")
        self._check_whose(fields)
        at = self._at[None]
        is_ignored, kind = False, layout.positive
        if layout.kinds:
            index = at["kind"][0]
            if fields[index] not in layout.kinds:
                raise self._unknown(fields[index], index)
            told = layout.kinds[fields[index]]
            is_ignored, kind = told is None, told or kind
        at = self._at[kind]
        signed = self._amount(fields, at["amount"][0], is_ignored=is_ignored)
        if not is_ignored:
            kind = self._kind_by_sign(kind, signed, at["amount"][0])
            at = self._at[kind]
        fee = self._fee(fields, at)
        paid = layout.statuses[word] if (word := self._status(fields, at, is_ignored=is_ignored)) is not None else True
        if paid or layout.total is None or layout.total.counts_unpaid:
            net = signed if is_ignored else SIGN[kind] * abs(signed)
            self._sums.add(None if is_ignored else kind, abs(signed), net, fee or 0)
        moment_ = self._moment(fields, at)
        if is_ignored:
            return None
        return StatementLine(
            place.line,
            kind,
            self._number(fields, at, "number"),
            abs(signed),
            paid,
            fee,
            self._number(fields, at, "transaction_no"),
            moment_,
            self._number(fields, at, "original"),
        )

    def _check_whose(self, fields: Sequence[str]) -> None:
        """The day and the merchant."""
        layout, place, at = self._layout, self._place, self._at[None]
        if "merchant" in at and fields[at["merchant"][0]] != layout.merchant:
            raise place.refused("is another merchant's", at["merchant"][0] + 1)
        if layout.day_by != "column":
            return
        text = fields[at["day"][0]]
        if text != self._day_seen:
            if moment(text, layout.day_layout, place, at["day"][0] + 1).date() != self._day:
                raise place.refused(f"is not of {self._day}", at["day"][0] + 1)
            self._day_seen = text

    def _status(self, fields: Sequence[str], at: Mapping[str, tuple[int, ...]], *, is_ignored: bool) -> str | None:
        if "status" not in at:
            return None
        [index] = at["status"]
        word = fields[index]
        if word in self._layout.statuses:
            return word
        if is_ignored:
            return None
        raise self._unknown(word, index)

    def _unknown(self, word: str, index: int) -> StatementRefusedError:
        # A column that has moved may hold anything: only what can be no number of a card or a person is repeated.
        is_a_word = len(word) <= MAX_WORD_CHARS and not any(letter.isdigit() for letter in word)
        named = repr(word) if is_a_word else "another word"
        return self._place.refused(f"has {named}, which the mapping does not explain", index + 1)

    def _amount(self, fields: Sequence[str], index: int, *, is_ignored: bool) -> int:
        if is_ignored and fields[index] in NO_VALUE:
            return 0
        return self._money(fields[index], index + 1, is_fen=self._layout.is_fen)

    def _money(self, text: str, column: Column, *, is_fen: bool) -> int:
        return self._place.fen(text, column) if is_fen else self._place.yuan(text, column)

    def _kind_by_sign(self, kind: LineKind, signed: int, index: int) -> LineKind:
        layout = self._layout
        if layout.is_signed:
            if signed * SIGN[kind] < 0:
                raise self._place.refused(f"has a sign that no {kind} has", index + 1)
            return kind
        if signed >= 0:
            return kind
        if layout.negative is None:
            raise self._place.refused("is below zero", index + 1)
        return layout.negative

    def _fee(self, fields: Sequence[str], at: Mapping[str, tuple[int, ...]]) -> int | None:
        if "fee" not in at or fields[at["fee"][0]] in NO_VALUE:
            return None
        fee = self._money(fields[at["fee"][0]], at["fee"][0] + 1, is_fen=self._layout.fee_is_fen)
        return fee * self._layout.fee_sign

    def _moment(self, fields: Sequence[str], at: Mapping[str, tuple[int, ...]]) -> datetime | None:
        layout, place = self._layout, self._place
        if "at" not in at:
            return None
        column = at["at"][0] + 1
        text = " ".join(fields[index] for index in at["at"])
        if all(fields[index] in NO_VALUE for index in at["at"]):
            if layout.day_by == "time":
                raise place.refused("has no time", column)
            return None
        found = moment(text, layout.at_layout, place, column)
        if layout.day_by == "time" and day_of(found, layout.day_cut) != self._day:
            raise place.refused(f"is not of {self._day}, whose end is the day cut", column)
        return found

    def _number(self, fields: Sequence[str], at: Mapping[str, tuple[int, ...]], what: str) -> str | None:
        if not at.get(what):
            return None
        [index] = at[what]
        text = fields[index]
        if len(text) > MAX_NUMBER_CHARS:
            raise self._place.refused(f"is longer than {MAX_NUMBER_CHARS} characters", index + 1)
        return None if text in NO_VALUE else text
