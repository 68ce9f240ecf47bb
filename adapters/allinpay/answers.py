"""What TLT's answers mean. They speak on two levels: INFO of the request, the body of what it was about (H)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from adapters.allinpay.bodies import BEIJING
from adapters.allinpay.codes import (
    ASK_FIRST,
    BATCH_REFUSED,
    GONE,
    IN_PROCESS,
    NO_DECLINES,
    NOTHING_FOUND,
    OK,
    REFUSED,
    RETURNED,
)
from adapters.allinpay.envelope import said, text_of
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    CodeOutcome,
    CodeSent,
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    Succeeded,
    UnbindingOutcome,
    Unbound,
    Unknown,
)
from gateway.domain.returns import reason_in

__all__ = ["read_payment", "read_query", "read_sent_code", "read_signing", "read_unbinding"]

Declines = Mapping[str, F]
"""RET_CODE → why it was refused for good."""

_SMS_CODE, _TOO_OLD = "验证码", re.compile("过期|失效|超时")


def read_payment(root: Element, body: str, declines: Declines) -> Outcome:
    """INFO 0000: the body holds the bank's word. 2xxx: in process. 1xxx: refused. The rest as the bank's (H)."""
    code, message = said(root, "INFO")
    if code in IN_PROCESS:
        return Processing(code, message)
    if code is not None and REFUSED.fullmatch(code):
        return Declined(F.CHANNEL_REFUSED, code, message)
    if code == OK:
        code, message = said(root, body)
        if code == OK:
            return Succeeded(channel_code=code)
    if code in ASK_FIRST:
        return Unknown("to be asked about", code, message, received=True)
    return _declined(code, message, declines)


def read_query(root: Element, number: str, declines: Declines, *, may_return: bool = False) -> Outcome:
    """INFO 0000: the order's QTDETAIL. 2xxx in process, 2004 refused, 1002 empty; else the query itself failed.

    `may_return`: of a payout or a refund, which may have come back since.
    """
    code, message = said(root, "INFO")
    if code == OK:
        return _read_detail(root, number, declines, may_return=may_return)
    if code in IN_PROCESS:
        return Processing(code, message)
    if code == BATCH_REFUSED:
        return Declined(F.CHANNEL_REFUSED, code, message)
    if code == NOTHING_FOUND:
        return NotFound(code, message)
    return Unknown("the query failed", code, message)


def read_sent_code(root: Element, req_sn: str, declines: Declines) -> CodeOutcome:
    """310001: 0000 on both levels says that the SMS went out (H/M). The signing names its REQ_SN."""
    code, message = _final_word(root, "FAGRARET")
    if code == OK:
        return CodeSent(req_sn, code)
    return _refused(code, message, declines)


def read_signing(root: Element, declines: Declines) -> AuthenticationOutcome:
    """310002: 0000 on both levels and an AGRMNO, nothing less, is a signed card (H/M)."""
    code, message = _final_word(root, "FAGRCRET")
    if code == OK:
        agreement_no = text_of(root, "FAGRCRET/AGRMNO")
        return Authenticated(agreement_no, code) if agreement_no else Unknown("signed, without AGRMNO", code, message)
    if code is not None and code[0] == "3" and code not in NO_DECLINES and _SMS_CODE in (message or ""):
        failure = F.SMS_CODE_EXPIRED if _TOO_OLD.search(message or "") else F.SMS_CODE_WRONG
        return Declined(failure, code, message)
    return _refused(code, message, declines)


def read_unbinding(root: Element, declines: Declines) -> UnbindingOutcome:
    """310003: done, or nothing is left to be done."""
    code, message = _final_word(root, "FAGRCNLRET")
    if code == OK or code in GONE:
        return Unbound(code)
    return _refused(code, message, declines)


def _final_word(root: Element, body: str) -> tuple[str | None, str | None]:
    """The body's code and text, or INFO's where that is not 0000. Without a body there is no word."""
    code, message = said(root, "INFO")
    return said(root, body) if code == OK else (code, message)


def _refused(code: str | None, message: str | None, declines: Declines) -> Declined | Unknown:
    """Of what moves no money and is never asked about: refused, or unknown."""
    if code is not None and REFUSED.fullmatch(code):
        return Declined(F.CHANNEL_REFUSED, code, message)
    failure = None if code in ASK_FIRST else declines.get(code or "")
    return Declined(failure, code, message) if failure else Unknown("no final word", code, message)


def _read_detail(root: Element, number: str, declines: Declines, *, may_return: bool) -> Outcome:
    # BATCHID is the order's REQ_SN (H); SN counts inside a batch and a single collect has one line.
    mine = [line for line in root.iterfind("QTRANSRSP/QTDETAIL") if text_of(line, "BATCHID") == number]
    if len(mine) != 1:
        return Unknown(f"{len(mine)} lines about this order", received=bool(mine))
    code, message = said(mine[0])
    if code in IN_PROCESS:
        return Processing(code, message)
    if may_return and code == RETURNED:
        return Returned(reason_in(message), code, message)
    if code != OK:
        return _declined(code, message, declines)
    amount = text_of(mine[0], "AMOUNT") or ""
    if not re.fullmatch(r"[0-9]{1,15}", amount):
        return Unknown("paid, without a readable amount", code, message, received=True)
    return Succeeded(int(amount), channel_finished_at=_time(text_of(mine[0], "FINTIME")), channel_code=code)


def _declined(code: str | None, message: str | None, declines: Declines) -> Outcome:
    if failure := declines.get(code or ""):
        return Declined(failure, code, message)
    # It spoke of our order: whatever it meant, a later 1002 proves nothing.
    return Unknown("a code without a meaning", code, message, received=True)


def _time(text: str | None) -> datetime | None:
    """FINTIME (L): taken when it has the protocol's form of times, never needed."""
    try:
        return datetime.strptime(text or "", "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        return None
