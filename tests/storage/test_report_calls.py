"""Reports and bills as operators get them: over HTTP as JSON and as CSV, and from the command line.

Not here: whether the sums are right (test_reports).
"""

import csv
import io
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.api.admin import reports as report_calls
from gateway.api.admin.reports import ReportAnswer, ReportCalls
from gateway.api.application import Api, build_app
from gateway.domain.catalogue import Account, Catalogue, Channel, Merchant
from gateway.domain.reports import By, Days, Figures, ReportRow, month_of
from gateway.objects.reports import FIGURES, RATES, report_columns
from gateway.run import reporting
from gateway.run.local import LocalError
from gateway.run.reporting import WantedBill, WantedReport, fen_of_text
from gateway.settings import Settings
from gateway.storage.reading.reports import Reports
from gateway.storage.tables import accounts, channels
from tests.storage.small_books import CHANNELS, MERCHANT, ZONE, put, small_books
from tests.unit.domain.samples import NOW

AT = "/v1/admin/merchants/acme"
MARCH = "from=2026-03-01&to=2026-03-31"
Client = TestClient[Any, Any]


def application(store: Any) -> Any:
    """An application with a merchant, and with nothing behind its other calls."""
    nothing = cast("Any", None)
    catalogue = Catalogue(
        1,
        merchants=(Merchant(MERCHANT, "acme", "Acme"),),
        accounts=(Account(MERCHANT, "tl", "mock", {}),),
        channels=(Channel(MERCHANT, "tl", "tl", "TL", True, {}),),
    )
    names = (
        "payments payer authentications shown_cards unbinding refunds payouts routes checkouts reading callbacks cards "
        "redirects returns readiness metrics"
    )
    api = Api(
        **dict.fromkeys(names.split(), nothing),
        settings=Settings(admin_token=SecretStr("an-operator")),
        cashier=cast("Any", SimpleNamespace(url_of=None)),
        catalogue=lambda: catalogue,
        clock=lambda: NOW,
    )
    return build_app(api, ReportCalls(store, lambda: catalogue).routes())


async def served(store: Any) -> Client:
    client: Client = TestClient(TestServer(application(store)), headers={"Authorization": "Bearer an-operator"})
    await client.start_server()
    return client


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[Client]:
    await put(engine, small_books(11))
    client = await served(Reports(engine, ZONE))
    yield client
    await client.close()


async def table(client: Client, address: str) -> list[dict[str, str]]:
    answer = await client.get(address)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.headers["Server"] == "Sluice"
    body = await answer.read()
    assert body.startswith(b"\xef\xbb\xbf")
    assert body.count(b"\n") == body.count(b"\r\n")
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


async def test_a_report_is_its_rows_and_their_sum(client: Client) -> None:
    answer = await client.get(f"{AT}/reports?{MARCH}&by=channel,scene")
    assert answer.status == 200
    told = await answer.json()
    ReportAnswer.model_validate(told)
    assert (told["from"], told["to"], told["by"]) == ("2026-03-01", "2026-03-31", ["channel", "scene"])
    assert {row["channel"] for row in told["data"]} == {*CHANNELS, None}
    for name in ("payments", "amount", "fee", "saved", "payouts"):
        assert told["total"][name] == sum(row[name] for row in told["data"])
    assert told["total"]["p50_ms"] is None
    (whole,) = (await (await client.get(f"{AT}/reports?{MARCH}&by=")).json())["data"]
    assert {name: whole[name] for name in FIGURES if not name.startswith("p")} == {
        name: told["total"][name] for name in FIGURES if not name.startswith("p")
    }
    assert whole["p99_ms"] > whole["p50_ms"] > 0


async def test_the_table_says_in_yuan_what_json_says_in_fen(client: Client) -> None:
    rows = (await (await client.get(f"{AT}/reports?{MARCH}&by=day,channel")).json())["data"]
    lines = await table(client, f"{AT}/reports.csv?{MARCH}&by=day,channel")
    assert list(lines[0]) == report_columns((By.DAY, By.CHANNEL))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert (line["day"], line["channel"]) == (row["day"], row["channel"] or "")
        assert Decimal(line["amount_yuan"]) * 100 == row["amount"]
        assert [line[name] for name in RATES] == [row[name] or "" for name in RATES]
        assert line["payments"] == str(row["payments"])


async def test_a_bill_is_held_against_an_invoice(client: Client) -> None:
    bill = await (await client.get(f"{AT}/channels/tl/bill?month=2026-03&invoice=100000")).json()
    assert bill["fee"] == sum(line["fee"] for line in bill["lines"])
    assert bill["apart"] == 100_000 - bill["fee"]
    assert {line["charge"] for line in bill["lines"]} == {"payment", "authentication", "payout", "refund"}
    lines = await table(client, f"{AT}/channels/tl/bill.csv?month=2026-03&invoice=100000")
    assert [line["charge"] for line in lines[-3:]] == ["total", "invoiced", "apart"]
    assert [Decimal(line["fee_yuan"]) * 100 for line in lines[-3:]] == [bill["fee"], 100_000, bill["apart"]]
    alone = await (await client.get(f"{AT}/channels/tl/bill?month=2026-03")).json()
    assert (alone["invoiced"], alone["apart"], alone["fee"]) == (None, None, bill["fee"])


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("reports?to=2026-03-31", "from"),
        ("reports?from=2026-03-01&to=2026-02-30", "to"),
        ("reports?from=2026-03-02&to=2026-03-01", "to"),
        ("reports?from=2020-01-01&to=2026-03-01", "to"),
        (f"reports?{MARCH}&by=week", "by"),
        (f"reports.csv?{MARCH}&by=day,day", "by"),
        ("reports?from=0001-01-01&to=0001-01-02", "from"),
        ("reports?from=9999-12-31&to=9999-12-31", "from"),
        ("channels/tl/bill?month=0001-01", "month"),
        ("channels/tl/bill?month=9999-12", "month"),
        ("channels/tl/bill?month=2026-13", "month"),
        ("channels/tl/bill?month=March", "month"),
        ("channels/tl/bill?month=2026-03&invoice=12.5", "invoice"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_field(client: Client, address: str, field: str) -> None:
    answer = await client.get(f"{AT}/{address}")
    assert answer.status == 422
    assert [error["field"] for error in (await answer.json())["errors"]] == [field]


async def test_what_is_not_there_is_not_found(client: Client) -> None:
    for address in (f"{AT}/channels/nope/bill?month=2026-03", f"/v1/admin/merchants/nope/reports?{MARCH}"):
        assert (await client.get(address)).status == 404
    for address in (f"{AT}/reports.csv?{MARCH}", f"{AT}/reports?{MARCH}"):
        assert (await client.get(address, headers={"Authorization": "Bearer sk_of_an_app_0123456"})).status in (
            401,
            403,
        )
    head = await client.head(f"{AT}/reports.csv?{MARCH}")
    assert (head.status, await head.read()) == (200, b"")


class Many:
    """Rows without an end in sight, some of odd names; it breaks where it is told to."""

    def __init__(self, rows: int, breaks_at: int | None = None) -> None:
        self.rows_, self.breaks_at, self.closed = rows, breaks_at, False

    async def rows(self, merchant_id: object, days: Days, by: object) -> AsyncIterator[ReportRow]:
        try:
            for number in range(self.rows_):
                if number == self.breaks_at:
                    raise RuntimeError("the books are gone")
                yield ReportRow((days.first, "=cmd|'x'!A1"), Figures(payments=number, saved=-number))
        finally:
            self.closed = True


async def test_a_table_of_any_length_is_sent_and_nothing_in_it_is_a_formula() -> None:
    client = await served(Many(50_000))
    lines = await table(client, f"{AT}/reports.csv?{MARCH}")
    assert len(lines) == 50_000
    assert (lines[-1]["payments"], lines[-1]["channel"], lines[-1]["saved_yuan"]) == (
        "49999",
        "'=cmd|'x'!A1",
        "-499.99",
    )
    too_many = await client.get(f"{AT}/reports?{MARCH}")
    assert (too_many.status, (await too_many.json())["errors"][0]["code"]) == (422, "too_many")
    await client.close()


async def test_a_table_that_breaks_off_is_never_taken_for_a_whole_one() -> None:
    before_the_first, in_the_middle = await served(Many(9, breaks_at=0)), await served(Many(9_000, breaks_at=5_000))
    lost = await before_the_first.get(f"{AT}/reports?{MARCH}")
    assert lost.status == 500
    with pytest.raises(ClientError):
        await (await in_the_middle.get(f"{AT}/reports.csv?{MARCH}")).read()
    await before_the_first.close()
    await in_the_middle.close()


async def test_who_goes_away_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Many(10**9)
    client = await served(store)
    answer = await client.get(f"{AT}/reports.csv?{MARCH}")
    await answer.content.readany()
    answer.close()
    await client.close()
    assert store.closed
    assert report_calls.ROWS_AT_ONCE < 1_000


# The command line


@pytest.fixture
async def books_url(engine: AsyncEngine, database_url: str) -> str:
    await put(engine, small_books(12))
    of = {"merchant_id": MERCHANT, "code": "tl"}
    async with engine.begin() as connection:
        await connection.execute(
            insert(accounts), of | {"provider": "mock", "settings": {}, "secrets": b"", "terms": {}}
        )
        named = {
            "account": "tl",
            "name": "TL",
            "is_on": True,
            "authentication": {},
            "authentication_fee": 0,
            "limits": {},
        }
        await connection.execute(insert(channels), of | named)
    return database_url


async def printed(work: Any) -> str:
    out = Console(record=True, width=240, file=io.StringIO())
    await work(out)
    return out.export_text()


async def test_a_report_is_printed_with_its_sums(books_url: str) -> None:
    wanted = WantedReport.of_texts(None, "2026-03-01", "2026-03-31", "channel", as_csv=False)
    text = await printed(lambda out: reporting.report(books_url, ZONE, wanted, out))
    assert "acme, 2026-03-01 to 2026-03-31" in text
    assert all(channel in text for channel in (*CHANNELS, "in all"))
    nothing = WantedReport.of_texts("acme", "2030-03-01", "2030-03-31", "day", as_csv=False)
    assert "nothing happened" in await printed(lambda out: reporting.report(books_url, ZONE, nothing, out))


async def test_a_report_is_written_as_csv(books_url: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    wanted = WantedReport.of_texts("acme", "2026-03-01", "2026-03-31", "day,bank", as_csv=True)
    await printed(lambda out: reporting.report(books_url, ZONE, wanted, out))
    text = capfdbinary.readouterr().out.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert list(lines[0]) == report_columns((By.DAY, By.BANK))
    assert {line["day"] for line in lines} >= {f"{date(2026, 3, 1) + timedelta(days=n)}" for n in (0, 30)}


async def test_a_bill_is_printed_with_what_is_apart(books_url: str) -> None:
    wanted = WantedBill.of_texts(None, "tl", "2026-03", "1234.5", as_csv=False)
    made = None

    async def work(out: Console) -> None:
        nonlocal made
        made = await reporting.bill(books_url, ZONE, wanted, out)

    text = await printed(work)
    assert made is not None
    assert made.apart == 123_450 - made.fee
    assert "1234.50" in text
    assert "are not final" in text


@pytest.mark.parametrize(("text", "fen"), [("1234.56", 123_456), ("0", 0), ("8.2", 820), (" 0.29", 29)])
def test_an_invoice_is_read_to_the_fen(text: str, fen: int) -> None:
    assert fen_of_text(text) == fen


@pytest.mark.parametrize("text", ["1,234.56", "-1", "1.234", "1e3", "", "١"])
def test_an_invoice_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match="--invoice"):
        fen_of_text(text)


def test_days_and_months_that_are_none_are_refused() -> None:
    for first, last, by in (
        ("1 March", "2026-03-31", ""),
        ("2026-03-01", "2026-02-30", ""),
        ("2026-03-02", "2026-03-01", ""),
    ):
        with pytest.raises(LocalError, match=r"--(from|to) "):
            WantedReport.of_texts(None, first, last, by, as_csv=False)
    with pytest.raises(LocalError, match="--by must be some of"):
        WantedReport.of_texts(None, "2026-03-01", "2026-03-02", "week", as_csv=False)
    for month in ("2026-13", "03-2026", "2026-3"):
        with pytest.raises(LocalError, match="--month is no month"):
            WantedBill.of_texts(None, "tl", month, None, as_csv=False)
    assert WantedBill.of_texts(None, "tl", "2026-03", None, as_csv=False).days == month_of(2026, 3)


async def test_who_is_not_there_is_told_by_name(books_url: str) -> None:
    for merchant, channel, said in (
        ("nope", "tl", "no merchant nope"),
        (None, "no", "no merchant that has"),
        ("acme", "no", "no channel no"),
    ):
        wanted = WantedBill.of_texts(merchant, channel, "2026-03", None, as_csv=False)
        with pytest.raises(LocalError, match=said):
            await printed(lambda out, wanted=wanted: reporting.bill(books_url, ZONE, wanted, out))
