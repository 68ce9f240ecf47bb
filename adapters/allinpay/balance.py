"""What a merchant has at Allinpay (300000), in fen: BALANCE is everything (H), USABLEBAL what can be used (L).

Sources: a settlement system and two more clients (M). One account is asked for, the merchant's number with 000.
"""

import re
from typing import Final
from xml.etree.ElementTree import Element

from adapters.allinpay.codes import OK
from adapters.allinpay.envelope import node, said, text_of
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, Unknown

__all__ = ["account_no", "question", "read_balance"]

BASIC: Final = "000"

_FEN = re.compile(r"[0-9]{1,15}")


def account_no(merchant_id: str) -> str:
    """The merchant's basic account."""
    return merchant_id + BASIC


def question(merchant_id: str) -> str:
    """ACQUERYREQ of 300000."""
    return node("ACQUERYREQ", ACCTNO=account_no(merchant_id))


def read_balance(root: Element, merchant_id: str) -> BalanceOutcome:
    """Its answer: one ACNODE of that account, and no other counts."""
    code, message = said(root, "INFO")
    if code != OK:
        return Unknown("the question about the balance failed", code, message)
    mine = [each for each in root.iterfind("ACQUERYREP/ACNODE") if text_of(each, "ACCTNO") == account_no(merchant_id)]
    if len(mine) != 1:
        return Unknown(f"{len(mine)} words about this account", code, message)
    total, usable = text_of(mine[0], "BALANCE"), text_of(mine[0], "USABLEBAL")
    amounts = _fen(total), _fen(usable)
    if amounts[0] is None or (usable is not None and amounts[1] is None):
        return Unknown("a balance that is no amount", code, message)
    return BalanceStated(for_payouts=amounts[1], total=amounts[0], channel_code=code)


def _fen(text: str | None) -> int | None:
    return int(text) if text is not None and _FEN.fullmatch(text) else None
