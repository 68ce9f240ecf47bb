"""Allinpay's codes: banks, and what an answer's RET_CODE means to a collect (sources: see `adapter`)."""

import re
from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType

# National clearing family with a leading 0 (M; 0315 and 0319: L). City and rural banks share 0313, 0314 and 0402 there
# and TLT's own codes for them are not public: their cards are declined here rather than sent with a guess.
BANKS: Final[Mapping[str, str]] = {
    "ICBC": "0102", "ABC": "0103", "BOC": "0104", "CCB": "0105", "COMM": "0301", "CITIC": "0302", "CEB": "0303",
    "HXBANK": "0304", "CMBC": "0305", "GDB": "0306", "SPABANK": "0307", "CMB": "0308", "CIB": "0309", "SPDB": "0310",
    "EGBANK": "0315", "HSBANK": "0319", "PSBC": "0403",
}  # fmt: skip

# H and M agree.
ID_TYPES: Final[Mapping[IdType, str]] = {
    IdType.ID_CARD: "0",
    IdType.PASSPORT: "2",
    IdType.HK_MACAU_PERMIT: "5",
    IdType.TAIWAN_PERMIT: "6",
    IdType.FOREIGNER_PERMIT: "8",
}

OK: Final = "0000"
NOTHING_FOUND: Final = "1002"  # on a query
BATCH_REFUSED: Final = "2004"  # on a query: final (H); sister platforms add 2002 and 2006 (M), which stay unknown here
IN_PROCESS: Final = frozenset({"2000", "2001", "2003", "2005", "2007", "2008"})  # H
# INFO 1xxx on a submission: nothing was done (H). Were a duplicate hidden there, it would change nothing: what may have
# arrived is never submitted again.
REFUSED: Final = re.compile(r"1\d{3}")

# To the demo every code of a finished order but 0000 is a final failure (H); the meanings are sister platforms' (M).
# A 3xxx that is not here stays Unknown with its raw code, however often it is asked about: it ends when the code is
# mapped, here or in the account's `declines` (the next query reads it again), or by the statement. Left out on purpose:
# 4000, which some products count as success (L), and NO_DECLINES.
DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        (F.INSUFFICIENT_BALANCE, "3008"),
        (F.CARD_INVALID, "3004 3009"),  # bad card; no such account
        (F.CARD_LOST, "3006"),
        (F.CARD_FROZEN, "3017 3020 3057"),  # frozen; locked; status of the account
        (F.CARD_CLOSED, "3018"),
        (F.CARD_EXPIRED, "3010"),
        (F.NAME_MISMATCH, "3031"),
        (F.AUTHENTICATION_REJECTED, "3011"),  # PIN
        (F.RISK_REJECTED, "3001 3002"),  # ask the issuer; capture the card
        (F.TOO_MANY_TRIES, "3015"),
        (F.CHANNEL_LIMIT_EXCEEDED, "3013"),
        (F.CARD_UNSUPPORTED, "3097"),
        (F.AGREEMENT_VOID, "3043 3045 3046 3047"),  # not signed; agreement absent, not effective, cancelled
        (F.CHANNEL_UNAVAILABLE, "3028 3044 3050"),  # busy; timed out, declined; reversed
        (F.CHANNEL_REFUSED, "3058 3999"),  # signature; other
    )
    for code in codes.split()
}
NO_DECLINES: Final = frozenset({"3051", "3056"})
"""Duplicate, which says nothing of the first order; returned ticket (退票), which only money that went out can have."""

ASK_FIRST: Final = frozenset({"3044", "3050"})
"""Their meanings (M) leave room for money that moved: believed only when a query says so too."""

RETURNED: Final = "3056"
"""To a question about a payout, or a refund: it had been paid, and the bank gave it back (退票), however late (M)."""

# The same codes where the account is the payee's and the balance is the merchant's. There is no PIN and no agreement:
# codes about those are refusals of ours.
PAYOUT_DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        (F.MERCHANT_BALANCE_SHORT, "3008"),
        # Number; lost; none such; expired; frozen; closed; locked; not that name; status.
        (F.PAYEE_INVALID, "3004 3006 3009 3010 3017 3018 3020 3031 3057"),
        (F.RISK_REJECTED, "3001 3002"),
        (F.CHANNEL_LIMIT_EXCEEDED, "3013 3015"),
        (F.CARD_UNSUPPORTED, "3097"),
        (F.CHANNEL_UNAVAILABLE, "3028 3044 3050"),
        (F.CHANNEL_REFUSED, "3011 3043 3045 3046 3047 3058 3999"),
    )
    for code in codes.split()
}

# The same codes of a refund, which is paid to the payer's card out of the merchant's money (L) and brings no PIN, no
# agreement and no code: those are refusals of ours. What refunds are refused with beside them is not public.
REFUND_DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        (F.MERCHANT_BALANCE_SHORT, "3008"),
        (F.CARD_INVALID, "3004 3009"),
        (F.CARD_LOST, "3006"),
        (F.CARD_EXPIRED, "3010"),
        (F.CARD_FROZEN, "3017 3020 3057"),
        (F.CARD_CLOSED, "3018"),
        (F.RISK_REJECTED, "3001 3002"),
        (F.CHANNEL_LIMIT_EXCEEDED, "3013 3015"),
        (F.CARD_UNSUPPORTED, "3097"),
        (F.CHANNEL_UNAVAILABLE, "3028 3044 3050"),
        (F.CHANNEL_REFUSED, "3011 3031 3043 3045 3046 3047 3058 3999"),
    )
    for code in codes.split()
}

GONE: Final = frozenset({"3043", "3045", "3047"})
"""To an unbinding: not signed; no such agreement; cancelled. 3046, not effective yet, is a refusal."""
