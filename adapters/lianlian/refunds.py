"""LianLian's refunds (退款): refund.htm gives back, refundquery.htm asks, a notice tells of success.

Sources: LianLian's demo (`LLP-YT-Java`) and a public client with answers of the real one: fields and states (H); its
handbook (`GitBook-Docs-en`): return codes, states, that a question is worth asking after 15 minutes, that success is
the bank's word that it took the refund (H); fields of the notice, there of payments in foreign money (M).
Not public: whether a refund that succeeded is told to have come back.
"""

from collections.abc import Mapping
from typing import Final

from adapters.lianlian.answers import Answer
from adapters.lianlian.letter import Fields, fen
from gateway.domain.failures import FailureCode as F
from gateway.domain.money import yuan
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.ports import Refund

__all__ = ["money_of", "read_refund", "read_refunds_question", "read_refunds_state"]

OK: Final = "0000"
NOTHING_FOUND: Final = "8901"
IN_PROCESS: Final = frozenset({"2005", "2008"})
AT_LIANLIAN: Final = frozenset({"1002", "9983"})
"""It has a refund of this number: to be asked about."""
SAYS_NOTHING: Final = frozenset({"1007", "9902", "9999"})
"""Its network or its system failed: the refund may be there or not."""
# Left out on purpose, hence Unknown: 9920, "failed to refund", where the bank may have been asked.
DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        # Signature, parameters, address, merchant, permission, unreadable request.
        (F.CHANNEL_REFUSED, "1001 1004 1008 1009 1012 3001 3010 5504 9002 9901 9903"),
        # The payment: not there, not paid, of another number; the amount; more than is left; the merchant's state.
        (F.CHANNEL_REFUSED, "5002 5003 5004 5007 5008 9092 9093"),
        (F.MERCHANT_BALANCE_SHORT, "4103 4104 5006 9104"),
        (F.CHANNEL_UNAVAILABLE, "5005"),  # "failed, please try again"
    )
    for code in codes.split()
}
STATE_DONE, STATE_FAILED = "2", "3"
OPEN_STATES: Final = frozenset({"0", "1"})
"""sta_refund: taken on, being worked on."""
MAX_CODE_CHARS: Final = 16


def money_of(command: Refund) -> dict[str, str]:
    """What refund.htm says of a refund beside its number, its times and the merchant."""
    return {"money_refund": yuan(command.amount), "notify_url": command.notify_url}


def read_refund(answer: Answer) -> Outcome:
    """The answer to refund.htm, which may be final."""
    code, message = answer.code, answer.message
    if code == OK:
        return read_refunds_state(answer.fields)
    if code in IN_PROCESS:
        return Processing(code, message)
    if failure := DECLINES.get(code):
        return Declined(failure, code, message)
    if code in AT_LIANLIAN:
        return Unknown("to be asked about", code, message, received=True)
    return Unknown("no final word", code, message, received=answer.is_signed and code not in SAYS_NOTHING)


def read_refunds_question(answer: Answer) -> Outcome:
    """The answer to refundquery.htm: its own code, then the refund's state."""
    code, message = answer.code, answer.message
    if code == OK:
        return read_refunds_state(answer.fields)
    return NotFound(code, message) if code == NOTHING_FOUND else Unknown("the query failed", code, message)


def read_refunds_state(fields: Fields) -> Outcome:
    """sta_refund: the same in answers and in a notice. LianLian has the refund, whatever it is."""
    state, number = fields.get("sta_refund", "")[:MAX_CODE_CHARS], fields.get("oid_refundno") or None
    if state in OPEN_STATES:
        return Processing(state, channel_transaction_no=number)
    if state == STATE_FAILED:
        return Declined(F.CHANNEL_REFUSED, state, channel_transaction_no=number)  # no reason stands beside it
    if state != STATE_DONE:
        return Unknown("a state without a meaning", state or None, received=True)
    amount = fen(fields.get("money_refund", ""))
    if amount is None:
        return Unknown("given back, without a readable amount", state, received=True)
    return Succeeded(amount, number, channel_code=state)
