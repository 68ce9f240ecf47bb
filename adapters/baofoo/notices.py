"""Baofoo's notices: of payments to return_url and of refunds to notice_url, whether they succeeded or failed.

Both are sent again until the body is exactly `OK` (H). They are two letters, told apart by their form: what is in the
one cannot be said in the other, whatever number it carries.
"""

import re
from typing import Final

from adapters.baofoo.answers import read_notice
from adapters.baofoo.codes import Declines
from adapters.baofoo.letter import UnbelievableError, read_form
from adapters.baofoo.refunds import Refunds
from adapters.baofoo.seal import Seal
from gateway.domain.intents import Verb
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

_NUMBER = re.compile(r"[0-9A-Za-z]{8,50}")
"""What a trans_id may be (H)."""
_ANY_NUMBER = re.compile(r"[0-9A-Za-z_.-]{1,64}")
"""Of a refund, which somebody may have made by hand at Baofoo, under a number of another form: it is acknowledged."""
OF_A_REFUND: Final = "data_content"


class Notices:
    """The notices to one merchant's terminal."""

    def __init__(self, seal: Seal, member_id: str, terminal_id: str, declines: Declines, refunds: Refunds) -> None:
        self._seal, self._member_id, self._terminal_id, self._declines = seal, member_id, terminal_id, declines
        self._refunds = refunds

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError."""
        try:
            form = read_form(request)
            if OF_A_REFUND in form:
                return self._of_a_refund(form[OF_A_REFUND])
            fields = self._seal.believed([form])
        except UnbelievableError as error:
            raise CallbackRejectedError(str(error)) from None
        if (fields.get("member_id"), fields.get("terminal_id")) != (self._member_id, self._terminal_id):
            raise CallbackRejectedError("about another merchant")
        if not _NUMBER.fullmatch(fields.get("trans_id", "")):
            raise CallbackRejectedError("about no order of ours")
        # Answers to requests say which transaction they answer, a notice does not: somebody sent one of ours here.
        if "txn_type" in fields:
            raise CallbackRejectedError("not a notice")
        return Callback(fields["trans_id"], Verb.PAY, read_notice(fields, self._declines))

    def _of_a_refund(self, data_content: str) -> Callback:
        number, outcome = self._refunds.heard(data_content)
        if not _ANY_NUMBER.fullmatch(number):
            raise CallbackRejectedError("about no refund of ours")
        return Callback(number, Verb.REFUND, outcome)

    def answer(self, accepted: bool) -> CallbackAnswer:
        """`OK` and nothing else stops the resends, of which there are 2 to 10; of refunds 5, every 20 minutes (H)."""
        return CallbackAnswer(200, "text/plain", b"OK") if accepted else CallbackAnswer(400, "text/plain", b"rejected")
