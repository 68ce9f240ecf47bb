"""The fields of YeePay's messages, in the order in which each is signed, and their two signatures (handbook, demos; H).

`hmac` is HMAC-MD5 over the values alone, one after the other; `hmac_safe` over those that are not empty, with a `#`
between them, so that what stands in one field cannot be moved into the next. The text is sent in GBK, and both are made
over it in UTF-8: so it is in YeePay's demos for Java and for PHP.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

__all__ = [
    "BUY",
    "CANCEL",
    "CANCELLED",
    "CHARSET",
    "FOUND",
    "NOTICE",
    "QUESTION",
    "REFUND",
    "REFUNDS_QUESTION",
    "REFUND_FOUND",
    "REFUND_TAKEN",
    "Fields",
    "UnbelievableError",
    "believed",
    "fen",
    "read_answer",
    "read_pairs",
    "signed",
]

CHARSET: Final = "gbk"
SIGNED_IN: Final = "utf-8"

BUY: Final = (
    "p0_Cmd", "p1_MerId", "p2_Order", "p3_Amt", "p4_Cur", "p5_Pid", "p6_Pcat", "p7_Pdesc", "p8_Url", "p9_SAF",
    "pa_MP", "pb_ServerNotifyUrl", "pd_FrpId", "pm_Period", "pn_Unit", "pr_NeedResponse",
)  # fmt: skip
QUESTION: Final = ("p0_Cmd", "p1_MerId", "p2_Order", "pv_Ver", "p3_ServiceType")
FOUND: Final = (
    "r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur", "r5_Pid", "r6_Order", "r8_MP", "rw_RefundRequestID",
    "rx_CreateTime", "ry_FinshTime", "rz_RefundAmount", "rb_PayStatus", "rc_RefundCount", "rd_RefundAmt",
)  # fmt: skip
"""The answer to it. `ry_FinshTime` is spelled so."""
CANCEL: Final = ("p0_Cmd", "p1_MerId", "pb_TrxId", "pv_Ver")
CANCELLED: Final = ("r0_Cmd", "r1_Code")
"""The answer to it: it names no order."""
REFUND: Final = ("p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId", "p3_Amt", "p4_Cur", "p5_Desc")
REFUND_TAKEN: Final = ("r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur")
"""The answer to it: `r4_Order` and `rf_fee` stand outside."""
REFUNDS_QUESTION: Final = ("p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId")
REFUND_FOUND: Final = ("r0_Cmd", "r1_Code", "r2_TrxId", "r4_Order", "refundStatus", "refundFrpStatus")
"""The answer to it."""
NOTICE: Final = (
    "p1_MerId", "r0_Cmd", "r1_Code", "r2_TrxId", "r3_Amt", "r4_Cur", "r5_Pid", "r6_Order", "r7_Uid", "r8_MP",
    "r9_BType",
)  # fmt: skip
SIGNATURES: Final = ("hmac", "hmac_safe")

MAX_ANSWER_BYTES: Final = 64 * 1024
"""An answer about one order is far below this."""
MAX_FIELDS: Final = 60

_AMOUNT = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,2})?")

Fields = Mapping[str, str]


class UnbelievableError(Exception):
    """A message that is not YeePay's word to this account; the text holds nothing of it."""


def signed(names: Sequence[str], fields: Fields, key: bytes) -> dict[str, str]:
    """The fields in their order, those that are not there empty, with both signatures."""
    values = [fields.get(name, "") for name in names]
    return dict(zip((*names, *SIGNATURES), (*values, *_signatures(values, key)), strict=True))


def believed(names: Sequence[str], fields: Fields, key: bytes) -> dict[str, str]:
    """The fields that are signed, and only these. Raises UnbelievableError."""
    values = [fields.get(name, "") for name in names]
    theirs = "".join(fields.get(name, "") for name in SIGNATURES)
    if not hmac.compare_digest("".join(_signatures(values, key)).encode(), theirs.encode(SIGNED_IN, "surrogatepass")):
        raise UnbelievableError("not signed by YeePay for this account")
    return dict(zip(names, values, strict=True))


def read_answer(content: bytes) -> dict[str, str]:
    """The lines `name=value` of an answer, the values percent-encoded. Raises UnbelievableError."""
    if len(content) > MAX_ANSWER_BYTES:
        raise UnbelievableError("the answer is too big")
    try:
        lines = content.decode(CHARSET).split("\n")
        pairs = [line.strip().partition("=") for line in lines if line.strip()]
        return _once((name, unquote_plus(value, CHARSET, "strict")) for name, _, value in pairs)
    except UnicodeError:
        raise UnbelievableError("not an answer in GBK") from None


def read_pairs(texts: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """The fields of these names and the signatures, from parts of a form; others are left alone, such as those that our
    own address brings. Raises UnbelievableError.
    """
    wanted = {*names, *SIGNATURES}
    try:
        pairs = [
            pair
            for text in texts
            for pair in parse_qsl(
                text, keep_blank_values=True, encoding=CHARSET, errors="strict", max_num_fields=MAX_FIELDS
            )
        ]
    except ValueError:
        raise UnbelievableError("not a form in GBK") from None
    return _once((name, value) for name, value in pairs if name in wanted)


def fen(text: str) -> int | None:
    """Yuan as fen, exactly; None for what is no amount."""
    return int(Decimal(text) * 100) if _AMOUNT.fullmatch(text) else None


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A name that stands there twice could be read as one value and signed as the other. Raises UnbelievableError."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise UnbelievableError("a field that is there twice")
        fields[name] = value
    return fields


def _signatures(values: Sequence[str], key: bytes) -> tuple[str, str]:
    return _hmac("".join(values), key), _hmac("#".join(filter(None, values)), key)


def _hmac(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode(SIGNED_IN, "surrogatepass"), "md5").hexdigest()
