"""The YeePay mock for one merchant account: Buy opens the bank's page, QueryOrdDetail asks, CancelOrd gives up.

RefundOrd and RefundResults: see `refunds`.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import ClassVar, Final

from aiohttp import web

from sandbox.books import Order, State
from sandbox.config import SandboxConfig
from sandbox.exchange import exchange
from sandbox.faults import Occasion, Operation
from sandbox.keys import YEEPAY, KeySet, YeePayKeys
from sandbox.magic import LATE_DECLINE, LATE_SUCCESS, NOT_FOUND_FIRST
from sandbox.pages import Bill, Choice, Desk, Ending
from sandbox.provider import Provider
from sandbox.timers import Timers
from sandbox.yeepay import codes as table
from sandbox.yeepay.answers import found, nothing
from sandbox.yeepay.checks import check_buy, fen, life_s
from sandbox.yeepay.notices import YeePayPen
from sandbox.yeepay.refunds import Refunds, Work
from sandbox.yeepay.statement import table_of
from sandbox.yeepay.wire import OUTSIDE, RefusedError, lines_of, read_form, sealed

__all__ = ["YeePay"]

NODE: Final = "/yeepay/app-merchant-proxy/node"
COMMAND: Final = "/yeepay/app-merchant-proxy/command"
BEIJING: Final = timezone(timedelta(hours=8))
MAINTENANCE: Final = "系统维护中 Under maintenance"
PSP: Final = "易宝支付 YeePay"
SAME: Final = ("p3_Amt", "p5_Pid", "p8_Url", "pa_MP", "pb_ServerNotifyUrl", "pd_FrpId", "pm_Period", "pn_Unit")
"""What must be the same when an order is opened again."""


class YeePay(Provider):
    """Provider `yeepay`."""

    name: ClassVar[str] = "yeepay"
    keys: ClassVar[KeySet[YeePayKeys]] = YEEPAY
    cannot: ClassVar[frozenset[str]] = frozenset({"sms_needed", "lose_sms", "expire_code"})
    has_pages: ClassVar[bool] = True
    returns_refunds: ClassVar[bool] = True
    returned_code: ClassVar[str | None] = table.REFUND_RETURNED

    def __init__(self, config: SandboxConfig, timers: Timers, keys: YeePayKeys) -> None:
        self._pen = YeePayPen(keys)
        super().__init__(config, timers, self._pen)
        self._keys = keys
        self._desk = Desk(self.name, self, self.faults)
        self._refunds = Refunds(self)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get(NODE, self._open),
            web.post(NODE, self._open),
            web.get(COMMAND, self._answer),
            web.post(COMMAND, self._answer),
            *self._desk.routes(),
        ]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return code.lstrip("-").isdecimal() and code != table.DONE

    def statement_file(self, day: date) -> tuple[str, bytes]:
        return table_of(self.statements.rows(day), self._keys.mer_id, day)

    def reset(self) -> None:
        super().reset()
        self._desk.clear()

    # Buy, and the bank's page

    async def _open(self, request: web.Request) -> web.StreamResponse:
        said = await self._said(request)
        try:
            fields = read_form(said, self._keys.key)
            if fields["p0_Cmd"] == "RefundResults":
                return await self._answered(request, fields)
            check_buy(fields, self._keys.mer_id)
        except RefusedError as refused:
            return self._desk.refuse(f"{refused} ({refused.code})")
        occasion = Occasion("open_page", fields["p2_Order"], amount=fen(fields["p3_Amt"]) or 0)
        if self.faults.take("maintenance", occasion):
            return self._desk.refuse(MAINTENANCE)
        return await exchange(
            request, self.faults, occasion, lambda: self._book(fields), lambda answer, _: self._opened(answer)
        )

    def _book(self, fields: Mapping[str, str]) -> Order | None:
        """The order, new or opened again; None when the number stands for another one."""
        known = self.books.get(fields["p2_Order"])
        if known is not None:
            self.books.submitted_again(known)
            return known if all(known.echo.get(name) == fields.get(name, "") for name in SAME) else None
        now, amount = time.time(), fen(fields["p3_Amt"]) or 0
        order = Order(
            order_no=fields["p2_Order"],
            kind="netbank",
            amount=amount,
            currency="CNY",
            card="",
            received_at=now,
            due_at=now + life_s(fields),
            visible_at=now + (self.config.late_s if amount == NOT_FOUND_FIRST else 0.0),
            code=table.UNPAID,
            planned_code=table.UNPAID,
            txn_time=datetime.now(BEIJING).strftime("%Y%m%d%H%M%S"),
            back_url=fields.get("pb_ServerNotifyUrl", "") or fields["p8_Url"],
            echo={
                **{name: fields.get(name, "") for name in SAME},
                "expires_at": str(self.config.clock() + life_s(fields)),
            },
        )
        self.books.add(order)
        return order

    def _opened(self, order: Order | None) -> web.Response:
        if order is None:
            return self._desk.refuse("订单号重复 The number is in use (-1)")
        return self._desk.open(order.order_no)

    def stands(self, order_no: str) -> Bill | Ending | None:
        """How an order stands at the bank's page."""
        order = self.books.get(order_no)
        if order is None:
            return None
        if order.state == "succeeded":
            return Ending("已支付 Paid", self._pen.way_back(order, self.faults))
        if (closed := self._why_closed(order)) and not self._pays_closed(order_no):
            return Ending(closed)
        return Bill(
            psp=PSP,
            bank=table.bank_of(order.echo["pd_FrpId"]) or "",
            merchant=f"示例商户 {self._keys.mer_id}",
            order_no=order_no,
            amount=order.amount,
            description=order.echo["p5_Pid"],
        )

    def occasion(self, order_no: str) -> Occasion:
        """Paying an order, as faults match it."""
        order = self.books.get(order_no)
        return Occasion("pay", order_no, amount=order.amount if order else 0)

    def choose(self, order_no: str, choice: Choice) -> Ending:
        """What the payer did: what is not paid stays as it is, and payable until it is closed."""
        order = self.books.get(order_no)
        assert order is not None
        if order.state == "succeeded":
            return Ending("已支付 Paid", self._pen.way_back(order, self.faults))
        occasion = self.occasion(order_no)
        if self.faults.take("maintenance", occasion):
            return Ending(MAINTENANCE, may_try_again=True)
        if (closed := self._why_closed(order)) and not self.faults.take("pay_closed", occasion):
            return Ending(closed)
        if choice == "cancel":
            return Ending("未支付 You did not pay", may_try_again=True)
        short = choice == "insufficient" or order.amount == LATE_DECLINE
        if short or self.faults.take("decline", occasion):
            return Ending("余额不足 Not enough money", may_try_again=True)
        late = self.faults.take("late_final", occasion)
        after_s = late.seconds if late else self.config.late_s if order.amount == LATE_SUCCESS else 0.0
        return self._pay(order, after_s)

    def _pay(self, order: Order, after_s: float) -> Ending:
        order.state, order.planned_code = "processing", table.PAID
        order.due_at = time.time() + after_s
        order.transaction_no = order.transaction_no or f"{secrets.randbelow(10**15):015}I"
        self.books.save(order)
        if after_s:
            self._finish_when_due(order)
            return Ending("银行处理中 The bank is working on it")
        self._finish(order)
        return Ending("已支付 Paid", self._pen.way_back(order, self.faults))

    def _why_closed(self, order: Order) -> str:
        if order.state == "failed":
            return "订单已撤销 The order was cancelled"
        if order.planned_code == table.PAID:
            return "银行处理中 The bank is working on it"
        return "订单已过期 The order has expired" if self.config.clock() >= float(order.echo["expires_at"]) else ""

    def _pays_closed(self, order_no: str) -> bool:
        """Whether the bank would take what is closed: the fault is used up by paying, not by looking."""
        return any(
            fault.name == "pay_closed" and fault.applies_to(self.occasion(order_no), time.time())
            for fault in self.faults.all()
        )

    # All else

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            fields = read_form(await self._said(request), self._keys.key)
        except RefusedError as refused:
            return web.Response(body=lines_of({"r0_Cmd": "", "r1_Code": refused.code}), content_type="text/html")
        return await self._answered(request, fields)

    async def _answered(self, request: web.Request, fields: Mapping[str, str]) -> web.StreamResponse:
        occasion, work = self._work_of(fields)
        if self.faults.take("maintenance", occasion):
            return web.Response(status=503, text=MAINTENANCE)
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: work(fields, occasion),
            lambda answer, wrongly: self._render(answer, wrongly=wrongly),
        )

    def _work_of(self, fields: Mapping[str, str]) -> tuple[Occasion, Work]:
        """What a command is to the faults, and what is done for it."""
        operation: Operation
        match fields["p0_Cmd"]:
            case "RefundOrd":
                return self._refunds.occasion(fields), self._refunds.refund
            case "RefundResults":
                return self._refunds.occasion(fields, asks=True), self._refunds.ask
            case "QueryOrdDetail":
                number, operation, work = fields.get("p2_Order", ""), "query", self._ask
            case _:
                number, operation, work = fields.get("pb_TrxId", ""), "cancel", self._cancel
        order = self._paid_order(number)
        return Occasion(operation, number, amount=order.amount if order else 0), work

    def _paid_order(self, number: str) -> Order | None:
        order = self.books.get(number)
        return order if order is not None and order.kind == "netbank" else None

    def _ask(self, fields: Mapping[str, str], occasion: Occasion) -> Mapping[str, str]:  # noqa: ARG002
        if decline := self.faults.take("decline", occasion):
            return nothing(decline.params["code"])
        order = self._paid_order(occasion.order_no)
        hidden = self.faults.take("not_found", occasion) is not None
        if order is None or hidden or time.time() < order.visible_at:
            return nothing(table.NO_SUCH_ORDER)
        refunds = [each for each in self.books.refunds_of(order) if each.state in ("processing", "succeeded")]
        return found(order, refunds)

    def _cancel(self, fields: Mapping[str, str], occasion: Occasion) -> Mapping[str, str]:
        order = self._paid_order(occasion.order_no)
        if decline := self.faults.take("decline", occasion):
            code = decline.params["code"]
        elif order is None or fields.get("pv_Ver") != "1":
            code = table.NO_SUCH_ORDER
        elif table.PAID in (order.code, order.planned_code):
            code = table.ALREADY_PAID
        else:
            order.planned_code = table.CANCELED
            self.books.finish(order)
            code = table.DONE
        return {"r0_Cmd": "CancelOrd", "r1_Code": code}

    def _render(self, answer: Mapping[str, str], *, wrongly: bool) -> web.Response:
        key = secrets.token_hex(16) if wrongly else self._keys.key
        outside = {name: text for name, text in answer.items() if name in OUTSIDE and answer["r0_Cmd"] == "RefundOrd"}
        inside = {name: text for name, text in answer.items() if name not in outside}
        return web.Response(body=lines_of(sealed(inside, key) | outside), content_type="text/html", charset="gbk")

    async def _said(self, request: web.Request) -> bytes:
        return await request.read() if request.method == "POST" else request.rel_url.raw_query_string.encode()
