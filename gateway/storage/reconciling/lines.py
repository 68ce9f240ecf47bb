"""Lines of a statement as text for COPY, in pieces of some tens of kilobytes: never the whole day in memory."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Final
from uuid import UUID

from gateway.domain.statements import SIGN, LineKind, StatementLine

__all__ = ["COLUMNS", "SIDE_OF", "LineCounter"]

PIECE: Final = 1_000
"""Lines in one piece."""
SEEN_BITS: Final = 1 << 27
"""16 MiB: of a million numbers some thousands meet the place of another one."""
MAX_AGAIN: Final = 50_000
"""Of more the database finds out by itself which stand there twice."""
COLUMNS: Final = (
    "merchant_id", "statement_id", "ordinal", "line", "kind", "side", "number", "amount", "paid", "fee",
    "transaction_no", "done_at", "original",
)  # fmt: skip
SIDE_OF: Final = {
    LineKind.PAYMENT: "in",
    LineKind.REFUND: "out",
    LineKind.PAYOUT: "out",
    LineKind.OUT: "out",
    LineKind.RETURN: "back",
}
BITS: Final = tuple(1 << bit for bit in range(8))
NULL: Final = "\\N"
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": None})


class LineCounter:
    """Turns lines into the text of COPY and counts them on the way: how many, and the signed sum of what was paid.

    A digest of what they say goes along: a file that was packed anew has other bytes and the same lines.
    """

    def __init__(self, merchant_id: UUID, statement_id: UUID, lines: Iterator[StatementLine]) -> None:
        self._lines = lines
        self._begin = f"{merchant_id}\t{statement_id}\t".encode()
        self._digest = hashlib.sha256()
        self.count = self.amount = 0
        self.unnamed = 0
        """Refunds that name their payment alone."""
        self._seen = bytearray(SEEN_BITS >> 3)
        self._again: set[str] = set()

    def piece(self) -> bytes:
        """The next lines as text; empty: there are no more. Raises what reading them raises."""
        ordinal, text = self.count, []
        last: LineKind | None = None
        what, sign = "", 0
        seen = self._seen
        for line in islice(self._lines, PIECE):
            ordinal += 1
            no, kind, number, amount, paid, fee, transaction_no, at, original = line
            if kind is not last:
                last, what, sign = kind, f"{kind.value}\t{SIDE_OF[kind]}", SIGN[kind]
            if paid:
                self.amount += amount * sign
            if number is not None:
                place = hash(number) % SEEN_BITS
                if seen[place >> 3] & BITS[place & 7]:
                    if len(self._again) <= MAX_AGAIN:
                        self._again.add(number)
                else:
                    seen[place >> 3] |= BITS[place & 7]
            elif original is not None:
                self.unnamed += 1
            text.append(
                f"{ordinal}\t{no}\t{what}\t{_text(number)}\t{amount}\t{'t' if paid else 'f'}\t"
                f"{NULL if fee is None else fee}\t{_text(transaction_no)}\t"
                f"{NULL if at is None else at.isoformat()}\t{_text(original)}"
            )
        self.count = ordinal
        if not text:
            return b""
        said = "\n".join(text).encode()
        self._digest.update(said + b"\n")
        # Within a line there is none: it is escaped.
        return self._begin + said.replace(b"\n", b"\n" + self._begin) + b"\n"

    @property
    def again(self) -> list[str] | None:
        """The numbers that may stand there more than once, and some that do not; None: it is not known which."""
        return None if self.unnamed or len(self._again) > MAX_AGAIN else list(self._again)

    @property
    def sha256(self) -> str:
        """Of what the lines so far say, in their order."""
        return self._digest.hexdigest()


def _text(value: str | None) -> str:
    if value is None:
        return NULL
    return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPED)
