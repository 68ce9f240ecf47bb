"""UnionPay's statement of a day: a zip with a ZM file, fixed width in bytes of GBK, and a ZME file without disputes.

Widths and order of ZM's columns: the demo (H) and third-party code (H/M), as the protocol notes in section 1 tell them.
The sandbox's own rules: trade codes, the names of entries' hours (88), a payout that came back as a line of its type
that is settled towards the merchant; and that there is no RD summary, whose layout is not public.
"""

import io
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from sandbox.statements import BEIJING, RowKind, StatementRow

__all__ = ["day_of_settling", "statement_name", "statement_zip"]

WIDTHS: Final = (
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13, 13,
    8, 32, 13, 13, 12, 2, 1, 32, 98,
)  # fmt: skip
HOUR: Final = "88"
TRADE_CODES: Final[dict[RowKind, str]] = {"payment": "S22", "refund": "S30", "payout": "S72", "return": "S73"}
TYPES: Final[dict[RowKind, str]] = {"payment": "01", "refund": "04", "payout": "12", "return": "12"}
"""txnType, where the order's own is not known."""
INCOMING: Final = frozenset({"payment", "return"})
PACKED_AT: Final = (1980, 1, 1, 0, 0, 0)
"""Of every entry, so that a day is the same bytes each time."""
TRACE_DIGITS: Final = 6


def statement_name(day: date, mer_id: str) -> str:
    """What the zip of a day is called."""
    return f"{mer_id}_{day:%Y%m%d}.zip"


def statement_zip(rows: Iterable[StatementRow], day: date, mer_id: str) -> bytes:
    """The zip of a day."""
    text = b"".join(_line(row, mer_id) + b"\r\n" for row in rows)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for kind, content in (("ZM", text), ("ZME", b"")):
            entry = zipfile.ZipInfo(f"INN{day:%y%m%d}{HOUR}{kind}_{mer_id}", PACKED_AT)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def day_of_settling(month_and_day: str, today: date) -> date | None:
    """The day of a `settleDate` (MMDD) that is nearest to today; None: there is none."""
    days = []
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            days.append(date(year, int(month_and_day[:2]), int(month_and_day[2:])))
        except ValueError:
            continue
    return min(days, key=lambda day: abs((day - today).days), default=None)


def _line(row: StatementRow, mer_id: str) -> bytes:
    comes_in, echo = row.kind in INCOMING, row.order.echo
    net = (row.amount if comes_in else -row.amount) - row.fee
    columns = {
        1: TRADE_CODES[row.kind],
        2: "48021000",
        3: "00049992",
        4: row.transaction_no[-TRACE_DIGITS:].rjust(TRACE_DIGITS, "0"),
        5: f"{datetime.fromtimestamp(row.at, BEIJING):%m%d%H%M%S}",
        6: row.card,
        7: f"{row.amount:012d}",
        8: "5411",
        9: "07",
        10: row.transaction_no,
        12: row.number,
        13: "01",
        16: _signed(-row.fee),
        17: _signed(row.amount if comes_in else -row.amount),
        20: echo.get("txnType") or TYPES[row.kind],
        21: echo.get("txnSubType") or "01",
        22: echo.get("bizType") or "000902",
        23: "01",
        27: echo.get("origQryId") or "",
        28: mer_id,
        29: "0",
        31: "沙箱商户",
        33: _signed(net),
    }
    return b" ".join(_cell(columns.get(number, ""), width) for number, width in enumerate(WIDTHS, 1))


def _signed(amount: int) -> str:
    """C: to the merchant, D: from him; nothing is D."""
    return f"{'C' if amount > 0 else 'D'}{abs(amount):012d}"


def _cell(text: str, width: int) -> bytes:
    raw = text.encode("gbk", "replace")
    assert len(raw) <= width, f"{text!r} is wider than its column of {width} bytes"
    return raw.ljust(width)
