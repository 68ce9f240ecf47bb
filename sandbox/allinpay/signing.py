"""Signing by SMS (310001, 310002) and giving an agreement up (310003)."""

import re
from typing import Final

from sandbox.allinpay import codes as table
from sandbox.allinpay.agreements import Agreements, Asked
from sandbox.allinpay.answer import Answer, word
from sandbox.allinpay.wire import Package, RefusedError
from sandbox.books import mask_card
from sandbox.course import Course
from sandbox.faults import Occasion
from sandbox.magic import binds, is_refused_by
from sandbox.provider import Provider

__all__ = ["Signing", "check_card"]

WANTED: Final = {
    "FAGRA": ("BANK_CODE", "ACCOUNT_TYPE", "ACCOUNT_NO", "ACCOUNT_NAME", "ACCOUNT_PROP", "ID_TYPE", "ID", "TEL"),
    "FAGRC": ("SRCREQSN", "VERCODE"),
    "FAGRCNL": ("AGRMNO",),
}
CARD_NO: Final = re.compile("[0-9]{12,19}")
# The RET_CODE of a wrong code is not public: 3999 with a text is the sandbox's own choice.
CODE_REFUSED: Final = "3999"
TEXTS: Final = {"wrong": "短信验证码错误", "expired": "短信验证码已过期"}
NAME_WRONG, NO_AGREEMENT, CANCELLED = "3031", "3045", "3047"


def check_card(body: dict[str, str]) -> None:
    """Raise RefusedError unless ACCOUNT_NO is a card number."""
    if not CARD_NO.fullmatch(body.get("ACCOUNT_NO", "")):
        raise RefusedError(table.CONTENT_WRONG, "ACCOUNT_NO")


class Signing:
    """The agreements of one merchant, over the provider's books, faults and SMS."""

    def __init__(self, provider: Provider, agreements: Agreements) -> None:
        self._provider, self._agreements = provider, agreements

    def occasion(self, package: Package) -> Occasion:
        """What a request is to a fault. Raises RefusedError for what is missing."""
        body, req_sn = dict(package.body), package.head["REQ_SN"]
        if not package.head.get("MERCHANT_ID"):
            raise RefusedError(table.CONTENT_WRONG, "MERCHANT_ID")
        for name in WANTED[package.body_name]:
            if not body.get(name):
                raise RefusedError(table.CONTENT_WRONG, name)
        if package.body_name == "FAGRA":
            check_card(body)
            return Occasion("send_code", req_sn, body["ACCOUNT_NO"][-4:])
        if package.body_name == "FAGRC":
            asked = self._agreements.asked(body["SRCREQSN"])
            return Occasion("authenticate", req_sn, asked.card_tail if asked else "")
        agreement = self._agreements.get(body["AGRMNO"])
        return Occasion("unbind", req_sn, agreement.card[-4:] if agreement else "")

    def work(self, package: Package, occasion: Occasion) -> Answer:
        """Do it."""
        if decline := self._provider.faults.take("decline", occasion):
            code = decline.params["code"]
            return Answer(code) if code[0] in "12" else word(f"{package.body_name}RET", code)
        if package.body_name == "FAGRA":
            return self._send(package, occasion)
        return self._sign(package, occasion) if package.body_name == "FAGRC" else self._give_up(package)

    def _send(self, package: Package, occasion: Occasion) -> Answer:
        body, tail = package.body, occasion.card_tail
        if self._agreements.asked(occasion.order_no) is not None:
            return Answer(table.DUPLICATE)
        code = tail if tail in table.SIGNING_TAILS else None
        if is_refused_by(self._provider.name, tail) or not binds(tail, body["TEL"]):
            code = NAME_WRONG
        if code is not None:
            return word("FAGRARET", code)
        self._agreements.ask(occasion.order_no, Asked(body["ACCOUNT_NO"], body["TEL"]))
        self._provider.send_code(body["TEL"], "sign", occasion.order_no, occasion)
        return word("FAGRARET", table.SUCCESS)

    def _sign(self, package: Package, occasion: Occasion) -> Answer:
        if self._provider.books.get(occasion.order_no) is not None:
            return Answer(table.DUPLICATE)
        sms_of = package.body["SRCREQSN"]
        asked = self._agreements.asked(sms_of)
        if asked is None:
            return word("FAGRCRET", CODE_REFUSED, "原签约申请不存在")
        verdict = self._provider.sms.check(sms_of, "sign", package.body["VERCODE"])
        if verdict != "right":
            return word("FAGRCRET", CODE_REFUSED, TEXTS[verdict])
        self._book(occasion.order_no, asked)
        agreement = self._agreements.sign(asked, occasion.order_no)
        return word("FAGRCRET", table.SUCCESS, AGRMNO=agreement.agrmno)

    def _book(self, order_no: str, asked: Asked) -> None:
        done = Course(table.SUCCESS, table.SUCCESS, 0.0, table.SUCCESS)
        self._provider.book(order_no, "open_card", 0, mask_card(asked.card_no), done)

    def _give_up(self, package: Package) -> Answer:
        agreement = self._agreements.get(package.body["AGRMNO"])
        if agreement is None or not agreement.live:
            return word("FAGRCNLRET", NO_AGREEMENT if agreement is None else CANCELLED)
        self._agreements.give_up(agreement)
        return word("FAGRCNLRET", table.SUCCESS)
