"""JD's notices: a form with the field `resp`, in which stands the same letter as in an answer (H)."""

import re
from typing import Final
from urllib.parse import parse_qsl

from adapters.jd.answers import read_notice
from adapters.jd.envelope import MAX_ANSWER_BYTES, Envelope, UnreadableError, text_of
from gateway.domain.intents import Verb
from gateway.ports import Callback, CallbackAnswer, CallbackRejectedError, CallbackRequest

__all__ = ["Notices"]

MAX_FIELDS: Final = 20
_NUMBER = re.compile(r"[0-9A-Za-z]{1,40}")


class Notices:
    """The notices to one merchant."""

    def __init__(self, envelope: Envelope, *, refunds: bool) -> None:
        self._envelope = envelope
        self._about = {"S": Verb.PAY, "R": Verb.REFUND} if refunds else {"S": Verb.PAY}

    def read(self, request: CallbackRequest) -> Callback:
        """Verify a notice and read it. Raises CallbackRejectedError."""
        try:
            data = self._envelope.opened(_letter(request.body))
        except UnreadableError as error:
            raise CallbackRejectedError(str(error)) from None
        number = text_of(data, "TRADE/ID") or ""
        # V and Q are answered in the same letter, and say nothing of a payment here.
        verb = self._about.get(text_of(data, "TRADE/TYPE") or "")
        if verb is None or not _NUMBER.fullmatch(number):
            raise CallbackRejectedError("not the notice of a payment or a refund")
        return Callback(number, verb, read_notice(data))

    def answer(self, accepted: bool) -> CallbackAnswer:
        """What JD wants to read is not public; three public clients write three texts, and this is one of them."""
        if accepted:
            return CallbackAnswer(200, "application/json", b'{"result":"SUCCESS"}')
        return CallbackAnswer(400, "application/json", b'{"result":"FAILED"}')


def _letter(body: bytes) -> str:
    if len(body) > MAX_ANSWER_BYTES:
        raise UnreadableError("a form beyond all measure")
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UnreadableError("not a form") from None
    letters = [value for name, value in pairs if name == "resp"]
    if len(letters) != 1:
        raise UnreadableError("not one letter")
    # A plus of base64 that was not escaped arrives as a blank.
    return letters[0].replace(" ", "+")
