"""Baofoo's refunds (宝付退款): 331/09 asks for one, 331/10 asks how it stands, and a notice tells its end.

Source: Baofoo's document of refunds (H), which shares the codes of authenticated pay. A payment is named by our number
of it. 0000 to 09 says that the refund was taken on: people at Baofoo look at it, and days may pass; 0000 to 10 and in a
notice says that it was made, with the amount that really went back. The same codes tell that a question failed and that
a refund did: those of a request's form say nothing of the refund. `refund_type` names the product that was paid by:
ours are all protocol pay.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, base_url, private_key, public_key, setting
from adapters.baofoo.blocks import opened, sealed
from adapters.baofoo.codes import (
    MAY_BE_THERE,
    NO_SUCH_ORDER,
    OF_THE_REQUEST,
    OK,
    REFUND_OPEN,
    Declines,
    refund_declines_of,
)
from adapters.baofoo.letter import BEIJING, UnbelievableError, message_no
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, NotSent, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Terms
from gateway.ports import AccountSettings, AskRefund, NotSentError, Refund, Transport, TransportError

__all__ = ["Refunds"]

CONNECT_TIMEOUT_S: Final = 5.0
PATH: Final = "/cutpayment/api/backTransRequest"
VERSION: Final = "4.0.0.0"
REFUND: Final = "331"
GIVE_BACK, ASK = "09", "10"
PROTOCOL_PAY: Final = "8"
SCENES: Final = frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD})
REASON: Final = "退款"
"""A reason is wanted (H): where nobody gave one."""
MAX_REASON: Final = 50
"""Characters. How long a reason may be is not public."""
MAX_AMOUNT_CHARS: Final = 15
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

Told = Mapping[str, str]


class Refunds:
    """The refunds of one merchant. Settings: `refund_terminal_id`, where it is another than that of payments, and
    `refund_declines`: more codes of refusals with our failure codes. Raises AccountError.
    """

    def __init__(self, account: AccountSettings, transport: Transport, terms: Terms) -> None:
        self._transport, self._terms = transport, terms
        self._url = base_url(account) + PATH
        self._member_id = setting(account, "member_id")
        self._terminal_id = setting(account, "refund_terminal_id", setting(account, "terminal_id"))
        if not (self._terminal_id.isascii() and self._terminal_id.isdecimal()):
            raise AccountError(account, "refund_terminal_id", "must be digits")
        self._key, self._psp_key = private_key(account, "merchant_private_key"), public_key(account, "psp_certificate")
        self._declines = refund_declines_of(account)

    async def give_back(self, command: Refund) -> Outcome:
        """Ask for a refund (331/09). Declined unsent for what is not paid here: nothing can have moved."""
        if command.scene not in SCENES:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        content = {
            "refund_type": PROTOCOL_PAY,
            "trans_id": command.original_number,
            "refund_order_no": command.number,
            "trans_serial_no": message_no(command.number, GIVE_BACK, 1),
            "refund_reason": _shown(command.reason) or REASON,
            "refund_amt": str(command.amount),
            "refund_time": f"{command.told_at.astimezone(BEIJING):%Y%m%d%H%M%S}",
            "additional_info": "",
            "req_reserved": "",
            "notice_url": command.notify_url,
        }
        answer = await self._call(GIVE_BACK, command.number, content)
        return _read_taken(answer, self._declines) if isinstance(answer, dict) else answer

    async def ask(self, command: AskRefund) -> Outcome:
        """Ask for a refund (331/10), by its number alone."""
        serial_no = message_no(command.number, ASK, command.tries)
        content = {
            "refund_order_no": command.number, "trans_serial_no": serial_no, "additional_info": "", "req_reserved": "",
        }  # fmt: skip
        answer = await self._call(ASK, command.number, content)
        if not isinstance(answer, dict):
            return answer
        code, message = _said(answer)
        return NotFound(code, message) if code == NO_SUCH_ORDER else _read_end(answer, self._declines)

    def heard(self, data_content: str) -> tuple[str, Outcome]:
        """What a notice tells: our number of the refund, and its end. Raises UnbelievableError."""
        told = self._believed(data_content.encode("ascii", "replace"))
        # An answer says which transaction it answers, a notice does not: somebody sent one of ours here.
        if "txn_sub_type" in told or "txn_type" in told:
            raise UnbelievableError("not a notice")
        return told.get("refund_order_no", ""), _read_end(told, self._declines)

    async def _call(self, sub_type: str, number: str, content: Told) -> dict[str, str] | NotSent | Unknown:
        """Send once, and believe the answer only if Baofoo wrote it about this refund."""
        whose = {"terminal_id": self._terminal_id, "member_id": self._member_id, "txn_sub_type": sub_type}
        form = {
            "version": VERSION, "member_id": self._member_id, "terminal_id": self._terminal_id, "txn_type": REFUND,
            "txn_sub_type": sub_type, "data_type": "json", "data_content": sealed({**whose, **content}, self._key),
        }  # fmt: skip
        timeout = httpx.Timeout(self._terms.answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            self._url,
            content=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
            if response.status_code != httpx.codes.OK:
                return Unknown(f"HTTP {response.status_code}")
            told = self._believed(response.content)
            if (told.get("txn_sub_type"), told.get("refund_order_no")) != (sub_type, number):
                return Unknown("an answer about another refund")
            return told
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))

    def _believed(self, content: bytes) -> dict[str, str]:
        """What Baofoo wrote to this merchant's terminal; what is empty is left out. Raises UnbelievableError."""
        read: Any = opened(content, self._psp_key)
        if not isinstance(read, dict):
            raise UnbelievableError("not JSON of refunds")
        texts = {name: str(value).strip() for name, value in read.items() if value is not None}
        told = {name: text for name, text in texts.items() if text}
        if (told.get("member_id"), told.get("terminal_id")) != (self._member_id, self._terminal_id):
            raise UnbelievableError("about another merchant")
        return told


def _read_taken(answer: Told, declines: Declines) -> Outcome:
    """0000 is "taken on", and no more (H)."""
    code, message = _said(answer)
    if code == OK or code in REFUND_OPEN:
        return Processing(code, message, answer.get("refund_business_no"))
    if code == NO_SUCH_ORDER:
        return Declined(F.CHANNEL_REFUSED, code, message)  # no such payment
    if failure := declines.get(code or ""):
        return Declined(failure, code, message)
    return _unsettled(code, message)


def _read_end(told: Told, declines: Declines) -> Outcome:
    code, message = _said(told)
    theirs = told.get("refund_business_no")
    if code in REFUND_OPEN:
        return Processing(code, message, theirs)
    if code in OF_THE_REQUEST:
        return Unknown("the question failed", code, message)
    if failure := declines.get(code or ""):
        return Declined(failure, code, message, theirs)
    if code != OK:
        return _unsettled(code, message)
    amount = told.get("refund_amt", "")
    if not (amount.isascii() and amount.isdecimal() and len(amount) <= MAX_AMOUNT_CHARS):
        return Unknown("given back, without a readable amount", code, message, received=True)
    return Succeeded(int(amount), theirs, channel_code=code)


def _unsettled(code: str | None, message: str | None) -> Unknown:
    """A fault or a lost connection on their side does not even say that the refund is there; all else does."""
    received = code is not None and code not in MAY_BE_THERE and code != NO_SUCH_ORDER
    return Unknown("no final word", code, message, received=received)


def _said(told: Told) -> tuple[str | None, str | None]:
    """resp_code and its text, cut to sizes that can be kept."""
    code, message = told.get("resp_code"), told.get("resp_msg")
    return code and code[:MAX_CODE_CHARS], message and message[:MAX_MESSAGE_CHARS]


def _shown(text: str) -> str:
    """A reason for people: one line of characters that can be printed."""
    line = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return line[:MAX_REASON].strip()
