"""CPCN's codes: of the head (one gateway's copy of its table: M), states (H/M), and the banks' codes of this sandbox.

The banks' codes that CPCN hands on (ResponseCode) are not public: those here are the sandbox's own.
"""

from collections.abc import Mapping
from typing import Final

from sandbox.books import Order, State

__all__ = [
    "BINDING_TAILS",
    "EXPIRED_TAIL",
    "HANDLED",
    "HEADS",
    "HOLDER_WRONG",
    "MERCHANT_BALANCE_SHORT",
    "OPEN",
    "PHONE_WRONG",
    "RESPONSES",
    "SMS_WANTED",
    "SUCCESS",
    "WRONG_TAIL",
    "is_head",
    "magic_amount",
    "magic_tail",
    "payout_status",
    "state_of",
    "status_of",
]

HANDLED: Final = "2000"
HEADS: Final[Mapping[str, str]] = {
    "2000": "OK.",
    "2001": "系统内部错误",
    "2002": "验证签名失败",
    "2003": "解析报文错误",
    "2004": "报文格式错误",
    "2006": "无效交易类型",
    "2008": "重复交易请求",
    "2011": "数据库存取异常",
    "2016": "参数不正确",
    "240001": "请求中不存在message参数或者signature参数",
    "240003": "不存在此机构",
    "240005": "不存在此支付交易",
    "240020": "不存在此退款交易",
    "240090": "商户账户余额不足",
    "260001": "银行ID为空",
    "260002": "账户类型为空或值错误",
    "260005": "账户名称为空或长度不正确",
    "260006": "账户号码为空或长度不正确",
    "260016": "结算标识为空或长度不正确",
    "30250103": "绑定流水号为空",
    "30250105": "银行ID为空",
    "30250108": "账户名称为空",
    "30250109": "账户号码为空",
    "30250111": "证件类型为空",
    "30250113": "证件号码为空",
    "30250115": "绑定卡类型为空",
    "30250121": "手机号码为空",
    "30250123": "绑定流水号重复",
    "30250205": "不存在绑定流水号的相关信息",
    "30250305": "解绑流水号为空",
    "30251101": "支付交易流水号长度不正确",
    "30251102": "金额格式错误",
    "30251104": "绑定流水号长度不正确",
    "30251105": "结算标识长度不正确",
    "30251107": "支付交易流水号重复",
    "30251108": "绑定流水号对应的绑定关系不存在",
    "30251109": "绑定流水号对应的绑定关系非有效绑定状态",
    "30251202": "支付交易流水号对应的订单不存在",
    "30252101": "退款交易流水号长度不正确",
    "30252103": "金额格式错误",
    "30252106": "支付交易流水号对应的订单不存在",
    "30252107": "该笔订单没有成功支付，不能退款",
    "30252108": "该笔订单已经存在退款交易，不能二次退款",
    "30252109": "退款金额大于支付金额",
    "30252110": "退款交易流水号重复",
    "30252202": "退款交易流水号对应的退款订单不存在",
}

MERCHANT_BALANCE_SHORT: Final = "240090"
"""Of a payout. How CPCN tells it is not public: this code is the sandbox's own."""
SUCCESS: Final = "00"
OPEN: Final = "PR"
"""Of an order that is not finished, in the books alone."""
SMS_WANTED: Final = "71"
HOLDER_WRONG: Final = "82"
PHONE_WRONG: Final = "83"
RESPONSES: Final[Mapping[str, str]] = {
    "00": "交易成功",
    "05": "发卡行拒绝",
    "14": "无效卡号",
    "41": "挂失卡",
    "51": "余额不足",
    "54": "过期卡",
    "57": "不支持的交易",
    "61": "超出金额限制",
    "62": "受限制的卡",
    "65": "超出次数限制",
    "71": "需要短信验证码",
    "81": "户名不符",
    "82": "证件号不符",
    "83": "手机号不符",
    "91": "发卡行不可用",
}
BINDING_TAILS: Final = frozenset({"57", SMS_WANTED, "81", HOLDER_WRONG, PHONE_WRONG})
"""Card tails whose code answers the binding already; 71 the silent one alone."""
TAIL_PREFIX: Final = "60"
EXPIRED_TAIL: Final = "6020"
WRONG_TAIL: Final = "6030"
"""Card tails of which every SMS code is expired, or wrong: VerifyStatus 20 and 30."""
MAGIC_BASE: Final = 996_000

# Body/Status by transaction family: open, done, failed.
_STATES: Final[Mapping[str, tuple[str, str, str]]] = {
    "quick": ("10", "20", "30"),
    "withhold": ("20", "30", "40"),
    "refund": ("10", "40", "20"),
    "binding": ("10", "30", "20"),
    "unbinding": ("10", "20", "30"),
    "page": ("10", "20", "10"),
}


def state_of(code: str) -> State:
    """What a code of the books says about an order."""
    if code == SUCCESS:
        return "succeeded"
    return "processing" if code == OPEN else "failed"


def status_of(family: str, code: str) -> str:
    """Body/Status of an order with this code."""
    place = {"processing": 0, "succeeded": 1, "failed": 2}[state_of(code)]
    return _STATES[family][place]


def payout_status(order: Order) -> str:
    """Body/Status of a payout (M)."""
    return {"processing": "10", "succeeded": "40"}.get(order.state, "50")


def is_head(code: str) -> bool:
    """Whether a code is told in the head, before any work."""
    return len(code) >= 4 and code.isascii() and code.isdecimal()


def magic_tail(card_tail: str) -> str | None:
    """The bank's code that a card tail 60NN asks for; only codes of the table."""
    code = card_tail[2:]
    return code if card_tail.startswith(TAIL_PREFIX) and code in RESPONSES and code != SUCCESS else None


def magic_amount(amount: int) -> str | None:
    """The bank's code that an amount of 9960NN fen asks for."""
    code = f"{amount - MAGIC_BASE:02d}"
    return code if code in RESPONSES and code != SUCCESS else None
