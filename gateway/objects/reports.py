"""Reports and bills as JSON, and as tables whose columns stand in one order (docs/reports.md)."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from fractions import Fraction
from typing import Any, Final

from gateway.domain.money import yuan
from gateway.domain.reports import Bill, By, Figures, Key, ReportRow
from gateway.objects.tables import cell

__all__ = [
    "BILL_COLUMNS",
    "FIGURES",
    "RATES",
    "bill_cells",
    "bill_object",
    "figures_object",
    "rate_text",
    "report_cells",
    "report_columns",
    "report_row_object",
]

FIGURES: Final = tuple(each.name for each in fields(Figures))
RATES: Final = ("success_rate", "channel_success_rate")
_MONEY: Final = frozenset({
    "amount", "late_amount", "fee", "saved", "kept_cost", "authentication_fee", "refunded", "fee_returned",
    "refunds_returned_amount", "paid_out", "payout_fee", "payouts_returned_amount",
})  # fmt: skip
BILL_COLUMNS: Final = ("charge", "scene", "bank", "count", "amount_yuan", "fee_yuan")
_PLACES: Final = 4


def rate_text(rate: Fraction | None) -> str | None:
    """A fraction with four decimals, rounded down: 1.0000 is all of them. None: of nothing."""
    if rate is None:
        return None
    whole, rest = divmod(rate.numerator * 10**_PLACES // rate.denominator, 10**_PLACES)
    return f"{whole}.{rest:0{_PLACES}}"


def figures_object(figures: Figures) -> dict[str, Any]:
    """The sums of a row, amounts in fen."""
    rates = {name: rate_text(getattr(figures, name)) for name in RATES}
    return {name: getattr(figures, name) for name in FIGURES} | rates


def report_row_object(by: Sequence[By], row: ReportRow) -> dict[str, Any]:
    """A row: what it is of, then its sums."""
    return _key(by, row.key) | figures_object(row.figures)


def report_columns(by: Sequence[By]) -> list[str]:
    """The columns of the table: as the fields of JSON, but amounts are in yuan and say so."""
    sums = [f"{name}_yuan" if name in _MONEY else name for name in FIGURES]
    return [*(each.value for each in by), *sums, *RATES]


def report_cells(row: ReportRow) -> list[object]:
    """A row of the table."""
    key = [cell(None if part is None else _key_text(part)) for part in row.key]
    told = figures_object(row.figures)
    return [*key, *(_number(name, told[name]) for name in (*FIGURES, *RATES))]


def bill_object(bill: Bill) -> dict[str, Any]:
    """A bill, amounts in fen."""
    return {
        "object": "bill",
        "channel": bill.channel,
        "from": bill.days.first.isoformat(),
        "to": bill.days.last.isoformat(),
        "lines": [
            {
                "charge": line.charge.value,
                "scene": line.scene,
                "bank": line.bank,
                "count": line.count,
                "amount": line.amount,
                "fee": line.fee,
            }
            for line in bill.lines
        ],
        "fee": bill.fee,
        "open": bill.open,
        "invoiced": bill.invoiced,
        "apart": bill.apart,
    }


def bill_cells(bill: Bill) -> list[list[object]]:
    """The lines of a bill's table, then its sum, and what its PSP invoices if that is known."""
    lines: list[list[object]] = [
        [line.charge.value, cell(line.scene), cell(line.bank), line.count, yuan(line.amount), yuan(line.fee)]
        for line in bill.lines
    ]
    lines.append(["total", "", "", "", "", yuan(bill.fee)])
    if bill.invoiced is not None and bill.apart is not None:
        lines.append(["invoiced", "", "", "", "", yuan(bill.invoiced)])
        lines.append(["apart", "", "", "", "", yuan(bill.apart)])
    return lines


def _key(by: Sequence[By], key: Key) -> dict[str, str | None]:
    return {each.value: None if part is None else _key_text(part) for each, part in zip(by, key, strict=True)}


def _key_text(part: date | str) -> str:
    return part if isinstance(part, str) else part.isoformat()


def _number(name: str, value: object) -> object:
    if value is None:
        return ""
    return yuan(value) if name in _MONEY and isinstance(value, int) else value
