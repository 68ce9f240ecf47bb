"""What comes back, at all providers: why and when a payout does, or a refund, and what banks call it."""

from collections.abc import Mapping
from typing import Final

from sandbox.books import Order
from sandbox.faults import Faults, Occasion
from sandbox.magic import RETURNED_LATER, RETURNED_TAILS

__all__ = ["REASONS", "NotReturnableError", "return_of"]

REASONS: Final[Mapping[str, str]] = {
    "payee_name_mismatch": "收款人户名与账号不符",
    "payee_account_invalid": "收款账号不存在",
    "payee_account_abnormal": "收款账户状态异常",
    "bank_rejected": "收款行拒绝入账",
    "other": "其他原因",
}
"""Why a payout comes back → the bank's words. They are the sandbox's own: no source lists them."""


class NotReturnableError(Exception):
    """Only a payout that was paid, or a refund where its provider tells of it, can come back, and once."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"order {order.order_no} is {order.state} {order.kind}: it cannot come back")


def return_of(faults: Faults, occasion: Occasion, late_s: float) -> tuple[float, str] | None:
    """Seconds from the success of a payout until it comes back, and why; None: it does not."""
    if fault := faults.take("return_payout", occasion):
        return fault.seconds, str(fault.params["reason"])
    if occasion.amount == RETURNED_LATER:
        return late_s, "payee_name_mismatch"
    return (late_s, RETURNED_TAILS[occasion.card_tail]) if occasion.card_tail in RETURNED_TAILS else None
