"""What CPCN's answers and notices mean: the head says whether the request was handled, the body what became of it."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from xml.etree.ElementTree import Element

from adapters.cpcn.codes import (
    BIND_FAILED,
    BOUND,
    CODE_EXPIRED,
    CODE_RIGHT,
    CODE_WRONG,
    HANDLED,
    NO_SUCH_BINDING,
    REFUSALS,
    UNBINDING_FAILED,
    UNBINDING_REFUSALS,
    UNBOUND,
    UNBOUND_BEFORE,
    UNBOUND_NOW,
    Codes,
    States,
)
from adapters.cpcn.envelope import head_of, reason_of, text_of
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
    SmsNeeded,
    Succeeded,
    UnbindingOutcome,
    Unbound,
    Unknown,
)

__all__ = [
    "Reasons",
    "fen",
    "moment",
    "read_accepted",
    "read_binding",
    "read_binding_question",
    "read_code",
    "read_payment",
    "read_payment_by_code",
    "read_question",
    "read_signing",
    "read_state",
    "read_unbinding",
]

BEIJING: Final = timezone(timedelta(hours=8))
# They do not even say that CPCN has the order.
SYSTEM_ERRORS: Final = frozenset({"2001", "2011"})

_AMOUNT = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the account says of the banks' ResponseCodes, whose table is not public."""

    declines: Codes = field(default_factory=dict)
    sms_wanted: frozenset[str] = frozenset()
    """Codes of a refused silent binding that ask for an SMS code."""


def read_payment(root: Element, states: States, reasons: Reasons) -> Outcome:
    """The answer to a payment (2511, 2011)."""
    return _refused(root, REFUSALS) or read_state(root, states, reasons)


def read_payment_by_code(root: Element, states: States, reasons: Reasons) -> Outcome:
    """The answer to a payment with the payer's code (2542): the code first, then the payment."""
    return _refused(root, REFUSALS) or _misread_code(root) or read_state(root, states, reasons)


def read_accepted(root: Element, refusals: Codes) -> Outcome:
    """The answer to a refund (2521, 1133) or a payout (1341) has a head alone: handled is taken on, and no more (H)."""
    refused = _refused(root, refusals)
    if refused is not None:
        return refused
    code, message = head_of(root)
    return Processing(code, message)


def read_question(root: Element, absent: Collection[str], states: States, reasons: Reasons) -> Outcome:
    """The answer to a question about money."""
    code, message = head_of(root)
    if code in absent:
        return NotFound(code, message)
    if code != HANDLED:
        return Unknown("the question failed", code, message)
    return read_state(root, states, reasons)


def read_state(root: Element, states: States, reasons: Reasons) -> Outcome:
    """What Body/Status says; the bank's own code beside it tells why an order failed.

    A quick payment's answers state no amount (H); where one is stated it must be readable.
    """
    status = text_of(root, "Status")
    code, message = _reason(root, status)
    if status in states.open:
        return Processing(code, message)
    if status == states.failed:
        return Declined(reasons.declines.get(code or "", F.CHANNEL_REFUSED), code, message)
    if status != states.done:
        return Unknown("a state without a meaning", code, message, received=True)
    stated = text_of(root, "Amount")
    amount = fen(stated)
    if stated is not None and amount is None:
        return Unknown("paid, without a readable amount", code, message, received=True)
    return Succeeded(amount, channel_finished_at=moment(text_of(root, "BankTxTime")), channel_code=code)


def read_binding(root: Element, agreement_no: str, reasons: Reasons) -> AuthenticationOutcome:
    """The answer to a silent binding (2501)."""
    return _refused(root, REFUSALS) or _silent(root, agreement_no, reasons)


def read_binding_question(root: Element, agreement_no: str, reasons: Reasons) -> AuthenticationOutcome:
    """The answer to the question about a binding (2502)."""
    code, message = head_of(root)
    if code in NO_SUCH_BINDING:
        return NotFound(code, message)
    return _silent(root, agreement_no, reasons) if code == HANDLED else Unknown("the question failed", code, message)


def read_signing(root: Element, agreement_no: str, reasons: Reasons) -> AuthenticationOutcome:
    """The answer to a binding with the payer's code (2532): the code first, then the binding."""
    return _refused(root, REFUSALS) or _misread_code(root) or _binding(root, agreement_no, reasons)


def _silent(root: Element, agreement_no: str, reasons: Reasons) -> AuthenticationOutcome:
    outcome = _binding(root, agreement_no, reasons)
    if isinstance(outcome, Declined) and outcome.channel_code in reasons.sms_wanted:
        return SmsNeeded(outcome.channel_code, outcome.channel_message)
    return outcome


def _binding(root: Element, agreement_no: str, reasons: Reasons) -> AuthenticationOutcome:
    status = text_of(root, "Status")
    code, message = _reason(root, status)
    if status == BOUND:
        return Authenticated(agreement_no, code)
    if status == BIND_FAILED:
        return Declined(reasons.declines.get(code or "", F.AUTHENTICATION_REJECTED), code, message)
    if status == UNBOUND:
        return NotFound(code, message)
    return Unknown("no final word on the binding", code, message, received=True)


def read_code(root: Element, continuation: str | None) -> CodeOutcome:
    """The answer to a wish for an SMS (2531, 2541) has a head alone: handled means that it was sent (H)."""
    return _refused(root, REFUSALS) or CodeSent(continuation, head_of(root)[0])


def read_unbinding(root: Element) -> UnbindingOutcome:
    """The answer to an unbinding (2503)."""
    code, message = head_of(root)
    if code in UNBOUND_BEFORE:
        return Unbound(code)
    refused = _refused(root, UNBINDING_REFUSALS)
    if refused is not None:
        return refused
    status = text_of(root, "Status")
    code, message = _reason(root, status)
    if status == UNBOUND_NOW:
        return Unbound(code)
    if status == UNBINDING_FAILED:
        return Declined(F.CHANNEL_REFUSED, code, message)
    return Unknown("no final word on the unbinding", code, message, received=True)


def _refused(root: Element, refusals: Codes) -> Declined | Unknown | None:
    """What the head says of a request that was not handled; None: it was."""
    code, message = head_of(root)
    if code == HANDLED:
        return None
    if failure := refusals.get(code or ""):
        return Declined(failure, code, message)
    # A number that was used before (2008, 30250123, 30251107, 30252110) says that CPCN has the order. Whatever the
    # others meant, a later "no such order" proves nothing.
    return Unknown("no final word", code, message, received=code is not None and code not in SYSTEM_ERRORS)


def _misread_code(root: Element) -> Declined | Unknown | None:
    """What is said of the payer's code; None: it was right. Status is empty when it was not (M)."""
    verified = text_of(root, "VerifyStatus")
    message = reason_of(root)[1]
    if verified == CODE_RIGHT:
        return None
    if verified in {CODE_WRONG, CODE_EXPIRED}:
        failure = F.SMS_CODE_WRONG if verified == CODE_WRONG else F.SMS_CODE_EXPIRED
        return Declined(failure, verified, message)
    return Unknown("no word on the code", verified, message, received=True)


def _reason(root: Element, status: str | None) -> tuple[str | None, str | None]:
    """The bank's code and words; without a code the status stands for it."""
    code, message = reason_of(root)
    return code or (status and status[:16]), message


def fen(text: str | None) -> int | None:
    """An amount in fen; None for what is none."""
    return int(text) if text is not None and _AMOUNT.fullmatch(text) else None


def moment(text: str | None) -> datetime | None:
    """A time in the protocol's form, of Beijing; None for anything else: no day hangs on it."""
    try:
        told = datetime.strptime(text or "", "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
        return told.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
