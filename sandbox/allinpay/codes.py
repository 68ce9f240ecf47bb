"""Allinpay's codes (INFO level: official demo, H; 3xxx family: sister platforms, M) and which magic asks for one."""

from typing import Final

from sandbox.books import State

__all__ = [
    "CONTENT_WRONG",
    "DUPLICATE",
    "MESSAGES",
    "PROCESSING",
    "RETURNED",
    "SIGNING_TAILS",
    "SUCCESS",
    "is_processing",
    "is_refusal",
    "magic_amount",
    "magic_tail",
    "state_of",
    "text_of",
]

SUCCESS: Final = "0000"
CONTENT_WRONG: Final = "1000"
DUPLICATE: Final = "3051"
RETURNED: Final = "3056"
SIGNING_TAILS: Final = frozenset({"3004", "3009", "3031"})
"""Card tails whose code answers the signing's SMS already: they are about the card or its holder."""
PROCESSING: Final = frozenset({"2000", "2001", "2003", "2005", "2007", "2008"})
REFUSAL_PREFIX: Final = "1"
MAGIC_BASE: Final = 990_000
FIRST_MAGIC: Final = 3000
LAST_MAGIC: Final = 3999

MESSAGES: Final[dict[str, str]] = {
    "0000": "处理成功",
    "1000": "报文内容检查错或者处理错",
    "1001": "报文解释错",
    "1002": "无此交易",
    "2000": "系统正在对数据处理",
    "3001": "查开户方原因",
    "3002": "没收卡",
    "3004": "无效卡号",
    "3006": "已挂失卡",
    "3008": "余额不足",
    "3009": "无此账户",
    "3010": "过期卡",
    "3011": "密码错",
    "3013": "超出限额",
    "3015": "交易次数超限",
    "3017": "账户已冻结",
    "3018": "账户已销户",
    "3020": "账户已锁定",
    "3028": "系统忙，请稍后再提交",
    "3031": "账户名不符",
    "3043": "未签约账户",
    "3044": "交易超时，已拒绝",
    "3045": "协议不存在",
    "3046": "协议未生效",
    "3047": "协议已撤销",
    "3050": "已冲正",
    "3051": "交易重复",
    "3056": "退票",
    "3057": "账户状态不正确",
    "3058": "数字签名或证书错",
    "3097": "系统不支持该交易",
    "3999": "其他错误",
}


def text_of(code: str) -> str:
    """ERR_MSG of a code."""
    return MESSAGES.get(code, "其他")


def state_of(code: str) -> State:
    """What a RET_CODE says about an order."""
    if code == SUCCESS:
        return "succeeded"
    return "processing" if is_processing(code) else "failed"


def is_processing(code: str) -> bool:
    """Whether this INFO code leaves the result open."""
    return code in PROCESSING


def is_refusal(code: str) -> bool:
    """Whether this INFO code refuses the request before any work (1xxx)."""
    return code.startswith(REFUSAL_PREFIX)


def magic_tail(card_tail: str) -> str | None:
    """The body code that a card tail 3NNN asks for; only codes of the table."""
    return card_tail if card_tail.startswith("3") and card_tail in MESSAGES else None


def magic_amount(amount: int) -> str | None:
    """The body code that an amount of 993NNN fen asks for."""
    code = amount - MAGIC_BASE
    return str(code) if FIRST_MAGIC <= code <= LAST_MAGIC and str(code) in MESSAGES else None
