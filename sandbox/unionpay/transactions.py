"""What UnionPay does for each transaction type: openings, tokens, SMS, charges, refunds, queries."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox.books import Kind, Order, mask_card
from sandbox.course import Codes, Course
from sandbox.faults import Occasion, Operation
from sandbox.magic import SMS_WANTED, binds, is_refused_by
from sandbox.provider import Provider
from sandbox.unionpay import codes as table
from sandbox.unionpay.by_sms import Codes as SmsCodes
from sandbox.unionpay.openings import Opening, Openings
from sandbox.unionpay.request import Request
from sandbox.unionpay.wire import Message, RefusedError

__all__ = ["ECHOED", "ECHOED_OF_ORDER", "OF_PAGE", "Answer", "Business", "Transactions", "answer_to", "notice_of"]

CODES: Final = Codes(success="00", accepted="00", interim="05", balance_short="64")
ECHOED: Final = ("version", "encoding", "signMethod", "txnType", "txnSubType", "bizType", "accessType", "merId")
ECHOED_OF_ORDER: Final = ("orderId", "txnTime", "txnAmt", "currencyCode", "reqReserved", "origQryId")
OF_PAGE: Final = ("frontUrl", "payTimeout", "issInsCode", "riskRateInfo")
"""What only the form of a page says: no answer and no notice tells it again."""
GATEWAY: Final = "000201"
BEIJING: Final = ZoneInfo("Asia/Shanghai")
TRACE_DIGITS: Final = 6
SMS_TAILS: Final = (f"00{table.SMS_TAIL}", SMS_WANTED)
FUNDS: Final = ("txnAmt", "currencyCode", "backUrl")
CHARGES: Final = ("consume", "withhold", "netbank")
WITHHOLD_WANTED: Final = (*FUNDS, "accType", "accNo", "customerInfo")
REFUND_WANTED: Final = (*FUNDS, "origQryId")
CONSUMING_SMS_WANTED: Final = ("txnAmt", "currencyCode", "accType", "tokenPayData", "customerInfo")
FOUR_ELEMENTS: Final = ("certifTp", "certifId", "customerNm", "phoneNo")

Answer = dict[str, str]


@dataclass(frozen=True, slots=True)
class Business:
    """One transaction of the protocol: what it is for a fault, what it must bring, what is done."""

    operation: Operation
    wanted: tuple[str, ...]
    work: Callable[[Request], Answer]


def answer_to(message: Message, code: str, detail: str = "") -> Answer:
    """The answer with this respCode: what the request said of itself, the code, and the detail in the message."""
    echoed = {name: message[name] for name in (*ECHOED, *ECHOED_OF_ORDER) if message[name]}
    return echoed | {"respCode": code, "respMsg": _text_of(code) + (f"[{detail}]" if detail else "")}


def notice_of(order: Order) -> Answer:
    """The fields of the notification of a final order."""
    result = {"queryId": order.transaction_no or "", "respCode": order.code, "respMsg": _text_of(order.code)}
    echoed = {name: value for name, value in order.echo.items() if name not in OF_PAGE}
    return echoed | result | settlement_of(order)


def settlement_of(order: Order) -> Answer:
    """What notifications and queries say of a finished payment, and synchronous answers never; else nothing.

    The fields' names are generally known (L); that a failed order states them too is the sandbox's own rule.
    """
    if order.state == "processing" or order.kind == "open_card":
        return {}
    finished_at = order.finished_at or order.received_at
    return {
        "settleAmt": str(order.amount),
        "settleCurrencyCode": order.echo.get("currencyCode", "156"),
        "settleDate": f"{datetime.fromtimestamp(finished_at, BEIJING):%m%d}",
        "traceNo": (order.transaction_no or "")[-TRACE_DIGITS:].rjust(TRACE_DIGITS, "0"),
        "traceTime": f"{datetime.fromtimestamp(order.received_at, BEIJING):%m%d%H%M%S}",
    }


def _text_of(code: str) -> str:
    return table.MESSAGES.get(code, "未知应答码")


class Transactions:
    """The transactions of one merchant, over the provider's books, faults and SMS."""

    def __init__(self, provider: Provider, openings: Openings, codes: SmsCodes) -> None:
        self._provider = provider
        self._config = provider.config
        self._books = provider.books
        self._faults = provider.faults
        self._openings = openings
        self._sms = codes
        self._serial = itertools.count(len(provider.books) + 1)
        self._query_business = Business("query", (), self._query)
        self._back: Mapping[tuple[str, str, str], Business] = {
            ("79", "00", "000902"): Business(
                "authenticate", ("accType", "accNo", "customerInfo", "tokenPayData"), self._open
            ),
            ("78", "02", "000902"): Business("query_authentication", (), self._open_query),
            ("74", "01", "000902"): Business("unbind", ("tokenPayData",), self._delete_token),
            ("77", "00", "000902"): Business("send_code", ("accType", "accNo", "customerInfo"), self._sms_for_opening),
            ("77", "02", "000902"): Business("send_code", CONSUMING_SMS_WANTED, self._sms_for_consuming),
            ("01", "01", "000902"): Business("pay", (*FUNDS, "tokenPayData"), self._consume),
            ("11", "00", "000501"): Business("pay", WITHHOLD_WANTED, self._withhold),
            ("11", "02", "000501"): Business("pay", WITHHOLD_WANTED, self._withhold),
            ("04", "00", "000902"): Business("refund", REFUND_WANTED, self._refund),
            ("04", "00", "000501"): Business("refund", REFUND_WANTED, self._refund),
            ("04", "00", GATEWAY): Business("refund", REFUND_WANTED, self._refund),
            ("12", "00", "000401"): Business("payout", WITHHOLD_WANTED, self._payout),
        }

    def of_back_message(self, message: Message) -> Business:
        """The transaction that a message to backTransReq.do asks for. Raises RefusedError with 32."""
        business = self._back.get((message["txnType"], message["txnSubType"], message["bizType"]))
        if business is None:
            raise RefusedError("32", "this business is not enabled")
        return business

    def of_query_message(self, message: Message) -> Business:
        """The query that a message to queryTrans.do asks for. Raises RefusedError with 10."""
        if (message["txnType"], message["txnSubType"]) != ("00", "00"):
            raise RefusedError("10", "txnType")
        return self._query_business

    def occasion(self, read: Request, operation: Operation) -> Occasion:
        """The call in the terms of a fault; a query has the card and the amount of the order it asks for."""
        order = self._books.get(read.order_no) if operation.startswith("query") else None
        if order is not None:
            return Occasion(operation, order.order_no, order.card_tail, order.amount)
        original = self._books.of_transaction(read.message["origQryId"]) if operation == "refund" else None
        if original is not None:
            return Occasion(operation, read.order_no, original.card_tail, read.amount)
        opening = self._openings.of_token(read.token, read.tr_id) if read.token else None
        tail = read.card_no[-4:] if opening is None else opening.card[-4:]
        return Occasion(operation, read.order_no, tail, read.amount)

    def perform(self, business: Business, read: Request, occasion: Occasion) -> Answer:
        """Do the work of one request and tell its answer."""
        try:
            if business.operation.startswith("query"):
                self._refuse_by_fault(occasion)
            return business.work(read)
        except RefusedError as refused:
            return answer_to(read.message, refused.code, refused.detail)

    def _refuse_by_fault(self, occasion: Occasion) -> None:
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if self._faults.take("not_found", occasion):
            raise RefusedError("34")

    def _open(self, read: Request) -> Answer:
        self._refuse_duplicate(read)
        missing = [name for name in FOUR_ELEMENTS if not read.customer.get(name)]
        if missing or not read.tr_id:
            raise RefusedError("13", ",".join(missing) or "trId")
        occasion = self.occasion(read, "authenticate")
        tail = occasion.card_tail
        phone = read.customer["phoneNo"]
        sms_wanted = tail in SMS_TAILS or self._faults.take("sms_needed", occasion) is not None
        self._sms.check(read, "sign", wanted=sms_wanted)
        code = table.magic_tail(tail)
        answer = code if code in table.OPENING_TAILS else table.ACCEPTED
        if is_refused_by(self._provider.name, tail) or not binds(tail, phone):
            answer = table.IDENTITY_WRONG
        course = self._bent(Course(answer, answer, 0.0, CODES.interim), occasion)
        final = table.ACCEPTED if course.answer in table.WORKED else course.answer
        course = replace(course, final=final, after_s=0.0)
        self._book(read, "open_card", mask_card(read.card_no), course)
        if table.state_of(final) != "succeeded":
            return answer_to(read.message, course.answer)
        opening = self._openings.open(read.card_no, phone, read.tr_id, read.order_no)
        return answer_to(read.message, course.answer) | {"tokenPayData": opening.token_pay_data()}

    def _open_query(self, read: Request) -> Answer:
        opening = self._openings.of_order(read.order_no)
        order = self._books.get(read.order_no)
        if opening is None or order is None or time.time() < order.visible_at:
            raise RefusedError("34")
        return answer_to(read.message, "00") | {"tokenPayData": opening.token_pay_data()}

    def _delete_token(self, read: Request) -> Answer:
        opening = self._live_opening(read)
        self._openings.delete(opening)
        return answer_to(read.message, "00")

    def _sms_for_opening(self, read: Request) -> Answer:
        self._sms.send(read, "sign", self.occasion(read, "send_code"))
        return answer_to(read.message, "00")

    def _sms_for_consuming(self, read: Request) -> Answer:
        self._live_opening(read)
        self._sms.send(read, "pay", self.occasion(read, "send_code"))
        return answer_to(read.message, "00")

    def _consume(self, read: Request) -> Answer:
        self._refuse_duplicate(read)
        opening = self._live_opening(read)
        wanted = self._faults.take("sms_needed", self.occasion(read, "pay")) is not None
        self._sms.check(read, "pay", wanted=wanted)
        return self._charge(read, "consume", opening)

    def _withhold(self, read: Request) -> Answer:
        self._refuse_duplicate(read)
        # Whether a withhold needs an opening of ours first is a matter of contract: the sandbox's own rule.
        opening = self._openings.of_card(read.card_no, read.customer.get("phoneNo", ""))
        if opening is None:
            raise RefusedError("72")
        return self._charge(read, "withhold", opening)

    def _refund(self, read: Request) -> Answer:
        # The texts in brackets are official (H); which respCode stands beside each is not public (L).
        self._refuse_duplicate(read)
        original = self._books.of_transaction(read.message["origQryId"])
        if original is None or original.kind not in CHARGES or original.state != "succeeded":
            raise RefusedError("35", "2040004")
        if original.echo.get("bizType") != read.message["bizType"]:
            raise RefusedError("36", "bizType")
        left = self._books.left_of(original)
        if read.amount > left:
            raise RefusedError("36" if left else "45", "2050004" if left else "2050002")
        occasion = self.occasion(read, "refund")
        course = Course(CODES.accepted, CODES.success, self._config.processing_delay_s, CODES.interim)
        if (code := table.magic_amount(read.amount)) is not None and code not in table.WORKED:
            course = replace(course, answer=code, final=code, after_s=0.0)
        course = self._bent(course, occasion)
        order = self._book(read, "refund", original.card, course, original=original.order_no)
        return answer_to(read.message, course.answer) | {"queryId": order.transaction_no or ""}

    def _payout(self, read: Request) -> Answer:
        self._refuse_duplicate(read)
        if not read.customer.get("customerNm") and not read.customer.get("certifId"):
            raise RefusedError("13", "customerNm or certifId")
        occasion = self.occasion(read, "payout")
        course = self._provider.bend(self._usual_course(occasion), occasion, CODES, table.WORKED)
        order = self._provider.book_payout(occasion, mask_card(read.card_no), course, **self._told(read))
        return answer_to(read.message, course.answer) | {"queryId": order.transaction_no or ""}

    def _live_opening(self, read: Request) -> Opening:
        opening = self._openings.of_token(read.token, read.tr_id)
        if opening is None:
            raise RefusedError("72")
        if not opening.live:
            raise RefusedError("80")
        return opening

    def _charge(self, read: Request, kind: Kind, opening: Opening) -> Answer:
        occasion = self.occasion(read, "pay")
        usual = self._usual_course(occasion)
        usual = usual if opening.pays else replace(usual, final=table.IDENTITY_WRONG)
        course = self._provider.bend(usual, occasion, CODES, table.WORKED)
        order = self._book(read, kind, opening.card, course)
        return answer_to(read.message, course.answer) | {"queryId": order.transaction_no or ""}

    def _usual_course(self, occasion: Occasion) -> Course:
        processing_s, late_s = self._config.processing_delay_s, self._config.late_s
        code = table.magic_amount(occasion.amount)
        if code is not None and code not in table.UNDECIDED:
            return Course(code, code, 0.0, CODES.interim)
        code = code or table.magic_tail(occasion.card_tail)
        if code in table.UNDECIDED:
            return Course(code, CODES.success, late_s, code)
        if code == "34":
            return Course(CODES.accepted, CODES.success, processing_s, CODES.interim, hidden_s=late_s)
        return Course(CODES.accepted, code or CODES.success, processing_s, CODES.interim)

    def _bent(self, course: Course, occasion: Occasion) -> Course:
        return self._provider.bend(course, occasion, CODES)

    def _refuse_duplicate(self, read: Request) -> None:
        order = self._books.get(read.order_no)
        if order is not None:
            self._books.submitted_again(order)
            raise RefusedError(table.DUPLICATE)

    def _book(self, read: Request, kind: Kind, card: str, course: Course, *, original: str | None = None) -> Order:
        more = self._told(read) | {"original": original}
        return self._provider.book(read.order_no, kind, read.amount, card, course, **more)

    def _told(self, read: Request) -> dict[str, Any]:
        """What the books keep of a request, and UnionPay's own number for it."""
        return {
            "transaction_no": f"{datetime.now(UTC):%Y%m%d%H%M%S}{next(self._serial):07d}",
            "txn_time": read.message["txnTime"],
            "back_url": read.message["backUrl"],
            "echo": {name: read.message[name] for name in (*ECHOED, *ECHOED_OF_ORDER) if read.message[name]},
        }

    def _query(self, read: Request) -> Answer:
        order = self._books.get(read.order_no)
        if order is None or order.txn_time != read.message["txnTime"] or time.time() < order.visible_at:
            raise RefusedError("34")
        if (order.echo.get("bizType") == GATEWAY) is not (read.message["bizType"] == GATEWAY):
            raise RefusedError("34", "bizType")
        result = {
            "txnAmt": order.echo.get("txnAmt", ""),
            "currencyCode": order.echo.get("currencyCode", ""),
            "reqReserved": order.echo.get("reqReserved", ""),
            "origQryId": order.echo.get("origQryId", ""),
            "queryId": order.transaction_no or "",
            "origRespCode": order.code,
            "origRespMsg": _text_of(order.code),
            **settlement_of(order),
        }
        return answer_to(read.message, "00") | {name: value for name, value in result.items() if value}
