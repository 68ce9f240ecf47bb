"""A day of JD as a table that a person takes from its site. JD's own layout is not public: this one is the sandbox's.

GB18030, a line above the header, signed yuan, words for kinds and states, quoted texts with commas, and a total in the
last line: lines, their sum and the fees of what was done.
"""

import csv
from collections.abc import Sequence
from datetime import date, datetime
from io import StringIO
from typing import Final

from sandbox.statements import BEIJING, StatementRow

__all__ = ["table_of"]

CHARSET: Final = "gb18030"
HEADER: Final = (
    *("商户号", "入账日", "完成时间", "商户订单号", "原商户订单号", "交易类型", "金额", "手续费", "状态", "商品"),
)
KINDS: Final = {"payment": "消费", "refund": "退款", "payout": "代付", "return": "退款退回"}
SIGNS: Final = {"payment": 1, "refund": -1, "payout": -1, "return": 1}


def table_of(rows: Sequence[StatementRow], merchant: str, day: date) -> tuple[str, bytes]:
    """The name and the content of a day's file."""
    written = StringIO()
    table = csv.writer(written, lineterminator="\r\n")
    table.writerow([f"京东支付对账单 {day:%Y%m%d}"])
    table.writerow(HEADER)
    for row in rows:
        done = datetime.fromtimestamp(row.at, BEIJING)
        told = (_yuan(SIGNS[row.kind] * row.amount), _yuan(row.fee), "成功" if row.paid else "失败", "还款, 三月")
        numbers = (row.number, row.original or "", KINDS[row.kind])
        table.writerow((merchant, f"{row.day:%Y%m%d}", f"{done:%Y-%m-%d %H:%M:%S}", *numbers, *told))
    paid = [row for row in rows if row.paid]
    net, fees = sum(SIGNS[row.kind] * row.amount for row in paid), sum(row.fee for row in paid)
    table.writerow(("合计", len(paid), _yuan(net), _yuan(fees)))
    return f"{merchant}_{day:%Y%m%d}.csv", written.getvalue().encode(CHARSET)


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
