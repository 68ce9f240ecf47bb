"""The bank's check files: a zip for each day, DOWNLOAD_CHECKFILE that brings it, CONFIRM_CHECKFILE that ends the day.

Which files there are and their names: three clients (H); the columns: one client's import table (M). The separator `|`,
UTF-8 and the missing header are the sandbox's own. Recharges alone fill a file; the others are there, and empty.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from sandbox.lanmao import codes as table
from sandbox.lanmao.wire import DETAIL, RefusedError, need, time_of, yuan_of
from sandbox.statements import StatementRow

if TYPE_CHECKING:
    from sandbox.lanmao.provider import Lanmao

__all__ = ["CheckFiles", "recharge_text", "zipped"]

TYPES: Final = ("RECHARGE", "WITHDRAW", "COMMISSION", "TRANSACTION", "BACKROLL_RECHARGE")
MADE_AT: Final = (2026, 1, 1, 0, 0, 0)
"""Of all entries: the same day is the same zip, whenever it is asked for."""
_DAY: Final = re.compile("[0-9]{8}")


def recharge_text(rows: Iterable[StatementRow], platform_no: str) -> str:
    """The file RECHARGE. What was not paid is not in it, and no fee is."""
    lines = []
    for row in rows:
        if row.kind != "payment" or not row.paid:
            continue
        said = row.order.echo
        fields = (
            time_of(row.at),
            said.get("user_no", ""),
            said.get("company", ""),
            row.number,
            row.transaction_no,
            "RECHARGE",
            yuan_of(row.amount),
            "CNY",
            said.get("user_no", ""),
            platform_no,
            row.card,
            said.get("bankcode", ""),
            said.get("way", "WEB"),
            yuan_of(row.amount),
            "",
        )
        lines.append("|".join(fields) + "\n")
    return "".join(lines)


def zipped(recharges: str, day: date, platform_no: str) -> bytes:
    """All files of a day."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for kind in TYPES:
            entry = zipfile.ZipInfo(f"{day:%Y%m%d}_{platform_no}_{kind}.txt", MADE_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, recharges if kind == "RECHARGE" else "")
    return packed.getvalue()


class CheckFiles:
    """The files of one platform, and which days it has confirmed."""

    def __init__(self, provider: "Lanmao", platform_no: str) -> None:
        self._provider, self._platform_no = provider, platform_no
        entries = [each["confirmed"] for each in provider.books.others if "confirmed" in each]
        self._confirmed = {(day, kind) for day, kinds in entries for kind in kinds}

    def clear(self) -> None:
        """Forget what was confirmed."""
        self._confirmed.clear()

    def of(self, day: date) -> tuple[str, bytes]:
        """The name and the content of a day's zip."""
        text = recharge_text(self._provider.statements.rows(day), self._platform_no)
        return f"{day:%Y%m%d}_{self._platform_no}.zip", zipped(text, day, self._platform_no)

    def download(self, fields: Mapping[str, str]) -> bytes:
        """DOWNLOAD_CHECKFILE. Raises RefusedError."""
        day = _day_of(fields)
        if not self._provider.statements.is_ready(day):
            raise RefusedError(table.NO_FILE)
        return self._provider.statements.delivered(day, self.of(day)[1])

    def confirm(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """CONFIRM_CHECKFILE. Raises RefusedError, also for what was confirmed before."""
        day, detail = _day_of(fields), fields.get(DETAIL)
        kinds = [each.get("fileType") for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
        if not kinds or not set(kinds) <= set(TYPES):
            raise RefusedError(table.FIELDS, DETAIL)
        if all((fields["fileDate"], kind) in self._confirmed for kind in kinds):
            raise RefusedError(table.CONFIRMED_BEFORE)
        self._confirmed |= {(f"{day:%Y%m%d}", str(kind)) for kind in kinds}
        self._provider.books.note({"confirmed": [f"{day:%Y%m%d}", kinds]})
        return {"code": "0", "status": "SUCCESS", "requestNo": fields["requestNo"]}


def _day_of(fields: Mapping[str, str]) -> date:
    need(fields, "fileDate")
    try:
        if not _DAY.fullmatch(fields["fileDate"]):
            raise ValueError
        return datetime.strptime(fields["fileDate"], "%Y%m%d").date()  # noqa: DTZ007 -- a day, no moment
    except ValueError:
        raise RefusedError(table.FIELDS, "fileDate") from None
