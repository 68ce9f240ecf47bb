"""LianLian's files of a day: receipts with refunds, and payouts (M: a public client's comments), as they lie on its
file server. Here a person takes both, in one zip, from the control API.
"""

import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from io import BytesIO
from typing import Final

from sandbox.lianlian.wire import yuan_of
from sandbox.statements import BEIJING, StatementRow

__all__ = ["payouts_text", "receipts_text", "zipped"]

HEADER: Final = (
    "商户订单号,商户号,商户订单时间,商户业务编号,连连支付单号,账务日期,交易金额,收付标识,交易状态,更新时间,手续费,"
    "支付产品,支付方式,订单信息"
)
MADE_AT: Final = (2026, 1, 1, 0, 0, 0)
RECEIPT, PAYOUT = "0", "1"
DONE, REFUNDED = "0", "5"


def receipts_text(rows: Iterable[StatementRow], oid_partner: str) -> str:
    """Payments, and refunds below zero with the number of their payment."""
    lines = [HEADER]
    for row in rows:
        if row.paid and row.kind == "payment":
            lines.append(_line(row, oid_partner, row.transaction_no, row.amount, RECEIPT, DONE))
        elif row.paid and row.kind == "refund":
            lines.append(_line(row, oid_partner, row.original or "", -row.amount, RECEIPT, REFUNDED))
    return "\n".join(lines) + "\n"


def payouts_text(rows: Iterable[StatementRow], oid_partner: str) -> str:
    """Payouts, and those that came back."""
    lines = [HEADER]
    for row in rows:
        if row.paid and row.kind in ("payout", "return"):
            state = DONE if row.kind == "payout" else REFUNDED
            lines.append(_line(row, oid_partner, row.transaction_no, row.amount, PAYOUT, state))
    return "\n".join(lines) + "\n"


def zipped(receipts: str, payouts: str, day: date, oid_partner: str) -> tuple[str, bytes]:
    """Both, as a person takes them: name and content, the same whenever it is asked for."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for kind, text in (("receipts", receipts), ("payouts", payouts)):
            entry = zipfile.ZipInfo(f"{oid_partner}_{day:%Y%m%d}_{kind}.txt", MADE_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return f"{oid_partner}_{day:%Y%m%d}.zip", packed.getvalue()


def _line(row: StatementRow, oid_partner: str, theirs: str, signed: int, direction: str, state: str) -> str:
    at = f"{datetime.fromtimestamp(row.at, BEIJING):%Y%m%d %H:%M:%S}"
    fields = (
        row.number,
        oid_partner,
        at,
        "",
        theirs,
        f"{row.day:%Y%m%d}",
        _signed_yuan(signed),
        direction,
        state,
        at,
        _signed_yuan(row.fee),
        "认证支付" if direction == RECEIPT else "实时付款",
        "储蓄卡",
        "还款",
    )
    return ",".join(fields)


def _signed_yuan(fen: int) -> str:
    return f"-{yuan_of(-fen)}" if fen < 0 else yuan_of(fen)
