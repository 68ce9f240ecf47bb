"""What an institution has on its account at CPCN (4510), in fen: Balance (the field names of CPCN's library, H)."""

from xml.etree.ElementTree import Element

from adapters.cpcn.answers import fen
from adapters.cpcn.codes import HANDLED
from adapters.cpcn.envelope import head_of, text_of
from adapters.cpcn.exchange import Tx
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, Unknown
from gateway.domain.terms import Product

__all__ = ["ASK_BALANCE", "read_balance"]

ASK_BALANCE = Tx("4510", Product.PAYOUT, "PaymentAccountNumber", in_body=True)


def read_balance(root: Element) -> BalanceOutcome:
    """Its answer, which the exchange believed about this very account."""
    code, message = head_of(root)
    if code != HANDLED:
        return Unknown("the question about the balance failed", code, message)
    total = fen(text_of(root, "Balance"))
    if total is None:
        return Unknown("a balance that is no amount", code, message)
    return BalanceStated(total=total, channel_code=code)
