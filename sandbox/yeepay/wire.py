"""YeePay's messages: forms and lines in GBK, signed by two HMACs over the values in a fixed order (handbook V1.27; H).

YeePay's demos make both over the text in UTF-8, though the wire is GBK.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, quote_plus

__all__ = ["ORDER", "OUTSIDE", "RefusedError", "form_of", "lines_of", "read_form", "sealed", "yuan"]

ORDER: Final[Mapping[str, Sequence[str]]] = {
    "Buy": [
        "p0_Cmd",
        "p1_MerId",
        "p2_Order",
        "p3_Amt",
        "p4_Cur",
        "p5_Pid",
        "p6_Pcat",
        "p7_Pdesc",
        "p8_Url",
        "p9_SAF",
        "pa_MP",
        "pb_ServerNotifyUrl",
        "pd_FrpId",
        "pm_Period",
        "pn_Unit",
        "pr_NeedResponse",
        "pt_UserName",
        "pt_PostalCode",
        "pt_Address",
        "pt_TeleNo",
        "pt_Mobile",
        "pt_Email",
        "pt_LeaveMessage",
    ],
    "QueryOrdDetail": ["p0_Cmd", "p1_MerId", "p2_Order", "pv_Ver", "p3_ServiceType"],
    "CancelOrd": ["p0_Cmd", "p1_MerId", "pb_TrxId", "pv_Ver"],
    "RefundOrd": ["p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId", "p3_Amt", "p4_Cur", "p5_Desc"],
    "RefundResults": ["p0_Cmd", "p1_MerId", "p2_Order", "pb_TrxId"],
}
"""Command → its fields, in the order in which they are signed."""
OUTSIDE: Final = frozenset({"r4_Order", "rf_fee"})
"""Fields of RefundOrd's answer that no signature covers (H)."""
BLOCK: Final = 64
MAX_FIELDS: Final = 60


class RefusedError(Exception):
    """A message that is not taken; `code` is the r1_Code that says so."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def read_form(text: bytes, key: str) -> dict[str, str]:
    """The fields of a signed request. Raises RefusedError."""
    try:
        pairs = parse_qsl(text.decode("ascii"), True, encoding="gbk", errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RefusedError("-1", "不是 GBK 编码的请求 Not a form in GBK") from None
    fields = dict(pairs)
    names = ORDER.get(fields.get("p0_Cmd", ""))
    if names is None or len(fields) != len(pairs):
        raise RefusedError("-1", "业务类型无效 No such command")
    if not set(fields) <= {*names, "hmac", "hmac_safe"}:
        raise RefusedError("-1", "多余的参数 A field that is not known")
    values = [fields.get(name, "") for name in names]
    if (fields.get("hmac"), fields.get("hmac_safe")) != _both(values, key):
        raise RefusedError("-100", "交易签名无效 Wrong signature")
    return fields


def sealed(fields: Mapping[str, str], key: str) -> dict[str, str]:
    """The fields with both signatures, made in the order in which they stand."""
    hmac, safe = _both(list(fields.values()), key)
    return {**fields, "hmac": hmac, "hmac_safe": safe}


def form_of(fields: Mapping[str, str]) -> str:
    """A form in GBK."""
    return "&".join(f"{name}={quote_plus(value, encoding='gbk')}" for name, value in fields.items())


def lines_of(fields: Mapping[str, str]) -> bytes:
    """The lines of an answer."""
    return "".join(f"{name}={quote_plus(value, encoding='gbk')}\n" for name, value in fields.items()).encode("ascii")


def yuan(fen: int) -> str:
    """Fen as yuan, as answers state it."""
    return f"{fen // 100}.{fen % 100:02}"


def _both(values: Iterable[str], key: str) -> tuple[str, str]:
    values = list(values)
    return _hmac("".join(values), key), _hmac("#".join(value for value in values if value), key)


def _hmac(text: str, key: str) -> str:
    """RFC 2104 with MD5, as YeePay's demos write it out."""
    padded = key.encode().ljust(BLOCK, b"\0")
    inner = hashlib.md5(bytes(byte ^ 0x36 for byte in padded) + text.encode(), usedforsecurity=False).digest()
    outer = bytes(byte ^ 0x5C for byte in padded) + inner
    return hashlib.md5(outer, usedforsecurity=False).hexdigest()
