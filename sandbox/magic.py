"""Amounts (fen) and card tails that ask any provider for an outcome, without a call of the control API."""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "CALLBACK_LOST",
    "CODE_EXPIRED",
    "CODE_LOST",
    "ERROR_AFTER",
    "LATE_DECLINE",
    "LATE_SUCCESS",
    "NOT_FOUND_FIRST",
    "OTHER_PHONE",
    "REFUSED_BY",
    "RESERVED_PHONE",
    "RESET_AFTER",
    "RETURNED_LATER",
    "RETURNED_TAILS",
    "SMS_WANTED",
    "TWO_PHONES",
    "binds",
    "is_refused_by",
    "pays",
]

LATE_SUCCESS: Final = 980001
"""Processing first, success after the configured late time."""
RESET_AFTER: Final = 980002
"""The work is done, then the connection is reset."""
LATE_DECLINE: Final = 980003
"""Processing first, balance short after the configured late time."""
ERROR_AFTER: Final = 980004
"""The work is done, the answer is an HTTP 502."""
NOT_FOUND_FIRST: Final = 980005
"""The work is done, the answer is an HTTP 502, and queries do not find the order for the configured late time."""
CALLBACK_LOST: Final = 980006
"""The work is done and no notification leaves (providers with callbacks)."""
RETURNED_LATER: Final = 980007
"""Of a payout: it is paid, and comes back after the configured late time."""

# Card tails. 98NN is in no provider's code table.
SMS_WANTED: Final = "9801"
"""The silent way is closed: the card is bound with a code by SMS."""
CODE_EXPIRED: Final = "9802"
"""Of the codes that are sent for this card every other one, the first to begin with, is too old already."""
CODE_LOST: Final = "9803"
"""The provider says that the SMS went out, and none is ever delivered."""
TWO_PHONES: Final = "9804"
"""Either of two phones binds the card, and no third; a payment passes with the reserved one alone."""
RESERVED_PHONE: Final = "13800009804"
OTHER_PHONE: Final = "13900009804"
RETURNED_TAILS: Final[Mapping[str, str]] = {
    "9831": "payee_name_mismatch",
    "9832": "payee_account_invalid",
    "9833": "payee_account_abnormal",
    "9834": "bank_rejected",
}
"""Accounts that payouts come back from after the configured late time, and why."""
REFUSED_BY: Final[Mapping[str, str]] = {
    "9811": "unionpay",
    "9812": "allinpay",
    "9813": "cpcn",
    "9814": "baofoo",
    "9815": "lianlian",
    "9816": "jd",
}
"""Cards that one provider refuses for the holder's identity, and all others take."""


def is_refused_by(provider: str, card_tail: str) -> bool:
    """Whether this provider refuses the holder of the card."""
    return REFUSED_BY.get(card_tail) == provider


def binds(card_tail: str, phone: str) -> bool:
    """Whether the bank knows the phone well enough to bind the card with it."""
    return card_tail != TWO_PHONES or phone in (RESERVED_PHONE, OTHER_PHONE)


def pays(card_tail: str, phone: str) -> bool:
    """Whether the phone is the one that is reserved for payments."""
    return card_tail != TWO_PHONES or phone == RESERVED_PHONE
