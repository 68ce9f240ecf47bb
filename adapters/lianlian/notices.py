"""LianLian's notices of paid orders, payouts and refunds: signed JSON, sent until it reads its word of thanks (H)."""

import json
import re
from typing import Final

from adapters.lianlian.answers import read_state
from adapters.lianlian.codes import Declines
from adapters.lianlian.letter import Fields, UnbelievableError, UnwritableError, read_json, signed_text
from adapters.lianlian.payouts import read_state as read_payout_state
from adapters.lianlian.refunds import read_refunds_state
from adapters.lianlian.seal import Seal
from gateway.domain.intents import Verb
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

_NUMBER: Final = re.compile(r"[0-9A-Za-z]{8,32}")
THANKS: Final = {"ret_code": "0000", "ret_msg": "ok"}
REJECTED: Final = {"ret_code": "1001", "ret_msg": "rejected"}


class Notices:
    """The notices to one merchant."""

    def __init__(
        self, seal: Seal, oid_partner: str, declines: Declines, payout_declines: Declines, *, refunds: bool
    ) -> None:
        self._seal, self._oid_partner, self._refunds = seal, oid_partner, refunds
        self._declines, self._payout_declines = declines, payout_declines

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError."""
        try:
            fields = self._seal.verify(read_json(request.body))
        except UnbelievableError as error:
            raise CallbackRejectedError(str(error)) from None
        if not _can_be_told_apart(fields):
            raise CallbackRejectedError("fields that cannot be told apart in what is signed")
        # A refund's notice names neither the payment's order nor its result; its answers say the same of the refund.
        is_refund = self._refunds and "sta_refund" in fields and not {"no_order", "result_pay"} & fields.keys()
        number = fields.get("no_refund" if is_refund else "no_order", "")
        if fields.get("oid_partner") != self._oid_partner or not _NUMBER.fullmatch(number):
            raise CallbackRejectedError("about another merchant or no order of ours")
        if is_refund:
            return Callback(number, Verb.REFUND, read_refunds_state(fields))
        # Every answer has a ret_code, also one to a question, which also says result_pay; a payment's notice has none.
        # A binding's notice says no result_pay.
        if "ret_code" in fields or not fields.get("result_pay"):
            raise CallbackRejectedError("not the notice of a payment, a payout or a refund")
        # A payment's notice says how it was paid; a payout's does not, and brings back what it was said to be for.
        if "pay_type" not in fields and fields.get("info_order"):
            return Callback(number, Verb.PAYOUT, read_payout_state(fields, self._payout_declines))
        return Callback(number, Verb.PAY, read_state(fields, self._declines))

    def answer(self, accepted: bool) -> CallbackAnswer:
        """The word that stops the resends: 30 in all, one every 2 minutes (H)."""
        said = json.dumps(THANKS if accepted else REJECTED).encode()
        return CallbackAnswer(200 if accepted else 400, "application/json", said)


def _can_be_told_apart(fields: Fields) -> bool:
    """Whether the signed text can be cut in one way only: a value that holds an `&` could be several fields."""
    try:
        text = signed_text(fields).decode()
    except UnwritableError:
        return False
    return len(text.split("&")) == sum(1 for name, value in fields.items() if value and name != "sign")
