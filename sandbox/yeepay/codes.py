"""What YeePay calls the states of an order, its codes, and its banks (handbook V1.27; H)."""

from collections.abc import Mapping
from typing import Final

from sandbox.books import State

__all__ = [
    "ALREADY_PAID",
    "BANKS",
    "CANCELED",
    "DONE",
    "NO_SUCH_ORDER",
    "PAID",
    "REFUND_FAILED",
    "REFUND_OPEN",
    "REFUND_PAID",
    "REFUND_RETURNED",
    "UNPAID",
    "bank_of",
    "state_of",
]

UNPAID: Final = "INIT"
PAID: Final = "SUCCESS"
CANCELED: Final = "CANCELED"
REFUND_OPEN, REFUND_PAID, REFUND_FAILED, REFUND_RETURNED = "1", "2", "3", "4"
"""refundFrpStatus."""
STATES: Final[Mapping[str, State]] = {
    UNPAID: "processing",
    PAID: "succeeded",
    CANCELED: "failed",
    REFUND_OPEN: "processing",
    REFUND_PAID: "succeeded",
    REFUND_FAILED: "failed",
    REFUND_RETURNED: "returned",
}

DONE: Final = "1"
NO_SUCH_ORDER: Final = "50"
ALREADY_PAID: Final = "53"

BANKS: Final[Mapping[str, str]] = {
    "ICBC": "工商银行 ICBC",
    "ABC": "农业银行 ABC",
    "BOC": "中国银行 BOC",
    "CCB": "建设银行 CCB",
    "BOCO": "交通银行 BOCOM",
    "POST": "邮储银行 PSBC",
    "CMBCHINA": "招商银行 CMB",
    "ECITIC": "中信银行 CITIC",
    "CEB": "光大银行 CEB",
    "HXB": "华夏银行 HXB",
    "CMBC": "民生银行 CMBC",
    "GDB": "广发银行 CGB",
    "PINGANBANK": "平安银行 PAB",
    "CIB": "兴业银行 CIB",
    "SPDB": "浦发银行 SPDB",
    "BCCB": "北京银行 BOB",
    "SHB": "上海银行 BOS",
}
ANY_BANK: Final = "任选银行 Any bank"


def bank_of(frp_id: str) -> str | None:
    """Whose page pd_FrpId opens; empty: YeePay's own list. None for a bank that YeePay does not know."""
    if not frp_id:
        return ANY_BANK
    name, net, kind = frp_id.partition("-NET-")
    return BANKS.get(name) if (net, kind) == ("-NET-", "B2C") else None


def state_of(code: str) -> State:
    """What rb_PayStatus says about an order, or refundFrpStatus about a refund."""
    return STATES.get(code, "processing")
