"""Baofoo's refunds: 331/09 takes one on, 331/10 tells how it stands, and its end is notified to its notice_url.

What the head of a request or its encryption makes unreadable is answered in plain text. Which codes refuse a refund is
not public: BF00111 with a text is the sandbox's own, and that parts never exceed the payment.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.baofoo import codes as table
from sandbox.baofoo.bindings import new_number
from sandbox.baofoo.blocks import opened, sealed, spoiled
from sandbox.baofoo.payments import CODES
from sandbox.books import Order
from sandbox.course import Course
from sandbox.exchange import exchange
from sandbox.faults import Occasion
from sandbox.keys import BaofooKeys
from sandbox.provider import Provider

__all__ = ["Refunds", "result_of"]

PATH: Final = "/baofoo/cutpayment/api/backTransRequest"
VERSION: Final = "4.0.0.0"
REFUND, GIVE_BACK, ASK = "331", "09", "10"
PROTOCOL_PAY: Final = "8"
CHARGES: Final = frozenset({"collect", "consume"})
COMMON: Final = ("terminal_id", "member_id", "refund_order_no", "trans_serial_no")
WANTED: Final = (*COMMON, "refund_type", "trans_id", "refund_reason", "refund_amt", "refund_time")
NUMBER: Final = re.compile("[0-9A-Za-z]{8,50}")
AMOUNT: Final = re.compile("0*[1-9][0-9]{0,11}")
TIME: Final = re.compile("20[0-9]{12}")
MISSING, FORMAT_WRONG, REFUSED, CLOSED, SERIAL_USED = "BF00120", "BF00121", "BF00111", "BF00325", "BF00190"
PLAIN: Final = "商户号、终端号或加密报文不正确"

Content = Mapping[str, str]
Said = tuple[str, str, Mapping[str, str]]
"""The resp_code, a text where it is not the code's own, and the fields beside them."""


class Refunds:
    """The refunds of one merchant."""

    def __init__(self, provider: Provider, keys: BaofooKeys) -> None:
        self._provider, self._keys = provider, keys
        self._books, self._faults = provider.books, provider.faults
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        self._serials: set[str] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        """The address of the product."""
        return [web.post(PATH, self._handle)]

    def clear(self) -> None:
        """Forget the numbers of requests."""
        self._serials.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        content = self._read(await request.read())
        if content is None:
            return web.Response(text=PLAIN, content_type="text/html", charset="utf-8")
        if wrong := self._why_not(content):
            return self._render(content, wrong)
        occasion = self._occasion(content)
        if self._faults.take("maintenance", occasion):
            return self._render(content, (CLOSED, "", {}))
        work = self._give_back if occasion.operation == "refund" else self._state
        return await exchange(
            request,
            self._faults,
            occasion,
            lambda: self._used_before(content) or work(content, occasion),
            lambda said, wrongly: self._render(content, said, wrongly=wrongly),
        )

    def _read(self, raw: bytes) -> Content | None:
        """What this merchant's terminal wrote; None for anything else."""
        try:
            form = dict(parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=12))
            content = json.loads(opened(form.get("data_content", ""), self._merchant_key))
        except (InvalidSignature, ValueError):
            return None
        told = {name: str(value) for name, value in content.items()} if isinstance(content, dict) else {}
        whose = (self._keys.member_id, self._keys.terminal_id)
        known = all((each.get("member_id"), each.get("terminal_id")) == whose for each in (form, told))
        head = (form.get("version"), form.get("txn_type"), form.get("data_type"))
        sub_type = told.get("txn_sub_type")
        if not known or head != (VERSION, REFUND, "json") or sub_type not in (GIVE_BACK, ASK):
            return None
        return told if form.get("txn_sub_type") == sub_type else None

    def _used_before(self, content: Content) -> Said | None:
        """The word on a repeated trans_serial_no, or a repeated refund; None: both are new, or it is a question."""
        known = self._books.get(content["refund_order_no"]) if content["txn_sub_type"] == GIVE_BACK else None
        if known is not None:
            self._books.submitted_again(known)
            return table.DUPLICATE, "", {}
        if content["trans_serial_no"] in self._serials:
            return SERIAL_USED, "", {}
        self._serials.add(content["trans_serial_no"])
        return None

    def _why_not(self, content: Content) -> Said | None:
        for name in WANTED if content["txn_sub_type"] == GIVE_BACK else COMMON:
            if not content.get(name):
                return MISSING, name, {}
        forms = {"refund_order_no": NUMBER, "trans_serial_no": NUMBER, "refund_amt": AMOUNT, "refund_time": TIME}
        for name, form in forms.items():
            if name in content and not form.fullmatch(content[name]):
                return FORMAT_WRONG, name, {}
        return None

    def _occasion(self, content: Content) -> Occasion:
        number = content["refund_order_no"]
        if content["txn_sub_type"] == ASK:
            order = self._books.get(number)
            return Occasion("query", number, *((order.card_tail, order.amount) if order else ("", 0)))
        original = self._books.get(content["trans_id"])
        return Occasion("refund", number, original.card_tail if original else "", int(content["refund_amt"]))

    def _give_back(self, content: Content, occasion: Occasion) -> Said:
        original = self._books.get(content["trans_id"])
        if original is None or original.kind not in CHARGES or content["refund_type"] != PROTOCOL_PAY:
            return REFUSED, "原支付订单不存在", {}
        if original.state != "succeeded":
            return REFUSED, "原支付订单未成功", {}
        if occasion.amount > self._books.left_of(original):
            return REFUSED, "退款金额超过可退金额", {}
        course = self._course(occasion)
        order = self._provider.book(
            occasion.order_no,
            "refund",
            occasion.amount,
            original.card,
            course,
            original=original.order_no,
            transaction_no=new_number(),
            txn_time=content["refund_time"],
            back_url=content.get("notice_url", ""),
        )
        taken_on = course.answer == table.SUCCESS
        return course.answer, "退款交易已受理" if taken_on else "", {"refund_business_no": order.transaction_no or ""}

    def _course(self, occasion: Occasion) -> Course:
        """Taken on (0000), and made after a while."""
        delay_s = self._provider.config.processing_delay_s
        course = Course(CODES.success, CODES.success, delay_s, CODES.interim)
        code = table.magic_amount(occasion.amount)
        if code is not None:
            course = Course(code, code, 0.0, CODES.interim)
        return self._provider.bend(course, occasion, CODES, table.WORKED)

    def _state(self, content: Content, occasion: Occasion) -> Said:
        if decline := self._faults.take("decline", occasion):
            return str(decline.params["code"]), "", {}
        order, hidden = (
            self._books.get(content["refund_order_no"]),
            self._faults.take("not_found", occasion) is not None,
        )
        if hidden or order is None or order.kind != "refund" or time.time() < order.visible_at:
            return table.NO_SUCH_ORDER, "", {}
        told = {name: text for name, text in result_of(order).items() if name != "refund_business_no"}
        return order.code, "退款成功" if order.state == "succeeded" else "", told

    def _render(self, content: Content, said: Said, *, wrongly: bool = False) -> web.Response:
        code, text, more = said
        told: dict[str, Any] = {
            "version": VERSION, "txn_type": REFUND, "data_type": "json", "resp_code": code,
            "resp_msg": text or table.text_of(code), "refund_amt": "", "additional_info": "", "req_reserved": "",
            **{name: content.get(name, "") for name in ("member_id", "terminal_id", "txn_sub_type", "refund_order_no")},
            **more,
        }  # fmt: skip
        written = sealed(told, self._keys.psp.key)
        written = spoiled(written) if wrongly else written
        return web.Response(text=written, content_type="text/html", charset="utf-8")


def result_of(order: Order) -> dict[str, str]:
    """What a question and a notice tell of a refund: the amount that went back, once it did."""
    amount = str(order.amount) if order.state == "succeeded" else ""
    return {"refund_order_no": order.order_no, "refund_business_no": order.transaction_no or "", "refund_amt": amount}
