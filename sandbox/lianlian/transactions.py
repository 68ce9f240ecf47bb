"""What LianLian does for each call: binding by SMS, paying at once or by SMS, questions, unbinding."""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sandbox.books import Kind, Order, mask_card
from sandbox.course import Codes, Course
from sandbox.faults import Occasion
from sandbox.lianlian import codes as table
from sandbox.lianlian.agreements import Agreement, Agreements, Token, Tokens
from sandbox.lianlian.calls import CALLS, CARD, Call, check
from sandbox.lianlian.wire import Fields, RefusedError, fen_of, yuan_of
from sandbox.magic import binds, is_refused_by, pays
from sandbox.sms import Purpose

if TYPE_CHECKING:
    from sandbox.lianlian.provider import LianLian

__all__ = ["Answer", "Transactions", "notice_of", "settle_date"]

CODES: Final = Codes(success=table.SUCCESS, accepted=table.ACCEPTED, interim=table.ACCEPTED, balance_short="6001")
BEIJING: Final = ZoneInfo("Asia/Shanghai")
BY_STATE: Final = {"processing": table.IN_PROCESS_BEFORE, "succeeded": table.PAID_BEFORE}
"""What is told of an order that is not to be paid again."""
USUAL_VALIDITY_MINUTES: Final = "10080"

Answer = dict[str, str]


def settle_date(order: Order) -> str:
    """YYYYMMDD of a paid order."""
    return f"{datetime.fromtimestamp(order.finished_at or order.received_at, BEIJING):%Y%m%d}"


def notice_of(order: Order) -> Answer:
    """The fields of the notice of a paid order, unsigned."""
    return {**_of_order(order), "result_pay": table.result_of(order.code), "settle_date": settle_date(order)}


def _phone_of(fields: Fields) -> str:
    """The card's; with an agreement the one in risk_item, since no file here keeps the bank's."""
    try:
        risk = json.loads(fields["risk_item"])
    except ValueError:
        raise RefusedError("1004", "risk_item") from None
    return fields.get("bind_mob") or str(risk.get("user_info_bind_phone", "") if isinstance(risk, dict) else "")


def _of_order(order: Order) -> Answer:
    return {
        "oid_partner": order.echo["oid_partner"],
        "sign_type": "RSA",
        "no_order": order.order_no,
        "dt_order": order.txn_time,
        "oid_paybill": order.transaction_no or "",
        "money_order": yuan_of(order.amount),
        "pay_type": order.echo.get("pay_type", "2"),
    }


class Transactions:
    """The calls of one merchant, over the provider's books, faults and SMS."""

    def __init__(self, provider: "LianLian", agreements: Agreements) -> None:
        self._provider, self._agreements, self.tokens = provider, agreements, Tokens()
        self._config, self._books = provider.config, provider.books
        self._faults, self._sms = provider.faults, provider.sms
        self._serial = itertools.count(len(provider.books) + 1)
        self._work: Mapping[str, Callable[[Fields], Answer]] = {
            "bind": self._bind,
            "verify": self._verify,
            "prepay": self._prepay,
            "pay": self._pay,
            "query": self._query,
            "unbind": self._unbind,
        }

    def occasion(self, call: Call, fields: Fields) -> Occasion:
        """What is about to happen, for the faults."""
        order_no = fields.get("no_order", "")
        order = self._books.get(order_no)
        if order is not None:
            return Occasion(call.operation, order_no, order.card_tail, order.amount)
        agreement = self._agreements.of(fields.get("user_id", ""), fields.get("no_agree", ""))
        tail = fields.get("card_no", "")[-4:] if agreement is None else agreement.card[-4:]
        amount = fen_of(fields["money_order"]) if "money_order" in fields else 0
        return Occasion(call.operation, order_no, tail, amount)

    def perform(self, name: str, fields: Fields) -> Answer:
        """Check the fields, do the work, and tell its answer. Raises RefusedError."""
        check(CALLS[name], fields)
        return self._work[name](fields)

    # Binding

    def _bind(self, fields: Fields) -> Answer:
        occasion = self.occasion(CALLS["bind"], fields)
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if occasion.card_tail in table.BINDING_TAILS:
            raise RefusedError(occasion.card_tail)
        self._refuse_holder(fields)
        order = self._waiting(fields, "open_card", mask_card(fields["card_no"]), 0)
        token = self._send_sms("sign", fields, fields["bind_mob"], None)
        return self._answer(table.SMS_SENT, fields) | {"dt_order": order.txn_time, "token": token.text}

    def _refuse_holder(self, fields: Fields) -> None:
        """Raise RefusedError for a card that this provider, or the bank with this phone, does not bind."""
        tail = fields["card_no"][-4:]
        if is_refused_by(self._provider.name, tail):
            raise RefusedError(table.HOLDER_WRONG)
        if not binds(tail, fields["bind_mob"]):
            raise RefusedError(table.PHONE_WRONG)

    def _verify(self, fields: Fields) -> Answer:
        token = self._believed(fields, "sign")
        if token.user_id != fields["user_id"]:
            raise RefusedError(table.LAPSED, "user_id")
        if decline := self._faults.take("decline", self.occasion(CALLS["verify"], fields)):
            raise RefusedError(decline.params["code"])
        self.tokens.drop(token)
        agreement = self._agreements.bind(token.user_id, token.card_no, pays=token.pays)
        self._provider.settle(self._order(fields), table.SUCCESS)
        said = {"no_agree": agreement.no_agree, "card_no": agreement.card[-4:]}
        return self._answer(table.SUCCESS, fields) | said

    def _unbind(self, fields: Fields) -> Answer:
        agreement = self._agreements.of(fields["user_id"], fields["no_agree"])
        if agreement is None:
            raise RefusedError("3003")
        if decline := self._faults.take("decline", self.occasion(CALLS["unbind"], fields)):
            raise RefusedError(decline.params["code"])
        self._agreements.give_up(agreement)
        return {"sign_type": "RSA", "ret_code": table.SUCCESS}

    # Paying

    def _prepay(self, fields: Fields) -> Answer:
        amount, no_agree = fen_of(fields["money_order"]), fields.get("no_agree", "")
        agreement = self._agreements.of(fields["user_id"], no_agree)
        if no_agree and agreement is None:
            raise RefusedError("3003")
        if agreement is None and (missing := [name for name in CARD if not fields.get(name)]):
            raise RefusedError("1004", ",".join(missing))
        if agreement is None:
            self._refuse_holder(fields)
        card = mask_card(fields["card_no"]) if agreement is None else agreement.card
        known = self._books.get(fields["no_order"])
        self._refuse_duplicate(known, amount)
        occasion = self.occasion(CALLS["prepay"], fields)
        is_waiting = known is not None
        sms_wanted = occasion.card_tail == table.SMS_EVERY_TIME_TAIL or self._faults.take("sms_needed", occasion)
        if agreement is None or is_waiting or sms_wanted:
            order = self._waiting(fields, "consume", card, amount)
            token = self._send_sms("pay", fields, _phone_of(fields), agreement)
            return self._of_paid(order, table.SMS_SENT) | {"token": token.text}
        course = self._course(occasion, its_phone_pays=agreement.pays)
        order = self._book(fields, "consume", card, amount, course)
        return self._charged(order, course) | ({"no_agree": no_agree} if course.after_s <= 0 else {})

    def _pay(self, fields: Fields) -> Answer:
        order = self._order(fields)
        token = self._believed(fields, "pay")
        if order.amount != fen_of(fields["money_order"]):
            raise RefusedError("7017")
        course = self._course(self.occasion(CALLS["pay"], fields), its_phone_pays=token.pays)
        if course.answer in table.CODE_FAULTS:
            raise RefusedError(course.answer)
        self.tokens.drop(token)
        self._provider.settle(order, course.final, after_s=course.after_s, hidden_s=course.hidden_s)
        answer = self._charged(order, course)
        if order.state == "succeeded" and token.card_no:
            # The first payment of a card binds it, too (H).
            answer["no_agree"] = self._agreements.bind(token.user_id, token.card_no, pays=token.pays).no_agree
        return answer

    def _charged(self, order: Order, course: Course) -> Answer:
        if course.answer != table.SUCCESS:
            raise RefusedError(course.answer)
        return self._of_paid(order, table.SUCCESS) | {"settle_date": settle_date(order)}

    def _refuse_duplicate(self, known: Order | None, amount: int) -> None:
        """An order that waits for a code may be asked for again (the sandbox's own rule), and nothing else may."""
        if known is None:
            return
        self._books.submitted_again(known)
        if known.code == table.SMS_SENT and known.kind == "consume" and known.amount == amount:
            return
        raise RefusedError(BY_STATE.get(known.state, table.DUPLICATE))

    def _course(self, occasion: Occasion, *, its_phone_pays: bool) -> Course:
        code = table.magic_amount(occasion.amount) or table.magic_tail(occasion.card_tail) or table.SUCCESS
        if not its_phone_pays:
            code = table.PHONE_WRONG
        return self._provider.bend(Course(code, code, 0.0, CODES.interim), occasion, CODES, table.WORKED)

    # Questions

    def _query(self, fields: Fields) -> Answer:
        occasion = self.occasion(CALLS["query"], fields)
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        order = self._books.get(fields["no_order"])
        hidden = self._faults.take("not_found", occasion) is not None
        if order is None or hidden or order.kind != "consume" or order.txn_time != fields["dt_order"]:
            raise RefusedError(table.NOT_FOUND)
        if time.time() < order.visible_at:
            raise RefusedError(table.NOT_FOUND)
        answer = _of_order(order) | {"ret_code": table.SUCCESS, "result_pay": table.result_of(order.code)}
        if order.state == "succeeded":
            answer["settle_date"] = settle_date(order)
        if fields.get("query_version") == "1.1":
            memo = table.MESSAGES.get(order.code, "其他") if order.state == "failed" else ""
            answer |= {"memo": memo, "card_no": order.card, "bank_name": "测试银行"}
        return answer

    # Parts

    def _order(self, fields: Fields) -> Order:
        order = self._books.get(fields["no_order"])
        if order is None or order.code != table.SMS_SENT:
            raise RefusedError(table.LAPSED if order is None else BY_STATE.get(order.state, table.LAPSED))
        return order

    def _waiting(self, fields: Fields, kind: Kind, card: str, amount: int) -> Order:
        """The order that waits for a code: a new one, or the one that waits already."""
        known = self._books.get(fields["no_order"])
        if known is not None:
            if (known.kind, known.code) != (kind, table.SMS_SENT):
                raise RefusedError(table.DUPLICATE)
            if kind == "open_card":
                self._books.submitted_again(known)
            return known
        lapsed = table.LAPSED if kind == "open_card" else table.CLOSED
        life_s = 60.0 * int(fields.get("valid_order") or USUAL_VALIDITY_MINUTES)
        return self._book(fields, kind, card, amount, Course("", lapsed, life_s, table.SMS_SENT))

    def _send_sms(self, purpose: Purpose, fields: Fields, phone: str, agreement: Agreement | None) -> Token:
        order_no, card_no = fields["no_order"], fields.get("card_no", "")
        self._provider.send_code(phone, purpose, order_no, self.occasion(CALLS["bind"], fields))
        its_phone_pays = pays(card_no[-4:], phone) if agreement is None else agreement.pays
        return self.tokens.new(purpose, order_no, fields["user_id"], card_no, pays=its_phone_pays)

    def _believed(self, fields: Fields, purpose: Purpose) -> Token:
        """The token of a request that brings the right code."""
        token = self.tokens.of(purpose, fields["no_order"], fields["token"])
        if token is None:
            raise RefusedError(table.LAPSED)
        if not token.may_be_tried:
            raise RefusedError("9702")
        verdict = self._sms.check(fields["no_order"], purpose, fields["verify_code"])
        if verdict != "right":
            token.wrong_codes += verdict == "wrong"
            raise RefusedError("1901" if verdict == "expired" else "1900")
        return token

    def _answer(self, code: str, fields: Fields) -> Answer:
        echoed = {name: fields[name] for name in ("oid_partner", "no_order", "user_id") if fields.get(name)}
        return echoed | {"sign_type": "RSA", "ret_code": code}

    def _of_paid(self, order: Order, code: str) -> Answer:
        answer = _of_order(order) | {"ret_code": code}
        del answer["pay_type"]
        return answer

    def _book(self, fields: Fields, kind: Kind, card: str, amount: int, course: Course) -> Order:
        return self._provider.book(
            fields["no_order"],
            kind,
            amount,
            card,
            course,
            transaction_no=f"{datetime.now(UTC):%Y%m%d}{next(self._serial):08d}",
            txn_time=fields["dt_order"],
            back_url=fields.get("notify_url", ""),
            echo={name: fields[name] for name in ("oid_partner", "pay_type", "user_id") if fields.get(name)},
        )
