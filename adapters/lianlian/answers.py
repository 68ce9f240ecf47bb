"""What LianLian's answers and notices mean: a believed message as an outcome."""

from dataclasses import dataclass

from adapters.lianlian.codes import (
    AGREEMENT_GONE,
    AT_LIANLIAN,
    BOUND_ALREADY,
    IN_PROCESS,
    NOTHING_FOUND,
    OK,
    OPEN_STATES,
    REFUNDED,
    SAYS_NOTHING,
    SMS_SENT,
    STATE_FAILED,
    STATE_PAID,
    Declines,
)
from adapters.lianlian.letter import Fields, fen
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

__all__ = ["Answer", "read_code", "read_payment", "read_query", "read_signing", "read_state", "read_unbinding"]

MAX_CODE_CHARS = 16
MAX_MESSAGE_CHARS = 256


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A message that is believed. Without a signature it is a refusal, and can be nothing else."""

    fields: Fields
    is_signed: bool

    @property
    def code(self) -> str:
        """ret_code, cut to a size that can be kept."""
        return self.fields.get("ret_code", "")[:MAX_CODE_CHARS]

    @property
    def message(self) -> str | None:
        """Its words, cut in the same way."""
        return self.fields.get("ret_msg", "")[:MAX_MESSAGE_CHARS] or None


def read_payment(answer: Answer, declines: Declines) -> Outcome:
    """The answer to bankcardprepay or bankcardpay.

    0000 says that the request was handled; that it is paid is said by result_pay, or by the day of settlement, which
    the handbook has for paid orders alone.
    """
    code, message, fields = answer.code, answer.message, answer.fields
    if code == OK:
        if fields.get("result_pay") or fields.get("settle_date"):
            return read_state({"result_pay": STATE_PAID, **_filled(fields)}, declines, code)
        return Processing(code, message, fields.get("oid_paybill"))
    if code == SMS_SENT:
        token = fields.get("token")
        if token:
            return SmsNeeded(code, message, sent=True, continuation=token)
        return Unknown("a code was sent, without a token", code, message, received=True)
    if code in IN_PROCESS:
        return Processing(code, message)
    if failure := declines.get(code):
        return Declined(failure, code, message)
    if code in AT_LIANLIAN:
        return Unknown("to be asked about", code, message, received=True)
    # A code without a meaning, where LianLian signed it about our order, says that the order is there.
    return Unknown("no final word", code, message, received=answer.is_signed and code not in SAYS_NOTHING)


def read_query(answer: Answer, declines: Declines) -> Outcome:
    """The answer to orderquery: its own code, then the order's state."""
    code, message = answer.code, answer.message
    if code == OK:
        return read_state(answer.fields, declines)
    if code == NOTHING_FOUND:
        return NotFound(code, message)
    return Unknown("the query failed", code, message)


def read_state(fields: Fields, declines: Declines, success: str = STATE_PAID) -> Outcome:
    """result_pay: the same in a question's answer and in a notice. LianLian has the order, whatever it is.

    `success`: the code that a success is told with. A failure's reason is told in words (memo) alone: those that the
    account explains are read, anything else is LianLian's refusal.
    """
    state, number = fields.get("result_pay", "")[:MAX_CODE_CHARS], fields.get("oid_paybill")
    words = (fields.get("memo") or fields.get("ret_msg") or "")[:MAX_MESSAGE_CHARS] or None
    if state in OPEN_STATES:
        return Processing(state, words, number)
    if state == STATE_FAILED:
        explained = (failure for text, failure in declines.items() if not text.isascii() and text in (words or ""))
        return Declined(next(explained, F.CHANNEL_REFUSED), state, words, number)
    if failure := declines.get(state):
        return Declined(failure, state, words, number)
    if state == REFUNDED:
        return Unknown("paid, and given back", state, words, received=True)
    if state != STATE_PAID:
        return Unknown("a state without a meaning", state or None, words, received=True)
    amount = fen(fields.get("money_order", ""))
    if amount is None:
        return Unknown("paid, without a readable amount", success, words, received=True)
    return Succeeded(amount, number, channel_code=success)


def read_code(answer: Answer, declines: Declines) -> CodeOutcome:
    """The answer to bankcardbind."""
    code, message, token = answer.code, answer.message, answer.fields.get("token")
    if code == SMS_SENT and token:
        return CodeSent(token, code)
    failure = declines.get(code)
    return Declined(failure, code, message) if failure else Unknown("no word on the SMS", code, message)


def read_signing(answer: Answer, declines: Declines) -> AuthenticationOutcome:
    """The answer to bankcardbindverfy."""
    code, message, agreement_no = answer.code, answer.message, answer.fields.get("no_agree")
    if code == OK and agreement_no:
        return Authenticated(agreement_no, code)
    failure = None if code in BOUND_ALREADY else declines.get(code)
    return Declined(failure, code, message) if failure else Unknown("no final word on the binding", code, message)


def read_unbinding(answer: Answer, declines: Declines) -> UnbindingOutcome:
    """The answer to bankcardunbind."""
    code, message = answer.code, answer.message
    if code == OK or code in AGREEMENT_GONE:
        return Unbound(code)
    failure = declines.get(code)
    return Declined(failure, code, message) if failure else Unknown("no final word on the unbinding", code, message)


def _filled(fields: Fields) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
