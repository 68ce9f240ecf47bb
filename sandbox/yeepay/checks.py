"""What YeePay looks at before it opens a page: merchant, amount, sizes of fields, bank (handbook V1.27; H)."""

import re
from collections.abc import Mapping
from typing import Final

from sandbox.yeepay.codes import bank_of
from sandbox.yeepay.wire import RefusedError

__all__ = ["check_buy", "fen", "is_number", "life_s"]

MAX_CHARS: Final[Mapping[str, int]] = {
    "p2_Order": 50,
    "p3_Amt": 20,
    "p8_Url": 200,
    "pa_MP": 200,
    "pb_ServerNotifyUrl": 50,
    "pd_FrpId": 50,
}
MAX_TEXT_BYTES: Final = 20
"""Of the texts. Whether bytes or characters are meant is not public: the smaller is checked."""
UNITS_S: Final[Mapping[str, int]] = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "month": 30 * 86_400,
    "year": 365 * 86_400,
}
USUAL_LIFE_S: Final = 7 * 86_400
MAX_LIFE_S: Final = 180 * 86_400

_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,9})\.([0-9]{2})")
_NUMBER = re.compile(r"[0-9A-Za-z_-]{1,50}")
_PERIOD = re.compile(r"[1-9][0-9]{0,9}")


def check_buy(fields: Mapping[str, str], mer_id: str) -> None:
    """Raises RefusedError."""
    if fields["p0_Cmd"] != "Buy":
        raise RefusedError("-1", "业务类型无效 Not a payment")
    if fields.get("p1_MerId") != mer_id:
        raise RefusedError("-2", "商户不存在 No such merchant")
    if fen(fields.get("p3_Amt", "")) is None or fields.get("p4_Cur") != "CNY":
        raise RefusedError("-1", "金额无效 Wrong amount")
    if not _NUMBER.fullmatch(fields.get("p2_Order", "")) or not fields.get("p8_Url"):
        raise RefusedError("-1", "订单号或地址无效 Wrong number or address")
    for name, most in MAX_CHARS.items():
        if len(fields.get(name, "")) > most:
            raise RefusedError("-1", f"{name} 过长 Too long")
    for name in ("p5_Pid", "p6_Pcat", "p7_Pdesc"):
        if len(fields.get(name, "").encode("gbk")) > MAX_TEXT_BYTES:
            raise RefusedError("-1", f"{name} 过长 Too long")
    if bank_of(fields.get("pd_FrpId", "")) is None:
        raise RefusedError("-1", "银行编码无效 No such bank")


def is_number(text: str) -> bool:
    """Whether it can be a number of the merchant's."""
    return _NUMBER.fullmatch(text) is not None


def fen(text: str) -> int | None:
    """Yuan with two decimals as fen, of at least one; None for anything else."""
    read = _AMOUNT.fullmatch(text)
    amount = int(read[1] + read[2]) if read else 0
    return amount or None


def life_s(fields: Mapping[str, str]) -> int:
    """For how many seconds an order can be paid: a wrong unit voids the period, too."""
    unit, period = UNITS_S.get(fields.get("pn_Unit", "")), fields.get("pm_Period", "")
    if unit is None or not _PERIOD.fullmatch(period):
        return USUAL_LIFE_S
    return min(int(period) * unit, MAX_LIFE_S)
