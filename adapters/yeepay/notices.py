"""YeePay's notices of one paid order: the payer's browser brings a copy by POST, YeePay's server one by GET (H).

Both say the same and are signed alike; each may come first, alone, again, or by the other's method.
"""

import re
from typing import Final

from adapters.yeepay.answers import read_notice
from adapters.yeepay.letter import NOTICE, UnbelievableError, believed, read_pairs
from gateway.domain.intents import Verb
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

MAX_BYTES: Final = 16 * 1024
BY_BROWSER, BY_SERVER = "1", "2"
"""Of r9_BType."""
_NUMBER = re.compile(r"[0-9A-Za-z]{1,50}")


class Notices:
    """The notices to one merchant."""

    def __init__(self, mer_id: str, key: bytes) -> None:
        self._mer_id, self._key = mer_id, key

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError."""
        if len(request.body) + len(request.query) > MAX_BYTES:
            raise CallbackRejectedError("beyond all measure")
        try:
            parts = (request.query, request.body.decode("ascii"))
            fields = believed(NOTICE, read_pairs(parts, NOTICE), self._key)
        except UnicodeDecodeError:
            raise CallbackRejectedError("not a form") from None
        except UnbelievableError as error:
            raise CallbackRejectedError(str(error)) from None
        number = fields["r6_Order"]
        if fields["p1_MerId"] != self._mer_id or not _NUMBER.fullmatch(number):
            raise CallbackRejectedError("about another merchant or no order of ours")
        # Answers to questions are signed by the same key, over other fields and with another command.
        if fields["r0_Cmd"] != "Buy" or fields["r9_BType"] not in {BY_BROWSER, BY_SERVER}:
            raise CallbackRejectedError("not the notice of a payment")
        return Callback(number, Verb.PAY, read_notice(fields))

    def answer(self, accepted: bool) -> CallbackAnswer:
        """The word that stops the resends: three sends in all, 3 minutes apart (H)."""
        return CallbackAnswer(200, "text/plain", b"SUCCESS") if accepted else CallbackAnswer(400, "text/plain", b"FAIL")
