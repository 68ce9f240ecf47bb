"""What CPCN does for each transaction: bindings, SMS, quick payments, withholds, and questions about them."""

import time
from collections.abc import Mapping
from typing import Final

from sandbox.books import Kind, Order, mask_card
from sandbox.course import Codes, Course
from sandbox.cpcn import codes as table
from sandbox.cpcn.bindings import Awaited, Binding, Bindings
from sandbox.cpcn.notices import reason_of
from sandbox.cpcn.requests import CARD, QUICK, WITHHOLD, Body, Business, check
from sandbox.cpcn.wire import Message, RefusedError
from sandbox.faults import Occasion, Operation
from sandbox.magic import SMS_WANTED, binds, is_refused_by, pays
from sandbox.provider import Provider
from sandbox.sms import Purpose

__all__ = ["Transactions"]

CODES: Final = Codes(success=table.SUCCESS, accepted=table.OPEN, interim=table.OPEN, balance_short="51")
BENT: Final[tuple[Operation, ...]] = ("authenticate", "pay", "refund", "payout")
"""What has a course, which a `decline` bends; all else it refuses in the head."""


class Transactions:
    """The transactions of one institution, over the provider's books, faults and SMS. `more`: others beside them."""

    def __init__(self, provider: Provider, bindings: Bindings, more: Mapping[str, Business]) -> None:
        self._provider = provider
        self._config = provider.config
        self._books = provider.books
        self._faults = provider.faults
        self._sms = provider.sms
        self._bindings = bindings
        self._awaited: dict[str, Awaited] = {}
        code = ("SMSValidationCode", "2016", None)
        self.business: Mapping[str, Business] = {
            "2501": Business("authenticate", "TxSNBinding", CARD, self._bind),
            "2502": Business("query_authentication", "TxSNBinding", CARD[:1], self._binding),
            "2503": Business("unbind", "TxSNUnBinding", (("TxSNUnBinding", "30250305", None),), self._unbind),
            "2531": Business("send_code", "TxSNBinding", CARD, self._send_signing_code),
            "2532": Business("authenticate", "TxSNBinding", (*CARD[:1], code), self._sign),
            "2511": Business("pay", "PaymentNo", QUICK, self._quick),
            "2512": Business("query", "PaymentNo", QUICK[:1], self._quick_state),
            "2541": Business("send_code", "PaymentNo", QUICK, self._send_payment_code),
            "2542": Business("pay", "PaymentNo", (*QUICK[:1], code), self._quick_by_code),
            "2011": Business("pay", "TxSN", WITHHOLD, self._withhold),
            "2020": Business("query", "TxSN", WITHHOLD[:1], self._withhold_state),
            **more,
        }

    def clear(self) -> None:
        """Forget what waits for a code."""
        self._awaited.clear()

    def business_of(self, message: Message) -> Business:
        """The transaction that a message asks for, with all that it needs. Raises RefusedError."""
        business = self.business.get(message.head.get("TxCode", ""))
        if business is None:
            raise RefusedError("2006")
        check(message, business.wanted)
        return business

    def occasion(self, message: Message, business: Business) -> Occasion:
        """The call in the terms of a fault; what is about an order has the card and the amount of that."""
        number, operation = message[business.number], business.operation
        order = self._books.get(number) if operation.startswith("query") else None
        awaited = self._awaited.get(number)
        if order is not None:
            return Occasion(operation, number, order.card_tail, order.amount)
        if awaited is not None and not message["Amount"]:
            return Occasion(operation, number, awaited.card[-4:], awaited.amount)
        original = self._books.get(message["PaymentNo"]) if operation == "refund" else None
        binding = self._bindings.get(message["TxSNBinding"])
        card = message["AccountNumber"] or (original.card if original else binding.card if binding else "")
        return Occasion(operation, number, card[-4:], int(message["Amount"] or 0))

    def perform(self, business: Business, message: Message, occasion: Occasion) -> Body:
        """Do the work of one request and tell the body of its answer. Raises RefusedError."""
        if business.operation not in BENT and (decline := self._faults.take("decline", occasion)):
            raise RefusedError(decline.params["code"])
        return business.work(message, occasion)

    # Bindings

    def _bind(self, message: Message, occasion: Occasion) -> Body:
        self._refuse_used(message["TxSNBinding"], "30250123")
        wanted = occasion.card_tail == SMS_WANTED or self._faults.take("sms_needed", occasion) is not None
        phone = message["PhoneNumber"]
        code = table.SMS_WANTED if wanted else self._binding_code(occasion, phone, table.BINDING_TAILS)
        return self._bound(message["TxSNBinding"], mask_card(message["AccountNumber"]), phone, code)

    def _binding_code(self, occasion: Occasion, phone: str, tails: frozenset[str]) -> str:
        magic = self._refusal(occasion, binds(occasion.card_tail, phone)) or table.magic_tail(occasion.card_tail)
        course = self._bent(Course(CODES.success, CODES.success, 0.0, CODES.interim), occasion)
        bent = course.final if course.final != CODES.success else None
        return bent or (magic if magic in tails else None) or CODES.success

    def _refusal(self, occasion: Occasion, its_phone_will_do: bool) -> str | None:
        """The bank's code for a holder whom this provider refuses, or for a phone that is not the right one."""
        if is_refused_by(self._provider.name, occasion.card_tail):
            return table.HOLDER_WRONG
        return None if its_phone_will_do else table.PHONE_WRONG

    def _bound(self, number: str, card: str, phone: str, code: str) -> Body:
        order = self._provider.book(number, "open_card", 0, card, Course(code, code, 0.0, CODES.interim))
        if code == table.SUCCESS:
            self._bindings.bind(number, card, phone)
        return self._binding_told(order)

    def _binding_told(self, order: Order) -> dict[str, str]:
        binding = self._bindings.get(order.order_no)
        status = "40" if binding is not None and not binding.live else table.status_of("binding", order.code)
        return {"TxSNBinding": order.order_no, "Status": status, **reason_of(order)}

    def _binding(self, message: Message, occasion: Occasion) -> Body:
        order = self._seen(message["TxSNBinding"], "30250205", occasion)
        return {"TxSNBinding": message["TxSNBinding"], "Status": "10"} if order is None else self._binding_told(order)

    def _send_signing_code(self, message: Message, occasion: Occasion) -> Body:
        number = message["TxSNBinding"]
        self._refuse_used(number, "30250123")
        self._awaited[number] = Awaited(mask_card(message["AccountNumber"]), message["PhoneNumber"])
        self._provider.send_code(message["PhoneNumber"], "sign", number, occasion)
        return None

    def _sign(self, message: Message, occasion: Occasion) -> Body:
        number = message["TxSNBinding"]
        self._refuse_used(number, "2008", but_awaited=True)
        awaited = self._awaited.get(number)
        if awaited is None:
            raise RefusedError("30250205")
        verdict = self._verdict(message, number, "sign", awaited)
        if verdict is not None:
            return {"TxSNBinding": number, **verdict}
        del self._awaited[number]
        code = self._binding_code(occasion, awaited.phone, table.BINDING_TAILS - {table.SMS_WANTED})
        told = self._bound(number, awaited.card, awaited.phone, code)
        return {"VerifyStatus": "40", **(told or {})}

    def _verdict(self, message: Message, number: str, purpose: Purpose, awaited: Awaited) -> dict[str, str] | None:
        """What is said of a code that is not the right one: the state is empty (M)."""
        tail = awaited.card[-4:]
        verdict = self._sms.check(number, purpose, message["SMSValidationCode"])
        if tail == table.EXPIRED_TAIL or (verdict == "expired" and tail != table.WRONG_TAIL):
            return {"VerifyStatus": "20", "Status": "", "ResponseMessage": "验证码超时"}
        if verdict == "wrong" or tail == table.WRONG_TAIL:
            return {"VerifyStatus": "30", "Status": "", "ResponseMessage": "验证未通过"}
        return None

    def _unbind(self, message: Message, _: Occasion) -> Body:
        binding = self._bindings.get(message["TxSNBinding"])
        if binding is None or not binding.live:
            raise RefusedError("30250205")
        self._bindings.give_up(binding)
        told = {name: message[name] for name in ("TxSNUnBinding", "TxSNBinding")}
        return told | {"Status": table.status_of("unbinding", table.SUCCESS)}

    # Paying

    def _live(self, message: Message) -> Binding:
        binding = self._bindings.get(message["TxSNBinding"])
        if binding is None:
            raise RefusedError("30251108")
        if not binding.live:
            raise RefusedError("30251109")
        return binding

    def _quick(self, message: Message, occasion: Occasion) -> Body:
        self._refuse_used(message["PaymentNo"], "30251107")
        return self._told("quick", self._quick_charge(message["PaymentNo"], self._live(message), occasion))

    def _quick_charge(self, number: str, binding: Binding, occasion: Occasion) -> Order:
        refusal = self._refusal(occasion, binding.pays)
        return self._charge("consume", number, binding.card, occasion, refusal, delay_s=0.0)

    def _send_payment_code(self, message: Message, occasion: Occasion) -> Body:
        number, amount = message["PaymentNo"], int(message["Amount"])
        self._refuse_used(number, "30251107", but_awaited=True)
        binding = self._live(message)
        awaited = Awaited(binding.card, self._bindings.phone_of(binding), binding.number, amount)
        if self._awaited.setdefault(number, awaited) != awaited:
            raise RefusedError("30251107")
        self._provider.send_code(awaited.phone, "pay", number, occasion)
        return None

    def _quick_by_code(self, message: Message, occasion: Occasion) -> Body:
        number = message["PaymentNo"]
        self._refuse_used(number, "2008", but_awaited=True)
        awaited = self._awaited.get(number)
        if awaited is None:
            raise RefusedError("30251202")
        verdict = self._verdict(message, number, "pay", awaited)
        if verdict is not None:
            return {"PaymentNo": number, **verdict}
        binding = self._bindings.get(awaited.binding)
        if binding is None or not binding.live:
            raise RefusedError("30251109")
        del self._awaited[number]
        return {"VerifyStatus": "40", **self._told("quick", self._quick_charge(number, binding, occasion))}

    def _withhold(self, message: Message, occasion: Occasion) -> Body:
        self._refuse_used(message["TxSN"], "2008")
        number, card = message["TxSN"], mask_card(message["AccountNumber"])
        refusal = self._refusal(occasion, pays(occasion.card_tail, message["PhoneNumber"]))
        delay_s = self._config.processing_delay_s
        return self._told("withhold", self._charge("withhold", number, card, occasion, refusal, delay_s=delay_s))

    def _charge(
        self, kind: Kind, number: str, card: str, occasion: Occasion, refusal: str | None, *, delay_s: float
    ) -> Order:
        """A quick payment is answered when it is done, a withhold is accepted first (the sandbox's own choice)."""
        at_once = table.magic_amount(occasion.amount)
        code = refusal or at_once or table.magic_tail(occasion.card_tail) or CODES.success
        code = CODES.success if code == table.SMS_WANTED else code
        after_s = 0.0 if at_once else delay_s
        course = self._bent(Course(CODES.accepted if after_s else code, code, after_s, CODES.interim), occasion)
        return self._provider.book(number, kind, occasion.amount, card, course)

    def _told(self, family: str, order: Order) -> dict[str, str]:
        """What is said of an order; only a quick payment does not state its amount (H)."""
        name = "PaymentNo" if family == "quick" else "TxSN"
        amount = {} if family == "quick" else {"Amount": str(order.amount)}
        return {name: order.order_no, **amount, "Status": table.status_of(family, order.code), **reason_of(order)}

    def _quick_state(self, message: Message, occasion: Occasion) -> Body:
        order = self._seen(message["PaymentNo"], "30251202", occasion, "consume")
        return {"PaymentNo": message["PaymentNo"], "Status": "10"} if order is None else self._told("quick", order)

    def _withhold_state(self, message: Message, occasion: Occasion) -> Body:
        order = self._seen(message["TxSN"], "240005", occasion, "withhold")
        return None if order is None else self._told("withhold", order)

    # Orders

    def _bent(self, course: Course, occasion: Occasion) -> Course:
        bent = self._provider.bend(course, occasion, CODES)
        if table.is_head(bent.answer):
            raise RefusedError(bent.answer)
        return bent

    def _refuse_used(self, number: str, code: str, *, but_awaited: bool = False) -> None:
        order = self._books.get(number)
        if order is not None:
            self._books.submitted_again(order)
        if order is not None or (number in self._awaited and not but_awaited):
            raise RefusedError(code)

    def _seen(self, number: str, absent: str, occasion: Occasion, kind: Kind = "open_card") -> Order | None:
        """The order that a question is about; None: it waits for its code. Raises RefusedError: it is not seen."""
        order = self._books.get(number)
        hidden = self._faults.take("not_found", occasion) is not None
        if not hidden and order is None and number in self._awaited:
            return None
        if hidden or order is None or order.kind != kind or time.time() < order.visible_at:
            raise RefusedError(absent)
        return order
