"""Reports of a merchant, and what a channel's PSP should invoice for a month: as JSON, and as CSV for spreadsheets."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field, create_model

from gateway.api.admin.changes import CHANNEL
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import Code, QueryModel, query_integer
from gateway.api.http.price_fields import BusinessDay
from gateway.api.http.problems import FieldError, Problem, bad_fields, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.reports import (
    Bill,
    By,
    Charge,
    Days,
    Figures,
    ReportError,
    ReportRow,
    month_of,
    read_by,
    total_of,
)
from gateway.objects.reports import (
    BILL_COLUMNS,
    FIGURES,
    RATES,
    bill_cells,
    bill_object,
    figures_object,
    report_cells,
    report_columns,
    report_row_object,
)
from gateway.objects.tables import BOM, CSV, csv_lines
from router.fees import MAX_FEN

__all__ = ["MAX_ROWS", "ReportCalls", "Reports"]

MAX_ROWS: Final = 10_000
"""Of an answer in JSON; a table may have any number."""
ROWS_AT_ONCE: Final = 200
"""In one piece of a table."""
_CHANNEL_ABOUT: Final = MERCHANT_ABOUT | {"channel": "the channel's code"}
_TIMES: Final = ("p50_ms", "p99_ms")


class Reports(Protocol):
    """Where reports are read: `gateway.storage.reading.reports.Reports`."""

    def rows(self, merchant_id: UUID, days: Days, by: Sequence[By]) -> AsyncIterator[ReportRow]:
        """The rows by key, as they come."""
        ...

    async def bill(self, merchant_id: UUID, channel: str, days: Days, invoiced: int | None = None) -> Bill:
        """What the PSP of a channel should invoice for these days."""
        ...


if TYPE_CHECKING:
    InvoiceFen: TypeAlias = int
else:
    InvoiceFen = query_integer(0, MAX_FEN)


class ReportQuery(QueryModel):
    """Of which business days, the first and the last one included, and what the rows are apart by."""

    from_: Annotated[BusinessDay, Field(alias="from")]
    to: BusinessDay
    by: Annotated[
        str,
        Field(
            max_length=60,
            description="some of day, month, channel, bank and scene, with commas between; empty: one row of all",
        ),
    ] = "day,channel"


class BillQuery(QueryModel):
    """Of which month, and what the PSP invoices for it."""

    month: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$", description="of business days: 2026-03")]
    invoice: Annotated[InvoiceFen | None, Field(description="what the PSP's invoice says, in fen")] = None


_RATE = Annotated[str | None, Field(description="a fraction, rounded down: 0.9876")]
_SUMS: dict[str, Any] = {name: (int | None if name in _TIMES else int, ...) for name in FIGURES}
_OF: dict[str, Any] = {each.value: (str | None, None) for each in By}
FiguresAnswer: Any = create_model(
    "FiguresAnswer",
    __doc__="Sums, amounts in fen; a rate of nothing is null.",
    **_SUMS | dict.fromkeys(RATES, (_RATE, ...)),
)
ReportRowAnswer: Any = create_model(
    "ReportRowAnswer", __base__=FiguresAnswer, __doc__="A row: what it is of (as `by` says), and its sums.", **_OF
)


class ReportAnswer(BaseModel):
    """A report. `total` has no times: the middle of middles is nothing."""

    object: Literal["report"]
    merchant: Code
    from_: Annotated[str, Field(alias="from", json_schema_extra={"format": "date"})]
    to: Annotated[str, Field(json_schema_extra={"format": "date"})]
    by: list[By]
    data: list[ReportRowAnswer]
    total: FiguresAnswer


class BillLineAnswer(BaseModel):
    """So many of one kind, scene and bank; a fee below zero is given back."""

    charge: Charge
    scene: str | None
    bank: str | None
    count: int
    amount: int
    fee: int


class BillAnswer(BaseModel):
    """What a PSP should invoice, in fen. `apart`: what its invoice asks for beyond `fee`.

    `open`: payments and payouts of the month that are not final, and not in it.
    """

    object: Literal["bill"]
    channel: Code
    from_: Annotated[str, Field(alias="from", json_schema_extra={"format": "date"})]
    to: Annotated[str, Field(json_schema_extra={"format": "date"})]
    lines: list[BillLineAnswer]
    fee: int
    open: int
    invoiced: int | None
    apart: int | None


@dataclass(frozen=True, slots=True)
class ReportCalls:
    """The calls of reports. `catalogue`: the one in force."""

    store: Reports
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The routes."""
        about = (
            "What each row sums is told in docs/reports.md. It is read from the books beside payments, and takes some "
            "seconds for a month of a million payments."
        )
        return [
            Route("GET", f"{MERCHANT}/reports", self.report, "what channels cost and earned", TAGS,
                  {200: Answer(ReportAnswer, "the rows, by what they are of; where nothing happened there is none")},
                  scope="admin", query=ReportQuery, path_about=MERCHANT_ABOUT, description=about),
            Route("GET", f"{MERCHANT}/reports.csv", self.report_table, "the same for a spreadsheet", TAGS,
                  {200: Answer(None, "UTF-8 with BOM, amounts in yuan", CSV)},
                  scope="admin", query=ReportQuery, path_about=MERCHANT_ABOUT, description=about),
            Route("GET", f"{CHANNEL}/bill", self.bill, "what a channel's PSP should invoice for a month", TAGS,
                  {200: Answer(BillAnswer, "the bill")},
                  scope="admin", query=BillQuery, path_about=_CHANNEL_ABOUT),
            Route("GET", f"{CHANNEL}/bill.csv", self.bill_table, "the same for a spreadsheet", TAGS,
                  {200: Answer(None, "UTF-8 with BOM, amounts in yuan", CSV)},
                  scope="admin", query=BillQuery, path_about=_CHANNEL_ABOUT),
        ]  # fmt: skip

    async def report(self, call: Call) -> Reply:
        merchant, (days, by) = merchant_of(self.catalogue(), call), _asked(call.query)
        rows: list[ReportRow] = []
        async for row in self.store.rows(merchant.merchant_id, days, by):
            if len(rows) == MAX_ROWS:
                raise _too_many()
            rows.append(row)
        answer = {
            "object": "report",
            "merchant": merchant.code,
            "from": days.first.isoformat(),
            "to": days.last.isoformat(),
            "by": [each.value for each in by],
            "data": [report_row_object(by, row) for row in rows],
            "total": figures_object(_total(rows)),
        }
        return Reply(answer)

    async def report_table(self, call: Call) -> Reply:
        merchant, (days, by) = merchant_of(self.catalogue(), call), _asked(call.query)
        rows = self.store.rows(merchant.merchant_id, days, by)
        return _file(_table(report_columns(by), rows), f"report-{merchant.code}-{days.first}-{days.last}")

    async def bill(self, call: Call) -> Reply:
        return Reply(bill_object(await self._bill(call)))

    async def bill_table(self, call: Call) -> Reply:
        bill = await self._bill(call)
        table = BOM + csv_lines([list(BILL_COLUMNS), *bill_cells(bill)])
        return _file(table, f"bill-{bill.channel}-{bill.days.first:%Y-%m}")

    async def _bill(self, call: Call) -> Bill:
        catalogue = self.catalogue()
        channel = catalogue.channels.get((merchant_of(catalogue, call).merchant_id, call.path["channel"]))
        if channel is None:
            raise not_found("channel")
        year, month = call.query.month.split("-")
        try:
            days = month_of(int(year), int(month))
        except ReportError as error:
            raise _refused(error) from None
        return await self.store.bill(channel.merchant_id, channel.code, days, call.query.invoice)


def _asked(query: ReportQuery) -> tuple[Days, tuple[By, ...]]:
    try:
        return Days(query.from_, query.to), read_by(query.by)
    except ReportError as error:
        raise _refused(error) from None


def _refused(error: ReportError) -> Problem:
    return bad_fields([FieldError(error.field, "invalid", str(error))])


def _too_many() -> Problem:
    why = f"gives more than {MAX_ROWS} rows: name less, ask for fewer days, or take reports.csv"
    return bad_fields([FieldError("by", "too_many", why)])


def _total(rows: Sequence[ReportRow]) -> Figures:
    """One row of all is its own sum, with its times."""
    return rows[0].figures if len(rows) == 1 else total_of(row.figures for row in rows)


async def _table(columns: Sequence[str], rows: AsyncIterator[ReportRow]) -> AsyncIterator[bytes]:
    part: list[Sequence[object]] = [columns]
    yield BOM
    async for row in rows:
        part.append(report_cells(row))
        if len(part) >= ROWS_AT_ONCE:
            yield csv_lines(part)
            part = []
    yield csv_lines(part)


def _file(body: object, name: str) -> Reply:
    return Reply(body, content_type=CSV, headers={"Content-Disposition": f'attachment; filename="{name}.csv"'})
