"""UnionPay's notifications: signed forms to backUrl, told apart by their transaction type.

What is paid on its page is told twice: the payer's browser posts the same to frontUrl (H). UnionPay's demos advise to
take no front notification for a proof; it is signed as the other one, and a browser may bring either to any address of
ours, so both are held to the same: the signature, and a settlement.
"""

import re
from collections.abc import Mapping
from typing import Final

from adapters.unionpay.answers import read_notice
from adapters.unionpay.codes import DECLINES, PAYOUT_DECLINES, REFUND_DECLINES, Declines
from adapters.unionpay.letter import UnbelievableError, charset_of, read_form
from adapters.unionpay.page import GATEWAY, read_on_a_page
from adapters.unionpay.seal import Seal
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Closed
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

# By txnType and txnSubType. A refund's notice has the refund's own orderId, and the payment's nowhere but in origQryId.
ABOUT: Final[Mapping[tuple[str | None, str | None], tuple[Verb, Declines]]] = {
    ("01", "01"): (Verb.PAY, DECLINES),
    ("11", "00"): (Verb.PAY, DECLINES),
    ("04", "00"): (Verb.REFUND, REFUND_DECLINES),
    ("12", "00"): (Verb.PAYOUT, PAYOUT_DECLINES),
}
_NUMBER = re.compile(r"[0-9A-Za-z]{8,40}")
"""What an orderId may be (H)."""


class Notices:
    """The notifications to one merchant."""

    def __init__(self, seal: Seal, mer_id: str) -> None:
        self._seal, self._mer_id = seal, mer_id

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notification and read it. Raises CallbackRejectedError."""
        try:
            fields = read_form(request)
            self._seal.verify(fields, charset_of(request.body))
        except UnbelievableError as error:
            raise CallbackRejectedError(str(error)) from None
        if fields.get("merId") != self._mer_id or not _NUMBER.fullmatch(fields.get("orderId", "")):
            raise CallbackRejectedError("about another merchant or no order of ours")
        about = ABOUT.get((fields.get("txnType"), fields.get("txnSubType")))
        # A true answer to a query, sent here by somebody, also says respCode 00 and means only "the query worked".
        if about is None or "origRespCode" in fields:
            raise CallbackRejectedError("not the notification of a payment, a refund or a payout")
        verb, declines = about
        outcome = read_notice(fields, declines)
        if verb is Verb.PAY and fields.get("bizType") == GATEWAY:
            paged = read_on_a_page(outcome)
            outcome = outcome if isinstance(paged, Closed) and not fields.get("settleAmt") else paged
        return Callback(fields["orderId"], verb, outcome)

    def answer(self, accepted: bool) -> CallbackAnswer:
        """HTTP 200 stops the resends; anything else is resent, 5 sends in all (H)."""
        return CallbackAnswer(200, "text/plain", b"ok") if accepted else CallbackAnswer(400, "text/plain", b"rejected")
