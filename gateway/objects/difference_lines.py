"""Differences as the lines of a file for a spreadsheet. The columns and their order stay; new ones come at the end."""

import csv
import io
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.domain.differences import Difference
from gateway.domain.ids import ANOMALY, DIFFERENCE, show, show_object
from gateway.domain.money import yuan

__all__ = ["COLUMNS", "HEAD", "line_of"]

COLUMNS: Final = (
    "id", "account", "day", "class", "state", "number",
    "their_line", "their_kind", "their_amount_yuan", "their_amount_fen", "their_paid", "their_fee_yuan",
    "their_fee_fen", "their_transaction_no", "their_done_at",
    "our_object", "our_amount_yuan", "our_amount_fen", "our_state", "our_fee_yuan", "our_fee_fen", "our_done_at",
    "remedy", "anomaly", "word", "told_at", "became", "became_on", "found_at", "resolved_at", "resolved_by", "note",
)  # fmt: skip
BOM: Final = "\ufeff"
"""So that spreadsheets read it as UTF-8."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula."""


def _written(cells: list[Any] | tuple[str, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


HEAD: Final = BOM.encode() + _written(COLUMNS)


def line_of(difference: Difference, zone: ZoneInfo) -> bytes:
    """One difference. Amounts in yuan and in fen, times in `zone`; a text that would be a formula begins with '."""
    theirs, ours, remedy = difference.theirs, difference.ours, difference.remedy
    cells: list[Any] = [
        show(DIFFERENCE, difference.difference_id),
        _text(difference.account),
        difference.day.isoformat(),
        difference.kind.value,
        difference.state.value,
        _text(difference.number),
    ]
    if theirs is None:
        cells += [""] * 9
    else:
        cells += [theirs.line, theirs.kind, *_money(theirs.amount), "yes" if theirs.paid else "no"]
        cells += [*_money(theirs.fee), _text(theirs.transaction_no), _time(theirs.done_at, zone)]
    if ours is None:
        cells += [""] * 7
    else:
        cells += [show_object(ours.object, ours.object_id), *_money(ours.amount), ours.state]
        cells += [*_money(ours.fee), _time(ours.done_at, zone)]
    cells += [
        "" if remedy is None else remedy.value,
        "" if difference.anomaly_id is None else show(ANOMALY, difference.anomaly_id),
        "" if difference.word is None else difference.word.value,
        _time(difference.told_at, zone),
        "" if difference.became is None else difference.became.value,
        "" if difference.became_on is None else difference.became_on.isoformat(),
        _time(difference.found_at, zone),
        _time(difference.resolved_at, zone),
        _text(difference.resolved_by),
        _text(difference.note),
    ]
    return _written(cells)


def _money(fen: int | None) -> tuple[str, str]:
    return ("", "") if fen is None else (yuan(fen), str(fen))


def _text(text: str | None) -> str:
    return "" if text is None else f"'{text}" if text.startswith(FORMULA) else text


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
