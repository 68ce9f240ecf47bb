"""Refunds: 2521 gives back what a card paid, 2522 asks for it; 1133 gives back what was paid on a page, 1132 asks for
it and 1138 tells of it.

Sources: the official simulator and the PHP demo's templates (fields, answers of a head alone: H). Both kinds name the
payment by our own number of it. Not public: the states. The simulator's notice of another product says 20 for a refund
that failed and 40 for one that was made; what else is said leaves it open. In a notice of a payment 20 means paid, so
which message it is decides, never whose number it carries: 1138 names the payment, too.

2521 is known of quick payments, one refund of each (M); whether it takes the number of a withhold no source says: where
it does not, CPCN refuses it.
"""

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from adapters.cpcn.answers import fen, moment
from adapters.cpcn.codes import (
    HANDLED,
    NO_SUCH_REFUND,
    REFUND_DONE,
    REFUND_FAILED,
    REFUND_OPEN,
)
from adapters.cpcn.envelope import head_of, reason_of, text_of
from adapters.cpcn.exchange import Tx
from adapters.cpcn.page import shown
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import Refund

__all__ = ["ASKS", "SENDS", "order_of", "read_refund", "read_refund_question"]

_OF_CARDS: Final = Tx("2521", Product.REFUND)
_OF_PAGES: Final = Tx("1133", Product.REFUND, in_body=True)
_ASK_OF_CARDS: Final = Tx("2522", Product.REFUND, "TxSN")
_ASK_OF_PAGES: Final = Tx("1132", Product.REFUND, "SerialNumber", in_body=True)
SENDS: Final[Mapping[Scene, Tx]] = {
    Scene.QUICK_CHARGE: _OF_CARDS,
    Scene.WITHHOLD: _OF_CARDS,
    Scene.NETBANK_CHARGE: _OF_PAGES,
}
ASKS: Final[Mapping[Scene, Tx]] = {
    Scene.QUICK_CHARGE: _ASK_OF_CARDS,
    Scene.WITHHOLD: _ASK_OF_CARDS,
    Scene.NETBANK_CHARGE: _ASK_OF_PAGES,
}
"""By the scene of the payment."""
MAX_CODE_CHARS: Final = 16


def order_of(command: Refund) -> dict[str, str]:
    """The body of a refund, without the institution: every element of the template."""
    told = {"PaymentNo": command.original_number, "Amount": str(command.amount), "Remark": shown(command.reason)}
    if command.scene is Scene.NETBANK_CHARGE:
        return {"SerialNumber": command.number, **told, "RefundType": ""}
    return {"TxSN": command.number, **told}


def read_refund(root: Element) -> Outcome:
    """How a refund stands, by a question (2522, 1132) or the notice (1138). All state the amount (H).

    A refund is nobody's card and nobody's fault: whatever the bank says of it is a refusal of the channel.
    """
    status, (code, message) = text_of(root, "Status"), reason_of(root)
    code = code or (status and status[:MAX_CODE_CHARS])
    if status in REFUND_OPEN:
        return Processing(code, message)
    if status == REFUND_FAILED:
        return Declined(F.CHANNEL_REFUSED, code, message)
    if status != REFUND_DONE:
        return Unknown("a state without a meaning", code, message, received=True)
    amount = fen(text_of(root, "Amount"))
    if amount is None:
        return Unknown("given back, without a readable amount", code, message, received=True)
    at = moment(text_of(root, "RefundTime") or text_of(root, "BankTxTime"))
    return Succeeded(amount, channel_finished_at=at, channel_code=code)


def read_refund_question(root: Element) -> Outcome:
    """The answer to the question about a refund."""
    code, message = head_of(root)
    if code in NO_SUCH_REFUND:
        return NotFound(code, message)
    return read_refund(root) if code == HANDLED else Unknown("the question failed", code, message)
