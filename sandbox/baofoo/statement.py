"""Baofoo's statements: fileLoadRequest gives a day's `fi` (collections, refunds) or `fo` (payouts), text in a zip (M).

The sandbox's own choices, since no source tells them: the codes of refusals; the line of a refund has the number of its
payment; the first columns of `fo` are those of `fi`; its other columns are empty; a person gets both files in one zip.
"""

import base64
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import BaofooKeys
from sandbox.provider import Provider
from sandbox.statements import StatementRow

__all__ = ["StatementDesk", "text_of"]

PATH: Final = "/baofoo/boas/api/fileLoadRequest"
VERSION: Final = "4.0.0.1"
DONE, PARAMETERS, NO_MERCHANT, BUSY, NOT_READY = "0000", "0001", "0202", "0999", "1001"
MESSAGES: Final = {
    DONE: "成功", PARAMETERS: "参数错误", NO_MERCHANT: "商户不存在", BUSY: "系统繁忙", NOT_READY: "对账文件未生成",
}  # fmt: skip
FILES: Final[Mapping[str, frozenset[str]]] = {
    "fi": frozenset({"payment", "refund"}),
    "fo": frozenset({"payout", "return"}),
}
"""Which rows stand in which."""
PAYMENT, REFUND, PAYOUT = ("0431", "00"), ("0331", "09"), ("0432", "00")
"""Transaction type and sub type; all but the sub type 00 are the sandbox's own."""


def text_of(file_type: str, rows: Sequence[StatementRow], member_id: str, terminal_id: str) -> bytes:
    """The lines of a file."""
    cells_of = _collected if file_type == "fi" else _paid_out
    mine = (row for row in rows if row.kind in FILES[file_type])
    return "".join("|".join((member_id, terminal_id, *cells_of(row))) + "\n" for row in mine).encode()


def _collected(row: StatementRow) -> tuple[str, ...]:
    number = (row.original or row.number) if row.kind == "refund" else row.number
    kinds = REFUND if row.kind == "refund" else PAYMENT
    status = "1" if row.paid else "0"
    money = (_yuan(row.amount), _yuan(row.fee))
    return (*kinds, row.transaction_no, number, row.day.isoformat(), status, *money, row.transaction_no)


def _paid_out(row: StatementRow) -> tuple[str, ...]:
    state = "2" if row.kind == "return" else "1" if row.paid else "-1"
    told = (row.number, "", row.day.isoformat(), state, _yuan(row.amount), "", "", "", row.transaction_no)
    return (*PAYOUT, row.transaction_no, *told)


def _yuan(amount: int) -> str:
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02d}"


def _zipped(texts: Mapping[str, bytes], day: date) -> bytes:
    """The same bytes for the same texts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


class StatementDesk:
    """The files of one merchant."""

    def __init__(self, provider: Provider, keys: BaofooKeys) -> None:
        self._provider, self._keys = provider, keys

    def routes(self) -> Iterable[web.RouteDef]:
        """The address of the service."""
        yield web.post(PATH, self._handle)

    def file(self, day: date) -> tuple[str, bytes]:
        """A day as a person gets it."""
        rows = self._provider.statements.rows(day)
        texts = {f"{file_type}_{day:%Y%m%d}.txt": self._text(file_type, rows) for file_type in FILES}
        return f"{self._keys.member_id}_{day:%Y%m%d}.zip", _zipped(texts, day)

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            form = dict(parse_qsl((await request.read()).decode("ascii"), errors="strict", max_num_fields=10))
            day = date.fromisoformat(form.get("settle_date", ""))
        except ValueError:
            return _told(PARAMETERS)
        if form.get("version") != VERSION or form.get("file_type") not in FILES or not form.get("client_ip"):
            return _told(PARAMETERS)
        if form.get("member_id") != self._keys.member_id:
            return _told(NO_MERCHANT)
        occasion = Occasion("statement", "", day=day.isoformat())
        if self._provider.faults.take("maintenance", occasion):
            return _told(BUSY)
        return await exchange(
            request,
            self._provider.faults,
            occasion,
            lambda: self._work(form["file_type"], day),
            lambda said, _: _told(*said),
        )

    def _work(self, file_type: str, day: date) -> tuple[str, bytes]:
        if not self._provider.statements.is_ready(day):
            return NOT_READY, b""
        text = self._text(file_type, self._provider.statements.rows(day))
        text = self._provider.statements.delivered(day, text)
        return DONE, _zipped({f"{self._keys.member_id}_{day:%Y%m%d}_{file_type}.txt": text}, day)

    def _text(self, file_type: str, rows: Sequence[StatementRow]) -> bytes:
        return text_of(file_type, rows, self._keys.member_id, self._keys.terminal_id)


def _told(code: str, file: bytes = b"") -> web.Response:
    text = f"resp_code={code}&resp_msg={MESSAGES[code]}&resp_body=" + base64.b64encode(file).decode("ascii")
    return web.Response(text=text, content_type="text/html", charset="utf-8")
