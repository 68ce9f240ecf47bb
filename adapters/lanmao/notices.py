"""The bank's notices to the address that the platform has registered, and what the payer's browser brings back.

Both bring the same form about one order, and may say so (responseType, L), which is not signed: they are read alike.
"""

import re
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.lanmao.answers import read_state
from adapters.lanmao.codes import WAYS, Reasons
from adapters.lanmao.letter import UnreadableError, opened_form, texts_of
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Unknown
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

_NUMBER: Final = re.compile(r"[0-9A-Za-z_-]{1,50}")
_SERVICE: Final = re.compile(r"[A-Z_]{1,40}")
THANKS: Final = b"SUCCESS"


class Notices:
    """The notices to one platform."""

    def __init__(self, key: rsa.RSAPublicKey, platform_no: str, reasons: Reasons) -> None:
        self._key, self._platform_no, self._reasons = key, platform_no, reasons

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError.

        The bank also tells of what Sluice has no part in: accounts that are opened, cards, withdrawals. That is no
        word about a payment, whatever number it has: it is kept and acknowledged under another verb, so that it does
        not come for ever. What a notice is about is told by what is signed, not by serviceName, which is not.
        """
        form = request.body or request.query.encode("utf-8", "replace")
        try:
            read, unsigned = opened_form(form, self._platform_no, self._key)
        except UnreadableError as error:
            raise CallbackRejectedError(str(error)) from None
        fields = texts_of(read)
        number = fields.get("requestNo", "")
        if not _NUMBER.fullmatch(number):
            raise CallbackRejectedError("about no order")
        is_ours = fields.get("rechargeWay", "PROXY") in WAYS.values() and "withdrawRequestNo" not in fields
        if "rechargeStatus" in fields and is_ours:
            return Callback(number, Verb.PAY, read_state(fields, self._reasons))
        service = unsigned.get("serviceName", "")
        named = service if _SERVICE.fullmatch(service) else "another kind"
        return Callback(number, Verb.AUTHENTICATE, Unknown(f"a notice of {named}, which nobody here asked for"))

    def answer(self, accepted: bool) -> CallbackAnswer:
        """`SUCCESS` stops the resends (H). How many there are is not public."""
        return CallbackAnswer(200 if accepted else 400, "text/plain", THANKS if accepted else b"rejected")
