"""LianLian's return codes (ret_code) and states of orders (result_pay), and what each means to us.

Source: the table "Return Codes" of LianLian's own handbook of MPAY, its quick pay (`GitBook-Docs-en`; H). Its payout
product has codes of the same numbers with other meanings (1005, 9912, 9913): they are not these.
"""

from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode as F

__all__ = [
    "AGREEMENT_GONE",
    "AT_LIANLIAN",
    "BOUND_ALREADY",
    "DECLINES",
    "IN_PROCESS",
    "KNOWN",
    "NOTHING_FOUND",
    "OK",
    "OPEN_STATES",
    "REFUNDED",
    "SAYS_NOTHING",
    "SMS_SENT",
    "STATE_FAILED",
    "STATE_PAID",
    "Declines",
]

Declines = Mapping[str, F]
"""ret_code or result_pay → why it was refused for good."""

OK: Final = "0000"
SMS_SENT: Final = "8888"  # to bankcardbind and bankcardprepay: the code is on its way, the answer has a token

# Each says that this request was refused and nothing was paid or bound by it.
DECLINES: Final[Declines] = {
    code: failure
    for failure, codes in (
        (F.INSUFFICIENT_BALANCE, "6001"),
        (F.CARD_INVALID, "1100 1102 1103 5001"),  # number; no such issuer; expiry or CVV2; BIN
        (F.CARD_LOST, "1101"),
        (F.CARD_FROZEN, "1110"),  # the card's status
        (F.NAME_MISMATCH, "1113"),
        # 1108 is "ID number, name or phone": the wider advice (another card) fits all of them, the phone's only one.
        (F.ID_MISMATCH, "1108 1109 1112 7018 8099"),
        (F.PHONE_MISMATCH, "1114 1115"),  # 1115: the bank knows no phone
        (F.AUTHENTICATION_REJECTED, "1104"),  # the card's PIN
        (F.TOO_MANY_TRIES, "1106"),
        (F.SMS_CODE_WRONG, "1900 8110 9700 9701"),
        # 1000: the token is wrong or older than 30 min; 2006: the order is; 9702: too many wrong codes for this SMS. To
        # each the handbook's advice is a new SMS.
        (F.SMS_CODE_EXPIRED, "1000 1901 2006 9702 9703"),
        (F.RISK_REJECTED, "1105 9910"),  # black-listed card; risk too high
        (F.CHANNEL_LIMIT_EXCEEDED, "1014 1016 1019 1902 9911"),  # 1902: too much to be paid without a code
        (F.CARD_UNSUPPORTED, "1107 1200 1805 5505 5601 9907 9912"),  # 5601: not the kind of card that pay_type says
        (F.AGREEMENT_VOID, "3003 3006 3007 3011 6002 7777 8000"),  # no such agreement, or no such user
        # Bank or LianLian under maintenance; no order or user could be made; no SMS could be sent (9704).
        (F.CHANNEL_UNAVAILABLE, "1006 3002 6601 9000 9091 9704 9970"),
        # Signature, parameters, address, permission, unreadable or undecryptable request; 9092, 9093, 7017: the order.
        (F.CHANNEL_REFUSED, "1001 1004 1008 1009 1012 3001 3010 4007 5504 7017 9002 9092 9093 9901 9903"),
        # Failed "for a variety of reasons", which are not told.
        (F.CHANNEL_REFUSED, "1005 1111"),
        (F.CHANNEL_REFUSED, "3009 9913"),  # the card is bound already; its agreement is not told
        # To unbinding.
        (F.CHANNEL_REFUSED, "3004 4000"),
    )
    for code in codes.split()
}

IN_PROCESS: Final = frozenset({"1003", "2003", "2004", "2005", "2008"})
"""It has the order, or the binding, and is not done."""
AT_LIANLIAN: Final = frozenset({"1002", "2007", "9983"})
"""It has an order of this number: a duplicate (1002, 9983), or one that is paid (2007). Only a question tells more."""
SAYS_NOTHING: Final = frozenset({"1007", "9902", "9999"})
"""Its network or its system failed: the order may be there or not."""
# In no set on purpose, hence Unknown: 9094, 9990, 9991, where the bank was asked and money may have moved; the codes of
# payouts, refunds, statements, repayment plans and queries, which answer other requests than ours.

BOUND_ALREADY: Final = frozenset({"3009", "9913"})
"""To the code of a binding these are no refusal: it may be what bound the card."""
AGREEMENT_GONE: Final = frozenset({"3003", "3011"})
"""To unbinding: there is no such agreement."""
NOTHING_FOUND: Final = "8901"
"""To a question: no record."""

STATE_PAID: Final = "SUCCESS"
STATE_FAILED: Final = "FAILURE"  # why is told in words alone, outside the signature
OPEN_STATES: Final = frozenset({"WAITING", "PROCESSING"})
REFUNDED: Final = "REFUND"
"""Paid, and given back by somebody: neither a success nor a decline, so a person looks."""

KNOWN: Final = (
    frozenset({OK, SMS_SENT, NOTHING_FOUND, STATE_PAID, STATE_FAILED, REFUNDED})
    | OPEN_STATES
    | IN_PROCESS
    | AT_LIANLIAN
    | SAYS_NOTHING
)
"""What no account may explain otherwise."""
