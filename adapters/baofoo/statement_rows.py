"""The lines of Baofoo's files: `fi` of what came in and was given back, `fo` of what was paid out, `|` between columns.

Source: a third party's reader (M), which names the columns below and no more; where no source says a thing it is an
assumption of the account's (`declaration`). No line says when something was done, and no line is a head or a total.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from adapters.account import AccountError, setting
from adapters.statement_files import Place
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports import AccountSettings

__all__ = ["FileType", "Rows"]


class FileType(StrEnum):
    """Which of the files of a day."""

    COLLECTED = "fi"
    PAID_OUT = "fo"


# Columns from 0. Of `fo` the first five are as those of `fi` (L).
MEMBER, TERMINAL, SUB_TYPE, THEIR_ORDER, OUR_ORDER = 0, 1, 3, 4, 5
FI_DATE, FI_STATUS, FI_AMOUNT, FI_FEE, FI_TRANSACTION = 6, 7, 8, 9, 10
FO_DATE, FO_STATE, FO_AMOUNT, FO_TRANSACTION = 7, 8, 9, 13
COLUMNS: Final = {FileType.COLLECTED: 11, FileType.PAID_OUT: 14}
"""How many there are at least; each line has as many as the first."""
MAX_COLUMNS: Final = 40

TRADE: Final = "00"
PAID: Final = "1"
DONE, CAME_BACK, NOT_DONE = "1", "2", frozenset({"0", "-1"})
UNITS: Final = ("yuan", "fen")
OF_REFUNDS: Final = ("payment", "refund")
_STATUS = re.compile(r"-?[0-9]{1,4}")
_SUB_TYPE = re.compile(r"[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Rows:
    """How one account's lines are read. Settings: `statement_unit`, of the amounts in `fi`: yuan, or fen;
    `statement_refund_order`, whose number the line of a refund has: that of its payment, or its own.
    """

    member_id: str
    terminals: frozenset[str]
    in_fen: bool
    names_payment: bool

    @classmethod
    def of(cls, account: AccountSettings) -> "Rows":
        """Raises AccountError."""
        terminal = setting(account, "terminal_id")
        others = (setting(account, name, terminal) for name in ("refund_terminal_id", "payout_terminal_id"))
        unit = _one_of(account, "statement_unit", UNITS)
        names = _one_of(account, "statement_refund_order", OF_REFUNDS)
        return cls(setting(account, "member_id"), frozenset({terminal, *others}), unit == "fen", names == "payment")

    def read(self, lines: Iterable[str], file_type: FileType, day: date, place: Place) -> Iterator[StatementLine]:
        """Those of this account's terminals: what another terminal did is another account's. Raises
        StatementRefusedError.
        """
        columns = None
        line_of = self._collected if file_type is FileType.COLLECTED else self._paid_out
        column_of_day = FI_DATE if file_type is FileType.COLLECTED else FO_DATE
        written = (day.isoformat(), f"{day:%Y%m%d}")
        for line in lines:
            cells = [cell.strip() for cell in line.split("|")]
            least = COLUMNS[file_type]
            columns = columns or min(max(len(cells), least), MAX_COLUMNS)
            if len(cells) != columns:
                raise place.refused(f"has {len(cells)} columns, and should have {columns}")
            if cells[MEMBER] != self.member_id:
                raise place.refused("is not this merchant's", MEMBER + 1)
            if cells[column_of_day] not in written:
                raise place.refused(f"is of another day than {day}", column_of_day + 1)
            read = line_of(cells, place)
            if cells[TERMINAL] in self.terminals:
                yield read

    def _collected(self, cells: list[str], place: Place) -> StatementLine:
        status, is_refund = cells[FI_STATUS], cells[SUB_TYPE] != TRADE
        if not _STATUS.fullmatch(status):
            raise place.refused("is no status", FI_STATUS + 1)
        if not _SUB_TYPE.fullmatch(cells[SUB_TYPE]):
            raise place.refused("is no sub type", SUB_TYPE + 1)
        money: Callable[[str, int], int] = place.fen if self.in_fen else place.yuan
        amount, fee = money(cells[FI_AMOUNT], FI_AMOUNT + 1), money(cells[FI_FEE], FI_FEE + 1)
        if amount < 0 and not is_refund:
            raise place.refused("is below zero", FI_AMOUNT + 1)
        number = _named(cells, place)
        names_other = is_refund and self.names_payment
        return StatementLine(
            place.line,
            LineKind.REFUND if is_refund else LineKind.PAYMENT,
            None if names_other else number,
            abs(amount),
            status == PAID,
            fee,
            cells[THEIR_ORDER] or cells[FI_TRANSACTION] or None,
            original=number if names_other else None,
        )

    def _paid_out(self, cells: list[str], place: Place) -> StatementLine:
        state = cells[FO_STATE]
        if state not in {DONE, CAME_BACK, *NOT_DONE}:
            raise place.refused("is no state of a payout", FO_STATE + 1)
        amount = place.yuan(cells[FO_AMOUNT], FO_AMOUNT + 1)
        if amount < 0:
            raise place.refused("is below zero", FO_AMOUNT + 1)
        kind = LineKind.RETURN if state == CAME_BACK else LineKind.PAYOUT
        theirs = cells[FO_TRANSACTION] or cells[THEIR_ORDER] or None
        return StatementLine(
            place.line, kind, _named(cells, place), amount, state not in NOT_DONE, transaction_no=theirs
        )


def _named(cells: list[str], place: Place) -> str:
    if not cells[OUR_ORDER]:
        raise place.refused("names no order", OUR_ORDER + 1)
    return cells[OUR_ORDER]


def _one_of(account: AccountSettings, name: str, words: tuple[str, ...]) -> str:
    """A setting that is one of these words; absent: the first."""
    value = setting(account, name, words[0])
    if value not in words:
        raise AccountError(account, name, f"must be {' or '.join(words)}")
    return value
