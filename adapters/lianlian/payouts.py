"""LianLian's payouts (实时付款): payment.htm sends one, confirmPayment.htm says that a suspected one is right,
queryPayment.htm asks for it; a notice tells how it ended, and once more when it came back.

Sources: LianLian's demo of this product (`LLP-InstantPay-Java`): fields, codes with what each says of the order, states
(H); its document of the interface, as others keep it: sizes, what a firm's account needs (M). 0000 says that the order
was made, and no more. 4002, 4003 and 4004 leave it unpaid until somebody confirms it, here or by hand on LianLian's
site, so a refused confirmation says nothing of the payout; one that nobody confirms is closed. SUCCESS may be followed
by CANCEL: the bank gave it back. 8901 is "no record", and there may be one all the same (H): never proof.
Not public: why one failed or came back, but for words (memo).
"""

import re
from collections.abc import Mapping
from typing import Final

from adapters.lianlian.answers import Answer
from adapters.lianlian.letter import Fields, fen
from gateway.domain.cards import bank_names
from gateway.domain.failures import FailureCode as F
from gateway.domain.money import yuan
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    Succeeded,
    Suspicion,
    Unknown,
)
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.returns import failure_in, reason_in
from gateway.ports import Payout

__all__ = ["PAYEES", "WORDS", "order_of", "read_confirmation", "read_payout", "read_question", "read_state"]

# Two shops' maps agree (M).
BANK_CODES: Final[Mapping[str, str]] = {
    "ICBC": "01020000", "ABC": "01030000", "BOC": "01040000", "CCB": "01050000", "COMM": "03010000",
    "PSBC": "01000000", "CMB": "03080000", "CITIC": "03020000", "CEB": "03030000", "HXBANK": "03040000",
    "CMBC": "03050000", "GDB": "03060000", "SPABANK": "03070000", "CIB": "03090000", "SPDB": "03100000",
    "BJBANK": "04031000", "SHBANK": "04012900", "NBBANK": "04083320",
}  # fmt: skip
# A firm's must have its bank's code; with the branch's number no place and no branch need be told (M).
PAYEES: Final = PayeeRules(
    needs={PayeeType.PERSONAL: frozenset(), PayeeType.CORPORATE: frozenset({"cnaps"})},
    banks_of_firms=frozenset(BANK_CODES),
)
FLAGS: Final[Mapping[PayeeType, str]] = {PayeeType.PERSONAL: "0", PayeeType.CORPORATE: "1"}
MAX_INFO: Final = 80
"""Characters, of the 255 bytes of info_order."""
SOMETHING: Final = "付款"
"""Of a payout that says nothing of itself: info_order is what tells its notice from a payment's."""
MAX_MEMO: Final = 24
"""Of memo, which goes to the payee's bank (M): counted as bytes of UTF-8, to be sure."""
_NOT_FOR_BANKS = re.compile("[^a-zA-Z0-9\u4e00-\u9fa5_-]")
"""What LianLian takes out of a memo by itself (M)."""

OK: Final = "0000"
NOTHING_FOUND: Final = "8901"
SUSPICIONS: Final[Mapping[str, Suspicion]] = {
    "4002": Suspicion.DUPLICATE,
    "4003": Suspicion.PAYEE,
    "4004": Suspicion.DUPLICATE_AND_PAYEE,
}
AT_LIANLIAN: Final = frozenset({"1002", "2005"})
"""It has an order of this number: to be asked about."""
SAYS_NOTHING: Final = frozenset({"4006", "4007", "4009", "9999"})
"""To be asked about, too; the order may be there or not."""
DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        # Signature, parameters, address, merchant, permission; the code of a confirmation.
        (F.CHANNEL_REFUSED, "1001 1004 1008 3001 4005 4008 4010 4011"),
        (F.CARD_UNSUPPORTED, "1005"),
        (F.PAYEE_INVALID, "4012 4105"),  # no such card; no such CNAPS number
        (F.MERCHANT_BALANCE_SHORT, "4103 4104 9104"),  # 4103, 4104: the merchant's account, or no order could be made
        (F.RISK_REJECTED, "9910"),
        (F.CHANNEL_LIMIT_EXCEEDED, "9911 9912 9913"),
    )
    for code in codes.split()
}

STATE_PAID, STATE_FAILED, STATE_CLOSED, STATE_RETURNED, STATE_HELD = "SUCCESS", "FAILURE", "CLOSED", "CANCEL", "CHECK"
OPEN_STATES: Final = frozenset({"APPLY", "PROCESSING"})
WORDS: Final = r"(?s)(?=.*[^\x00-\x7f]).{2,}"
MAX_CODE_CHARS: Final = 16
MAX_MESSAGE_CHARS: Final = 256


def order_of(command: Payout) -> dict[str, str]:
    """What payment.htm says of a payout beside its number, its time and the merchant."""
    payee = command.payee
    firm = {
        "bank_code": BANK_CODES.get(payee.bank, ""),
        "bank_name": bank_names().get(payee.bank, ""),
        "brabank_name": payee.branch or "",
        "prcptcd": payee.cnaps or "",
    }
    told = {
        "money_order": yuan(command.amount),
        "card_no": payee.account_no,
        "acct_name": payee.name,
        "flag_card": FLAGS[payee.type],
        "info_order": _shown(command.purpose) or SOMETHING,
        "memo": _memo(command.purpose) or SOMETHING,
        "notify_url": command.notify_url,
    }
    return told | ({name: text for name, text in firm.items() if text} if payee.type is PayeeType.CORPORATE else {})


def read_payout(answer: Answer) -> Outcome:
    """The answer to payment.htm."""
    code, message = answer.code, answer.message
    if code == OK:
        return Processing(code, message, answer.fields.get("oid_paybill"))
    if suspicion := SUSPICIONS.get(code):
        confirm_code = answer.fields.get("confirm_code") or None
        return Processing(code, message, suspicion=suspicion, continuation=confirm_code)
    if failure := DECLINES.get(code):
        return Declined(failure, code, message)
    if code in AT_LIANLIAN:
        return Unknown("to be asked about", code, message, received=True)
    return Unknown("no final word", code, message, received=answer.is_signed and code not in SAYS_NOTHING)


def read_confirmation(answer: Answer) -> Outcome:
    """The answer to confirmPayment.htm. What it refuses is the confirmation: the payout is asked about."""
    outcome = read_payout(answer)
    if isinstance(outcome, Declined):
        return Unknown("the confirmation was refused", answer.code, answer.message, received=answer.is_signed)
    return outcome


def read_question(answer: Answer, declines: Mapping[str, F]) -> Outcome:
    """The answer to queryPayment.htm: its own code, then the order's state."""
    code, message = answer.code, answer.message
    if code == OK:
        return read_state(answer.fields, declines)
    return NotFound(code, message) if code == NOTHING_FOUND else Unknown("the query failed", code, message)


def read_state(fields: Fields, declines: Mapping[str, F]) -> Outcome:
    """result_pay: the same in a question's answer and in a notice. `declines`: what words of a memo mean."""
    state, number = fields.get("result_pay", "")[:MAX_CODE_CHARS], fields.get("oid_paybill")
    words = (fields.get("memo") or "")[:MAX_MESSAGE_CHARS] or None
    if state in OPEN_STATES:
        return Processing(state, words, number)
    if state == STATE_HELD:
        return Processing(state, words, number, suspicion=Suspicion.UNSAID)
    if state == STATE_RETURNED:
        return Returned(reason_in(words), state, words)
    if state == STATE_CLOSED:
        return Declined(F.CHANNEL_REFUSED, state, words, number)
    if state == STATE_FAILED:
        return Declined(failure_in(words, declines), state, words, number)
    if state != STATE_PAID:
        return Unknown("a state without a meaning", state or None, words, received=True)
    amount = fen(fields.get("money_order", ""))
    if amount is None:
        return Unknown("paid, without a readable amount", state, words, received=True)
    return Succeeded(amount, number, channel_code=state)


def _shown(text: str) -> str:
    """A purpose for people: one line, without what would part fields in the text that LianLian signs when it tells."""
    line = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return line.replace("&", "＆").replace("=", "＝")[:MAX_INFO].strip()


def _memo(text: str) -> str:
    """A purpose for the payee's bank."""
    return _NOT_FOR_BANKS.sub("", text).encode()[:MAX_MEMO].decode(errors="ignore")
