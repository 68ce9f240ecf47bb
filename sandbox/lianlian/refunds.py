"""LianLian's refunds: refund.htm takes one on, refundquery.htm tells, success is notified (demo and handbook; H).

The sandbox's own rules: a number that was used before is 1002, or 2005 while that refund is in process; sta_refund is 0
in the first answer and 1 in questions until it is done.
"""

import itertools
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sandbox.books import Order
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.lianlian import codes as table
from sandbox.lianlian.calls import Call
from sandbox.lianlian.wire import Fields, RefusedError, fen_of, yuan_of

if TYPE_CHECKING:
    from sandbox.lianlian.provider import LianLian

__all__ = ["MESSAGES", "REFUND_CALLS", "Refunds", "refund_notice_of"]

REFUND_CALLS: Final[Mapping[str, Call]] = {
    "refund": Call("traderapi/refund.htm", "refund", ("no_refund", "dt_refund", "money_refund", "notify_url")),
    "query_refund": Call("queryapi/refundquery.htm", "query", ("no_refund", "dt_refund")),
}
MESSAGES: Final = {
    "0000": "交易成功",
    "1002": "第三方单号重复",
    "1004": "商户请求参数校验错误",
    "1007": "网络链接繁忙",
    "2005": "原交易已在进行处理，请勿重复提交",
    "5002": "原始交易不存在",
    "5003": "退款金额错误",
    "5004": "商户状态异常，无法退款",
    "5005": "退款失败，请重试",
    "5006": "商户账户余额不足",
    "5007": "累计退款金额大于原交易金额",
    "5008": "原交易未成功",
    "8901": "没有记录",
    "9104": "对公账户余额不足",
    "9902": "接口调用异常",
    "9920": "退款失败",
    "9999": "系统错误",
}
CODES: Final = Codes(success=table.SUCCESS, accepted=table.ACCEPTED, interim=table.ACCEPTED, balance_short="5006")
WORKED: Final = frozenset({"1002", "1007", "2005", "9902", "9920", "9999"})
"""Asked for as an answer, these leave the work done."""
NO_SUCH_PAYMENT, TOO_MUCH, NOT_PAID = "5002", "5007", "5008"
FORMATS: Final = {
    "no_refund": "[0-9A-Za-z_-]{1,32}", "dt_refund": "[0-9]{14}", "money_refund": r"[0-9]{1,9}\.[0-9]{2}",
    "notify_url": "https?://[^ ]{1,121}",
}  # fmt: skip
BEIJING: Final = ZoneInfo("Asia/Shanghai")
STATES: Final = {"processing": "1", "succeeded": "2", "failed": "3"}

Answer = dict[str, str]


def _told(order: Order) -> Answer:
    """What LianLian tells of a refund, in answers and in the notice."""
    told = {
        "oid_partner": order.echo["oid_partner"],
        "sign_type": "RSA",
        "no_refund": order.order_no,
        "dt_refund": order.txn_time,
        "money_refund": yuan_of(order.amount),
        "oid_refundno": order.transaction_no or "",
        "sta_refund": STATES[order.state],
    }
    if order.state == "succeeded":
        told["settle_date"] = f"{datetime.fromtimestamp(order.finished_at or order.received_at, BEIJING):%Y%m%d}"
    return told


def refund_notice_of(order: Order) -> Answer:
    """The notice of a refund that was done: it has a return code, too (H)."""
    return _told(order) | {"ret_code": table.SUCCESS, "ret_msg": MESSAGES[table.SUCCESS]}


class Refunds:
    """The refunds of one merchant."""

    def __init__(self, provider: "LianLian") -> None:
        self._provider = provider
        self._books, self._faults = provider.books, provider.faults
        self._serial = itertools.count(secrets.randbelow(10**6))

    def occasion(self, call: Call, fields: Fields) -> Occasion:
        """A call, as faults match it. Raises RefusedError."""
        number = fields.get("no_refund", "")
        if call.operation == "query":
            known = self._books.get(number)
            return Occasion("query", number, *((known.card_tail, known.amount) if known else ()))
        original = self._original(fields)
        amount = fen_of(fields["money_refund"]) if "money_refund" in fields else 0
        return Occasion("refund", number, original.card_tail if original else "", amount)

    def perform(self, name: str, fields: Fields, occasion: Occasion) -> Answer:
        """Check the fields, do the work, and tell its answer. Raises RefusedError."""
        wanted = [field for field in REFUND_CALLS[name].wanted if not fields.get(field)]
        wrong = [each for each, form in FORMATS.items() if fields.get(each) and not re.fullmatch(form, fields[each])]
        if wanted or wrong:
            raise RefusedError("1004", ",".join((*wanted, *wrong)))
        return self._refund(fields, occasion) if name == "refund" else self._query(fields, occasion)

    def _original(self, fields: Fields) -> Order | None:
        """The payment, by LianLian's number of it, or else by the merchant's and its time."""
        if fields.get("oid_paybill"):
            found = self._books.of_transaction(fields["oid_paybill"])
        else:
            found = self._books.get(fields.get("no_order", ""))
            found = found if found is not None and found.txn_time == fields.get("dt_order") else None
        return found if found is not None and found.kind == "consume" else None

    def _refund(self, fields: Fields, occasion: Occasion) -> Answer:
        known = self._books.get(occasion.order_no)
        if known is not None:
            self._books.submitted_again(known)
            raise RefusedError("2005" if known.state == "processing" else "1002")
        original = self._original(fields)
        if original is None:
            raise RefusedError(NO_SUCH_PAYMENT)
        if original.state != "succeeded":
            raise RefusedError(NOT_PAID)
        if occasion.amount > self._books.left_of(original):
            raise RefusedError(TOO_MUCH)
        course = self._course(occasion)
        if course.answer not in (CODES.accepted, *WORKED):
            raise RefusedError(course.answer)
        order = self._provider.book(
            occasion.order_no,
            "refund",
            occasion.amount,
            original.card,
            course,
            transaction_no=f"{datetime.now(UTC):%Y%m%d}{next(self._serial):08d}",
            txn_time=fields["dt_refund"],
            back_url=fields["notify_url"],
            echo={"oid_partner": fields["oid_partner"]},
            original=original.order_no,
        )
        if course.answer != CODES.accepted:
            raise RefusedError(course.answer)
        at_first = {"sta_refund": "0"} if order.state == "processing" else {}
        return _told(order) | at_first | {"ret_code": table.SUCCESS}

    def _course(self, occasion: Occasion) -> Course:
        answer, delay_s = _magic_amount(occasion.amount) or CODES.accepted, self._provider.config.processing_delay_s
        course = Course(answer, CODES.success, delay_s, CODES.interim)
        return self._provider.bend(course, occasion, CODES, WORKED)

    def _query(self, fields: Fields, occasion: Occasion) -> Answer:
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        order, hidden = self._books.get(occasion.order_no), self._faults.take("not_found", occasion) is not None
        if hidden or order is None or order.kind != "refund" or not self._provider.is_visible(order):
            raise RefusedError(table.NOT_FOUND)
        if order.txn_time != fields["dt_refund"]:
            raise RefusedError(table.NOT_FOUND)
        return _told(order) | {"ret_code": table.SUCCESS}


def _magic_amount(amount: int) -> str | None:
    """The code that an amount of 990000 + code (in fen) asks for."""
    code = f"{amount - table.SYNC_AMOUNT:04d}"
    return code if amount > table.SYNC_AMOUNT and code in MESSAGES and code not in {"0000", "8901"} else None
