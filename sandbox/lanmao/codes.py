"""The custody bank's codes. Those of the bank (errorCode) and of the companies behind it (channelErrorCode) are the
sandbox's own: the real tables are not public.
"""

from collections.abc import Mapping
from typing import Final

from sandbox.books import State

__all__ = [
    "ANY_BANK",
    "AUTHENTICATORS",
    "BALANCE_SHORT",
    "BANKS",
    "CHANNEL_MESSAGES",
    "COMPANIES",
    "CONFIRMED_BEFORE",
    "FAILED",
    "FIELDS",
    "IDENTITY",
    "MESSAGES",
    "NOT_AUTHENTICATED",
    "NOT_AUTHORISED",
    "NOT_BOUND",
    "NO_COMPANY",
    "NO_FILE",
    "NO_RECORD",
    "OPEN",
    "PENDDING",
    "REFUSED_BY",
    "REPEATED",
    "SIGNATURE",
    "SUCCESS",
    "SYSTEM_ERROR",
    "is_failure",
    "magic_amount",
    "magic_tail",
    "state_of",
    "word_of",
]

SUCCESS: Final = "SUCCESS"
PENDDING: Final = "PENDDING"
OPEN: Final = "OPEN"
"""Of an order whose page was opened and that nobody paid yet, in the books alone: a question tells PENDDING."""

SYSTEM_ERROR: Final = "100001"
SIGNATURE: Final = "100002"
FIELDS: Final = "100003"
NOT_BOUND: Final = "100004"
FAILED: Final = "100005"
NOT_AUTHORISED: Final = "100006"
REPEATED: Final = "100007"
NO_RECORD: Final = "100009"
NO_COMPANY: Final = "100010"
NOT_AUTHENTICATED: Final = "100011"
CONFIRMED_BEFORE: Final = "100008"
NO_FILE: Final = "100012"
MESSAGES: Final[Mapping[str, str]] = {
    SYSTEM_ERROR: "系统异常",
    SIGNATURE: "签名错误",
    FIELDS: "参数错误",
    NOT_BOUND: "用户不存在或未绑卡",
    FAILED: "支付失败",
    NOT_AUTHORISED: "用户未授权",
    REPEATED: "请求流水号重复",
    NO_RECORD: "交易记录不存在",
    NO_COMPANY: "支付公司未开通",
    NOT_AUTHENTICATED: "鉴权未通过",
    CONFIRMED_BEFORE: "对账文件已确认",
    NO_FILE: "对账文件尚未生成",
}
IDENTITY: Final = "P82"
BALANCE_SHORT: Final = "P51"
CHANNEL_MESSAGES: Final[Mapping[str, str]] = {
    "P14": "无效卡号",
    "P41": "卡已挂失",
    BALANCE_SHORT: "余额不足",
    "P54": "卡已过期",
    "P57": "不支持的交易",
    "P61": "超出金额限制",
    "P65": "超出次数限制",
    IDENTITY: "身份信息不符",
    "P91": "发卡行不可用",
}

COMPANIES: Final = frozenset({"YEEPAY", "FUIOU", "ALLINPAY", "BAOFOO", "LIANLIAN", "JDPAY"})
"""Whom the platform's contract lists."""
AUTHENTICATORS: Final = ("YEEPAY", "FUIOU", "ALLINPAY")
"""Whom the bank asks when a card is bound, in this order, until one of them passes it."""
REFUSED_BY: Final[Mapping[str, frozenset[str]]] = {
    "9821": frozenset({"YEEPAY"}),
    "9822": frozenset({"FUIOU"}),
    "9823": frozenset({"ALLINPAY"}),
    "9824": frozenset({"YEEPAY", "FUIOU"}),
    "9825": frozenset(AUTHENTICATORS),
}
"""Card tails whose holder these companies refuse, when the card is bound and at each payment."""

BANKS: Final[Mapping[str, str]] = {
    "ICBK": "中国工商银行",
    "ABOC": "中国农业银行",
    "BKCH": "中国银行",
    "PCBC": "中国建设银行",
    "COMM": "交通银行",
    "PSBC": "中国邮政储蓄银行",
    "CMBC": "招商银行",
    "CIBK": "中信银行",
    "EVER": "中国光大银行",
    "HXBK": "华夏银行",
    "MSBC": "中国民生银行",
    "GDBK": "广发银行",
    "SZDB": "平安银行",
    "FJIB": "兴业银行",
    "SPDB": "浦发银行",
    "HFBA": "恒丰银行",
    "BJCN": "北京银行",
    "BKNB": "宁波银行",
}

ANY_BANK: Final = "ICBK"
"""Of a card whose bank nobody told."""

TAIL_PREFIX: Final = "70"
MAGIC_BASE: Final = 997_000


def state_of(code: str) -> State:
    """What a code of the books says about an order."""
    if code == SUCCESS:
        return "succeeded"
    return "processing" if code in {OPEN, PENDDING} else "failed"


def word_of(code: str) -> str:
    """The rechargeStatus of an order by the code that it has."""
    return {"succeeded": SUCCESS, "processing": PENDDING, "failed": "FAIL"}[state_of(code)]


def is_failure(code: str) -> bool:
    """Whether a code is one of the bank's (six digits) or of a company's (P and two digits)."""
    digits = code.removeprefix("P")
    return code.isascii() and digits.isdecimal() and len(code) == (3 if code.startswith("P") else 6)


def magic_tail(card_tail: str) -> str | None:
    """The company's code that a card tail 70NN asks for; only codes of the table."""
    code = f"P{card_tail[2:]}"
    return code if card_tail.startswith(TAIL_PREFIX) and code in CHANNEL_MESSAGES else None


def magic_amount(amount: int) -> str | None:
    """The company's code that an amount of 9970NN fen asks for."""
    code = f"P{amount - MAGIC_BASE:02d}"
    return code if code in CHANNEL_MESSAGES else None
