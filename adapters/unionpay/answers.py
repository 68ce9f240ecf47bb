"""What UnionPay's answers and notifications mean: fields as an outcome. Payments and refunds differ in their codes."""

import re

from adapters.unionpay.codes import (
    DECLINES,
    NO_SUCH_ORDER,
    NOT_OPENED,
    OK,
    OPEN_ORDER,
    SMS_WANTED,
    SUCCESSES,
    WITHOUT_CODE,
    Declines,
)
from adapters.unionpay.letter import Fields, pairs_in
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
    "read_notice",
    "read_open_query",
    "read_opening",
    "read_payment_query",
    "read_query",
    "read_sent_code",
    "read_submission",
    "read_unbinding",
]

_AMOUNT = re.compile(r"[0-9]{1,15}")


def read_opening(answer: Fields, *, with_code: bool = False) -> AuthenticationOutcome:
    """The answer to an opening: final, and with the token where it was opened. 71 speaks of the code, if one was sent;
    else it asks for one.
    """
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES:
        return _read_token(answer)
    if code == SMS_WANTED and not with_code:
        return SmsNeeded(code, message)
    failure = DECLINES.get(code or "")
    return Declined(failure, code, message) if failure else Unknown("no final word on the opening", code, message)


def read_open_query(answer: Fields) -> AuthenticationOutcome:
    """The answer to the query of an opening."""
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES:
        return _read_token(answer)
    return NotFound(code, message) if code in NOT_OPENED else Unknown("the query failed", code, message)


def _read_token(answer: Fields) -> AuthenticationOutcome:
    code, token_pay = answer.get("respCode"), answer.get("tokenPayData", "")
    token = pairs_in(token_pay.removeprefix("{").removesuffix("}")).get("token")
    return Authenticated(token, code) if token else Unknown("opened, without a token", code, answer.get("respMsg"))


def read_sent_code(answer: Fields) -> CodeOutcome:
    """The answer to a wish for an SMS: final, 00 says that it went out (H)."""
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES:
        return CodeSent(channel_code=code)
    failure = WITHOUT_CODE.get(code or "")
    return Declined(failure, code, message) if failure else Unknown("no final word on the SMS", code, message)


def read_unbinding(answer: Fields) -> UnbindingOutcome:
    """The answer to the deletion of a token: final (H). A token that is none any more needs no deletion."""
    code, message = answer.get("respCode"), answer.get("respMsg")
    failure = WITHOUT_CODE.get(code or "")
    if code in SUCCESSES or failure is FailureCode.AGREEMENT_VOID:
        return Unbound(code)
    return Declined(failure, code, message) if failure else Unknown("no final word on the token", code, message)


def read_submission(answer: Fields, declines: Declines) -> Outcome:
    """00 is "accepted" and no more; 03 and 04 do not even say that UnionPay has the order (H).

    Any other code without a meaning here does: a duplicate, say, or one of those where money moved.
    """
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES or code in {"05", "70"}:
        return Processing(code, message, answer.get("queryId"))
    if failure := declines.get(code or ""):
        return Declined(failure, code, message, answer.get("queryId"))
    return Unknown("not final", code, message, received=code not in {"03", "04"})


def read_query(answer: Fields, declines: Declines) -> Outcome:
    """Two levels: the query's own code, then the order's (H)."""
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code == NO_SUCH_ORDER:
        return NotFound(code, message)
    if code != OK:
        return Unknown("the query failed", code, message)
    return _read_state(answer, answer.get("origRespCode"), answer.get("origRespMsg"), declines)


def read_payment_query(answer: Fields, txn_type: str) -> Outcome:
    """The same for a payment of this txnType, whose number and time may be those of an SMS, too.

    An SMS has a respCode 00 of its own, and its amount is the payment's: what is not settled was paid only where
    origTxnType says what it is about.
    """
    outcome = read_query(answer, DECLINES)
    if answer.get("respCode") != OK:
        return outcome
    code, message, about = answer.get("origRespCode"), answer.get("origRespMsg"), answer.get("origTxnType")
    if about and about != txn_type:
        return Unknown("a word about another transaction of this number", code, message)
    if isinstance(outcome, Succeeded) and not about and not _AMOUNT.fullmatch(answer.get("settleAmt", "")):
        return Unknown("perhaps a word about the SMS: without settlement and type", code, message, received=True)
    return outcome


def read_notice(fields: Fields, declines: Declines) -> Outcome:
    """A notification's word, final only where nothing but a notification of a finished order can say it.

    Our own synchronous answers, sent here by somebody, are signed, name our order and say 00 for "accepted"; so is a
    refusal that somebody else provoked with our order's number. As far as is generally known a notification states
    the settlement (settleAmt, settleDate, traceNo, traceTime) and an answer does not (L). Whatever states none makes
    nothing final here: polling decides.
    """
    code, message = fields.get("respCode"), fields.get("respMsg")
    outcome = _read_state(fields, code, message, declines)
    if _AMOUNT.fullmatch(fields.get("settleAmt", "")):
        return outcome
    if isinstance(outcome, Succeeded):
        return Processing(code, message, outcome.channel_transaction_no)
    return Unknown("a refusal without a settlement", code, message) if isinstance(outcome, Declined) else outcome


def _read_state(fields: Fields, code: str | None, message: str | None, declines: Declines) -> Outcome:
    """What a final word says: the same for a queried order and a notification. UnionPay has the order, whatever it is.

    A success must state its amount: "00" alone is also how an order is accepted.
    """
    transaction_no, amount = fields.get("queryId"), fields.get("txnAmt", "")
    if code in OPEN_ORDER:
        return Processing(code, message, transaction_no)
    if failure := declines.get(code or ""):
        return Declined(failure, code, message, transaction_no)
    if code not in SUCCESSES:
        return Unknown("a code without a meaning", code, message, received=True)
    if not _AMOUNT.fullmatch(amount) or fields.get("currencyCode", "156") != "156":
        return Unknown("paid, without a readable amount or in another currency", code, message, received=True)
    return Succeeded(int(amount), transaction_no, channel_code=code)
