"""The Allinpay mock as a server: collect (100011), pay by agreement (310011), refund, query (200004); one merchant."""

import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import ClassVar, Final, cast

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.allinpay import codes as table
from sandbox.allinpay.agreements import Agreements
from sandbox.allinpay.answer import Answer, word
from sandbox.allinpay.refunds import Refunds
from sandbox.allinpay.signing import CANCELLED, NAME_WRONG, NO_AGREEMENT, Signing, check_card
from sandbox.allinpay.statement import StatementDesk
from sandbox.allinpay.wire import CHARSET, Package, RefusedError, parse, render, verifies
from sandbox.books import Kind, Order, State, mask_card
from sandbox.config import SandboxConfig
from sandbox.course import Codes, Course
from sandbox.exchange import exchange
from sandbox.faults import Occasion, Operation
from sandbox.keys import ALLINPAY, AllinpayKeys, KeySet
from sandbox.magic import is_refused_by, pays
from sandbox.prints import CardPrinter
from sandbox.provider import Provider
from sandbox.timers import Timers

__all__ = ["Allinpay"]

PATH: Final = "/allinpay/aipg/ProcessServlet"
FILE_PATH: Final = "/allinpay/aipg/GetConFile.do"
COLLECT: Final = "100011"
PAY_OUT: Final = "100014"
QUERY: Final = "200004"
PAY_BY_AGREEMENT: Final = "310011"
GIVE_BACK: Final = "REFUND"
BALANCE: Final = "300000"
STATEMENT: Final = "200002"
BASIC: Final = "000"
"""How the number of a merchant's basic account goes on after the merchant's."""
SIGNING: Final = {"310001": "FAGRA", "310002": "FAGRC", "310003": "FAGRCNL"}
BODY_OF: Final = {
    COLLECT: "TRANS",
    PAY_OUT: "TRANS",
    QUERY: "QTRANSREQ",
    PAY_BY_AGREEMENT: "FASTTRX",
    GIVE_BACK: "REFUND",
    BALANCE: "ACQUERYREQ",
    STATEMENT: "QTRANSREQ",
    **SIGNING,
}
CODES: Final = Codes(success="0000", accepted="2000", interim="2000", balance_short="3008")

SIGNATURE_WRONG: Final = "3058"
CONTENT_WRONG: Final = table.CONTENT_WRONG
EMPTY_RESULT: Final = "1002"
BUSY: Final = "3028"

MAX_REQ_SN: Final = 40
WANTED_OF_PAYMENTS: Final = ("BUSINESS_CODE", "MERCHANT_ID", "SUBMIT_TIME", "ACCOUNT_NO", "ACCOUNT_NAME", "AMOUNT")
FIRM: Final = "1"
WANTED_OF_FIRMS: Final = ("PROVINCE", "CITY", "BANK_NAME", "UNION_BANK")
FIRMS_ACCOUNT: Final = re.compile("[0-9-]{5,32}")
AMOUNT: Final = re.compile("0*[1-9][0-9]{0,11}")
BEIJING: Final = timezone(timedelta(hours=8))


class Allinpay(Provider):
    """Provider `allinpay`."""

    name: ClassVar[str] = "allinpay"
    keys: ClassVar[KeySet[AllinpayKeys]] = ALLINPAY
    cannot: ClassVar[frozenset[str]] = frozenset({"sms_needed"})
    pays_out: ClassVar[bool] = True
    states_balance: ClassVar[bool] = True
    returned_code: ClassVar[str | None] = table.RETURNED
    day_cut: ClassVar[str] = "23:50"
    states_failures: ClassVar[bool] = True

    def __init__(self, config: SandboxConfig, timers: Timers, keys: AllinpayKeys) -> None:
        super().__init__(config, timers)  # real-time work of this protocol has no notices
        self._keys = keys
        self._merchant_key = cast("RSAPublicKey", keys.merchant_certificate.public_key())
        print_key = None if config.data_dir is None else config.data_dir / "card-fingerprint.key"
        self._agreements = Agreements(self.books, CardPrinter(print_key))
        self._signing = Signing(self, self._agreements)
        self._refunds = Refunds(self, CODES)
        self._bills = StatementDesk(self, keys.merchant_id, self._merchant_key)

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.post(PATH, self._handle), web.get(FILE_PATH, self._bills.by_address)]

    def state_of(self, code: str) -> State:
        return table.state_of(code)

    def is_failure_code(self, code: str) -> bool:
        return len(code) == 4 and code.isascii() and code.isdecimal() and code != table.SUCCESS

    def statement_file(self, day: date) -> tuple[str, bytes]:
        return self._bills.file(day)

    def reset(self) -> None:
        super().reset()
        self._agreements.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        package = Package({}, "", {})
        try:
            package = parse(raw)
            self._check_head(package, raw)
            occasion = self._occasion(package)
        except RefusedError as refused:
            return self._render(package, Answer(refused.code, refused.detail))
        if self.faults.take("maintenance", occasion):
            return self._render(package, Answer(BUSY))
        return await exchange(
            request,
            self.faults,
            occasion,
            lambda: self._work(package, occasion),
            lambda answer, wrongly: self._render(package, answer, wrongly=wrongly),
        )

    def _check_head(self, package: Package, raw: bytes) -> None:
        if not verifies(raw, self._merchant_key):
            raise RefusedError(SIGNATURE_WRONG)
        head, keys = package.head, self._keys
        if head.get("USER_NAME") != keys.user_name or not hmac.compare_digest(
            head.get("USER_PASS", "").encode(), keys.user_pass.encode()
        ):
            raise RefusedError(CONTENT_WRONG, "USER_NAME or USER_PASS")
        for given in (head.get("MERCHANT_ID"), package.body.get("MERCHANT_ID")):
            if given and given != keys.merchant_id:
                raise RefusedError(CONTENT_WRONG, "MERCHANT_ID")
        if not 0 < len(head.get("REQ_SN", "")) <= MAX_REQ_SN:
            raise RefusedError(CONTENT_WRONG, "REQ_SN")
        if head.get("DATA_TYPE") != "2":
            raise RefusedError(CONTENT_WRONG, "DATA_TYPE")
        if package.body_name != BODY_OF.get(head.get("TRX_CODE", "")):
            raise RefusedError(CONTENT_WRONG, "TRX_CODE")

    def _occasion(self, package: Package) -> Occasion:
        body = package.body
        if package.head["TRX_CODE"] == QUERY:
            # Without QUERY_SN a query is about a span of days, which this sandbox does not do.
            order_no = body.get("QUERY_SN", "")
            if not order_no:
                raise RefusedError(CONTENT_WRONG, "QUERY_SN")
            return self._occasion_of("query", order_no)
        if package.head["TRX_CODE"] == STATEMENT:
            return Occasion("statement", "", day=self._bills.day_asked(body).isoformat())
        if package.head["TRX_CODE"] in SIGNING:
            return self._signing.occasion(package)
        if package.head["TRX_CODE"] == GIVE_BACK:
            return self._refunds.occasion(package)
        if package.head["TRX_CODE"] == BALANCE:
            # An empty ACCTNO is about all accounts (M): this merchant has one.
            if not package.head.get("MERCHANT_ID") or body.get("ACCTNO", "") not in {"", self._account_no}:
                raise RefusedError(CONTENT_WRONG, "ACCTNO")
            return Occasion("query_balance", package.head["REQ_SN"])
        by_agreement = package.head["TRX_CODE"] == PAY_BY_AGREEMENT
        for name in (*WANTED_OF_PAYMENTS, "AGRMNO") if by_agreement else WANTED_OF_PAYMENTS:
            if not body.get(name):
                raise RefusedError(CONTENT_WRONG, name)
        if not AMOUNT.fullmatch(body["AMOUNT"]):
            raise RefusedError(CONTENT_WRONG, "AMOUNT")
        pays_out = package.head["TRX_CODE"] == PAY_OUT
        if pays_out and body.get("ACCOUNT_PROP") == FIRM:
            _check_firm(body)
        else:
            check_card(dict(body))
        if body.get("CURRENCY", "CNY") != "CNY":
            raise RefusedError(CONTENT_WRONG, "CURRENCY")
        return Occasion(
            "payout" if pays_out else "pay", package.head["REQ_SN"], body["ACCOUNT_NO"][-4:], int(body["AMOUNT"])
        )

    def _occasion_of(self, operation: Operation, order_no: str) -> Occasion:
        order = self.books.get(order_no)
        if order is None:
            return Occasion(operation, order_no)
        return Occasion(operation, order_no, order.card_tail, order.amount)

    def _work(self, package: Package, occasion: Occasion) -> Answer:
        if package.head["TRX_CODE"] in SIGNING:
            return self._signing.work(package, occasion)
        if occasion.operation == "statement":
            return self._bills.told(package)
        if occasion.operation == "refund":
            return self._refunds.work(package, occasion)
        if occasion.operation == "query_balance":
            return self._balance_told(occasion)
        return self._query(occasion) if occasion.operation == "query" else self._pay(package, occasion)

    def _pay(self, package: Package, occasion: Occasion) -> Answer:
        known = self.books.get(occasion.order_no)
        if known is not None:
            # Whether a duplicate is told in INFO or in the body is not public: INFO is the sandbox's own choice.
            self.books.submitted_again(known)
            return Answer(table.DUPLICATE)
        refusal = self._refused_agreement(package) if package.body_name == "FASTTRX" else None
        if refusal is not None:
            return word("FASTTRXRET", refusal)
        course = self._course(occasion, package.body)
        if table.is_refusal(course.answer):
            return Answer(course.answer)
        order = self._book(package, occasion, course)
        if course.after_s > 0:
            return Answer(course.answer)
        body_name = "FASTTRXRET" if package.body_name == "FASTTRX" else "TRANSRET"
        return Answer(table.SUCCESS, body_name=body_name, rows=_result(order) | {"SETTLE_DAY": _settle_day(order)})

    def _refused_agreement(self, package: Package) -> str | None:
        """Why nothing is paid by this agreement; it leaves no order."""
        body = package.body
        agreement = self._agreements.get(body["AGRMNO"])
        if agreement is None or not self._agreements.is_about(agreement, body["ACCOUNT_NO"], body.get("TEL", "")):
            return NO_AGREEMENT
        return None if agreement.live else CANCELLED

    def _course(self, occasion: Occasion, body: Mapping[str, str]) -> Course:
        code = table.magic_amount(occasion.amount) or table.magic_tail(occasion.card_tail) or CODES.success
        if occasion.operation == "payout" and code == table.RETURNED:
            code = CODES.success  # it comes back later
        its_phone = occasion.operation == "payout" or pays(occasion.card_tail, body.get("TEL", ""))
        if is_refused_by(self.name, occasion.card_tail) or not its_phone:
            code = NAME_WRONG
        course = self.bend(Course(code, code, 0.0, CODES.interim), occasion, CODES, table.PROCESSING)
        return replace(course, hidden_s=max(course.hidden_s, self.config.not_visible_s))

    def _book(self, package: Package, occasion: Occasion, course: Course) -> Order:
        kind: Kind = "pay" if package.body_name == "FASTTRX" else "collect"
        card, txn_time = mask_card(package.body["ACCOUNT_NO"]), package.body["SUBMIT_TIME"]
        if occasion.operation == "payout":
            back = occasion.card_tail == table.RETURNED or table.magic_amount(occasion.amount) == table.RETURNED
            later = {"return_after_s": self.config.late_s, "reason": "payee_name_mismatch"} if back else {}
            echo = {"ACCOUNT_PROP": package.body.get("ACCOUNT_PROP", "0")}
            return self.book_payout(occasion, card, course, txn_time=txn_time, echo=echo, **later)
        return self.book(occasion.order_no, kind, occasion.amount, card, course, txn_time=txn_time)

    def _query(self, occasion: Occasion) -> Answer:
        if decline := self.faults.take("decline", occasion):
            return Answer(decline.params["code"])
        order = self.books.get(occasion.order_no)
        hidden = self.faults.take("not_found", occasion) is not None
        if order is None or hidden or time.time() < order.visible_at:
            return Answer(EMPTY_RESULT)
        if order.state == "processing":
            return Answer(order.code)
        detail = {
            "BATCHID": order.order_no,
            "SN": "0",
            "ACCOUNT_NO": order.card,
            "AMOUNT": str(order.amount),
            "FINTIME": _beijing(order.finished_at or order.received_at),
            "SUBMITTIME": order.txn_time,
            **_result(order),
        } | ({"ERR_MSG": f"退票，{why}"} if (why := self.why_returned(order)) else {})
        return Answer(table.SUCCESS, body_name="QTRANSRSP", rows=[("QTDETAIL", detail)])

    def _balance_told(self, occasion: Occasion) -> Answer:
        if decline := self.faults.take("decline", occasion):
            return Answer(decline.params["code"])
        has, _ = self.balance.now
        node = {"ACCTNO": self._account_no, "BALANCE": str(has), "USABLEBAL": str(has), "FROZBAL": "0"}
        return Answer(table.SUCCESS, body_name="ACQUERYREP", rows=[("ACNODE", node)])

    @property
    def _account_no(self) -> str:
        return self._keys.merchant_id + BASIC

    def _render(self, package: Package, answer: Answer, *, wrongly: bool = False) -> web.Response:
        head = {
            "TRX_CODE": package.head.get("TRX_CODE", ""),
            "VERSION": package.head.get("VERSION", "03"),
            "DATA_TYPE": "2",
            "REQ_SN": package.head.get("REQ_SN", ""),
            "RET_CODE": answer.code,
            "ERR_MSG": table.text_of(answer.code) + (f"[{answer.detail}]" if answer.detail else ""),
        }
        body = render(head, answer.body_name, answer.rows, self._keys.psp)
        if wrongly:
            other = render(head | {"ERR_MSG": "?"}, answer.body_name, answer.rows, self._keys.psp)
            body = body.replace(_signature_in(body), _signature_in(other))
        return web.Response(body=body, content_type="text/xml", charset=CHARSET)


def _check_firm(body: Mapping[str, str]) -> None:
    for name in WANTED_OF_FIRMS:
        if not body.get(name):
            raise RefusedError(CONTENT_WRONG, name)
    if not FIRMS_ACCOUNT.fullmatch(body["ACCOUNT_NO"]):
        raise RefusedError(CONTENT_WRONG, "ACCOUNT_NO")


def _signature_in(body: bytes) -> bytes:
    return body.split(b"<SIGNED_MSG>")[1].split(b"</SIGNED_MSG>")[0]


def _result(order: Order) -> dict[str, str]:
    return {"RET_CODE": order.code, "ERR_MSG": table.text_of(order.code)}


def _settle_day(order: Order) -> str:
    return _beijing(order.received_at)[:8]


def _beijing(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone(BEIJING):%Y%m%d%H%M%S}"
