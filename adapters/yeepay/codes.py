"""YeePay's codes: banks, and what r1_Code and rb_PayStatus mean (its handbook V1.27 and demos; H)."""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "ALREADY_PAID",
    "ANY_BANK",
    "BANKS",
    "CANCELED",
    "DONE",
    "NO_SUCH_ORDER",
    "OWN_LIST",
    "PAID",
    "UNPAID",
    "YUAN",
]

# Of cards of CMBC, HXBANK, PSBC and BJBANK only debit cards are taken there.
BANKS: Final[Mapping[str, str]] = {
    "ICBC": "ICBC-NET-B2C",
    "ABC": "ABC-NET-B2C",
    "BOC": "BOC-NET-B2C",
    "CCB": "CCB-NET-B2C",
    "COMM": "BOCO-NET-B2C",
    "PSBC": "POST-NET-B2C",
    "CMB": "CMBCHINA-NET-B2C",
    "CITIC": "ECITIC-NET-B2C",
    "CEB": "CEB-NET-B2C",
    "HXBANK": "HXB-NET-B2C",
    "CMBC": "CMBC-NET-B2C",
    "GDB": "GDB-NET-B2C",
    "SPABANK": "PINGANBANK-NET-B2C",
    "CIB": "CIB-NET-B2C",
    "SPDB": "SPDB-NET-B2C",
    "BJBANK": "BCCB-NET-B2C",
    "SHBANK": "SHB-NET-B2C",
}
ANY_BANK: Final = "ANY"
OWN_LIST: Final = ""
"""Of pd_FrpId: YeePay's page, with its own list of banks."""

DONE: Final = "1"
"""Of r1_Code: the question was answered; the order was cancelled; in a notice: it was paid."""
NO_SUCH_ORDER: Final = "50"
ALREADY_PAID: Final = "53"
"""To CancelOrd."""

UNPAID, CANCELED, PAID = "INIT", "CANCELED", "SUCCESS"
"""rb_PayStatus beside DONE."""
YUAN: Final = frozenset({"CNY", "RMB"})
"""A request says the one, answers and notices the other."""
