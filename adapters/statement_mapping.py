"""Statements by a mapping in the account's settings (`statement`): for a file that a person gets from any PSP.

docs/statement-mapping.md is its reference. All of it is checked when the account is: `AccountError` names
`statement.<field>`, what is wrong, and what may stand there. What the reader needs to know is never guessed: whether
there is a total, how the day is known, what each word means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from adapters.account import AccountError, setting, statement_rules
from adapters.statement_files import Place, entries, is_zip, opened
from adapters.statement_table import Column, Layout, Total, rows
from gateway.domain.statements import LineKind, StatementLine, StatementRules
from gateway.ports import AccountSettings
from gateway.ports.statements import Download, StatementFile, StatementNotReadyError, StatementRefusedError

__all__ = ["MappedStatements", "mapped"]

FIELD: Final = "statement"
IGNORED: Final = "ignored"
KINDS: Final = tuple(LineKind)
OPTIONAL: Final = ("number", "kind", "status", "fee", "transaction_no", "original", "at", "day", "merchant")
OF_KINDS: Final = ("number", "amount", "status", "fee", "transaction_no", "original", "at")
"""What may stand in another column for lines of a kind."""
ENCODINGS: Final = {"utf-8": "utf-8", "gbk": "gbk", "gb18030": "gb18030"}
UNITS: Final = ("yuan", "fen")
DAYS_BY: Final = ("column", "time", "name")
FEES: Final = {"taken": 1, "given": -1}
NOTHING: Final = "none"
SEPARATORS: Final = frozenset(",;|\t^~#@ ")
MAX_SKIPPED: Final = 100
MAX_COLUMNS: Final = 200
MAX_WORDS: Final = 200
MAX_TEXT_CHARS: Final = 64
MAX_GUARDS: Final = 5
USUAL_TIME: Final = "%Y-%m-%d %H:%M:%S"
USUAL_DAY: Final = "%Y%m%d"
A_MOMENT: Final = datetime(2026, 11, 25, 13, 14, 15)  # noqa: DTZ001 -- a text for layouts, no moment of anything
FIELDS: Final = frozenset(
    {
        *("columns", "columns_of", "encoding", "separator", "quote", "guards", "skip_lines", "header", "column_count"),
        *("comment", "end", "total", "unit", "fee_unit", "kind", "kinds", "positive", "negative", "signed", "paid"),
        *("not_paid", "fee_sign", "time_layout", "day_layout", "day_by", "merchant", "may_be_empty", "entry"),
    }
)
FIELDS_OF_TOTAL: Final = frozenset(
    {"begins_with", "at_top", "names", "count", "gross", "net", "fee", "count_of", "amount_of", "counts_unpaid"}
)


class MappedStatements:
    """The statements of an account that says how its files are to be read. No request brings them."""

    def __init__(self, layout: Layout, rules: StatementRules, entry: str = "") -> None:
        self._layout, self.rules, self._entry = layout, rules, entry

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """The lines of all files, each of them whole in itself. A zip holds one, or those that `entry` names."""
        for file in files:
            if is_zip(file.path):
                yield from self._unpacked(file, day)
            else:
                with file.path.open("rb") as source:
                    yield from rows(source, Place(file.name), self._layout, day)

    def _unpacked(self, file: StatementFile, day: date) -> Iterator[StatementLine]:
        with opened(file) as archive:
            names = entries(archive)
            if self._entry:
                names = [name for name in names if self._entry in _readable(name)]
            if not names or (len(names) > 1 and not self._entry):
                wanted = f"whose name has {self._entry!r}" if self._entry else "alone"
                raise StatementRefusedError(f"must hold a file {wanted}; it holds {len(entries(archive))}", file.name)
            for name in names:
                with archive.open(name) as source:
                    yield from rows(source, Place(f"{file.name}/{_readable(name)}"), self._layout, day)

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:  # noqa: ARG002
        """Raises StatementNotReadyError: a person gives the file."""
        raise StatementNotReadyError("a person gives the file: no request brings it")

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """Nothing: nobody waits for it."""


def _readable(name: str) -> str:
    """Zips made in Chinese name their files in GBK, which the format does not say."""
    try:
        return name.encode("cp437").decode("gbk")
    except UnicodeError:
        return name


def mapped(account: AccountSettings, own: StatementRules | None = None) -> MappedStatements | None:
    """The statements that the account's `statement` describes; None: it has none. Raises AccountError.

    `own`: the adapter's rules, whose day cut stays where the account does not say another.
    """
    told = account.settings.get(FIELD)
    if told is None:
        return None
    rules = statement_rules(account, replace(own or StatementRules(), fetched=False))
    settings = _Settings(account, told)
    return MappedStatements(settings.layout(rules), rules, settings.text("entry", ""))


class _Settings:
    """The mapping as it is told, read field by field."""

    def __init__(self, account: AccountSettings, told: object) -> None:
        self._account = account
        if not isinstance(told, Mapping):
            raise AccountError(account, FIELD, "must be a table: see docs/statement-mapping.md")
        self._told: Mapping[str, Any] = told
        self._only(self._told, FIELDS, "")

    def wrong(self, name: str, problem: str) -> AccountError:
        """An error to raise about `statement.<name>`."""
        return AccountError(self._account, f"{FIELD}.{name}" if name else FIELD, problem)

    def layout(self, rules: StatementRules) -> Layout:
        """All of it. Raises AccountError."""
        column_count = None if self.flag("header", default=True) else self.whole("column_count", 1, MAX_COLUMNS)
        if column_count is None and "column_count" in self._told:
            raise self.wrong("column_count", "is for files without a header line (header = false)")
        columns = self._columns(self.table("columns"), "columns", (*OPTIONAL, "amount"), column_count)
        if not columns.get("amount"):
            raise self.wrong("columns.amount", "is missing: which column has the amount?")
        kinds, positive, negative = self._kinds(columns)
        unit = self.one_of("unit", UNITS)
        skip_lines = self.whole("skip_lines", 0, MAX_SKIPPED, 0)
        return Layout(
            columns=columns,
            columns_of=self._columns_of(column_count, {*filter(None, kinds.values()), positive, negative}),
            encoding=ENCODINGS[self.one_of("encoding", tuple(ENCODINGS), "utf-8")],
            separator=self._separator(),
            quote=self._quote(),
            guards=self._guards(),
            skip_lines=skip_lines,
            column_count=column_count,
            comment=self.text("comment", ""),
            end=self.text("end", ""),
            total=self._total(skip_lines),
            is_fen=unit == "fen",
            fee_is_fen=self.one_of("fee_unit", UNITS, unit) == "fen",
            kinds=kinds,
            positive=positive,
            negative=negative,
            is_signed=self.flag("signed", default=False),
            statuses=self._statuses(columns),
            fee_sign=FEES[self.one_of("fee_sign", tuple(FEES), "taken")],
            at_layout=self._time_layout("time_layout", USUAL_TIME, "%Y-%m-%d %H:%M"),
            day_layout=self._time_layout("day_layout", USUAL_DAY, "%Y-%m-%d"),
            day_by=self._day_by(columns),
            merchant=self._merchant(columns),
            may_be_empty=self.flag("may_be_empty", default=False),
            day_cut=rules.day_cut,
        )

    # Columns

    def _columns(
        self, told: Mapping[str, Any], where: str, names: Sequence[str], count: int | None
    ) -> dict[str, tuple[Column, ...]]:
        self._only(told, frozenset(names), where)
        found: dict[str, tuple[Column, ...]] = {}
        for name, column in told.items():
            parts = column if name == "at" and isinstance(column, list) else [column]
            if column == "" and where != "columns":
                found[name] = ()  # lines of this kind do not have it
            elif not 1 <= len(parts) <= 2:
                raise self.wrong(f"{where}.{name}", "is in one column, or in two: the day and the time")
            else:
                found[name] = tuple(self._column(part, f"{where}.{name}", count) for part in parts)
        return found

    def _column(self, column: object, name: str, count: int | None) -> Column:
        if count is None:
            if isinstance(column, str) and 0 < len(column.strip()) <= MAX_TEXT_CHARS:
                return column.strip()
            raise self.wrong(name, "must be the column's name as the header line has it (or say header = false)")
        if isinstance(column, int) and not isinstance(column, bool) and 1 <= column <= count:
            return column
        raise self.wrong(name, f"must be the number of a column, 1 to {count} (column_count)")

    def _columns_of(
        self, count: int | None, used: set[LineKind | None]
    ) -> dict[LineKind, dict[str, tuple[Column, ...]]]:
        found = {}
        for kind, told in self.table("columns_of", {}).items():
            where = f"columns_of.{kind}"
            if kind not in used:
                raise self.wrong(where, f"is no kind that lines have here: {', '.join(sorted(filter(None, used)))}")
            if not isinstance(told, Mapping):
                raise self.wrong(where, "must be a table of columns")
            columns = self._columns(told, where, OF_KINDS, count)
            for needed in ("amount", "status", "at", "fee"):
                if columns.get(needed, (1,)) == ():
                    raise self.wrong(f"{where}.{needed}", "cannot be empty: leave it out, or name a column")
            found[LineKind(kind)] = columns
        return found

    # What words and signs mean

    def _kinds(self, columns: Mapping[str, object]) -> tuple[dict[str, LineKind | None], LineKind, LineKind | None]:
        ways = [name for name in ("kinds", "positive", "kind") if name in self._told]
        if len(ways) != 1:
            raise self.wrong("kinds", "or `positive` with `negative`, or `kind`: one of them must say what lines are")
        if ("kind" in columns) != ("kinds" in ways):
            raise self.wrong("kinds", "and columns.kind go together: the column, and what its words mean")
        if ("negative" in self._told) != ("positive" in ways):
            raise self.wrong("negative", "and `positive` go together: what an amount below zero means, and the others")
        if "signed" in self._told and "kinds" not in ways:
            raise self.wrong("signed", "is for kinds by words: `positive` and `negative` read the sign")
        if "kinds" not in ways:
            positive = LineKind(self.one_of(ways[0], KINDS))
            negative = LineKind(self.one_of("negative", KINDS)) if ways[0] == "positive" else None
            return {}, positive, negative
        words = self.table("kinds")
        if not 0 < len(words) <= MAX_WORDS or any(kind not in (*KINDS, IGNORED) for kind in words.values()):
            raise self.wrong("kinds", f"must give each word one of {', '.join(KINDS)}, {IGNORED}")
        kinds = {word.strip(): None if kind == IGNORED else LineKind(kind) for word, kind in words.items()}
        if not any(kinds.values()):
            raise self.wrong("kinds", f"must have a word that is not {IGNORED}")
        return kinds, LineKind.PAYMENT, None

    def _statuses(self, columns: Mapping[str, object]) -> dict[str, bool]:
        paid, not_paid = self._words("paid"), self._words("not_paid")
        if ("status" in columns) != bool(paid):
            raise self.wrong("paid", "and columns.status go together: the column, and its words for what was done")
        if not_paid and not paid:
            raise self.wrong("not_paid", "needs `paid` and columns.status")
        if both := set(paid) & set(not_paid):
            raise self.wrong("not_paid", f"has {min(both)!r}, which is in `paid`, too")
        return dict.fromkeys(paid, True) | dict.fromkeys(not_paid, False)

    def _words(self, name: str) -> list[str]:
        told = self._told.get(name, [])
        if not isinstance(told, list) or not all(isinstance(word, str) for word in told) or len(told) > MAX_WORDS:
            raise self.wrong(name, "must be a list of words")
        return [word.strip() for word in told]

    # The total

    def _total(self, skip_lines: int) -> Total | None:
        told = self._told.get("total")
        if told == NOTHING:
            return None
        if not isinstance(told, Mapping):
            raise self.wrong("total", f'must be a table, or "{NOTHING}" for a file that ends without any total')
        self._only(told, FIELDS_OF_TOTAL, "total")
        begins_with = told.get("begins_with")
        if not isinstance(begins_with, str) or not 0 < len(begins_with.strip()) <= MAX_TEXT_CHARS:
            raise self.wrong("total.begins_with", "must be how the first field of the total's line begins")
        flags = {name: told.get(name, default) for name, default in _FLAGS_OF_TOTAL.items()}
        if wrong := [name for name, flag in flags.items() if not isinstance(flag, bool)]:
            raise self.wrong(f"total.{wrong[0]}", "must be true or false")
        if flags["at_top"] and skip_lines < 1 + flags["names"]:
            raise self.wrong("total.at_top", "needs skip_lines that count the total's own, which are above the header")
        named = None if flags["names"] else MAX_COLUMNS
        sums = {name: self._column(told[name], f"total.{name}", named) for name in _SUMS if name in told}
        of_kinds = {name: self._by_kind(told.get(name, {}), f"total.{name}", named) for name in _SUMS_OF_KINDS}
        if not sums and not any(of_kinds.values()):
            raise self.wrong("total", f"must say where it has one of {', '.join((*_SUMS, *_SUMS_OF_KINDS))}")
        return Total(
            begins_with.strip(),
            at_top=flags["at_top"],
            is_named=flags["names"],
            counts_unpaid=flags["counts_unpaid"],
            count=sums.get("count"),
            gross=sums.get("gross"),
            net=sums.get("net"),
            fee=sums.get("fee"),
            **of_kinds,
        )

    def _by_kind(self, told: object, name: str, count: int | None) -> dict[LineKind, Column]:
        if not isinstance(told, Mapping) or not set(told) <= set(KINDS):
            raise self.wrong(name, f"must be a table of columns by kind: {', '.join(KINDS)}")
        return {LineKind(kind): self._column(column, f"{name}.{kind}", count) for kind, column in told.items()}

    # The rest

    def _day_by(self, columns: Mapping[str, object]) -> str:
        by = self.one_of("day_by", DAYS_BY, "column" if "day" in columns else None)
        needed = {"column": "day", "time": "at"}.get(by)
        if needed and needed not in columns:
            raise self.wrong("day_by", f"{by} needs columns.{needed}")
        if "day" in columns and by != "column":
            raise self.wrong("day_by", "must be column where columns.day is told")
        return by

    def _merchant(self, columns: Mapping[str, object]) -> str:
        if ("merchant" in columns) != ("merchant" in self._told):
            raise self.wrong("merchant", "and columns.merchant go together: the name of the setting with the number")
        return setting(self._account, self.text("merchant")) if "merchant" in columns else ""

    def _time_layout(self, name: str, usual: str, keeps: str) -> str:
        layout = self.text(name, usual)
        try:
            read = datetime.strptime(A_MOMENT.strftime(layout), layout)  # noqa: DTZ007 -- it must have no zone
        except ValueError:
            raise self.wrong(name, f"must be a layout such as {usual}") from None
        if read.tzinfo is not None or read.strftime(keeps) != A_MOMENT.strftime(keeps):
            raise self.wrong(name, f"must tell all of {keeps}, and no zone; such as {usual}")
        return layout

    def _separator(self) -> str:
        separator = self._told.get("separator", ",")
        if not isinstance(separator, str) or separator not in SEPARATORS:
            raise self.wrong("separator", 'must be one character: "," ";" "|" "^" "~" "#" "@", a tab or a blank')
        return separator

    def _quote(self) -> str:
        quote = self._told.get("quote", '"')
        if not isinstance(quote, str) or quote not in {"", '"', "'"}:
            raise self.wrong(
                "quote", "must be the quotation mark around texts with separators, or empty: there is none"
            )
        return quote

    def _guards(self) -> tuple[str, ...]:
        guards = self._told.get("guards", [])
        if not isinstance(guards, list) or len(guards) > MAX_GUARDS or not all(map(_is_guard, guards)):
            raise self.wrong("guards", "must be a list of single characters that stand before values, such as ` or =")
        return tuple(guards)

    # Plain values

    def _only(self, told: Mapping[str, Any], names: frozenset[str], where: str) -> None:
        for name in told:
            if name not in names:
                raise self.wrong(f"{where}.{name}" if where else str(name), f"is unknown; known: {_listed(names)}")

    def table(self, name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """A table of it."""
        told = self._told.get(name, default)
        if not isinstance(told, Mapping):
            raise self.wrong(name, "is missing" if told is None else "must be a table")
        return told

    def text(self, name: str, default: str | None = None) -> str:
        """A short text."""
        told = self._told.get(name, default)
        if not isinstance(told, str) or len(told) > MAX_TEXT_CHARS or (default is None and not told):
            raise self.wrong(name, "is missing" if told is None else f"must be text of {MAX_TEXT_CHARS} characters")
        return told

    def one_of(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of some words."""
        told = self._told.get(name, default)
        if told not in choices:
            raise self.wrong(name, f"must be one of {', '.join(choices)}")
        return str(told)

    def flag(self, name: str, *, default: bool) -> bool:
        """Yes or no."""
        told = self._told.get(name, default)
        if not isinstance(told, bool):
            raise self.wrong(name, "must be true or false")
        return told

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number."""
        told = self._told.get(name, default)
        if not isinstance(told, int) or isinstance(told, bool) or not least <= told <= most:
            raise self.wrong(name, f"must be a whole number from {least} to {most}")
        return told


_SUMS: Final = ("count", "gross", "net", "fee")
_SUMS_OF_KINDS: Final = ("count_of", "amount_of")
_FLAGS_OF_TOTAL: Final = MappingProxyType({"at_top": False, "names": False, "counts_unpaid": True})


def _is_guard(guard: object) -> bool:
    return isinstance(guard, str) and len(guard) == 1 and not guard.isalnum() and guard not in "-+.("


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
