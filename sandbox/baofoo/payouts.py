"""Baofoo's payouts: BF0040001 takes some on, BF0040002 tells how they stand, BF0040003 what came back on a day.

What its head or its encryption makes unreadable is answered in plain text. Which return_code tells a repeated trans_no
is not public: 0300 here, since the payout is there. XML and more than one payout in a request are not taken.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.baofoo import codes as table
from sandbox.baofoo.blocks import opened, sealed, spoiled
from sandbox.baofoo.payments import beijing
from sandbox.books import Order, mask_card
from sandbox.course import Codes, Course
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import BaofooKeys
from sandbox.provider import Provider

__all__ = ["Payouts"]

PATH: Final = "/baofoo/baofoo-fopay/pay"
ASKED_WITHIN_S: Final = 24 * 3600.0
PARAMETERS, CERTIFICATE, FORMAT, TOO_MANY, NO_MERCHANT, NO_TERMINAL = "0001", "0002", "0003", "0004", "0202", "0204"
TAKEN_ON, UNCLEAR, ABSENT, BUSY = "0000", "0300", "0401", "0999"
MESSAGES: Final = {
    TAKEN_ON: "代付请求交易成功", UNCLEAR: "代付交易未明，请发起该笔订单查询", ABSENT: "代付交易查证信息不存在",
    BUSY: "代付主机系统繁忙", PARAMETERS: "商户代付公共参数错误", CERTIFICATE: "商户代付证书错误",
    FORMAT: "商户代付报文格式错误", TOO_MANY: "交易请求记录条数超过上限!", NO_MERCHANT: "商户不存在",
    NO_TERMINAL: "终端号不存在",
}  # fmt: skip
WANTED: Final = ("trans_no", "trans_money", "to_acc_name", "to_acc_no", "to_bank_name")
NUMBER: Final = re.compile("[0-9A-Za-z]{8,50}")
MONEY: Final = re.compile(r"([0-9]{1,10})\.([0-9]{2})")
ACCOUNT: Final = re.compile("[0-9-]{5,32}")
CODES: Final = Codes(success=table.SUCCESS, accepted=table.UNDER_WAY, interim=table.UNDER_WAY, balance_short="BF00103")

Item = Mapping[str, str]
Said = tuple[str, list[dict[str, str]]]
"""The return_code, and what is said of payouts."""


class _RefusedError(Exception):
    """Nothing was done. `plain`: the answer is not encrypted."""

    def __init__(self, code: str, *, plain: bool = False) -> None:
        super().__init__(code)
        self.code, self.plain = code, plain


class Payouts:
    """The payouts of one merchant."""

    def __init__(self, provider: Provider, keys: BaofooKeys) -> None:
        self._provider, self._keys = provider, keys
        self._books, self._faults = provider.books, provider.faults
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())

    def routes(self) -> Iterable[web.RouteDef]:
        """The addresses of the product."""
        for service, work in (("BF0040001", self._pay), ("BF0040002", self._state), ("BF0040003", self._returned)):
            yield web.post(f"{PATH}/{service}.do", self._served(work))

    def _served(self, work: Callable[[Item, Occasion], Said]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                item = self._read(await request.read())
                occasion = self._occasion(item, pays=work == self._pay)
            except _RefusedError as refused:
                return self._render((refused.code, []), plain=refused.plain)
            if self._faults.take("maintenance", occasion):
                return self._render((BUSY, []))
            return await exchange(
                request,
                self._faults,
                occasion,
                lambda: work(item, occasion),
                lambda said, wrongly: self._render(said, wrongly=wrongly),
            )

        return handle

    def _read(self, raw: bytes) -> Item:
        try:
            form = dict(parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=10))
        except ValueError:
            raise _RefusedError(PARAMETERS, plain=True) from None
        if form.get("member_id") != self._keys.member_id:
            raise _RefusedError(NO_MERCHANT, plain=True)
        if form.get("terminal_id") != self._keys.terminal_id:
            raise _RefusedError(NO_TERMINAL, plain=True)
        if (form.get("data_type"), form.get("version")) != ("json", "4.0.0"):
            raise _RefusedError(PARAMETERS, plain=True)
        try:
            text = opened(form.get("data_content", ""), self._merchant_key)
        except (InvalidSignature, ValueError):
            raise _RefusedError(CERTIFICATE, plain=True) from None
        try:
            groups = json.loads(text)["trans_content"]["trans_reqDatas"]
            items = [item for group in groups for item in group["trans_reqData"]]
        except (ValueError, KeyError, TypeError):
            raise _RefusedError(FORMAT) from None
        if len(items) != 1 or not all(isinstance(value, str) for value in items[0].values()):
            raise _RefusedError(TOO_MANY if len(items) > 1 else FORMAT)
        return dict(items[0])

    def _occasion(self, item: Item, *, pays: bool) -> Occasion:
        if not pays:
            order = self._books.get(item.get("trans_no", ""))
            known = (order.order_no, order.card_tail, order.amount) if order else (item.get("trans_no", ""), "", 0)
            return Occasion("query", *known)
        money = MONEY.fullmatch(item.get("trans_money", ""))
        if any(not item.get(name) for name in WANTED) or money is None or not NUMBER.fullmatch(item["trans_no"]):
            raise _RefusedError(FORMAT)
        amount = int(money[1]) * 100 + int(money[2])
        if amount <= 0 or not ACCOUNT.fullmatch(item["to_acc_no"]):
            raise _RefusedError(FORMAT)
        return Occasion("payout", item["trans_no"], item["to_acc_no"][-4:], amount)

    def _pay(self, item: Item, occasion: Occasion) -> Said:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            return UNCLEAR, []
        delay_s = self._provider.config.processing_delay_s
        course = self._provider.bend(Course(CODES.accepted, CODES.success, delay_s, CODES.interim), occasion, CODES)
        echo = {name: item.get(name, "") for name in ("to_bank_name", "trans_summary")}
        echo["asked_until"] = str(self._provider.config.clock() + ASKED_WITHIN_S)
        order = self._provider.book_payout(
            occasion,
            mask_card(item["to_acc_no"]),
            course,
            transaction_no=f"{time.time_ns() // 1000:d}",
            txn_time=beijing(time.time()),
            echo=echo,
        )
        return TAKEN_ON, [_named(order)]

    def _state(self, _: Item, occasion: Occasion) -> Said:
        order = self._books.get(occasion.order_no)
        hidden = self._faults.take("not_found", occasion) is not None or order is None or order.kind != "payout"
        if order is None or hidden or not self._provider.is_visible(order):
            return ABSENT, []
        if self._provider.config.clock() > float(order.echo["asked_until"]):
            return ABSENT, []
        return TAKEN_ON, [self._told(order)]

    def _returned(self, item: Item, _: Occasion) -> Said:
        day = item.get("trans_btime", "")
        if not re.fullmatch("[0-9]{8}", day) or item.get("trans_etime") != day:
            return FORMAT, []
        back = [order for order in self._books if order.returned_at and _day_of(order.returned_at) == day]
        return (TAKEN_ON, [self._told(order) for order in back]) if back else (ABSENT, [])

    def _told(self, order: Order) -> dict[str, str]:
        state = {"processing": "0", "succeeded": "1", "failed": "-1", "returned": "2"}[order.state]
        remark = table.text_of(order.code) if order.state == "failed" else self._provider.why_returned(order)
        ended = beijing(order.finished_at) if order.finished_at else ""
        times = {"trans_starttime": order.txn_time, "trans_endtime": ended}
        return {**_named(order), "trans_fee": "0.00", "state": state, "trans_remark": remark, **times}

    def _render(self, said: Said, *, plain: bool = False, wrongly: bool = False) -> web.Response:
        code, items = said
        content: dict[str, Any] = {"trans_head": {"return_code": code, "return_msg": MESSAGES.get(code, "其他")}}
        if items:
            content["trans_reqDatas"] = [{"trans_reqData": items if len(items) > 1 else items[0]}]
        whole = {"trans_content": content}
        if plain:
            text = json.dumps(whole, ensure_ascii=False)
            return web.Response(text=text, content_type="text/html", charset="utf-8")
        written = sealed(whole, self._keys.psp.key)
        written = spoiled(written) if wrongly else written
        return web.Response(text=written, content_type="text/html", charset="utf-8")


def _named(order: Order) -> dict[str, str]:
    return {
        "trans_orderid": order.transaction_no or "",
        "trans_batchid": (order.transaction_no or "")[-8:],
        "trans_no": order.order_no,
        "trans_money": f"{order.amount // 100}.{order.amount % 100:02d}",
        "to_acc_no": order.card,
        "to_acc_dept": f"||{order.echo.get('to_bank_name', '')}",
        "trans_summary": order.echo.get("trans_summary", ""),
    }


def _day_of(at: float) -> str:
    return beijing(at)[:10].replace("-", "")
