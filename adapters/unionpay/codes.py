"""UnionPay's respCode table (H) and what each code means to us."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode as F

__all__ = ["DECLINES", "NOT_OPENED", "NO_SUCH_ORDER", "OK", "OPEN_ORDER", "SMS_WANTED", "SUCCESSES"]

# The table's failures, as categories that PSPs have in common:
DECLINES: Final[Mapping[str, F]] = {
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
OK: Final = "00"
SUCCESSES: Final = frozenset({OK, "A6"})  # A6: success with a defect
OPEN_ORDER: Final = frozenset({"03", "04", "05", "70"})
NO_SUCH_ORDER: Final = "34"
NOT_OPENED: Final = frozenset({NO_SUCH_ORDER, "72", "77"})
SMS_WANTED: Final = "71"
# In no set on purpose, hence Unknown: 12 duplicate; 42, 74, 75, where money moved; 35, 36, 41, 45, 98, which answer
# other transactions than ours.
