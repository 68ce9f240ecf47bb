"""What JD's answers and notices mean: DATA as an outcome.

RETURN/CODE is about the request. Only 0000 lets TRADE/STATUS speak of the order: a public client shows STATUS 0 beside
EES0035, where nothing was paid.
"""

import re
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from adapters.jd.codes import FAILED, IN_PROCESS, NO_SUCH_ORDER, OK, OPEN, PAID, PAID_BEFORE, SAYS_NOTHING
from adapters.jd.envelope import text_of
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import CodeOutcome, CodeSent, Declined, NotFound, Outcome, Processing, Succeeded, Unknown

__all__ = ["read_code", "read_notice", "read_question", "read_sent"]

MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

Declines = Mapping[str, F]
"""RETURN/CODE → why it was refused for good."""

_AMOUNT = re.compile(r"[0-9]{1,15}")


def read_code(data: Element, declines: Declines) -> CodeOutcome:
    """The answer to V."""
    code, message = _said(data)
    if code == OK:
        return CodeSent(channel_code=code)
    if failure := declines.get(code or ""):
        return Declined(failure, code, message)
    return Unknown("no word on the SMS", code, message, received=code in PAID_BEFORE)


def read_sent(data: Element, declines: Declines) -> Outcome:
    """The answer to S, or to R, which may be final."""
    code, message = _said(data)
    if code == OK:
        return _state(data, message)
    if code in IN_PROCESS:
        return Processing(code, message)
    if failure := declines.get(code or ""):
        return Declined(failure, code, message)
    return Unknown("no final word", code, message, received=code not in SAYS_NOTHING)


def read_question(data: Element) -> Outcome:
    """The answer to Q: whatever is not 0000 is no word on the order (H)."""
    code, message = _said(data)
    if code == OK:
        return _state(data, message)
    if code in IN_PROCESS:
        return Processing(code, message)
    return NotFound(code, message) if code in NO_SUCH_ORDER else Unknown("the question failed", code, message)


def read_notice(data: Element) -> Outcome:
    """A notice has the form of an answer to S, or to R, and cannot be told from one (H).

    So it is believed in what is true of the order whoever brings it, its state beside 0000. Another code is about one
    request: a wrong SMS code, say, before the right one.
    """
    code, message = _said(data)
    return _state(data, message) if code == OK else Unknown("no word on the order", code, message)


def _state(data: Element, message: str | None) -> Outcome:
    """What became of the order. A success must state its amount."""
    status, amount = text_of(data, "TRADE/STATUS"), text_of(data, "TRADE/AMOUNT") or ""
    told = f"{OK}/{status or ''}"[:MAX_CODE_CHARS]
    if status == OPEN:
        return Processing(told, message)
    if status == FAILED:
        return Declined(F.CHANNEL_REFUSED, told, message)  # no reason stands beside it
    if status != PAID:
        return Unknown("a status without a meaning", told, message, received=True)
    if not _AMOUNT.fullmatch(amount) or (text_of(data, "TRADE/CURRENCY") or "CNY") != "CNY":
        return Unknown("paid, without a readable amount or in another currency", told, message, received=True)
    return Succeeded(int(amount), channel_code=told)


def _said(data: Element) -> tuple[str | None, str | None]:
    """RETURN's CODE and DESC, cut to a size that can be kept."""
    code, message = text_of(data, "RETURN/CODE"), text_of(data, "RETURN/DESC")
    return code and code[:MAX_CODE_CHARS], message and message[:MAX_MESSAGE_CHARS]
