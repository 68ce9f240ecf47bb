"""What a transaction of CPCN's statement is to us: its TxType is the TxCode that made it (H).

Not public, so the account must say it (`declaration`): that TxSn is our number of the order, that 1348 is a payout that
came back, and what the fees mean. Of other types that moved money the account says what they are (`statement_types`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from adapters.account import AccountError
from adapters.statement_files import Place, moment
from gateway.domain.statements import LineKind, StatementLine
from gateway.ports import AccountSettings

__all__ = ["COLUMNS", "MORE_COLUMNS", "Kinds", "kinds_of", "line_of"]

COLUMNS: Final = (
    "TxType", "TxSn", "TxAmount", "InstitutionAmount", "PaymentAmount", "PayerFee", "InstitutionFee", "Remark",
    "BankNotificationTime", "MarketOrderNo", "SettlementFlag", "SplitType", "SplitResult",
)  # fmt: skip
"""Of a line of text, in the order of the elements (H)."""
MORE_COLUMNS: Final = ("BizType", "InstitutionRefundFee")
"""Which newer answers have beside them (H), after them (L)."""

Kinds = Mapping[str, LineKind | None]
"""TxType → what it is to us; None: no money of orders."""

OF_ORDERS: Final[Kinds] = {
    # Quick payments, at once and with the payer's code; withholds; payments on a page.
    **dict.fromkeys(("2511", "2541", "2542", "2011", "1111"), LineKind.PAYMENT),
    **dict.fromkeys(("2521", "1131", "1133"), LineKind.REFUND),
    "1341": LineKind.PAYOUT,
    "1348": LineKind.RETURN,
}
OF_NONE: Final[Kinds] = dict.fromkeys(
    # Bindings and what belongs to them; checks of a card's holder. They cost fees, and move nothing.
    ("2501", "2503", "2531", "2532", "2310", "2320", "2330", "2340", "2341", "2342")
)
NOTHING: Final = "none"
_TX_TYPE = re.compile(r"[0-9]{4}")
_TIME = re.compile(r"[0-9]{14}")
TIME: Final = "%Y%m%d%H%M%S"


def kinds_of(account: AccountSettings) -> Kinds:
    """The table, and what the account's `statement_types` says beside it and over it. Raises AccountError."""
    told = account.settings.get("statement_types", {})
    words = {**{str(kind): kind for kind in LineKind}, NOTHING: None}
    problem = f"must be TxTypes with one of {', '.join(sorted(words))}"
    if not isinstance(told, Mapping):
        raise AccountError(account, "statement_types", problem)
    for tx_type, word in told.items():
        if not _TX_TYPE.fullmatch(str(tx_type)) or word not in words:
            raise AccountError(account, "statement_types", problem)
    return {**OF_ORDERS, **OF_NONE, **{str(tx_type): words[word] for tx_type, word in told.items()}}


def line_of(row: Mapping[str, str], place: Place, kinds: Kinds) -> StatementLine | None:
    """A transaction in the normal form. None: it moved no money of orders. Raises StatementRefusedError."""
    tx_type = row.get("TxType", "")
    if not _TX_TYPE.fullmatch(tx_type):
        raise place.refused("is no TxType", "TxType")
    amount = place.fen(row.get("TxAmount", ""), "TxAmount")
    if tx_type not in kinds and amount:
        raise place.refused(
            f"is {tx_type}, and moved money: statement_types of the account can say what it is", "TxType"
        )
    kind = kinds.get(tx_type)
    if kind is None:
        return None
    # Money that goes out may be written with a minus; money that comes in may not.
    if amount < 0 and kind in (LineKind.PAYMENT, LineKind.RETURN):
        raise place.refused("is below zero", "TxAmount")
    number = row.get("TxSn", "")
    if not number:
        raise place.refused("names no order", "TxSn")
    return StatementLine(place.line, kind, number, abs(amount), fee=_fee(row, place), at=_at(row, place))


def _fee(row: Mapping[str, str], place: Place) -> int | None:
    """What the institution pays, less what it gets back for a refund; the payer's own fee is not ours."""
    taken, given = row.get("InstitutionFee", ""), row.get("InstitutionRefundFee", "")
    if not taken and not given:
        return None
    gets_back = abs(place.fen(given, "InstitutionRefundFee")) if given else 0
    return (place.fen(taken, "InstitutionFee") if taken else 0) - gets_back


def _at(row: Mapping[str, str], place: Place) -> datetime | None:
    told = row.get("BankNotificationTime", "")
    if told and not _TIME.fullmatch(told):
        raise place.refused("is no time as it should be", "BankNotificationTime")
    return moment(told, TIME, place, "BankNotificationTime") if told else None
