"""A day of YeePay as a table that a person takes from its site. YeePay's own layout is not public: this one, in the
manner of big wallets' bills, is the sandbox's.

UTF-8 with a mark, a backtick before each value, amounts without signs, a refund's number in a column of its own, and a
total whose names stand in a line of their own.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sandbox.statements import BEIJING, StatementRow

__all__ = ["table_of"]

MARK: Final = "\ufeff"
HEADER: Final = "交易时间,商户编号,易宝流水号,商户订单号,退款请求号,交易类型,交易状态,订单金额,退款金额,手续费,商品名称"
TOTAL: Final = "总笔数,订单总金额,退款总金额,手续费总金额"
KINDS: Final = {"payment": "支付", "refund": "退款", "payout": "付款", "return": "退款退回"}


def table_of(rows: Sequence[StatementRow], mer_id: str, day: date) -> tuple[str, bytes]:
    """The name and the content of a day's file."""
    lines = [HEADER]
    for row in rows:
        is_payment = row.kind == "payment"
        done = datetime.fromtimestamp(row.at, BEIJING)
        fields = (
            f"{done:%Y-%m-%d %H:%M:%S}",
            mer_id,
            row.transaction_no,
            row.number if is_payment else row.original or "",
            "" if is_payment else row.number,
            KINDS[row.kind],
            "成功" if row.paid else "失败",
            _yuan(row.amount if is_payment else 0),
            _yuan(0 if is_payment else row.amount),
            _yuan(row.fee),
            "还款",
        )
        lines.append(_guarded(fields))
    paid_in = sum(row.amount for row in rows if row.kind == "payment")
    given_back = sum(row.amount for row in rows if row.kind == "refund")
    lines += [TOTAL, _guarded((str(len(rows)), *map(_yuan, (paid_in, given_back, sum(row.fee for row in rows)))))]
    return f"{mer_id}_{day:%Y-%m-%d}.csv", (MARK + "\n".join(lines) + "\n").encode()


def _guarded(fields: Sequence[str]) -> str:
    """The way to keep Excel from making numbers of them."""
    return ",".join(f"`{field}" for field in fields)


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
