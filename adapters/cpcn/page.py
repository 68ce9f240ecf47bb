"""Payments on a bank's page: what the payer's browser brings (1111), and what is said of such an order (1118, 1120).

Sources: the official simulator's forms, its two receivers of notices, and the PHP demo's templates (H). The payer's
browser comes back to NotificationURL by POST with a 1118 of its own (that it is the simulator's page for browsers: M);
CPCN's server sends another one to the address that the institution has registered. There is no place for an expiry, and
nothing takes an order back: a page that is open may be paid for as long as the bank shows it.
"""

from typing import Final
from xml.etree.ElementTree import Element

from adapters.cpcn.answers import fen, moment
from adapters.cpcn.codes import BANKS, HANDLED, NO_SUCH_PAYMENT, PAGE_BANKS, PAGE_PAID, PAGE_UNPAID
from adapters.cpcn.envelope import head_of, text_of
from gateway.domain.outcomes import NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import Redirect

__all__ = ["order_of", "read_page", "read_page_question", "shown"]

PERSON: Final = "11"
"""AccountType."""
PAYERS_FEE: Final = "0"
MAX_REMARK: Final = 30
"""Bytes of Remark. No source says how many: the least that the family of such fields takes."""
MAX_CODE_CHARS: Final = 16


def order_of(command: Redirect, settlement_flag: str) -> dict[str, str]:
    """The body of 1111, without the institution. Raises ValueError for what routing must not bring here.

    PayerID and PayerName stay empty, as CardType does: the payer says on the page who he is.
    """
    if command.scene is not Scene.NETBANK_CHARGE or command.bank not in PAGE_BANKS:
        raise ValueError(f"no page for {command.scene} at {command.bank}")
    return {
        "PaymentNo": command.number, "Amount": str(command.amount), "Fee": PAYERS_FEE, "PayerID": "", "PayerName": "",
        "SettlementFlag": settlement_flag, "Usage": "", "Remark": shown(command.description),
        "NotificationURL": command.return_url, "BankID": BANKS[command.bank], "AccountType": PERSON, "CardType": "",
    }  # fmt: skip


def shown(text: str) -> str:
    """A text for the payer's eyes: one line that XML can write, cut between two characters."""
    line = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return line.encode()[:MAX_REMARK].decode(errors="ignore").strip()


def read_page(root: Element) -> Outcome:
    """How an order stands, by the notice (1118) or the question (1120). Both must state the amount of a success."""
    status = text_of(root, "Status")
    code = status and status[:MAX_CODE_CHARS]
    if status == PAGE_UNPAID:
        return Processing(code, unpaid=True)
    if status != PAGE_PAID:
        return Unknown("a state without a meaning", code, received=True)
    amount = fen(text_of(root, "Amount"))
    if amount is None:
        return Unknown("paid, without a readable amount", code, received=True)
    at = moment(text_of(root, "BankNotificationTime"))
    return Succeeded(amount, channel_finished_at=at, channel_code=code)


def read_page_question(root: Element) -> Outcome:
    """The answer to the question about such an order (1120)."""
    code, message = head_of(root)
    if code in NO_SUCH_PAYMENT:
        return NotFound(code, message)
    return read_page(root) if code == HANDLED else Unknown("the question failed", code, message)
