"""Answers to QueryOrdDetail (handbook V1.27, demos; H)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from sandbox.books import Order
from sandbox.yeepay.codes import DONE
from sandbox.yeepay.wire import yuan

__all__ = ["found", "nothing"]

BEIJING: Final = timezone(timedelta(hours=8))


def found(order: Order, refunds: Sequence[Order] = ()) -> Mapping[str, str]:
    """How an order stands, in the order in which it is signed. `refunds`: those that took of it, the newest last."""
    newest = refunds[-1] if refunds else None
    return {
        "r0_Cmd": "QueryOrdDetail",
        "r1_Code": DONE,
        "r2_TrxId": order.transaction_no or "",
        "r3_Amt": yuan(order.amount),
        "r4_Cur": "RMB",
        "r5_Pid": order.echo["p5_Pid"],
        "r6_Order": order.order_no,
        "r8_MP": order.echo["pa_MP"],
        "rw_RefundRequestID": newest.order_no if newest else "",
        "rx_CreateTime": _time(order.received_at),
        "ry_FinshTime": _time(order.finished_at) if order.state == "succeeded" else "",
        "rz_RefundAmount": yuan(newest.amount) if newest else "",
        "rb_PayStatus": order.code,
        "rc_RefundCount": str(len(refunds)),
        "rd_RefundAmt": yuan(sum(refund.amount for refund in refunds)) if refunds else "0.0",
    }


def nothing(code: str) -> Mapping[str, str]:
    """That nothing is told, and why: no field but these two (L)."""
    return {"r0_Cmd": "QueryOrdDetail", "r1_Code": code}


def _time(at: float | None) -> str:
    return datetime.fromtimestamp(at, BEIJING).strftime("%Y-%m-%d %H:%M:%S") if at else ""
