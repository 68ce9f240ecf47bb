"""Payments on a bank's page: the form that a browser brings (1111), the page, and the question about its order (1120).

CPCN is told no expiry and takes no order back: an order that waits for its payer can be paid for ever. Who cancels, or
has not enough money, leaves it waiting, and the institution hears nothing.
"""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.books import Order
from sandbox.cpcn import codes as table
from sandbox.cpcn.banks import PAGES
from sandbox.cpcn.notices import CpcnPen, beijing
from sandbox.cpcn.requests import AMOUNT, NUMBER, Body, Business, Wanted, check
from sandbox.cpcn.wire import Message, RefusedError, parse
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import CpcnKeys
from sandbox.magic import LATE_DECLINE, LATE_SUCCESS, NOT_FOUND_FIRST
from sandbox.pages import Bill, Choice, Desk, Ending

if TYPE_CHECKING:
    from sandbox.cpcn.provider import Cpcn

__all__ = ["Pages"]

PSP: Final = "中金支付 CPCN"
MAINTENANCE: Final = "系统维护中 Under maintenance"
SHORT: Final = "余额不足 Not enough money"
BALANCE_SHORT: Final = "51"
USED: Final = "2008"
ABSENT: Final = "240005"
ORDER: Final[Wanted] = (
    ("PaymentNo", "2016", NUMBER),
    ("Amount", "2016", AMOUNT),
    ("SettlementFlag", "2016", None),
    ("NotificationURL", "2016", re.compile("https?://.+")),
    ("BankID", "2016", re.compile("|".join(PAGES))),
    ("AccountType", "2016", re.compile("1[12]")),
    ("CardType", "2016", re.compile("0[12]|")),
)
SAME: Final = ("Amount", "SettlementFlag", "NotificationURL", "BankID", "AccountType", "Remark", "Usage")
"""What must be the same when an order is opened again."""


class Pages:
    """The pages of one institution's payers, and the clerk at their desk."""

    def __init__(self, provider: "Cpcn", keys: CpcnKeys, pen: CpcnPen) -> None:
        self._provider, self._keys, self._pen = provider, keys, pen
        self._books, self._faults, self._config = provider.books, provider.faults, provider.config
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        self.desk = Desk(provider.name, self, provider.faults)
        self.business: Mapping[str, Business] = {"1120": Business("query", "PaymentNo", ORDER[:1], self._state)}

    # The form

    async def open(self, request: web.Request) -> web.Response:
        """What a browser brings to the gateway for browsers."""
        try:
            message = parse(await request.read(), self._merchant_key)
            if message["InstitutionID"] != self._keys.institution_id:
                raise RefusedError("240003")
            if message.head.get("TxCode") != "1111":
                raise RefusedError("2006")
            check(message, ORDER)
        except RefusedError as refused:
            return self._refuse(refused)
        occasion = Occasion("open_page", message["PaymentNo"], amount=int(message["Amount"]))
        if self._faults.take("maintenance", occasion):
            return self.desk.refuse(MAINTENANCE)
        return await exchange(
            request, self._faults, occasion, lambda: self._book(message), lambda order, _: self._opened(order)
        )

    def _book(self, message: Message) -> Order | None:
        """The order, new or opened again; None when the number stands for another one."""
        known, said = self._books.get(message["PaymentNo"]), {name: message[name] for name in SAME}
        if known is not None:
            self._books.submitted_again(known)
            return known if known.kind == "netbank" and known.echo == said else None
        now, amount = time.time(), int(message["Amount"])
        order = Order(
            order_no=message["PaymentNo"],
            kind="netbank",
            amount=amount,
            currency="CNY",
            card="",
            received_at=now,
            due_at=now,
            visible_at=now + (self._config.late_s if amount == NOT_FOUND_FIRST else 0.0),
            code=table.OPEN,
            planned_code=table.OPEN,
            echo=said,
        )
        self._books.add(order)
        return order

    def _opened(self, order: Order | None) -> web.Response:
        return self._refuse(RefusedError(USED)) if order is None else self.desk.open(order.order_no)

    def _refuse(self, refused: RefusedError) -> web.Response:
        why = f"{table.HEADS.get(refused.code, '其他错误')} {refused.detail}".rstrip()
        return self.desk.refuse(f"{why} Refused ({refused.code})")

    # The page

    def stands(self, order_no: str) -> Bill | Ending | None:
        """How an order stands at the bank's page."""
        order = self._books.get(order_no)
        if order is None:
            return None
        return self._ending(order) or Bill(
            psp=PSP,
            bank=PAGES[order.echo["BankID"]],
            merchant=f"示例机构 {self._keys.institution_id}",
            order_no=order_no,
            amount=order.amount,
            description=order.echo["Remark"] or order.echo["Usage"],
        )

    def occasion(self, order_no: str) -> Occasion:
        """Paying an order, as faults match it."""
        order = self._books.get(order_no)
        return Occasion("pay", order_no, amount=order.amount if order else 0)

    def choose(self, order_no: str, choice: Choice) -> Ending:
        """What the payer did: whatever is not paid stays payable."""
        order = self._books.get(order_no)
        assert order is not None
        if ending := self._ending(order):
            return ending
        occasion = self.occasion(order_no)
        if self._faults.take("maintenance", occasion):
            return Ending(MAINTENANCE, may_try_again=True)
        if choice == "cancel":
            return Ending("未支付 You did not pay", may_try_again=True)
        short = choice == "insufficient" or order.amount == LATE_DECLINE
        decline = self._faults.take("decline", occasion)
        code = decline.params["code"] if decline else BALANCE_SHORT if short else table.magic_amount(order.amount)
        if code is not None:
            why = SHORT if code == BALANCE_SHORT else f"{table.RESPONSES.get(code, '其他')} The bank refused ({code})"
            return Ending(why, may_try_again=True)
        late = self._faults.take("late_final", occasion)
        self._provider.settle(
            order,
            table.SUCCESS,
            after_s=late.seconds if late else self._config.late_s if order.amount == LATE_SUCCESS else 0.0,
        )
        return self._ending(order) or Ending("未支付 You did not pay", may_try_again=True)

    def _ending(self, order: Order) -> Ending | None:
        """What an order's payer reads once they have paid it; None: it waits for them."""
        if order.state == "succeeded":
            return Ending("已支付 Paid", self._pen.way_back(order, self._faults))
        return Ending("银行处理中 The bank is working on it") if order.planned_code == table.SUCCESS else None

    # The question

    def _state(self, message: Message, occasion: Occasion) -> Body:
        order, hidden = self._books.get(message["PaymentNo"]), self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.kind != "netbank" or time.time() < order.visible_at:
            raise RefusedError(ABSENT)
        told = {
            "PaymentNo": order.order_no,
            "Amount": str(order.amount),
            "Remark": order.echo["Remark"],
            "Status": table.status_of("page", order.code),
        }
        paid = {} if order.finished_at is None else {"BankNotificationTime": beijing(order.finished_at)}
        return {**told, **paid, "RefundAmount": str(order.amount - self._books.left_of(order))}
