"""JD's codes: banks, and what RETURN/CODE and TRADE/STATUS mean (sources: see `adapter`).

Two public tables of RETURN/CODE are used. The older one stands in two clients (H where nothing else is said); the newer
one, of a third client, has more codes and other words for some (M). Where the two differ, a code is mapped only if it
refuses the payment in both.
"""

from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode as F

# H where two working clients agree, M of one: PSBC, SPABANK, BJBANK, JSBANK, NBBANK, HSBANK. For COMM a commented list
# says BOCOM; both working clients send BCM.
BANKS: Final[Mapping[str, str]] = {
    "ICBC": "ICBC", "ABC": "ABC", "BOC": "BOC", "CCB": "CCB", "COMM": "BCM", "PSBC": "PSBC", "CMB": "CMB",
    "CITIC": "CITIC", "CEB": "CEB", "HXBANK": "HXB", "CMBC": "CMBC", "GDB": "CGB", "SPABANK": "PAB", "CIB": "CIB",
    "SPDB": "SPDB", "BJBANK": "BOB", "SHBANK": "BOS", "NBBANK": "NBCB", "NJCB": "NJCB", "HZCB": "HZB",
    "JSBANK": "JSB", "HSBANK": "HSB",
}  # fmt: skip

OK: Final = "0000"
PAID, OPEN, FAILED = "0", "6", "7"
"""TRADE/STATUS beside 0000 (H). 3 is "refunded" (M): money that was moved and given back, which a person looks into."""

IN_PROCESS: Final = frozenset({"0001", "EEB0058", "EES0039"})
"""Being worked on; being worked on at PSBC (M); the order is in process."""

NO_SUCH_ORDER: Final = frozenset({"EES0036", "EES0037"})
"""On a question; the second is "no such trade" (M) or "wrong original number" (H)."""

PAID_BEFORE: Final = frozenset({"EEN0001", "EEN0015", "EEB0060", "EEB0061", "EEB0063", "EES0032", "EES0033"})
"""Refunded before; paid before; paid and in process; paid before; the same family, without a text; double trade; double
number (M; EES0032 and EES0033 H). JD has the order, and a question tells what became of it."""

SAYS_NOTHING: Final = frozenset({"EEE0001", "EEE0002", "EEE0004"})
"""System, network or database trouble: not even that JD has the order. One client fails such payments, another asks."""

# To a payment or a wish for an SMS. Left out on purpose, hence Unknown: PAID_BEFORE and SAYS_NOTHING, EEE0003 ("bank
# trouble, ask later"), EEN0000 (no text), EEB0023 (a wrong code, to one client; without a text), and what answers
# refunds alone (EEB0003, EES0040, EEN0004 to EEN0006, EEN0008 to EEN0010, EEN0019, EEN0020).
DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        (F.INSUFFICIENT_BALANCE, "EEB0014"),
        # Number, expiry or CVN2 of the card, of which only the number is sent.
        (F.CARD_INVALID, "EES0012 EES0013 EES0014 EEB0008 EEB0009 EEB0030 EEB0051 EEB0055 EEB0057"),
        (F.CARD_FROZEN, "EEB0012"),  # "state of the account"; lost and frozen are not told apart
        (F.CARD_EXPIRED, "EEB0054"),
        (F.NAME_MISMATCH, "EES0015 EEB0005"),
        # EEB0040 and EEB0045 say "holder's data": the wider advice (another card) fits all of them.
        (F.ID_MISMATCH, "EES0017 EEB0007 EEB0040 EEB0044 EEB0045 EEN0012"),
        (F.PHONE_MISMATCH, "EES0018 EEB0006"),
        (F.SMS_CODE_WRONG, "EES0027 EEN0017"),
        (F.SMS_CODE_EXPIRED, "EES0035 EEN0002 EEB0025"),
        # Of codes, or of calls; EES0038 and EES0041 are that in the newer table and no question of ours in the older.
        (F.TOO_MANY_TRIES, "EES0038 EES0041 EEN0007 EEN0014 EEB0047"),
        (F.RISK_REJECTED, "EER0001 EEB0028 EEB0056"),  # EEB0056: "ask your bank"
        (
            F.CHANNEL_LIMIT_EXCEEDED,  # amount or number, of one payment, a day or a month
            "EEB0015 EEB0016 EEB0017 EEB0029 EEB0038 EEB0039 EEB0043 EEB0052 EEB0053 EER0002 EER0003 EER0004",
        ),
        (
            F.CARD_UNSUPPORTED,  # bank or card not taken, or not enabled for quick payments or for SMS
            "EES0028 EES0029 EEB0001 EEB0010 EEB0011 EEB0013 EEB0026 EEB0027 EEB0035 EEB0037 EEB0042 EEB0046",
        ),
        (F.AUTHENTICATION_REJECTED, "EEB0002 EEN0021"),  # the bank did not sign the card; another card than at the SMS
        (F.AGREEMENT_VOID, "EES0043 EES0044 EEB0050"),  # no SMS was asked for
        # Busy, no SMS could be sent, or the order's time is over: a new order may pass.
        (F.CHANNEL_UNAVAILABLE, "EES0030 EES0031 EES0034 EEB0036 EEB0041 EEB0062 EEN0003 EEN0016"),
        # Our signature, key, permission or format; at last: the bank failed it, without a reason.
        (F.CHANNEL_REFUSED, "EES0001 EES0002 EES0003 EES0004 EES0005 EES0006 EES0007 EES0008 EES0009 EES0010"),
        (F.CHANNEL_REFUSED, "EES0011 EES0016 EES0019 EES0020 EES0021 EES0022 EES0023 EES0024 EES0025 EES0026"),
        (F.CHANNEL_REFUSED, "EES0036 EES0037 EES0042 EEN0011 EEN0013 EEN0018 EEB0004"),
    )
    for code in codes.split()
}
# To a refund: what is wrong with a request of ours, or that there is no such payment. Which codes refuse one otherwise
# is not public: the account's `refund_declines` says it.
REFUND_DECLINES: Final[Mapping[str, F]] = {
    f"EES{number:04d}": F.CHANNEL_REFUSED for number in (*range(1, 12), 16, *range(19, 27), 36, 37)
}
NO_DECLINES: Final = IN_PROCESS | PAID_BEFORE | SAYS_NOTHING | {"EEE0003"}
