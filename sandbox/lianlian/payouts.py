"""LianLian's payouts: payment.htm makes an order or holds it, confirmPayment.htm frees one, queryPayment.htm tells.

Held (4002 to 4004) is what goes to the same account with the same amount on the same day, and the account whose number
ends in 4003: its name is another. What nobody confirms is closed after an hour; how long LianLian waits is not public.
"""

import itertools
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sandbox.books import Order, mask_card
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.lianlian import codes as table
from sandbox.lianlian.calls import Call
from sandbox.lianlian.wire import Fields, yuan_of
from sandbox.prints import CardPrinter

if TYPE_CHECKING:
    from sandbox.lianlian.provider import LianLian

__all__ = ["PAYOUT_CALLS", "Payouts", "payout_notice_of"]

PAYOUT_CALLS: Final[Mapping[str, Call]] = {
    "payout": Call(
        "paymentapi/payment.htm",
        "payout",
        (
            *("no_order", "dt_order", "api_version", "money_order", "card_no", "acct_name", "flag_card", "info_order"),
            *("memo", "notify_url"),
        ),
        is_encrypted=True,
    ),
    "confirm_payout": Call(
        "paymentapi/confirmPayment.htm", "payout", ("no_order", "api_version", "confirm_code"), is_encrypted=True
    ),
    "query_payout": Call("paymentapi/queryPayment.htm", "query", ("no_order", "api_version")),
}
MESSAGES: Final = {
    "0000": "交易成功",
    "1002": "商户单号重复",
    "1004": "商户请求参数校验错误",
    "2005": "原交易已在进行处理，请勿重复提交",
    "4001": "该订单不存在或非复核状态",
    "4002": "疑似重复提交订单",
    "4003": "收款银行卡和姓名不一致",
    "4004": "疑似重复提交订单且收款银行卡和姓名不一致",
    "4008": "验证码次数超限",
    "4011": "验证码不匹配",
    "4012": "银行卡查询异常",
    "4103": "账户异常",
    "4104": "付款订单创建失败",
    "4105": "大额行号查询失败",
    "8901": "没有记录",
    "9104": "账户余额不足",
    "9910": "风险等级过高",
    "9911": "超过单笔限额",
    "9912": "超过单日限额",
    "9913": "超过单月限额",
    "9999": "系统错误",
}
BALANCE_SHORT: Final = "9104"
CODES: Final = Codes(
    success=table.SUCCESS, accepted=table.ACCEPTED, interim=table.ACCEPTED, balance_short=BALANCE_SHORT
)
WORKED: Final = frozenset({"1002", "2005", "4006", "4007", "9999"})
"""Asked for as an answer, these leave the work done."""
ANOTHER_NAME_TAIL: Final = "4003"
DAY_S: Final = 24 * 3600.0
HELD_S: Final = 3600.0
MAX_WRONG_CODES: Final = 6
FORMATS: Final = {
    "no_order": "[0-9A-Za-z_-]{1,32}", "dt_order": "[0-9]{14}", "api_version": "1.0", "card_no": "[0-9-]{5,32}",
    "flag_card": "[01]", "notify_url": "https?://[^ ]{1,121}", "info_order": ".{1,255}",
}  # fmt: skip
OF_FIRMS: Final = ("prcptcd", "bank_code")

Answer = dict[str, str]


def payout_notice_of(order: Order) -> Answer:
    """What LianLian tells of a payout that ended, or came back."""
    return {
        "oid_partner": order.echo["oid_partner"],
        "sign_type": "RSA",
        "no_order": order.order_no,
        "dt_order": order.txn_time,
        "money_order": yuan_of(order.amount),
        "oid_paybill": order.transaction_no or "",
        "info_order": order.echo["info_order"],
        "result_pay": _result_of(order),
        "settle_date": f"{datetime.fromtimestamp(order.finished_at or order.received_at, UTC):%Y%m%d}",
    }


def _result_of(order: Order) -> str:
    if order.state == "returned":
        return "CANCEL"
    return "CHECK" if order.code in table.SUSPICIONS else table.result_of(order.code)


class Payouts:
    """The payouts of one merchant."""

    def __init__(self, provider: "LianLian", printer: CardPrinter) -> None:
        self._provider, self._printer = provider, printer
        self._books, self._faults = provider.books, provider.faults
        self._serial = itertools.count(secrets.randbelow(10**6))
        self._work = {"payout": self._pay, "confirm_payout": self._confirm, "query_payout": self._query}

    def perform(self, name: str, fields: Fields, occasion: Occasion) -> Answer:
        """Check the fields, do the work, and tell its answer."""
        wanted = [field for field in PAYOUT_CALLS[name].wanted if not fields.get(field)]
        if fields.get("flag_card") == "1":
            wanted += [field for field in OF_FIRMS if not fields.get(field)]
        wrong = [
            field for field, form in FORMATS.items() if fields.get(field) and not re.fullmatch(form, fields[field])
        ]
        if wanted or wrong:
            return self._refusal("1004", ",".join((*wanted, *wrong)))
        return self._work[name](fields, occasion)

    def _pay(self, fields: Fields, occasion: Occasion) -> Answer:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            return self._refusal("2005" if known.state == "processing" else "1002")
        delay_s = self._provider.config.processing_delay_s
        magic = _magic_amount(occasion.amount)
        plan = Course(magic or CODES.accepted, CODES.success, delay_s, CODES.interim)
        course = self._provider.bend(plan, occasion, CODES, WORKED)
        if course.answer not in (CODES.accepted, *WORKED):
            return self._refusal(course.answer)  # no order is made
        print_ = self._printer.of(fields["card_no"])
        suspicion = self._suspicion(fields, occasion, print_)
        if suspicion is not None:
            course = Course(suspicion, table.CLOSED, HELD_S, suspicion)
        order = self._book(fields, occasion, course, print_)
        if suspicion is not None:
            told = {name: fields[name] for name in ("oid_partner", "no_order")}
            return told | self._refusal(suspicion) | {"confirm_code": order.echo["confirm_code"]}
        return self._taken(order) if course.answer == CODES.accepted else self._refusal(course.answer)

    def _suspicion(self, fields: Fields, occasion: Occasion, print_: str) -> str | None:
        since = time.time() - DAY_S
        repeated = any(
            order.kind == "payout"
            and (order.echo["print"], order.amount) == (print_, occasion.amount)
            and order.received_at > since
            and order.state != "failed"
            for order in self._books
        )
        another_name = fields["card_no"].endswith(ANOTHER_NAME_TAIL)
        return {(True, False): "4002", (False, True): "4003", (True, True): "4004"}.get((repeated, another_name))

    def _book(self, fields: Fields, occasion: Occasion, course: Course, print_: str) -> Order:
        echo = {name: fields[name] for name in ("oid_partner", "info_order")}
        return self._provider.book_payout(
            occasion,
            mask_card(fields["card_no"]),
            course,
            transaction_no=f"{datetime.now(UTC):%Y%m%d}{next(self._serial):08d}",
            txn_time=fields["dt_order"],
            back_url=fields["notify_url"],
            echo={**echo, "print": print_, "confirm_code": f"{secrets.randbelow(10**6):06d}", "wrong": "0"},
        )

    def _confirm(self, fields: Fields, _: Occasion) -> Answer:
        order = self._books.get(fields["no_order"])
        if order is None or order.code not in table.SUSPICIONS:
            return self._refusal("4001")
        if int(order.echo["wrong"]) >= MAX_WRONG_CODES:
            return self._refusal("4008")
        if fields["confirm_code"] != order.echo["confirm_code"]:
            order.echo["wrong"] = str(int(order.echo["wrong"]) + 1)
            return self._refusal("4011")
        self._provider.settle(order, CODES.success, after_s=self._provider.config.processing_delay_s)
        return self._taken(order)

    def _query(self, fields: Fields, occasion: Occasion) -> Answer:
        if decline := self._faults.take("decline", occasion):
            return self._refusal(decline.params["code"])
        order = self._books.get(fields["no_order"])
        hidden = self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.kind != "payout" or not self._provider.is_visible(order):
            return self._refusal("8901")
        why = self._provider.why_returned(order)
        memo = MESSAGES.get(order.code, "") if order.state == "failed" else why
        return payout_notice_of(order) | {"ret_code": "0000", "ret_msg": MESSAGES["0000"], "memo": memo}

    def _taken(self, order: Order) -> Answer:
        told = {"oid_partner": order.echo["oid_partner"], "no_order": order.order_no, "sign_type": "RSA"}
        return told | {"oid_paybill": order.transaction_no or "", "ret_code": "0000", "ret_msg": MESSAGES["0000"]}

    def _refusal(self, code: str, detail: str = "") -> Answer:
        return {"ret_code": code, "ret_msg": MESSAGES.get(code, "其他") + (f"（{detail}）" if detail else "")}


def _magic_amount(amount: int) -> str | None:
    """The code that an amount of 990000 + code (in fen) asks for; those that hold a payout come by themselves."""
    code = f"{amount - table.SYNC_AMOUNT:04d}"
    known = code in MESSAGES and code not in {"0000", "4001", "4008", "4011", "8901", *table.SUSPICIONS}
    return code if amount > table.SYNC_AMOUNT and known else None
