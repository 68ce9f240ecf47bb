"""UnionPay's gateway (网关支付): orders that a payer's browser opens by a signed form and pays on a page.

Source: UnionPay's gateway demos (H): only success is notified, to backUrl by UnionPay and to frontUrl by the payer's
browser; nothing is taken after payTimeout, but by a bank's page that is open, and that is given back (42, no notice).
"""

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sandbox.books import Order
from sandbox.course import Course
from sandbox.faults import Occasion
from sandbox.magic import LATE_DECLINE, LATE_SUCCESS, NOT_FOUND_FIRST
from sandbox.pages import Bill, Choice, Ending, WayBack
from sandbox.unionpay import codes as table
from sandbox.unionpay.notices import UnionPayPen
from sandbox.unionpay.request import Request
from sandbox.unionpay.transactions import ECHOED, ECHOED_OF_ORDER, OF_PAGE
from sandbox.unionpay.wire import RefusedError, open_braces

if TYPE_CHECKING:
    from sandbox.unionpay.provider import UnionPay

__all__ = ["BUSINESS", "WANTED", "Gateway"]

BUSINESS: Final = ("01", "01", "000201")
WANTED: Final = ("txnAmt", "currencyCode", "frontUrl", "backUrl")
SAME: Final = ("txnTime", "txnAmt", "backUrl", *OF_PAGE)
"""What must be the same when an order is opened again."""
BEIJING: Final = ZoneInfo("Asia/Shanghai")
LONGEST_S: Final = 86_400.0
OPEN: Final = "05"
BALANCE_SHORT: Final = "64"
TOO_LATE: Final = "42"
MONEY_MOVED: Final = frozenset({TOO_LATE, "74", "75"})
"""No refusals: with these the payer's money has moved, and the order is over."""
MAINTENANCE: Final = "系统维护中 Under maintenance"
EXPIRED: Final = "订单已超时 The order has expired"
WORKING: Final = "银行处理中 The bank is working on it"
PSP: Final = "中国银联 UnionPay"


class Gateway:
    """The orders of one merchant that are paid on pages, and the clerk at their desk."""

    def __init__(self, provider: "UnionPay", pen: UnionPayPen, mer_id: str) -> None:
        self._provider, self._pen, self._mer_id = provider, pen, mer_id
        self._books, self._faults = provider.books, provider.faults

    def open(self, read: Request) -> Order:
        """The order of a form, as often as it is brought. Raises RefusedError: 12, 69."""
        known, said = self._books.get(read.order_no), read.message
        if known is not None:
            self._books.submitted_again(known)
            told = {"txnTime": known.txn_time, "txnAmt": str(known.amount), "backUrl": known.back_url, **known.echo}
            if known.kind != "netbank" or any(told.get(name, "") != said[name] for name in SAME):
                raise RefusedError(table.DUPLICATE)
            return known
        now = self._provider.config.clock()
        expires_at = _expiry(said["payTimeout"])
        if now >= expires_at:
            raise RefusedError("69", "payTimeout")
        names = (*ECHOED, *ECHOED_OF_ORDER, *OF_PAGE)
        hidden_s = self._provider.config.late_s if read.amount == NOT_FOUND_FIRST else 0.0
        return self._provider.book(
            read.order_no,
            "netbank",
            read.amount,
            "",
            Course(OPEN, OPEN, min(expires_at - now, LONGEST_S), OPEN, hidden_s),
            txn_time=said["txnTime"],
            back_url=said["backUrl"],
            echo={name: said[name] for name in names if said[name]},
        )

    def waits(self, order: Order) -> bool:
        """Whether an order waits for its payer, on its page or somewhere else."""
        return order.kind == "netbank" and order.state == "processing" and order.planned_code == OPEN

    # The clerk

    def stands(self, order_no: str) -> Bill | Ending | None:
        """How an order stands at the page."""
        order = self._books.get(order_no)
        if order is None or order.kind != "netbank":
            return None
        if not self.waits(order):
            return self._ended(order)
        if self._is_over(order) and not self._takes_late(order_no):
            return Ending(EXPIRED)
        said = open_braces(order.echo["riskRateInfo"]) if "riskRateInfo" in order.echo else {}
        return Bill(
            psp=PSP,
            bank=table.BANKS[order.echo.get("issInsCode", "")],
            merchant=f"示例商户 {self._mer_id}",
            order_no=order_no,
            amount=order.amount,
            description=said.get("commodityName", ""),
        )

    def occasion(self, order_no: str) -> Occasion:
        """Paying an order, as faults match it."""
        order = self._books.get(order_no)
        return Occasion("pay", order_no, amount=order.amount if order else 0)

    def choose(self, order_no: str, choice: Choice) -> Ending:
        """What the payer did: what is not paid may be tried again, with another card, until its time is over."""
        order, occasion = self._books.get(order_no), self.occasion(order_no)
        assert order is not None
        if not self.waits(order):
            return self._ended(order)
        if self._faults.take("maintenance", occasion):
            return Ending(MAINTENANCE, may_try_again=True)
        if self._is_over(order) and (choice == "cancel" or not self._faults.take("pay_closed", occasion)):
            return Ending(EXPIRED, WayBack(order.echo["frontUrl"]))
        if choice == "cancel":
            return Ending("未支付 You did not pay", WayBack(order.echo["frontUrl"]), may_try_again=True)
        code = self._code(order, choice, occasion)
        if table.state_of(code) == "failed" and code not in MONEY_MOVED | table.WORKED:
            order.code = code
            self._books.save(order)
            says = f"{table.MESSAGES.get(code, '交易失败')} Not paid ({code})"
            return Ending(says, WayBack(order.echo["frontUrl"]), may_try_again=True)
        return self._pay(order, code, occasion)

    # Parts

    def _code(self, order: Order, choice: Choice, occasion: Occasion) -> str:
        """What the issuer answers."""
        if choice == "insufficient" or order.amount == LATE_DECLINE:
            return BALANCE_SHORT
        if decline := self._faults.take("decline", occasion):
            return str(decline.params["code"])
        return table.magic_amount(order.amount) or table.ACCEPTED

    def _pay(self, order: Order, code: str, occasion: Occasion) -> Ending:
        config, late = self._provider.config, self._faults.take("late_final", occasion)
        is_open = code in table.WORKED
        after_s = late.seconds if late else config.late_s if is_open or order.amount == LATE_SUCCESS else 0.0
        order.code = code if code in table.UNDECIDED else OPEN
        order.transaction_no = f"{datetime.now(UTC):%Y%m%d%H%M%S}{secrets.randbelow(10**7):07d}"
        self._provider.settle(order, table.ACCEPTED if is_open else code, after_s)
        return self._ended(order)

    def _ended(self, order: Order) -> Ending:
        if order.state == "processing":
            return Ending(WORKING)
        if order.state == "failed":
            return Ending("支付超时，款项将退回 Paid too late: UnionPay gives it back", WayBack(order.echo["frontUrl"]))
        return Ending("支付成功 Paid", self._pen.way_back(order, self._faults))

    def _is_over(self, order: Order) -> bool:
        return self._provider.config.clock() >= _expiry(order.echo.get("payTimeout", ""))

    def _takes_late(self, order_no: str) -> bool:
        """Whether the bank would take what is over: that uses the fault up only when something is paid."""
        occasion = self.occasion(order_no)
        return any(f.name == "pay_closed" and f.applies_to(occasion, time.time()) for f in self._faults.all())


def _expiry(pay_timeout: str) -> float:
    """payTimeout in seconds of the epoch; without one an order has no end."""
    if not pay_timeout:
        return float("inf")
    return datetime.strptime(pay_timeout, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).timestamp()
