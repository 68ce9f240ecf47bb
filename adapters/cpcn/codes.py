"""CPCN's tables: banks, papers, the codes of an answer's head, and the states of an order (sources: see `adapter`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType

__all__ = [
    "BANKS",
    "BIND_FAILED",
    "BOUND",
    "CODE_EXPIRED",
    "CODE_RIGHT",
    "CODE_WRONG",
    "GENERAL_REFUSALS",
    "HANDLED",
    "ID_TYPES",
    "NO_SUCH_BINDING",
    "NO_SUCH_PAYMENT",
    "NO_SUCH_REFUND",
    "PAGE_BANKS",
    "PAGE_PAID",
    "PAGE_UNPAID",
    "QUICK",
    "REFUND_DONE",
    "REFUND_FAILED",
    "REFUND_OPEN",
    "REFUND_REFUSALS",
    "REFUSALS",
    "UNBINDING_FAILED",
    "UNBINDING_REFUSALS",
    "UNBOUND",
    "UNBOUND_BEFORE",
    "UNBOUND_NOW",
    "WITHHOLDING",
    "Codes",
    "States",
]

Codes = Mapping[str, F]
"""A code → why it was refused for good."""

# The simulator's list for quick payments (H), those banks of it whose names and codes are the same here.
BANKS: Final[Mapping[str, str]] = {
    "PSBC": "100", "ICBC": "102", "ABC": "103", "BOC": "104", "CCB": "105", "COMM": "301", "CITIC": "302", "CEB": "303",
    "HXBANK": "304", "CMBC": "305", "GDB": "306", "SPABANK": "307", "CMB": "308", "CIB": "309", "SPDB": "310",
    "CZBANK": "316", "BOHAIB": "317", "SHBANK": "401", "XMBANK": "402", "BJBANK": "403", "NBBANK": "408",
    "QLBANK": "409", "WZCB": "412", "GCB": "413", "SJBANK": "417", "DLB": "420", "BOSZ": "421", "BHB": "422",
    "HZCB": "423", "NJCB": "424", "SXCB": "428", "HBC": "432", "TCCB": "434", "ZZBANK": "435", "NXBANK": "436",
    "ZBCB": "438", "BOJZ": "439", "HSBANK": "440", "HRBANK": "442", "LZYH": "447", "NCB": "448", "QDCCB": "450",
    "JLBANK": "451", "JJBANK": "454", "BOQH": "458", "CSCB": "461", "BANKWF": "462", "GZB": "463", "BOQZ": "464",
    "FDB": "466", "JXBANK": "470", "H3CB": "474", "BGB": "478", "GLBANK": "491", "SRCB": "1404", "CRCBANK": "1413",
    "BJRCB": "1418", "JSBANK": "1501", "DAQINGB": "1518", "CABANK": "1555",
}  # fmt: skip

# The simulator's list for payments on a page (H), which is shorter: those banks of it that stand above.
PAGE_BANKS: Final = frozenset({
    "PSBC", "ICBC", "ABC", "BOC", "CCB", "COMM", "CITIC", "CEB", "HXBANK", "CMBC", "GDB", "SPABANK", "CMB", "CIB",
    "SPDB", "CZBANK", "SHBANK", "BJBANK", "NBBANK", "QLBANK", "BHB", "HZCB", "NJCB", "TCCB", "HSBANK", "LZYH", "NCB",
    "QDCCB", "GLBANK",
})  # fmt: skip

# The simulator (H); 2501 and 2531 name them in the same way (M).
ID_TYPES: Final[Mapping[IdType, str]] = {
    IdType.ID_CARD: "0",
    IdType.PASSPORT: "2",
    IdType.HK_MACAU_PERMIT: "5",
    IdType.TAIWAN_PERMIT: "6",
    IdType.FOREIGNER_PERMIT: "8",
}

# Head/Code (2000 handled, anything else not: H). The meanings are one gateway's copy of CPCN's own table (M).
HANDLED: Final = "2000"
NO_SUCH_PAYMENT: Final = frozenset({"240005", "270027", "270051", "30251202"})
NO_SUCH_REFUND: Final = frozenset({"240020", "270058", "30252202"})
NO_SUCH_BINDING: Final = frozenset({"30250205"})
_NOT_IN_FORCE: Final = frozenset({"30251108", "30251109"})  # of a payment's binding: absent; given up

# Left out on purpose, hence unknown: 2001 (system error) and 2011 (database), which may come after the work; and a
# number that was used before: 2008, 240011, 240012, 270024, 270054, 30250123, 30251107, 30252110.
_OURS: Final = (
    # signature, message, format, version, transaction, permission, session, GET, parameters, certificate
    "2002 2003 2004 2005 2006 2007 2012 2013 2016 2017 "
    "240001 240002 240003 "  # message or signature missing; transaction code; institution
    "260001 260002 260007 260008 260009 260012 260013 260015 260016 "  # a withhold's fields that are ours to fill in
    "30250101 30250102 30250103 30250104 30250105 30250106 30250115 30250116 30250124 30250125 "  # a binding's
    "30251101 30251102 30251103 30251104 30251105 30251106 30251110 30251111"  # a payment's
)
REFUSALS: Final[Codes] = {
    code: failure
    for failure, codes in (
        (F.CHANNEL_REFUSED, _OURS),
        (F.CARD_INVALID, "260006 30250109 30250110"),  # the card's number
        # Holder, paper, phone, or a credit card's validity and check digits, in a form that CPCN does not take.
        (F.CARD_UNSUPPORTED, "260003 260004 260005 260010 260011 260014"),
        (F.CARD_UNSUPPORTED, "30250107 30250108 30250111 30250112 30250113 30250114"),
        (F.CARD_UNSUPPORTED, "30250117 30250118 30250119 30250120 30250121 30250122"),
        (F.AGREEMENT_VOID, " ".join(_NOT_IN_FORCE)),
    )
    for code in codes.split()
}
GENERAL_REFUSALS: Final = frozenset(code for code in _OURS.split() if len(code) == 4 or code.startswith("24"))
# Lengths and forms; no such payment; not paid; refunded before, which can be done once; more than was paid; merchant.
# 240005: no such payment, of any product. What else 1133 is refused with is not public.
REFUND_REFUSALS: Final[Codes] = dict.fromkeys(
    (*sorted(GENERAL_REFUSALS), "240005", *(f"302521{n:02d}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12))),
    F.CHANNEL_REFUSED,
)
UNBINDING_REFUSALS: Final[Codes] = dict.fromkeys(
    (*sorted(GENERAL_REFUSALS), *(f"3025030{n}" for n in range(1, 7))), F.CHANNEL_REFUSED
)
UNBOUND_BEFORE: Final = NO_SUCH_BINDING | _NOT_IN_FORCE


@dataclass(frozen=True, slots=True)
class States:
    """What Body/Status says of an order; a number in none of them is unknown."""

    open: frozenset[str]
    done: str
    failed: str


# The same numbers mean other things to other products: 30 is a failed quick payment and a withhold that was paid.
QUICK: Final = States(frozenset({"10"}), "20", "30")  # 2511, 2512, 2542 (H)
WITHHOLDING: Final = States(frozenset({"20"}), "30", "40")  # 2011, 2018, 2020: final at 30 and 40 (H), meanings (M)

# Of a refund (2522, 1132, 1138): assumed. 20 and 40 are those of another product (H), 10 is in process (L); 30 ends a
# withhold, and nothing says that it ends a refund.
REFUND_OPEN: Final = frozenset({"10", "30"})
REFUND_FAILED: Final = "20"
REFUND_DONE: Final = "40"

# Of an order that is paid on a page: 20 in 1118 (H), both in 1120 and in a sister product (M). There is no third.
PAGE_UNPAID: Final = "10"
PAGE_PAID: Final = "20"

# Of a binding (2501, 2502, 2532): 20 and 30 (H), 10 in process and 40 given up (M).
BIND_FAILED: Final = "20"
BOUND: Final = "30"
UNBOUND: Final = "40"
UNBOUND_NOW: Final = "20"  # 2503 (M); 10 in process
UNBINDING_FAILED: Final = "30"

# VerifyStatus (H).
CODE_EXPIRED: Final = "20"
CODE_WRONG: Final = "30"
CODE_RIGHT: Final = "40"
