"""CPCN's notices: signed forms, of withholds (2018), of payments on a page (1118) and their refunds (1138), of payouts
(1348).

Its server sends them to the address that the institution has registered, until they are answered. A payer's browser
brings a 1118 of the same form to the address that the order names: it says the same, and nobody reads our answer.
"""

import base64
import re
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.cpcn.answers import Reasons, read_state
from adapters.cpcn.codes import WITHHOLDING
from adapters.cpcn.envelope import DECLARED, UnreadableError, opened_form, text_of
from adapters.cpcn.page import read_page
from adapters.cpcn.payouts import read_payout
from adapters.cpcn.refunds import read_refund
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Outcome, Succeeded, Unknown
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

ABOUT_A_WITHHOLD, ABOUT_A_PAGE, ABOUT_A_REFUND, ABOUT_A_PAYOUT = "2018", "1118", "1138", "1348"
NUMBERS: Final[Mapping[str, str]] = {
    ABOUT_A_WITHHOLD: "TxSN",
    ABOUT_A_PAGE: "PaymentNo",
    ABOUT_A_REFUND: "SerialNumber",
    ABOUT_A_PAYOUT: "SerialNumber",
}
"""What names the order in each. A refund's carries its payment's number, too, and the same states mean other things
there: 20 is a payment that was paid, and a refund that failed."""
_NUMBER = re.compile(r"[0-9A-Za-z]{8,50}")
_ANY_NUMBER = re.compile(r"[0-9A-Za-z_.-]{1,64}")
"""Of a refund, which somebody may have made by hand at CPCN, under a number of another form: it is acknowledged."""


class Notices:
    """The notices to one institution."""

    def __init__(self, key: rsa.RSAPublicKey, institution_id: str, reasons: Reasons) -> None:
        self._key, self._institution_id, self._reasons = key, institution_id, reasons

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError.

        CPCN's answers are signed, too, but a notice is a Request, and its number for what it is about is answered to
        nothing that we send: an answer that somebody sends here is rejected.
        """
        try:
            root = opened_form(request.body, self._key)
        except UnreadableError as error:
            raise CallbackRejectedError(str(error)) from None
        tx = root.findtext("Head/TxCode", "").strip()
        if tx not in NUMBERS:
            raise CallbackRejectedError("not the notice of a payment, a refund or a payout")
        number = text_of(root, NUMBERS[tx]) or ""
        form = _ANY_NUMBER if tx == ABOUT_A_REFUND else _NUMBER
        if text_of(root, "InstitutionID") != self._institution_id or not form.fullmatch(number):
            raise CallbackRejectedError("about another institution or no order of ours")
        if tx == ABOUT_A_PAYOUT:
            return Callback(number, Verb.PAYOUT, read_payout(root))
        if tx == ABOUT_A_REFUND:
            return Callback(number, Verb.REFUND, read_refund(root))
        return Callback(number, Verb.PAY, read_page(root) if tx == ABOUT_A_PAGE else self._of_a_withhold(root))

    def _of_a_withhold(self, root: Element) -> Outcome:
        outcome = read_state(root, WITHHOLDING, self._reasons)
        if isinstance(outcome, Succeeded) and outcome.amount is None:
            # A notice states it (H).
            return Unknown("paid, without an amount", outcome.channel_code, received=True)
        return outcome

    def answer(self, accepted: bool) -> CallbackAnswer:
        """2000 in base64 stops the resends; it is not signed (H). How often a notice is sent again is not public."""
        code, message = ("2000", "OK.") if accepted else ("2001", "rejected")
        head = f"<Head><Code>{code}</Code><Message>{message}</Message></Head>"
        answer = base64.b64encode(f'{DECLARED}<Response version="2.0">{head}</Response>'.encode())
        return CallbackAnswer(200 if accepted else 400, "text/plain", answer)
