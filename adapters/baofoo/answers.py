"""What Baofoo's answers and notices mean: fields as an outcome."""

import re
from datetime import UTC, datetime
from typing import Final

from adapters.baofoo.codes import (
    FAILED,
    MAY_BE_THERE,
    NO_AGREEMENT,
    NO_MORE_TODAY,
    NO_SUCH_ORDER,
    OF_A_CODE,
    OK,
    OPEN,
    OPEN_ORDER,
    QUERY_FAILED,
    SMS_WANTED,
    SUCCEEDED,
    SUCCESSES,
    Declines,
)
from adapters.baofoo.letter import BEIJING, TIME, Fields
from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode
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
    "read_binding",
    "read_bindings",
    "read_code",
    "read_notice",
    "read_payment",
    "read_query",
    "read_unbinding",
]

MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256

_AMOUNT = re.compile(r"[0-9]{1,15}")


def read_code(answer: Fields, declines: Declines) -> CodeOutcome:
    """The answer to a wish for an SMS: sent, with the code that the confirmation must name."""
    state, code, message = _said(answer)
    if state == SUCCEEDED and code == OK:
        unique_code = answer.get("unique_code")
        return CodeSent(unique_code, code) if unique_code else Unknown("sent, without a readable code", code, message)
    return _refused(answer, declines) or Unknown("not final", code, message)


def read_binding(answer: Fields, declines: Declines) -> AuthenticationOutcome:
    """The answer to the confirmation of a binding. The new agreement takes the place of one that was there (H)."""
    state, code, message = _said(answer)
    if state == SUCCEEDED and code == OK:
        agreement_no = answer.get("protocol_no")
        return Authenticated(agreement_no, code) if agreement_no else Unknown("bound, unreadable", code, message)
    return _refused(answer, declines) or Unknown("no final word on the binding", code, message)


def read_bindings(answer: Fields, card: CardElements, user_id: str) -> AuthenticationOutcome:
    """The answer to the question for a card's bindings: `agreement|user|card|bank|its name`, joined by `;` (H).

    Of several for this user and card none is taken: no source says which is in force.
    """
    state, code, message = _said(answer)
    if code == NO_AGREEMENT:
        return NotFound(code, message)
    if state != SUCCEEDED or code != OK:
        return Unknown("the query failed", code, message)
    lines = [line.strip().split("|") for line in answer.get("protocols", "").split(";") if line.strip()]
    if "protocols" not in answer or any(len(line) < 3 for line in lines):
        return Unknown("unreadable bindings", code, message)
    agreements = {line[0] for line in lines if line[1] == user_id and line[2] == card.card_no and line[0]}
    if len(agreements) > 1:
        return Unknown("more than one binding", code, message)
    return Authenticated(agreements.pop(), code) if agreements else NotFound(code, message)


def read_unbinding(answer: Fields, declines: Declines) -> UnbindingOutcome:
    """The answer to an unbinding; an agreement that is gone already binds nothing, either."""
    state, code, message = _said(answer)
    if (state == SUCCEEDED and code == OK) or (state == FAILED and code == NO_AGREEMENT):
        return Unbound(code)
    return _refused(answer, declines) or Unknown("not final", code, message)


def read_payment(answer: Fields, number: str, declines: Declines, *, by_code: bool) -> Outcome:
    """The answer to a payment. Success and refusal are final (H).

    A confirmation names its order by the SMS alone: where that is not known any more, its refusal names none, either.
    """
    if answer.get("trans_id") != number:
        refused = _refused(answer, declines) if by_code else None
        return refused or _of_no_order(answer)
    outcome = _read_state(answer, declines)
    if by_code and isinstance(outcome, SmsNeeded):
        return Declined(FailureCode.SMS_CODE_EXPIRED, outcome.channel_code, outcome.channel_message)
    return outcome


def read_query(answer: Fields, number: str, declines: Declines) -> Outcome:
    """The answer to a question for an order: FF, the question failed; else the order's own state (H)."""
    state, code, message = _said(answer)
    if state in (FAILED, QUERY_FAILED) and code == NO_SUCH_ORDER:
        return NotFound(code, message)
    if state == QUERY_FAILED:
        return Unknown("the query failed", code, message)
    return _read_state(answer, declines) if answer.get("trans_id") == number else _of_no_order(answer)


def read_notice(fields: Fields, declines: Declines) -> Outcome:
    """A notice's word on its order.

    A refusal of one code is nothing final: the payer may have typed the right one since, under the same number.
    """
    outcome = _read_state(fields, declines)
    if isinstance(outcome, SmsNeeded) or (isinstance(outcome, Declined) and outcome.code in OF_A_CODE):
        return Unknown("of one try", outcome.channel_code, outcome.channel_message, received=True)
    return outcome


def _read_state(fields: Fields, declines: Declines) -> Outcome:
    state, code, message = _said(fields)
    order_id = fields.get("order_id")
    if code in MAY_BE_THERE and state != OPEN:
        return Unknown("to be asked about", code, message)
    if state == OPEN or (state in (SUCCEEDED, FAILED) and code in OPEN_ORDER):
        return Processing(code, message, order_id)
    if state == SUCCEEDED and code in SUCCESSES:
        amount = fields.get("succ_amt", "")
        if not _AMOUNT.fullmatch(amount):
            return Unknown("paid, without a readable amount", code, message, received=True)
        return Succeeded(int(amount), order_id, _time(fields.get("succ_time")), code)
    if state == FAILED and code == SMS_WANTED:
        return SmsNeeded(code, message)
    if refused := _refused(fields, declines):
        return refused
    # What speaks of another order, or of none, does not say that this one is there.
    return Unknown("no final word", code, message, received=code != NO_SUCH_ORDER and state != QUERY_FAILED)


def _refused(fields: Fields, declines: Declines) -> Declined | None:
    state, code, message = _said(fields)
    failure = declines.get(code or "") if state == FAILED else None
    if failure is None:
        return None
    return Declined(failure, code, message, fields.get("order_id"), no_more_today=code in NO_MORE_TODAY)


def _of_no_order(answer: Fields) -> Unknown:
    _, code, message = _said(answer)
    return Unknown("the answer names no order", code, message)


def _said(fields: Fields) -> tuple[str, str | None, str | None]:
    """resp_code, biz_resp_code and its text, cut to sizes that can be kept."""
    code, message = fields.get("biz_resp_code"), fields.get("biz_resp_msg")
    return fields.get("resp_code", ""), code and code[:MAX_CODE_CHARS], message and message[:MAX_MESSAGE_CHARS]


def _time(text: str | None) -> datetime | None:
    """succ_time, where it has the protocol's form of times; never needed."""
    try:
        return datetime.strptime(text or "", TIME).replace(tzinfo=BEIJING).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
