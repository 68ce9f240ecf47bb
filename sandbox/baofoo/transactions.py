"""What protocol pay does for each transaction type; payments are in `payments`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.baofoo import codes as table
from sandbox.baofoo.bindings import Binding, Bindings, Wish, new_number
from sandbox.baofoo.payments import Answer, Payments
from sandbox.baofoo.request import FORMAT_WRONG, MISSING, Request
from sandbox.baofoo.wire import Message, RefusedError
from sandbox.books import mask_card
from sandbox.course import Course
from sandbox.faults import Occasion, Operation
from sandbox.magic import binds, is_refused_by
from sandbox.provider import Provider
from sandbox.sms import Purpose

__all__ = ["Business", "Transactions"]

QUERY: Final = "07"

NOT_ENABLED: Final = "BF00125"
CODE_WRONG: Final = "BF00105"
CODE_EXPIRED: Final = "BF00106"
CARD_WRONG: Final = "BF00182"
BOUND_BEFORE: Final = "BF00186"
NO_CREDIT_CARDS: Final = "BF00187"
ANOTHER_USER: Final = "BF00191"

DEBIT, CREDIT = "101", "102"
PAPERS: Final = frozenset({"01", "09", "12", "13"})
CARD_NO: Final = re.compile("[0-9]{12,19}")
ACCOUNT_PARTS: Final = 6
PAYING: Final = ("dgtl_envlp", "protocol_no", "trans_id", "txn_amt", "risk_item")


@dataclass(frozen=True, slots=True)
class Business:
    """One transaction of the protocol: what it is for a fault, what it must bring, what is done."""

    operation: Operation
    wanted: tuple[str, ...]
    work: Callable[[Request], Answer]


class Transactions:
    """The transactions of one merchant, over the provider's books, faults and SMS."""

    def __init__(self, provider: Provider, bindings: Bindings) -> None:
        self._provider, self._bindings = provider, bindings
        self._books, self._faults, self._sms = provider.books, provider.faults, provider.sms
        self._payments = Payments(provider, bindings)
        self._businesses: Mapping[str, Business] = {
            "01": Business("send_code", ("dgtl_envlp", "card_type", "id_card_type", "acc_info"), self._pre_bind),
            "02": Business("authenticate", ("dgtl_envlp", "unique_code"), self._bind),
            "03": Business("query_authentication", (), self._query_bindings),
            "04": Business("unbind", ("dgtl_envlp", "protocol_no"), self._unbind),
            "05": Business("send_code", PAYING, self._pre_pay),
            "06": Business("pay", ("dgtl_envlp", "unique_code"), self._confirm),
            QUERY: Business("query", ("orig_trans_id", "orig_trade_date"), self._payments.query),
            "08": Business("pay", PAYING, lambda read: self._payments.pay(read, self._live(read))),
        }

    def of(self, message: Message) -> Business:
        """The transaction that a message asks for. Raises RefusedError."""
        business = self._businesses.get(message["txn_type"])
        if business is None:
            raise RefusedError(NOT_ENABLED, "txn_type")
        return business

    def occasion(self, business: Business, read: Request) -> Occasion:
        """The call in the terms of a fault. A request that names no order has its own number."""
        order = self._books.get(read.order_no) if business.operation == "query" else None
        if order is not None:
            return Occasion("query", order.order_no, order.card_tail, order.amount)
        wish = self._bindings.wish_of(read.unique_code)
        binding = self._bindings.of(read.protocol_no if wish is None else wish.protocol_no)
        card = read.card_no if binding is None else binding.card
        number = read.order_no or read.message["msg_id"]
        if wish is None:
            return Occasion(business.operation, number, card[-4:], read.amount)
        return Occasion(business.operation, wish.order_no or number, (card or wish.card_no)[-4:], wish.amount)

    def perform(self, business: Business, read: Request, occasion: Occasion) -> Answer:
        """Do the work of one request and tell its answer."""
        try:
            if business.operation != "pay":
                self._refuse_by_fault(occasion)
            return business.work(read)
        except RefusedError as refused:
            wish = self._bindings.wish_of(read.unique_code)
            return self.refusal(read.message, refused, "" if wish is None else wish.order_no)

    def refusal(self, message: Message, refused: RefusedError, order_no: str = "") -> Answer:
        """The answer to what is refused. A question that is refused says so, and nothing of the order."""
        numbers = {"trans_id": message["trans_id"] or message["orig_trans_id"] or order_no}
        state = "FF" if message["txn_type"] == QUERY else "F"
        return Answer(refused.code, numbers, state=state, detail=refused.detail)

    def _refuse_by_fault(self, occasion: Occasion) -> None:
        if decline := self._faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if occasion.operation.startswith("query") and self._faults.take("not_found", occasion):
            raise RefusedError(table.NO_SUCH_ORDER if occasion.operation == "query" else table.AGREEMENT_VOID)

    # Binding

    def _pre_bind(self, read: Request) -> Answer:
        message, account = read.message, read.account
        if len(account) != ACCOUNT_PARTS or not all(account[:4]) or message["id_card_type"] not in PAPERS:
            raise RefusedError(FORMAT_WRONG, "acc_info or id_card_type")
        if not CARD_NO.fullmatch(read.card_no):
            raise RefusedError(CARD_WRONG)
        if message["card_type"] != DEBIT:
            raise RefusedError(NO_CREDIT_CARDS if message["card_type"] == CREDIT else FORMAT_WRONG, "card_type")
        tail, phone = read.card_no[-4:], account[3]
        code = table.magic_tail(tail)
        if code in table.BINDING_TAILS:
            raise RefusedError(code)
        if is_refused_by(self._provider.name, tail):
            raise RefusedError(table.HOLDER_WRONG)
        if not binds(tail, phone):
            raise RefusedError(table.PHONE_WRONG)
        return self._sent(read, "sign", Wish(new_number(), message["user_id"], read.card_no, phone), phone)

    def _sent(self, read: Request, purpose: Purpose, wish: Wish, phone: str) -> Answer:
        self._bindings.wish(wish)
        occasion = self.occasion(self.of(read.message), read)
        self._provider.send_code(phone, purpose, wish.unique_code, occasion)
        return Answer(table.SUCCESS, {"trans_id": wish.order_no}, {"unique_code": wish.unique_code})

    def _bind(self, read: Request) -> Answer:
        wish = self._confirmed(read, "sign")
        if wish.done:
            raise RefusedError(BOUND_BEFORE)
        wish.done = True
        binding = self._bindings.bind(wish.user_id, wish.card_no, wish.phone)
        self._book_binding(read.message, mask_card(wish.card_no))
        bank = {"bank_code": "ICBC", "bank_name": "工商银行"}
        return Answer(table.SUCCESS, bank, {"protocol_no": binding.protocol_no})

    def _book_binding(self, message: Message, card: str) -> None:
        """Nothing names an order here: the confirmation stands in the books under its own number."""
        number, done = message["msg_id"], Course(table.SUCCESS, table.SUCCESS, 0.0, table.SUCCESS)
        if self._books.get(number) is None:
            self._provider.book(number, "open_card", 0, card, done, txn_time=message["send_time"])

    def _confirmed(self, read: Request, purpose: Purpose) -> Wish:
        """The wish whose code this is. Raises RefusedError."""
        wish = self._bindings.wish_of(read.unique_code)
        if wish is None or bool(wish.order_no) != (purpose == "pay"):
            raise RefusedError(CODE_EXPIRED)
        verdict = self._sms.check(wish.unique_code, purpose, read.sms_code)
        if verdict != "right":
            raise RefusedError(CODE_EXPIRED if verdict == "expired" else CODE_WRONG)
        return wish

    def _unbind(self, read: Request) -> Answer:
        self._bindings.end(self._live(read))
        return Answer(table.SUCCESS)

    def _query_bindings(self, read: Request) -> Answer:
        card_no, user_id = read.card_no, read.message["user_id"]
        if not card_no and not user_id:
            raise RefusedError(MISSING, "user_id or acc_no")
        found = self._bindings.of_card(card_no, user_id) if card_no else self._bindings.of_user(user_id)
        if not found:
            raise RefusedError(table.AGREEMENT_VOID)
        lines = (f"{each.protocol_no}|{each.user_id}|{card_no or each.card}|ICBC|工商银行" for each in found)
        return Answer(table.SUCCESS, hidden={"protocols": ";".join(lines)})

    def _live(self, read: Request) -> Binding:
        binding = self._bindings.of(read.protocol_no)
        if binding is None or not binding.live:
            raise RefusedError(table.AGREEMENT_VOID)
        if read.message["user_id"] not in ("", binding.user_id):
            raise RefusedError(ANOTHER_USER)
        return binding

    # Paying

    def _pre_pay(self, read: Request) -> Answer:
        binding = self._live(read)
        wish = self._payments.wish(read, binding)
        self._payments.check_new(wish)
        return self._sent(read, "pay", wish, self._bindings.phone_of(binding))

    def _confirm(self, read: Request) -> Answer:
        wish = self._bindings.wish_of(read.unique_code)
        if wish is None or not wish.done:
            wish = self._confirmed(read, "pay")
            binding = self._bindings.of(wish.protocol_no)
            if binding is None or not binding.live:
                raise RefusedError(table.AGREEMENT_VOID)
            wish.done = True
        return self._payments.charge(wish, "consume")
