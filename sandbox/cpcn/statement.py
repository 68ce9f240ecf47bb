"""CPCN's statements: 1811 tells a day by pages, 1810 whole, its transactions compressed (GzipData).

The sandbox's own choices, since no source tells them: a payout that came back is a transaction 1348; the code that says
that a day is not there yet; the compression (gzip); and a person gets 1810 with its transactions as elements.
"""

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from xml.sax.saxutils import escape  # nosec: writing only

from aiohttp import web

from sandbox.books import Kind
from sandbox.cpcn import codes as table
from sandbox.cpcn.notices import beijing
from sandbox.cpcn.wire import Message, RefusedError, answer, response_text
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import CpcnKeys
from sandbox.provider import Provider
from sandbox.statements import StatementRow

__all__ = ["StatementDesk", "elements_of", "text_of"]

WHOLE, BY_PAGES = "1810", "1811"
NOT_READY: Final = "240099"
NOT_READY_TEXT: Final = "对账单尚未生成"
MAX_ROWS: Final = 10_000
PAYMENTS: Final[Mapping[Kind, str]] = {"consume": "2511", "withhold": "2011", "netbank": "1111"}
COLUMNS: Final = (
    "TxType", "TxSn", "TxAmount", "InstitutionAmount", "PaymentAmount", "PayerFee", "InstitutionFee", "Remark",
    "BankNotificationTime", "MarketOrderNo", "SettlementFlag", "SplitType", "SplitResult", "BizType",
    "InstitutionRefundFee",
)  # fmt: skip
_NUMBER = re.compile("[0-9]{1,9}")
_DAY = re.compile("[0-9]{8}")


def elements_of(row: StatementRow) -> dict[str, str]:
    """A transaction, each element in its place, empty where there is nothing to say."""
    taken, given = max(row.fee, 0), max(-row.fee, 0)
    told = {
        "TxType": _type_of(row), "TxSn": row.number, "TxAmount": str(row.amount),
        "InstitutionAmount": str(row.amount - row.fee), "PaymentAmount": str(row.amount), "PayerFee": "0",
        "InstitutionFee": str(taken), "BankNotificationTime": beijing(row.at), "SettlementFlag": "0001",
        "InstitutionRefundFee": str(given) if given else "",
    }  # fmt: skip
    return {name: told.get(name, "") for name in COLUMNS}


def text_of(rows: Sequence[StatementRow]) -> bytes:
    """What is compressed: a line for each transaction."""
    return "".join(",".join(elements_of(row).values()) + "\r\n" for row in rows).encode()


def _type_of(row: StatementRow) -> str:
    if row.kind == "payment":
        return PAYMENTS.get(row.order.kind, "2511")
    if row.kind == "refund":
        return row.order.echo.get("TxCode", "2521")
    return "1341" if row.kind == "payout" else "1348"


def _xml_of(rows: Sequence[StatementRow]) -> str:
    """A line for each transaction, so that a fault can cut between two."""
    listed = ("".join(f"<{k}>{escape(v)}</{k}>" for k, v in elements_of(row).items()) for row in rows)
    return "".join(f"\n<Tx>{inside}</Tx>" for inside in listed)


class StatementDesk:
    """The statements of one institution."""

    def __init__(self, provider: Provider, keys: CpcnKeys) -> None:
        self._provider, self._keys = provider, keys

    def takes(self, message: Message) -> bool:
        """Whether a request is for a statement."""
        return message["TxCode"] in (WHOLE, BY_PAGES)

    async def handle(self, request: web.Request, message: Message) -> web.Response:
        """Answer it. Raises RefusedError."""
        day = _day(message["Date"])
        page, size = (_number(message, name) for name in ("PageNO", "CountPerPage"))
        if message["TxCode"] == BY_PAGES and not (page >= 1 and 1 <= size <= MAX_ROWS):
            raise RefusedError("2016", "PageNO,CountPerPage")
        occasion = Occasion("statement", "", day=day.isoformat())
        if self._provider.faults.take("maintenance", occasion):
            raise RefusedError("2001")

        def work() -> bytes:
            if not self._provider.statements.is_ready(day):
                return response_text(NOT_READY, NOT_READY_TEXT, None)
            rows = self._provider.statements.rows(day)
            text = self._by_pages(rows, page, size) if message["TxCode"] == BY_PAGES else self._compressed(rows)
            return self._provider.statements.delivered(day, text)

        return await exchange(request, self._provider.faults, occasion, work, self._render)

    def file(self, day: date) -> tuple[str, bytes]:
        """A day as a person gets it: 1810's XML, unsigned."""
        rows = self._provider.statements.rows(day)
        return f"{self._keys.institution_id}_{day:%Y%m%d}.xml", self._response({}, _xml_of(rows))

    def _by_pages(self, rows: Sequence[StatementRow], page: int, size: int) -> bytes:
        return self._response({"TotalCount": str(len(rows))}, _xml_of(rows[(page - 1) * size : page * size]))

    def _compressed(self, rows: Sequence[StatementRow]) -> bytes:
        packed = base64.b64encode(gzip.compress(text_of(rows), mtime=0)).decode()
        return self._response({}, f"<GzipData>{packed}</GzipData>")

    def _response(self, leaves: Mapping[str, str], more: str) -> bytes:
        told = {"InstitutionID": self._keys.institution_id, **leaves}
        return response_text(table.HANDLED, table.HEADS[table.HANDLED], told, more)

    def _render(self, text: bytes, wrongly: bool) -> web.Response:
        content = answer(text, text + b"?" if wrongly else text, self._keys.psp)
        return web.Response(body=content, content_type="text/html", charset="utf-8")


def _day(text: str) -> date:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError("2016", "Date") from None


def _number(message: Message, name: str) -> int:
    return int(message[name]) if _NUMBER.fullmatch(message[name]) else 0
