"""Payouts as CPCN makes them, the settling of a market order: 1341 sends one, 1350 asks for it, 1348 tells of it.

Sources: the official simulator and the PHP demo's templates (fields, both final states: H); three gateways that ran on
CPCN, which agree on what each Status is called: 10 taken on, 30 settling, 40 done (the transfer was ordered), 50 the
transfer came back (M). A payout that is 50 at once and one that came back days later are told in the same way.
"""

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from adapters.cpcn.answers import fen, moment
from adapters.cpcn.codes import BANKS, GENERAL_REFUSALS, HANDLED, NO_SUCH_PAYMENT, Codes
from adapters.cpcn.envelope import Leaves, head_of, reason_of, text_of
from adapters.cpcn.page import shown
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import NotFound, Outcome, Processing, Returned, Succeeded, Unknown
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.returns import reason_in
from gateway.ports import Payout

__all__ = ["PAYEES", "PAYOUT_REFUSALS", "order_of", "read_payout", "read_payout_question"]

PAYEES: Final = PayeeRules(
    needs={PayeeType.PERSONAL: frozenset(), PayeeType.CORPORATE: frozenset({"branch", "province", "city"})},
    banks=frozenset(BANKS),
)
ACCOUNT_TYPES: Final[Mapping[PayeeType, str]] = {PayeeType.PERSONAL: "11", PayeeType.CORPORATE: "12"}
PAYOUT_REFUSALS: Final[Codes] = dict.fromkeys(GENERAL_REFUSALS, F.CHANNEL_REFUSED)
"""Of the head. What is said of a payee's account or of the merchant's balance is not public: the account says it."""
OPEN: Final = frozenset({"10", "15", "30"})  # 15, to be checked first: L
DONE: Final = "40"
CAME_BACK: Final = "50"
MAX_CODE_CHARS: Final = 16
MAX_WORDS_CHARS: Final = 256


def order_of(command: Payout, market_order_no: str | None) -> dict[str, str | Leaves]:
    """The body of 1341, without the institution: every element of the template."""
    payee = command.payee
    return {
        "SerialNumber": command.number, "OrderNo": market_order_no or command.number, "Amount": str(command.amount),
        "Remark": shown(command.purpose), "AccountType": ACCOUNT_TYPES[payee.type], "PaymentAccountName": "",
        "PaymentAccountNumber": "",
        "BankAccount": {
            "BankID": BANKS[payee.bank], "AccountName": payee.name, "AccountNumber": payee.account_no,
            "BranchName": payee.branch or "", "Province": payee.province or "", "City": payee.city or "",
        },
    }  # fmt: skip


def read_payout(root: Element) -> Outcome:
    """How a payout stands, by the notice (1348) or the question (1350). Both must state the amount of a success."""
    status = text_of(root, "Status")
    code = status and status[:MAX_CODE_CHARS]
    words = (text_of(root, "ErrorMessage") or reason_of(root)[1] or "")[:MAX_WORDS_CHARS] or None
    if status in OPEN:
        return Processing(code, words)
    if status == CAME_BACK:
        return Returned(reason_in(words), code, words)
    if status != DONE:
        return Unknown("a state without a meaning", code, words, received=True)
    amount = fen(text_of(root, "Amount"))
    if amount is None:
        return Unknown("paid, without a readable amount", code, words, received=True)
    at = moment(text_of(root, "TransferTime") or text_of(root, "BankTxTime"))
    return Succeeded(amount, channel_finished_at=at, channel_code=code)


def read_payout_question(root: Element) -> Outcome:
    """The answer to the question about a payout (1350)."""
    code, message = head_of(root)
    if code in NO_SUCH_PAYMENT:
        return NotFound(code, message)
    return read_payout(root) if code == HANDLED else Unknown("the question failed", code, message)
