"""Recharges in the payer's browser: what the bank's page of one shows, and what comes of what the payer does there."""

import time
from typing import TYPE_CHECKING

from sandbox.books import Order
from sandbox.faults import Faults, Occasion
from sandbox.identities import Identity, new_identity
from sandbox.lanmao import codes as table
from sandbox.lanmao.notices import form_of
from sandbox.lanmao.transactions import said_of
from sandbox.lanmao.wire import yuan_of
from sandbox.pages import Bill, Choice, Ending, WayBack

if TYPE_CHECKING:
    from sandbox.lanmao.provider import Lanmao

__all__ = ["Clerk"]

SAYS = {"succeeded": "支付成功 Paid", "processing": "支付处理中 In process", "failed": "支付失败 Failed"}


class Clerk:
    """The clerk at the desk of the recharges' pages."""

    def __init__(self, provider: "Lanmao", faults: Faults, signer: Identity, platform_no: str) -> None:
        self._provider, self._faults, self._signer, self._platform_no = provider, faults, signer, platform_no
        self._forger: Identity | None = None

    def stands(self, order_no: str) -> Bill | Ending | None:
        """The bill of a recharge that may be paid now, or how it ended; None: there is none."""
        order = self._provider.books.get(order_no)
        if order is None or order.kind != "recharge":
            return None
        if order.code != table.OPEN:
            return self._ending(order)
        if self._provider.transactions.is_over(order) and not self._takes_late(order_no):
            return Ending("页面已过期 This page has expired", self._empty_handed(order))
        company, is_quick = order.echo["company"], order.echo["way"] == "SWIFT"
        bank = table.BANKS.get(order.echo["bankcode"], f"{company} 收银台 Cashier")
        return Bill(
            psp=f"存管银行 Custody bank · {company}",
            bank=bank,
            merchant=f"平台 {self._platform_no}",
            order_no=order_no,
            amount=order.amount,
            description=f"充值 {order.echo['user_no']}{f' · {order.card}' if is_quick else ''}",
        )

    def occasion(self, order_no: str) -> Occasion:
        """Paying this recharge, as faults match it."""
        order = self._provider.books.get(order_no)
        assert order is not None
        return Occasion("pay", order_no, order.card_tail, order.amount)

    def choose(self, order_no: str, choice: Choice) -> Ending:
        """What the payer did. An expired page takes nothing, but for the fault `pay_closed`."""
        order = self._provider.books.get(order_no)
        assert order is not None
        if choice == "cancel":
            if order.code != table.OPEN:
                return self._ending(order)
            return Ending("已取消 Cancelled", self._empty_handed(order), may_try_again=True)
        transactions = self._provider.transactions
        is_over = transactions.is_over(order)
        if order.code == table.OPEN and is_over and not self._faults.take("pay_closed", self.occasion(order_no)):
            return Ending("页面已过期 This page has expired", self._empty_handed(order))
        transactions.pay(order, short=choice == "insufficient")
        if order.code == table.OPEN:
            return Ending("支付未成功 Not paid", self._empty_handed(order), may_try_again=True)
        return self._ending(order)

    def _takes_late(self, order_no: str) -> bool:
        """Whether an expired page would take a payment all the same; that uses the fault up only when one is made."""
        occasion = self.occasion(order_no)
        return any(f.name == "pay_closed" and f.applies_to(occasion, time.time()) for f in self._faults.all())

    def _ending(self, order: Order) -> Ending:
        said = said_of(order)
        why = said.get("channelErrorMessage") or said.get("errorMessage") or ""
        return Ending(f"{SAYS[order.state]}{f' ({why})' if why else ''}", self.way_back(order))

    def way_back(self, order: Order) -> WayBack | None:
        """The browser brings the platform how the order stands, signed; None where a fault loses it."""
        occasion = self.occasion(order.order_no)
        if self._faults.take("lose_return", occasion):
            return None
        said, signer = said_of(order), self._signer
        if self._faults.take("wrong_amount_return", occasion):
            said["amount"] = yuan_of(order.amount + 1)
        if self._faults.take("forge_return", occasion):
            self._forger = self._forger or new_identity("Forged custody bank")
            signer = self._forger
        fields = form_of(said, "RECHARGE", "CALLBACK", self._platform_no, signer)
        if self._faults.take("corrupt_return", occasion):
            fields["respData"] = fields["respData"].replace(order.order_no, order.order_no[::-1])
        return WayBack(order.echo["return_url"], fields, "POST")

    def _empty_handed(self, order: Order) -> WayBack:
        return WayBack(order.echo["return_url"])
