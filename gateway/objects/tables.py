"""Tables as CSV for spreadsheets: UTF-8 with a mark of its order, CRLF, and nothing that a program would run."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["BOM", "CSV", "cell", "csv_lines"]

CSV: Final = "text/csv; charset=utf-8"
BOM: Final = b"\xef\xbb\xbf"
"""Begins a file: without it Excel takes Chinese for something else."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str | None) -> str:
    """A text that is not ours, so that a spreadsheet shows it and does not run it. Nothing is an empty cell."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Some lines. Numbers stand as they are; texts of others go through `cell` first."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()
