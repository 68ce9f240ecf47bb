"""UnionPay's respCode table (H) and what each code means to us."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode as F

__all__ = [
    "DECLINES",
    "NOT_OPENED",
    "NO_SUCH_ORDER",
    "OK",
    "OPEN_ORDER",
    "PAYOUT_DECLINES",
    "REFUND_DECLINES",
    "SMS_WANTED",
    "SUCCESSES",
    "WITHOUT_CODE",
    "Declines",
]

Declines = Mapping[str, F]
"""respCode → why it was refused for good."""

# The table's failures of payments and openings, as categories that PSPs have in common:
DECLINES: Final[Declines] = {
    "01": F.CHANNEL_REFUSED,  # failed, no reason given
    "02": F.CHANNEL_UNAVAILABLE,  # system closed
    "10": F.CHANNEL_REFUSED,  # format
    "11": F.CHANNEL_REFUSED,  # our signature
    "13": F.CHANNEL_REFUSED,  # element missing
    "14": F.CHANNEL_REFUSED,  # batch format
    "30": F.RISK_REJECTED,  # not passed
    "31": F.CHANNEL_REFUSED,  # merchant's status
    "32": F.CHANNEL_REFUSED,  # no permission
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    "37": F.TOO_MANY_TRIES,
    "38": F.RISK_REJECTED,
    "39": F.CHANNEL_UNAVAILABLE,  # out of service hours
    "40": F.AGREEMENT_VOID,  # binding check failed
    "60": F.RISK_REJECTED,  # issuer declined: "ask your issuer", which is this code's advice
    "61": F.CARD_INVALID,
    "62": F.CARD_UNSUPPORTED,
    "63": F.CARD_FROZEN,  # card's status; lost and frozen are not told apart
    "64": F.INSUFFICIENT_BALANCE,
    "65": F.CARD_INVALID,  # pin, expiry or cvn wrong
    "66": F.ID_MISMATCH,  # identity or phone wrong: the wider advice (another card) fits both, the phone's only one
    "67": F.TOO_MANY_TRIES,  # pin
    "68": F.CARD_UNSUPPORTED,
    "69": F.SMS_CODE_EXPIRED,  # input timeout
    "71": F.SMS_CODE_WRONG,
    "72": F.AGREEMENT_VOID,  # not enrolled
    "73": F.CARD_EXPIRED,
    "76": F.CARD_UNSUPPORTED,  # must be opened with its pin, which no back call can do
    "77": F.AGREEMENT_VOID,  # not enabled
    "78": F.RISK_REJECTED,  # restricted by the issuer
    "79": F.CARD_UNSUPPORTED,  # issuer sends no SMS
    "80": F.AGREEMENT_VOID,  # token expired
    "99": F.CHANNEL_REFUSED,  # generic
}

# Of requests that bring no code of the payer's, an SMS or an unbinding: a code about one is a refusal of ours.
WITHOUT_CODE: Final[Declines] = {**DECLINES, **dict.fromkeys(("69", "71"), F.CHANNEL_REFUSED)}

# Of refunds. "Else failed" (H) holds for them, too, but a refund brings no card, no binding and no code of the payer's:
# a code about those is a refusal of ours and nobody's fault, and must neither void an agreement nor count against the
# payer. The card's own state is told as it is. Which codes refunds are really answered with is not public.
REFUND_DECLINES: Final[Declines] = {
    **dict.fromkeys(("01", "10", "11", "13", "14", "31", "32", "99"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("40", "65", "66", "67", "69", "71", "72", "76", "77", "79", "80"), F.CHANNEL_REFUSED),
    # Beside the texts of the demo pages (H) stand these codes (L). Each says that this refund was not done:
    "35": F.CHANNEL_REFUSED,  # 2040004: no such payment, or not in a state to be refunded
    "36": F.CHANNEL_REFUSED,  # 2050004: differs from the payment: more than is left, or another business
    "45": F.CHANNEL_REFUSED,  # 2050002: the payment was undone or refunded already, by somebody else
    "02": F.CHANNEL_UNAVAILABLE,
    "39": F.CHANNEL_UNAVAILABLE,
    "37": F.CHANNEL_UNAVAILABLE,  # we asked too often
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    **dict.fromkeys(("30", "38", "60", "78"), F.RISK_REJECTED),
    "61": F.CARD_INVALID,
    "62": F.CARD_UNSUPPORTED,
    "63": F.CARD_FROZEN,
    "64": F.MERCHANT_BALANCE_SHORT,  # what a refund is paid from (L)
    "68": F.CARD_UNSUPPORTED,
    "73": F.CARD_EXPIRED,
}
# Of payouts. UnionPay's demo asks on after 01, 12, 34 and 60, as after 03, 04 and 05, and calls the rest failed (H):
# the four are in no set. Nobody's balance can be short but the merchant's, and the account is the payee's (L). Codes
# about bindings, codes by SMS and PINs are refusals of ours.
PAYOUT_DECLINES: Final[Declines] = {
    **dict.fromkeys(("10", "11", "13", "14", "31", "32", "99"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("40", "67", "69", "71", "72", "76", "77", "79", "80"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("02", "37", "39"), F.CHANNEL_UNAVAILABLE),
    **dict.fromkeys(("30", "38", "78"), F.RISK_REJECTED),
    **dict.fromkeys(("61", "63", "65", "66", "73"), F.PAYEE_INVALID),
    **dict.fromkeys(("62", "68"), F.CARD_UNSUPPORTED),
    "33": F.CHANNEL_LIMIT_EXCEEDED,
    "64": F.MERCHANT_BALANCE_SHORT,
}
OK: Final = "00"
SUCCESSES: Final = frozenset({OK, "A6"})  # A6: success with a defect
OPEN_ORDER: Final = frozenset({"03", "04", "05", "70"})
NO_SUCH_ORDER: Final = "34"
NOT_OPENED: Final = frozenset({NO_SUCH_ORDER, "72", "77"})
SMS_WANTED: Final = "71"
# In no set on purpose, hence Unknown: 12 duplicate; 42, 74, 75, where money moved; 41, 98, which answer other
# transactions than ours; 35, 36 and 45, which answer refunds, to payments and payouts.
