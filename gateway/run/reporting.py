"""`sluice report` and `sluice report bill`: sums of the books in a terminal, or as CSV."""

import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from gateway.domain.money import yuan
from gateway.domain.reports import Bill, By, Days, Figures, ReportError, ReportRow, month_of, read_by, total_of
from gateway.objects.reports import BILL_COLUMNS, bill_cells, rate_text, report_cells, report_columns
from gateway.objects.tables import BOM, csv_lines
from gateway.run.local import LocalError
from gateway.storage.reading.reports import REPORT_TIMEOUT_MS, Reports, named_in_force
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.engine import AsyncEngine, create_engine
from gateway.storage.server.migrate import require_current

__all__ = ["WantedBill", "WantedReport", "bill", "fen_of_text", "report"]

NAME: Final = "sluice report"
"""Of its connections."""
ROWS_AT_ONCE: Final = 200
MAX_SHOWN: Final = 1_000
"""Rows of a table in a terminal."""
_YUAN: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,2}))?", re.ASCII)
_HEADINGS: Final = (
    "payments", "yuan", "fees", "auth.", "auth. fees", "raw", "channel", "saved", "kept cost", "p50 s", "p99 s",
    "refunds", "yuan", "payouts", "yuan",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WantedReport:
    """What a person asked for. Raises LocalError by `of_texts` for what cannot be."""

    merchant: str | None
    days: Days
    by: tuple[By, ...]
    as_csv: bool

    @classmethod
    def of_texts(cls, merchant: str | None, first: str, last: str, by: str, *, as_csv: bool) -> "WantedReport":
        """Read what was typed."""
        try:
            return cls(merchant, Days(_day("--from", first), _day("--to", last)), read_by(by), as_csv)
        except ReportError as error:
            raise LocalError(f"--{error.field} {error}") from None


@dataclass(frozen=True, slots=True)
class WantedBill:
    """The same of a bill. `invoiced` in fen."""

    merchant: str | None
    channel: str
    days: Days
    invoiced: int | None
    as_csv: bool

    @classmethod
    def of_texts(
        cls, merchant: str | None, channel: str, month: str, invoice: str | None, *, as_csv: bool
    ) -> "WantedBill":
        """Read what was typed."""
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", month, re.ASCII):
            raise LocalError("--month is no month: write 2026-03")
        try:
            days = month_of(int(month[:4]), int(month[5:]))
        except ReportError as error:
            raise LocalError(f"--month {error}") from None
        return cls(merchant, channel, days, None if invoice is None else fen_of_text(invoice), as_csv)


def fen_of_text(text: str) -> int:
    """Yuan as an invoice writes them. Raises LocalError."""
    found = _YUAN.fullmatch(text.strip())
    if found is None:
        raise LocalError("--invoice must be yuan with at most two decimals, without commas: 1234.56")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


async def report(url: str, zone: ZoneInfo, wanted: WantedReport, out: Console) -> None:
    """Print a report. Raises LocalError where there is no such merchant."""
    async with _reports(url, zone) as (engine, reports):
        merchant, merchant_id, _ = await _merchant(engine, wanted.merchant)
        rows = reports.rows(merchant_id, wanted.days, wanted.by)
        if wanted.as_csv:
            await _write_csv(report_columns(wanted.by), rows)
            return
        shown, left_out, figures = list[ReportRow](), 0, list[Figures]()
        async for row in rows:
            figures.append(row.figures)
            if len(shown) < MAX_SHOWN:
                shown.append(row)
            else:
                left_out += 1
    table = Table(title=f"{merchant}, {wanted.days.first} to {wanted.days.last}", pad_edge=False)
    for each in wanted.by:
        table.add_column(each.value, no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True, justify="right")
    for row in shown:
        table.add_row(*("-" if part is None else str(part) for part in row.key), *_cells(row.figures))
    if wanted.by and shown:
        table.add_section()
        label = ["in all", *[""] * (len(wanted.by) - 1)]
        table.add_row(*label, *_cells(total_of(figures)))
    out.print(table if shown else f"{merchant}: nothing happened from {wanted.days.first} to {wanted.days.last}")
    if left_out:
        out.print(f"and {left_out:,} rows more, which are in the sums: --csv has all")


async def bill(url: str, zone: ZoneInfo, wanted: WantedBill, out: Console) -> Bill:
    """Print a bill, and answer it. Raises LocalError where there is no such channel."""
    async with _reports(url, zone) as (engine, reports):
        merchant, merchant_id, channels = await _merchant(engine, wanted.merchant, having=wanted.channel)
        if wanted.channel not in channels:
            raise LocalError(f"{merchant} has no channel {wanted.channel}: `sluice catalogue show` lists them")
        made = await reports.bill(merchant_id, wanted.channel, wanted.days, wanted.invoiced)
    cells = bill_cells(made)
    if wanted.as_csv:
        _write(BOM + csv_lines([list(BILL_COLUMNS), *cells]))
        return made
    table = Table(title=f"{merchant}.{made.channel}, {made.days.first:%Y-%m}", pad_edge=False)
    for heading in ("charge", "scene", "bank"):
        table.add_column(heading, no_wrap=True)
    for heading in ("count", "yuan", "fees"):
        table.add_column(heading, no_wrap=True, justify="right")
    for number, line in enumerate(cells):
        if number == len(made.lines):
            table.add_section()
        table.add_row(*map(str, line))
    out.print(table)
    if made.open:
        out.print(f"{made.open:,} payments and payouts of the month are not final: what they cost is not in it")
    return made


def _cells(figures: Figures) -> list[str]:
    def seconds(ms: int | None) -> str:
        return "" if ms is None else f"{ms // 1000}.{ms % 1000:03}"

    return [
        f"{figures.payments:,}",
        yuan(figures.amount),
        yuan(figures.fee),
        f"{figures.authentications:,}",
        yuan(figures.authentication_fee),
        rate_text(figures.success_rate) or "",
        rate_text(figures.channel_success_rate) or "",
        yuan(figures.saved),
        yuan(figures.kept_cost),
        seconds(figures.p50_ms),
        seconds(figures.p99_ms),
        f"{figures.refunds:,}",
        yuan(figures.refunded),
        f"{figures.payouts:,}",
        yuan(figures.paid_out),
    ]


async def _write_csv(columns: Sequence[str], rows: AsyncIterator[ReportRow]) -> None:
    part: list[Sequence[object]] = [columns]
    _write(BOM)
    async for row in rows:
        part.append(report_cells(row))
        if len(part) >= ROWS_AT_ONCE:
            _write(csv_lines(part))
            part = []
    _write(csv_lines(part))


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@asynccontextmanager
async def _reports(url: str, zone: ZoneInfo) -> AsyncIterator[tuple[AsyncEngine, Reports]]:
    """A look at what is there, with the usual patience, and what reads for as long as a report takes."""
    usual = create_engine(url, 1, application_name=NAME)
    patient = create_engine(url, 1, application_name=NAME, statement_timeout_ms=REPORT_TIMEOUT_MS)
    try:
        await require_bounds(usual)
        await require_current(usual)
        yield usual, Reports(patient, zone)
    finally:
        await patient.dispose()
        await usual.dispose()


async def _merchant(
    engine: AsyncEngine, code: str | None, having: str | None = None
) -> tuple[str, UUID, frozenset[str]]:
    """The merchant that is named; without a name the only one (that has this channel)."""
    known = await named_in_force(engine)
    if code is not None:
        if code not in known:
            raise LocalError(f"there is no merchant {code}: `sluice catalogue show` lists them")
        return code, known[code].merchant_id, known[code].channels
    found = [each for each, merchant in known.items() if having is None or having in merchant.channels]
    if len(found) != 1:
        what = "merchant" if having is None else f"merchant that has a channel {having}"
        raise LocalError(
            f"more than one {what}: say --merchant, one of {', '.join(found)}" if found else f"there is no {what}"
        )
    return found[0], known[found[0]].merchant_id, known[found[0]].channels


def _day(option: str, text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise LocalError(f"{option} is no day: write 2026-03-05")
