"""Baofoo's notices to return_url: of orders that succeeded or failed, resent until the body is exactly `OK` (H)."""

import re

from adapters.baofoo.answers import read_notice
from adapters.baofoo.codes import Declines
from adapters.baofoo.letter import UnbelievableError, read_form
from adapters.baofoo.seal import Seal
from gateway.domain.intents import Verb
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

_NUMBER = re.compile(r"[0-9A-Za-z]{8,50}")
"""What a trans_id may be (H)."""


class Notices:
    """The notices to one merchant's terminal."""

    def __init__(self, seal: Seal, member_id: str, terminal_id: str, declines: Declines) -> None:
        self._seal, self._member_id, self._terminal_id, self._declines = seal, member_id, terminal_id, declines

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError."""
        try:
            fields = self._seal.believed([read_form(request)])
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

    def answer(self, accepted: bool) -> CallbackAnswer:
        """`OK` and nothing else stops the resends, of which there are 2 to 10 (H)."""
        return CallbackAnswer(200, "text/plain", b"OK") if accepted else CallbackAnswer(400, "text/plain", b"rejected")
