"""Codes by SMS at UnionPay: one stands for the order, the time and the amount that it was asked for with."""

from sandbox.faults import Occasion
from sandbox.provider import Provider
from sandbox.sms import Purpose
from sandbox.unionpay.request import Request
from sandbox.unionpay.wire import RefusedError

__all__ = ["Codes"]

NO_SMS_TAIL = "0079"
"""The issuer of such a card sends no SMS."""


class Codes:
    """The codes that wait to be typed; they do not survive a restart."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._asked: dict[tuple[str, Purpose], tuple[str, int]] = {}

    def send(self, read: Request, purpose: Purpose, occasion: Occasion) -> None:
        """Send a code; asked for again, a new one for the same order. Raises RefusedError."""
        phone = read.customer.get("phoneNo", "")
        if not phone:
            raise RefusedError("13", "phoneNo")
        if decline := self._provider.faults.take("decline", occasion):
            raise RefusedError(decline.params["code"])
        if occasion.card_tail == NO_SMS_TAIL:
            raise RefusedError("79")
        self._asked[read.order_no, purpose] = (read.message["txnTime"], read.amount)
        self._provider.send_code(phone, purpose, read.order_no, occasion)

    def check(self, read: Request, purpose: Purpose, *, wanted: bool) -> None:
        """Raise RefusedError for a wrong or expired code, and for none where one is wanted.

        What an opening without SMS code is told when the account wants one is not public: 71 is the sandbox's own.
        """
        code = read.customer.get("smsCode", "")
        if not code and not wanted:
            return
        verdict = self._provider.sms.check(read.order_no, purpose, code)
        if verdict == "expired":
            raise RefusedError("69", "smsCode")
        if verdict == "wrong" or self._asked.get((read.order_no, purpose)) != (read.message["txnTime"], read.amount):
            raise RefusedError("71", "smsCode" if code else "smsCode needed")

    def clear(self) -> None:
        """Forget what was asked for."""
        self._asked.clear()
