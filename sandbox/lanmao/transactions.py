"""What the bank does with recharges: orders of its pages, charges of what was authorised, questions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sandbox.books import Kind, Order
from sandbox.course import Codes, Course, bend
from sandbox.faults import Occasion, Operation
from sandbox.lanmao import codes as table
from sandbox.lanmao.users import RECHARGE, User, Users
from sandbox.lanmao.wire import Fields, RefusedError, fen_of, moment_of, need, time_of, yuan_of

if TYPE_CHECKING:
    from sandbox.lanmao.provider import Lanmao

__all__ = ["Answer", "Transactions", "said_of"]

CODES: Final = Codes(
    success=table.SUCCESS, accepted=table.PENDDING, interim=table.PENDDING, balance_short=table.BALANCE_SHORT
)
ORDER: Final = ("platformUserNo", "requestNo", "amount", "expectPayCompany", "rechargeWay")
PAGE: Final = (*ORDER, "redirectUrl", "expired")

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A recharge as it is asked for, once its fields are right."""

    number: str
    amount: int
    user_no: str
    company: str
    way: str
    bankcode: str


def said_of(order: Order) -> Answer:
    """respData of an order: the same in an answer, a record, a notice and what the browser brings."""
    failed = order.state == "failed"
    by_bank = failed and order.code in table.MESSAGES
    said = {
        "requestNo": order.order_no,
        "code": "1" if by_bank else "0",
        "status": "INIT" if by_bank else "SUCCESS",
        "rechargeStatus": table.word_of(order.code),
        "platformUserNo": order.echo["user_no"],
        "amount": yuan_of(order.amount),
        "commission": "0.00",
        "payCompany": order.echo["company"],
        "rechargeWay": order.echo["way"],
        "payMobile": order.echo["phone"],
    }
    if order.echo["way"] == "SWIFT":
        said["bankcode"] = order.echo["bankcode"]
    if order.finished_at is not None:
        said["transactionTime"] = time_of(order.finished_at)
    if by_bank:
        said |= {"errorCode": order.code, "errorMessage": table.MESSAGES[order.code]}
    elif failed:
        said |= {"errorCode": table.FAILED, "errorMessage": table.MESSAGES[table.FAILED]}
        message = table.CHANNEL_MESSAGES.get(order.code, "交易失败")
        said |= {"channelErrorCode": order.code, "channelErrorMessage": message}
    return said


class Transactions:
    """The recharges of one platform, over the provider's books, faults and accounts."""

    def __init__(self, provider: "Lanmao", users: Users) -> None:
        self._provider, self._users = provider, users
        self._config, self._books, self._faults = provider.config, provider.books, provider.faults

    def occasion(self, operation: Operation, fields: Fields) -> Occasion:
        """What is about to happen, for the faults."""
        number = fields.get("requestNo", "")
        order = self._books.get(number)
        if order is not None:
            return Occasion(operation, number, order.card_tail, order.amount)
        user = self._users.get(fields.get("platformUserNo", ""))
        amount = fen_of(fields["amount"]) if "amount" in fields else 0
        return Occasion(operation, number, user.card[-4:] if user else "", amount)

    # Pages

    def open_page(self, fields: Fields) -> Order:
        """The order of a page that a payer's browser opens (RECHARGE), as often as it does. Raises RefusedError."""
        wanted = _wanted(fields, PAGE)
        expires_at = moment_of(fields["expired"])
        if wanted.way not in {"SWIFT", "WEB"} or expires_at is None:
            raise RefusedError(table.FIELDS, "rechargeWay,expired")
        if wanted.way == "SWIFT" and not wanted.bankcode:
            raise RefusedError(table.FIELDS, "bankcode")
        known = self._books.get(wanted.number)
        if known is not None:
            if (known.amount, known.echo["user_no"], known.kind) != (wanted.amount, wanted.user_no, "recharge"):
                raise RefusedError(table.REPEATED)
            self._books.submitted_again(known)
            return known
        user = self._users.get(wanted.user_no)
        can_pay = user is not None and (user.is_bound or wanted.way == "WEB")
        # Nobody finishes what nobody pays: when the page expires the order is still open.
        course = Course(table.OPEN, table.OPEN, max(0.001, expires_at - self._config.clock()), table.OPEN)
        if not can_pay:
            course = Course(table.NOT_BOUND, table.NOT_BOUND, 0.0, table.OPEN)
        echo = {"return_url": fields["redirectUrl"], "expired": fields["expired"]}
        return self._book(wanted, "recharge", user, course, echo)

    def pay(self, order: Order, *, short: bool = False) -> None:
        """The payer pays on the page. `short`: the card has not enough money. What is paid already stays as it is."""
        if order.code != table.OPEN:
            return
        occasion = Occasion("pay", order.order_no, order.card_tail, order.amount)
        course = self._course(occasion, self._users.get(order.echo["user_no"]), order.echo["company"])
        if short:
            course = Course(table.BALANCE_SHORT, table.BALANCE_SHORT, 0.0, table.PENDDING)
        if order.echo["way"] == "WEB" and table.state_of(course.answer) == "failed":
            return  # a net-bank page shows it, and another card may pay
        self._provider.settle(order, course.final, after_s=course.after_s, hidden_s=course.hidden_s)

    def is_over(self, order: Order) -> bool:
        """Whether the page has expired."""
        return (moment_of(order.echo["expired"]) or 0.0) < self._config.clock()

    # Direct calls

    def charge(self, fields: Fields) -> Answer:
        """DIRECT_RECHARGE: charge what the payer authorised. Raises RefusedError."""
        wanted = _wanted(fields, (*ORDER, "bankcode"))
        if wanted.way != "PROXY":
            raise RefusedError(table.FIELDS, "rechargeWay")
        known = self._books.get(wanted.number)
        if known is not None:
            self._books.submitted_again(known)
            raise RefusedError(table.REPEATED)
        user = self._users.get(wanted.user_no)
        if user is None or not user.is_bound:
            raise RefusedError(table.NOT_BOUND)
        if RECHARGE not in user.authorised:
            raise RefusedError(table.NOT_AUTHORISED)
        course = self._course(self.occasion("pay", fields), user, wanted.company)
        if course.answer in table.MESSAGES:
            raise RefusedError(course.answer)
        return said_of(self._book(wanted, "withhold", user, course, {}))

    def query(self, fields: Fields) -> Answer:
        """QUERY_TRANSACTION. Raises RefusedError."""
        need(fields, "requestNo", "transactionType")
        occasion = self.occasion("query", fields)
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        order, hidden = self._books.get(fields["requestNo"]), self._faults.take("not_found", occasion)
        is_there = order is not None and time.time() >= order.visible_at and hidden is None
        if order is None or not is_there or fields["transactionType"] != RECHARGE:
            raise RefusedError(table.NO_RECORD)
        record = said_of(order) | {"createTime": time_of(order.received_at)}
        return {"code": "0", "status": "SUCCESS", "records": [record]}

    def tell_user(self, fields: Fields) -> Answer:
        """QUERY_USER_INFORMATION. Raises RefusedError."""
        need(fields, "platformUserNo")
        user = self._users.get(fields["platformUserNo"])
        if user is None:
            raise RefusedError(table.NOT_BOUND)
        return {
            "code": "0",
            "status": "SUCCESS",
            "platformUserNo": user.user_no,
            "balance": yuan_of(self.balance(user.user_no)),
            "bankcardNo": user.card,
            "bankcode": user.bankcode,
            "mobile": user.phone,
            "authlist": ",".join(user.authorised),
        }

    def balance(self, user_no: str) -> int:
        """What was recharged to an account, in fen."""
        return sum(o.amount for o in self._books if o.state == "succeeded" and o.echo["user_no"] == user_no)

    # Parts

    def _course(self, occasion: Occasion, user: User | None, company: str) -> Course:
        tail = table.magic_tail(occasion.card_tail)
        code = table.magic_amount(occasion.amount) or tail or table.SUCCESS
        if user is not None and company in user.refused_by:
            code = table.IDENTITY
        course = bend(
            Course(code, code, 0.0, CODES.interim),
            self._faults,
            occasion,
            CODES,
            processing_s=self._config.processing_delay_s,
            late_s=self._config.late_s,
        )
        if course.answer == table.PENDDING and course.final == table.PENDDING:
            return replace(course, final=table.SUCCESS, after_s=self._config.processing_delay_s)
        return course

    def _book(self, wanted: Wanted, kind: Kind, user: User | None, course: Course, echo: Mapping[str, str]) -> Order:
        now = time.time()
        order = Order(
            order_no=wanted.number,
            kind=kind,
            amount=wanted.amount,
            currency="CNY",
            card=user.card if user else "",
            received_at=now,
            due_at=now + course.after_s,
            visible_at=now + course.hidden_s,
            code=course.interim,
            planned_code=course.final,
            echo={
                "user_no": wanted.user_no,
                "company": wanted.company,
                "way": wanted.way,
                "bankcode": wanted.bankcode or (user.bankcode if user else ""),
                "phone": "" if user is None or wanted.way == "WEB" else user.phone,
                **echo,
            },
        )
        self._provider.take(order)
        return order


def _wanted(fields: Fields, names: tuple[str, ...]) -> Wanted:
    need(fields, *names)
    if fields["expectPayCompany"] not in table.COMPANIES:
        raise RefusedError(table.NO_COMPANY, fields["expectPayCompany"])
    if fields.get("bankcode", "") not in {"", *table.BANKS}:
        raise RefusedError(table.FIELDS, "bankcode")
    return Wanted(
        fields["requestNo"],
        fen_of(fields["amount"]),
        fields["platformUserNo"],
        fields["expectPayCompany"],
        fields["rechargeWay"],
        fields.get("bankcode", ""),
    )
