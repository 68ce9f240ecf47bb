"""Allinpay's statement of a day: PDS text in GBK, by 200002 in a zip, by `GetConFile.do` as it is.

Layout and both requests: the demo (H) and two clients that agree (M), as the protocol notes in sections 2 and 19 tell
them. The sandbox's own rules: 200002 gives whole days of its day cut alone, and says 2000 for one that is not ready,
where the simple request answers nothing; the head counts all lines; a payout that came back has a second line, 3056.
"""

import base64
import binascii
import io
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.allinpay import codes as table
from sandbox.allinpay.answer import Answer
from sandbox.allinpay.wire import CHARSET, Package, RefusedError
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.statements import BEIJING, StatementRow, day_of, starts_at

if TYPE_CHECKING:
    from sandbox.allinpay.provider import Allinpay

__all__ = ["StatementDesk", "statement_text"]

NOT_READY: Final = "2000"
NOT_DONE: Final = "3999"
"""Of a line that says that a paid order was not done."""
INCOMING: Final = "payment"
WITH_CODES: Final = "05"
TRX_CODES: Final = {"payment": "100011", "refund": "REFUND", "payout": "100014", "return": "100014"}
PACKED_AT: Final = (1980, 1, 1, 0, 0, 0)
"""Of every entry, so that a day is the same bytes each time."""


def statement_text(rows: Iterable[StatementRow], *, fees: bool = True, codes: bool = False) -> bytes:
    """The text of a day. `fees`: CONTFEE 1; `codes`: version 05."""
    lines, sums = [], {"1": [0, 0], "0": [0, 0]}
    for row in rows:
        direction = "1" if row.kind == INCOMING else "0"
        sums[direction][0] += 1
        sums[direction][1] += row.amount
        lines.append(" ".join(_fields(row, direction, fees=fees, codes=codes)))
    head = " ".join(["PDSMK", "V200", *(str(each) for each in (*sums["1"], *sums["0"]))])
    return "".join(f"{line}\r\n" for line in (head, *lines)).encode(CHARSET, "replace")


def _fields(row: StatementRow, direction: str, *, fees: bool, codes: bool) -> list[str]:
    at = f"{datetime.fromtimestamp(row.at, BEIJING):%Y%m%d%H%M%S}"
    user = "".join(row.order.echo.get("CUST_USERID", "").split())
    fields = [row.number, "0", direction, _code(row), str(row.amount), row.card, at, f"{row.day:%Y%m%d}", user]
    return fields + ([str(row.fee)] if fees else []) + ([TRX_CODES[row.kind], ""] if codes else [])


def _code(row: StatementRow) -> str:
    if row.kind == "return":
        return table.RETURNED
    if row.paid:
        return table.SUCCESS
    return row.order.code if row.order.state == "failed" else NOT_DONE


class StatementDesk:
    """The statements of one merchant, and the two requests for them."""

    def __init__(self, provider: "Allinpay", merchant_id: str, merchant_key: RSAPublicKey) -> None:
        self._provider, self._merchant_id, self._merchant_key = provider, merchant_id, merchant_key

    def file(self, day: date, *, fees: bool = True, codes: bool = False) -> tuple[str, bytes]:
        """Name and text of a day as the merchant's own site gives it."""
        rows = self._provider.statements.rows(day)
        return f"PDS{self._merchant_id}{day:%Y%m%d}.txt", statement_text(rows, fees=fees, codes=codes)

    def day_asked(self, body: Mapping[str, str]) -> date:
        """The day that a 200002 is about. Raises RefusedError."""
        moments = [_moment(body.get(name, "")) for name in ("START_DAY", "END_DAY")]
        cut = self._provider.day_cut
        day = day_of(moments[1], cut)
        if [starts_at(day, cut), starts_at(day + timedelta(days=1), cut) - 1] != moments:
            raise RefusedError(table.CONTENT_WRONG, "START_DAY and END_DAY are no whole day")
        if body.get("STATUS") != "2" or body.get("CONTFEE", "0") not in {"0", "1"}:
            raise RefusedError(table.CONTENT_WRONG, "STATUS or CONTFEE")  # here all or none
        return day

    def told(self, package: Package) -> Answer:
        """The answer to 200002."""
        body, day = package.body, self.day_asked(package.body)
        if not self._provider.statements.is_ready(day):
            return Answer(NOT_READY)
        codes = package.head.get("VERSION") == WITH_CODES
        _, text = self.file(day, fees=body.get("CONTFEE") == "1", codes=codes)
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            name = f"PDS{self._merchant_id}{body['START_DAY']}-{body['END_DAY']}.txt"
            text = self._provider.statements.delivered(day, text)
            archive.writestr(zipfile.ZipInfo(name, PACKED_AT), text, zipfile.ZIP_DEFLATED)
        content = base64.encodebytes(whole.getvalue()).decode()
        return Answer(table.SUCCESS, body_name="QTRANSRSP", rows={"CONTENT": content})

    async def by_address(self, request: web.Request) -> web.Response:
        """The answer to GetConFile.do."""
        asked = request.query
        try:
            day = datetime.strptime(asked.get("SETTDAY", ""), "%Y%m%d").replace(tzinfo=BEIJING).date()
            _moment(asked.get("REQTIME", ""))
        except (ValueError, RefusedError):
            return self._text("ERROR SETTDAY or REQTIME\r\n".encode(CHARSET))
        if asked.get("MERID") != self._merchant_id or not self._is_signed(asked):
            return self._text("ERROR 签名错误\r\n".encode(CHARSET))
        occasion = Occasion("statement", "", day=day.isoformat())
        return await exchange(
            request,
            self._provider.faults,
            occasion,
            lambda: self._by_address(day, fees=asked.get("CONTFEE") == "1"),
            lambda text, _: self._text(text),
        )

    def _by_address(self, day: date, *, fees: bool) -> bytes:
        if not self._provider.statements.is_ready(day):
            return b""
        return self._provider.statements.delivered(day, self.file(day, fees=fees)[1])

    def _is_signed(self, asked: Mapping[str, str]) -> bool:
        text = "|".join(asked.get(name, "") for name in ("SETTDAY", "REQTIME", "MERID"))
        try:
            signature = binascii.unhexlify(asked.get("SIGN", ""))
            self._merchant_key.verify(signature, text.encode(), PKCS1v15(), hashes.SHA1())  # noqa: S303
        except (InvalidSignature, ValueError):
            return False
        return True

    @staticmethod
    def _text(text: bytes) -> web.Response:
        return web.Response(body=text, content_type="text/plain", charset=CHARSET)


def _moment(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).timestamp()
    except ValueError:
        raise RefusedError(table.CONTENT_WRONG, "a moment is yyyyMMddHHmmss") from None
