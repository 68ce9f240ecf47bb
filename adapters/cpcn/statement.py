"""CPCN's statements: 1811 brings the transactions of a day by pages; 1810 brings the day, for files that are given.

Sources: the templates and the field names of CPCN's library (H; TotalCount, GzipData: H). Not public: when a day is
there, by what code CPCN says that it is not, and the order of newer columns.
"""

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from adapters.account import AccountError, statement_rules
from adapters.cpcn.codes import HANDLED
from adapters.cpcn.envelope import UnreadableError, verified
from adapters.cpcn.exchange import Exchange, Tx
from adapters.cpcn.statement_pages import MAX_PAGE_BYTES, Page, Pages, Whose, pages_in, whole
from adapters.cpcn.statement_rows import kinds_of, line_of
from adapters.statement_files import MAX_FILE_BYTES, Place
from gateway.domain.statements import StatementLine, StatementRules, ends_at
from gateway.domain.terms import Product
from gateway.ports import AccountSettings
from gateway.ports.statements import (
    Download,
    StatementFile,
    StatementNotReadyError,
    StatementRefusedError,
)

__all__ = ["CpcnStatements"]

ASK_PAGE: Final = Tx("1811", Product.PAYMENT, in_body=True)
MAX_ROWS_PER_PAGE: Final = 10_000  # (H)
MAX_PAGES: Final = 500
"""Five million transactions in full pages: beyond it is no statement of a day."""
DRIFT: Final = timedelta(hours=2)
"""How far outside of the day a bank may have told of a transaction of it."""
NOT_YET: Final = re.compile("未生成|未出|未就绪|尚未|生成中|稍后|稍候")
_HEAD_CODE = re.compile(r"[0-9]{4,16}")


class CpcnStatements:
    """The statements of one institution. Settings: `statement_types`, what more TxTypes are; `statement_page_rows`, how
    many transactions a page has; `statement_not_ready`, codes of the head by which CPCN says that a day is not there
    yet. Raises AccountError.
    """

    def __init__(self, account: AccountSettings, exchange: Exchange) -> None:
        self.rules = statement_rules(account, StatementRules())
        self._exchange, self._kinds = exchange, kinds_of(account)
        rows = account.settings.get("statement_page_rows", MAX_ROWS_PER_PAGE)
        if not isinstance(rows, int) or isinstance(rows, bool) or not 1 <= rows <= MAX_ROWS_PER_PAGE:
            raise AccountError(account, "statement_page_rows", f"must be a number from 1 to {MAX_ROWS_PER_PAGE}")
        self._page_rows = rows
        told = account.settings.get("statement_not_ready", [])
        if not isinstance(told, list) or not all(_HEAD_CODE.fullmatch(str(code)) for code in told):
            raise AccountError(account, "statement_not_ready", "must be a list of codes of the head")
        self._not_ready = frozenset(map(str, told)) - {HANDLED}

    def read(self, files: Sequence[StatementFile], day: date) -> Iterator[StatementLine]:
        """One line for each transaction but those that moved no money of orders: bindings, checks of a card's holder,
        and types that nobody knows with an amount of 0. `line` counts transactions, over all files.

        What CPCN signed must have its signature; XML or text alone is a person's word. Raises StatementRefusedError.
        """
        if not files:
            raise StatementRefusedError("no file was given", "statement")
        pages, place, days = Pages(self._whose(day)), Place(files[0].name), _Days(day, self)
        for file in files:
            place.file = file.name
            for rows in pages_in(file, place, pages, self._believed):
                for row in rows:
                    line = line_of(row, place, self._kinds)
                    if line is not None:
                        days.look(line, place)
                        yield line
        pages.end(place)
        if not pages.is_titled:
            days.end()

    async def fetch(self, day: date, folder: Path, download: Download, now: datetime) -> list[StatementFile]:  # noqa: ARG002
        """Ask for the pages of the day until TotalCount transactions are there, and keep them as one file."""
        name = f"{self._exchange.institution_id}-{day:%Y%m%d}.cpcn.gz"
        pages, place, arrived = Pages(self._whose(day)), Place(name), folder / f"{name}.page"
        kept = _Kept(folder / name, place)
        kept.add(self._whose(day).title)
        for number in range(1, MAX_PAGES + 1):
            body = {"Date": f"{day:%Y%m%d}", "PageNO": str(number), "CountPerPage": str(self._page_rows)}
            response = await download(self._exchange.request(ASK_PAGE, body), arrived, MAX_PAGE_BYTES)
            if response.status_code != httpx.codes.OK:
                raise whole(place, f"page {number}: HTTP {response.status_code}")
            is_last = self._take(arrived, number, pages, place)
            kept.add(arrived.read_bytes())
            if is_last:
                arrived.unlink()
                return [kept.close()]
        raise whole(place, f"would take more than {MAX_PAGES} pages")

    async def confirm(self, day: date, download: Download, folder: Path, now: datetime) -> None:
        """CPCN wants no word that a statement was taken."""

    def _whose(self, day: date) -> Whose:
        return Whose(self._exchange.institution_id, day)

    def _believed(self, answer: bytes) -> bytes:
        return verified(answer, self._exchange.psp_key, MAX_PAGE_BYTES)

    def _take(self, arrived: Path, number: int, pages: Pages, place: Place) -> bool:
        """Look through a page that arrived; whether it is the last one."""
        try:
            text = self._believed(arrived.read_bytes())
        except UnreadableError as error:
            raise whole(place, f"page {number} is no answer of CPCN's: {error}") from None
        page = Page()
        for _ in pages.read(io.BytesIO(text), place, page):
            if page.rows > self._page_rows:
                raise whole(place, f"page {number} has more than {self._page_rows} transactions")
        if page.code != HANDLED:
            said = f"{page.code} {page.message}".strip()
            if page.code in self._not_ready or NOT_YET.search(page.message):
                raise StatementNotReadyError(said)
            raise whole(place, f"page {number} is refused by CPCN: {said}")
        if page.total is None:
            raise whole(place, f"page {number} states no total", "TotalCount")
        if page.total > MAX_PAGES * self._page_rows:
            raise whole(place, f"would take more than {MAX_PAGES} pages", "TotalCount")
        if pages.rows < page.total:
            if page.rows < self._page_rows:
                reason = f"page {number} has {page.rows} transactions, {page.total - pages.rows} are still to come"
                raise whole(place, reason, "TotalCount")
            return False
        pages.end(place)
        return True


class _Days:
    """Whether the times of the transactions are of the day; a file without times says nothing of it."""

    def __init__(self, day: date, statements: CpcnStatements) -> None:
        self._day = day
        cut = statements.rules.day_cut
        self._begins, self._ends = ends_at(day - timedelta(days=1), cut) - DRIFT, ends_at(day, cut) + DRIFT
        self._is_there = False
        self._other: StatementRefusedError | None = None

    def look(self, line: StatementLine, place: Place) -> None:
        """See when it was done."""
        if line.at is None or self._is_there:
            return
        self._is_there = self._begins <= line.at < self._ends
        if not self._is_there and self._other is None:
            self._other = place.refused(f"is of another day than {self._day}, as all are", "BankNotificationTime")

    def end(self) -> None:
        """Raises StatementRefusedError: all are of other days."""
        if self._other is not None and not self._is_there:
            raise self._other


class _Kept:
    """The file of a day while it grows: answers in lines, compressed: a million transactions are 700 MB of base64.

    Raises StatementRefusedError above `MAX_FILE_BYTES`.
    """

    def __init__(self, path: Path, place: Place) -> None:
        self._path, self._place = path, place
        self._packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        path.write_bytes(b"")

    def add(self, answer: bytes) -> None:
        """One more line."""
        self._write(self._packer.compress(answer.strip() + b"\n"))

    def close(self) -> StatementFile:
        """There is no more."""
        self._write(self._packer.flush())
        return StatementFile(self._path.name, self._path)

    def _write(self, packed: bytes) -> None:
        if self._path.stat().st_size + len(packed) > MAX_FILE_BYTES:
            raise whole(self._place, f"is above {MAX_FILE_BYTES} bytes")
        with self._path.open("ab") as file:
            file.write(packed)
