"""The columns of UnionPay's statement files: fixed width in bytes of GBK, one space between columns.

Source of the widths: UnionPay's own Java demo (H), checked there against its sample of 2015-09-05; of the names of ZM's
columns: third-party code (H/M). The names of ZME's columns are not public: those that are used here have the width and
the place of ZM's (L).
"""

import re
from collections.abc import Iterator
from typing import IO, Final

from adapters.statement_files import Place, byte_lines

__all__ = ["ZM", "ZME", "Layout", "amount_of", "signed_amount_of"]

_FEN = re.compile(rb"[0-9]{12}")
_SIGNED_FEN = re.compile(rb"[DC][0-9]{12}")


class Layout:
    """One kind of file."""

    def __init__(self, name: str, widths: str) -> None:
        self.name = name
        columns = [int(width) for width in widths.split()]
        self.line_bytes = sum(columns) + len(columns) - 1
        self._line = re.compile(b" ".join(b"(.{%d})" % width for width in columns), re.DOTALL)

    def rows(self, source: IO[bytes], place: Place) -> Iterator[tuple[bytes, ...]]:
        """The columns of each line as they stand. Raises StatementRefusedError for a line of another shape."""
        for line in byte_lines(source, place):
            if len(line) != self.line_bytes:
                raise place.refused(f"has {len(line)} bytes; a line of {self.name} has {self.line_bytes}")
            found = self._line.fullmatch(line)
            if found is None:
                raise place.refused(f"has no spaces where the columns of {self.name} are parted")
            yield found.groups()


ZM: Final = Layout(
    "ZM",
    "3 11 11 6 10 19 12 4 2 21 2 32 2 6 10 13 13 4 15 2 2 6 2 4 32 1 21 15 1 15 32 13 13 8 32 13 13 12 2 1 32 98",
)
ZME: Final = Layout("ZME", "3 11 11 6 10 19 12 4 2 2 6 10 4 12 13 13 15 15 1 12 2 135")


def amount_of(column: bytes, place: Place, number: int) -> int:
    """Twelve digits of fen. Raises StatementRefusedError."""
    if not _FEN.fullmatch(column):
        raise place.refused("is no amount of 12 digits", number)
    return int(column)


def signed_amount_of(column: bytes, place: Place, number: int) -> int:
    """D or C and twelve digits of fen: C is for the merchant, D (below zero) is from him; all blank is 0 (H).

    Raises StatementRefusedError.
    """
    if not column.strip():
        return 0
    if not _SIGNED_FEN.fullmatch(column):
        raise place.refused("is no D or C with an amount of 12 digits", number)
    return int(column[1:]) * (1 if column[:1] == b"C" else -1)
