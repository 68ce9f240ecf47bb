"""Baofoo's codes: what resp_code says of a call or an order, and what each biz_resp_code means to us.

H: the official document of authenticated pay (V4.0.4.0), whose table protocol pay shares. M: a third party's list with
marks for "failed" and "unknown", where it has more. What the marks alone are known of is "refused", no reason given.
"""

from collections.abc import Mapping
from typing import Final

from adapters.account import more_declines
from gateway.domain.failures import FailureCode as F
from gateway.ports import AccountSettings

__all__ = [
    "DECLINES",
    "FAILED",
    "MAY_BE_THERE",
    "NO_AGREEMENT",
    "NO_MORE_TODAY",
    "NO_SUCH_ORDER",
    "OF_A_CODE",
    "OF_THE_REQUEST",
    "OK",
    "OPEN",
    "OPEN_ORDER",
    "QUERY_FAILED",
    "REFUND_DECLINES",
    "REFUND_OPEN",
    "SMS_WANTED",
    "SUCCEEDED",
    "SUCCESSES",
    "Declines",
    "declines_of",
    "refund_declines_of",
]

Declines = Mapping[str, F]
"""biz_resp_code → why it was refused for good."""

# resp_code (H)
SUCCEEDED: Final = "S"
FAILED: Final = "F"
OPEN: Final = "I"
QUERY_FAILED: Final = "FF"  # of a question alone; it says nothing about the order

OK: Final = "0000"
SUCCESSES: Final = frozenset({OK, "BF00114"})  # 114: paid already (H); the third party's list calls it failed
OPEN_ORDER: Final = frozenset({"BF00115", "BF00144", "BF00251"})
"""Under way; held for its risk; not paid yet, which a confirmation that is still on its way looks like, too (M)."""
MAY_BE_THERE: Final = frozenset({"BF00100", "BF00112", "BF00202", "BF00254"})
"""To be asked about (H; 254: M), and not even saying that the order is there: fault, busy, timed out."""
NO_SUCH_ORDER: Final = "BF00128"
NO_AGREEMENT: Final = "BF00134"
SMS_WANTED: Final = "BF00130"  # this payment must be made with a code

DECLINES: Final[Declines] = {
    f"BF{code}": failure
    for failure, codes in (
        (F.INSUFFICIENT_BALANCE, "00103 00342"),
        # pin; too often; thrice today; of the day (H); codes by SMS (M)
        (F.TOO_MANY_TRIES, "00233 00347 00350 00351 00261"),
        # over; one payment; the day's; below the least; Baofoo's own (H); 8701-8705 (M)
        (F.CHANNEL_LIMIT_EXCEEDED, "00104 00146 00235 00234 00109 00117 00189 08701 08702 08703 08704 08705"),
        (F.CARD_EXPIRED, "00102"),
        (F.CARD_CLOSED, "00140"),
        (F.CARD_LOST, "00141"),
        (F.CARD_FROZEN, "00237"),
        (F.CARD_INVALID, "00182 00236 00312 00344"),
        (F.NAME_MISMATCH, "00345"),
        (F.ID_MISMATCH, "00101 00346 00321"),  # 101: something of the holder
        (F.PHONE_MISMATCH, "00258 00343 00353"),  # 353: the bank knows no phone
        (F.SMS_CODE_WRONG, "00105 00133"),
        # Expired, timed out, to be asked for anew (H, M); and none was asked for, which only a new one mends.
        (F.SMS_CODE_EXPIRED, "00106 00119 00132 00256 00259 00260 00317 00130"),
        (F.AGREEMENT_VOID, "00134 00191"),  # no such binding; another user's
        (F.AUTHENTICATION_REJECTED, "00143 00188"),
        (F.CARD_UNSUPPORTED, "00107 00110 00147 00122 00142 00187 00232 00311 00320"),
        (F.RISK_REJECTED, "00108 00333 00341"),  # 108: "ask your issuer", which is this code's advice
        # The bank's maintenance; an order that expired; one that could not be made; an SMS that could not be sent.
        (F.CHANNEL_UNAVAILABLE, "00325 00249 00136 00180 00255 00257"),
        # Signature, format, permission, address, and what differs from what the SMS was sent for (H, M)
        (F.CHANNEL_REFUSED, "00116 00118 00120 00121 00123 00124 00125 00127 00129 00135 00137 00138 00177"),
        (F.CHANNEL_REFUSED, "00131 00200 00201 00204 00309 00192 00193 00194 00195 00196 00197 00198 00199"),
        (F.CHANNEL_REFUSED, "00111 00301 00313 00315 00316 00323 00248 00253 00322 00324 00327 00331 00332"),
    )
    for code in codes.split()
}
NO_MORE_TODAY: Final = frozenset({"BF00342"})
"""For want of balance it was tried so often that no more tries are taken today (H)."""
OF_A_CODE: Final = frozenset({F.SMS_CODE_WRONG, F.SMS_CODE_EXPIRED})
"""Refusals of one try: an order that was not paid may be tried again under its number (H)."""
# 113 and 238: the result is not known. 126, 190 and 373: the order is there, the request's number was used, it is being
# worked on. All five say that the order is there. 186, bound already: the question tells by which agreement. 203
# answers refunds. 262, the amount differs: money may have moved.
NO_DECLINES: Final = frozenset(
    f"BF{code}" for code in ["00113", "00126", "00128", "00186", "00190", "00203", "00238", "00262", "00373"]
)  # fmt: skip
"""In no set on purpose, hence Unknown; an account cannot say otherwise."""


# Of refunds (331), which share the table and call the rest failed (H). A refund is paid to the payer's card out of the
# merchant's money (L), and brings no code, no agreement and no paper: what is said of those is a refusal of ours.
REFUND_DECLINES: Final[Declines] = {
    **dict.fromkeys(DECLINES, F.CHANNEL_REFUSED),
    **{
        code: failure
        for code, failure in DECLINES.items()
        if failure in {
            F.CARD_EXPIRED, F.CARD_CLOSED, F.CARD_LOST, F.CARD_FROZEN, F.CARD_INVALID, F.CARD_UNSUPPORTED,
            F.RISK_REJECTED, F.CHANNEL_LIMIT_EXCEEDED, F.CHANNEL_UNAVAILABLE,
        }
    },
    **dict.fromkeys(("BF00103", "BF00342"), F.MERCHANT_BALANCE_SHORT),
}  # fmt: skip
OF_THE_REQUEST: Final = frozenset({
    "BF00116", "BF00118", "BF00120", "BF00121", "BF00123", "BF00124", "BF00125", "BF00127", "BF00129", "BF00135",
    "BF00137", "BF00138", "BF00192", "BF00193", "BF00194", "BF00195", "BF00196", "BF00197", "BF00198", "BF00199",
    "BF00301", "BF00313", "BF00315", "BF00316", "BF00323",
})  # fmt: skip
"""Format, signature, merchant, terminal, permission, address: to a question they say that it failed, and no more."""
REFUND_OPEN: Final = frozenset({"BF00115", "BF00144", "BF00203"})
"""A refund that is under way, held for its risk, or taken on (H)."""


def refund_declines_of(account: AccountSettings) -> Declines:
    """The table of refunds, and what the account's setting `refund_declines` adds to it. Raises AccountError."""
    never = SUCCESSES | OPEN_ORDER | MAY_BE_THERE | NO_DECLINES
    more = more_declines(account, "BF[0-9]{5}", "BF codes of refusals", never, "refund_declines")
    return {**REFUND_DECLINES, **more}


def declines_of(account: AccountSettings) -> Declines:
    """The table, and what the account's setting `declines` adds to it. Raises AccountError."""
    never = SUCCESSES | OPEN_ORDER | MAY_BE_THERE | NO_DECLINES
    return {**DECLINES, **more_declines(account, "BF[0-9]{5}", "BF codes of refusals", never)}
